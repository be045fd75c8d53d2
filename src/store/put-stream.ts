/** A stream into R2. */

/**
 * Stores a stream of known length. R2 takes one only if the runtime knows its length
 * (developers.cloudflare.com/r2/api/workers/workers-api-reference, `put`).
 * @param size bytes; what brings more or fewer is not stored
 * @throws R2's errors, and those of the stream, as they are
 */
export async function putStream(
  bucket: R2Bucket,
  key: string,
  body: ReadableStream<Uint8Array>,
  size: number,
  options: R2PutOptions = {},
): Promise<void> {
  const { readable, writable } = new FixedLengthStream(size);
  // Both are awaited: a put that fails must not leave the pipe behind as an unhandled rejection, nor the other way round.
  const outcomes = await Promise.allSettled([bucket.put(key, readable, options), body.pipeTo(writable)]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** Size of the parts of an upload, in bytes: R2 wants at least 5 MiB, and all but the last of one size. */
const PART_BYTES = 5 * 1024 * 1024;

/**
 * Stores a stream of unknown length. One part of it is in memory at a time; what is short enough is stored as a whole. What
 * breaks off leaves nothing.
 * @throws R2's errors, and those of the stream, as they are
 */
export async function putPieces(
  bucket: R2Bucket,
  key: string,
  body: ReadableStream<Uint8Array>,
  options: R2MultipartOptions,
): Promise<void> {
  const parts = inParts(body);
  const first = await parts.next();
  const begun = first.done ? new Uint8Array() : first.value;
  if (begun.length < PART_BYTES) {
    await bucket.put(key, begun, options);
    return;
  }
  const upload = await bucket.createMultipartUpload(key, options);
  try {
    const uploaded = [await upload.uploadPart(1, begun)];
    for await (const part of parts) uploaded.push(await upload.uploadPart(uploaded.length + 1, part));
    await upload.complete(uploaded);
  } catch (error) {
    // R2 forgets an upload that is not completed by itself, after a week.
    await upload.abort().catch(() => {});
    throw error;
  }
}

/** The stream in parts of `PART_BYTES`, the last one shorter. */
async function* inParts(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let part = new Uint8Array(PART_BYTES);
  let filled = 0;
  for await (const chunk of body) {
    for (let from = 0; from < chunk.length; ) {
      const taken = Math.min(chunk.length - from, PART_BYTES - filled);
      part.set(chunk.subarray(from, from + taken), filled);
      filled += taken;
      from += taken;
      if (filled < PART_BYTES) continue;
      yield part;
      part = new Uint8Array(PART_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}
