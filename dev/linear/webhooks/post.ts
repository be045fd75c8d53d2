/** One HTTP POST with a deadline for the whole of it. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface AttemptOutcome {
  /** Null: no answer. */
  status: number | null;
  /** From the start to the end of the answer, or to the failure, in real milliseconds. */
  ms: number;
  /** Why there was no answer. */
  error: string | null;
}

/**
 * Posts a body; every failure is an outcome, none is thrown. Each post has a connection of its own: one kept alive could be
 * closed by the receiver as it is used, and would count as a failure that Linear's receivers do not see.
 */
export function post(
  url: string,
  headers: Record<string, string>,
  body: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<AttemptOutcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const bytes = Buffer.from(body);
    let status: number | null = null;
    let timedOut = false;
    const done = (error: string | null) => {
      clearTimeout(deadline);
      const ms = Math.round((performance.now() - started) * 100) / 100;
      resolve({ status: error === null ? status : null, ms, error });
    };
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const outgoing = send(
      url,
      { method: 'POST', agent: false, signal, headers: { ...headers, 'content-length': bytes.length } },
      (answer) => {
        status = answer.statusCode ?? null;
        answer.once('error', (error) => done(timedOut ? timeoutMessage(timeoutMs) : describe(error)));
        answer.once('end', () => done(null));
        answer.resume();
      },
    );
    const deadline = setTimeout(() => {
      timedOut = true;
      outgoing.destroy(new Error(timeoutMessage(timeoutMs)));
    }, timeoutMs);
    outgoing.once('error', (error) => done(timedOut ? timeoutMessage(timeoutMs) : describe(error)));
    outgoing.end(bytes);
  });
}

function timeoutMessage(timeoutMs: number): string {
  return `no answer within ${timeoutMs} ms`;
}

function describe(error: Error): string {
  return error.message || ('code' in error ? String(error.code) : error.name);
}
