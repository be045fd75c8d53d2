/** `/api/v1/settings`, and the settings of a workspace. What changes is in the audit log, by whom. */
import type { Hono } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { log } from '../../observability/log.ts';
import { DEPLOYMENT, mayDo } from '../../people/rights.ts';
import type { ApiError } from '../../protocol/api.ts';
import { SETTINGS, type SettingName } from '../../protocol/settings/deployment.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import type { SettingsView } from '../../protocol/v1/schemas.ts';
import { audit } from '../../store/audit.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import { deleteSetting, listSettings, putSetting, settledConfig } from '../../store/settings.ts';
import { readWorkspaceSettings, writeWorkspaceSettings } from '../../store/workspaces/workspace-settings.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { keepCopy, tellAll, tellQueue } from '../admin/changed-settings.ts';
import { needs, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { problemAnswer } from './problems.ts';
import { serve } from './serve.ts';
import { NO_SUCH_WORKSPACE, workspaceOf } from './workspace.ts';

interface Which {
  name: SettingName;
  workspaceId: string | null;
}

/** Adds the routes. */
export function settingsRoutes(api: Hono<PeopleEnv>): void {
  const ofWorkspace = needs('workspace.settings', workspaceOf);
  serve(api, OPERATIONS.getWorkspaceSettings, ofWorkspace, async (c, { params: { workspace } }) => {
    const database = databaseOf(c);
    if (!(await findWorkspace(database, workspace))) return c.json(NO_SUCH_WORKSPACE, 404);
    return c.json(await readWorkspaceSettings(database, workspace));
  });

  serve(api, OPERATIONS.putWorkspaceSettings, ofWorkspace, async (c, { params: { workspace }, body }) => {
    const database = databaseOf(c);
    const tooMany = await refuseMoreSessions(c, database, workspace, body.sessionsAtOnce);
    if (tooMany) return tooMany;
    if (!(await writeWorkspaceSettings(database, workspace, body, Date.now()))) return c.json(NO_SUCH_WORKSPACE, 404);
    const counts = Object.entries(body).map(([name, set]) => [name, typeof set === 'number' ? set : set.length]);
    await note(c, database, 'workspace.settings-changed', workspace, Object.fromEntries(counts));
    await tellQueue(c.env, workspace);
    return c.json(body);
  });

  const ofDeployment = needs('deployment.settings');
  serve(api, OPERATIONS.listSettings, ofDeployment, async (c, { query: { workspace = null } }) => {
    const database = databaseOf(c);
    if (workspace !== null && !(await findWorkspace(database, workspace))) return c.json(NO_SUCH_WORKSPACE, 404);
    return c.json({ data: await listSettings(database, c.env, workspace) } satisfies SettingsView);
  });

  serve(api, OPERATIONS.putSetting, ofDeployment, async (c, { params: { name }, query, body }) => {
    const database = databaseOf(c);
    const which = { name, workspaceId: query.workspace ?? null };
    const refused = await refusal(c, database, which);
    if (refused) return refused;
    const value = String(body.value);
    const by = c.var.person.key;
    const wrong = await putSetting(database, c.env, { ...which, value }, { by, now: Date.now() });
    if (wrong !== null) {
      return problemAnswer(400, 'bad_request', wrong, [{ in: 'body', pointer: '/value', message: wrong }]);
    }
    await note(c, database, 'setting.stored', which.workspaceId, { setting: name, value });
    return changed(c, database, which);
  });

  serve(api, OPERATIONS.deleteSetting, ofDeployment, async (c, { params: { name }, query }) => {
    const database = databaseOf(c);
    const which = { name, workspaceId: query.workspace ?? null };
    const refused = await refusal(c, database, which);
    if (refused) return refused;
    if (!(await deleteSetting(database, which.workspaceId, name))) {
      const message = `${name} is not set here; what counts is the variable or its default.`;
      return c.json({ error: 'not_set', message } satisfies ApiError, 404);
    }
    await note(c, database, 'setting.removed', which.workspaceId, { setting: name });
    return changed(c, database, which);
  });
}

/** How many sessions run at once is paid by the deployment: beyond its limit an owner alone may go, and what an owner has set may stay. */
async function refuseMoreSessions(
  c: PeopleContext,
  database: Database,
  workspace: string,
  wanted: number | undefined,
): Promise<Response | null> {
  if (wanted === undefined || mayDo(c.var.person, 'deployment.settings', DEPLOYMENT)) return null;
  const { sessionsAtOnce: usual } = (await settledConfig(c.env, null)).limits;
  const { sessionsAtOnce: own = usual } = await readWorkspaceSettings(database, workspace);
  const most = Math.max(usual, own);
  if (wanted <= most) return null;
  const message = `At most ${most} sessions may run at once here. An owner of the deployment can set more.`;
  return problemAnswer(403, 'owners_only', message, [{ in: 'body', pointer: '/sessionsAtOnce', message }]);
}

async function refusal(c: PeopleContext, database: Database, { name, workspaceId }: Which): Promise<Response | null> {
  if (workspaceId === null) return null;
  if (SETTINGS[name] === 'deployment') {
    const message = `${name} is set for the whole deployment: leave out the workspace.`;
    return problemAnswer(400, 'bad_request', message, [{ in: 'query', pointer: '/workspace', message }]);
  }
  return (await findWorkspace(database, workspaceId)) ? null : c.json(NO_SUCH_WORKSPACE, 404);
}

/** Who waits is told beside the answer, which has the value that counts now. */
async function changed(c: PeopleContext, database: Database, { name, workspaceId }: Which): Promise<Response> {
  c.executionCtx.waitUntil(tellAll(c.env, database, workspaceId));
  c.executionCtx.waitUntil(keepCopy(c.env, database));
  const now = await listSettings(database, c.env, workspaceId);
  return c.json(now.find((one) => one.name === name));
}

async function note(
  c: PeopleContext,
  database: Database,
  action: `${string}.${string}`,
  workspaceId: string | null,
  details: Record<string, string | number>,
): Promise<void> {
  const { key, name, token } = c.var.person;
  log('api.settings.changed', { action, workspace: workspaceId, person: key });
  const facts = { ...details, name, ...(token && { token: token.id }) };
  await audit(database, { at: Date.now(), actor: key, action, workspaceId, details: facts });
}

function databaseOf(c: PeopleContext): Database {
  const { encryptionKey, oldEncryptionKey } = readConfig(c.env);
  return openDatabase(c.env.DB, encryptionKey, oldEncryptionKey);
}
