/** `/api/sessions`: the list, a session's page without a socket, its live socket, prompts, stop, patch and log. */
import { Hono } from 'hono';
import * as z from 'zod';
import { followUpPrompt } from '../../claude/prompts.ts';
import { readConfig } from '../../config.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import {
  type ApiError,
  type FoundEntries,
  MAX_FIND,
  pagePromptSchema,
  pageStopSchema,
  QUESTION_CLOSED,
  type SessionList,
} from '../../protocol/api.ts';
import type { EgressPage } from '../../protocol/egress-log.ts';
import type { Delivery } from '../../session/inbound/delivery.ts';
import type { IssueSession } from '../../session/issue-session.ts';
import { listSessions, openDatabase } from '../../store/database.ts';
import { listReinstallNeeded } from '../../store/installations.ts';
import { getPatch, getTurnMarkdown, isCommitId } from '../../store/logs.ts';
import { sharedFile } from './shared-file.ts';

/** Entries in one page; a larger wish is cut to it. */
const PAGE_LIMIT = 1_000;
const LIST_LIMIT = 100;
/** Lines of the egress log that are shown. */
const EGRESS_LIMIT = 500;

const pageQuerySchema = z.object({
  before: z.union([z.literal('end').transform(() => null), z.coerce.number().int().positive()]).optional(),
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .default(PAGE_LIMIT)
    .transform((limit) => Math.min(limit, PAGE_LIMIT)),
});

const findQuerySchema = z.object({
  text: z.string().trim().min(1).max(MAX_FIND),
  before: z.coerce.number().int().positive().default(Number.MAX_SAFE_INTEGER),
});

const listQuerySchema = z.object({
  limit: z.coerce.number().int().min(0).max(LIST_LIMIT).default(LIST_LIMIT),
  /** Where the page before ended: `next` of its answer. */
  before: z
    .string()
    .regex(
      /^\d{1,15}-[0-9a-f]{64}$/,
      'is not a cursor: send the `next` of the previous page, or omit it for the newest',
    )
    .transform((cursor) => {
      const at = cursor.indexOf('-');
      return { updatedAt: Number(cursor.slice(0, at)), id: cursor.slice(at + 1) };
    })
    .optional(),
});

const NO_SUCH_SESSION: ApiError = { error: 'no_such_session', message: 'There is no session with this id.' };

const READ_ONLY: ApiError = {
  error: 'read_only',
  message:
    'This session is read-only until a version of Cyrus that can read its storage is deployed; nothing was changed.',
};

export const sessions = new Hono<{ Bindings: Env }>();

sessions.get('/', async (c) => {
  const query = listQuerySchema.safeParse(c.req.query());
  if (!query.success) return c.json(badRequest(query.error), 400);
  const { limit, before } = query.data;
  const config = readConfig(c.env);
  const database = openDatabase(c.env.DB, config.encryptionKey);
  const [rows, reinstallNeeded] = await Promise.all([
    limit === 0 ? [] : listSessions(database, { limit, ...(before && { before }) }),
    listReinstallNeeded(database),
  ]);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  const next = last && `${last.updatedAt}-${last.id}`;
  return c.json({
    sessions: rows,
    scriptedModel: config.claude.scripted,
    reinstallNeeded,
    ...(next !== undefined && { next }),
  } satisfies SessionList);
});

sessions.get('/:id', async (c) => {
  const query = pageQuerySchema.safeParse(c.req.query());
  if (!query.success) return c.json(badRequest(query.error), 400);
  const { before, after, limit } = query.data;
  const session = find(c.env, c.req.param('id'));
  const page = await (before === undefined ? session?.page(after, limit) : session?.pageBefore(before, limit));
  return page ? c.body(page, 200, { 'content-type': 'application/json' }) : c.json(NO_SUCH_SESSION, 404);
});

sessions.get('/:id/find', async (c) => {
  const query = findQuerySchema.safeParse(c.req.query());
  if (!query.success) return c.json(badRequest(query.error), 400);
  const found = await find(c.env, c.req.param('id'))?.find(query.data.text, query.data.before);
  return found ? c.json(found satisfies FoundEntries) : c.json(NO_SUCH_SESSION, 404);
});

sessions.get('/:id/egress', async (c) => {
  const page = await find(c.env, c.req.param('id'))?.egress(EGRESS_LIMIT);
  return page ? c.json(page satisfies EgressPage) : c.json(NO_SUCH_SESSION, 404);
});

sessions.get('/:id/live', async (c) => {
  const session = find(c.env, c.req.param('id'));
  return session ? await session.fetch(c.req.raw) : c.json(NO_SUCH_SESSION, 404);
});

sessions.post('/:id/prompts', async (c) => {
  const body = pagePromptSchema.safeParse(await c.req.json().catch(() => null));
  if (!body.success) return c.json(badRequest(body.error), 400);
  const { id, text, answers } = body.data;
  const prompt = followUpPrompt({ author: null, text });
  const by = { promptId: id, agentSessionId: null, author: null, person: null, source: 'page' } as const;
  return deliver(c.env, c.req.param('id'), c.req.url, id, {
    event: { type: 'prompted', ...by, text, ...(answers !== undefined && { answers }) },
    promptText: { followUp: prompt, first: prompt },
  });
});

sessions.post('/:id/stop', async (c) => {
  const body = pageStopSchema.safeParse(await c.req.json().catch(() => null));
  if (!body.success) return c.json(badRequest(body.error), 400);
  const { id, ageMs } = body.data;
  const at = ageMs === undefined ? {} : { at: Date.now() - ageMs };
  return deliver(c.env, c.req.param('id'), c.req.url, id, {
    event: { type: 'stop-requested', id, agentSessionId: null, author: null, source: 'page', ...at },
  });
});

sessions.get('/:id/patch', async (c) => {
  const id = c.req.param('id');
  const head = await find(c.env, id)?.newestHead();
  // What a sandbox said is no commit has no patch.
  const patch = head && isCommitId(head) ? await getPatch(c.env.LOGS, id, head) : null;
  if (!patch) return c.json({ error: 'no_patch', message: 'Nothing has been changed yet.' } satisfies ApiError, 404);
  return new Response(patch.body, {
    headers: {
      'content-type': 'text/x-patch; charset=utf-8',
      'content-length': String(patch.size),
      'content-disposition': `attachment; filename="${id.slice(0, 12)}.patch"`,
    },
  });
});

sessions.get('/:id/log', async (c) => {
  const id = c.req.param('id');
  const turns = (await find(c.env, id)?.turns()) ?? null;
  if (turns === null) return c.json(NO_SUCH_SESSION, 404);
  const { readable, writable } = new IdentityTransformStream();
  c.executionCtx.waitUntil(writeLogs(c.env.LOGS, id, turns, writable));
  return new Response(readable, { headers: { 'content-type': 'text/markdown; charset=utf-8' } });
});

/** The logs of the turns, one after the other, as fast as they are read. Never rejects: a reader may leave. */
async function writeLogs(bucket: R2Bucket, id: string, turns: number, to: WritableStream<Uint8Array>): Promise<void> {
  const write = async (text: string) => {
    const writer = to.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  };
  try {
    let isEmpty = true;
    for (let turn = 1; turn <= turns; turn += 1) {
      const markdown = await getTurnMarkdown(bucket, id, turn);
      if (!markdown) continue;
      if (!isEmpty) await write('\n\n');
      isEmpty = false;
      await markdown.pipeTo(to, { preventClose: true });
    }
    if (isEmpty) await write('No turn has ended yet.\n');
    await to.close();
  } catch (error) {
    log('session.log_download.aborted', { session: id, error: asError(error) });
    await to.abort(error).catch(() => {});
  }
}

sessions.get('/:id/shared/:hash', (c) =>
  sharedFile(c.env.LOGS, c.req.param('id'), c.req.param('hash'), c.req.query('name') ?? ''),
);

/** The session with this id; null for text that no session of this deployment can have as id. */
function find(env: Env, id: string): DurableObjectStub<IssueSession> | null {
  try {
    return env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(id));
  } catch {
    return null;
  }
}

async function deliver(
  env: Env,
  id: string,
  url: string,
  requestId: string,
  request: Pick<Delivery, 'event' | 'promptText'>,
): Promise<Response> {
  const session = find(env, id);
  const outcome = await session?.accept({
    ...request,
    deliveryId: requestId,
    contentKey: `page:${requestId}`,
    origin: new URL(url).origin,
    about: null,
  });
  if (outcome === undefined || outcome === 'no-such-session') return Response.json(NO_SUCH_SESSION, { status: 404 });
  if (outcome === 'read-only') return Response.json(READ_ONLY, { status: 409 });
  if (typeof outcome === 'object') {
    return Response.json({ error: QUESTION_CLOSED, message: outcome.closed } satisfies ApiError, { status: 409 });
  }
  return Response.json({ outcome }, { status: 202 });
}

function badRequest(error: z.ZodError): ApiError {
  return { error: 'bad_request', message: z.prettifyError(error) };
}
