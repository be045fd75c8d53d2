/** Finds trees and files in a pack, after its commits. What builds on something that is not in the pack itself is not read. */
import { applyDelta } from './delta.ts';
import { InflateError, inflate } from './inflate.ts';
import { idOf, type PackBeginning, readObjectHead } from './pack-commits.ts';

const TREE = 2;
const BLOB = 3;
const OFFSET_DELTA = 6;
const ID_DELTA = 7;
/** Largest object that is unpacked, in bytes: some ten thousand entries. What is larger ends the reading. */
const MAX_OBJECT_BYTES = 4 * 1024 ** 2;
/** Largest file that is kept: longer ones nobody is shown. */
const MAX_BLOB_BYTES = 64 * 1024;
/** All that is kept, in bytes. */
const MAX_KEPT_BYTES = 16 * 1024 ** 2;

interface Kept {
  type: typeof TREE | typeof BLOB;
  content: Uint8Array;
}

export class PackObjects {
  readonly #rest: PackBeginning['rest'];
  readonly #idLength: number;
  readonly #byId = new Map<string, Kept>();
  readonly #byOffset = new Map<number, Kept>();
  #kept = 0;

  constructor(rest: PackBeginning['rest'], idLength: number) {
    this.#rest = { ...rest };
    this.#idLength = idLength;
  }

  /** Every byte of the body that was read so far. */
  get read(): Uint8Array<ArrayBuffer> {
    return this.#rest.pack.bytes;
  }

  /** A tree by its id, as git stores it; null if the pack has it not, or not readable within bounds. */
  tree(id: string): Promise<Uint8Array | null> {
    return this.#find(id, TREE);
  }

  /** A file's content by its id; null if the pack has it not, or not readable within bounds. */
  blob(id: string): Promise<Uint8Array | null> {
    return this.#find(id, BLOB);
  }

  async #find(id: string, type: Kept['type']): Promise<Uint8Array | null> {
    while (!this.#byId.has(id) && this.#rest.left > 0) await this.#next();
    const found = this.#byId.get(id);
    return found?.type === type ? found.content : null;
  }

  async #next(): Promise<void> {
    const { pack, at, position } = this.#rest;
    const offset = position - at;
    const object = await pack.whole(() => this.#readObject(pack.bytes, position, offset));
    if (object === null || this.#kept > MAX_KEPT_BYTES) {
      this.#rest.left = 0;
      return;
    }
    const { kept, end } = object;
    if (kept !== null) {
      this.#kept += kept.content.byteLength;
      this.#byOffset.set(offset, kept);
      this.#byId.set(await idOf(kept.content, this.#idLength, kept.type === TREE ? 'tree' : 'blob'), kept);
    }
    this.#rest.position = end;
    this.#rest.left -= 1;
  }

  /** @throws InflateError, NeedsMoreBytes */
  #readObject(bytes: Uint8Array, start: number, offset: number): { kept: Kept | null; end: number } {
    const { type, size, at, base } = readObjectHead(bytes, start, offset, this.#idLength);
    if (size > MAX_OBJECT_BYTES) throw new InflateError('an object is too large to inspect');
    const { content, end } = inflate(bytes, at, size);
    if (type === TREE || type === BLOB) return { kept: fitting({ type, content }), end };
    if (type !== OFFSET_DELTA && type !== ID_DELTA) return { kept: null, end };
    const on = typeof base === 'number' ? this.#byOffset.get(base) : this.#byId.get(base ?? '');
    if (!on) return { kept: null, end };
    return { kept: fitting({ type: on.type, content: applyDelta(on.content, content, MAX_OBJECT_BYTES) }), end };
  }
}

function fitting(kept: Kept): Kept | null {
  return kept.type === BLOB && kept.content.byteLength > MAX_BLOB_BYTES ? null : kept;
}
