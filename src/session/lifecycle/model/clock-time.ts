/** Times that are shown, and times that are told (pure). Shown in UTC, as neither Linear nor the journal knows where its readers are. */

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

/** The time that a sandbox told where it may be one (its clock may be wrong, or it may lie), else `now`; both in ms since the epoch. Sandboxes keep events for weeks at most. */
export function plausibleTime(at: number, now: number): number {
  return at > now + DAY_MS || at < now - 90 * DAY_MS ? now : at;
}
