/**
 * The objects of checkpoints in R2: bundles of git and parts of Claude's files, by session and generation, and beside them
 * the newest manifest, for people. Which checkpoint counts is decided by the issue session, which holds the manifest too.
 *
 * `checkpoints/<id>/<generation>/<name>`, `checkpoints/<id>/manifest.json`
 */
import { batches } from '../lib/concurrency.ts';
import {
  type CheckpointManifest,
  checkpointObjectName,
  checkpointObjects,
  MAX_CHECKPOINT_OBJECT_BYTES,
} from '../protocol/checkpoint.ts';
import {
  getObject,
  LogKeyError,
  listObjects,
  MAX_DELETED_TOGETHER,
  type ObjectPlace,
  placeOf,
} from './keeping/session-objects.ts';
import { putStream } from './put-stream.ts';

const MANIFEST = 'manifest.json';

/**
 * Stores an object of a checkpoint, streamed through.
 * @param generation the life of the sandbox that sends it
 * @param name as `checkpointObjectName` allows
 * @param size exact size in bytes
 * @throws LogKeyError; RangeError for a size past MAX_CHECKPOINT_OBJECT_BYTES; R2's errors as they are
 */
export async function putCheckpointObject(
  bucket: R2Bucket,
  sessionId: string,
  generation: number,
  name: string,
  body: ReadableStream<Uint8Array>,
  size: number,
): Promise<void> {
  const { key } = objectPlace(sessionId, generation, name);
  if (!Number.isSafeInteger(size) || size < 0 || size > MAX_CHECKPOINT_OBJECT_BYTES) {
    throw new RangeError(`an object of a checkpoint has at most ${MAX_CHECKPOINT_OBJECT_BYTES} bytes`);
  }
  await putStream(bucket, key, body, size);
}

/** An object of a checkpoint with its size in bytes, or null. @throws LogKeyError */
export async function getCheckpointObject(
  bucket: R2Bucket,
  sessionId: string,
  generation: number,
  name: string,
): Promise<{ body: ReadableStream<Uint8Array>; size: number } | null> {
  const stored = await getObject(bucket, objectPlace(sessionId, generation, name));
  return stored ? { body: stored.body, size: stored.size } : null;
}

/** Notes which checkpoint is the newest, for people who look into the bucket. @throws LogKeyError; R2's errors */
export async function putCheckpointManifest(
  bucket: R2Bucket,
  sessionId: string,
  manifest: CheckpointManifest,
): Promise<void> {
  const httpMetadata = { contentType: 'application/json; charset=utf-8' };
  await bucket.put(placeOf('checkpoints', sessionId, MANIFEST).key, JSON.stringify(manifest), { httpMetadata });
}

/**
 * Removes what a new checkpoint has made pointless: objects of the one before it in the same life; and everything of earlier
 * lives, once this one has taken up what they kept or has completed a turn (`settled`): until then people may need it.
 * @param before the checkpoint that counted until now; null if there was none
 * @throws LogKeyError; R2's errors as they are
 */
export async function removeObsoleteObjects(
  bucket: R2Bucket,
  sessionId: string,
  manifest: CheckpointManifest,
  before: CheckpointManifest | null,
): Promise<void> {
  const { generation } = manifest;
  const isNewGeneration = before?.generation !== generation;
  const gone: string[] = [];
  if (manifest.settled && (isNewGeneration || !before.settled)) {
    const own = placeOf('checkpoints', sessionId, `${generation}/`);
    const manifestKey = placeOf('checkpoints', sessionId, MANIFEST).key;
    const isKept = (key: string) => key.startsWith(own.key) || key.startsWith(own.before) || key === manifestKey;
    for await (const objects of listObjects(bucket, 'checkpoints', sessionId)) {
      gone.push(...objects.map(({ key }) => key).filter((key) => !isKept(key)));
    }
  }
  if (before && !isNewGeneration) {
    const kept = new Set(checkpointObjects(manifest).map(({ name }) => name));
    for (const { name } of checkpointObjects(before)) {
      if (kept.has(name)) continue;
      const { key, before: former } = objectPlace(sessionId, generation, name);
      gone.push(key, former);
    }
  }
  for (const keys of batches(gone, MAX_DELETED_TOGETHER)) await bucket.delete(keys);
}

function objectPlace(sessionId: string, generation: number, name: string): ObjectPlace {
  if (!Number.isSafeInteger(generation) || generation < 1) throw new LogKeyError('a generation is a number from 1');
  if (!checkpointObjectName.safeParse(name).success)
    throw new LogKeyError('this is not the name of a checkpoint object');
  return placeOf('checkpoints', sessionId, `${generation}/${name}`);
}
