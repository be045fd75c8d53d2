/**
 * The clock for durations, waits and ages: it never goes back and nobody sets it. The time of day is for what people read
 * (`at`) and for what other machines compare. Tests put another in its place, so that none of them sits out a wait; what guards
 * a process or a request that may hang keeps a timer of its own, since these take real time.
 */
export interface Clock {
  /** Milliseconds since a moment that means nothing by itself. */
  now(): number;
  /**
   * Calls back once, after so many milliseconds.
   * @param background the process may end before it
   * @returns calls it off
   */
  after(ms: number, fire: () => void, background: boolean): () => void;
}

const realClock: Clock = {
  now: () => performance.now(),
  after: (ms, fire, background) => {
    const timer = setTimeout(fire, ms);
    if (background) timer.unref();
    return () => clearTimeout(timer);
  },
};

let clock: Clock = realClock;

/** Milliseconds since a moment that means nothing by itself; only differences count. */
export function steadyNow(): number {
  return clock.now();
}

/** Whole milliseconds since a time of `steadyNow`. */
export function elapsedMs(start: number): number {
  return Math.round(steadyNow() - start);
}

/**
 * Calls back once, after so many milliseconds.
 * @param background the process may end before it
 * @returns calls it off
 */
export function after(ms: number, fire: () => void, { background = false } = {}): () => void {
  return clock.after(ms, fire, background);
}

/** Waits for so many milliseconds; ends early, without an error, when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const over = () => {
      cancel();
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const cancel = clock.after(ms, over, false);
    signal?.addEventListener('abort', over);
  });
}

/**
 * Has another clock tell the time, for tests.
 * @returns puts the one before back
 */
export function setClock(other: Clock): () => void {
  const before = clock;
  clock = other;
  return () => {
    clock = before;
  };
}
