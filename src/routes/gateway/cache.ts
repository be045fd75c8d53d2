/**
 * The gateway's cache of a repository, mounted at `/cache`: `GET /:entry` and `GET /:entry/:version/:part` for a sandbox that starts,
 * `PUT /:entry/:version/:part` and at last `PUT /:entry` for a sandbox that has something to keep. Nothing is removed by a sandbox. The workspace and the repository are those of the caller's token.
 */
import { type Context, Hono } from 'hono';

import * as z from 'zod';
import type { Claims } from '../../gateway/token.ts';
import {
  cacheEntrySchema,
  cacheManifestSchema,
  cacheVersionSchema,
  MAX_CACHE_PART_BYTES,
  MAX_CACHE_PARTS,
} from '../../protocol/repository-cache.ts';
import {
  type CachePlace,
  getCachePart,
  publishCacheEntry,
  putCachePart,
  readCacheEntry,
} from '../../store/repository-cache.ts';
import { bodyLimit } from '../middleware/body-limit.ts';
import { refuseBytes, sizedBody } from './bounded-body.ts';
import { type CacheGround, whyNotKept } from './cache-rules.ts';
import { refuse } from './problem.ts';

const MAX_MANIFEST_BYTES = 4_096;

type CacheEnv = { Bindings: Env; Variables: { claims: Claims; ground: CacheGround } };
type CacheContext = Context<CacheEnv>;

/** Its routes; who calls is known by then. */
export const cache = new Hono<CacheEnv>();

// A token of before does not say which repository is behind its name.
cache.use(async (c, next) =>
  c.var.claims.i === undefined ? refuse(404, 'not_found', 'nothing is cached for this session') : next(),
);
cache.use('/:entry/:version/:part', checkNames);
cache.use('/:entry', checkNames);

cache.get('/:entry', async (c) => {
  const kept = await readCacheEntry(c.env.LOGS, placeOf(c), c.req.param('entry'), Date.now());
  return kept ? c.json(kept) : refuse(404, 'not_found', 'there is no cache entry of this name');
});

cache.get('/:entry/:version/:part', async (c) => {
  const { entry, version, part } = c.req.param();
  const stored = await getCachePart(c.env.LOGS, placeOf(c), entry, version, Number(part));
  if (!stored) return refuse(404, 'not_found', 'this part is not cached');
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(stored.size) };
  return new Response(stored.body, { headers });
});

cache.put('/:entry/:version/:part', async (c) => {
  const { entry, version, part } = c.req.param();
  const sized = sizedBody(c.req.raw, 'a part', MAX_CACHE_PART_BYTES);
  if (sized instanceof Response) return sized;
  const { body, bytes } = sized;
  const over = await refuseBytes(c.env, c.var.claims.s, bytes);
  if (over) return over;
  await putCachePart(c.env.LOGS, placeOf(c), { entry, version, part: Number(part) }, body, bytes);
  return c.json({ bytes }, 201);
});

cache.put(
  '/:entry',
  bodyLimit({
    maxSize: MAX_MANIFEST_BYTES,
    onError: () => refuse(413, 'too_large', `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`),
  }),
  async (c) => {
    const entry = c.req.param('entry');
    const parsed = cacheManifestSchema.safeParse(await c.req.json().catch(() => null));
    if (!parsed.success) return refuse(400, 'malformed', z.prettifyError(parsed.error));
    const why = await whyNotKept(entry, parsed.data.commit, c.var.ground);
    if (why) return c.json(why, 403);
    switch (await publishCacheEntry(c.env.LOGS, placeOf(c), entry, parsed.data, Date.now())) {
      case 'published':
        return c.json({ version: parsed.data.version }, 201);
      case 'taken':
        return refuse(409, 'taken', 'this is already cached');
      case 'incomplete':
        return refuse(409, 'incomplete', 'some of its parts are not stored');
      case 'too-large':
        return refuse(413, 'too_large', 'the result of a setup script is cached up to 500 MB');
    }
  },
);

async function checkNames(c: CacheContext, next: () => Promise<void>): Promise<Response | undefined> {
  const { entry, version, part } = c.req.param() as Record<string, string | undefined>;
  const isNamed =
    cacheEntrySchema.safeParse(entry).success &&
    (version === undefined || cacheVersionSchema.safeParse(version).success) &&
    (part === undefined || (/^\d{1,2}$/.test(part) && Number(part) < MAX_CACHE_PARTS));
  if (!isNamed) return refuse(400, 'malformed', 'this is not the name of a cache entry');
  await next();
}

function placeOf(c: CacheContext): CachePlace {
  const { w, r, i = '' } = c.var.claims;
  return { workspaceId: w, fullName: r, identity: i };
}
