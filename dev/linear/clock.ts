/**
 * The simulator's clock. By default it is the machine's; it can run faster, stand still, or be moved forward, so that
 * Linear's waits (10 s, 30 min, a retry after 6 h) can be seen without waiting.
 */
interface Timer {
  at: number;
  run: () => void | Promise<void>;
}

/** Longest delay setTimeout takes. */
const LONGEST_DELAY = 2 ** 31 - 1;

export class SimulatorClock {
  #simulatedOrigin: number;
  #realOrigin = Date.now();
  #speed = 1;
  /** Sorted, next to run first. */
  #timers: Timer[] = [];
  #wake: NodeJS.Timeout | undefined;
  /** `advance` calls run one after the other. */
  #advancing: Promise<void> = Promise.resolve();

  /** @param start epoch milliseconds at which the clock starts */
  constructor(start = Date.now()) {
    this.#simulatedOrigin = start;
  }

  /** Epoch milliseconds, simulated. */
  now(): number {
    return Math.floor(this.#simulatedOrigin + (Date.now() - this.#realOrigin) * this.#speed);
  }

  /** Now, as Linear writes times. */
  iso(): string {
    return new Date(this.now()).toISOString();
  }

  get speed(): number {
    return this.#speed;
  }

  /** @param speed simulated milliseconds for each real one; 0 stops the clock (only `advance` moves it then) */
  setSpeed(speed: number): void {
    if (!Number.isFinite(speed) || speed < 0) throw new RangeError(`clock speed must be 0 or more, not ${speed}`);
    this.#moveTo(this.now());
    this.#speed = speed;
    this.#arm();
  }

  /** Runs something `delay` simulated milliseconds from now. The returned function cancels it. */
  schedule(delay: number, run: Timer['run']): () => void {
    const timer = { at: this.now() + delay, run };
    const after = this.#timers.findIndex((other) => other.at > timer.at);
    this.#timers.splice(after < 0 ? this.#timers.length : after, 0, timer);
    this.#arm();
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
      this.#arm();
    };
  }

  /**
   * Moves the clock forward, running what falls due on the way, each at its own time, and waiting for it: a delivery
   * that fails at +1 min has its next retry planned before the clock moves on.
   */
  advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`the clock only moves forward, not by ${ms} ms`);
    const step = this.#advancing.then(() => this.#advanceNow(ms));
    this.#advancing = step.catch(() => undefined);
    return step;
  }

  /** Forgets every timer. */
  stop(): void {
    this.#timers = [];
    clearTimeout(this.#wake);
  }

  async #advanceNow(ms: number): Promise<void> {
    const target = this.now() + ms;
    for (let timer = this.#timers[0]; timer && timer.at <= target; timer = this.#timers[0]) {
      this.#timers.shift();
      this.#moveTo(Math.max(timer.at, this.now()));
      await timer.run();
    }
    this.#moveTo(Math.max(target, this.now()));
    this.#arm();
  }

  #moveTo(simulated: number): void {
    this.#simulatedOrigin = simulated;
    this.#realOrigin = Date.now();
  }

  #arm(): void {
    clearTimeout(this.#wake);
    const [next] = this.#timers;
    if (!next || this.#speed === 0) return;
    const delay = Math.max(0, (next.at - this.now()) / this.#speed);
    this.#wake = setTimeout(() => this.#runDue(), Math.min(delay, LONGEST_DELAY));
  }

  #runDue(): void {
    for (let timer = this.#timers[0]; timer && timer.at <= this.now(); timer = this.#timers[0]) {
      this.#timers.shift();
      void timer.run();
    }
    this.#arm();
  }
}
