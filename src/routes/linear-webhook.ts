/** `POST /webhooks/linear`: answered 200 only after the issue session has committed the delivery. */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { readConfig } from '../config.ts';
import { isSigned } from '../linear/signature.ts';
import { isSelfTriggered, parseWebhook } from '../linear/webhook.ts';
import { log } from '../observability/log.ts';
import { toRequest } from '../session/from-linear.ts';

/** Largest body that is read, as in Linear's own SDK. */
const MAX_BODY_BYTES = 5 * 1024 * 1024;
/** A clock may differ by this much. */
const MAX_SKEW_MS = 60_000;

export const linearWebhook = new Hono<{ Bindings: Env }>();

linearWebhook.post(
  '/',
  bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (c) => c.json({ error: 'too_large', message: `a webhook has at most ${MAX_BODY_BYTES} bytes` }, 413),
  }),
  async (c) => {
    const config = readConfig(c.env);
    const body = await c.req.arrayBuffer();
    const isGenuine = await isSigned(config.linear.webhookSecret, body, c.req.header('linear-signature') ?? null);
    if (!isGenuine) {
      return c.json({ error: 'bad_signature', message: 'Linear-Signature is missing or does not fit the body' }, 401);
    }
    const parsed = parseWebhook(new TextDecoder().decode(body));
    if (parsed.kind === 'malformed') return c.json({ error: 'malformed', message: parsed.message }, 400);
    if (parsed.kind === 'ignored') return ignore(c, parsed.type);
    const { webhook } = parsed;
    const age = Date.now() - webhook.webhookTimestamp;
    if (age < -MAX_SKEW_MS) {
      return c.json(
        { error: 'from_the_future', message: 'webhookTimestamp is over 60 s ahead of the clock here' },
        400,
      );
    }
    // Linear repeats a delivery with its first timestamp for about 7 hours; what is older is answered and dropped.
    if (age > config.linear.webhookMaxAgeMs) return ignore(c, 'too_old');
    if (isSelfTriggered(webhook)) return ignore(c, 'self_triggered');
    const request = toRequest(webhook);
    if (!request) return ignore(c, 'empty_prompt');
    const { sessionName, ...delivery } = request;
    const outcome = await c.env.ISSUE_SESSION.getByName(sessionName).accept({
      ...delivery,
      deliveryId: c.req.header('linear-delivery') ?? request.contentKey,
      origin: new URL(c.req.url).origin,
    });
    return c.json({ outcome });
  },
);

/** Kinds that Cyrus does not act on are answered 200, so that Linear does not repeat them, and counted by the log. */
function ignore(c: { json: (body: object, status: 200) => Response }, reason: string): Response {
  log('linear.webhook.ignored', { reason });
  return c.json({ outcome: 'ignored', reason }, 200);
}
