/** Times that a sandbox tells (pure): its clock may be wrong, or it may lie. */

const DAY_MS = 86_400_000;

/** The time that was told where it may be one, else `now`; both in ms since the epoch. Sandboxes keep events for weeks at most. */
export function plausibleTime(at: number, now: number): number {
  return at > now + DAY_MS || at < now - 90 * DAY_MS ? now : at;
}
