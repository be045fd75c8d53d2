/** `POST /webhooks/github`: answered 200 only after each issue session that has news has committed that. */
import { type Context, Hono } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { parseGitHubWebhook } from '../../github/webhooks/webhook.ts';
import { isSignedBody } from '../../lib/hmac.ts';
import { log } from '../../observability/log.ts';
import { BROKEN_BODY, webhookLimit } from '../middleware/body-limit.ts';
import { isPublicTooOften, tooOften } from '../middleware/request-limit.ts';
import { tellSessions } from './github-news.ts';

const MAX_ID = 200;

export const gitHubWebhook = new Hono<{ Bindings: Env }>();

gitHubWebhook.post('/', webhookLimit, async (c) => {
  const config = readConfig(c.env);
  const { webhookSecret } = config.github;
  if (webhookSecret === null) {
    const message = 'This deployment takes no webhooks of GitHub: its secret GITHUB_WEBHOOK_SECRET is not set.';
    return c.json({ error: 'not_configured', message }, 404);
  }
  const body = await c.req.arrayBuffer().catch(() => null);
  if (body === null) return c.json(BROKEN_BODY, 400);
  if (!(await isSignedBody(webhookSecret, body, signatureIn(c)))) {
    if (await isPublicTooOften(c, config, 'webhook')) return tooOften(c, 60);
    log('github.webhook.unsigned', { isSigned: c.req.header('x-hub-signature-256') !== undefined });
    const message =
      'X-Hub-Signature-256 is missing or does not fit the body: set the same secret in the GitHub App and as GITHUB_WEBHOOK_SECRET';
    return c.json({ error: 'bad_signature', message }, 401);
  }
  const event = c.req.header('x-github-event') ?? '';
  const deliveryId = c.req.header('x-github-delivery') ?? '';
  if (event === '' || deliveryId === '' || deliveryId.length > MAX_ID) {
    return c.json({ error: 'bad_request', message: 'X-GitHub-Event or X-GitHub-Delivery is missing' }, 400);
  }
  if (!(c.req.header('content-type') ?? '').startsWith('application/json')) {
    const message = 'Set the content type of the webhook to application/json in the settings of the GitHub App.';
    return c.json({ error: 'bad_content_type', message }, 415);
  }
  const webhook = parseGitHubWebhook(event, new TextDecoder().decode(body));
  if (webhook.kind === 'misfit') {
    log('alert.github.webhook_misfit', { event, message: webhook.message });
    return c.json({ outcome: 'ignored', reason: 'misfit' });
  }
  if (webhook.kind === 'ignored') return c.json({ outcome: 'ignored', reason: webhook.reason });
  const sessions = await tellSessions(c.env, config, webhook, deliveryId);
  if (sessions === 'read-only') {
    // It stays in GitHub's list as one that did not arrive, and is fetched from there.
    const message = 'A newer version of Cyrus stored the session, and this one cannot change it.';
    return c.json({ error: 'read_only', message }, 503);
  }
  log('github.webhook.accepted', { event, delivery: deliveryId, topic: webhook.topic, sessions });
  return c.json({ outcome: 'accepted', sessions });
});

/** GitHub writes `sha256=` and the digits (docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries). */
function signatureIn(c: Context): string | null {
  return /^sha256=(.+)$/.exec(c.req.header('x-hub-signature-256') ?? '')?.[1] ?? null;
}
