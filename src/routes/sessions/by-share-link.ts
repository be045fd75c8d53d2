/**
 * `GET /api/share-links/:id`: a page of a session's journal for who has the secret of a share link. It changes nothing, and no other route takes
 * such a secret. The secret comes in a header: addresses are written into logs and histories.
 */
import { Hono } from 'hono';
import * as z from 'zod';
import { type ApiError, pageQuerySchema } from '../../protocol/api.ts';
import { SHARE_HEADER } from '../../protocol/share-links.ts';
import { hashOf } from '../../store/people/sign-ins.ts';
import { type PeopleEnv, servesOthers, stubOf } from '../middleware/needs.ts';

/** Entries in one page. */
const PAGE_LIMIT = 300;

const querySchema = pageQuerySchema(PAGE_LIMIT);

const SECRET = /^[\w-]{43}$/;
/** Whether there is such a session, and whether it was shared, is the same answer: strangers learn nothing of it. */
const NOT_SHARED: ApiError = {
  error: 'no_such_session',
  message:
    'This link shows nothing: it has ended, or it is incomplete. Ask the person who gave it to you for another one.',
};

export const byShareLink = new Hono<PeopleEnv>();

byShareLink.get('/:id', servesOthers('share link'), async (c) => {
  const query = querySchema.safeParse(c.req.query());
  if (!query.success) {
    return c.json({ error: 'bad_request', message: z.prettifyError(query.error) } satisfies ApiError, 400);
  }
  const secret = c.req.header(SHARE_HEADER) ?? '';
  const session = SECRET.test(secret) ? stubOf(c.env, c.req.param('id')) : null;
  const page = await session?.sharedPage(await hashOf(secret), query.data, Date.now());
  return page ? c.body(page, 200, { 'content-type': 'application/json' }) : c.json(NOT_SHARED, 404);
});
