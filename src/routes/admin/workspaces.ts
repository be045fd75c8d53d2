/** `/api/admin/workspaces` and what belongs to it: workspaces with their tokens and allowance, key rotation, the audit log. */
import { Hono } from 'hono';
import { completeInstallation } from '../../linear/tokens/installation.ts';
import { clientCredentials, credentialsOf } from '../../linear/tokens/oauth.ts';
import { log } from '../../observability/log.ts';
import { operationsOf } from '../../operations/operations.ts';
import { verdictOf } from '../../operations/webhook-record.ts';
import { workspaceInputSchema } from '../../protocol/api.ts';
import { workspaceSettingsSchema } from '../../protocol/settings/access-rules.ts';
import { listAudit } from '../../store/audit.ts';
import {
  type Reencrypted,
  reencryptMcpHeaders,
  reencryptRepositories,
  reencryptSandboxSecrets,
  reencryptWebhookSecrets,
} from '../../store/reencrypt.ts';
import { readWorkspaceSettings, writeWorkspaceSettings } from '../../store/workspaces/workspace-settings.ts';
import { findWorkspace, listWorkspaces } from '../../store/workspaces/workspaces.ts';
import { withdrawSessions } from '../sessions/stop-all.ts';
import { tellQueue } from './changed-settings.ts';
import { type AdminEnv, noSuchWorkspace, note, problem, readBody } from './request.ts';
import { sandboxes } from './sandboxes.ts';

const MOST_AUDIT_ENTRIES = 500;

/** Mounted by index.ts, behind its guard. */
export const workspaces = new Hono<AdminEnv>();

workspaces.route('/', sandboxes);

workspaces.get('/workspaces', async (c) => {
  const known = await listWorkspaces(c.var.database);
  const allowances = await Promise.all(known.map(({ id }) => c.env.LINEAR_WORKSPACE.getByName(id).allowance()));
  return c.json({ workspaces: known.map((workspace, index) => ({ ...workspace, allowance: allowances[index] })) });
});

/** The shortcut for a single workspace: the application's own token, without anybody's consent. */
workspaces.post('/workspaces', async (c) => {
  const { app } = c.var.config.linear;
  const credentials = credentialsOf(app);
  if (!app.clientCredentials || !credentials) {
    const message =
      'Set LINEAR_CLIENT_CREDENTIALS = "true", LINEAR_CLIENT_ID and LINEAR_CLIENT_SECRET first; see the page /install.';
    return c.json(problem('not_configured', message), 409);
  }
  const outcome = await clientCredentials(credentials);
  if (outcome.kind !== 'granted') return c.json(problem(outcome.kind.replace('-', '_'), outcome.message), 502);
  const installed = await completeInstallation(c.env, outcome.grant, {
    installedBy: 'client-credentials',
    actor: 'admin',
  });
  switch (installed.kind) {
    case 'installed':
      return c.json(installed.workspace, installed.isNew ? 201 : 200);
    case 'scope':
      return c.json(problem('scope', `Linear did not grant ${installed.missing.join(', ')}.`), 502);
    case 'person':
      return c.json(
        problem('person', "The token acts for a person, not for the app; check the application in Linear's settings."),
        502,
      );
    case 'unreachable':
      return c.json(problem('unreachable', installed.message), 502);
  }
});

/** One workspace: its state, what was set for it, and which webhooks of it were passed over. */
workspaces.get('/workspaces/:id', async (c) => {
  const id = c.req.param('id');
  const workspace = await findWorkspace(c.var.database, id);
  if (!workspace) return c.json(noSuchWorkspace(id), 404);
  const object = c.env.LINEAR_WORKSPACE.getByName(id);
  const [settings, allowance, ignoredWebhooks] = await Promise.all([
    readWorkspaceSettings(c.var.database, id),
    object.allowance(),
    object.ignoredWebhooks(),
  ]);
  return c.json({ ...workspace, settings, allowance, ignoredWebhooks });
});

workspaces.get('/workspaces/:id/settings', async (c) => {
  const id = c.req.param('id');
  if (!(await findWorkspace(c.var.database, id))) return c.json(noSuchWorkspace(id), 404);
  return c.json(await readWorkspaceSettings(c.var.database, id));
});

/** What is left out is set to its default. A setting that is none is refused: a mistyped rule must not let everyone in. */
workspaces.put('/workspaces/:id/settings', async (c) => {
  const settings = await readBody(c, workspaceSettingsSchema.strict());
  if (!settings.success) return c.json(settings.problem, 400);
  const id = c.req.param('id');
  const isKnown = await writeWorkspaceSettings(c.var.database, id, settings.data, Date.now());
  if (!isKnown) return c.json(noSuchWorkspace(id), 404);
  const counts = Object.entries(settings.data).map(([name, set]) => [name, typeof set === 'number' ? set : set.length]);
  await note(c, 'workspace.settings-changed', id, Object.fromEntries(counts));
  await tellQueue(c.env, id);
  return c.json(settings.data);
});

workspaces.put('/workspaces/:id', async (c) => {
  const input = await readBody(c, workspaceInputSchema);
  if (!input.success) return c.json(input.problem, 400);
  const id = c.req.param('id');
  await c.env.LINEAR_WORKSPACE.getByName(id).install({ ...input.data, installedBy: 'admin' });
  const { name, urlKey, appUserId } = input.data;
  await note(c, 'workspace.stored', id, { name, urlKey, appUserId });
  return c.json({ id, name, urlKey, appUserId });
});

workspaces.post('/workspaces/:id/revoke', async (c) => {
  const id = c.req.param('id');
  if (!(await findWorkspace(c.var.database, id))) return c.json(noSuchWorkspace(id), 404);
  const unconfirmed = await c.env.LINEAR_WORKSPACE.getByName(id).revoke();
  if (unconfirmed) {
    const message = `Linear did not confirm that the tokens were revoked (${unconfirmed}), so they are kept. Try again, or remove the app in Linear's settings.`;
    return c.json(problem('unreachable', message), 502);
  }
  const delivery = { deliveryId: crypto.randomUUID(), contentKey: `revoked:${crypto.randomUUID()}` };
  const sessions = await withdrawSessions(
    c.env,
    c.var.database,
    id,
    { why: 'uninstalled', teamIds: [] },
    { ...delivery, origin: new URL(c.req.url).origin },
  );
  log('admin.workspace.revoked', { workspace: id, sessions });
  return c.json({ id, status: 'revoked', sessions });
});

workspaces.post('/reencrypt', async (c) => {
  const parts: Reencrypted[] = [
    await reencryptRepositories(c.var.database),
    await reencryptSandboxSecrets(c.var.database),
    await reencryptMcpHeaders(c.var.database),
    await reencryptWebhookSecrets(c.var.database),
  ];
  for (const { id } of await listWorkspaces(c.var.database)) {
    parts.push(await c.env.LINEAR_WORKSPACE.getByName(id).reencrypt());
  }
  const moved = parts.reduce((sum, part) => sum + part.moved, 0);
  const unreadable = parts.flatMap((part) => part.unreadable);
  await note(c, 'secrets.reencrypted', null, { moved, unreadable: unreadable.length });
  return c.json({ moved, unreadable });
});

/** Whether Linear's webhooks arrive, and what was refused or did not fit, by hour. */
workspaces.get('/webhooks', async (c) => {
  const record = await operationsOf(c.env).webhooks();
  return c.json({ ...verdictOf(record), ...record });
});

workspaces.get('/audit', async (c) => {
  const limit = Number(c.req.query('limit') ?? 100);
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST_AUDIT_ENTRIES) {
    return c.json(problem('bad_request', `limit must be a number from 1 to ${MOST_AUDIT_ENTRIES}.`), 400);
  }
  return c.json({ entries: await listAudit(c.var.database, limit) });
});
