/** A time of day for people, in UTC, as neither Linear nor the journal knows where its readers are (pure). */

const DAY_MS = 24 * 3_600_000;

/**
 * "14:05 UTC"; from a day ahead on with its date: "14:05 UTC on 2026-11-28".
 * @param at ms since the epoch
 * @param now ms since the epoch
 */
export function clockTime(at: number, now: number): string {
  const iso = new Date(at).toISOString();
  const clock = `${iso.slice(11, 16)} UTC`;
  return at - now < DAY_MS ? clock : `${clock} on ${iso.slice(0, 10)}`;
}
