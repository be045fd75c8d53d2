const FIRST_MS = 250;
const LONGEST_MS = 10_000;

/**
 * Milliseconds to wait before the next try: doubling from 250 ms to at most 10 s, half of it random so that the pages
 * of a restarted server do not come back in step. `failures` counts consecutive failures, from 0; `random` is in 0..1.
 */
export function retryDelay(failures: number, random: number): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16));
  return Math.round(longest / 2 + (longest / 2) * random);
}
