/** Tells those who wait that an admin changed settings. What is not told is found out within a minute: sessions and queues ask again. */
import { inBatches } from '../../lib/concurrency.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { operationsOf } from '../../operations/operations.ts';
import type { Database } from '../../store/database.ts';
import { listRunningSessions } from '../../store/session-index.ts';
import { settingRows } from '../../store/settings.ts';
import { listWorkspaces } from '../../store/workspaces/workspaces.ts';

/** Sessions that are told at the same time. */
const TOGETHER = 25;

/** Has the queue of a workspace take the concurrency limit as it is now. Never rejects. */
export async function tellQueue(env: Env, workspaceId: string): Promise<void> {
  try {
    await env.WORKSPACE_QUEUE.getByName(workspaceId).settingsChanged();
  } catch (error) {
    log('settings.queue_notify.failed', { workspace: workspaceId, error: asError(error) });
  }
}

/** Tells queues and sessions at work or waiting. @param workspaceId of which; null: of all. Never rejects */
export async function tellAll(env: Env, database: Database, workspaceId: string | null): Promise<void> {
  try {
    await tellThose(env, database, workspaceId);
  } catch (error) {
    log('settings.notify.failed', { workspace: workspaceId, error: asError(error) });
  }
}

/** Has the object of the deployment keep a copy of the settings. Never rejects: the next look at the deployment keeps it as well. */
export async function keepCopy(env: Env, database: Database): Promise<void> {
  try {
    await operationsOf(env).keepSettings(await settingRows(database));
  } catch (error) {
    log('settings.copy.failed', { error: asError(error) });
  }
}

/** @throws NotMigratedError, DatabaseError */
async function tellThose(env: Env, database: Database, workspaceId: string | null): Promise<void> {
  const ids = workspaceId === null ? (await listWorkspaces(database)).map(({ id }) => id) : [workspaceId];
  for (const id of ids) {
    await tellQueue(env, id);
    const sessions = await listRunningSessions(database, id);
    await inBatches(sessions, TOGETHER, (session) => tellSession(env, session));
  }
}

async function tellSession(env: Env, session: string): Promise<void> {
  try {
    await env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(session)).settingsChanged();
  } catch (error) {
    log('settings.session_notify.failed', { session, error: asError(error) });
  }
}
