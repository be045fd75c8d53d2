/** How long a workspace's sandboxes worked on this day and in this month, in UTC (pure). Times in ms. */
import * as z from 'zod';
import type { StartLimits } from '../protocol/settings/start-limits.ts';

const MINUTE_MS = 60_000;
/** No container lives longer: a longer time is one of a clock that was moved. */
const LONGEST_MS = 13 * 60 * MINUTE_MS;

/** What sessions that gave their slots back had used. A day or month that is over counts no more. */
export const usedMinutesSchema = z.object({
  day: z.string(),
  dayMs: z.number().min(0),
  month: z.string(),
  monthMs: z.number().min(0),
});
export type UsedMinutes = z.infer<typeof usedMinutesSchema>;

/** Adds what one session used, from the time when it got its slot. @returns as `used`, of the day and month of `now` */
export function addWork(used: UsedMinutes | undefined, since: number, now: number): UsedMinutes {
  const { day, month } = namesOf(now);
  return {
    day,
    dayMs: (used?.day === day ? used.dayMs : 0) + within(dayStart(now), since, now),
    month,
    monthMs: (used?.month === month ? used.monthMs : 0) + within(monthStart(now), since, now),
  };
}

/** @param working since when each session that is at work has its slot @returns what is used, those included */
export function usedNow(used: UsedMinutes | undefined, working: readonly number[], now: number): UsedMinutes {
  return working.reduce<UsedMinutes>((sum, since) => addWork(sum, since, now), addWork(used, now, now));
}

/** The budget that is used up; null: none. `until`: when its next day or month begins. */
export function spentBudget(
  { dayMs, monthMs }: UsedMinutes,
  limits: StartLimits,
  now: number,
): { name: 'SANDBOX_MINUTES_DAY' | 'SANDBOX_MINUTES_MONTH'; until: number } | null {
  const { SANDBOX_MINUTES_DAY: day, SANDBOX_MINUTES_MONTH: month } = limits;
  // The one that lasts longer is told.
  if (month > 0 && monthMs >= month * MINUTE_MS) return { name: 'SANDBOX_MINUTES_MONTH', until: nextMonth(now) };
  if (day > 0 && dayMs >= day * MINUTE_MS)
    return { name: 'SANDBOX_MINUTES_DAY', until: dayStart(now) + 24 * 60 * MINUTE_MS };
  return null;
}

function within(start: number, since: number, now: number): number {
  return Math.min(LONGEST_MS, Math.max(0, now - Math.max(start, since)));
}

function namesOf(now: number): { day: string; month: string } {
  const iso = new Date(now).toISOString();
  return { day: iso.slice(0, 10), month: iso.slice(0, 7) };
}

function dayStart(now: number): number {
  return Date.parse(`${namesOf(now).day}T00:00:00Z`);
}

function monthStart(now: number): number {
  return Date.parse(`${namesOf(now).month}-01T00:00:00Z`);
}

function nextMonth(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
