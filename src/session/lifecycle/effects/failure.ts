/** What became of an attempt, as data: nothing that is thrown tells the outbox what to do. */
import type { Cause } from './retry-policies.ts';

/** An attempt failed, and another one may succeed. */
export interface Retryable {
  kind: 'retryable';
  cause: Cause;
  message: string;
  /** What a person can do, if it is known. */
  hint: string | null;
  /** Not before then, in ms since the epoch; null: as the effect's policy says. */
  retryAt: number | null;
  /** What is waited for until the next attempt, as a message; left out where people need not know. */
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

export type Failure = Retryable | Terminal;
