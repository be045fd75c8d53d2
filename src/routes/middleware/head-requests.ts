/**
 * HEAD asks what GET would be answered, without the body. A handler makes its answer for GET, and nobody reads the body: what feeds it (a
 * stream of events, a file of the bucket, an answer of another server) is told so at once, instead of waiting for a reader.
 */
import type { MiddlewareHandler } from 'hono';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { ApiError } from '../../protocol/api.ts';

const NO_SOCKET: ApiError = { error: 'bad_request', message: 'A WebSocket is opened with GET.' };

/** Comes before everything that makes an answer. */
export const headRequests: MiddlewareHandler = async (c, next) => {
  if (c.req.method !== 'HEAD') return next();
  // A socket that is opened would have nobody at its other end.
  if (c.req.header('upgrade') !== undefined) return c.json(NO_SOCKET, 400);
  await next();
  const { body } = c.res;
  if (body === null) return undefined;
  try {
    await body.cancel('the request was HEAD');
  } catch (error) {
    log('api.head_body.failed', { path: c.req.path, error: asError(error) });
  }
  return undefined;
};
