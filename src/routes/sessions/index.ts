/** `/api/sessions`: the list, a session's page without a socket, its live socket, prompts, stop, patch and log. */
import { Hono } from 'hono';
import * as z from 'zod';
import { followUpPrompt } from '../../claude/prompts.ts';
import { readConfig } from '../../config/read-config.ts';
import { mayDo } from '../../people/rights.ts';
import {
  type ApiError,
  type FoundEntries,
  MAX_FIND,
  pagePromptSchema,
  pageQuerySchema,
  pageStopSchema,
  type SessionList,
} from '../../protocol/api.ts';
import type { EgressPage } from '../../protocol/egress-log.ts';
import type { PullRequestStatus } from '../../protocol/pull-request.ts';
import type { Delivery } from '../../session/inbound/delivery.ts';
import { WATCH_UNTIL } from '../../session/viewers/sockets.ts';
import { openDatabase } from '../../store/database.ts';
import { listReinstallNeeded } from '../../store/workspaces/installations.ts';
import { NO_SUCH_SESSION, needs, needsSession, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { askerOf, takeIn } from './requests.ts';
import { cursorOf, cursorText, seenSessions } from './seen-sessions.ts';
import { shareLinks } from './share-links.ts';
import { sharedFile } from './shared-file.ts';
import { newestPatch, turnLogs } from './work-files.ts';

/** Entries in one page. */
const PAGE_LIMIT = 1_000;
const LIST_LIMIT = 100;
/** Lines of the egress log that are shown. */
const EGRESS_LIMIT = 500;

const entriesQuerySchema = pageQuerySchema(PAGE_LIMIT);

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
    .transform(cursorOf)
    .optional(),
});

/** A person who may have been signed out, or left the team, is asked again who they are; the page connects again by itself. */
const WATCH_MS = 5 * 60_000;

export const sessions = new Hono<PeopleEnv>();

sessions.route('/', shareLinks);

sessions.get('/', needs('sessions.list'), async (c) => {
  const query = listQuerySchema.safeParse(c.req.query());
  if (!query.success) return c.json(badRequest(query.error), 400);
  const { limit, before } = query.data;
  const config = readConfig(c.env);
  const database = openDatabase(c.env.DB, config.encryptionKey);
  const { person } = c.var;
  const [{ rows, last }, reinstallNeeded] = await Promise.all([
    limit === 0
      ? { rows: [], last: undefined }
      : seenSessions(c.env, database, person, { limit, ...(before && { before }) }),
    listReinstallNeeded(database),
  ]);
  const next = last && cursorText(last);
  return c.json({
    sessions: rows,
    scriptedModel: config.claude.scripted,
    reinstallNeeded: reinstallNeeded
      .filter(({ id }) => mayDo(person, 'workspace.read', { kind: 'workspace', workspaceId: id }))
      .map(({ name }) => name),
    ...(next !== undefined && { next }),
  } satisfies SessionList);
});

sessions.get('/:id', needsSession('session.read'), async (c) => {
  const query = entriesQuerySchema.safeParse(c.req.query());
  if (!query.success) return c.json(badRequest(query.error), 400);
  const { before, after, limit } = query.data;
  const { session, mayWork } = c.var;
  const page = await (before === undefined
    ? session.page(after, limit, mayWork)
    : session.pageBefore(before, limit, mayWork));
  return page ? c.body(page, 200, { 'content-type': 'application/json' }) : c.json(NO_SUCH_SESSION, 404);
});

sessions.get('/:id/pull-request', needsSession('session.read'), async (c) => {
  const look = await c.var.session.lookAtPullRequest();
  if (look === null) return c.json(NO_SUCH_SESSION, 404);
  switch (look.kind) {
    case 'status':
      return c.json(look.status satisfies PullRequestStatus);
    case 'none':
      return c.json(
        { error: 'no_pull_request', message: 'GitHub has no pull request of this session.' } satisfies ApiError,
        404,
      );
    case 'failed':
      return c.json({ error: 'github', message: look.message } satisfies ApiError, 502);
  }
});

sessions.get('/:id/find', needsSession('session.read'), async (c) => {
  const query = findQuerySchema.safeParse(c.req.query());
  if (!query.success) return c.json(badRequest(query.error), 400);
  const found = await c.var.session.find(query.data.text, query.data.before);
  return found ? c.json(found satisfies FoundEntries) : c.json(NO_SUCH_SESSION, 404);
});

sessions.get('/:id/egress', needsSession('session.read'), async (c) => {
  const page = await c.var.session.egress(EGRESS_LIMIT);
  return page ? c.json(page satisfies EgressPage) : c.json(NO_SUCH_SESSION, 404);
});

sessions.get('/:id/live', needsSession('session.read'), async (c) => {
  const request = new Request(c.req.raw);
  if (c.var.person.signInId === null) request.headers.delete(WATCH_UNTIL);
  else request.headers.set(WATCH_UNTIL, String(Date.now() + WATCH_MS));
  return c.var.session.fetch(request);
});

sessions.post('/:id/prompts', needsSession('session.work'), async (c) => {
  const body = pagePromptSchema.safeParse(await c.req.json().catch(() => null));
  if (!body.success) return c.json(badRequest(body.error), 400);
  const { id, text, answers } = body.data;
  const { name: author, person } = askerOf(c);
  const prompt = followUpPrompt({ author, text });
  const by = { promptId: id, agentSessionId: null, author, person, source: 'page' } as const;
  return deliver(c, answers ? 'session.answered' : 'session.prompted', id, {
    event: { type: 'prompted', ...by, text, ...(answers !== undefined && { answers }) },
    promptText: { followUp: prompt, first: prompt },
  });
});

sessions.post('/:id/stop', needsSession('session.work'), async (c) => {
  const body = pageStopSchema.safeParse(await c.req.json().catch(() => null));
  if (!body.success) return c.json(badRequest(body.error), 400);
  const { id, ageMs } = body.data;
  const at = ageMs === undefined ? {} : { at: Date.now() - ageMs };
  const { name: author } = askerOf(c);
  return deliver(c, 'session.stopped', id, {
    event: { type: 'stop-requested', id, agentSessionId: null, author, source: 'page', ...at },
  });
});

sessions.get('/:id/patch', needsSession('session.read'), (c) => newestPatch(c));

sessions.get('/:id/log', needsSession('session.read'), (c) => turnLogs(c));

sessions.get('/:id/shared/:hash', needsSession('session.read'), (c) =>
  sharedFile(c.env.LOGS, c.req.param('id'), c.req.param('hash'), c.req.query('name') ?? ''),
);

async function deliver(
  c: PeopleContext,
  action: `session.${string}`,
  requestId: string,
  request: Pick<Delivery, 'event' | 'promptText'>,
): Promise<Response> {
  const taken = await takeIn(c, { action, requestId, sessionId: c.req.param('id') ?? '' }, c.var.session, request);
  return taken.kind === 'refused' ? c.json(taken.problem, taken.status) : c.json({ outcome: taken.outcome }, 202);
}

function badRequest(error: z.ZodError): ApiError {
  return { error: 'bad_request', message: z.prettifyError(error) };
}
