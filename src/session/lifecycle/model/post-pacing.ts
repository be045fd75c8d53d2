/**
 * How often a thread is written to (pure). What a turn has to tell is gathered and sent together: often while the turn is
 * young and people watch, ever less often as it goes on, so that an hour of work costs Linear about 35 calls. What people wait for
 * goes at once and takes along whatever was gathered, and never holds up what is said after it.
 */
import type { Verbosity } from '../../../protocol/settings/repository.ts';

/** How much has been sent to a thread, remembered with it. Times in ms since the epoch. */
export interface Pace {
  /** Calls that may still be made, as of `at`; grows with time, and may be below zero where the next ones are promised. */
  tokens: number;
  at: number;
  /** When the gathered is sent, or was sent last. */
  flushAt: number;
}

/**
 * - `answer`: a person waits for it
 * - `news`: can be gathered
 * - `passing`: is replaced by what comes next; left out where calls are scarce
 */
export type Urgency = 'answer' | 'news' | 'passing';

/** Calls that may be made at once, and after how many ms there is one more. */
const RATES: Record<Verbosity, { burst: number; refillMs: number }> = {
  quiet: { burst: 10, refillMs: 160_000 },
  normal: { burst: 10, refillMs: 160_000 },
  verbose: { burst: 20, refillMs: 40_000 },
};

/** Wait after a call, in ms, with at least so many tokens left. */
const GAPS: [tokens: number, gapMs: number][] = [
  [6, 1_500],
  [4, 6_000],
  [2, 20_000],
];
const LAST_GAP_MS = 45_000;
/** With fewer tokens nothing is sent that the next activity replaces anyway. */
const PASSING_NEEDS = 3;
/** What is gathered is sent at most so late, in ms, whatever was said before it. */
export const MOST_LATE_MS = 160_000;

/** The pace of a thread in which nothing was said yet. */
export function initialPace(verbosity: Verbosity, now: number): Pace {
  return { tokens: RATES[verbosity].burst, at: now, flushAt: 0 };
}

/**
 * When something is sent.
 * @returns the pace from now on, and the time in ms since the epoch; null: it is left out
 */
export function schedule(
  before: Pace,
  urgency: Urgency,
  verbosity: Verbosity,
  now: number,
): { pace: Pace; at: number } | null {
  const { burst, refillMs } = RATES[verbosity];
  const tokens = Math.min(burst, before.tokens + Math.max(0, now - before.at) / refillMs);
  // A time further off than that was set on another clock.
  const isGathering = before.flushAt >= now && before.flushAt <= now + MOST_LATE_MS;
  if (urgency === 'answer') {
    // People decide how often they ask: it costs a call, and never the time of what comes after it.
    const left = isGathering ? tokens : Math.max(0, tokens - 1);
    return { pace: { tokens: left, at: now, flushAt: now }, at: now };
  }
  if (isGathering) return { pace: before, at: before.flushAt };
  if (urgency === 'passing' && tokens < PASSING_NEEDS) return null;
  const untilToken = tokens >= 1 ? now : now + Math.ceil((1 - tokens) * refillMs);
  const untilGap = before.flushAt === 0 ? now : before.flushAt + gapAt(tokens);
  const at = Math.min(now + MOST_LATE_MS, Math.max(now, untilToken, untilGap));
  return { pace: { tokens: tokens - 1, at: now, flushAt: at }, at };
}

function gapAt(tokens: number): number {
  return GAPS.find(([least]) => tokens >= least)?.[1] ?? LAST_GAP_MS;
}
