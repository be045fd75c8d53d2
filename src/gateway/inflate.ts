/**
 * Unpacks one zlib stream (RFC 1950, RFC 1951) and tells where it ends. The platform's DecompressionStream does not tell,
 * and in a pack of git nothing else does.
 */

/** The bytes end within the stream: with more of them it may be whole. */
export class NeedsMoreBytes extends Error {
  override readonly name = 'NeedsMoreBytes';
}

/** This is no zlib stream, or one that unpacks to more than allowed. */
export class InflateError extends Error {
  override readonly name = 'InflateError';
}

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const MAX_BITS = 15;

/** A canonical Huffman code: how many codes there are of each length, and the symbols in their order. */
interface Code {
  counts: Uint16Array;
  symbols: Uint16Array;
}

function codeOf(lengths: ArrayLike<number>): Code {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (let at = 0; at < lengths.length; at++) counts[lengths[at] ?? 0] = (counts[lengths[at] ?? 0] ?? 0) + 1;
  const offsets = new Uint16Array(MAX_BITS + 2);
  for (let bits = 1; bits <= MAX_BITS; bits++) offsets[bits + 1] = (offsets[bits] ?? 0) + (counts[bits] ?? 0);
  const symbols = new Uint16Array(lengths.length);
  for (let at = 0; at < lengths.length; at++) {
    const bits = lengths[at] ?? 0;
    if (bits === 0) continue;
    symbols[offsets[bits] ?? 0] = at;
    offsets[bits] = (offsets[bits] ?? 0) + 1;
  }
  counts[0] = 0;
  return { counts, symbols };
}

const fixedLengths = Array.from({ length: 288 }, (_, at) => (at < 144 ? 8 : at < 256 ? 9 : at < 280 ? 7 : 8));
const FIXED_LITERALS = codeOf(fixedLengths);
const FIXED_DISTANCES = codeOf(new Array<number>(30).fill(5));

class Bits {
  #hold = 0;
  #count = 0;
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  take(count: number): number {
    while (this.#count < count) {
      const byte = this.#bytes[this.at];
      if (byte === undefined) throw new NeedsMoreBytes();
      this.at += 1;
      this.#hold |= byte << this.#count;
      this.#count += 8;
    }
    const value = this.#hold & ((1 << count) - 1);
    this.#hold >>>= count;
    this.#count -= count;
    return value;
  }

  /** Drops what is left of the current byte. */
  align(): void {
    this.#hold = 0;
    this.#count = 0;
  }

  symbol({ counts, symbols }: Code): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      code |= this.take(1);
      const count = counts[bits] ?? 0;
      if (code - count < first) return symbols[index + (code - first)] ?? 0;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new InflateError('a code is not valid');
  }
}

/**
 * @param at where the stream begins in `bytes`
 * @param size how many bytes it unpacks to, as git says beforehand
 * @returns the content, and where the stream ends
 * @throws NeedsMoreBytes, InflateError
 */
export function inflate(
  bytes: Uint8Array,
  at: number,
  size: number,
): { content: Uint8Array<ArrayBuffer>; end: number } {
  if (bytes.byteLength < at + 2) throw new NeedsMoreBytes();
  const [method = 0, flags = 0] = bytes.subarray(at, at + 2);
  if ((method & 15) !== 8 || (method * 256 + flags) % 31 !== 0 || (flags & 32) !== 0) {
    throw new InflateError('this is no zlib stream');
  }
  const out = new Uint8Array(size);
  const bits = new Bits(bytes, at + 2);
  let length = 0;
  const put = (byte: number) => {
    if (length >= size) throw new InflateError('it unpacks to more than was said');
    out[length++] = byte;
  };
  for (let isLast = false; !isLast; ) {
    isLast = bits.take(1) === 1;
    const type = bits.take(2);
    if (type === 0) {
      bits.align();
      const count = bits.take(8) | (bits.take(8) << 8);
      const check = bits.take(8) | (bits.take(8) << 8);
      if ((count ^ check) !== 0xffff) throw new InflateError('a stored block is not valid');
      for (let left = count; left > 0; left--) put(bits.take(8));
      continue;
    }
    if (type === 3) throw new InflateError('a block has no known type');
    const [literals, distances] = type === 1 ? [FIXED_LITERALS, FIXED_DISTANCES] : readCodes(bits);
    for (;;) {
      const symbol = bits.symbol(literals);
      if (symbol === 256) break;
      if (symbol < 256) {
        put(symbol);
        continue;
      }
      const base = LENGTH_BASE[symbol - 257];
      if (base === undefined) throw new InflateError('a length is not valid');
      const count = base + bits.take(LENGTH_EXTRA[symbol - 257] ?? 0);
      const far = bits.symbol(distances);
      const from = DISTANCE_BASE[far];
      if (from === undefined) throw new InflateError('a distance is not valid');
      const distance = from + bits.take(DISTANCE_EXTRA[far] ?? 0);
      if (distance > length) throw new InflateError('a distance leads before the beginning');
      for (let left = count; left > 0; left--) put(out[length - distance] ?? 0);
    }
  }
  if (length !== size) throw new InflateError('it unpacks to less than was said');
  // The checksum; git and the id of the object say whether it is right.
  if (bytes.byteLength < bits.at + 4) throw new NeedsMoreBytes();
  return { content: out, end: bits.at + 4 };
}

function readCodes(bits: Bits): [Code, Code] {
  const literals = bits.take(5) + 257;
  const distances = bits.take(5) + 1;
  const count = bits.take(4) + 4;
  const lengths = new Uint8Array(19);
  for (let at = 0; at < count; at++) lengths[CODE_ORDER[at] ?? 0] = bits.take(3);
  const code = codeOf(lengths);
  const all = new Uint8Array(literals + distances);
  for (let at = 0; at < all.length; ) {
    const symbol = bits.symbol(code);
    if (symbol < 16) {
      all[at++] = symbol;
      continue;
    }
    const before = symbol === 16 ? all[at - 1] : 0;
    if (before === undefined) throw new InflateError('a length repeats nothing');
    const times = symbol === 16 ? 3 + bits.take(2) : symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7);
    if (at + times > all.length) throw new InflateError('there are too many lengths');
    all.fill(before, at, at + times);
    at += times;
  }
  return [codeOf(all.subarray(0, literals)), codeOf(all.subarray(literals))];
}
