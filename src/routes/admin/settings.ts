/**
 * `/api/admin/settings`: variables that are set while the Worker runs. `?workspace=ID` means those of one workspace. Mounted by
 * index.ts, behind its guard.
 */
import { Hono } from 'hono';
import * as z from 'zod';
import { isSettingName, SETTINGS, type SettingName } from '../../protocol/settings/deployment.ts';
import { deleteSetting, listSettings, putSetting } from '../../store/settings.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { keepCopy, tellAll } from './changed-settings.ts';
import { type AdminContext, type AdminEnv, noSuchWorkspace, note, problem, readBody } from './request.ts';

const inputSchema = z
  .object({ value: z.union([z.string().max(10_000), z.number(), z.boolean()]).transform(String) })
  .strict();

export const settings = new Hono<AdminEnv>();

settings.get('/settings', async (c) => {
  const workspaceId = c.req.query('workspace') ?? null;
  const unknown = await refusalOfScope(c, workspaceId);
  return unknown ?? c.json({ settings: await listSettings(c.var.database, c.env, workspaceId) });
});

settings.put('/settings/:name', async (c) => {
  const which = await settingOf(c);
  if (which instanceof Response) return which;
  const input = await readBody(c, inputSchema);
  if (!input.success) return c.json(input.problem, 400);
  const { value } = input.data;
  const wrong = await putSetting(c.var.database, c.env, { ...which, value }, { by: 'admin', now: Date.now() });
  if (wrong !== null) return c.json(problem('bad_request', wrong), 400);
  await note(c, 'setting.stored', which.workspaceId, { setting: which.name, value });
  return changed(c, which);
});

settings.delete('/settings/:name', async (c) => {
  const which = await settingOf(c);
  if (which instanceof Response) return which;
  if (!(await deleteSetting(c.var.database, which.workspaceId, which.name))) {
    return c.json(
      problem('not_set', `${which.name} is not set here; what counts is the variable or its default.`),
      404,
    );
  }
  await note(c, 'setting.removed', which.workspaceId, { setting: which.name });
  return changed(c, which);
});

/** Who waits is told beside the answer, which has the value that counts now. */
async function changed(c: AdminContext, { workspaceId, name }: { workspaceId: string | null; name: SettingName }) {
  c.executionCtx.waitUntil(tellAll(c.env, c.var.database, workspaceId));
  c.executionCtx.waitUntil(keepCopy(c.env, c.var.database));
  const now = await listSettings(c.var.database, c.env, workspaceId);
  return c.json(now.find((one) => one.name === name) ?? null);
}

async function settingOf(c: AdminContext): Promise<{ workspaceId: string | null; name: SettingName } | Response> {
  const name = c.req.param('name') ?? '';
  if (!isSettingName(name)) {
    const names = Object.keys(SETTINGS).join(', ');
    return c.json(problem('no_such_setting', `${name} cannot be set while the Worker runs. These can: ${names}.`), 404);
  }
  const workspaceId = c.req.query('workspace') ?? null;
  if (workspaceId !== null && SETTINGS[name] === 'deployment') {
    const message = `${name} is set for the whole deployment: leave out the workspace.`;
    return c.json(problem('bad_request', message), 400);
  }
  return (await refusalOfScope(c, workspaceId)) ?? { workspaceId, name };
}

async function refusalOfScope(c: AdminContext, id: string | null): Promise<Response | null> {
  if (id === null || (await findWorkspace(c.var.database, id))) return null;
  return c.json(noSuchWorkspace(id), 404);
}
