/**
 * Linear's clock and this one may differ for good, by minutes or an hour: neither side can set the other's. What Linear tells of has a
 * time by its clock, what happens here one by this clock, and stops and answers compare the two. How far they are apart is read
 * from when Linear's events arrive: never before they happened, and now and then at once. Pure; times in ms.
 */

/** The part of a session's state that this is kept in. */
interface Lags {
  /** How much later by this clock than by Linear's its last events arrived, newest last; below 0: this clock is behind. */
  lags?: number[];
}

/** An outage of Linear's delays a few events in a row; of so many one came in time. */
const MOST_LAGS = 8;
/** One event that arrives late says nothing of the clocks. */
const FEWEST_LATE = 2;
/** Clocks that differ by less are taken for the same: so long may an event be on its way. */
const LEAST_DIFFERENCE_MS = 30_000;

/**
 * Notes that an event arrived.
 * @param at when it happened, by Linear's clock
 * @param now by this clock
 */
export function withLag({ lags = [] }: Lags, at: number, now: number): number[] {
  return [...lags, now - at].slice(-MOST_LAGS);
}

/** What was noted before this clock was set by `by`. */
export function movedLags({ lags }: Lags, by: number): Lags {
  return lags === undefined ? {} : { lags: lags.map((lag) => lag + by) };
}

/** How far this clock is ahead of Linear's; below 0: behind. */
function ahead({ lags = [] }: Lags): number {
  const least = Math.min(...lags);
  // Nothing arrives before it happened. What arrives late may have been on its way, but not all of it.
  const isKnown = least < 0 || lags.length >= FEWEST_LATE;
  return isKnown && Math.abs(least) >= LEAST_DIFFERENCE_MS ? least : 0;
}

/** A time of this clock as Linear's would have it. */
export function linearTimeOf(state: Lags, own: number): number {
  return own - ahead(state);
}

/** A time of Linear's clock as this one would have it. */
export function ownTimeOf(state: Lags, linear: number): number {
  return linear + ahead(state);
}
