/** One GraphQL request to Linear over HTTP: what it answered, sorted by what to do about it. */

import { messageOf } from '../../lib/error.ts';
import { parseJson } from '../../lib/parse-json.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { sendableData } from '../../protocol/text/sendable-text.ts';
import { type Call, type CallResult, failure } from './call.ts';
import { answerSchema, isConflictOnInsert, toLinearError } from './errors.ts';

/** Longest wait for an answer. */
const REQUEST_TIMEOUT_MS = 15_000;

/**
 * Sends one request with one token. Never throws.
 * @param timeoutMs longest wait
 * @returns the result, with the answer's headers where there was one
 */
export async function request(
  apiUrl: string,
  accessToken: string,
  call: Pick<Call, 'document' | 'variables' | 'idempotent' | 'signFilesFor'>,
  timeoutMs: number = REQUEST_TIMEOUT_MS,
): Promise<{ result: CallResult; headers: Headers | null }> {
  let response: Response;
  let text: string;
  try {
    [response, text] = await withTimeout(timeoutMs, async (signal) => {
      const answered = await fetch(apiUrl, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${accessToken}`,
          'content-type': 'application/json',
          ...(call.signFilesFor !== undefined && { 'public-file-urls-expire-in': String(call.signFilesFor) }),
        },
        body: JSON.stringify({ query: call.document, variables: sendableData(call.variables) }),
        signal,
      });
      return [answered, await answered.text()];
    });
  } catch (cause) {
    const why = messageOf(cause);
    return { result: failure('unreachable', `Linear cannot be reached: ${why}`), headers: null };
  }
  return { result: resultOf(response, text, call.idempotent), headers: response.headers };
}

function resultOf(response: Response, text: string, idempotent: boolean): CallResult {
  const answer = answerSchema.safeParse(parseJson(text));
  const errors = answer.success ? (answer.data.errors ?? []) : [];
  if (idempotent && isConflictOnInsert(errors)) return { ok: true, json: 'null' };
  if (errors.length > 0 || !response.ok || !answer.success) {
    const status = response.ok && !answer.success ? 502 : response.status;
    const { kind, message, retryAt } = toLinearError(status, errors, response.headers);
    return failure(kind, message, retryAt);
  }
  const data: unknown = answer.data.data ?? null;
  // A mutation whose payload says so has failed, whatever the HTTP status.
  if (isUnsuccessful(data)) return failure('unreachable', 'Linear answered success: false');
  return { ok: true, json: JSON.stringify(data) };
}

function isUnsuccessful(data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return false;
  return Object.values(data).some(
    (payload: unknown) =>
      typeof payload === 'object' && payload !== null && 'success' in payload && payload.success === false,
  );
}
