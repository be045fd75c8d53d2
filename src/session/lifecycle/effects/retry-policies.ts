/** How effects are retried, as data. Each definition names the policy of its kind. Durations in ms. */
import type { RetryPolicy } from '../../../kernel/attempt.ts';

/** How one kind of effect is retried. */
export interface Retry {
  passing: RetryPolicy;
  /** Null: an effect that nobody waits for days for. The failure is terminal then. */
  unauthorized: RetryPolicy | null;
  /**
   * How long one attempt may take; after that it counts as failed by a passing cause. Each request to a service has a
   * shorter limit of its own. This one is met if a call to D1, R2 or another object is never answered, which would
   * otherwise hold the effect's lane for the life of the object.
   */
  attemptLimitMs: number;
}

export const HALF_A_MINUTE: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 300_000, attempts: 6 };
/** As long as it lasts, for about a day: a stop by people ends it earlier. */
export const A_DAY: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 60_000, attempts: 1_900 };
export const HALF_A_DAY: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 300_000, attempts: 150 };
/** A service that others run: seconds at first, hours in the end. */
export const FIVE_DAYS: RetryPolicy = { initialMs: 5_000, coefficient: 4, maximumMs: 6 * 3_600_000, attempts: 26 };
/** An installation is made by people: days may pass. The workspace wakes its sessions when it is there. */
export const A_MONTH: RetryPolicy = { initialMs: 30_000, coefficient: 2, maximumMs: 3_600_000, attempts: 960 };

/** For most calls. */
export const USUAL_ATTEMPT_LIMIT_MS = 3 * 60_000;
/** For what moves files or starts containers. */
export const LONG_ATTEMPT_LIMIT_MS = 10 * 60_000;
