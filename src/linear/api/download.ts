/**
 * Gets a file from Linear's host for uploads. The token goes to that host alone; a redirect is an answer like any other
 * that brings no file, and is not followed.
 */
import { messageOf } from '../../lib/error.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { uploadAddress } from '../uploads.ts';
import { type CallFailure, failure } from './call.ts';

/** Longest wait for an answer to begin. */
const ANSWER_TIMEOUT_MS = 15_000;

/** A file on its way; `bytes` and `type` as the host says, null if it does not. The body must be read or cancelled. */
export interface Download {
  ok: true;
  type: string | null;
  bytes: number | null;
  body: ReadableStream<Uint8Array>;
}

/**
 * Asks for a file. Never throws. `unauthorized`: it is not given out to anyone who asks this way.
 * @param uploadsUrl as in the configuration; every address that is not under it is refused
 * @param accessToken null for an address that is signed
 */
export async function download(
  uploadsUrl: string,
  address: string,
  accessToken: string | null,
): Promise<Download | CallFailure> {
  const url = uploadAddress(address, uploadsUrl);
  if (!url) return failure('refused', "it is not on Linear's file host");
  let response: Response;
  try {
    response = await withTimeout(ANSWER_TIMEOUT_MS, (signal) =>
      fetch(url.href, {
        headers: accessToken === null ? {} : { authorization: `Bearer ${accessToken}` },
        redirect: 'manual',
        signal,
      }),
    );
  } catch (cause) {
    const why = messageOf(cause);
    return failure('unreachable', `Linear's file host cannot be reached (${why})`);
  }
  const { status, body, headers } = response;
  if (status === 200 && body) {
    const length = headers.get('content-length');
    return { ok: true, type: mediaType(headers), bytes: length === null ? null : Number(length), body };
  }
  await body?.cancel();
  if (status === 401 || status === 403) return failure('unauthorized', 'Linear does not give Cyrus access to it');
  if (status === 429) return failure('rate-limited', 'Cyrus has requested too many files from Linear');
  if (status >= 500) return failure('unreachable', `Linear's file host answered HTTP ${status}`);
  if (status >= 300 && status < 400)
    return failure('refused', 'Linear redirects to another address, which Cyrus does not follow');
  if (status === 404 || status === 410) return failure('refused', 'the file no longer exists');
  return failure('refused', status === 200 ? 'it is empty' : `Linear's file host answered HTTP ${status}`);
}

function mediaType(headers: Headers): string | null {
  return headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() || null;
}
