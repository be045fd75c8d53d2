/** How effects are retried and what became of an attempt, as data: nothing that is thrown tells the outbox what to do. */
import type { Backoff } from '../lib/backoff.ts';

/** How waits between attempts grow, and when there are no more. Durations in ms. */
export interface RetryPolicy extends Backoff {
  /** The effect is given up after so many attempts. */
  attempts: number;
}

/**
 * Why an attempt failed, if another one may succeed.
 * - `passing`: a service is away, slow or busy
 * - `unauthorized`: a person has to grant access again, or to correct a secret
 */
export type Cause = 'passing' | 'unauthorized';

/** An attempt failed, and another one may succeed. */
export interface Retryable {
  kind: 'retryable';
  cause: Cause;
  message: string;
  /** What a person can do, if it is known. */
  hint: string | null;
  /** Not before then, in ms since the epoch; null: as the effect's policy says. */
  retryAt: number | null;
  /** What is waited for until the next attempt, as a message; left out if people need not know. */
  reason?: string;
  /** What was thrown, for the log. */
  error: Error;
}

/** An attempt failed, and every other one would. */
export interface Terminal {
  kind: 'terminal';
  message: string;
  /** What a person can do, if it is known. */
  hint: string | null;
  /** What was thrown, for the log. */
  error: Error;
}

/** An attempt failed. */
export type Failure = Retryable | Terminal;

/** What became of an attempt: the event that takes in what it brought back, or why it failed. */
export type Attempt<Event> = { kind: 'done'; event: Event } | Failure;

/**
 * So often in a row may the program end while an effect is carried out; then the effect itself is taken for the cause, and
 * given up.
 */
export const INTERRUPTION_LIMIT = 6;

/** True if an effect that failed for the `attempts`-th time is given up. @param policy null: it is not retried */
export function isGivenUp(policy: RetryPolicy | null, attempts: number): boolean {
  return policy === null || attempts >= policy.attempts;
}
