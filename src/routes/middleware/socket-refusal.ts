/**
 * A live socket that is refused: a browser tells its page nothing of an answer that opens none, so it is opened and closed with a
 * code that says why, and the page stops trying.
 */
import type { MiddlewareHandler } from 'hono';
import { CLOSE_NO_SUCH_SESSION, CLOSE_SIGNED_OUT } from '../../protocol/viewer.ts';
import { refuseSocket } from '../../session/viewers/sockets.ts';

const CODES: Readonly<Record<number, { code: number; reason: string }>> = {
  401: { code: CLOSE_SIGNED_OUT, reason: 'not signed in' },
  404: { code: CLOSE_NO_SUCH_SESSION, reason: 'no such session' },
};

/** Comes before those that refuse. Other refusals stay as they are: a page may try again. */
export const socketRefusal: MiddlewareHandler = async (c, next) => {
  await next();
  const refused = CODES[c.res.status];
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket' || refused === undefined) return;
  const answer = refuseSocket(refused.code, refused.reason);
  // Headers of the answer before would come along.
  c.res = undefined;
  c.res = answer;
};
