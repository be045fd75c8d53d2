/** The bound of a body that is read whole. A body that breaks off, or is not encoded as HTTP has it, is the sender's fault. */
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit as limit } from 'hono/body-limit';
import type { Refusal } from '../../protocol/sandbox/batches.ts';

/** Told to the sender of a body that could not be read. */
export const BROKEN_BODY: Refusal = {
  error: 'broken_body',
  message: 'The body was cut off, or its encoding is not valid HTTP: send it again.',
};

/**
 * Reads a body without a length up to its bound before the route sees it; one with a length is refused by that.
 * @param options `maxSize` in bytes; `onError` answers a larger one
 * @returns the middleware; a body that cannot be read is answered 400
 */
export function bodyLimit(options: { maxSize: number; onError: (c: Context) => Response }): MiddlewareHandler {
  const limited = limit(options);
  return async (c, next) => {
    let isRead = false;
    try {
      return await limited(c, async () => {
        isRead = true;
        await next();
      });
    } catch (error) {
      // What the route itself throws is not about the body.
      if (isRead) throw error;
      return c.json(BROKEN_BODY, 400);
    }
  };
}

/** Largest body of a webhook that is read: as in Linear's own SDK; of GitHub, what concerns a pull request has less than 1 MB. */
const MAX_WEBHOOK_BYTES = 5 * 1024 * 1024;

/** The bound of webhooks: a larger one is answered 413. */
export const webhookLimit = bodyLimit({
  maxSize: MAX_WEBHOOK_BYTES,
  onError: (c) => c.json({ error: 'too_large', message: `a webhook has at most ${MAX_WEBHOOK_BYTES} bytes` }, 413),
});
