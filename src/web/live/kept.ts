/** What a page keeps for its next incarnation in the same tab, e.g. after a reload. */
import type * as z from 'zod';

/** What is kept under a name; null if nothing is. */
export function readKept<T>(key: string, schema: z.ZodType<T>): T | null {
  try {
    return schema.parse(JSON.parse(sessionStorage.getItem(key) ?? 'null'));
  } catch {
    return null; // Storage is forbidden, or holds something else: nothing is pending then.
  }
}

/** Keeps a value; null, or an empty list, forgets it. */
export function writeKept(key: string, kept: object | null): void {
  try {
    if (kept === null || (Array.isArray(kept) && kept.length === 0)) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(kept));
  } catch {
    // Without storage a reload forgets what is still under way; it is still sent while the page lives.
  }
}
