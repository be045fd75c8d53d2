/** How much of what is random a test tries: all of it in `npm test`, a part in `npm run test:fast`. */
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** From `CYRUS_HISTORIES` (vitest.config.ts): above 0, at most 1. */
    shareOfHistories: number;
  }
}

/** How many of so many histories are to be played, at least one. */
export function histories(all: number): number {
  return Math.max(1, Math.round(all * inject('shareOfHistories')));
}

/** A number as people write it: 2,000. */
export function written(count: number): string {
  return count.toLocaleString('en');
}
