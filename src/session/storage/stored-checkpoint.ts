/** The last checkpoint's manifest, as an issue session keeps it. */
import { Pieces } from '../../kernel/pieces.ts';
import type { CheckpointManifest } from '../../protocol/checkpoint.ts';
import type { ObjectStorage } from '../../store/object-schema.ts';

const KEY = 'checkpoint';
/** Longest JSON that lies under a key, in UTF-16 code units. One of many files is longer, and lies in rows (see pieces.ts). */
const LONG = 200_000;

export class StoredCheckpoint {
  readonly #kv: ObjectStorage['kv'];
  readonly #pieces: Pieces;

  constructor({ kv, sql }: Pick<ObjectStorage, 'kv' | 'sql'>) {
    this.#kv = kv;
    this.#pieces = new Pieces(sql);
  }

  /** To be called inside of a transaction. */
  put(manifest: CheckpointManifest): void {
    const json = JSON.stringify(manifest);
    if (json.length <= LONG) {
      this.#kv.put(KEY, manifest);
      return;
    }
    this.#kv.delete(KEY);
    this.#pieces.put(KEY, json);
  }

  /** From now on there is none. To be called inside of a transaction. */
  remove(): void {
    this.#kv.delete(KEY);
    this.#pieces.remove(KEY);
  }

  /** The manifest; null if there is no checkpoint. */
  get(): CheckpointManifest | null {
    // Written by `put` and nobody else, so its shape is known.
    const kept = this.#kv.get(KEY) as CheckpointManifest | undefined;
    if (kept) return kept;
    const json = this.#pieces.get(KEY);
    return json === null ? null : (JSON.parse(json) as CheckpointManifest);
  }
}
