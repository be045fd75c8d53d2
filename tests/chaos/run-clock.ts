/** The clock of a run, the same for the Worker, Linear and the sandboxes: fast, and it can leap. Times in ms since the epoch. */
import { setTimeout as sleep } from 'node:timers/promises';

export class RunClock {
  readonly speed: number;
  #realOrigin = Date.now();
  #origin = this.#realOrigin;

  /** @param speed milliseconds on this clock for each real one */
  constructor(speed: number) {
    this.speed = speed;
  }

  now(): number {
    return Math.floor(this.#origin + (Date.now() - this.#realOrigin) * this.speed);
  }

  /** What another process needs to show the same time. */
  get settings(): { speed: number; realOrigin: number; origin: number } {
    return { speed: this.speed, realOrigin: this.#realOrigin, origin: this.#origin };
  }

  /** Moves the clock forward at once. Who sleeps is not woken earlier. */
  leap(ms: number): void {
    this.#origin = this.now() + ms;
    this.#realOrigin = Date.now();
  }

  /** Sleeps so many milliseconds of this clock. */
  async sleep(ms: number): Promise<void> {
    await sleep(ms / this.speed);
  }
}
