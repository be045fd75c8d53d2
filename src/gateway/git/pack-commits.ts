/**
 * The commits of a pack, with their parents, read from its beginning: git writes commits before everything else
 * (gitformat-pack(5); "recency order" in Documentation/technical/pack-heuristics). What comes after the first tree or
 * file is not looked at.
 */
import { type BodyReader, PIECE_BYTES } from '../../lib/body-reader.ts';
import { toHex } from '../../lib/hex.ts';
import { applyDelta } from './delta.ts';
import { InflateError, inflate, NeedsMoreBytes } from './inflate.ts';
import { joined } from './push.ts';

/** Parents by commit id. */
export type CommitGraph = ReadonlyMap<string, readonly string[]>;

/** Most that is read of a pack for its commits, in bytes; some ten thousand commits. */
const MAX_READ_BYTES = 8 * 1024 ** 2;
const MAX_COMMIT_BYTES = 1024 ** 2;
const COMMIT = 1;
const TAG = 4;
const OFFSET_DELTA = 6;
const ID_DELTA = 7;

/**
 * @param read bytes that were read already; the pack begins at `at`
 * @param reader gives the rest; what is not needed is left in it
 * @param idLength hex digits of an id: 40, or 64 in a repository with SHA-256
 * @returns the commits, as far as they are at the beginning; and every byte read so far
 * @throws the reader's errors
 */
export async function readPackCommits(
  read: Uint8Array,
  at: number,
  reader: BodyReader,
  idLength: number,
): Promise<PackBeginning> {
  const pack = new GrowingBytes(read, reader);
  const commits = new Map<string, string[]>();
  const trees = new Map<string, string>();
  const byOffset = new Map<number, Uint8Array>();
  const byId = new Map<string, Uint8Array>();
  const header = await pack.until(at + 12);
  const isPack = header && new TextDecoder('latin1').decode(pack.bytes.subarray(at, at + 4)) === 'PACK';
  const count = isPack ? new DataView(pack.bytes.buffer, pack.bytes.byteOffset).getUint32(at + 8) : 0;
  let position = at + 12;
  let left = count;
  for (; left > 0 && position - at < MAX_READ_BYTES; left--) {
    const object = await pack.whole(() => readObject(pack.bytes, position, position - at, idLength, byOffset, byId));
    if (object === null) break;
    if (object.content !== null) {
      const id = await idOf(object.content, idLength);
      commits.set(id, parentsOf(object.content));
      const tree = treeOf(object.content);
      if (tree !== null) trees.set(id, tree);
      byOffset.set(position - at, object.content);
      byId.set(id, object.content);
    }
    position = object.end;
  }
  return { commits, trees, read: pack.bytes, rest: { pack, at, position, left } };
}

/** What the beginning of a pack told, and how to read on. */
export interface PackBeginning {
  commits: Map<string, string[]>;
  /** The tree of each of these commits, by the commit's id. */
  trees: Map<string, string>;
  /** Every byte read so far. */
  read: Uint8Array<ArrayBuffer>;
  /** Where the first object is that is no commit; `at`: where the pack begins; `left`: objects from there on. */
  rest: { pack: GrowingBytes; at: number; position: number; left: number };
}

/** Bytes that grow as more is needed. */
export class GrowingBytes {
  bytes: Uint8Array<ArrayBuffer>;
  readonly #reader: BodyReader;

  constructor(read: Uint8Array, reader: BodyReader) {
    this.bytes = joined([read]);
    this.#reader = reader;
  }

  /** @returns whether there are so many */
  async until(length: number): Promise<boolean> {
    while (this.bytes.byteLength < length) if (!(await this.#more())) return false;
    return true;
  }

  /** Repeats a reading until its bytes are there. @returns null if they do not come, or make no sense */
  async whole<T>(task: () => T): Promise<T | null> {
    for (;;) {
      try {
        return task();
      } catch (error) {
        if (error instanceof InflateError) return null;
        if (!(error instanceof NeedsMoreBytes)) throw error;
        if (this.bytes.byteLength > MAX_READ_BYTES || !(await this.#more())) return null;
      }
    }
  }

  /** Twice as many, so that neither copying nor reading again costs more where they come a few at a time. */
  async #more(): Promise<boolean> {
    const pieces: Uint8Array[] = [];
    const wanted = Math.max(this.bytes.byteLength, PIECE_BYTES);
    for (let got = 0; got < wanted; ) {
      const piece = await this.#reader.read(Math.min(wanted - got, PIECE_BYTES));
      if (!piece) break;
      pieces.push(piece);
      got += piece.byteLength;
    }
    this.bytes = joined([this.bytes, ...pieces]);
    return pieces.length > 0;
  }
}

/** One object: a commit's content, null for a tag; and where the next one begins. Null: neither a commit nor a tag. */
function readObject(
  bytes: Uint8Array,
  start: number,
  offset: number,
  idLength: number,
  byOffset: ReadonlyMap<number, Uint8Array>,
  byId: ReadonlyMap<string, Uint8Array>,
): { content: Uint8Array | null; end: number } | null {
  const { type, size, at, base: on } = readObjectHead(bytes, start, offset, idLength);
  if (size > MAX_COMMIT_BYTES) return null;
  if (type === COMMIT || type === TAG) {
    const { content, end } = inflate(bytes, at, size);
    return { content: type === COMMIT ? content : null, end };
  }
  const base = typeof on === 'number' ? byOffset.get(on) : on === null ? undefined : byId.get(on);
  // A tree, a file, or what builds on one.
  if (!base) return null;
  const { content: delta, end } = inflate(bytes, at, size);
  return { content: applyDelta(base, delta, MAX_COMMIT_BYTES), end };
}

/**
 * The head of one object (gitformat-pack(5), "Pack file entries").
 * @param offset of the object in its pack
 * @returns its type, its size unpacked, where its zlib stream begins, and of a delta what it builds on: an offset or an id
 * @throws NeedsMoreBytes
 */
export function readObjectHead(
  bytes: Uint8Array,
  start: number,
  offset: number,
  idLength: number,
): { type: number; size: number; at: number; base: number | string | null } {
  let at = start;
  const next = () => {
    const byte = bytes[at];
    if (byte === undefined) throw new NeedsMoreBytes();
    at += 1;
    return byte;
  };
  let byte = next();
  const type = (byte >> 4) & 7;
  let size = byte & 15;
  for (let shift = 4; (byte & 0x80) !== 0; shift += 7) {
    byte = next();
    size += (byte & 0x7f) * 2 ** shift;
  }
  let base: number | string | null = null;
  if (type === OFFSET_DELTA) {
    byte = next();
    let back = byte & 0x7f;
    while ((byte & 0x80) !== 0) {
      byte = next();
      back = (back + 1) * 128 + (byte & 0x7f);
    }
    base = offset - back;
  } else if (type === ID_DELTA) {
    base = toHex(Uint8Array.from({ length: idLength / 2 }, next));
  }
  return { type, size, at, base };
}

/** The id of an object. @param idLength hex digits: 40 for SHA-1, 64 for SHA-256 */
export async function idOf(content: Uint8Array, idLength: number, type = 'commit'): Promise<string> {
  const head = new TextEncoder().encode(`${type} ${content.byteLength}\0`);
  const digest = await crypto.subtle.digest(idLength === 64 ? 'SHA-256' : 'SHA-1', joined([head, content]));
  return toHex(new Uint8Array(digest));
}

/** A commit begins with its tree. */
function treeOf(content: Uint8Array): string | null {
  const line = new TextDecoder('latin1').decode(content.subarray(0, 70));
  return /^tree ([0-9a-f]{64}|[0-9a-f]{40})\n/.exec(line)?.[1] ?? null;
}

/** The head of a commit is lines up to the first empty one; ids are ASCII. */
function parentsOf(content: Uint8Array): string[] {
  const parents: string[] = [];
  for (const line of new TextDecoder('latin1').decode(content).split('\n')) {
    if (line === '') break;
    const parent = /^parent ([0-9a-f]{40,64})$/.exec(line)?.[1];
    if (parent !== undefined) parents.push(parent);
  }
  return parents;
}
