/** Which limit keeps a session from starting, although it may be its turn (pure). Times in ms. */
import * as z from 'zod';
import type { ReachedLimit, StartLimitName, StartLimits } from '../protocol/settings/start-limits.ts';
import { spentBudget, usedMinutesSchema, usedNow } from './sandbox-minutes.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** As many starts as a limit may be set to. */
const MOST_STARTS = 2_000;
/** What was not used of a pace lets so much of a minute start at once. */
const BURST = 1 / 6;

const WINDOWS: readonly { name: StartLimitName; windowMs: number; isPersons: boolean }[] = [
  { name: 'SESSIONS_A_PERSON_HOUR', windowMs: HOUR_MS, isPersons: true },
  { name: 'SESSIONS_A_PERSON_DAY', windowMs: DAY_MS, isPersons: true },
  { name: 'SESSIONS_A_WORKSPACE_HOUR', windowMs: HOUR_MS, isPersons: false },
  { name: 'SESSIONS_A_WORKSPACE_DAY', windowMs: DAY_MS, isPersons: false },
];

/** What is known of the starts before. Versions before this one keep none of it. */
export const startHistorySchema = z.object({
  /** New sessions that got their slots within a day, oldest first. */
  begun: z.array(z.object({ at: z.number(), owner: z.string() })).optional(),
  used: usedMinutesSchema.optional(),
  /** Starts that may follow at once, as counted at a time. */
  pace: z.object({ left: z.number(), at: z.number() }).optional(),
});
export type StartHistory = z.infer<typeof startHistorySchema>;

/** A session that is to start. `isNew`: it never had a sandbox. */
export interface Start {
  owner: string;
  isNew: boolean;
}

/** How many new sessions began in the last hour and day. */
export function begunWithin({ begun = [] }: StartHistory, now: number): { hour: number; day: number } {
  return { hour: timesWithin(begun, HOUR_MS, now).length, day: timesWithin(begun, DAY_MS, now).length };
}

/**
 * @param working since when each session at work has its slot
 * @returns the limit that lasts longest of those that hold every start up; null: none does
 */
export function limitOfAll(
  history: StartHistory,
  working: readonly number[],
  limits: StartLimits,
  now: number,
): ReachedLimit | null {
  const spent = spentBudget(usedNow(history.used, working, now), limits, now);
  if (spent !== null) return { ...spent, most: limits[spent.name] };
  const { STARTS_A_MINUTE: pace } = limits;
  const left = paceLeft(history, pace, now);
  if (pace === 0 || left >= 1) return null;
  return { name: 'STARTS_A_MINUTE', most: pace, until: now + Math.ceil(((1 - left) * MINUTE_MS) / pace) };
}

/** The limit on new sessions that holds this one up, the one that lasts longest; null: none does. */
export function limitOfNew(history: StartHistory, start: Start, limits: StartLimits, now: number): ReachedLimit | null {
  if (!start.isNew) return null;
  const reached = WINDOWS.flatMap(({ name, windowMs, isPersons }): ReachedLimit[] => {
    const most = limits[name];
    if (most === 0) return [];
    const begun = (history.begun ?? []).filter(({ owner }) => !isPersons || owner === start.owner);
    const times = timesWithin(begun, windowMs, now);
    // Once this one has left the window there is room for one more.
    const leaves = times[times.length - most];
    return leaves === undefined ? [] : [{ name, most, until: leaves + windowMs }];
  });
  return reached.toSorted((a, b) => b.until - a.until)[0] ?? null;
}

/** Notes that a session got its slot. */
export function noteStart(history: StartHistory, start: Start, limits: StartLimits, now: number): StartHistory {
  const { STARTS_A_MINUTE: pace } = limits;
  const begun = (history.begun ?? []).filter(({ at }) => at > now - DAY_MS);
  if (start.isNew) begun.push({ at: now, owner: start.owner });
  return {
    ...history,
    begun: begun.slice(-MOST_STARTS),
    ...(pace > 0 && { pace: { left: Math.max(0, paceLeft(history, pace, now) - 1), at: now } }),
  };
}

function paceLeft({ pace: known }: StartHistory, perMinute: number, now: number): number {
  const burst = Math.max(1, Math.ceil(perMinute * BURST));
  // A time ahead of the clock was noted before the clock was set back.
  if (known === undefined || known.at > now) return burst;
  return Math.min(burst, known.left + ((now - known.at) * perMinute) / MINUTE_MS);
}

function timesWithin(begun: readonly { at: number }[], windowMs: number, now: number): number[] {
  return begun.map(({ at }) => at).filter((at) => at > now - windowMs && at <= now);
}
