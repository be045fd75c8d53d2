/** `/api/v1/sessions`: the list, a session, its journal, log and patch. */
import type { Hono } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { sessionPageSchema } from '../../protocol/api.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import type { Entries, Sessions } from '../../protocol/v1/schemas.ts';
import { openDatabase } from '../../store/database.ts';
import { NO_SUCH_SESSION, needs, needsSession, type PeopleEnv } from '../middleware/needs.ts';
import { cursorOf, cursorText, seenSessions } from '../sessions/seen-sessions.ts';
import { newestPatch, turnLogs } from '../sessions/work-files.ts';
import { serve } from './serve.ts';

/** Adds the routes. */
export function sessionRoutes(api: Hono<PeopleEnv>): void {
  serve(api, OPERATIONS.listSessions, needs('sessions.list'), async (c, { query: { limit, cursor } }) => {
    const database = openDatabase(c.env.DB, readConfig(c.env).encryptionKey);
    const before = cursor === undefined ? {} : { before: cursorOf(cursor) };
    const { rows, last } = await seenSessions(c.env, database, c.var.person, { limit, ...before });
    return c.json({ data: rows, next: last ? cursorText(last) : null } satisfies Sessions);
  });

  serve(api, OPERATIONS.getSession, needsSession('session.read'), async (c) => {
    const page = await c.var.session.page(0, 1);
    return page === null ? c.json(NO_SUCH_SESSION, 404) : c.json(sessionPageSchema.parse(JSON.parse(page)).session);
  });

  serve(api, OPERATIONS.listEntries, needsSession('session.read'), async (c, { query: { after, limit } }) => {
    const page = await c.var.session.page(after, limit);
    if (page === null) return c.json(NO_SUCH_SESSION, 404);
    const { entries, head } = sessionPageSchema.parse(JSON.parse(page));
    const last = entries.at(-1)?.seq;
    return c.json({ data: entries, next: last !== undefined && last < head ? last : null, head } satisfies Entries);
  });

  serve(api, OPERATIONS.getLog, needsSession('session.read'), (c) => turnLogs(c));
  serve(api, OPERATIONS.getDiff, needsSession('session.read'), (c) => newestPatch(c));
}
