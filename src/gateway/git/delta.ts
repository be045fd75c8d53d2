/** Deltas of git's packs: objects told as a change of another one (gitformat-pack(5), "Deltified representation"). Pure. */
import { InflateError } from './inflate.ts';

/**
 * What a delta makes of its base.
 * @param most longest content that is made, in bytes
 * @throws InflateError for a delta that does not fit
 */
export function applyDelta(base: Uint8Array, delta: Uint8Array, most: number): Uint8Array {
  let at = 0;
  const next = () => {
    const byte = delta[at];
    if (byte === undefined) throw new InflateError('a delta is cut off');
    at += 1;
    return byte;
  };
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = next();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
  };
  const from = number();
  const size = number();
  if (from !== base.byteLength || size > most) throw new InflateError('a delta is of something else');
  const out = new Uint8Array(size);
  let length = 0;
  while (at < delta.byteLength) {
    const op = next();
    let part: Uint8Array;
    if ((op & 0x80) !== 0) {
      let start = 0;
      let count = 0;
      for (let bit = 0; bit < 4; bit++) if ((op >> bit) & 1) start += next() * 2 ** (8 * bit);
      for (let bit = 0; bit < 3; bit++) if ((op >> (4 + bit)) & 1) count += next() * 2 ** (8 * bit);
      part = base.subarray(start, start + (count || 0x10000));
    } else {
      if (op === 0) throw new InflateError('a delta has an unknown instruction');
      part = delta.subarray(at, at + op);
      at += op;
    }
    if (length + part.byteLength > size) throw new InflateError('a delta makes more than it says');
    out.set(part, length);
    length += part.byteLength;
  }
  if (length !== size) throw new InflateError('a delta makes less than it says');
  return out;
}

/** All that a delta adds of its own, in order, one piece behind the other: what can be said of it where its base is not known. */
export function additionsOf(delta: Uint8Array): Uint8Array {
  const out = new Uint8Array(delta.byteLength);
  let length = 0;
  let at = 0;
  for (let numbers = 0; numbers < 2 && at < delta.byteLength; at++) if (((delta[at] ?? 0) & 0x80) === 0) numbers++;
  while (at < delta.byteLength) {
    const op = delta[at] ?? 0;
    at += 1;
    if ((op & 0x80) === 0) {
      const part = delta.subarray(at, at + op);
      out.set(part, length);
      length += part.byteLength;
      at += op;
    } else for (let bit = 0; bit < 7; bit++) at += (op >> bit) & 1;
  }
  return out.subarray(0, length);
}
