/** `POST /webhooks/linear`: answered 200 only after the issue session has committed the delivery. */

import { type Context, Hono } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { AskedLately } from '../../lib/asked-lately.ts';
import { isSignedBody } from '../../lib/hmac.ts';
import { LinearClient } from '../../linear/api/client.ts';
import { sendThrough } from '../../linear/api/send.ts';
import { originOf, sourceOfPrompt } from '../../linear/webhooks/mention.ts';
import {
  type AgentSessionWebhook,
  type AppRevokedWebhook,
  concernsWork,
  contentKey,
  isSelfTriggered,
  type ParsedWebhook,
  type PermissionWebhook,
  parseWebhook,
  promptWithoutActivity,
} from '../../linear/webhooks/webhook.ts';
import { uninstall } from '../../linear/workspace.ts';
import { log } from '../../observability/log.ts';
import { webhookWait } from '../../operations/limits/webhook-limit.ts';
import { issueOfSession, read as readOrigin, withActivity, withAuthor } from '../../session/inbound/unread-request.ts';
import {
  fromAgentSession,
  fromIssueChange,
  fromNotification,
  issueIdOf,
  type SessionRequest,
} from '../../session/inbound/webhook-to-event.ts';
import { openDatabase } from '../../store/database.ts';
import { lastConfig } from '../../store/settings.ts';
import { BROKEN_BODY, webhookLimit } from '../middleware/body-limit.ts';
import { isPublicTooOften, tooOften } from '../middleware/request-limit.ts';
import { withdrawSessions } from '../sessions/stop-all.ts';
import { noteFault, noteGood } from './intake-report.ts';

/** A clock may differ by this much. */
const MAX_SKEW_MS = 60_000;

/** Each of them is a call to the object that tells people: of many in a row it hears of one a minute from each isolate. */
const told = new AskedLately(60_000);

function isToldNow(what: string): boolean {
  const now = Date.now();
  if (!told.isDue(what, now)) return false;
  told.note(what, now);
  return true;
}

export const linearWebhook = new Hono<{ Bindings: Env }>();

linearWebhook.post('/', webhookLimit, async (c) => {
  const config = readConfig(c.env);
  const body = await c.req.arrayBuffer().catch(() => null);
  if (body === null) return c.json(BROKEN_BODY, 400);
  const isGenuine = await isSignedBody(config.linear.webhookSecret, body, c.req.header('linear-signature') ?? null);
  if (!isGenuine) {
    if (await isPublicTooOften(c, config, 'webhook')) return tooOften(c, 60);
    const isSignedAtAll = c.req.header('linear-signature') !== undefined;
    c.executionCtx.waitUntil(noteFault(c.env, isSignedAtAll ? 'signature' : 'unsigned'));
    return c.json({ error: 'bad_signature', message: 'Linear-Signature is missing or does not fit the body' }, 401);
  }
  const parsed = await read(c, new TextDecoder().decode(body));
  c.executionCtx.waitUntil(noteGood(c.env, typeOf(parsed)));
  if (parsed.kind === 'malformed') {
    log('alert.linear.webhook_misfit', { kind: 'malformed', message: parsed.message });
    c.executionCtx.waitUntil(noteFault(c.env, 'malformed'));
    return ignore(c, 'malformed', null);
  }
  if (parsed.kind === 'misfit') {
    // Linear would repeat it, which cannot help, and switches off webhooks that keep failing.
    log('alert.linear.webhook_misfit', { kind: parsed.type, message: parsed.message });
    c.executionCtx.waitUntil(noteFault(c.env, 'misfit', parsed.workspaceId));
    return ignore(c, `misfit:${parsed.type}`, parsed.workspaceId);
  }
  if (parsed.kind === 'ignored') return ignore(c, parsed.type, parsed.workspaceId);
  const { webhook } = parsed;
  const { organizationId } = webhook;
  const age = Date.now() - webhook.webhookTimestamp;
  // It is signed, so the clock here is behind, or Linear's ahead. Refused, it would be lost, and Linear switches off webhooks
  // that keep failing; what makes a repeat harmless is that a delivery is taken once.
  if (age < -MAX_SKEW_MS) {
    if (isToldNow(`clock ${organizationId}`)) {
      log('alert.linear.clock_ahead', { workspace: organizationId, aheadMs: -age });
    }
    c.executionCtx.waitUntil(noteFault(c.env, 'clock-ahead', organizationId));
  }
  // Linear repeats a delivery with its first timestamp for about 7 hours; what is older is answered and dropped.
  if (age > config.linear.webhookMaxAgeMs) {
    c.executionCtx.waitUntil(noteFault(c.env, 'too-old', organizationId));
    return ignore(c, 'too_old', organizationId);
  }
  // What is refused comes back: Linear delivers again after a minute, an hour and six hours.
  const wait =
    config.environment === 'local' ? null : await webhookWait(c.env, lastConfig(c.env, organizationId), organizationId);
  if (wait !== null) {
    if (isToldNow(`limit ${organizationId}`)) log('alert.linear.webhooks_limited', { workspace: organizationId });
    return tooOften(c, wait);
  }
  const deliveryId = c.req.header('linear-delivery') ?? contentKey(webhook);
  const delivery = { deliveryId, origin: new URL(c.req.url).origin };
  switch (webhook.type) {
    case 'AgentSessionEvent':
      if (isSelfTriggered(webhook)) return ignore(c, 'self_triggered', organizationId);
      return deliver(c, await askedIn(c, webhook), organizationId, delivery);
    case 'AppUserNotification':
      if (isSelfTriggered(webhook)) return ignore(c, 'self_triggered', organizationId);
      return deliver(c, fromNotification(webhook, crypto.randomUUID()), organizationId, delivery);
    case 'Issue': {
      if (!concernsWork(webhook)) return ignore(c, 'issue_change', organizationId);
      const appUserId = await c.env.LINEAR_WORKSPACE.getByName(organizationId).appUserId();
      // What the app does, Claude's work with Linear's MCP server included, Linear says of the app's user or of its OAuth client.
      const own = [appUserId, config.linear.app.clientId];
      if (webhook.actor?.id && own.includes(webhook.actor.id)) return ignore(c, 'self_triggered', organizationId);
      return deliver(c, fromIssueChange(webhook, appUserId, crypto.randomUUID()), organizationId, delivery);
    }
    case 'PermissionChange':
    case 'OAuthApp':
      return withdrawAll(c, webhook, delivery);
  }
});

/** The event as Linear's list of them has it, without its action. */
function typeOf(parsed: ParsedWebhook): string {
  if (parsed.kind === 'malformed') return '';
  const type = parsed.kind === 'event' ? parsed.webhook.type : parsed.type;
  return type.split('.')[0] ?? '';
}

type WebhookContext = Context<{ Bindings: Env }>;

/** Linear wants its answer within 5 s; a comment that it did not send along is asked for no longer than this. */
const READ_LIMIT_MS = 2_000;

/** Reads a webhook; a prompt that Linear sent without what was said is filled with what Linear's API tells of it. */
async function read(c: WebhookContext, body: string): Promise<ParsedWebhook> {
  const parsed = parseWebhook(body, Date.now());
  const prompt = parsed.kind === 'misfit' ? promptWithoutActivity(body, Date.now()) : null;
  if (prompt === null) return parsed;
  const linear = new LinearClient(sendThrough(c.env, prompt.workspaceId));
  const whole = await withActivity(prompt, linear, READ_LIMIT_MS);
  return whole === null ? parsed : parseWebhook(whole, Date.now());
}

/** What an agent session is asked. What the webhook leaves out, Linear is asked for: the comment, and the issue it is on. */
async function askedIn(c: WebhookContext, webhook: AgentSessionWebhook): Promise<SessionRequest | null> {
  const id = crypto.randomUUID();
  const origin = webhook.action === 'created' ? originOf(webhook) : sourceOfPrompt(webhook);
  const linear = new LinearClient(sendThrough(c.env, webhook.organizationId));
  const agentSessionId = webhook.agentSession.id;
  const promptContext = webhook.action === 'created' ? (webhook.promptContext ?? null) : null;
  const [asked, issueId] = await Promise.all([
    origin?.kind === 'unread'
      ? readOrigin(origin, { agentSessionId, promptContext }, linear, READ_LIMIT_MS)
      : origin?.kind === 'mention'
        ? withAuthor(origin, linear, READ_LIMIT_MS)
        : origin,
    // Else a prompt would begin another session beside the issue's own.
    issueIdOf(webhook) ?? issueOfSession(agentSessionId, linear, READ_LIMIT_MS),
  ]);
  return fromAgentSession(webhook, id, asked ?? undefined, issueId);
}

async function deliver(
  c: WebhookContext,
  request: SessionRequest | null,
  workspaceId: string,
  { deliveryId, origin }: { deliveryId: string; origin: string },
): Promise<Response> {
  if (!request) return ignore(c, 'nothing_asked', workspaceId);
  const { sessionName, ...delivery } = request;
  const session = c.env.ISSUE_SESSION.getByName(sessionName);
  const outcome = await session.accept({ ...delivery, deliveryId, origin });
  const { about, event } = delivery;
  log('linear.webhook.accepted', {
    workspace: workspaceId,
    session: session.id.toString(),
    issue: about?.issue?.identifier,
    type: event.type,
    delivery: deliveryId,
    outcome: typeof outcome === 'string' ? outcome : 'closed',
  });
  return c.json({ outcome });
}

/** Cyrus lost a team, or the workspace: whatever runs there is stopped. */
async function withdrawAll(
  c: WebhookContext,
  webhook: PermissionWebhook | AppRevokedWebhook,
  delivery: { deliveryId: string; origin: string },
): Promise<Response> {
  const { encryptionKey } = readConfig(c.env);
  const database = openDatabase(c.env.DB, encryptionKey);
  const teamIds = webhook.type === 'PermissionChange' ? webhook.removedTeamIds : [];
  if (webhook.type === 'PermissionChange' && teamIds.length === 0)
    return ignore(c, 'teams_added', webhook.organizationId);
  const why = webhook.type === 'PermissionChange' ? 'no-access' : 'uninstalled';
  // First of all the tokens: Linear must not be called any more.
  if (webhook.type === 'OAuthApp') {
    const outcome = await uninstall(c.env, webhook.organizationId, webhook.webhookTimestamp);
    // A late message about an installation that was followed by another one.
    if (outcome === 'installed-since') return ignore(c, outcome, webhook.organizationId);
  }
  const keys = { ...delivery, contentKey: contentKey(webhook) };
  const withdrawal = { why, teamIds, at: webhook.webhookTimestamp } as const;
  const sessions = await withdrawSessions(c.env, database, webhook.organizationId, withdrawal, keys);
  return c.json({ outcome: 'accepted', sessions });
}

/** What Cyrus does not act on is answered 200, so that Linear does not repeat it, and counted beside the answer. */
function ignore(c: WebhookContext, reason: string, workspaceId: string | null): Response {
  log('linear.webhook.ignored', { reason });
  if (workspaceId !== null) {
    const counted = c.env.LINEAR_WORKSPACE.getByName(workspaceId).countIgnored(reason);
    c.executionCtx.waitUntil(
      counted.catch((error: unknown) => log('linear.webhook_count.failed', { reason: String(error) })),
    );
  }
  return c.json({ outcome: 'ignored', reason }, 200);
}
