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

/** A canonical Huffman code, as a table by the next bits of the stream: `symbol << 4 | length`; 0 if no code begins so. */
interface Code {
  table: Uint16Array;
  bits: number;
}

function codeOf(lengths: ArrayLike<number>): Code {
  const counts = new Uint16Array(MAX_BITS + 1);
  let bits = 0;
  for (let at = 0; at < lengths.length; at++) {
    const length = lengths[at] ?? 0;
    if (length === 0) continue;
    counts[length] = (counts[length] ?? 0) + 1;
    bits = Math.max(bits, length);
  }
  const next = new Uint16Array(MAX_BITS + 2);
  for (let length = 1; length <= MAX_BITS; length++)
    next[length + 1] = ((next[length] ?? 0) + (counts[length] ?? 0)) << 1;
  const table = new Uint16Array(1 << bits);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol] ?? 0;
    if (length === 0) continue;
    const code = next[length] ?? 0;
    next[length] = code + 1;
    if (code >= 1 << length) throw new InflateError('there are more codes than fit');
    for (let at = reversed(code, length); at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
  }
  return { table, bits };
}

/** The stream has the bits of a code from its first to its last. */
function reversed(code: number, length: number): number {
  let out = 0;
  for (let bit = 0; bit < length; bit++) out |= ((code >> bit) & 1) << (length - 1 - bit);
  return out;
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
    this.#fill(count);
    if (this.#count < count) throw new NeedsMoreBytes();
    const value = this.#hold & ((1 << count) - 1);
    this.#drop(count);
    return value;
  }

  /** Drops what is left of the current byte. */
  align(): void {
    this.#drop(this.#count & 7);
  }

  /** Where the next byte is of which no bit was taken. */
  end(): number {
    return this.at - (this.#count >> 3);
  }

  symbol({ table, bits }: Code): number {
    this.#fill(bits);
    const entry = table[this.#hold & ((1 << bits) - 1)] ?? 0;
    const length = entry & 15;
    // Past the end of the bytes the rest is read as zeros, which says nothing.
    if (length > this.#count || (length === 0 && this.#count < bits)) throw new NeedsMoreBytes();
    if (length === 0) throw new InflateError('a code is not valid');
    this.#drop(length);
    return entry >> 4;
  }

  #fill(count: number): void {
    while (this.#count < count && this.at < this.#bytes.length) {
      this.#hold |= (this.#bytes[this.at] ?? 0) << this.#count;
      this.at += 1;
      this.#count += 8;
    }
  }

  #drop(count: number): void {
    this.#hold >>>= count;
    this.#count -= count;
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
    throw new InflateError('this is not a zlib stream');
  }
  const out = new Uint8Array(size);
  const bits = new Bits(bytes, at + 2);
  let length = 0;
  const put = (byte: number) => {
    if (length >= size) throw new InflateError('it unpacks to more than its header says');
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
      if (distance > length) throw new InflateError('a distance points before the start');
      for (let left = count; left > 0; left--) put(out[length - distance] ?? 0);
    }
  }
  if (length !== size) throw new InflateError('it unpacks to less than its header says');
  // The checksum; git and the id of the object say whether it is right.
  const end = bits.end() + 4;
  if (bytes.byteLength < end) throw new NeedsMoreBytes();
  return { content: out, end };
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
