/**
 * `POST /api/admin/workspaces/:id/erase`: deletes a workspace with all that is known of it, in steps that one request has time for. It is
 * asked again until nothing is left; what was done before is not there any more, so a step that is repeated does no harm.
 */
import { Hono } from 'hono';
import * as z from 'zod';
import { claudeAccount } from '../../gateway/claude/account.ts';
import { operationsOf } from '../../operations/operations.ts';
import { audit } from '../../store/audit.ts';
import { deletePrefix } from '../../store/keeping/session-objects.ts';
import { deleteWorkspaceRows, sessionsOf } from '../../store/keeping/workspace-rows.ts';
import { repositoriesPrefix } from '../../store/repository-cache.ts';
import { settingRows } from '../../store/settings.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { type AdminEnv, problem, readBody } from './request.ts';

/** Sessions that one request deletes. */
const MOST_SESSIONS = 20;

const inputSchema = z.object({ confirm: z.string() }).strict();

/** Mounted by index.ts, behind its guard. */
export const erase = new Hono<AdminEnv>();

erase.post('/workspaces/:id/erase', async (c) => {
  const id = c.req.param('id');
  const input = await readBody(c, inputSchema);
  if (!input.success) return c.json(input.problem, 400);
  if (input.data.confirm !== id) return c.json(problem('not_confirmed', `confirm must be ${id}.`), 400);
  const { database } = c.var;
  const workspace = await findWorkspace(database, id);
  if (workspace?.status === 'active') {
    const message = `${workspace.name} is still connected: end that first, POST /api/admin/workspaces/${id}/revoke.`;
    return c.json(problem('still_connected', message), 409);
  }
  const sessions = await sessionsOf(database, id, MOST_SESSIONS);
  const namespace = c.env.ISSUE_SESSION;
  await Promise.all(sessions.map((session) => namespace.get(namespace.idFromString(session)).erase()));
  if (sessions.length > 0) {
    await claudeAccount(c.env).forget(sessions);
    await operationsOf(c.env).forget(sessions);
    return c.json({ isDone: false, sessions: sessions.length });
  }
  await c.env.WORKSPACE_QUEUE.getByName(id).erase();
  await deletePrefix(c.env.LOGS, repositoriesPrefix(id));
  await deleteWorkspaceRows(database, id);
  // After the rows, or it would read them again.
  await c.env.LINEAR_WORKSPACE.getByName(id).erase();
  await operationsOf(c.env).forget([id]);
  await operationsOf(c.env).keepSettings(await settingRows(database));
  // That somebody did this stays known; of which workspace does not.
  await audit(database, { at: Date.now(), actor: 'admin', action: 'workspace.erased', workspaceId: null, details: {} });
  return c.json({ isDone: true, sessions: 0 });
});
