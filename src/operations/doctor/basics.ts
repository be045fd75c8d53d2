/** What every deployment consists of: variables and secrets, bindings, database, bucket, clock. */
import { type Config, ConfigError } from '../../config/config.ts';
import { readConfig } from '../../config/read-config.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { bad, type Finding, good, isStored, skipped, warn } from '../../protocol/doctor.ts';
import { openDatabase } from '../../store/database.ts';
import { stateOfDatabase } from '../../store/database-check.ts';

/** Bindings that wrangler.toml gives and nothing works without. */
const BINDINGS = [
  ...['DB', 'LOGS', 'ASSETS', 'ISSUE_SESSION', 'LINEAR_WORKSPACE', 'CLAUDE_ACCOUNT', 'WORKSPACE_QUEUE', 'OPERATIONS'],
  ...['RATE_LIMITER', 'PUBLIC_LIMIT'],
  ...['SANDBOX_CONTAINER', 'SANDBOX_CONTAINER_SMALL', 'SANDBOX_CONTAINER_LARGE'],
];
const CLOCK_LIMIT_MS = 5_000;
/** Linear refuses nothing by a clock, but signed cookies, tokens of a GitHub App and webhooks have their time. */
const MOST_SKEW_MS = 60_000;
const GB = 1_000_000_000;
/** A database of D1 holds no more (developers.cloudflare.com/d1/platform/limits). */
const D1_LIMIT_BYTES = 10 * GB;
const D1_WARN_BYTES = 8 * GB;

/** Each wrong variable or secret by name, and what is set and changes nothing. */
export function configurationFindings(env: Env): Finding[] {
  try {
    const config = readConfig(env);
    const ignored = config.ignored.map((words) =>
      warn('configuration', words.replace(/\.$/, ''), 'Remove the variable from wrangler.toml and deploy.'),
    );
    return [good('configuration', 'Every variable and secret has a form that can work'), ...ignored];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((words) => bad('configuration', words, remedyOf(words)));
  }
}

/** Secrets are stored without a deploy; variables are in a file. */
function remedyOf(problem: string): string {
  const name = /^[A-Z][A-Z_]+/.exec(problem)?.[0] ?? '';
  return isStored(name) ? `Store it: npx wrangler secret put ${name}` : 'Correct wrangler.toml and run npm run deploy.';
}

/** Whether the Worker was deployed with all bindings of wrangler.toml. */
export function bindingFinding(env: Env): Finding {
  const given = env as unknown as Record<string, unknown>;
  const missing = BINDINGS.filter((name) => given[name] === undefined || given[name] === null);
  if (missing.length === 0) return good('bindings', 'Database, bucket, pages and objects are bound');
  return bad(
    'bindings',
    `The Worker was deployed without ${missing.join(', ')}`,
    'Deploy with the wrangler.toml of this version: npm run deploy.',
  );
}

/** Whether the tables are those of this version. */
export async function databaseFinding(env: Env): Promise<Finding> {
  const state = await stateOfDatabase(openDatabase(env.DB, ''));
  const remedy = 'Apply the migrations: npx wrangler d1 migrations apply DB --remote';
  if (state.kind === 'current') return good('database', 'D1 answers and has the tables of this version');
  if (state.kind === 'empty') return bad('database', 'D1 has no tables yet', remedy);
  return bad('database', `D1 is behind this version: it lacks ${state.missing.join(', ')}`, remedy);
}

/** How full the database is. */
export async function databaseSizeFinding(env: Env): Promise<Finding> {
  const { meta } = await env.DB.prepare('SELECT 1').all();
  const bytes = meta.size_after;
  if (typeof bytes !== 'number') return skipped('database size', 'D1 did not say how large the database is');
  const words = `The database has ${(bytes / 1_000_000).toFixed(1)} MB of ${D1_LIMIT_BYTES / GB} GB`;
  if (bytes < D1_WARN_BYTES) return good('database size', words);
  return warn(
    'database size',
    words,
    'D1 refuses what goes beyond that. Delete old rows of sessions and claude_usage.',
  );
}

/** Writes an object, reads it and deletes it. */
export async function bucketFinding(env: Env): Promise<Finding> {
  const key = `doctor/${crypto.randomUUID()}`;
  await env.LOGS.put(key, key);
  const read = await (await env.LOGS.get(key))?.text();
  await env.LOGS.delete(key);
  if (read === key) return good('bucket', 'R2 takes an object and gives it back');
  return bad('bucket', 'R2 took an object and did not give it back', 'Look at the bucket in the Cloudflare dashboard.');
}

/** Compares the clock here with the one of Linear's API, by the header of any answer. */
export async function clockFinding({ linear }: Config): Promise<Finding> {
  const before = Date.now();
  const date = await withTimeout(CLOCK_LIMIT_MS, async (signal) => {
    const response = await fetch(linear.apiUrl, { method: 'HEAD', redirect: 'manual', signal });
    await response.body?.cancel();
    return response.headers.get('date');
  });
  const there = Date.parse(date ?? '');
  if (Number.isNaN(there)) return skipped('clock', `${new URL(linear.apiUrl).host} did not say what time it is`);
  // Between question and answer; the header has whole seconds.
  const skew = Math.max(before - there - 1_000, there - Date.now(), 0);
  if (skew <= MOST_SKEW_MS) return good('clock', 'The clock of the Worker agrees with that of Linear');
  return bad(
    'clock',
    `The clock of the Worker and that of Linear differ by ${Math.round(skew / 1000)} s`,
    'Set the clock of the machine; on Cloudflare wait, and look at cloudflarestatus.com.',
  );
}

/** Whether an admin has paused the deployment, which looks like a fault to who forgot it. */
export function pauseFinding({ paused }: Config): Finding {
  if (!paused) return good('pause', 'Work may begin');
  return warn('pause', 'Cyrus is paused: no turn begins', 'npm run settings -- set PAUSED false');
}
