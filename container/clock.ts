/**
 * The clock for durations, waits and ages: it never goes back and nobody sets it. The time of day is for what people read
 * (`at`) and for what other machines compare.
 */
type Clock = () => number;

let clock: Clock = () => performance.now();

/** Milliseconds since a moment that means nothing by itself; only differences count. */
export function steadyNow(): number {
  return clock();
}

/** Whole milliseconds since a time of `steadyNow`. */
export function elapsedMs(start: number): number {
  return Math.round(steadyNow() - start);
}

/**
 * Has another clock tell the time, for tests.
 * @returns puts the real one back
 */
export function setClock(other: Clock): () => void {
  const before = clock;
  clock = other;
  return () => {
    clock = before;
  };
}
