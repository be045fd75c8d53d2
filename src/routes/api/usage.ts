/** `/api/v1/usage` and that of a workspace: sums of the use of Claude. */
import type { Hono } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import type { UsageView } from '../../protocol/v1/schemas.ts';
import { openDatabase } from '../../store/database.ts';
import { reportUsage, type UsageGroup } from '../../store/usage.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { needs, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { serve } from './serve.ts';
import { NO_SUCH_WORKSPACE, workspaceOf } from './workspace.ts';

const USUAL_DAYS = 30;
const DAY_MS = 24 * 3_600_000;

/** Adds the routes. */
export function usageRoutes(api: Hono<PeopleEnv>): void {
  serve(api, OPERATIONS.getWorkspaceUsage, needs('workspace.usage', workspaceOf), (c, { params, query }) =>
    report(c, query, params.workspace),
  );
  serve(api, OPERATIONS.getUsage, needs('deployment.usage'), (c, { query }) => report(c, query, null));
}

async function report(
  c: PeopleContext,
  {
    by,
    since = new Date(Date.now() - USUAL_DAYS * DAY_MS).toISOString().slice(0, 10),
  }: { by: string; since?: string | undefined },
  workspaceId: string | null,
): Promise<Response> {
  const database = openDatabase(c.env.DB, readConfig(c.env).encryptionKey);
  if (workspaceId !== null && !(await findWorkspace(database, workspaceId))) return c.json(NO_SUCH_WORKSPACE, 404);
  const data = await reportUsage(database, by as UsageGroup, since, workspaceId);
  return c.json({ by, since, data } satisfies UsageView);
}
