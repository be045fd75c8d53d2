/**
 * The governor in front of Linear's API, one for each workspace. It throttles calls: few at once, the important ones first,
 * and no more than the rate limit allows. It decides and waits; it sends nothing itself.
 */

import { type CallResult, PRIORITIES, type Priority } from './call.ts';
import { type Allowance, admit, afterHeaders, afterRefusal, type Verdict } from './rate-limit.ts';

/** Calls under way at once. A Worker has six connections that wait for an answer. */
export const MOST_AT_ONCE = 4;
/** An answer that has waited so long, in ms, takes one of the connections that are left: the others may hang. */
const ANSWER_WAITS_MS = 1_000;
const MOST_WITH_ANSWERS = 6;

/** What became of a call. `busy`: it waited for its turn until its deadline. */
export type Permit<T> = { kind: 'done'; value: T } | Exclude<Verdict, { kind: 'go' }> | { kind: 'busy' };

interface Waiting {
  priority: Priority;
  start: () => void;
}

export class Governor {
  #allowance: Allowance;
  #underway = 0;
  readonly #waiting: Waiting[] = [];
  /** Ephemeral activities left out and calls put off by this life of the object. */
  readonly counts = { dropped: 0, delayed: 0 };

  /** @param allowance what is remembered of it */
  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  get allowance(): Allowance {
    return this.#allowance;
  }

  get underway(): number {
    return this.#underway;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Lets a call through when it is its turn, or says why not.
   * @param deadline ms since the epoch; a call that has not begun by then does not begin any more
   * @param work carries it out; must not reject for anything but a fault of ours
   */
  async pass<T>(priority: Priority, deadline: number, work: () => Promise<T>): Promise<Permit<T>> {
    if (this.#underway < MOST_AT_ONCE) this.#underway += 1;
    else if (!(await this.#turn(priority, deadline))) return { kind: 'busy' };
    try {
      // Decided when the turn has come, not before: what was heard meanwhile counts.
      const [verdict, allowance] = admit(this.#allowance, priority, Date.now());
      this.#allowance = allowance;
      if (verdict.kind === 'drop') this.counts.dropped += 1;
      if (verdict.kind === 'wait') this.counts.delayed += 1;
      if (verdict.kind !== 'go') return verdict;
      return { kind: 'done', value: await work() };
    } finally {
      // The place is handed on, so that nobody who comes just now slips in between; one beyond the usual is given back.
      const [next] = this.#waiting;
      if (next && (this.#underway <= MOST_AT_ONCE || next.priority === 'answer')) {
        this.#waiting.shift();
        next.start();
      } else this.#underway -= 1;
    }
  }

  /** Takes in what an answer says about the allowance. */
  hear(result: CallResult, headers: Headers | null): void {
    const now = Date.now();
    if (headers) this.#allowance = afterHeaders(this.#allowance, headers, now);
    if (!result.ok && result.kind === 'rate-limited') {
      this.#allowance = afterRefusal(this.#allowance, result.retryAt, now);
    }
  }

  /** Waits for a place to be handed on. @returns false if the deadline came first */
  #turn(priority: Priority, deadline: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        priority,
        start: () => {
          clearTimeout(timer);
          clearTimeout(impatience);
          resolve(true);
        },
      };
      const leave = () => this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      const impatience = setTimeout(() => {
        if (priority !== 'answer' || this.#underway >= MOST_WITH_ANSWERS) return;
        leave();
        this.#underway += 1;
        waiting.start();
      }, ANSWER_WAITS_MS);
      const timer = setTimeout(
        () => {
          leave();
          clearTimeout(impatience);
          resolve(false);
        },
        Math.max(0, deadline - Date.now()),
      );
      const rank = PRIORITIES.indexOf(priority);
      const place = this.#waiting.findIndex((other) => PRIORITIES.indexOf(other.priority) > rank);
      this.#waiting.splice(place === -1 ? this.#waiting.length : place, 0, waiting);
    });
  }
}
