/** Exponential backoff: how long to wait before something that failed is tried again. Pure. */

/** How waits grow. Durations in ms. */
export interface Backoff {
  /** Wait after the first failed attempt. */
  initialMs: number;
  /** Each wait is so many times the one before. */
  coefficient: number;
  /** Longest wait between two attempts. */
  maximumMs: number;
}

/** Wait before the next attempt, in ms, without jitter. @param attempts failed so far, from 1 */
export function fullBackoff({ initialMs, coefficient, maximumMs }: Backoff, attempts: number): number {
  return Math.min(maximumMs, initialMs * coefficient ** Math.min(40, attempts - 1));
}

/**
 * Wait before the next attempt, in ms; the upper half of it random, so that many that failed together do not come back at once.
 * @param attempts failed so far, from 1
 * @param random in [0, 1)
 */
export function backoff(policy: Backoff, attempts: number, random: number): number {
  const full = fullBackoff(policy, attempts);
  return Math.round(full / 2 + (full / 2) * random);
}
