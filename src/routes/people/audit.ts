/** `/api/audit`: who did what. Admins of a workspace read what concerns it, owners of the deployment everything. */
import { Hono, type MiddlewareHandler } from 'hono';
import * as z from 'zod';
import { readConfig } from '../../config/read-config.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { ApiError } from '../../protocol/api.ts';
import type { AuditPage } from '../../protocol/people.ts';
import { pageOfAudit, type StoredAuditEntry } from '../../store/audit.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { NO_SUCH_WORKSPACE } from '../api/workspace.ts';
import { needs, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';

const PAGE_LIMIT = 1_000;
/** Most rows of a file: at 200 bytes a row about 20 MB. */
const MOST_EXPORTED = 100_000;

const querySchema = z.object({
  /** Entries before this number alone; left out: the newest. */
  before: z.coerce.number().int().positive().optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT).default(100),
  /** Only entries of this action, or of those that begin with it. */
  action: z.string().max(100).optional(),
});

/** The same of a file, which has as many rows as there are, up to a bound. */
const exportSchema = querySchema.extend({
  limit: z.coerce.number().int().min(1).max(MOST_EXPORTED).default(MOST_EXPORTED),
});

export const auditLog = new Hono<PeopleEnv>();

/** `?before=N&limit=N&action=A`: of all workspaces, and of the deployment. */
auditLog.get('/', needs('deployment.audit'), (c) => answer(c, null));
/** All of it as a file, newest first: `?before=N&limit=N&action=A`. One that was cut says in its last line where to go on. */
auditLog.get('/export', needs('deployment.audit'), (c) => file(c, null));

const ofWorkspace = needs('workspace.audit', (c) => ({
  kind: 'workspace',
  workspaceId: c.req.param('workspace') ?? '',
}));
/** Owners pass the guard for any id. */
const isThere: MiddlewareHandler<PeopleEnv> = async (c, next) =>
  (await findWorkspace(databaseOf(c), c.req.param('workspace') ?? '')) ? next() : c.json(NO_SUCH_WORKSPACE, 404);
auditLog.get('/:workspace', ofWorkspace, isThere, (c) => answer(c, c.req.param('workspace')));
auditLog.get('/:workspace/export', ofWorkspace, isThere, (c) => file(c, c.req.param('workspace')));

async function answer(c: PeopleContext, workspaceId: string | null): Promise<Response> {
  const query = querySchema.safeParse(c.req.query());
  if (!query.success) return badRequest(c, query.error);
  const entries = await pageOfAudit(databaseOf(c), { workspaceId, ...query.data });
  const next = entries.length === query.data.limit ? entries.at(-1)?.id : undefined;
  return c.json({ entries, ...(next !== undefined && { next }) } satisfies AuditPage);
}

function file(c: PeopleContext, workspaceId: string | null): Response | Promise<Response> {
  const query = exportSchema.safeParse(c.req.query());
  if (!query.success) return badRequest(c, query.error);
  const { readable, writable } = new IdentityTransformStream();
  c.executionCtx.waitUntil(writeFile(databaseOf(c), { workspaceId, ...query.data }, writable));
  return new Response(readable, {
    headers: {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="audit.csv"',
    },
  });
}

/** Page by page, as fast as it is read. Never rejects: a reader may leave. A file that could not be finished breaks off. */
async function writeFile(
  database: Database,
  query: { workspaceId: string | null; action?: string | undefined; before?: number | undefined; limit: number },
  to: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = to.getWriter();
  const write = (line: string) => writer.write(new TextEncoder().encode(`${line}\r\n`));
  try {
    await write('id,time,actor,action,workspace,details');
    let { before } = query;
    for (let left = query.limit; left > 0; ) {
      // One more than is written tells whether the log goes on.
      const page = await pageOfAudit(database, { ...query, before, limit: Math.min(PAGE_LIMIT, left) + 1 });
      const shown = page.slice(0, Math.min(PAGE_LIMIT, left));
      for (const entry of shown) await write(lineOf(entry));
      before = shown.at(-1)?.id;
      left -= shown.length;
      if (page.length === shown.length) break;
      if (left === 0) await write(`,,,export.cut,,There is more: continue with before=${before}`);
    }
    await writer.close();
  } catch (error) {
    log('audit.export.aborted', { error: asError(error) });
    await writer.abort(error).catch(() => {});
  }
}

function lineOf({ id, at, actor, action, workspaceId, details }: StoredAuditEntry): string {
  const cells = [String(id), new Date(at).toISOString(), actor, action, workspaceId ?? '', JSON.stringify(details)];
  return cells.map(cell).join(',');
}

/** Quoted where it has to be (RFC 4180). What a spreadsheet would take for a formula is text. */
function cell(value: string): string {
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function badRequest(c: PeopleContext, error: z.ZodError): Response {
  return c.json({ error: 'bad_request', message: z.prettifyError(error) } satisfies ApiError, 400);
}

function databaseOf(c: PeopleContext): Database {
  const { encryptionKey } = readConfig(c.env);
  return openDatabase(c.env.DB, encryptionKey);
}
