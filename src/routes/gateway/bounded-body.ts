/** The body of a request that says beforehand how long it is: R2 takes a stream only by its length. */
import { log } from '../../observability/log.ts';
import { refuse } from './problem.ts';

/** A body as it comes, and its length in bytes. */
export interface SizedBody {
  body: ReadableStream<Uint8Array>;
  bytes: number;
}

/**
 * @param what it is called in a refusal, with its article: "a patch"
 * @param maxBytes longest that is taken
 * @returns the body, or the refusal: 411 without a length, 413 where it is too long, 400 where it is empty
 */
export function sizedBody(request: Request, what: string, maxBytes: number): SizedBody | Response {
  const length = request.headers.get('content-length');
  if (length === null || !/^\d+$/.test(length)) {
    return refuse(411, 'length_required', `${what} is sent with its Content-Length`);
  }
  const bytes = Number(length);
  if (bytes > maxBytes) return refuse(413, 'too_large', `${what} has at most ${maxBytes} bytes`);
  const { body } = request;
  return body && bytes > 0 ? { body, bytes } : refuse(400, 'malformed', `${what} must not be empty`);
}

/**
 * Counts bytes that are about to be stored.
 * @returns the refusal, which says when there is room again and what setting it is; null if they may be. It is no 429: a sandbox
 *   would ask again within seconds, and there is no room before the hour is over
 */
export async function refuseBytes(env: Env, sessionId: string, bytes: number): Promise<Response | null> {
  const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(sessionId));
  const why = await session.takeBytes(bytes);
  if (why === null) return null;
  log('gateway.byte_limit.exceeded', { session: sessionId, bytes });
  return refuse(413, 'over_limit', why);
}
