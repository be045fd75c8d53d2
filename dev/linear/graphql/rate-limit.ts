/**
 * Linear's limits for an app: two leaky buckets, one of requests and one of complexity points, each filled again over an hour.
 * Source: linear.app/developers/rate-limiting.
 */
import type { SimulatorClock } from '../clock.ts';

const HOUR_MS = 3_600_000;

export interface RateLimits {
  requestsPerHour: number;
  complexityPerHour: number;
}

export const LINEAR_RATE_LIMITS: RateLimits = { requestsPerHour: 5_000, complexityPerHour: 2_000_000 };

class Bucket {
  readonly allowed: number;
  readonly #clock: SimulatorClock;
  #remaining: number;
  #at: number;

  constructor(allowed: number, clock: SimulatorClock) {
    this.allowed = allowed;
    this.#clock = clock;
    this.#remaining = allowed;
    this.#at = clock.now();
  }

  get remaining(): number {
    const now = this.#clock.now();
    this.#remaining = Math.min(this.allowed, this.#remaining + ((now - this.#at) * this.allowed) / HOUR_MS);
    this.#at = now;
    return this.#remaining;
  }

  take(amount: number): void {
    this.#remaining = this.remaining - amount;
  }

  /** Epoch milliseconds at which it is full again. */
  get reset(): number {
    return Math.ceil(this.#clock.now() + ((this.allowed - this.remaining) / this.allowed) * HOUR_MS);
  }
}

export class RateLimiter {
  readonly #requests: Bucket;
  readonly #complexity: Bucket;

  constructor(limits: RateLimits, clock: SimulatorClock) {
    this.#requests = new Bucket(limits.requestsPerHour, clock);
    this.#complexity = new Bucket(limits.complexityPerHour, clock);
  }

  /** Counts a request. @returns false when it is over a limit; it then counts for nothing */
  take(complexity: number): boolean {
    if (this.#requests.remaining < 1 || this.#complexity.remaining < complexity) return false;
    this.#requests.take(1);
    this.#complexity.take(complexity);
    return true;
  }

  /** @param overUntil epoch milliseconds; given when the answer is to look as if the limit were reached */
  headers(complexity: number, overUntil?: number): Record<string, string> {
    const remaining = (bucket: Bucket) => String(overUntil === undefined ? Math.floor(bucket.remaining) : 0);
    return {
      'x-complexity': String(complexity),
      'x-ratelimit-requests-limit': String(this.#requests.allowed),
      'x-ratelimit-requests-remaining': remaining(this.#requests),
      'x-ratelimit-requests-reset': String(overUntil ?? this.#requests.reset),
      'x-ratelimit-complexity-limit': String(this.#complexity.allowed),
      'x-ratelimit-complexity-remaining': String(Math.floor(this.#complexity.remaining)),
      'x-ratelimit-complexity-reset': String(this.#complexity.reset),
    };
  }

  /** The query rateLimitStatus. */
  status() {
    const limit = (type: string, bucket: Bucket, requestedAmount: number) => ({
      type,
      requestedAmount,
      allowedAmount: bucket.allowed,
      period: HOUR_MS,
      remainingAmount: Math.floor(bucket.remaining),
      reset: bucket.reset,
    });
    return {
      identifier: null,
      kind: 'oauthApp',
      limits: [limit('REQUEST', this.#requests, 1), limit('COMPLEXITY', this.#complexity, 0)],
    };
  }
}
