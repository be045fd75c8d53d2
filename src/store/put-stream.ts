/** A stream into R2. */

/**
 * Stores a stream of known length. R2 takes one only where the runtime knows its length
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
