/** Input for programs that read all of it, such as tar. */
import type { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A program that was started. */
export interface Reading {
  stdin: Writable;
  /** Rejects if the program does not end well. */
  ended: Promise<void>;
}

/**
 * Hands a stream to a program and waits for its end. Whether the program had all of it is for the program to say: Node closes the
 * input of one that has ended, and on a busy machine that happens before the last write is known to be through, which then looks
 * like input that broke off.
 * @param source what is read
 * @param through what it goes through on the way
 * @param signal ends it early
 * @throws what went wrong on the way, or what `ended` rejects with
 */
export async function feed(
  source: Readable,
  through: Transform[],
  { stdin, ended }: Reading,
  signal: AbortSignal,
): Promise<void> {
  const fed = pipeline([source, ...through, stdin], { signal }).catch((error: unknown) => {
    const isClosed = error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
    // Only once all was written: input that broke off before is a failure, whatever the program makes of it.
    if (!isClosed || !stdin.writableEnded) throw error;
  });
  await Promise.all([fed, ended]);
}
