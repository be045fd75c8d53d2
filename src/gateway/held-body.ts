/**
 * Bodies that are taken whole before they are sent on. Read in one piece a body costs a fraction of what it costs in the
 * pieces that a socket gives, and what is refused was not sent in part. Memory is bounded: what is larger, or comes while
 * much is held already, is streamed.
 */

/** Largest body that is held, in bytes: a long conversation of text has less. */
export const MAX_HELD_BYTES = 4 * 1024 * 1024;
/** Most that one isolate, which has 128 MB, holds at a time, in bytes. */
const MAX_HELD_TOGETHER = 24 * 1024 * 1024;

let heldTogether = 0;

/**
 * Takes room for a body.
 * @param length as its header says, in bytes; null: not known
 * @returns gives the room back, to be called once; null if the body is to be streamed
 */
export function roomFor(length: number | null): (() => void) | null {
  if (length === null || length > MAX_HELD_BYTES || heldTogether + length > MAX_HELD_TOGETHER) return null;
  heldTogether += length;
  return () => {
    heldTogether -= length;
  };
}
