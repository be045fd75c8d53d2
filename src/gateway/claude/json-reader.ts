/**
 * Reads JSON text piece by piece, without keeping it, and tells a visitor what is in it. Strict (RFC 8259): what is not
 * JSON is refused, and so is an object that names a member twice, because the next reader could take the other one.
 * Linear in the number of bytes, and most of a long string is passed over by one native search. Pure.
 */

/** Told of everything in the order in which it comes. Each may throw to end the reading. */
export interface JsonVisitor {
  /** An object or an array begins, as the value of a member or an element. */
  open(kind: 'object' | 'array'): void;
  /** The object or array that was opened last ends. */
  close(): void;
  /** A member of the object that was opened last; its value comes next. */
  member(name: string): void;
  /** A value that is neither object nor array; `null` for a string that nobody asked to see, see `wantsText`. */
  scalar(value: string | number | boolean | null, isText: boolean): void;
  /** Whether the string that begins now is to be handed over. */
  wantsText(): boolean;
}

/** The text is not JSON, or not JSON that every reader takes for the same. The message says why, and at which byte. */
export class NotJson extends Error {
  override readonly name = 'NotJson';
}

const MAX_DEPTH = 200;
/** Longest name of a member, and longest string that is handed over, in bytes. */
const MAX_TEXT = 8_192;
const MAX_TOKEN = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

type Expected = 'value' | 'value-or-end' | 'name' | 'name-or-end' | 'colon' | 'comma-or-end' | 'nothing';

/** An object has the names of its members so far; an array has none. */
type Open = { names: Set<string> | null };

/** A string that is being read. `parts`: what of it is handed over, null: nothing. `escaping`: the last byte begins an escape. */
interface OpenString {
  parts: Uint8Array[] | null;
  length: number;
  escaping: boolean;
  isName: boolean;
}

export class JsonReader {
  readonly #visitor: JsonVisitor;
  readonly #stack: Open[] = [];
  #expected: Expected = 'value';
  #string: OpenString | null = null;
  /** The number or word that is being read. */
  #token = '';
  #offset = 0;

  constructor(visitor: JsonVisitor) {
    this.#visitor = visitor;
  }

  /**
   * Reads the next piece.
   * @throws NotJson, and what the visitor throws
   */
  take(piece: Uint8Array): void {
    let at = 0;
    while (at < piece.length) {
      if (this.#string) at = this.#readString(piece, at, this.#string);
      else at = this.#readByte(piece, at);
    }
    this.#offset += piece.length;
  }

  /**
   * There is nothing more.
   * @throws NotJson if the text is not whole
   */
  end(): void {
    this.#endToken(this.#offset);
    if (this.#string || this.#expected !== 'nothing') throw new NotJson('the JSON text ends too early');
  }

  /** @returns where it continues in the piece */
  #readByte(piece: Uint8Array, from: number): number {
    const byte = piece[from] ?? 0;
    const at = this.#offset + from;
    if (isSpace(byte)) {
      this.#endToken(at);
      return from + 1;
    }
    switch (byte) {
      case QUOTE:
        this.#endToken(at);
        return this.#beginString(piece, from);
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        this.#endToken(at);
        this.#open(byte, at);
        return from + 1;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        this.#endToken(at);
        this.#close(byte, at);
        return from + 1;
      case COLON:
        this.#endToken(at);
        if (this.#expected !== 'colon') throw unexpectedByte(byte, at);
        this.#expected = 'value';
        return from + 1;
      case COMMA:
        this.#endToken(at);
        if (this.#expected !== 'comma-or-end' || this.#stack.length === 0) throw unexpectedByte(byte, at);
        this.#expected = this.#stack.at(-1)?.names ? 'name' : 'value';
        return from + 1;
      default:
        if (this.#token === '' && !this.#expectsValue()) throw unexpectedByte(byte, at);
        this.#token += String.fromCharCode(byte);
        if (this.#token.length > MAX_TOKEN) throw new NotJson(`a number or word is too long at byte ${at}`);
        return from + 1;
    }
  }

  #expectsValue(): boolean {
    return this.#expected === 'value' || this.#expected === 'value-or-end';
  }

  #open(byte: number, at: number): void {
    if (!this.#expectsValue()) throw unexpectedByte(byte, at);
    if (this.#stack.length >= MAX_DEPTH) throw new NotJson(`more than ${MAX_DEPTH} levels at byte ${at}`);
    const isObject = byte === OPEN_OBJECT;
    this.#visitor.open(isObject ? 'object' : 'array');
    this.#stack.push({ names: isObject ? new Set() : null });
    this.#expected = isObject ? 'name-or-end' : 'value-or-end';
  }

  #close(byte: number, at: number): void {
    const open = this.#stack.at(-1);
    const isObject = byte === CLOSE_OBJECT;
    const mayEnd = this.#expected === 'comma-or-end' || this.#expected === (isObject ? 'name-or-end' : 'value-or-end');
    if (!open || (open.names !== null) !== isObject || !mayEnd) throw unexpectedByte(byte, at);
    this.#stack.pop();
    this.#visitor.close();
    this.#afterValue();
  }

  #afterValue(): void {
    this.#expected = this.#stack.length === 0 ? 'nothing' : 'comma-or-end';
  }

  /** @returns where it continues in the piece: after the string, where all of it is in there and has no escapes */
  #beginString(piece: Uint8Array, from: number): number {
    const isName = this.#expected === 'name' || this.#expected === 'name-or-end';
    if (!isName && !this.#expectsValue()) throw unexpectedByte(QUOTE, this.#offset + from);
    const isWanted = isName || this.#visitor.wantsText();
    const first = from + 1;
    const quote = piece.indexOf(QUOTE, first);
    const isWhole = quote !== -1 && piece[quote - 1] !== BACKSLASH;
    const value = isWhole && isWanted ? plainText(piece, first, quote) : null;
    if (isWhole && (value !== null || !isWanted)) {
      this.#give(value, isName);
      return quote + 1;
    }
    this.#string = { parts: isWanted ? [] : null, length: 0, escaping: false, isName };
    return first;
  }

  /** @returns where it continues in the piece */
  #readString(piece: Uint8Array, from: number, string: OpenString): number {
    let at = from;
    if (string.escaping) {
      string.escaping = false;
      at += 1;
    }
    while (at < piece.length) {
      const quote = piece.indexOf(QUOTE, at);
      const end = quote === -1 ? piece.length : quote;
      const backslashes = countBefore(piece, at, end);
      const isEscaped = backslashes % 2 === 1;
      if (quote === -1) {
        string.escaping = isEscaped;
        this.#keep(string, piece.subarray(from, end));
        return end;
      }
      at = quote + 1;
      if (isEscaped) continue;
      this.#keep(string, piece.subarray(from, quote));
      this.#endString(string);
      return at;
    }
    this.#keep(string, piece.subarray(from, at));
    return at;
  }

  #keep(string: OpenString, bytes: Uint8Array): void {
    if (!string.parts) return;
    string.length += bytes.length;
    if (string.length > MAX_TEXT) throw new NotJson(`a name or type is longer than ${MAX_TEXT} bytes`);
    // The piece is the caller's, who may fill it again.
    string.parts.push(bytes.slice());
  }

  #endString(string: OpenString): void {
    this.#string = null;
    this.#give(string.parts === null ? null : decodeString(string.parts), string.isName);
  }

  /** A string is read. @param value null if nobody asked to see it */
  #give(value: string | null, isName: boolean): void {
    if (!isName) {
      this.#visitor.scalar(value, true);
      this.#afterValue();
      return;
    }
    const name = value ?? '';
    const names = this.#stack.at(-1)?.names;
    if (names?.has(name)) throw new NotJson(`an object has the member ${JSON.stringify(name.slice(0, 60))} twice`);
    names?.add(name);
    this.#visitor.member(name);
    this.#expected = 'colon';
  }

  #endToken(at: number): void {
    const token = this.#token;
    if (token === '') return;
    this.#token = '';
    const literal = LITERALS.get(token);
    if (literal === undefined && !/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(token)) throw unexpected(token, at);
    this.#visitor.scalar(literal === undefined ? Number(token) : literal, false);
    this.#afterValue();
  }
}

const LITERALS = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** Longest name, in bytes, that is read without a decoder, and most of them that are remembered. */
const MAX_PLAIN = 32;
const MAX_PLAIN_NAMES = 512;
/** Names that were read before, by a hash of their bytes: a request has the same few again and again. */
const plainNames = new Map<number, string>();

/** A short text of printable ASCII without escapes; null for any other, which has to be decoded. */
function plainText(bytes: Uint8Array, from: number, to: number): string | null {
  if (to - from > MAX_PLAIN) return null;
  let hash = to - from;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return null;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  const known = plainNames.get(hash);
  if (known !== undefined && isWrittenAt(known, bytes, from, to)) return known;
  const name = String.fromCharCode(...bytes.subarray(from, to));
  if (plainNames.size < MAX_PLAIN_NAMES) plainNames.set(hash, name);
  return name;
}

function isWrittenAt(name: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let at = from; at < to; at += 1) if (bytes[at] !== name.charCodeAt(at - from)) return false;
  return true;
}

/** How many backslashes stand directly before `end`, not looking before `from`. */
function countBefore(bytes: Uint8Array, from: number, end: number): number {
  let at = end;
  while (at > from && bytes[at - 1] === BACKSLASH) at -= 1;
  return end - at;
}

function decodeString(parts: Uint8Array[]): string {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  try {
    return String(JSON.parse(`"${text.decode(whole)}"`));
  } catch {
    throw new NotJson('a name or type is not a valid string');
  }
}

function unexpectedByte(byte: number, at: number): NotJson {
  return unexpected(String.fromCharCode(byte), at);
}

function unexpected(what: string, at: number): NotJson {
  return new NotJson(`unexpected ${JSON.stringify(what)} at byte ${at}`);
}
