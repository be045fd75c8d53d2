/** What the deployment has spent beyond its plan this month: usage credits, which cost money although a subscription is paid for. */
import * as z from 'zod';

const KEY = 'overage';
const keptSchema = z.object({ month: z.string(), usd: z.number() });

export class Overage {
  readonly #kv: DurableObjectStorage['kv'];

  constructor(kv: DurableObjectStorage['kv']) {
    this.#kv = kv;
  }

  /** Dollars spent in the calendar month (UTC) of `now`, in ms since the epoch. */
  spent(now: number): number {
    const kept = keptSchema.safeParse(this.#kv.get(KEY));
    return kept.success && kept.data.month === monthOf(now) ? kept.data.usd : 0;
  }

  /** Adds dollars to the month of `now`, in ms since the epoch. */
  add(usd: number, now: number): void {
    this.#kv.put(KEY, { month: monthOf(now), usd: this.spent(now) + usd });
  }
}

/** The calendar month in UTC: `2026-11`. */
function monthOf(now: number): string {
  return new Date(now).toISOString().slice(0, 7);
}
