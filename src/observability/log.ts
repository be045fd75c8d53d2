/**
 * The structured log. One line of JSON a call: Workers Logs indexes its fields (developers.cloudflare.com/workers/observability/logs),
 * and on a machine of one's own it can be searched line by line. What must not be logged is forbidden by the type, and what slips
 * through inside a text is redacted by its looks.
 */

import { REDACTED, redact } from '../protocol/text/redact.ts';

/** Field names the log refuses: their values are secrets, or are people's text. */
type ForbiddenName =
  | 'token'
  | 'accessToken'
  | 'secret'
  | 'password'
  | 'credential'
  | 'authorization'
  | 'cookie'
  | 'headers'
  | 'body'
  | 'prompt'
  | 'text';

export type LogValue = string | number | boolean | null | undefined | Error | readonly string[];
export type LogFields = { readonly [name: string]: LogValue } & { readonly [Name in ForbiddenName]?: never };
/**
 * What happened: area, thing, and what became of it, e.g. `gateway.git_token.missing`. What somebody has to look at has the area
 * `alert`. Enforced by dev/checks/vocabulary.ts.
 */
export type LogEvent = `${string}.${string}.${string}`;

const forbiddenNames: ReadonlySet<string> = new Set(
  Object.keys({
    token: true,
    accessToken: true,
    secret: true,
    password: true,
    credential: true,
    authorization: true,
    cookie: true,
    headers: true,
    body: true,
    prompt: true,
    text: true,
  } satisfies Record<ForbiddenName, true>).map((name) => name.toLowerCase()),
);

const MAX_STACK_LINES = 8;
const MAX_CAUSES = 3;

/**
 * How much a line matters. `error`: somebody has to see to it; `warn`: something failed that Cyrus tries again or goes on without;
 * `info`: what happened.
 */
export type LogLevel = 'info' | 'warn' | 'error';

/** Events that somebody has to see to, beside those that begin with `alert.`. */
const ERRORS: ReadonlySet<string> = new Set([
  'session.storage.unreadable',
  'session.effect.given_up',
  'session.batch.failed',
  'session.event.failed',
  'session.outbox.failed',
  'storage.migration.failed',
]);
const FAILURE = /\.(failed|unreachable|unreadable|unknown|missing|incomplete|lost|misfit)$/;

function levelOf(event: LogEvent): LogLevel {
  if (event.startsWith('alert.') || ERRORS.has(event)) return 'error';
  return FAILURE.test(event) ? 'warn' : 'info';
}

/**
 * Writes one line of log: `{ "event", "level", …fields }`, an error by console.error, so that the platform groups it. What wants a person has
 * `alert: true`.
 * @param event dot name of what happened
 * @param fields plain values; errors become their name, message, shortened stack and causes
 */
export function log(event: LogEvent, fields: LogFields = {}): void {
  const level = fields.status === 500 ? 'error' : levelOf(event);
  const isAlert = event.startsWith('alert.');
  const record: Record<string, unknown> = { event, level, ...(isAlert && { alert: true }) };
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    record[name] = forbiddenNames.has(name.toLowerCase()) ? REDACTED : loggable(value);
  }
  nameIssue(record);
  WRITERS[level](JSON.stringify(record));
  listener?.(event, record);
}

/** Sessions of which this isolate knows the issue, the latest last, so that anyone who looks for an issue's key finds all lines about it. */
const issues = new Map<string, string>();
const MOST_ISSUES = 1_000;

/** Which issue a session is on, for the lines that name the session alone. @param issue its key, `ENG-12`; null: not known */
export function knowIssue(session: string, issue: string | null | undefined): void {
  if (!issue || issues.get(session) === issue) return;
  issues.delete(session);
  issues.set(session, issue);
  const [oldest] = issues.keys();
  if (issues.size > MOST_ISSUES && oldest !== undefined) issues.delete(oldest);
}

function nameIssue(record: Record<string, unknown>): void {
  const { session, issue } = record;
  if (typeof session !== 'string') return;
  if (typeof issue === 'string') knowIssue(session, issue);
  else if (issues.has(session)) record.issue = issues.get(session);
}

let listener: ((event: string, record: Readonly<Record<string, unknown>>) => void) | null = null;

/** Has every line told to somebody beside the log, as it is written there. @param listen must not throw, and not log */
export function onLog(listen: typeof listener): void {
  listener = listen;
}

/** Looked up at each call: tests and the platform may replace them. */
const WRITERS: Record<LogLevel, (line: string) => void> = {
  info: (line) => console.log(line),
  warn: (line) => console.warn(line),
  error: (line) => console.error(line),
};

function loggable(value: LogValue): unknown {
  if (typeof value === 'string') return redact(value);
  if (value instanceof Error) return loggableError(value, MAX_CAUSES);
  if (Array.isArray(value)) return value.map((item) => redact(String(item)));
  return value;
}

function loggableError(error: Error, causesLeft: number): Record<string, unknown> {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    name: error.name,
    message: redact(error.message),
    stack: redact(
      frames
        .slice(0, MAX_STACK_LINES)
        .map((line) => line.trim())
        .join('\n'),
    ),
    ...(error.cause instanceof Error && causesLeft > 0 && { cause: loggableError(error.cause, causesLeft - 1) }),
  };
}
