/** Whether the gateway is to be reached over the network at all: containers have a way of their own. */
import { readConfig } from '../../config/read-config.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { openDatabase } from '../../store/database.ts';
import { hasOwnEndpoints } from '../../store/workspaces/repositories.ts';

/** How long it is believed that repositories have sandbox servers of their own, or that none has, in ms. */
const KNOWN_MS = 30_000;
/** A repository that was given one is not kept waiting. */
const NONE_KNOWN_MS = 1_000;

const known = new WeakMap<object, { isThere: boolean; until: number }>();

/**
 * Whether any sandbox reaches the gateway over the network: the deployment's own endpoint, that of a repository, or a local run.
 * While the database cannot say, what it said before counts, and at first that there is one.
 */
export async function hasNetworkSandboxes(env: Env): Promise<boolean> {
  const config = readConfig(env);
  if (config.sandbox.kind === 'endpoint' || config.environment === 'local') return true;
  const before = known.get(env.DB);
  if (before && before.until > Date.now()) return before.isThere;
  let isThere = before?.isThere ?? true;
  try {
    isThere = await hasOwnEndpoints(openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey));
  } catch (error) {
    log('gateway.placement.unknown', { error: asError(error) });
  }
  known.set(env.DB, { isThere, until: Date.now() + (isThere ? KNOWN_MS : NONE_KNOWN_MS) });
  return isThere;
}
