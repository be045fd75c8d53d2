/** The order of a deploy: what can fail comes before the Worker changes. */
import * as z from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import type { Configuration } from './configuration.ts';
import { pruneImages } from './images.ts';
import type { Host } from './wrangler.ts';

/** What a deploy acts on beside the programs of a Host. */
export interface DeployWorld extends Host {
  /** Asks an address of the deployment. @returns the status, and what it says of itself; null: there was no answer */
  ask(url: string): Promise<{ status: number; words: string } | null>;
  /** Addresses of the Worker, as wrangler said at the deploy; empty: it said none. */
  targets(): string[];
  sleep(ms: number): Promise<void>;
}

/** How it is done. */
export interface DeployOptions {
  /** Handed on to `wrangler deploy`. */
  args: readonly string[];
  /** File with the configuration, as wrangler is given it. */
  file: string;
  configuration: Configuration;
  /** Migrations that are not additive, in words. */
  problems: readonly string[];
  /** The commit that is deployed; null: not known. */
  commit: string | null;
  /** Address of the deployment, where wrangler says none; null: not known. */
  url: string | null;
}

type Step = [what: string, command: string, args: string[]];

const PAGE: Step = ['Building the page', 'vite', ['build', '--config', 'src/web/vite.config.ts', '--logLevel', 'warn']];
const LIST = ['d1', 'list', '--json'];
const databasesSchema = z.array(z.looseObject({ name: z.string() }));
const bookmarkSchema = z.looseObject({ bookmark: z.string() });

/** New code is everywhere within seconds; objects and the first request may take longer. */
const READY_TRIES = 36;
const READY_EVERY_MS = 5_000;
const SHORT_COMMIT = 12;

/** @returns null when all of it is done; otherwise what failed, and whether the Worker is the one from before */
export async function deploy(world: DeployWorld, options: DeployOptions): Promise<string | null> {
  const { args, file, configuration, problems, commit } = options;
  if (problems.length > 0) {
    return `these migrations would break the Worker that is running:\n${problems.join('\n')}\nNothing was changed.`;
  }
  const how = ['--config', file, ...args, ...(commit === null ? [] : ['--tag', commit.slice(0, SHORT_COMMIT)])];
  const rehearsal: Step = [
    'Bundling the Worker and building the container image, without uploading them',
    'wrangler',
    ['deploy', '--dry-run', '--config', file, ...args],
  ];
  const change: Step = ['Deploying the Worker and the container image', 'wrangler', ['deploy', ...how]];
  const migrate: Step = [
    'Bringing the database up to date',
    'wrangler',
    ['d1', 'migrations', 'apply', 'DB', '--remote', '--config', file],
  ];
  for (const step of [PAGE, rehearsal]) {
    const why = carryOut(world, step);
    if (why !== null) return `${why} Nothing was changed; mend it and run npm run deploy again.`;
  }
  const databases = databasesSchema.safeParse(parseJson(world.read('wrangler', LIST).out));
  if (!databases.success) {
    return 'Cloudflare did not say which databases there are (wrangler d1 list). Nothing was changed; run npm run deploy again.';
  }
  const isFirst = !databases.data.some(({ name }) => name === configuration.database);
  if (!isFirst) tellBookmark(world, configuration.database, file);
  const order = isFirst ? [change, migrate] : [migrate, change];
  for (const step of order) {
    const why = carryOut(world, step);
    if (why === null) continue;
    const isChanged = step === migrate && order[0] === change;
    const state = isChanged
      ? 'The Worker is deployed and answers 503 until the database is up to date'
      : 'The Worker is the one from before';
    return `${why} ${state}; mend it and run npm run deploy again.`;
  }
  const late = await waitUntilReady(world, addressOf(world.targets()) ?? options.url);
  if (late !== null) return late;
  pruneImages(world, configuration);
  return null;
}

function carryOut(host: Host, [what, command, args]: Step): string | null {
  host.tell(`\n${what}`);
  const why = host.show(command, args);
  return why === null ? null : `${what} failed (${why}).`;
}

/** Where the database can be taken back to. That it is not known keeps nobody from deploying: migrations only add. */
function tellBookmark(host: Host, database: string, file: string): void {
  const ran = host.read('wrangler', ['d1', 'time-travel', 'info', database, '--json', '--config', file]);
  const known = bookmarkSchema.safeParse(parseJson(ran.out));
  host.tell(
    known.success
      ? `\nThe database as it is now: npx wrangler d1 time-travel restore ${database} --bookmark=${known.data.bookmark}`
      : '\nCloudflare gave no bookmark of the database as it is now; Time Travel goes by the time as well.',
  );
}

/**
 * The first address among what wrangler names after a deploy: `https://cyrus.acme.workers.dev`, `cyrus.acme.example (custom domain)`;
 * patterns and schedules are none. @returns null: none of them is one
 */
export function addressOf(targets: readonly string[]): string | null {
  for (const target of targets) {
    const known = /^(?:https?:\/\/)?[a-z0-9.-]+(?::\d+)?(?= \(custom domain|\/?$)/i.exec(target)?.[0];
    if (known !== undefined) return known.startsWith('http') ? known : `https://${known}`;
  }
  return null;
}

async function waitUntilReady(world: DeployWorld, url: string | null): Promise<string | null> {
  if (url === null) {
    world.tell('\nWrangler gave no address of the Worker: look at /ready yourself, or set CYRUS_URL.');
    return null;
  }
  world.tell(`\nWaiting until ${url} is ready`);
  let last = 'there is no answer';
  for (let tries = 0; tries < READY_TRIES; tries++) {
    const answer = await world.ask(`${url}/ready`);
    if (answer?.status === 200) {
      world.tell(`Ready: ${url}`);
      return null;
    }
    if (answer !== null) last = answer.words;
    await world.sleep(READY_EVERY_MS);
  }
  const seconds = (READY_TRIES * READY_EVERY_MS) / 1_000;
  return `The Worker is deployed and was not ready within ${seconds} s: ${last}. Run CYRUS_URL=${url} npm run doctor.`;
}
