/** The secrets that nothing of a session may carry out of its sandbox: its decoy, its token, and all that Cyrus itself holds. */
import type { Config } from '../../config.ts';
import { tokenMark } from '../token.ts';
import { decoyOf } from './decoy.ts';
import { SecretSearch, type Wanted } from './secret-search.ts';

type Keys = Pick<Config, 'encryptionKey' | 'oldEncryptionKey'>;

/** Searches that are kept in the isolate; the one that was wanted longest ago goes first. */
const MOST_KEPT = 32;
const kept = new WeakMap<object, Map<string, Promise<SecretSearch>>>();

/**
 * What is looked for in whatever leaves a session's sandbox.
 * @param config checked; while `ENCRYPTION_KEY_OLD` is stored, the decoy by that key is looked for too
 * @param sessionId the session's object id
 */
export function guardOf(config: Config, sessionId: string): Promise<SecretSearch> {
  const known = kept.get(config) ?? new Map<string, Promise<SecretSearch>>();
  kept.set(config, known);
  const search = known.get(sessionId) ?? build(config, sessionId);
  known.delete(sessionId);
  known.set(sessionId, search);
  for (const oldest of known.keys()) {
    if (known.size <= MOST_KEPT) break;
    known.delete(oldest);
  }
  return search;
}

/** What a session itself has that may not leave it: the parts of its decoy and the mark of its tokens. */
export async function ownSecrets(keys: Keys, sessionId: string): Promise<Wanted[]> {
  const { name, parts } = await decoyOf(keys, sessionId);
  return [
    ...parts.map((text): Wanted => ({ kind: 'decoy', name, text })),
    { kind: 'token', name: 'session token', text: tokenMark(sessionId) },
  ];
}

async function build(config: Config, sessionId: string): Promise<SecretSearch> {
  return new SecretSearch([...(await ownSecrets(config, sessionId)), ...deploymentSecrets(config)]);
}

/** The secrets of the configuration, by the names of their variables. */
export function deploymentSecrets(config: Config): Wanted[] {
  const { linear, sandbox, github, limits } = config;
  const named: [string, string | null | undefined][] = [
    ['ENCRYPTION_KEY', config.encryptionKey],
    ['ENCRYPTION_KEY_OLD', config.oldEncryptionKey],
    ['ADMIN_TOKEN', config.adminToken],
    ['ACCESS_PASSWORD', config.accessPassword],
    ['LINEAR_WEBHOOK_SECRET', linear.webhookSecret],
    ['LINEAR_CLIENT_SECRET', linear.app.clientSecret],
    ['SANDBOX_ENDPOINT_SECRET', sandbox.kind === 'endpoint' ? sandbox.secret : null],
    // A line of it, for its line ends are written in several ways.
    ['GITHUB_APP_PRIVATE_KEY', github.app?.privateKey.split(/\r?\n|\\n/)[2]],
    ...limits.tokens.map(({ name, secret }): [string, string] => [`the Claude token "${name}"`, secret]),
  ];
  return named.flatMap(([name, text]) => (text ? [{ kind: 'deployment' as const, name, text }] : []));
}
