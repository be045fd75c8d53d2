/**
 * A line of the log as an event of Sentry (pure). Formats: develop.sentry.dev/sdk/foundations/transport/envelopes and
 * develop.sentry.dev/sdk/data-model/event-payloads.
 */
import * as z from 'zod';
import type { SentryProject } from '../../config/config.ts';

/** As the log writes an error (src/observability/log.ts). */
const errorSchema = z.object({
  name: z.string(),
  message: z.string(),
  stack: z.string().default(''),
  get cause() {
    return errorSchema.optional();
  },
});
type LoggedError = z.infer<typeof errorSchema>;

/** What Sentry can search by; everything else of a line is shown with the event. */
const TAGS = ['session', 'issue', 'workspace', 'effect', 'status', 'path', 'method'];
/** Sentry cuts longer ones (develop.sentry.dev/sdk/data-model/event-payloads/#size-limits). */
const MOST_TAG = 200;
const MOST_EXTRA = 2_000;
const MOST_EXCEPTIONS = 5;

/** What is the same for all events of a deployment. */
export interface EventSource {
  /** 32 hex digits, new for each event. */
  id: string;
  /** Ms since the epoch. */
  at: number;
  environment: string;
  /** The version that runs; empty: not known. */
  release: string;
}

/**
 * @param record a line of the log, redacted
 * @returns the body of a request to the project's endpoint for envelopes
 */
export function envelopeOf(event: string, record: Readonly<Record<string, unknown>>, source: EventSource): string {
  const { id, at, environment, release } = source;
  const { error, event: _, level: __, alert: ___, ...fields } = record;
  const logged = errorSchema.safeParse(error);
  const tags = Object.entries(fields).filter(([name]) => TAGS.includes(name));
  const extra = Object.entries(fields).filter(([name]) => !TAGS.includes(name));
  const payload = {
    event_id: id,
    timestamp: at / 1_000,
    platform: 'javascript',
    level: 'error',
    logger: 'cyrus',
    environment,
    ...(release !== '' && { release }),
    server_name: 'cyrus',
    transaction: event,
    // What is the same event has one issue in Sentry: errors by their stack, lines without one by their name.
    fingerprint: logged.success ? ['{{ default }}', event] : [event],
    tags: Object.fromEntries(
      [['event', event], ...tags].map(([name, value]) => [name, String(value).slice(0, MOST_TAG)]),
    ),
    extra: Object.fromEntries(extra.map(([name, value]) => [name, shortened(value)])),
    ...(logged.success ? { exception: { values: exceptionsOf(logged.data) } } : { message: { formatted: event } }),
  };
  const head = { event_id: id, sent_at: new Date(at).toISOString() };
  return `${[head, { type: 'event', content_type: 'application/json' }, payload].map((part) => JSON.stringify(part)).join('\n')}\n`;
}

/** The request that brings an envelope to a project. */
export function sentryRequest({ url, key }: SentryProject): { url: string; headers: Record<string, string> } {
  const auth = `Sentry sentry_version=7, sentry_client=cyrus/1, sentry_key=${key}`;
  return { url, headers: { 'content-type': 'application/x-sentry-envelope', 'x-sentry-auth': auth } };
}

/** The innermost cause first, as Sentry wants them. */
function exceptionsOf(error: LoggedError): object[] {
  const chain: LoggedError[] = [];
  for (let next: LoggedError | undefined = error; next && chain.length < MOST_EXCEPTIONS; next = next.cause)
    chain.push(next);
  return chain.toReversed().map(({ name, message, stack }) => {
    const frames = stack.split('\n').flatMap(frameOf).toReversed();
    return { type: name, value: message, ...(frames.length > 0 && { stacktrace: { frames } }) };
  });
}

/** `at name (file:line:column)` or `at file:line:column`, as V8 writes it. */
function frameOf(line: string): object[] {
  const found = /^at (?:(?:async )?([^(]{1,200}) \()?([^()]{1,500}?):(\d{1,9}):(\d{1,9})\)?$/.exec(line.trim());
  if (!found) return [];
  const [, name, filename, lineno, colno] = found;
  return [{ function: name ?? '?', filename, lineno: Number(lineno), colno: Number(colno), in_app: true }];
}

function shortened(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, MOST_EXTRA);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  return JSON.stringify(value)?.slice(0, MOST_EXTRA);
}
