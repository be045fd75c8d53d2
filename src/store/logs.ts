/**
 * What is kept of a session in R2: for each turn its journal (gzip of JSON lines) and a Markdown log for people, for
 * each saved head the patch against the base branch.
 *
 * `logs/<id>/0001.jsonl.gz`, `logs/<id>/0001.md`, `patches/<id>/<head>.patch`
 */

import {
  deleteObject,
  getObject,
  hasObject,
  LogKeyError,
  type ObjectPlace,
  placeOf,
} from './keeping/session-objects.ts';
import { putPieces, putStream } from './put-stream.ts';

/** Largest patch that is stored, in bytes. */
export const MAX_PATCH_BYTES = 50 * 1024 * 1024;
/** JSON lines are joined to pieces of about this size (UTF-16 code units) before they are compressed. */
const PIECE_LENGTH = 64 * 1024;

/** The patch is larger than `MAX_PATCH_BYTES`, or its announced size is not a size. */
export class PatchSizeError extends Error {
  override readonly name = 'PatchSizeError';
}

/** True for a full commit id: 40 hex digits (SHA-1) up to 64 (SHA-256), lower case. */
export function isCommitId(text: string): boolean {
  return /^[0-9a-f]{40,64}$/.test(text);
}

/**
 * Stores the log of one turn; storing it again replaces it.
 * @param entries the turn's journal entries in their order; taken one by one, never all in memory
 * @param markdown the same for people, in pieces
 * @throws LogKeyError; R2's errors as they are
 */
export async function putTurnLog(
  bucket: R2Bucket,
  sessionId: string,
  turn: number,
  entries: Iterable<unknown>,
  markdown: Iterable<string>,
): Promise<void> {
  const { key } = turnPlace(sessionId, turn, 'jsonl.gz');
  const compressed = utf8(jsonLines(entries)).pipeThrough(new CompressionStream('gzip'));
  // One after the other: each holds one part of the upload in memory.
  await putPieces(bucket, key, compressed, { httpMetadata: { contentType: 'application/gzip' } });
  const type = 'text/markdown; charset=utf-8';
  await putPieces(bucket, turnPlace(sessionId, turn, 'md').key, utf8(markdown), {
    httpMetadata: { contentType: type },
  });
}

/** The journal entries of a turn as JSON lines (uncompressed, UTF-8), or null. @throws LogKeyError */
export async function getTurnLog(
  bucket: R2Bucket,
  sessionId: string,
  turn: number,
): Promise<ReadableStream<Uint8Array> | null> {
  const stored = await getObject(bucket, turnPlace(sessionId, turn, 'jsonl.gz'));
  return stored?.body.pipeThrough(new DecompressionStream('gzip')) ?? null;
}

/** The Markdown log of a turn, or null. @throws LogKeyError */
export async function getTurnMarkdown(
  bucket: R2Bucket,
  sessionId: string,
  turn: number,
): Promise<ReadableStream<Uint8Array> | null> {
  const stored = await getObject(bucket, turnPlace(sessionId, turn, 'md'));
  return stored?.body ?? null;
}

/**
 * Stores the patch of a head, streamed through; the same head again replaces it with the same.
 * @param size exact size of the patch in bytes; R2 needs it beforehand
 * @throws LogKeyError, PatchSizeError; R2's errors as they are, also when the body does not have the announced size
 */
export async function putPatch(
  bucket: R2Bucket,
  sessionId: string,
  head: string,
  body: ReadableStream<Uint8Array>,
  size: number,
): Promise<void> {
  const { key } = patchPlace(sessionId, head);
  if (!Number.isSafeInteger(size) || size < 0) throw new PatchSizeError('the size of the patch must be given in bytes');
  if (size > MAX_PATCH_BYTES) {
    throw new PatchSizeError(`the patch has ${size} bytes, more than the ${MAX_PATCH_BYTES} that are stored`);
  }
  await putStream(bucket, key, body, size, { httpMetadata: { contentType: 'text/x-patch; charset=utf-8' } });
}

/** The patch of a head with its size in bytes, or null. @throws LogKeyError */
export async function getPatch(
  bucket: R2Bucket,
  sessionId: string,
  head: string,
): Promise<{ body: ReadableStream<Uint8Array>; size: number } | null> {
  const stored = await getObject(bucket, patchPlace(sessionId, head));
  return stored ? { body: stored.body, size: stored.size } : null;
}

/** Whether the patch of a head is there. @throws LogKeyError; R2's errors as they are */
export async function hasPatch(bucket: R2Bucket, sessionId: string, head: string): Promise<boolean> {
  return hasObject(bucket, patchPlace(sessionId, head));
}

/** Forgets the patch of a head; one that is not there is no error. @throws LogKeyError; R2's errors as they are */
export async function deletePatch(bucket: R2Bucket, sessionId: string, head: string): Promise<void> {
  await deleteObject(bucket, patchPlace(sessionId, head));
}

function turnPlace(sessionId: string, turn: number, type: 'jsonl.gz' | 'md'): ObjectPlace {
  if (!Number.isSafeInteger(turn) || turn < 0) throw new LogKeyError('a turn is a number from 0');
  return placeOf('logs', sessionId, `${String(turn).padStart(4, '0')}.${type}`);
}

function patchPlace(sessionId: string, head: string): ObjectPlace {
  if (!isCommitId(head)) throw new LogKeyError('a head is a full commit id: 40 to 64 hex digits');
  return placeOf('patches', sessionId, `${head}.patch`);
}

function* jsonLines(entries: Iterable<unknown>): Generator<string, void, undefined> {
  for (const entry of entries) yield `${JSON.stringify(entry)}\n`;
}

/** Texts as bytes, joined to pieces of a good size, made as they are taken. */
function utf8(texts: Iterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = texts[Symbol.iterator]();
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      let piece = '';
      while (piece.length < PIECE_LENGTH) {
        const next = iterator.next();
        if (next.done) {
          if (piece !== '') controller.enqueue(encoder.encode(piece));
          controller.close();
          return;
        }
        piece += next.value;
      }
      controller.enqueue(encoder.encode(piece));
    },
    cancel() {
      iterator.return?.();
    },
  });
}
