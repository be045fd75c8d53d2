/**
 * `/api/admin/archive`: reads a deployment, or one workspace (`?workspace=ID`), part by part, and stores the parts of an archive in an empty
 * one. The commands that do that ask for one part after the other, so no request is long, whatever the size.
 */
import { Hono } from 'hono';
import * as z from 'zod';
import { log } from '../../observability/log.ts';
import { ARCHIVE_TABLES, rowSchema, storedItemSchema } from '../../protocol/archive.ts';
import { audit } from '../../store/audit.ts';
import { isEmptyDeployment, readRows, storeRows } from '../../store/keeping/table-copies.ts';
import { bodyLimit } from '../middleware/body-limit.ts';
import { stubOf } from '../middleware/needs.ts';
import { type AdminEnv, problem, readBody } from './request.ts';

/** Parts of rows and sessions; an object of the bucket may be as large as it was. */
const MAX_PART_BYTES = 8 * 1024 * 1024;
/** What people stored, and what is made of it. Caches of repositories are made again. */
const PREFIXES = ['logs/', 'patches/', 'shared/', 'checkpoints/', 'sessions/'];

const tableSchema = z.enum(ARCHIVE_TABLES);
const positionSchema = z.coerce.number().int().nonnegative().default(0);
const sessionInputSchema = z
  .object({
    name: z.string().min(1).max(300),
    items: z.array(storedItemSchema),
    isFirst: z.boolean(),
    isLast: z.boolean(),
  })
  .strict();

/** Mounted by index.ts, behind its guard. */
export const archive = new Hono<AdminEnv>();

archive.get('/archive/tables/:table', async (c) => {
  const table = tableSchema.safeParse(c.req.param('table'));
  const after = positionSchema.safeParse(c.req.query('after'));
  if (!table.success || !after.success) return c.json(problem('bad_request', 'There is no such table or place.'), 400);
  return c.json(await readRows(c.env.DB, table.data, after.data, c.req.query('workspace') ?? null));
});

archive.get('/archive/sessions/:id', async (c) => {
  const id = c.req.param('id');
  const from = positionSchema.safeParse(c.req.query('from'));
  const session = stubOf(c.env, id);
  if (session === null || !from.success) return c.json(problem('bad_request', 'There is no such session.'), 400);
  const part = await session.archive(from.data);
  return part
    ? c.body(part, 200, { 'content-type': 'application/json' })
    : c.json(problem('no_such_session', 'There is no such session.'), 404);
});

archive.get('/archive/objects', async (c) => {
  const prefix = c.req.query('prefix') ?? '';
  const cursor = c.req.query('cursor');
  if (!PREFIXES.some((known) => prefix.startsWith(known))) {
    return c.json(problem('bad_request', `prefix must begin with one of ${PREFIXES.join(', ')}`), 400);
  }
  const page = await c.env.LOGS.list({ prefix, include: ['httpMetadata'], ...(cursor !== undefined && { cursor }) });
  const objects = page.objects.map(({ key, size, httpMetadata }) => {
    return { key, size, type: httpMetadata?.contentType ?? null };
  });
  return c.json({ objects, next: page.truncated ? page.cursor : null });
});

archive.get('/archive/object', async (c) => {
  const stored = await c.env.LOGS.get(c.req.query('key') ?? '');
  if (!stored) return c.json(problem('no_such_object', 'There is no such object.'), 404);
  return new Response(stored.body, { headers: { 'content-length': String(stored.size) } });
});

/** Nothing is mixed with what people have here: the command asks this before it begins. */
archive.post('/archive/begin', async (c) => {
  if (!(await isEmptyDeployment(c.var.database))) {
    return c.json(problem('not_empty', 'This deployment has workspaces or sessions: restore into an empty one.'), 409);
  }
  await audit(c.var.database, {
    at: Date.now(),
    actor: 'admin',
    action: 'archive.restored',
    workspaceId: null,
    details: {},
  });
  log('admin.archive.restored', {});
  return c.json({ isEmpty: true });
});

archive.use('/archive/tables/*', limited());
archive.use('/archive/sessions', limited());

archive.post('/archive/tables/:table', async (c) => {
  const table = tableSchema.safeParse(c.req.param('table'));
  if (!table.success) return c.json(problem('bad_request', 'There is no such table.'), 400);
  const input = await readBody(c, z.object({ rows: z.array(rowSchema).max(500) }).strict());
  if (!input.success) return c.json(input.problem, 400);
  await storeRows(c.env.DB, table.data, input.data.rows);
  return c.json({ rows: input.data.rows.length });
});

/** The ids that objects of these names have here. */
archive.post('/archive/ids', async (c) => {
  const input = await readBody(c, z.object({ names: z.array(z.string().min(1).max(300)).max(500) }).strict());
  if (!input.success) return c.json(input.problem, 400);
  return c.json({ ids: input.data.names.map((name) => c.env.ISSUE_SESSION.idFromName(name).toString()) });
});

archive.post('/archive/sessions', async (c) => {
  const input = await readBody(c, sessionInputSchema);
  if (!input.success) return c.json(input.problem, 400);
  const { name, items, ...which } = input.data;
  const isStored = await c.env.ISSUE_SESSION.getByName(name).restore(JSON.stringify(items), which);
  if (!isStored) return c.json(problem('session_there', 'There is a session of this name already.'), 409);
  return c.json({ items: items.length });
});

archive.put('/archive/object', async (c) => {
  const key = c.req.query('key') ?? '';
  if (!PREFIXES.some((known) => key.startsWith(known)) || key.length > 1_000 || c.req.raw.body === null) {
    return c.json(
      problem('bad_request', `key must begin with one of ${PREFIXES.join(', ')}, and there must be a body.`),
      400,
    );
  }
  const contentType = c.req.query('type');
  await c.env.LOGS.put(key, c.req.raw.body, {
    ...(contentType !== undefined && { httpMetadata: { contentType } }),
    onlyIf: { etagDoesNotMatch: '*' },
  });
  return c.json({ key });
});

function limited() {
  return bodyLimit({
    maxSize: MAX_PART_BYTES,
    onError: (c) => c.json(problem('too_large', `A part has at most ${MAX_PART_BYTES} bytes.`), 413),
  });
}
