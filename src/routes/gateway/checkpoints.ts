/**
 * The gateway's checkpoints, mounted at `/checkpoint`: `PUT /:name` and `GET /:generation/:name` for objects, `PUT /` for the
 * manifest, which comes last and makes them count.
 */
import { type Context, Hono } from 'hono';

import * as z from 'zod';
import type { Claims } from '../../gateway/token.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import {
  checkpointManifestSchema,
  checkpointObjectName,
  MAX_CHECKPOINT_OBJECT_BYTES,
  type staleCheckpointSchema,
} from '../../protocol/checkpoint.ts';
import {
  getCheckpointObject,
  putCheckpointManifest,
  putCheckpointObject,
  removeObsoleteObjects,
} from '../../store/checkpoints.ts';
import { bodyLimit } from '../middleware/body-limit.ts';
import { refuseBytes, sizedBody } from './bounded-body.ts';
import { refuse } from './problem.ts';

const MAX_MANIFEST_BYTES = 1024 * 1024;

type CheckpointEnv = { Bindings: Env; Variables: { claims: Claims } };

/** Its routes; who calls is known by then. */
export const checkpoints = new Hono<CheckpointEnv>();

checkpoints.put(
  '/',
  bodyLimit({
    maxSize: MAX_MANIFEST_BYTES,
    onError: () => refuse(413, 'too_large', `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`),
  }),
  async (c) => {
    const parsed = checkpointManifestSchema.safeParse(await c.req.json().catch(() => null));
    if (!parsed.success) return refuse(400, 'malformed', z.prettifyError(parsed.error));
    const manifest = parsed.data;
    const { claims } = c.var;
    if (manifest.generation !== claims.g || manifest.repository !== claims.r || manifest.branch !== claims.b) {
      return refuse(403, 'wrong_generation', 'this token is for another generation, repository or branch');
    }
    const session = c.env.ISSUE_SESSION.get(c.env.ISSUE_SESSION.idFromString(claims.s));
    const noted = await session.noteCheckpoint(manifest);
    switch (noted.kind) {
      case 'superseded':
        return refuse(409, 'superseded', noted.message);
      case 'read-only':
        return refuse(503, 'read_only', noted.message);
      case 'stale': {
        const stale: z.infer<typeof staleCheckpointSchema> = {
          error: 'stale',
          message: 'there is a newer checkpoint',
          sequence: noted.sequence,
        };
        return c.json(stale, 409);
      }
      case 'noted':
        await tidy(c, claims.s, manifest, noted.before);
        return c.json({ sequence: manifest.sequence }, 201);
    }
  },
);

checkpoints.put('/:name', async (c) => {
  const name = c.req.param('name');
  if (!checkpointObjectName.safeParse(name).success) {
    return refuse(400, 'malformed', 'this is not the name of a checkpoint object');
  }
  const sized = sizedBody(c.req.raw, 'an object', MAX_CHECKPOINT_OBJECT_BYTES);
  if (sized instanceof Response) return sized;
  const { body, bytes } = sized;
  const { s, g } = c.var.claims;
  const over = await refuseBytes(c.env, s, bytes);
  if (over) return over;
  await putCheckpointObject(c.env.LOGS, s, g, name, body, bytes);
  return c.json({ bytes }, 201);
});

checkpoints.get('/:generation{[1-9][0-9]{0,8}}/:name', async (c) => {
  const { generation, name } = c.req.param();
  const isName = checkpointObjectName.safeParse(name).success;
  // A life restores what one before it kept.
  const stored = isName ? await getCheckpointObject(c.env.LOGS, c.var.claims.s, Number(generation), name) : null;
  if (!stored) return refuse(404, 'not_found', 'this object of a checkpoint is not stored');
  return new Response(stored.body, {
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(stored.size) },
  });
});

/** What is left undone here costs a little space, and is found by the first checkpoint of the next life. */
async function tidy(
  c: Context<CheckpointEnv>,
  sessionId: string,
  manifest: z.infer<typeof checkpointManifestSchema>,
  before: z.infer<typeof checkpointManifestSchema> | null,
): Promise<void> {
  try {
    await putCheckpointManifest(c.env.LOGS, sessionId, manifest);
    await removeObsoleteObjects(c.env.LOGS, sessionId, manifest, before);
  } catch (error) {
    log('checkpoint.prune.failed', {
      session: sessionId,
      error: asError(error),
    });
  }
}
