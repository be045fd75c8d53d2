/**
 * Reads JSON text piece by piece, without keeping it, and tells a visitor what is in it. Strict (RFC 8259): what is not
 * JSON is refused, and so is an object that names a member twice, because the next reader could take the other one.
 * Linear in the number of bytes, and most of a long string is passed over by one native search. Pure.
 */

/** Told of everything in the order in which it stands. Each may throw to end the reading. */
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
      else {
        this.#readByte(piece[at] ?? 0, this.#offset + at);
        at += 1;
      }
    }
    this.#offset += piece.length;
  }

  /**
   * There is nothing more.
   * @throws NotJson where the text is not whole
   */
  end(): void {
    this.#endToken(this.#offset);
    if (this.#string || this.#expected !== 'nothing') throw new NotJson('the JSON text ends too early');
  }

  #readByte(byte: number, at: number): void {
    if (isSpace(byte)) {
      this.#endToken(at);
      return;
    }
    const character = String.fromCharCode(byte);
    if (!'{}[]",:'.includes(character)) {
      if (this.#token === '' && !this.#expectsValue()) throw unexpected(character, at);
      this.#token += character;
      if (this.#token.length > MAX_TOKEN) throw new NotJson(`a number or word is too long at byte ${at}`);
      return;
    }
    this.#endToken(at);
    switch (character) {
      case '"':
        this.#beginString(at);
        return;
      case '{':
      case '[':
        this.#open(character, at);
        return;
      case '}':
      case ']':
        this.#close(character, at);
        return;
      case ':':
        if (this.#expected !== 'colon') throw unexpected(character, at);
        this.#expected = 'value';
        return;
      default: {
        if (this.#expected !== 'comma-or-end' || this.#stack.length === 0) throw unexpected(character, at);
        this.#expected = this.#stack.at(-1)?.names ? 'name' : 'value';
      }
    }
  }

  #expectsValue(): boolean {
    return this.#expected === 'value' || this.#expected === 'value-or-end';
  }

  #open(character: string, at: number): void {
    if (!this.#expectsValue()) throw unexpected(character, at);
    if (this.#stack.length >= MAX_DEPTH) throw new NotJson(`more than ${MAX_DEPTH} levels at byte ${at}`);
    const isObject = character === '{';
    this.#visitor.open(isObject ? 'object' : 'array');
    this.#stack.push({ names: isObject ? new Set() : null });
    this.#expected = isObject ? 'name-or-end' : 'value-or-end';
  }

  #close(character: string, at: number): void {
    const open = this.#stack.at(-1);
    const mayEnd =
      this.#expected === 'comma-or-end' || this.#expected === (character === '}' ? 'name-or-end' : 'value-or-end');
    if (!open || (open.names !== null) !== (character === '}') || !mayEnd) throw unexpected(character, at);
    this.#stack.pop();
    this.#visitor.close();
    this.#afterValue();
  }

  #afterValue(): void {
    this.#expected = this.#stack.length === 0 ? 'nothing' : 'comma-or-end';
  }

  #beginString(at: number): void {
    const isName = this.#expected === 'name' || this.#expected === 'name-or-end';
    if (!isName && !this.#expectsValue()) throw unexpected('"', at);
    const isWanted = isName || this.#visitor.wantsText();
    this.#string = { parts: isWanted ? [] : null, length: 0, escaping: false, isName };
  }

  /** @returns where it goes on in the piece */
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
    const value = string.parts === null ? null : decodeString(string.parts);
    if (!string.isName) {
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

function unexpected(what: string, at: number): NotJson {
  return new NotJson(`unexpected ${JSON.stringify(what)} at byte ${at}`);
}
