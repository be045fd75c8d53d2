/** One JSON object a line on stdout, for whatever collects logs. Callers pass no tokens, prompts or file contents. */
import { redact } from '../src/protocol/text/redact.ts';

/** What happened: area, thing, and what became of it, as in the Worker's log. Enforced by dev/checks/vocabulary.ts. */
export type LogEvent = `${string}.${string}.${string}`;

/** Events that the operator of the server has to see to. */
const ERRORS: ReadonlySet<string> = new Set([
  'events.disk_write.failed',
  'gateway.request.failed',
  'server.config.invalid',
  'server.disk.full',
  'server.request.failed',
  'server.session_resume.failed',
  'server.start.failed',
  'session.end.failed',
  'session.work.failed',
]);
const FAILURE = /\.(failed|unreachable|unreadable|damaged|incomplete|diverged|missing)$/;

let write = (line: string): void => {
  process.stdout.write(line);
};

/** Sends the lines elsewhere, e.g. nowhere in a test. */
export function logTo(receiver: (line: string) => void): void {
  write = receiver;
}

/**
 * Writes a line: `{ at, level, event, …fields }`. The level follows from the event: `error` if the operator has to see to it, `warn` if
 * something failed that is tried again or done without, else `info`.
 * @param fields details; an `Error` is written as its message, and what looks like a token is taken out of texts
 */
export function log(event: LogEvent, fields: Record<string, unknown> = {}): void {
  const level = ERRORS.has(event) ? 'error' : FAILURE.test(event) ? 'warn' : 'info';
  const plain = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, loggable(value)]));
  write(`${JSON.stringify({ at: new Date().toISOString(), level, event, ...plain })}\n`);
}

function loggable(value: unknown): unknown {
  if (value instanceof Error) return redact(value.message);
  return typeof value === 'string' ? redact(value) : value;
}
