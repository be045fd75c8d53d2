/** Counts the requests of one caller: a Durable Object for each, so that the count is exact. What is over is deleted. */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import {
  type Bucket,
  type BucketPolicy,
  type Draw,
  draw,
  slide,
  type WindowDecision,
  type WindowPolicy,
} from './request-window.ts';

const TIMES = 'times';
const BUCKET = 'bucket';
/** After so long without a request nothing that is stored says anything, ms. */
const LENGTH = 'length';
const MINUTE_MS = 60_000;

const timesSchema = z.array(z.number());
const bucketSchema = z.object({ level: z.number(), at: z.number() });

export class RateLimiter extends DurableObject<Env> {
  /** Takes a request into a sliding window. */
  async take(policy: WindowPolicy): Promise<WindowDecision> {
    const { kv } = this.ctx.storage;
    const now = Date.now();
    const { decision, times } = slide(timesSchema.safeParse(kv.get(TIMES)).data ?? [], policy, now);
    if (decision.allowed) {
      kv.put(TIMES, times);
      await this.#arm(policy.windowMs);
    }
    return decision;
  }

  /** Takes a request out of a bucket. @param owed those that were let in since it was asked last */
  async draw(policy: BucketPolicy, owed: number): Promise<Draw> {
    const { kv } = this.ctx.storage;
    const now = Date.now();
    const known: Bucket | null = bucketSchema.safeParse(kv.get(BUCKET)).data ?? null;
    const { draw: drawn, bucket } = draw(known, policy, owed, now);
    if (drawn.allowed || owed > 0) {
      kv.put(BUCKET, bucket);
      await this.#arm((policy.burst / policy.perMinute) * MINUTE_MS);
    }
    return drawn;
  }

  /** The alarm is set once and looks again, so that a request costs no row for it. @param length after which a request says nothing any more, ms */
  async #arm(length: number): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) !== null) return;
    this.ctx.storage.kv.put(LENGTH, length);
    await this.ctx.storage.setAlarm(Date.now() + length + MINUTE_MS);
  }

  override async alarm(): Promise<void> {
    const { kv } = this.ctx.storage;
    const last = timesSchema.safeParse(kv.get(TIMES)).data?.at(-1) ?? 0;
    const touchedAt = Math.max(last, bucketSchema.safeParse(kv.get(BUCKET)).data?.at ?? 0);
    const overAt = touchedAt + (z.number().safeParse(kv.get(LENGTH)).data ?? 0);
    if (overAt > Date.now()) await this.ctx.storage.setAlarm(overAt + MINUTE_MS);
    else await this.ctx.storage.deleteAll();
  }
}

/** The limiter of a caller. @param kind of limit, e.g. `api` @param subject who it is */
export function limiterOf(env: Env, kind: string, subject: string): DurableObjectStub<RateLimiter> {
  return env.RATE_LIMITER.getByName(`${kind}:${subject}`);
}
