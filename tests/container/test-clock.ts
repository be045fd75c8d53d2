/**
 * The sandbox server's clock under test: it goes with real time, since real processes are at work, and can be moved on, so that
 * no test sits out a wait of the server's.
 */
import { type Clock, setClock } from '../../container/clock.ts';

interface Wait {
  due: number;
  fire: () => void;
  background: boolean;
  timer: NodeJS.Timeout;
}

/** Between two moves in a hurry: whatever came due has its effects, among them requests over the loopback interface. */
const MOVE_EVERY_MS = 5;

class TestClock implements Clock {
  #moved = 0;
  readonly #waits = new Set<Wait>();
  #hurry: NodeJS.Timeout | null = null;

  now(): number {
    return performance.now() + this.#moved;
  }

  after(ms: number, fire: () => void, background: boolean): () => void {
    const wait: Wait = { due: this.now() + ms, fire, background, timer: setTimeout(() => this.#end(wait), ms) };
    if (background) wait.timer.unref();
    this.#waits.add(wait);
    return () => {
      clearTimeout(wait.timer);
      this.#waits.delete(wait);
    };
  }

  /** So much time passes at once: what comes due meanwhile is called back, in its order. */
  advance(ms: number): void {
    this.#moved += ms;
    for (const wait of [...this.#waits].sort((a, b) => a.due - b.due)) {
      // One that fired may have called another off.
      if (!this.#waits.has(wait)) continue;
      const left = wait.due - this.now();
      if (left <= 0) {
        this.#end(wait);
        continue;
      }
      clearTimeout(wait.timer);
      wait.timer = setTimeout(() => this.#end(wait), left);
      if (wait.background) wait.timer.unref();
    }
  }

  /**
   * From now on time passes so many times faster, until `calm`. Not for tests in which a CLI is at work: its silence would seem
   * long.
   */
  hurry(times = 50): void {
    this.calm();
    this.#hurry = setInterval(() => this.advance((times - 1) * MOVE_EVERY_MS), MOVE_EVERY_MS);
  }

  /** Time passes as it does. */
  calm(): void {
    if (this.#hurry) clearInterval(this.#hurry);
    this.#hurry = null;
  }

  #end(wait: Wait): void {
    clearTimeout(wait.timer);
    this.#waits.delete(wait);
    wait.fire();
  }
}

/** What tells the time to everything of the sandbox server that runs in this process. */
export const testClock = new TestClock();
setClock(testClock);
