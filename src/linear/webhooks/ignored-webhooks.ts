/** Counts a workspace's webhooks that Cyrus does not act on, by kind, in the storage of the workspace's object. */
import * as z from 'zod';
import { ownValue } from '../../lib/own-value.ts';
import { cutWhole } from '../../protocol/text/sendable-text.ts';

/** Kinds come from outside: what is counted apart is bounded in number and length. */
const MOST_KINDS = 100;
const LONGEST_KIND = 80;
const KEY = 'ignored-webhooks';

const countsSchema = z.object({
  /** When counting began, in ms since the epoch. */
  since: z.number(),
  total: z.number(),
  /** `type.action` of a kind that is not known, or the word for why one of a known kind was passed over. */
  kinds: z.record(z.string(), z.number()),
});
export type IgnoredWebhooks = z.infer<typeof countsSchema>;

/** @param now ms @returns zero counts since now, if nothing was counted yet */
export function readIgnored(kv: SyncKvStorage, now: number): IgnoredWebhooks {
  const kept = countsSchema.safeParse(kv.get(KEY));
  return kept.success ? kept.data : { since: now, total: 0, kinds: {} };
}

/** Counts one more; the count is durable with the next write of the object. @param now ms */
export function countIgnored(kv: SyncKvStorage, kind: string, now: number): void {
  const { since, total, kinds } = readIgnored(kv, now);
  const name = cutWhole(kind, LONGEST_KIND);
  const isNew = !Object.hasOwn(kinds, name);
  // Beyond the bound only the total grows.
  const counted =
    isNew && Object.keys(kinds).length >= MOST_KINDS ? kinds : { ...kinds, [name]: (ownValue(kinds, name) ?? 0) + 1 };
  kv.put(KEY, { since, total: total + 1, kinds: counted });
}
