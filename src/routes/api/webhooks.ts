/** `/api/v1/workspaces/:workspace/webhooks`: which services are told of the workspace's sessions. What changes is in the audit log. */
import type { Hono } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { log } from '../../observability/log.ts';
import { post } from '../../outgoing-webhooks/post.ts';
import { makeSecret } from '../../outgoing-webhooks/sign.ts';
import type { ApiError } from '../../protocol/api.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import {
  MOST_WEBHOOKS,
  type NewWebhook,
  type NewWebhookSecret,
  problemOfWebhookUrl,
  WEBHOOK_VERSION,
  type WebhookMessage,
  type WebhooksView,
  type WebhookTest,
} from '../../protocol/v1/webhooks.ts';
import { audit } from '../../store/audit.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import {
  addWebhook,
  changeWebhook,
  countWebhooks,
  deleteWebhook,
  findTarget,
  listWebhooks,
  rotateSecret,
} from '../../store/workspaces/outgoing-webhooks.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { needs, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { problemAnswer } from './problems.ts';
import { serve } from './serve.ts';
import { NO_SUCH_WORKSPACE, workspaceOf } from './workspace.ts';

/** How long the secret before a new one signs too. */
const PREVIOUS_SECRET_MS = 24 * 3_600_000;
const NO_SUCH_WEBHOOK: ApiError = {
  error: 'no_such_webhook',
  message: 'There is no such webhook in this workspace.',
};

/** Adds the routes. */
export function webhookRoutes(api: Hono<PeopleEnv>): void {
  const guard = needs('workspace.webhooks', workspaceOf);

  serve(api, OPERATIONS.listWebhooks, guard, async (c, { params: { workspace } }) => {
    const database = databaseOf(c);
    if (!(await findWorkspace(database, workspace))) return c.json(NO_SUCH_WORKSPACE, 404);
    return c.json({ data: await listWebhooks(database, workspace) } satisfies WebhooksView);
  });

  serve(api, OPERATIONS.createWebhook, guard, async (c, { params: { workspace }, body }) => {
    const database = databaseOf(c);
    if (!(await findWorkspace(database, workspace))) return c.json(NO_SUCH_WORKSPACE, 404);
    const refused = refusedUrl(c, body.url);
    if (refused) return refused;
    if ((await countWebhooks(database, workspace)) >= MOST_WEBHOOKS) {
      const message = `The workspace has ${MOST_WEBHOOKS} webhooks, and may have no more: delete those that nobody needs.`;
      return c.json({ error: 'too_many_webhooks', message } satisfies ApiError, 409);
    }
    const secret = makeSecret();
    const key = { workspaceId: workspace, id: crypto.randomUUID() };
    const webhook = await addWebhook(database, key, body, secret, Date.now());
    await note(c, database, 'webhook.created', { ...key, url: body.url });
    return c.json({ ...webhook, secret } satisfies NewWebhook, 201);
  });

  serve(api, OPERATIONS.changeWebhook, guard, async (c, { params: { workspace, webhook: id }, body }) => {
    const database = databaseOf(c);
    const refused = refusedUrl(c, body.url);
    if (refused) return refused;
    const key = { workspaceId: workspace, id };
    const webhook = await changeWebhook(database, key, body, Date.now());
    if (webhook === null) return c.json(NO_SUCH_WEBHOOK, 404);
    await note(c, database, 'webhook.changed', { ...key, url: body.url });
    return c.json(webhook);
  });

  serve(api, OPERATIONS.deleteWebhook, guard, async (c, { params: { workspace, webhook: id } }) => {
    const database = databaseOf(c);
    const key = { workspaceId: workspace, id };
    const url = await deleteWebhook(database, key);
    if (url === null) return c.json(NO_SUCH_WEBHOOK, 404);
    await note(c, database, 'webhook.deleted', { ...key, url });
    return c.body(null, 204);
  });

  serve(api, OPERATIONS.rotateWebhookSecret, guard, async (c, { params: { workspace, webhook: id } }) => {
    const database = databaseOf(c);
    const secret = makeSecret();
    const now = Date.now();
    const previousUntil = now + PREVIOUS_SECRET_MS;
    const key = { workspaceId: workspace, id };
    if (!(await rotateSecret(database, key, secret, { previousUntil, now }))) return c.json(NO_SUCH_WEBHOOK, 404);
    await note(c, database, 'webhook.secret-rotated', key);
    return c.json({ secret, previousUntil } satisfies NewWebhookSecret);
  });

  serve(api, OPERATIONS.testWebhook, guard, async (c, { params: { workspace, webhook: id } }) => {
    const database = databaseOf(c);
    const key = { workspaceId: workspace, id };
    const at = Date.now();
    const target = await findTarget(database, key, { now: at, isTest: true });
    if (target === null) return c.json(NO_SUCH_WEBHOOK, 404);
    const message: WebhookMessage = { type: 'test', version: WEBHOOK_VERSION, at, workspace, data: { webhook: id } };
    const sent = { id: `msg_${crypto.randomUUID()}`, body: JSON.stringify(message) };
    const { status, problem } = await post(readConfig(c.env), target, sent);
    await note(c, database, 'webhook.tested', key);
    return c.json({ delivered: problem === null, status, problem } satisfies WebhookTest);
  });
}

function refusedUrl(c: PeopleContext, url: string): Response | null {
  const { environment, publicUrl } = readConfig(c.env);
  const message = problemOfWebhookUrl(url, new URL(publicUrl ?? c.req.url).host, environment === 'local');
  if (message === null) return null;
  return problemAnswer(400, 'bad_request', `The address of the webhook ${message}.`, [
    { in: 'body', pointer: '/url', message },
  ]);
}

/** An address may hold what is secret behind its host, so the log has the host alone. */
async function note(
  c: PeopleContext,
  database: Database,
  action: `webhook.${string}`,
  { workspaceId, id, url }: { workspaceId: string; id: string; url?: string },
): Promise<void> {
  const { key, name, token } = c.var.person;
  log('api.webhook.changed', { action, workspace: workspaceId, webhook: id, person: key });
  const host = url !== undefined && { host: new URL(url).hostname };
  const details = { webhook: id, ...host, name, ...(token && { token: token.id }) };
  await audit(database, { at: Date.now(), actor: key, action, workspaceId, details });
}

function databaseOf(c: PeopleContext): Database {
  const { encryptionKey, oldEncryptionKey } = readConfig(c.env);
  return openDatabase(c.env.DB, encryptionKey, oldEncryptionKey);
}
