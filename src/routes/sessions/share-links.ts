/** `/api/sessions/:id/share-links`: the addresses by which anyone may look at a session, made, listed and ended by who works in it. */
import { Hono } from 'hono';
import * as z from 'zod';
import { readConfig } from '../../config/read-config.ts';
import { toBase64Url } from '../../lib/base64url.ts';
import type { ApiError } from '../../protocol/api.ts';
import { MOST_SHARE_LINKS, type NewShareLink, type ShareLinks, shareInputSchema } from '../../protocol/share-links.ts';
import { audit } from '../../store/audit.ts';
import { openDatabase } from '../../store/database.ts';
import { hashOf } from '../../store/people/sign-ins.ts';
import { NO_SUCH_SESSION, needsSession, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';

const SECRET_BYTES = 32;
const DAY_MS = 24 * 3_600_000;

export const shareLinks = new Hono<PeopleEnv>();

shareLinks.get('/:id/share-links', needsSession('session.work'), async (c) => {
  const links = await c.var.session.shareLinks(Date.now());
  return links ? c.json({ links } satisfies ShareLinks) : c.json(NO_SUCH_SESSION, 404);
});

/** The one time that the secret is shown. */
shareLinks.post('/:id/share-links', needsSession('session.work'), async (c) => {
  const body = shareInputSchema.safeParse(await c.req.json().catch(() => null));
  if (!body.success) {
    return c.json({ error: 'bad_request', message: z.prettifyError(body.error) } satisfies ApiError, 400);
  }
  const whose = await c.var.session.whose();
  if (whose === null) return c.json(NO_SUCH_SESSION, 404);
  const secret = toBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
  const now = Date.now();
  const by = c.var.person.name;
  const link = { id: crypto.randomUUID(), by, createdAt: now, expiresAt: now + body.data.days * DAY_MS };
  // Noted before it works: no link is good that the audit log does not know.
  await note(c, whose.workspaceId, 'session.shared', { link: link.id, days: body.data.days });
  const added = await c.var.session.addShareLink({ ...link, secretHash: await hashOf(secret) });
  if (added === 'no-such-session') return c.json(NO_SUCH_SESSION, 404);
  if (added === 'too-many') {
    const message = `This session has ${MOST_SHARE_LINKS} share links, and may have no more: end those that nobody uses.`;
    return c.json({ error: 'too_many_share_links', message } satisfies ApiError, 409);
  }
  return c.json({ ...link, secret } satisfies NewShareLink, 201);
});

shareLinks.delete('/:id/share-links/:link', needsSession('session.work'), async (c) => {
  const id = c.req.param('link');
  if (!(await c.var.session.endShareLink(id))) {
    const message = 'This session has no share link with this id.';
    return c.json({ error: 'no_such_share_link', message } satisfies ApiError, 404);
  }
  await note(c, (await c.var.session.whose())?.workspaceId ?? null, 'session.unshared', { link: id });
  return c.body(null, 204);
});

/** @param workspaceId the session's, also where an owner was let in without a look at it */
async function note(
  c: PeopleContext,
  workspaceId: string | null,
  action: 'session.shared' | 'session.unshared',
  facts: { link: string; days?: number },
): Promise<void> {
  const { person } = c.var;
  const { encryptionKey } = readConfig(c.env);
  const details = { session: c.req.param('id') ?? '', name: person.name, ...facts };
  await audit(openDatabase(c.env.DB, encryptionKey), {
    at: Date.now(),
    actor: person.key,
    action,
    workspaceId,
    details,
  });
}
