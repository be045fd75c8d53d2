/**
 * What was used and is not known to be in the database. Sums travel in batches, each under an id of its own that the database takes once:
 * where its answer is lost, or the object is evicted before it comes, the same batch is sent again, and counts once. What the
 * database does not take is kept by the account's object, which is evicted long before a database that is down for hours is back.
 */
import * as z from 'zod';
import { settledWithin } from '../../lib/timeout.ts';
import type { Database } from '../../store/database.ts';
import { addUsage, type UsageBatch, type UsageSum } from '../../store/usage.ts';

/** What waits for the next batch. */
const WAITING = 'unwritten:';
/** The batch that was sent, and of which it is not known whether the database took it. */
const SENT = 'sent-use:';
/** Sums in one value: some 200 KB. */
const SUMS_AT_ONCE = 500;
/** A database that does not answer for so long, in ms, may take longer than the object lives. */
const ANSWER_LIMIT_MS = 3_000;

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
const sentSchema = z.object({ id: z.string(), sums: sumsSchema });

export class UnwrittenUse {
  readonly #kv: DurableObjectStorage['kv'];
  readonly #waiting = new Map<string, UsageSum>();
  #sent: UsageBatch | null = null;
  #isKept: boolean;

  /** Reads what an earlier instance of the object kept. What cannot be read, of another version, stays where it is. */
  constructor(kv: DurableObjectStorage['kv']) {
    this.#kv = kv;
    for (const [, value] of kv.list({ prefix: WAITING })) {
      for (const sum of sumsSchema.safeParse(value).data ?? []) this.add(sum);
    }
    const sent = [...kv.list({ prefix: SENT })].flatMap(([, value]) => sentSchema.safeParse(value).data ?? []);
    const [first] = sent;
    if (first) this.#sent = { id: first.id, sums: sent.flatMap(({ sums }) => sums) };
    this.#isKept = !this.isEmpty;
  }

  get isEmpty(): boolean {
    return this.#sent === null && this.#waiting.size === 0;
  }

  /** Every sum of which it is not known whether the database has it. */
  all(): UsageSum[] {
    return [...(this.#sent?.sums ?? []), ...this.#waiting.values()];
  }

  add(sum: UsageSum): void {
    const key = [sum.day, sum.sessionId, sum.model, sum.token].join('\n');
    const before = this.#waiting.get(key);
    this.#waiting.set(
      key,
      before
        ? {
            ...sum,
            requests: before.requests + sum.requests,
            refused: before.refused + sum.refused,
            inputTokens: before.inputTokens + sum.inputTokens,
            outputTokens: before.outputTokens + sum.outputTokens,
            cacheReadTokens: before.cacheReadTokens + sum.cacheReadTokens,
            cacheCreationTokens: before.cacheCreationTokens + sum.cacheCreationTokens,
            costUsd: before.costUsd + sum.costUsd,
          }
        : sum,
    );
  }

  /**
   * Writes what there is: first the batch of which nothing is known, then one of what has come since.
   * @param now ms
   * @throws NotMigratedError, DatabaseError; everything is kept then
   */
  async write(database: Database, now: number): Promise<void> {
    if (this.#sent !== null) await this.#send(database, this.#sent, now);
    if (this.#waiting.size === 0) return;
    const batch = { id: crypto.randomUUID(), sums: [...this.#waiting.values()] };
    this.#waiting.clear();
    this.#sent = batch;
    // What is kept without an id would be sent under another one by the object's next life.
    if (this.#isKept) this.#keep();
    await this.#send(database, batch, now);
  }

  async #send(database: Database, batch: UsageBatch, now: number): Promise<void> {
    try {
      const writing = addUsage(database, batch, now);
      // The database may take it all the same, so its outcome is waited for.
      if ((await settledWithin(ANSWER_LIMIT_MS, writing)) === 'late') this.#keep();
      await writing;
    } catch (error) {
      this.#keep();
      throw error;
    }
    this.#sent = null;
    if (this.#isKept) this.#keep();
  }

  /** Keeps everything in the place of what was kept. */
  #keep(): void {
    this.#forget(SENT);
    this.#forget(WAITING);
    const { id, sums } = this.#sent ?? { id: '', sums: [] };
    for (const [from, part] of parts(sums)) this.#kv.put(`${SENT}${from}`, { id, sums: part });
    for (const [from, part] of parts([...this.#waiting.values()])) this.#kv.put(`${WAITING}${from}`, part);
    this.#isKept = !this.isEmpty;
  }

  #forget(prefix: string): void {
    for (const [key] of [...this.#kv.list({ prefix })]) this.#kv.delete(key);
  }
}

function* parts(sums: readonly UsageSum[]): Generator<[number, UsageSum[]]> {
  for (let from = 0; from < sums.length; from += SUMS_AT_ONCE) yield [from, sums.slice(from, from + SUMS_AT_ONCE)];
}
