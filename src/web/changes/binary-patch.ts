/**
 * The contents of a binary file before and after, from what `git diff --binary` writes of it: two blocks, of which the first leads from before to
 * after and the second back, each the whole content or a delta (git-scm.com/docs/diff-format, gitformat-pack). Whatever does not fit gives
 * nothing. No clock, no network.
 */

/** Larger contents are not shown, in bytes. */
const MOST_BYTES = 8 * 1024 * 1024;
/** Digits of git's base 85, by their value. */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~';
const VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]));

/** Contents; empty: the file is not there on this side. */
export interface BinaryChange {
  before: Uint8Array;
  after: Uint8Array;
}

interface Block {
  isDelta: boolean;
  /** Bytes once inflated. */
  size: number;
  lines: string[];
}

/** @param lines those after `GIT binary patch` @returns null: it cannot be told, or is too large */
export async function readBinary(lines: readonly string[]): Promise<BinaryChange | null> {
  const [forward, backward] = blocksOf(lines);
  if (forward === undefined || backward === undefined) return null;
  const [to, from] = await Promise.all([contentOf(forward), contentOf(backward)]);
  if (to === null || from === null) return null;
  // A delta is told by what the other block has whole.
  if (forward.isDelta && backward.isDelta) return null;
  const after = forward.isDelta ? withDelta(from, to) : to;
  const before = backward.isDelta ? withDelta(to, from) : from;
  return after === null || before === null ? null : { before, after };
}

function blocksOf(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (const line of lines) {
    const [, kind, size] = /^(literal|delta) (\d{1,10})$/.exec(line) ?? [];
    if (kind !== undefined) blocks.push({ isDelta: kind === 'delta', size: Number(size), lines: [] });
    else if (line !== '') blocks.at(-1)?.lines.push(line);
  }
  return blocks;
}

async function contentOf({ size, lines }: Block): Promise<Uint8Array | null> {
  if (size > MOST_BYTES) return null;
  const packed = unpacked(lines);
  return packed && inflated(packed, size);
}

/** Lines of base 85, each behind a letter that says how many bytes it has. */
function unpacked(lines: readonly string[]): Uint8Array<ArrayBuffer> | null {
  const bytes: number[] = [];
  for (const line of lines) {
    const code = line.charCodeAt(0);
    const length = code >= 97 ? code - 97 + 27 : code - 65 + 1;
    if (length < 1 || length > 52 || line.length - 1 !== Math.ceil(length / 4) * 5) return null;
    const from = bytes.length;
    for (let at = 1; at < line.length; at += 5) {
      let value = 0;
      for (const digit of line.slice(at, at + 5)) {
        const worth = VALUES.get(digit);
        if (worth === undefined) return null;
        value = value * 85 + worth;
      }
      if (value > 0xffffffff) return null;
      bytes.push(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
    }
    bytes.length = from + length;
  }
  return new Uint8Array(bytes);
}

/** @param size of what comes out; null if it is another one, or no deflated data */
async function inflated(packed: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array | null> {
  const out = new Uint8Array(size);
  let length = 0;
  try {
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (length + part.value.length > size) {
        await reader.cancel();
        return null;
      }
      out.set(part.value, length);
      length += part.value.length;
    }
  } catch {
    return null;
  }
  return length === size ? out : null;
}

/** What a delta makes of a content; null if it does not fit. */
function withDelta(base: Uint8Array, delta: Uint8Array): Uint8Array | null {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = delta[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128 || factor > 2 ** 35) return value;
    }
  };
  if (number() !== base.length) return null;
  const size = number();
  if (size > MOST_BYTES) return null;
  const out = new Uint8Array(size);
  let length = 0;
  const put = (part: Uint8Array, wanted: number) => {
    if (part.length !== wanted || length + wanted > size) return false;
    out.set(part, length);
    length += wanted;
    return true;
  };
  while (at < delta.length) {
    const op = delta[at++] ?? 0;
    if (op === 0) return null;
    if (op < 128) {
      if (!put(delta.subarray(at, at + op), op)) return null;
      at += op;
      continue;
    }
    let [offset, count] = [0, 0];
    for (let bit = 0; bit < 4; bit += 1) if (op & (1 << bit)) offset += (delta[at++] ?? 0) * 256 ** bit;
    for (let bit = 0; bit < 3; bit += 1) if (op & (16 << bit)) count += (delta[at++] ?? 0) * 256 ** bit;
    if (count === 0) count = 0x10000;
    if (!put(base.subarray(offset, offset + count), count)) return null;
  }
  return length === size ? out : null;
}

/** Kinds of images that browsers draw without running anything, by how they begin. */
const KINDS: readonly [type: string, isBegun: (begin: string) => boolean][] = [
  ['image/png', (begin) => begin.startsWith('\x89PNG\r\n')],
  ['image/jpeg', (begin) => begin.startsWith('\xff\xd8\xff')],
  ['image/gif', (begin) => begin.startsWith('GIF87a') || begin.startsWith('GIF89a')],
  ['image/webp', (begin) => begin.startsWith('RIFF') && begin.slice(8, 12) === 'WEBP'],
];

/** The media type of an image; null: it is none of those that are drawn. */
export function imageTypeOf(content: Uint8Array): string | null {
  const begin = String.fromCharCode(...content.subarray(0, 16));
  return KINDS.find(([, isBegun]) => isBegun(begin))?.[0] ?? null;
}
