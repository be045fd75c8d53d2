/**
 * A call to Linear's API on its way to the workspace's object and back: plain data, because it crosses from one object to
 * another, where a class would lose its kind.
 */
import { LinearError } from './errors.ts';

/**
 * What goes first when calls have to wait, and goes on longest when the allowance runs low:
 * - `answer`: what ends a turn or asks a person: responses, elicitations, errors
 * - `action`: what was done, and everything that is no activity
 * - `thought`: what passes through Claude's mind
 * - `ephemeral`: what the next activity replaces anyway
 */
export const PRIORITIES = ['answer', 'action', 'thought', 'ephemeral'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** A GraphQL operation to carry out. */
export interface Call {
  document: string;
  variables: Record<string, unknown>;
  priority: Priority;
  /** The variables bear an id that the caller chose, so that "conflict on insert" means: an earlier try did it. */
  idempotent: boolean;
  /** Addresses of files in the answer are to be good without a token for this many seconds (header `public-file-urls-expire-in`). */
  signFilesFor?: number;
  /** Id of the issue session that asks: it is told when the workspace, which takes no token now, is installed again. */
  session?: string;
}

/** Why a call failed, as in LinearError. `retryAt` in ms since the epoch; only for `rate-limited`. */
export interface CallFailure {
  ok: false;
  kind: LinearError['kind'];
  message: string;
  retryAt: number | null;
}

/** `json`: the answer's `data` as JSON text; `null` for what an earlier try did, or what was left out to save allowance. */
export type CallResult = { ok: true; json: string } | CallFailure;

/** Sends a call. @returns the answer's data, null as in CallResult. @throws LinearError */
export type Send = (call: Call) => Promise<unknown>;

/** Makes a failure. */
export function failure(kind: LinearError['kind'], message: string, retryAt: number | null = null): CallFailure {
  return { ok: false, kind, message, retryAt };
}

/** The data of a result. @throws LinearError where it is a failure */
export function dataOf(result: CallResult): unknown {
  if (result.ok) return JSON.parse(result.json);
  throw new LinearError(result.kind, result.message, { retryAt: result.retryAt });
}
