/** How many requests are allowed in a period, exactly: a sliding window for callers, a bucket for bursts (pure). Times in ms. */

/** At most `limit` requests in any period of `windowMs`. */
export interface WindowPolicy {
  limit: number;
  windowMs: number;
}

/** What became of a request. */
export interface WindowDecision {
  allowed: boolean;
  limit: number;
  /** Requests that are allowed now, after this one. */
  remaining: number;
  /** In so many ms one more is allowed than now. */
  resetMs: number;
}

/**
 * Takes a request into the window.
 * @param times of requests that were allowed, oldest first
 * @returns the decision, and the times to keep; a request that is refused is not among them, so that who waits is let in
 */
export function slide(
  times: readonly number[],
  { limit, windowMs }: WindowPolicy,
  now: number,
): { decision: WindowDecision; times: number[] } {
  // A time ahead of the clock was noted before the clock was set back.
  const within = times.filter((time) => time > now - windowMs && time <= now);
  const allowed = within.length < limit;
  const kept = allowed ? [...within, now] : within;
  const [oldest = now] = kept;
  const resetMs = Math.max(0, oldest + windowMs - now);
  return { decision: { allowed, limit, remaining: Math.max(0, limit - kept.length), resetMs }, times: kept };
}

/** A burst of `burst`, and `perMinute` sustained. */
export interface BucketPolicy {
  burst: number;
  perMinute: number;
}

/** What is in a bucket. `at`: when that was counted. Below 0: more was let in than it had. */
export interface Bucket {
  level: number;
  at: number;
}

/** Above this share of a burst, callers may let in some by themselves and pay for them the next time. */
const PLENTY = 0.5;
const ON_CREDIT = 25;
/** Clocks of machines on which an object has been differ by less, in ms. */
const SKEW_MS = 60_000;

/** `free`: so many more may be let in before the bucket is asked again. `waitMs`: until there is room, if it is refused. */
export interface Draw {
  allowed: boolean;
  free: number;
  waitMs: number;
}

/**
 * Takes one request out of a bucket, and those that were let in on credit before.
 * @param bucket null: it is full
 * @param owed requests that were let in since it was asked last
 */
export function draw(
  bucket: Bucket | null,
  { burst, perMinute }: BucketPolicy,
  owed: number,
  now: number,
): { draw: Draw; bucket: Bucket } {
  // A time far ahead was noted before the clock was set back: nobody is refused until then.
  const before = bucket && bucket.at - now < SKEW_MS ? bucket : { level: burst, at: now };
  const passed = Math.max(0, now - before.at);
  const level = Math.min(burst, before.level + (passed * perMinute) / 60_000) - owed;
  // Sums of many small parts are a little below what they should be.
  const allowed = level >= 1 - 1e-6;
  const left = allowed ? level - 1 : level;
  const free = allowed && left > burst * PLENTY ? Math.min(ON_CREDIT, Math.floor(burst * PLENTY)) : 0;
  const waitMs = allowed ? 0 : Math.ceil(((1 - level) * 60_000) / Math.max(perMinute, 1e-9));
  return { draw: { allowed, free, waitMs }, bucket: { level: left, at: now } };
}
