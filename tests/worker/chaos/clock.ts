/**
 * A clock that runs faster than the world's: backoffs, deadlines and alarms come in their order and proportions, without
 * anybody waiting for them. All of the Worker goes by it.
 */

export interface ClockSettings {
  /** Milliseconds on this clock for each real one. */
  speed: number;
  /** A moment on the real clock, and what this one shows then; ms since the epoch. */
  realOrigin: number;
  origin: number;
}

/**
 * Timers from this length on, in ms, guard against answers that never come. They go by the real clock: an answer takes
 * real time, and on a busy machine more of it.
 */
const GUARD_MS = 5_000;

/** Puts the clock in the place of `Date.now` and `setTimeout`. @returns what object alarms need */
export function turnClock({ speed, realOrigin, origin }: ClockSettings): { toReal: (at: number) => number } {
  const realNow = Date.now.bind(Date);
  const realTimeout = globalThis.setTimeout;
  Date.now = () => Math.floor(origin + (realNow() - realOrigin) * speed);
  const timeout = (run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) =>
    realTimeout(run, ms < GUARD_MS ? ms / speed : ms, ...values);
  globalThis.setTimeout = timeout as typeof setTimeout;
  return { toReal: (at) => Math.ceil(realOrigin + (at - origin) / speed) };
}

/** Has an object's alarms go by the clock. What is stored is the real time, as workerd wants it. */
export function turnAlarms(storage: DurableObjectStorage, toReal: (at: number) => number): void {
  const setAlarm = storage.setAlarm.bind(storage);
  storage.setAlarm = (at, options) => setAlarm(toReal(Number(at)), options);
}
