/** The order of a deploy: what can fail comes before the Worker changes. */

import { z } from 'zod';
import { parseJson } from '../src/lib/parse-json.ts';

/** How a deploy acts on the world. */
export interface DeployHost {
  /** Runs a command of the project. @returns null, or why it failed */
  run(command: string, args: string[]): string | null;
  /** The output of a command; null if it failed. */
  read(command: string, args: string[]): string | null;
  tell(words: string): void;
}

type Step = [what: string, command: string, args: string[]];

const PAGE: Step = ['Building the page', 'vite', ['build', '--config', 'src/web/vite.config.ts', '--logLevel', 'warn']];
const MIGRATE: Step = ['Bringing the database up to date', 'wrangler', ['d1', 'migrations', 'apply', 'DB', '--remote']];
const LIST = ['d1', 'list', '--json'];
const databasesSchema = z.array(z.looseObject({ name: z.string() }));

/**
 * @param args handed on to `wrangler deploy`
 * @param database name of the D1 database
 * @param problems migrations that are not additive, in words
 * @returns null when all of it is done; otherwise what failed, and whether the Worker is the one from before
 */
export function deploy(host: DeployHost, args: string[], database: string, problems: string[]): string | null {
  if (problems.length > 0) {
    return `these migrations would break the Worker that is running:\n${problems.join('\n')}\nNothing was changed.`;
  }
  const rehearsal: Step = [
    'Bundling the Worker and building the container image, without uploading them',
    'wrangler',
    ['deploy', '--dry-run', ...args],
  ];
  const change: Step = ['Deploying the Worker and the container image', 'wrangler', ['deploy', ...args]];
  for (const step of [PAGE, rehearsal]) {
    const why = carryOut(host, step);
    if (why !== null) return `${why} Nothing was changed; mend it and run npm run deploy again.`;
  }
  const databases = databasesSchema.safeParse(parseJson(host.read('wrangler', LIST) ?? ''));
  if (!databases.success) {
    return 'Cloudflare did not say which databases there are (wrangler d1 list). Nothing was changed; run npm run deploy again.';
  }
  const isFirst = !databases.data.some(({ name }) => name === database);
  const order = isFirst ? [change, MIGRATE] : [MIGRATE, change];
  for (const step of order) {
    const why = carryOut(host, step);
    if (why === null) continue;
    const isChanged = step === MIGRATE && order[0] === change;
    const state = isChanged
      ? 'The Worker is deployed and answers 503 until the database is up to date'
      : 'The Worker is the one from before';
    return `${why} ${state}; mend it and run npm run deploy again.`;
  }
  return null;
}

function carryOut(host: DeployHost, [what, command, args]: Step): string | null {
  host.tell(`\n${what}`);
  const why = host.run(command, args);
  return why === null ? null : `${what} failed (${why}).`;
}

/**
 * The name of the D1 database: the one that the configuration gives, else the one that wrangler gives it at the first deploy
 * (name of the Worker and of the binding).
 * @param configuration text of wrangler.toml
 */
export function databaseName(configuration: string): string {
  const given = /^\s*database_name\s*=\s*"([^"]+)"/m.exec(configuration)?.[1];
  const worker = /^name\s*=\s*"([^"]+)"/m.exec(configuration)?.[1] ?? 'cyrus';
  return given ?? `${worker}-db`;
}
