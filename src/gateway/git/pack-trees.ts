/** Finds trees in a pack, after its commits. What builds on something that is not in the pack itself is not read. */
import { applyDelta } from './delta.ts';
import { InflateError, inflate } from './inflate.ts';
import { idOf, type PackBeginning, readObjectHead } from './pack-commits.ts';

const TREE = 2;
const OFFSET_DELTA = 6;
const ID_DELTA = 7;
/** Largest object that is unpacked, in bytes: some ten thousand entries. What is larger ends the reading. */
const MAX_OBJECT_BYTES = 4 * 1024 ** 2;
/** All trees that are kept, in bytes. */
const MAX_KEPT_BYTES = 16 * 1024 ** 2;

export class PackTrees {
  readonly #rest: PackBeginning['rest'];
  readonly #idLength: number;
  readonly #byId = new Map<string, Uint8Array>();
  readonly #byOffset = new Map<number, Uint8Array>();
  #kept = 0;

  constructor(rest: PackBeginning['rest'], idLength: number) {
    this.#rest = { ...rest };
    this.#idLength = idLength;
  }

  /** Every byte of the body that was read so far. */
  get read(): Uint8Array<ArrayBuffer> {
    return this.#rest.pack.bytes;
  }

  /** A tree by its id, as git stores it; null where the pack has it not, or not readable within bounds. */
  async find(id: string): Promise<Uint8Array | null> {
    while (!this.#byId.has(id) && this.#rest.left > 0) await this.#next();
    return this.#byId.get(id) ?? null;
  }

  async #next(): Promise<void> {
    const { pack, at, position } = this.#rest;
    const offset = position - at;
    const object = await pack.whole(() => this.#readObject(pack.bytes, position, offset));
    if (object === null || this.#kept > MAX_KEPT_BYTES) {
      this.#rest.left = 0;
      return;
    }
    const { content, end } = object;
    if (content !== null) {
      this.#kept += content.byteLength;
      this.#byOffset.set(offset, content);
      this.#byId.set(await idOf(content, this.#idLength, 'tree'), content);
    }
    this.#rest.position = end;
    this.#rest.left -= 1;
  }

  /** @throws InflateError, NeedsMoreBytes */
  #readObject(bytes: Uint8Array, start: number, offset: number): { content: Uint8Array | null; end: number } {
    const { type, size, at, base } = readObjectHead(bytes, start, offset, this.#idLength);
    if (size > MAX_OBJECT_BYTES) throw new InflateError('an object is too large to inspect');
    const { content, end } = inflate(bytes, at, size);
    if (type === TREE) return { content, end };
    if (type !== OFFSET_DELTA && type !== ID_DELTA) return { content: null, end };
    const on = typeof base === 'number' ? this.#byOffset.get(base) : this.#byId.get(base ?? '');
    return { content: on ? applyDelta(on, content, MAX_OBJECT_BYTES) : null, end };
  }
}
