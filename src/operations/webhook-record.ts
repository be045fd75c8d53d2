/**
 * Whether Linear's webhooks arrive, and which of them were refused or did not fit, by hour (pure). A secret that does not match is
 * otherwise seen by nobody: Linear is answered 401, and people see an agent that does not answer.
 */
import * as z from 'zod';

/**
 * Why a delivery was refused or dropped. `signature`: it does not match LINEAR_WEBHOOK_SECRET; `unsigned`: it has none, so it is hardly
 * Linear's; `malformed`: it is signed and no webhook; `misfit`: of a known kind, in a shape that is not; `too-old`; `clock-ahead`: it was taken.
 */
export const FAULT_KINDS = ['signature', 'unsigned', 'malformed', 'misfit', 'too-old', 'clock-ahead'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  kind: FaultKind;
  /** Linear's organization id, where the delivery is signed and says it. */
  workspace: string | null;
  count: number;
}

/** What an isolate has seen since its last report. */
export interface WebhookReport {
  /** When a delivery last had a signature that matches; ms since the epoch; null: none had. */
  goodAt: number | null;
  faults: readonly Fault[];
  /** When the last of the signatures that do not match came; ms since the epoch; left out: as it is reported. */
  badAt?: number;
  /** Events of Linear's that came with a signature that matches, e.g. `Issue`, and that this isolate has not told yet. */
  types?: readonly string[];
}

export const webhookRecordSchema = z.object({
  /** When a delivery with a matching signature last came, as was reported; null: never. */
  goodAt: z.number().nullable(),
  /** Deliveries since then whose signature does not match, and when the first and the last of them came. */
  bad: z.object({ count: z.number(), since: z.number(), at: z.number() }).nullable(),
  /** Faults by the hour in which they were reported, the newest last: counts by kind, or by kind and workspace as `kind workspace`. */
  hours: z.array(z.object({ from: z.number(), counts: z.record(z.string(), z.number()) })),
  /** When each event that an application has to be subscribed to first came; left out by earlier versions. */
  types: z.record(z.string(), z.number()).optional(),
});
export type WebhookRecord = z.infer<typeof webhookRecordSchema>;

export const noWebhooks: WebhookRecord = { goodAt: null, bad: null, hours: [] };

const HOUR_MS = 3_600_000;
const MOST_HOURS = 48;
/** Workspaces come from outside: so many are counted apart in an hour, the others by kind alone. */
const MOST_COUNTS = 100;

/** @param now ms @returns the record with a report taken in */
export function noted(record: WebhookRecord, report: WebhookReport, now: number): WebhookRecord {
  const { goodAt, faults, types = [] } = report;
  const known = record.types ?? {};
  const fresh = types.filter((type) => isSubscribed(type) && !Object.hasOwn(known, type));
  return {
    ...record,
    ...(fresh.length > 0 && { types: { ...known, ...Object.fromEntries(fresh.map((type) => [type, now])) } }),
    goodAt: goodAt === null ? record.goodAt : Math.max(goodAt, record.goodAt ?? 0),
    bad: badAfter(record.bad, report, now),
    hours: faults.length === 0 ? record.hours : withFaults(record.hours, faults, now),
  };
}

/** Deliveries that did not match since one last did. A report may be of both, in either order. */
function badAfter(
  known: WebhookRecord['bad'],
  { goodAt, faults, badAt: at }: WebhookReport,
  now: number,
): WebhookRecord['bad'] {
  const count = faults.filter(({ kind }) => kind === 'signature').reduce((sum, fault) => sum + fault.count, 0);
  const isGood = goodAt !== null && goodAt >= (known?.at ?? 0);
  const before = isGood ? null : known;
  if (count === 0) return before;
  const badAt = at ?? now;
  if (goodAt !== null && goodAt > badAt) return before;
  return { count: (before?.count ?? 0) + count, since: before?.since ?? badAt, at: Math.max(badAt, before?.at ?? 0) };
}

function withFaults(hours: WebhookRecord['hours'], faults: readonly Fault[], now: number): WebhookRecord['hours'] {
  const from = now - (now % HOUR_MS);
  const counts = { ...hours.find((hour) => hour.from === from)?.counts };
  for (const { kind, workspace, count } of faults) {
    const apart = workspace === null ? kind : `${kind} ${workspace}`;
    const isCounted = Object.hasOwn(counts, apart) || Object.keys(counts).length < MOST_COUNTS;
    const name = isCounted ? apart : kind;
    counts[name] = (counts[name] ?? 0) + count;
  }
  return [...hours.filter((hour) => hour.from !== from), { from, counts }].slice(-MOST_HOURS);
}

/** Events without which something of Cyrus does not work, and what that is. */
const NEEDED = {
  AgentSessionEvent: 'nothing begins when Cyrus is mentioned or given an issue',
  Issue: 'work goes on when its issue is completed, canceled or moved',
} as const;
/** Once one of them came, the other is expected within so long: giving Cyrus an issue causes both. */
const EXPECTED_MS = { AgentSessionEvent: 24 * HOUR_MS, Issue: HOUR_MS } as const;

/** Whether it is one of the events that an application has to be subscribed to. */
export function isSubscribed(type: string): type is keyof typeof NEEDED {
  return Object.hasOwn(NEEDED, type);
}

/**
 * Events that Linear seems not to send, because the application is not subscribed to them.
 * @param now ms
 * @returns each with what does not work without it; null: too little has come to tell
 */
export function webhookTypesMissing(
  { types = {} }: WebhookRecord,
  now: number,
): { type: string; without: string }[] | null {
  const known = Object.values(types);
  if (known.length === 0) return null;
  const since = Math.min(...known);
  const missing = Object.keys(NEEDED)
    .filter(isSubscribed)
    .filter((type) => !Object.hasOwn(types, type));
  if (missing.some((type) => now - since < EXPECTED_MS[type])) return null;
  return missing.map((type) => ({ type, without: NEEDED[type] }));
}

/** The state of the intake of webhooks, for people. `unknown`: none came yet. */
export interface WebhookVerdict {
  kind: 'good' | 'bad' | 'unknown';
  words: string;
}

export function verdictOf({ goodAt, bad }: WebhookRecord): WebhookVerdict {
  if (bad) {
    const deliveries = bad.count === 1 ? 'The last delivery' : `The last ${bad.count} deliveries`;
    return {
      kind: 'bad',
      words: `${deliveries} had a signature that does not match LINEAR_WEBHOOK_SECRET, the last one at ${timeOf(bad.at)}`,
    };
  }
  if (goodAt === null) return { kind: 'unknown', words: 'No delivery of Linear has come yet' };
  return { kind: 'good', words: `Deliveries of Linear come, the last one that was noted at ${timeOf(goodAt)}` };
}

function timeOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** What each kind of fault is called for people. */
const FAULT_WORDS: Record<FaultKind, string> = {
  signature: 'with a signature that does not match',
  unsigned: 'without a signature',
  malformed: 'signed, but no webhook',
  misfit: 'of a known kind in an unknown shape',
  'too-old': 'older than WEBHOOK_MAX_AGE_HOURS',
  'clock-ahead': 'ahead of the clock here',
};

/** What was refused or did not fit in the last 24 hours, in one line; null: nothing. @param now ms */
export function faultsOfDay({ hours }: WebhookRecord, now: number): string | null {
  const sums = new Map<FaultKind, number>();
  for (const { from, counts } of hours) {
    if (from < now - 24 * HOUR_MS) continue;
    for (const kind of FAULT_KINDS) {
      const own = Object.entries(counts).filter(([name]) => name === kind || name.startsWith(`${kind} `));
      const sum = own.reduce((total, [, count]) => total + count, 0);
      if (sum > 0) sums.set(kind, (sums.get(kind) ?? 0) + sum);
    }
  }
  const parts = [...sums].map(([kind, count]) => `${count} ${FAULT_WORDS[kind]}`);
  return parts.length === 0 ? null : `Webhooks in the last 24 hours: ${parts.join(', ')}.`;
}
