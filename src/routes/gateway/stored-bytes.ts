/** Whether a session may store so many bytes more in this hour; it is the session that counts, whatever sandbox stores. */
import { log } from '../../observability/log.ts';
import { refuse } from './problem.ts';

/**
 * Counts bytes that are about to be stored.
 * @returns the refusal, which says when there is room again and what setting it is; null where they may be. It is no 429: a sandbox
 *   would ask again within seconds, and there is no room before the hour is over
 */
export async function refuseBytes(env: Env, sessionId: string, bytes: number): Promise<Response | null> {
  const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(sessionId));
  const why = await session.takeBytes(bytes);
  if (why === null) return null;
  log('gateway.over-limit', { session: sessionId, bytes });
  return refuse(413, 'over_limit', why);
}
