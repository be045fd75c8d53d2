/** How much goes on at the same time: one task after the other, or so many of a long list. */

/** Runs tasks one after the other, in the order they were given. A task that fails does not stop the next. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** @returns what the task returns, once it had its turn */
  run<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(task);
    this.#last = mine.catch(() => {});
    return mine;
  }
}

/** The items in order, in lists of at most `size`. */
export function* batches<Item>(items: readonly Item[], size: number): Generator<Item[], void, undefined> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/**
 * Does something for each item, for at most `size` of them at the same time.
 * @returns what came of each, in the order of the items. @throws the first failure of a batch; no later batch is begun then
 */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  size: number,
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const batch of batches(items, size)) results.push(...(await Promise.all(batch.map(act))));
  return results;
}
