/** What the addresses under `/api/admin` have in common: how a body is read, a problem is told, and a change is noted. */
import type { Context } from 'hono';
import * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { log } from '../../observability/log.ts';
import type { ApiError } from '../../protocol/api.ts';
import { audit } from '../../store/audit.ts';
import type { Database } from '../../store/database.ts';

/** Set by the guard of index.ts. */
export type AdminEnv = { Bindings: Env; Variables: { config: Config; database: Database } };
export type AdminContext = Context<AdminEnv>;

/** @param error a word for programs. @param message what is wrong, and what to do */
export function problem(error: string, message: string): ApiError {
  return { error, message };
}

export function noSuchWorkspace(id: string): ApiError {
  return problem('no_such_workspace', `There is no workspace ${id}.`);
}

export function noSuchRepository(workspaceId: string | undefined, fullName: string): ApiError {
  return problem('no_such_repository', `The workspace ${workspaceId} has no repository ${fullName}.`);
}

/** `owner/name` of an address with these parameters. */
export function fullNameOf(c: AdminContext): string {
  return `${c.req.param('owner')}/${c.req.param('name')}`;
}

/** @returns the body as the schema has it, or what is wrong with it */
export async function readBody<Schema extends z.ZodType>(
  c: AdminContext,
  schema: Schema,
): Promise<{ success: true; data: z.output<Schema> } | { success: false; problem: ApiError }> {
  const json: unknown = await c.req.json().catch(() => undefined);
  if (json === undefined) return { success: false, problem: problem('bad_request', 'The body must be JSON.') };
  const parsed = schema.safeParse(json);
  if (parsed.success) return { success: true, data: parsed.data };
  return { success: false, problem: problem('bad_request', z.prettifyError(parsed.error)) };
}

/**
 * Leaves a line in the log and an entry in the audit log.
 * @param action what was done, e.g. `repository.stored`. @param details without secrets
 */
export async function note(
  c: AdminContext,
  action: `${string}.${string}`,
  workspaceId: string | null,
  details: Record<string, string | number>,
): Promise<void> {
  const [thing = '', what = ''] = action.replaceAll('-', '_').split('.');
  log(`admin.${thing}.${what}`, { workspace: workspaceId, ...details });
  await audit(c.var.database, { at: Date.now(), actor: 'admin', action, workspaceId, details });
}
