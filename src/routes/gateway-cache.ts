/**
 * The gateway's cache of a repository, mounted at `/cache`: `GET /:entry` and `GET /:entry/:version/:part` for whoever starts,
 * `PUT /:entry/:version/:part` and at last `PUT /:entry` for whoever has something to keep, `DELETE /:entry` for what is of no
 * use. The workspace and the repository are those of the caller's token.
 */
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import type { Claims } from '../gateway/token.ts';
import {
  cacheEntrySchema,
  cacheManifestSchema,
  cacheVersionSchema,
  MAX_CACHE_PART_BYTES,
  MAX_CACHE_PARTS,
} from '../protocol/repository-cache.ts';
import type { Refusal } from '../protocol/sandbox.ts';
import {
  type CachePlace,
  getCachePart,
  publishCacheEntry,
  putCachePart,
  readCacheEntry,
  removeCacheEntry,
} from '../store/repository-cache.ts';

const MAX_MANIFEST_BYTES = 4_096;

type CacheEnv = { Bindings: Env; Variables: { claims: Claims } };
type CacheContext = Context<CacheEnv>;

/** Its routes; who calls is known by then. */
export const cache = new Hono<CacheEnv>();

cache.use('/:entry/:version/:part', checkNames);
cache.use('/:entry', checkNames);

cache.get('/:entry', async (c) => {
  const kept = await readCacheEntry(c.env.LOGS, placeOf(c), c.req.param('entry'));
  return kept ? c.json(kept) : c.json(refusal('not_found', 'nothing of this name is kept'), 404);
});

cache.get('/:entry/:version/:part', async (c) => {
  const { entry, version, part } = c.req.param();
  const stored = await getCachePart(c.env.LOGS, placeOf(c), entry, version, Number(part));
  if (!stored) return c.json(refusal('not_found', 'this part is not kept'), 404);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(stored.size) };
  return new Response(stored.body, { headers });
});

cache.put('/:entry/:version/:part', async (c) => {
  const { entry, version, part } = c.req.param();
  const forbidden = await whyNotWritten(c, entry);
  if (forbidden) return c.json(forbidden, 403);
  const length = c.req.header('content-length');
  if (length === undefined || !/^\d+$/.test(length)) {
    return c.json(refusal('length_required', 'a part is sent with its Content-Length'), 411);
  }
  const bytes = Number(length);
  if (bytes > MAX_CACHE_PART_BYTES) {
    return c.json(refusal('too_large', `a part has at most ${MAX_CACHE_PART_BYTES} bytes`), 413);
  }
  const { body } = c.req.raw;
  if (!body || bytes === 0) return c.json(refusal('malformed', 'the part is empty'), 400);
  await putCachePart(c.env.LOGS, placeOf(c), { entry, version, part: Number(part) }, body, bytes);
  return c.json({ bytes }, 201);
});

cache.put(
  '/:entry',
  bodyLimit({
    maxSize: MAX_MANIFEST_BYTES,
    onError: (c) => c.json(refusal('too_large', `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`), 413),
  }),
  async (c) => {
    const entry = c.req.param('entry');
    const forbidden = await whyNotWritten(c, entry);
    if (forbidden) return c.json(forbidden, 403);
    const parsed = cacheManifestSchema.safeParse(await c.req.json().catch(() => null));
    if (!parsed.success) return c.json(refusal('malformed', z.prettifyError(parsed.error)), 400);
    switch (await publishCacheEntry(c.env.LOGS, placeOf(c), entry, parsed.data, Date.now())) {
      case 'published':
        return c.json({ version: parsed.data.version }, 201);
      case 'taken':
        return c.json(refusal('taken', 'this is kept already'), 409);
      case 'incomplete':
        return c.json(refusal('incomplete', 'not all of its parts are stored'), 409);
      case 'too-large':
        return c.json(refusal('too_large', 'what a setup script makes is kept up to 500 MB'), 413);
    }
  },
);

cache.delete('/:entry', async (c) => {
  const entry = c.req.param('entry');
  const forbidden = await whyNotWritten(c, entry);
  if (forbidden) return c.json(forbidden, 403);
  await removeCacheEntry(c.env.LOGS, placeOf(c), entry);
  return c.body(null, 204);
});

async function checkNames(c: CacheContext, next: () => Promise<void>): Promise<Response | undefined> {
  const { entry, version, part } = c.req.param() as Record<string, string | undefined>;
  const isNamed =
    cacheEntrySchema.safeParse(entry).success &&
    (version === undefined || cacheVersionSchema.safeParse(version).success) &&
    (part === undefined || (/^\d{1,2}$/.test(part) && Number(part) < MAX_CACHE_PARTS));
  if (!isNamed) return c.json(refusal('malformed', 'this is no name of something that is kept'), 400);
  await next();
}

/**
 * What a setup script made runs in sessions to come, so it is taken only before Claude has done anything in this one: by
 * then a session holds nothing but what its repository's base branch brings. A bundle can do no such harm: its commits are
 * known by their hashes, and which of them counts is what the git host says.
 */
async function whyNotWritten(c: CacheContext, entry: string): Promise<Refusal | null> {
  if (!entry.startsWith('setup-')) return null;
  const { s, g } = c.var.claims;
  const session = c.env.ISSUE_SESSION.get(c.env.ISSUE_SESSION.idFromString(s));
  const isUntouched = await session.isBeforeClaude(g);
  return isUntouched ? null : refusal('too_late', 'what a setup script made is taken only before Claude is started');
}

function placeOf(c: CacheContext): CachePlace {
  const { w, r } = c.var.claims;
  return { workspaceId: w, fullName: r };
}

function refusal(error: string, message: string): Refusal {
  return { error, message };
}
