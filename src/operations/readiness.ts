/** What Cyrus cannot do without, each looked at for two seconds at most. */
import { ConfigError } from '../config/config.ts';
import { readConfig } from '../config/read-config.ts';
import { asError } from '../lib/error.ts';
import { settledWithin } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import { openDatabase } from '../store/database.ts';
import { stateOfDatabase } from '../store/database-check.ts';
import { operationsOf } from './operations.ts';

const CHECK_LIMIT_MS = 2_000;
/** An answer counts for so long: anybody may ask. */
const KEPT_MS = 10_000;

export interface Check {
  name: 'configuration' | 'database' | 'bucket' | 'objects';
  ok: boolean;
  /** For people; nothing that a stranger could use. */
  words: string;
}

const MIGRATE = 'run `npm run deploy`, or `wrangler d1 migrations apply DB --remote` (`--local` for a local run)';

/** What a check finds wrong, as words for people; null: nothing. */
type Look = (env: Env) => Promise<string | null>;

const LOOKS: Record<Check['name'], Look> = {
  configuration: async (env) => {
    try {
      for (const words of readConfig(env).ignored) log('worker.variable.ignored', { words });
      return null;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      log('worker.configuration.misfit', { problems: error.problems });
      return 'A variable or secret is missing or wrong; the log of the Worker says which';
    }
  },
  database: async (env) => {
    const state = await stateOfDatabase(openDatabase(env.DB, ''));
    if (state.kind === 'current') return null;
    if (state.kind === 'empty') return `The database has no tables yet: ${MIGRATE}`;
    log('worker.database.incomplete', { missing: state.missing });
    return `The database is behind this version of Cyrus: ${MIGRATE}`;
  },
  bucket: async (env) => {
    await env.LOGS.head('ready');
    return null;
  },
  objects: async (env) => {
    await operationsOf(env).webhooks();
    return null;
  },
};

const FAILED: Record<Check['name'], string> = {
  configuration: 'The configuration cannot be read',
  database: 'The database (D1) does not answer',
  bucket: 'The bucket (R2) does not answer',
  objects: 'Durable Objects do not answer',
};

let kept: { at: number; env: Env; checks: Check[] } | null = null;

/** Looks at everything, or tells what was found less than ten seconds ago. Never rejects. */
export async function readiness(env: Env): Promise<Check[]> {
  const now = Date.now();
  if (kept?.env === env && Math.abs(now - kept.at) < KEPT_MS) return kept.checks;
  const names = ['configuration', 'database', 'bucket', 'objects'] as const;
  const checks = await Promise.all(names.map((name) => check(name, env)));
  kept = { at: now, env, checks };
  return checks;
}

async function check(name: Check['name'], env: Env): Promise<Check> {
  try {
    const found = await settledWithin(CHECK_LIMIT_MS, LOOKS[name](env));
    const words = found === 'late' ? `${FAILED[name]} within ${CHECK_LIMIT_MS / 1_000} s` : found;
    return { name, ok: words === null, words: words ?? 'ready' };
  } catch (error) {
    log('worker.readiness_check.failed', { check: name, error: asError(error) });
    return { name, ok: false, words: FAILED[name] };
  }
}
