/**
 * Looks for secrets in what passes, in the disguises that a line of shell gives them. Many texts are looked for at once, in time
 * linear in what is looked through: most of it is skipped by the three bytes that end a window (Wu and Manber, 1994). Pure.
 */

/** A text that must not pass. */
export interface Wanted {
  /** `decoy`: opens nothing; `token`: this session's token; `deployment`: one of the secrets that Cyrus itself holds. */
  kind: 'decoy' | 'token' | 'deployment';
  /** What it is called, for people: the name of a variable, never the secret. */
  name: string;
  text: string;
}

/** Shorter texts are no secrets: they would be found everywhere. */
const LEAST = 12;
/** Of a longer secret a part is looked for, in characters. */
const MOST = 48;
const BLOCK = 3;
const TABLE = 1 << 17;
const utf8 = new TextEncoder();

/** Upper case is read as lower case: anyone who sends a secret in capitals sends it all the same. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte));

/** Where a secret was found in a text. */
export interface Found {
  wanted: Wanted;
  /** The first byte, and the one behind the last. */
  start: number;
  end: number;
}

export class SecretSearch {
  readonly #patterns: { bytes: Uint8Array; wanted: Wanted }[] = [];
  /** How far a window may be moved on, by the hash of its last bytes. */
  readonly #shifts = new Uint8Array(TABLE);
  /** The patterns whose window ends in bytes of this hash. */
  readonly #byHash = new Map<number, number[]>();
  /** The longest pattern, in bytes. */
  readonly longest: number;

  /** @param wanted those that are too short to be secrets are passed over */
  constructor(wanted: readonly Wanted[]) {
    this.#shifts.fill(LEAST - BLOCK + 1);
    let longest = 0;
    for (const one of wanted) {
      if (one.text.length < LEAST) continue;
      for (const form of new Set(disguises(partOf(one.text)))) {
        const bytes = utf8.encode(form).map((byte) => FOLDED[byte] ?? byte);
        if (bytes.length < LEAST) continue;
        longest = Math.max(longest, bytes.length);
        this.#add(bytes, one);
      }
    }
    this.longest = longest;
  }

  /** The first secret in these bytes; null: there is none. */
  first(bytes: Uint8Array): Wanted | null {
    return this.#next(bytes, 0)?.wanted ?? null;
  }

  /** The first secret in a text. */
  firstIn(text: string): Wanted | null {
    return this.first(utf8.encode(text));
  }

  /** Every secret in these bytes, in order; those that overlap count as one. */
  all(bytes: Uint8Array): Found[] {
    const found: Found[] = [];
    for (let at = 0; ; ) {
      const next = this.#next(bytes, at);
      if (!next) return found;
      found.push(next);
      at = next.end;
    }
  }

  #add(bytes: Uint8Array, wanted: Wanted): void {
    const index = this.#patterns.push({ bytes, wanted }) - 1;
    for (let end = BLOCK; end <= LEAST; end++) {
      const hash = hashAt(bytes, end - 1);
      const shift = LEAST - end;
      if (shift < (this.#shifts[hash] ?? 0)) this.#shifts[hash] = shift;
      if (end === LEAST) {
        const others = this.#byHash.get(hash);
        if (others) others.push(index);
        else this.#byHash.set(hash, [index]);
      }
    }
  }

  #next(bytes: Uint8Array, from: number): Found | null {
    if (this.#patterns.length === 0) return null;
    for (let end = from + LEAST - 1; end < bytes.length; ) {
      const hash = hashAt(bytes, end);
      const shift = this.#shifts[hash] ?? 0;
      if (shift > 0) {
        end += shift;
        continue;
      }
      const start = end - LEAST + 1;
      for (const index of this.#byHash.get(hash) ?? []) {
        const pattern = this.#patterns[index];
        if (pattern && isAt(bytes, start, pattern.bytes)) {
          return { wanted: pattern.wanted, start, end: start + pattern.bytes.length };
        }
      }
      end += 1;
    }
    return null;
  }
}

/** Looks through a stream, chunk by chunk: a secret may be cut by them. */
export class SecretStream {
  readonly #search: SecretSearch;
  #tail = new Uint8Array(0);

  constructor(search: SecretSearch) {
    this.#search = search;
  }

  /** The first secret in this chunk, or across its beginning; null: there is none. */
  next(chunk: Uint8Array): Wanted | null {
    const keep = Math.max(0, this.#search.longest - 1);
    const across = new Uint8Array(this.#tail.length + Math.min(chunk.length, keep));
    across.set(this.#tail);
    across.set(chunk.subarray(0, keep), this.#tail.length);
    const found = (this.#tail.length > 0 ? this.#search.first(across) : null) ?? this.#search.first(chunk);
    this.#tail =
      chunk.length >= keep ? chunk.slice(chunk.length - keep) : across.slice(Math.max(0, across.length - keep));
    return found;
  }
}

function isAt(bytes: Uint8Array, start: number, pattern: Uint8Array): boolean {
  if (start + pattern.length > bytes.length) return false;
  for (let at = 0; at < pattern.length; at++) {
    if (FOLDED[bytes[start + at] ?? 0] !== pattern[at]) return false;
  }
  return true;
}

/** Of the three bytes that end here, without regard to case. */
function hashAt(bytes: Uint8Array, end: number): number {
  const last = FOLDED[bytes[end] ?? 0] ?? 0;
  const middle = FOLDED[bytes[end - 1] ?? 0] ?? 0;
  const first = FOLDED[bytes[end - 2] ?? 0] ?? 0;
  return ((first << 10) ^ (middle << 5) ^ last) & (TABLE - 1);
}

/** The end of a long secret: its beginning often says what kind it is. */
function partOf(text: string): string {
  return text.slice(-MOST);
}

/**
 * A secret as a line of shell, or of a program, would give it: as it is, backwards, in UTF-16, as a list of numbers in one of the
 * usual ways of writing them, and in base64 and base32 whatever is around it.
 */
function disguises(text: string): string[] {
  const backwards = [...text].reverse().join('');
  const codes = [...utf8.encode(text)];
  const hex = codes.map((code) => code.toString(16).padStart(2, '0'));
  const ways = [
    ...hexDump(hex),
    hex.map((pair) => `%${pair}`).join(''),
    hex.map((pair) => `=${pair}`).join(''),
    hex.map((pair) => `\\x${pair}`).join(''),
    hex.map((pair) => `\\u00${pair}`).join(''),
    hex.map((pair) => `&#x${pair};`).join(''),
    codes.map((code) => `&#${code};`).join(''),
    codes.map((code) => `\\${code.toString(8).padStart(3, '0')}`).join(''),
    encodeURIComponent(text),
    codes.join(','),
    codes.join(', '),
    codes.join(' '),
    hex.map((pair) => `0x${pair}`).join(','),
    hex.map((pair) => `0x${pair}`).join(', '),
    text.replaceAll('=', '=3d'),
    text.replaceAll('/', '\\/'),
    [...text].join('\0'),
    [...text].join(' '),
    [...text].join('\n'),
  ];
  return [
    text,
    backwards,
    ...ways,
    ...[text, backwards, hex.join('')].flatMap(base64),
    ...base32(text),
    ...inLines(text),
  ];
}

/** Shorter texts may be words of people's: a part of one is no sign of it. */
const LEAST_IN_PARTS = 32;
/** Bytes of a part that programs which print bytes never put a line's end into, whatever they print, or only into one of two. */
const PART = 8;

/**
 * Parts of a long secret as programs print them that end their lines after so many bytes: `base64`, `base32`, `od`, `xxd`, `hexdump`. A line
 * of theirs has one of these parts whole, wherever the secret begins in it.
 */
function inLines(text: string): string[] {
  const bytes = utf8.encode(text);
  if (bytes.length < LEAST_IN_PARTS) return [];
  const half = Math.floor(bytes.length / 2);
  const halves = [text.slice(0, half), text.slice(half)].filter(isTelling);
  // Where a group of bytes begins in it is one of eight places.
  const parts = Array.from({ length: PART + 2 }, (_, at) => ({ at, text: text.slice(at, at + PART) }));
  return [
    ...halves.flatMap((part) => [...base64(part), ...base32(part)]),
    ...parts.filter((part) => isTelling(part.text)).flatMap((part) => dumped(part.at, utf8.encode(part.text))),
  ];
}

/** Letters and digits mixed are no word and no number that is in a text by chance. */
function isTelling(part: string): boolean {
  return /[a-z]/i.test(part) && /\d/.test(part) && new Set(part).size >= 5;
}

/** The ways in which dumps show a part, by where in the secret it begins: `hexdump -C` groups eight bytes, `xxd` and `od -x` two. */
function dumped(at: number, bytes: Uint8Array): string[] {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0'));
  const forms = at < PART ? [hex.join(' ')] : [];
  if (at % PART > 1) return forms;
  const pairs: string[] = [];
  const swapped: string[] = [];
  for (let from = 0; from < hex.length; from += 2) {
    pairs.push(`${hex[from]}${hex[from + 1]}`);
    swapped.push(`${hex[from + 1]}${hex[from]}`);
  }
  forms.push(pairs.join(' '), swapped.join(' '));
  if (at % PART === 0) forms.push(hex.join(''));
  return forms;
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** The characters of base32 with 0 to 4 bytes (mod 5) before the text and anything after it. */
function base32(text: string): string[] {
  return [0, 1, 2, 3, 4].map((offset) => {
    let bits = '';
    for (const byte of [...new Uint8Array(offset), ...utf8.encode(text)]) bits += byte.toString(2).padStart(8, '0');
    const from = Math.ceil((offset * 8) / 5);
    let encoded = '';
    for (let at = from; (at + 1) * 5 <= bits.length; at++) {
      encoded += BASE32.charAt(Number.parseInt(bits.slice(at * 5, at * 5 + 5), 2));
    }
    return encoded;
  });
}

function hexDump(hex: readonly string[]): string[] {
  const pairs: string[] = [];
  for (let at = 0; at < hex.length; at += 2) pairs.push(hex.slice(at, at + 2).join(''));
  return [hex.join(''), hex.join(' '), hex.join(':'), pairs.join(' ')];
}

/** The characters of base64, in both alphabets, with 0, 1 or 2 bytes (mod 3) before the text and anything after it. */
function base64(text: string): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const bytes = String.fromCharCode(...utf8.encode(text));
    const encoded = btoa('\0'.repeat(offset) + bytes);
    const within = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [within, within.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** Stands where a secret was taken out. */
export const WITHHELD = '[credential withheld]';

/** A text without the secrets in it. @returns it, and what was found */
export function withhold(search: SecretSearch, text: string): { text: string; found: Wanted[] } {
  const bytes = utf8.encode(text);
  const found = search.all(bytes);
  if (found.length === 0) return { text, found: [] };
  const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
  let clean = '';
  let at = 0;
  for (const { start, end } of found) {
    clean += decoder.decode(bytes.subarray(at, start)) + WITHHELD;
    at = end;
  }
  return { text: clean + decoder.decode(bytes.subarray(at)), found: found.map(({ wanted }) => wanted) };
}
