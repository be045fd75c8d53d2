/**
 * The objects of checkpoints in R2: bundles of git and parts of Claude's files, by session and generation, and beside them
 * the newest manifest, for people. Which checkpoint counts is decided by the issue session, which holds the manifest too.
 *
 * `sessions/<id>/checkpoint/<generation>/<name>`, `sessions/<id>/checkpoint/manifest.json`
 */
import {
  type CheckpointManifest,
  checkpointObjectName,
  checkpointObjects,
  MAX_CHECKPOINT_OBJECT_BYTES,
} from '../protocol/checkpoint.ts';
import { LogKeyError } from './logs.ts';
import { putStream } from './put-stream.ts';

/** R2 deletes at most this many objects in one call. */
const MAX_DELETED_TOGETHER = 1_000;

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
  const key = objectKey(sessionId, generation, name);
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
  const stored = await bucket.get(objectKey(sessionId, generation, name));
  return stored ? { body: stored.body, size: stored.size } : null;
}

/** Notes which checkpoint is the newest, for people who look into the bucket. @throws LogKeyError; R2's errors */
export async function putCheckpointManifest(
  bucket: R2Bucket,
  sessionId: string,
  manifest: CheckpointManifest,
): Promise<void> {
  const httpMetadata = { contentType: 'application/json; charset=utf-8' };
  await bucket.put(`${prefix(sessionId)}/manifest.json`, JSON.stringify(manifest), { httpMetadata });
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
    const own = `${prefix(sessionId)}/${generation}/`;
    for (let cursor: string | undefined, more = true; more; ) {
      const page = await bucket.list({ prefix: `${prefix(sessionId)}/`, ...(cursor !== undefined && { cursor }) });
      for (const { key } of page.objects) {
        if (!key.startsWith(own) && !key.endsWith('/manifest.json')) gone.push(key);
      }
      more = page.truncated;
      cursor = page.truncated ? page.cursor : undefined;
    }
  }
  if (before && !isNewGeneration) {
    const kept = new Set(checkpointObjects(manifest).map(({ name }) => name));
    for (const { name } of checkpointObjects(before)) {
      if (!kept.has(name)) gone.push(objectKey(sessionId, generation, name));
    }
  }
  for (let at = 0; at < gone.length; at += MAX_DELETED_TOGETHER) {
    await bucket.delete(gone.slice(at, at + MAX_DELETED_TOGETHER));
  }
}

function prefix(sessionId: string): string {
  if (!/^[0-9a-f]{64}$/.test(sessionId)) throw new LogKeyError('a session id is 64 hex digits');
  return `sessions/${sessionId}/checkpoint`;
}

function objectKey(sessionId: string, generation: number, name: string): string {
  if (!Number.isSafeInteger(generation) || generation < 1) throw new LogKeyError('a generation is a number from 1');
  if (!checkpointObjectName.safeParse(name).success)
    throw new LogKeyError('this is not the name of a checkpoint object');
  return `${prefix(sessionId)}/${generation}/${name}`;
}
