/**
 * Files that Claude shared, kept in R2 by what they hold: `shared/<id>/<SHA-256>`. The same content again is the
 * same file, whatever it is called.
 */

import { sha256 } from '../lib/hex.ts';
import { isFileHash, MAX_SHARED_BYTES } from '../protocol/files.ts';
import {
  getObject,
  hasObject,
  LogKeyError,
  listObjects,
  type ObjectPlace,
  placeOf,
} from './keeping/session-objects.ts';

/** Most different files that are kept of a session. */
const MAX_KEPT = 500;

/** The file was not stored: why, as text for users. */
export class SharedFileError extends Error {
  override readonly name = 'SharedFileError';
}

/**
 * Stores a file; the same again changes nothing.
 * @param type media type by content
 * @throws SharedFileError if it is too large, not what its hash says, or one too many; LogKeyError; R2's errors as they are
 */
export async function putSharedFile(
  bucket: R2Bucket,
  sessionId: string,
  hash: string,
  content: ArrayBuffer,
  type: string,
): Promise<void> {
  const place = sharedPlace(sessionId, hash);
  if (content.byteLength > MAX_SHARED_BYTES)
    throw new SharedFileError(`a shared file has at most ${MAX_SHARED_BYTES} bytes`);
  if ((await sha256(content)) !== hash) throw new SharedFileError('the file does not have this SHA-256');
  if (await hasObject(bucket, place)) return;
  let kept = 0;
  for await (const objects of listObjects(bucket, 'shared', sessionId)) kept += objects.length;
  if (kept >= MAX_KEPT) throw new SharedFileError(`the session has shared ${MAX_KEPT} files, which is the limit`);
  await bucket.put(place.key, content, { httpMetadata: { contentType: type } });
}

/** A file with its media type and size in bytes, or null. @throws LogKeyError */
export async function getSharedFile(
  bucket: R2Bucket,
  sessionId: string,
  hash: string,
): Promise<{ body: ReadableStream<Uint8Array>; type: string; size: number } | null> {
  const stored = await getObject(bucket, sharedPlace(sessionId, hash));
  if (!stored) return null;
  return { body: stored.body, type: stored.httpMetadata?.contentType ?? 'application/octet-stream', size: stored.size };
}

function sharedPlace(sessionId: string, hash: string): ObjectPlace {
  if (!isFileHash(hash)) throw new LogKeyError('a shared file is named by its SHA-256');
  return placeOf('shared', sessionId, hash);
}
