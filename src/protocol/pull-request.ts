/** `GET /api/sessions/:id/pull-request`: what GitHub says of a session's pull request. Times are milliseconds since the epoch. */
import * as z from 'zod';

/** The state that people give it; one that only a newer server has is an open one. */
const pullStateSchema = z.enum(['draft', 'open', 'merged', 'closed']);

/** What all checks together say. `none`: there are none; `unknown`: they cannot be read. */
const checksVerdictSchema = z.enum(['passed', 'failed', 'running', 'none', 'unknown']);

/** What the reviews say. `none`: nobody has approved it or asked for changes. */
const reviewVerdictSchema = z.enum(['approved', 'changes', 'none', 'unknown']);

/** The short of it, for headers and lists. */
export const pullSummarySchema = z.object({
  state: pullStateSchema.catch('open'),
  checks: checksVerdictSchema.catch('unknown'),
  review: reviewVerdictSchema.catch('unknown'),
});
export type PullSummary = z.infer<typeof pullSummarySchema>;

/** A check of CI on the newest commit. */
export const pullCheckSchema = z.object({
  name: z.string(),
  state: z.enum(['passed', 'failed', 'running', 'skipped']).catch('running'),
  /** Where it is shown; null: nowhere. */
  url: z.string().nullable(),
});
export type PullCheck = z.infer<typeof pullCheckSchema>;

export const pullRequestStatusSchema = z.object({
  number: z.number().int().positive(),
  url: z.string(),
  title: z.string(),
  ...pullSummarySchema.shape,
  /** Those that failed come first, then those that run. */
  checkList: z.array(pullCheckSchema),
  /** Checks beyond those in the list. */
  moreChecks: z.number().int().nonnegative().default(0),
  /** Why checks are missing, as a message; left out if none are. */
  checksProblem: z.string().optional(),
  /** Logins of who approved it, asked for changes, and was asked for a review. */
  approvedBy: z.array(z.string()),
  changesBy: z.array(z.string()),
  waitsFor: z.array(z.string()),
  reviewsProblem: z.string().optional(),
  /** When GitHub was asked. */
  at: z.number().int().nonnegative(),
});
export type PullRequestStatus = z.infer<typeof pullRequestStatusSchema>;
