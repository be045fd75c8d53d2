/**
 * The rate limit of Linear's API: what a workspace is still allowed, read from its answers, and what that means for the next call (pure).
 * Headers and shapes: https://linear.app/developers/rate-limiting. Times are ms since the epoch.
 */
import * as z from 'zod';
import type { Priority } from './call.ts';

const bucketSchema = z.object({ limit: z.number(), remaining: z.number(), resetAt: z.number() });
/** One of the two allowances of an hour: requests, or points of complexity. */
export type Bucket = z.infer<typeof bucketSchema>;

/** What is known of a workspace's allowance; null: nothing yet. */
export const allowanceSchema = z.object({
  requests: bucketSchema.nullable(),
  complexity: bucketSchema.nullable(),
  /** When Linear said so last. */
  readAt: z.number().nullable(),
  /** Linear answered RATELIMITED: nothing is sent before this. */
  blockedUntil: z.number().nullable(),
  /** The next thought waits until this; set while the allowance is scarce. */
  nextThoughtAt: z.number(),
});
export type Allowance = z.infer<typeof allowanceSchema>;

/** Before the first answer. */
export const unknownAllowance: Allowance = {
  requests: null,
  complexity: null,
  readAt: null,
  blockedUntil: null,
  nextThoughtAt: 0,
};

/** Below this part of the allowance, what is ephemeral is left out. */
export const LOW = 0.25;
/** Below this part thoughts are spread over the time until the reset. */
export const SCARCE = 0.1;
/** Below this part actions are spread as well, and only answers go at once. */
export const LAST = 0.02;
/** How long nothing is sent after RATELIMITED without a time. */
export const BLOCK_MS = 60_000;
const MAX_PACE_MS = 60_000;

/** What becomes of a call now: it goes, it is left out, or it waits. */
export type Verdict = { kind: 'go' } | { kind: 'drop' } | { kind: 'wait'; until: number };

/** The allowance after an answer with these headers. Answers without them (a proxy's error page) change nothing. */
export function afterHeaders(before: Allowance, headers: Headers, now: number): Allowance {
  const requests = bucketOf(headers, 'requests');
  const complexity = bucketOf(headers, 'complexity');
  if (!requests && !complexity) return before;
  return {
    ...before,
    requests: requests ?? before.requests,
    complexity: complexity ?? before.complexity,
    readAt: now,
  };
}

/** The allowance after RATELIMITED. @param retryAt as Linear said; null: it did not */
export function afterRefusal(before: Allowance, retryAt: number | null, now: number): Allowance {
  return { ...before, blockedUntil: retryAt ?? now + BLOCK_MS };
}

/**
 * Decides about one call.
 * @returns the verdict, and the allowance with this call taken into account
 */
export function admit(allowance: Allowance, priority: Priority, now: number): [Verdict, Allowance] {
  const { blockedUntil, nextThoughtAt } = allowance;
  const left = partLeft(allowance, now);
  const isBlocked = blockedUntil !== null && blockedUntil > now;
  if (priority === 'ephemeral' && (isBlocked || left < LOW)) return [{ kind: 'drop' }, allowance];
  if (isBlocked) return [{ kind: 'wait', until: blockedUntil }, allowance];
  const isPaced = (priority === 'thought' && left < SCARCE) || (priority === 'action' && left < LAST);
  if (!isPaced) return [{ kind: 'go' }, allowance];
  if (nextThoughtAt > now) return [{ kind: 'wait', until: nextThoughtAt }, allowance];
  return [{ kind: 'go' }, { ...allowance, nextThoughtAt: now + paceOf(allowance, now) }];
}

/** The smaller part that is left of the two, 0 to 1; what was reset since, or is not known, counts as whole. */
export function partLeft({ requests, complexity }: Allowance, now: number): number {
  const parts = [requests, complexity].map((bucket) =>
    bucket && bucket.resetAt > now && bucket.limit > 0 ? bucket.remaining / bucket.limit : 1,
  );
  return Math.min(1, ...parts);
}

/** Between two paced calls: half of what is left must do until the reset, the other half is for answers. */
function paceOf({ requests }: Allowance, now: number): number {
  if (!requests || requests.resetAt <= now) return 1_000;
  const pace = (requests.resetAt - now) / Math.max(1, requests.remaining / 2);
  return Math.round(Math.min(MAX_PACE_MS, Math.max(1_000, pace)));
}

function bucketOf(headers: Headers, kind: 'requests' | 'complexity'): Bucket | null {
  const read = (name: string) => {
    const text = headers.get(`x-ratelimit-${kind}-${name}`);
    return text === null || text === '' ? Number.NaN : Number(text);
  };
  const bucket = { limit: read('limit'), remaining: read('remaining'), resetAt: read('reset') };
  return Object.values(bucket).every((value) => Number.isFinite(value)) ? bucket : null;
}
