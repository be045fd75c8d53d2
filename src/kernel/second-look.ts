/**
 * What cannot be brought back is removed at a second look, an hour after the first one that found it due. An object and the cron
 * trigger know the time by the clock of their machine alone: one that was set forward by months, and is put right within the hour,
 * has nothing removed.
 */

/** So long after the first look the second one may agree, in ms. */
export const SECOND_LOOK_MS = 3_600_000;
/** A second look that comes later than this, in ms, may itself be by a clock that has jumped: it counts as a first one. */
const LATEST_LOOK_MS = 3 * 3_600_000;

/**
 * - `first`: this look is noted as the first one
 * - `wait`: the second look is still to come
 * - `agreed`: this is the second look, and what was due at the first one may be removed
 */
export type Look = 'first' | 'wait' | 'agreed';

/**
 * What a look that finds something due is.
 * @param firstAt when the first look was, in ms since the epoch; null: there was none
 * @param now ms since the epoch
 */
export function lookAgain(firstAt: number | null, now: number): Look {
  const age = firstAt === null ? Number.POSITIVE_INFINITY : now - firstAt;
  // A first look ahead of the clock was by a clock that was wrong.
  if (age < 0 || age > LATEST_LOOK_MS) return 'first';
  return age < SECOND_LOOK_MS ? 'wait' : 'agreed';
}

/** When the second look is to be, in ms since the epoch; null: what was noted of a first one does not count. Both parameters as above. */
export function secondLookAt(firstAt: number | null, now: number): number | null {
  return firstAt === null || lookAgain(firstAt, now) === 'first' ? null : firstAt + SECOND_LOOK_MS;
}
