/**
 * What this isolate has seen of webhooks, for the operator: counted in memory, reported at once and then at most every ten seconds,
 * because anybody can send something to the address. What is counted in between goes along with the next report; Linear repeats what
 * it was refused. A delivery that is good is reported once a minute at most.
 */
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { operationsOf } from '../../operations/operations.ts';
import { type FaultKind, isSubscribed, type WebhookReport } from '../../operations/webhook-record.ts';

const REPORT_EVERY_MS = 10_000;
const GOOD_EVERY_MS = 60_000;
/** What is counted apart comes from outside. */
const MOST_COUNTS = 100;

/** By kind and workspace, as `kind workspace`. */
let counts = new Map<string, { kind: FaultKind; workspace: string | null; count: number }>();
let goodAt: number | null = null;
/** When a signature last did not match. */
let badAt = 0;
let goodReportedAt = 0;
let reportedAt = 0;
/** Events that came and were not reported yet, and those that were. */
let types = new Set<string>();
const toldTypes = new Set<string>();

/** A delivery's signature matches. @param type the event, as in Linear's list of them. Never rejects. */
export async function noteGood(env: Env, type: string): Promise<void> {
  const now = Date.now();
  goodAt = now;
  if (isSubscribed(type) && !toldTypes.has(type)) types.add(type);
  // A report of faults that waits takes it along.
  if (counts.size + types.size > 0 || Math.abs(now - goodReportedAt) >= GOOD_EVERY_MS) await report(env);
}

/** A delivery was refused, dropped or misunderstood. @param workspace where it is signed and says it. Never rejects. */
export async function noteFault(env: Env, kind: FaultKind, workspace: string | null = null): Promise<void> {
  const apart = counts.size < MOST_COUNTS ? workspace : null;
  const name = `${kind} ${apart ?? ''}`;
  const known = counts.get(name) ?? { kind, workspace: apart, count: 0 };
  counts.set(name, { ...known, count: known.count + 1 });
  if (kind === 'signature') badAt = Date.now();
  await report(env);
}

async function report(env: Env): Promise<void> {
  if (Math.abs(Date.now() - reportedAt) < REPORT_EVERY_MS) return;
  const faults = [...counts.values()];
  const isBad = faults.some(({ kind }) => kind === 'signature');
  const came = [...types];
  const told: WebhookReport = { goodAt, faults, ...(isBad && { badAt }), ...(came.length > 0 && { types: came }) };
  counts = new Map();
  types = new Set();
  goodAt = null;
  reportedAt = Date.now();
  if (told.goodAt !== null) goodReportedAt = told.goodAt;
  // The next one that matches is news.
  if (isBad) goodReportedAt = 0;
  for (const { kind, workspace, count } of faults) {
    if (kind === 'signature') log('alert.linear.webhook_signature', { count });
    else log('linear.webhook.refused', { kind, workspace, count });
  }
  try {
    await operationsOf(env).noteWebhooks(told);
    for (const type of came) toldTypes.add(type);
  } catch (error) {
    log('linear.webhook_report.failed', { error: asError(error) });
  }
}
