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
  const { module, variables: usual } = await bundleCyrus(folder);
  const objects = (className: string) => ({ className, useSQLite: true });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...options,
      name: 'cyrus',
      modules: [{ type: 'ESModule', path: module, contents: readFileSync(module, 'utf8') }],
      modulesRoot: join(folder, 'cyrus'),
      compatibilityDate: '2026-10-01',
      durableObjects: {
        ISSUE_SESSION: objects('IssueSession'),
        SANDBOX_CONTAINER: objects('SandboxContainer'),
        LINEAR_WORKSPACE: objects('LinearWorkspace'),
        CLAUDE_ACCOUNT: objects('ClaudeAccount'),
        WORKSPACE_QUEUE: objects('WorkspaceQueue'),
        OPERATIONS: objects('Operations'),
      },
      d1Databases: ['DB'],
      r2Buckets: ['LOGS'],
      bindings: { ...usual, ...variables },
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    }),
  );
  const database = await miniflare.getD1Database('DB');
  const migrations = join(PROJECT, 'migrations');
  const files = readdirSync(migrations).filter((name) => name.endsWith('.sql'));
  for (const file of files.toSorted()) {
    const statements = readFileSync(join(migrations, file), 'utf8').split('--> statement-breakpoint');
    for (const statement of statements) await database.prepare(statement).run();
  }
  const { origin } = await miniflare.unsafeGetDirectURL('cyrus');
  return { url: origin, miniflare };
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
