/** The secrets that nothing of a session may carry out of its sandbox: its decoy, its token, and all that Cyrus itself holds. */
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { openDatabase } from '../../store/database.ts';
import { type HeldSecret, readHeldSecrets } from '../../store/held-secrets.ts';
import { deploymentSecrets, ownSecrets } from './known-secrets.ts';
import { SecretSearch, type Wanted } from './secret-search.ts';

/** Whose sandbox it is. Left out by containers that an earlier version started: workspace and repository. */
export interface Guarded {
  /** The session's object id. */
  session: string;
  workspace?: string | undefined;
  /** `owner/name` */
  repository?: string | undefined;
}

/** Searches that are kept in the isolate; the one that was wanted longest ago goes first. */
const MOST_KEPT = 32;
/** How long the database is believed to hold what it held, in ms. */
const HELD_MS = 60_000;
/** What leaves is not kept waiting for the database longer than this, in ms. */
const HELD_WAIT_MS = 1_000;

interface Kept {
  search: SecretSearch;
  /** What the database held, as texts; null: it did not say. */
  held: readonly HeldSecret[] | null;
  until: number;
}
const kept = new WeakMap<object, Map<string, Kept>>();

/**
 * What is looked for in whatever leaves a session's sandbox: what Cyrus's configuration holds and what the database holds for the
 * session's workspace and repository. While the database does not answer, what it held before counts.
 * @param config checked; while `ENCRYPTION_KEY_OLD` is stored, the decoy by that key is looked for too
 */
export async function guardOf(env: Pick<Env, 'DB'>, config: Config, guarded: Guarded): Promise<SecretSearch> {
  const known = kept.get(config) ?? new Map<string, Kept>();
  kept.set(config, known);
  const key = JSON.stringify([guarded.session, guarded.workspace, guarded.repository]);
  const before = known.get(key);
  if (before && before.until > Date.now()) {
    known.delete(key);
    known.set(key, before);
    return before.search;
  }
  const held = (await readHeld(env, config, guarded)) ?? before?.held ?? null;
  const isSame = before !== undefined && JSON.stringify(held) === JSON.stringify(before.held);
  const search = isSame ? before.search : await build(config, guarded.session, held ?? []);
  known.delete(key);
  known.set(key, { search, held, until: Date.now() + HELD_MS });
  for (const oldest of known.keys()) {
    if (known.size <= MOST_KEPT) break;
    known.delete(oldest);
  }
  return search;
}

/** Null: the database does not say. */
async function readHeld(
  env: Pick<Env, 'DB'>,
  config: Config,
  { session, workspace, repository }: Guarded,
): Promise<HeldSecret[] | null> {
  if (workspace === undefined || repository === undefined || repository === '') return [];
  const database = openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey);
  const held = await settledWithin(HELD_WAIT_MS, readHeldSecrets(database, workspace, repository)).catch(asError);
  if (Array.isArray(held)) return held;
  log('gateway.guarded_secrets.incomplete', {
    session,
    error: held === 'late' ? new Error('the database is late') : held,
  });
  return null;
}

async function build(config: Config, sessionId: string, held: readonly HeldSecret[]): Promise<SecretSearch> {
  return new SecretSearch([
    ...(await ownSecrets(config, sessionId)),
    ...deploymentSecrets(config),
    ...held.map((secret): Wanted => ({ kind: 'deployment', ...secret })),
  ]);
}
