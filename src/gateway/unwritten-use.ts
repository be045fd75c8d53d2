/**
 * What was used while the database is away, kept by the account's object: it is evicted long before a database that is down for
 * hours is back. Written when the database has failed, and removed once it has taken the sums.
 */
import { z } from 'zod';
import type { UsageSum } from '../store/usage.ts';

const PREFIX = 'unwritten:';
/** Sums in one value: some 200 KB. */
const SUMS_AT_ONCE = 500;

const sumsSchema = z.array(
  z.object({
    day: z.string(),
    sessionId: z.string(),
    model: z.string(),
    token: z.string(),
    workspaceId: z.string(),
    repository: z.string(),
    requests: z.number(),
    refused: z.number(),
    inputTokens: z.number(),
    outputTokens: z.number(),
    cacheReadTokens: z.number(),
    cacheCreationTokens: z.number(),
    costUsd: z.number(),
  }),
);

export class UnwrittenUse {
  readonly #kv: DurableObjectStorage['kv'];

  constructor(kv: DurableObjectStorage['kv']) {
    this.#kv = kv;
  }

  /** What an earlier life of the object could not write. What cannot be read, of another version, stays where it is. */
  load(): UsageSum[] {
    return this.#keys().flatMap((key) => sumsSchema.safeParse(this.#kv.get(key)).data ?? []);
  }

  /** Keeps these sums in the place of what was kept. */
  keep(sums: readonly UsageSum[]): void {
    this.clear();
    for (let from = 0; from < sums.length; from += SUMS_AT_ONCE) {
      this.#kv.put(`${PREFIX}${from}`, sums.slice(from, from + SUMS_AT_ONCE));
    }
  }

  clear(): void {
    for (const key of this.#keys()) this.#kv.delete(key);
  }

  #keys(): string[] {
    return [...this.#kv.list({ prefix: PREFIX })].map(([key]) => key);
  }
}
