/** Moments that are to be kept and are not yet, and those who wait for them. */
import { pause, steadyNow } from '../clock.ts';

/** Tools run ahead of so many moments at most, however quickly they follow each other. */
export const MAX_AHEAD = 4;

interface Waiter {
  /** It waits for this moment, and so for all before it. */
  number: number;
  /** What may be open when it goes on; null: nothing up to its moment. */
  slackMs: number | null;
  done: () => void;
}

export class PendingMoments {
  #newest = 0;
  readonly #open: { number: number; at: number }[] = [];
  #waiters: Waiter[] = [];
  /** The last one failed or took too long: until one succeeds, nothing waits for them. */
  #isAwaited = true;
  /** How long the last one was on its way. */
  #lastMs = Number.POSITIVE_INFINITY;

  /** Another moment. @returns its number */
  add(): number {
    this.#newest += 1;
    this.#open.push({ number: this.#newest, at: steadyNow() });
    return this.#newest;
  }

  /** This moment is kept, and with it all before it. */
  keptUpTo(number: number): void {
    const first = this.#open.findIndex((moment) => moment.number > number);
    const kept = this.#open.splice(0, first < 0 ? this.#open.length : first).at(-1);
    if (kept) this.#lastMs = steadyNow() - kept.at;
    this.#isAwaited = true;
    this.#release((waiter) => waiter.number <= number || this.#mayGoOn(waiter.slackMs));
  }

  /** Keeping fails: nobody waits until it succeeds again. */
  abandon(): void {
    this.#isAwaited = false;
    this.#release(() => true);
  }

  /**
   * Waits until what there is now is kept, for so long at most. Never rejects.
   * @param slackMs null: all of it. Else the wait is over, or not begun, while the oldest open moment is younger, there are at most
   * MAX_AHEAD, and the last one was kept within twice that: a tool waits only for as many as are too many
   * @returns null if there is nothing to wait for
   */
  kept(slackMs: number | null, patienceMs: number): Promise<void> | null {
    if (this.#open.length === 0 || !this.#isAwaited || this.#mayGoOn(slackMs)) return null;
    return this.#wait(slackMs, patienceMs);
  }

  #mayGoOn(slackMs: number | null): boolean {
    const [oldest] = this.#open;
    if (!oldest) return true;
    if (slackMs === null || this.#lastMs > 2 * slackMs || this.#open.length > MAX_AHEAD) return false;
    return steadyNow() - oldest.at < slackMs;
  }

  async #wait(slackMs: number | null, patienceMs: number): Promise<void> {
    const number = this.#newest;
    const kept = new Promise<void>((done) => this.#waiters.push({ number, slackMs, done }));
    const over = new AbortController();
    const isInTime = await Promise.race([kept.then(() => true), pause(patienceMs, over.signal).then(() => false)]);
    over.abort();
    if (!isInTime) this.abandon();
  }

  #release(isDone: (waiter: Waiter) => boolean): void {
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => !isDone(waiter));
    for (const waiter of waiters) if (isDone(waiter)) waiter.done();
  }
}
