/** Compares what somebody sent with what was expected. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Compared as digests: equal length, and no hint by the time it takes. */
export function isSameSecret(one: string | Buffer, other: string | Buffer): boolean {
  const digest = (secret: string | Buffer) => createHash('sha256').update(secret).digest();
  return timingSafeEqual(digest(one), digest(other));
}
