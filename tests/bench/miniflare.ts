/** Cyrus's Worker in workerd with real D1, R2 and objects, reached past the layers that development tools put in front of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { PROJECT } from '../../dev/settings.ts';
import { bundleCyrus } from './cyrus.ts';

/** A Worker that runs. */
export interface RunningWorker {
  url: string;
  miniflare: Miniflare;
}

/**
 * @param folder for the bundle
 * @param variables instead of those that benchmarks have in common
 * @param options `inspectorPort`: where the inspector listens
 */
export async function startWorker(
  folder: string,
  variables: Record<string, string>,
  options: { inspectorPort?: number } = {},
): Promise<RunningWorker> {
  const { variables: usual } = await bundleCyrus(folder);
  return startBundle(join(folder, 'cyrus'), { ...usual, ...variables }, options);
}

/**
 * Runs a bundle of Cyrus's Worker with its database migrated.
 * @param folder of the bundle, `index.js`
 * @param options `entry`: text of a module that is before the bundle; `project`: the checkout whose migrations are applied
 */
export async function startBundle(
  folder: string,
  bindings: Record<string, string>,
  { inspectorPort, entry, project = PROJECT }: { inspectorPort?: number; entry?: string; project?: string } = {},
): Promise<RunningWorker> {
  const module = join(folder, 'index.js');
  const before = entry === undefined ? [] : [{ path: join(folder, 'entry.js'), contents: entry }];
  const modules = [...before, { path: module, contents: readFileSync(module, 'utf8') }];
  const objects = (className: string) => ({ className, useSQLite: true });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...(inspectorPort !== undefined && { inspectorPort }),
      name: 'cyrus',
      modules: modules.map((each) => ({ type: 'ESModule' as const, ...each })),
      modulesRoot: folder,
      compatibilityDate: '2026-10-01',
      durableObjects: {
        ISSUE_SESSION: objects('IssueSession'),
        SANDBOX_CONTAINER: objects('SandboxContainer'),
        LINEAR_WORKSPACE: objects('LinearWorkspace'),
        CLAUDE_ACCOUNT: objects('ClaudeAccount'),
        WORKSPACE_QUEUE: objects('WorkspaceQueue'),
        OPERATIONS: objects('Operations'),
        RATE_LIMITER: objects('RateLimiter'),
      },
      d1Databases: ['DB'],
      r2Buckets: ['LOGS'],
      bindings,
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    }),
  );
  try {
    await migrate(await miniflare.getD1Database('DB'), join(project, 'migrations'));
    const { origin } = await miniflare.unsafeGetDirectURL('cyrus');
    return { url: origin, miniflare };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

async function migrate(database: Awaited<ReturnType<Miniflare['getD1Database']>>, migrations: string): Promise<void> {
  const files = readdirSync(migrations).filter((name) => name.endsWith('.sql'));
  for (const file of files.toSorted()) {
    const statements = readFileSync(join(migrations, file), 'utf8').split('--> statement-breakpoint');
    for (const statement of statements) await database.prepare(statement).run();
  }
}

/** Starts the Worker that only hands on, see gateway-minimal.js. @param bindings where to */
export async function startMinimal(bindings: Record<string, string>): Promise<RunningWorker> {
  const path = join(import.meta.dirname, 'gateway-minimal.js');
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: 'minimal',
      modules: [{ type: 'ESModule', path, contents: readFileSync(path, 'utf8') }],
      modulesRoot: import.meta.dirname,
      compatibilityDate: '2026-10-01',
      bindings,
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    }),
  );
  const { origin } = await miniflare.unsafeGetDirectURL('minimal');
  return { url: origin, miniflare };
}
