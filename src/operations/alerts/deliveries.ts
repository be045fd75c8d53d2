/** Notices on their way to people: kept until a channel has taken them, tried again with growing waits, given up after a day. */
import * as z from 'zod';
import type { AlertChannels } from '../../config/config.ts';
import { type Backoff, backoff } from '../../lib/backoff.ts';
import { log } from '../../observability/log.ts';
import { type Notice, severitySchema } from './alert.ts';
import { CHANNELS, channelsOf, send } from './channels.ts';

const DELIVERY = 'delivery:';
const RETRY: Backoff = { initialMs: 30_000, coefficient: 2, maximumMs: 3_600_000 };
const GIVE_UP_MS = 24 * 3_600_000;
/** For each channel: one that is away must not fill the object, and takes no room from the others. */
const MOST_WAITING = 200;

const deliverySchema = z.object({
  id: z.string(),
  /** In the order in which people are to be told. */
  number: z.number(),
  channel: z.enum(CHANNELS),
  notice: z.object({
    what: z.enum(['raised', 'resolved']),
    key: z.string(),
    severity: severitySchema,
    words: z.string(),
    remedy: z.string().nullable(),
    since: z.number(),
  }),
  at: z.number(),
  tries: z.number(),
  dueAt: z.number(),
  /** Why the last try failed; null: there was none. */
  problem: z.string().nullable(),
});
export type Delivery = z.infer<typeof deliverySchema>;

export class Deliveries {
  readonly #kv: SyncKvStorage;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Puts notices on their way, to every channel there is. @param now ms */
  add(config: AlertChannels, notices: readonly Notice[], now: number): void {
    const before = this.all();
    const waiting = new Map(
      CHANNELS.map((channel) => [channel, before.filter((each) => each.channel === channel).length]),
    );
    let number = before.at(-1)?.number ?? 0;
    for (const notice of notices) {
      for (const channel of channelsOf(config)) {
        const already = waiting.get(channel) ?? 0;
        if (already >= MOST_WAITING) {
          log('operations.alert.lost', { channel, key: notice.key });
          continue;
        }
        number += 1;
        const id = crypto.randomUUID();
        const delivery = { id, number, channel, notice, at: now, tries: 0, dueAt: now, problem: null };
        this.#kv.put(DELIVERY + delivery.id, delivery);
        waiting.set(channel, already + 1);
      }
    }
  }

  /** Those that wait, the oldest first. */
  all(): Delivery[] {
    const kept = [...this.#kv.list({ prefix: DELIVERY })].flatMap(
      ([, value]) => deliverySchema.safeParse(value).data ?? [],
    );
    return kept.toSorted((a, b) => a.number - b.number);
  }

  /** When the next is due, ms; null: none waits. What waits for another of its key to be told first is not due. */
  nextAt(): number | null {
    const first = new Map<string, number>();
    for (const { channel, notice, dueAt } of this.all()) {
      const name = `${channel} ${notice.key}`;
      if (!first.has(name)) first.set(name, dueAt);
    }
    return first.size === 0 ? null : Math.min(...first.values());
  }

  /** Sends what is due. Never rejects. @param source address of this deployment */
  async send(config: AlertChannels, source: string, now: number): Promise<void> {
    const all = this.all();
    const due = all.filter(({ dueAt }) => dueAt <= now);
    await Promise.all(
      channelsOf(config).map(async (channel) => {
        // What is over must not be told before what began.
        const held = new Set<string>();
        for (const delivery of all.filter((each) => each.channel === channel)) {
          const { key } = delivery.notice;
          const isSent = !held.has(key) && delivery.dueAt <= now && (await this.#sendOne(config, delivery, source));
          if (!isSent) held.add(key);
        }
      }),
    );
    for (const { id, channel } of due) if (config[channel] === null) this.#kv.delete(DELIVERY + id);
  }

  /** @returns whether it is off the list: taken, or given up */
  async #sendOne(config: AlertChannels, delivery: Delivery, source: string): Promise<boolean> {
    const { id, channel, notice, at } = delivery;
    // Counted before it is made: a crash in the middle of it costs a wait, and no endless tries.
    const tries = delivery.tries + 1;
    const wait = backoff(RETRY, tries, Math.random());
    this.#kv.put(DELIVERY + id, { ...delivery, tries, dueAt: Date.now() + wait });
    const outcome = await send(config, channel, notice, { id, source, at });
    if (outcome.kind === 'taken') {
      this.#kv.delete(DELIVERY + id);
      return true;
    }
    const isOver = outcome.kind === 'unwanted' || Date.now() - at >= GIVE_UP_MS;
    log('operations.alert_delivery.failed', { channel, key: notice.key, tries, why: outcome.why, isOver });
    if (isOver) {
      this.#kv.delete(DELIVERY + id);
      return true;
    }
    const afterMs = Math.min(RETRY.maximumMs, Math.max(wait, outcome.afterMs ?? 0));
    this.#kv.put(DELIVERY + id, { ...delivery, tries, dueAt: Date.now() + afterMs, problem: outcome.why });
    return false;
  }
}
