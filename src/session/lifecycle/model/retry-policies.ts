/**
 * How effects are retried, as data in one place (pure). A policy holds for one kind of effect and one kind of cause; what
 * people are told meanwhile is beside it. Durations in ms.
 */
import type { Backoff } from '../../../lib/backoff.ts';
import type { Effect } from './effects.ts';

export interface RetryPolicy extends Backoff {
  /** The effect is given up after so many attempts. */
  attempts: number;
}

/**
 * Why an attempt failed.
 * - `passing`: a service is away, slow or busy; the next attempt may succeed
 * - `unauthorized`: somebody has to install the app again, or put a secret right; waited for where people wait for words
 * - `terminal`: refused for good; never retried
 */
export type Cause = 'passing' | 'unauthorized' | 'terminal';

const HALF_A_MINUTE: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 300_000, attempts: 6 };
const HALF_AN_HOUR: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 300_000, attempts: 12 };
/** As long as it lasts, for about a day: a stop by people ends it earlier. */
const A_DAY: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 60_000, attempts: 1_900 };
const HALF_A_DAY: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 300_000, attempts: 150 };
/** An installation is made by people: days may pass. The workspace wakes its sessions when it is there. */
const A_MONTH: RetryPolicy = { initialMs: 30_000, coefficient: 2, maximumMs: 3_600_000, attempts: 960 };

const POLICIES: Record<Effect['kind'], RetryPolicy> = {
  // Nothing that was done or said goes missing because Linear is away for half a day.
  say: HALF_A_DAY,
  show: HALF_A_DAY,
  'open-thread': HALF_A_DAY,
  'start-issue': HALF_AN_HOUR,
  'look-at-issue': HALF_AN_HOUR,
  // The work waits for D1, Linear or the sandbox's host as long as that lasts.
  'start-sandbox': A_DAY,
  'prompt-sandbox': A_DAY,
  // After half a minute the turn goes on in another process, which is told.
  'answer-sandbox': HALF_A_MINUTE,
  'decide-sandbox': HALF_A_MINUTE,
  // It concerns its turn and those before, so that a late one does no harm; without it Claude would work on unseen.
  'stop-sandbox': HALF_AN_HOUR,
  'find-room': HALF_AN_HOUR,
  'ask-place': HALF_AN_HOUR,
  'give-place': HALF_AN_HOUR,
  'open-pull-request': HALF_AN_HOUR,
  'attach-pull-request': HALF_A_DAY,
  'index-session': HALF_A_DAY,
  // A turn's log is written once R2 is there again.
  'archive-turn': HALF_A_DAY,
};

/**
 * So often in a row may the object end while an effect is carried out; then the effect itself is taken for the cause, and
 * given up.
 */
export const INTERRUPTION_LIMIT = 6;

/**
 * How long an attempt may take, in ms. Each request to a service has a shorter limit of its own; this one is met if a call to
 * D1, R2 or another object is never answered, which would otherwise hold the effect's lane for the life of the object.
 */
const ATTEMPT_LIMITS_MS: Partial<Record<Effect['kind'], number>> = {
  // A container may have to be placed and its image fetched; files of the issue are fetched on the way to the sandbox.
  'start-sandbox': 10 * 60_000,
  'prompt-sandbox': 10 * 60_000,
  'answer-sandbox': 10 * 60_000,
  // Files that Claude shared are uploaded to Linear before they are named.
  say: 10 * 60_000,
  'archive-turn': 10 * 60_000,
};
const USUAL_ATTEMPT_LIMIT_MS = 3 * 60_000;

/** How long an attempt at these effects together may take, in ms. After that it counts as failed by a passing cause. */
export function attemptLimitMs(effects: readonly Effect[]): number {
  return Math.max(...effects.map(({ kind }) => ATTEMPT_LIMITS_MS[kind] ?? USUAL_ATTEMPT_LIMIT_MS));
}

/** @returns the policy for this effect; null: it is not retried after such a failure */
export function retryPolicy(effect: Effect, cause: Cause): RetryPolicy | null {
  if (cause === 'terminal') return null;
  if (cause === 'passing') return POLICIES[effect.kind];
  // What people wait for is told as soon as Linear takes a token again.
  return effect.kind === 'say' || effect.kind === 'show' || effect.kind === 'open-thread' ? A_MONTH : null;
}

/** True when an effect that failed for the `attempts`-th time is given up. */
export function isGivenUp(effect: Effect, attempts: number, cause: Cause): boolean {
  const policy = retryPolicy(effect, cause);
  return policy === null || attempts >= policy.attempts;
}
