/** Sends lines of the log that are errors to Sentry, if SENTRY_DSN is set. */
import { readConfig } from '../../config/read-config.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { envelopeOf, sentryRequest } from './sentry-event.ts';

const LIMIT_MS = 10_000;
const MINUTE_MS = 60_000;
/** Sentry is obeyed for so long at most: what it or a clock that was set says beyond that is not. */
const LONGEST_REST_MS = 60 * MINUTE_MS;
/** From each isolate: a storm of errors is told by these. */
const MOST_A_MINUTE = 30;

const sent = { since: Number.NEGATIVE_INFINITY, count: 0 };
/** Until then Sentry wants nothing, in ms since the epoch: it answered 429. */
let restsUntil = Number.NEGATIVE_INFINITY;

/**
 * Reports a line of the log. Never throws, and logs nothing: it is called for every line.
 * @param waitUntil keeps the invocation alive until it is sent
 */
export function reportError(
  env: Env,
  waitUntil: (promise: Promise<unknown>) => void,
  event: string,
  record: Readonly<Record<string, unknown>>,
): void {
  if (record.level !== 'error') return;
  try {
    const { sentry, environment } = readConfig(env);
    if (sentry === null || !maySend(Date.now())) return;
    const source = {
      id: crypto.randomUUID().replaceAll('-', ''),
      at: Date.now(),
      environment,
      release: env.VERSION?.tag || (env.VERSION?.id ?? ''),
    };
    const { url, headers } = sentryRequest(sentry);
    // What gets lost here is in the log.
    waitUntil(send(url, headers, envelopeOf(event, record, source)).catch(() => undefined));
  } catch {
    // The configuration cannot be read, or there is no invocation to belong to: the line is in the log.
  }
}

function maySend(now: number): boolean {
  if (now < restsUntil && restsUntil - now <= LONGEST_REST_MS) return false;
  if (Math.abs(now - sent.since) >= MINUTE_MS) Object.assign(sent, { since: now, count: 0 });
  sent.count += 1;
  return sent.count <= MOST_A_MINUTE;
}

async function send(url: string, headers: Record<string, string>, body: string): Promise<void> {
  await withTimeout(LIMIT_MS, async (signal) => {
    const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' });
    await response.body?.cancel();
    if (response.status !== 429) return;
    const seconds = Number(response.headers.get('retry-after'));
    restsUntil = Date.now() + Math.min(LONGEST_REST_MS, seconds > 0 ? seconds * 1_000 : MINUTE_MS);
  });
}
