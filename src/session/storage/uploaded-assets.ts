/** What a session remembers of shared files on their way to Linear, in the object's storage, by the hash of their content. */

/** `url`: where Linear shows the file. Otherwise the number of failed uploads. */
export type Asset = { url: string } | { tries: number };

export class AssetMemory {
  readonly #kv: SyncKvStorage;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  get(hash: string): Asset | undefined {
    // Written by `put` and nobody else, so its shape is known.
    return this.#kv.get<Asset>(`asset:${hash}`);
  }

  put(hash: string, asset: Asset): void {
    this.#kv.put(`asset:${hash}`, asset);
  }
}
