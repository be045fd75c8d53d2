/** What both ways out of the gateway share: how a request is sent on and an answer handed back, streamed and without the credential. */
import { isConnectionHeader, namedByConnection } from '../lib/connection-headers.ts';

/** Sends a request into the world: `fetch`, or a stand-in. */
export type Fetch = (request: Request) => Promise<Response>;

/** Largest refusal of an upstream that is read in order to hand it on, in bytes. */
const MAX_REFUSAL_BYTES = 64 * 1024;
const HIDDEN = '[hidden by Cyrus]';

/**
 * A request whose body is streamed, or was held. Redirects are never followed: the credential in its headers is meant for this address alone.
 * @param url where it goes
 * @param signal gives it up
 */
export function streamedRequest(
  url: string,
  method: string,
  headers: Headers,
  body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null,
  signal?: AbortSignal,
): Request {
  // Node demands to be told that an answer may come before the body is sent; workerd takes that for granted.
  const init: RequestInit & { duplex?: 'half' } = { method, headers, redirect: 'manual' };
  if (signal) init.signal = signal;
  if (body) {
    init.body = body;
    if (body instanceof ReadableStream) init.duplex = 'half';
  }
  return new Request(url, init);
}

/**
 * The upstream's headers as they may be handed on: none of the connection, no cookies, none that holds a credential.
 * @param secrets texts that must not get out
 */
export function handedOnHeaders(upstream: Headers, secrets: readonly string[]): Headers {
  const named = namedByConnection(upstream.get('connection'));
  const headers = new Headers();
  for (const [name, value] of upstream) {
    if (isConnectionHeader(name) || named.has(name) || name === 'set-cookie') continue;
    if (secrets.some((secret) => value.includes(secret))) continue;
    headers.append(name, value);
  }
  return headers;
}

/**
 * Reads an upstream's refusal, or its beginning, without the credential should the upstream have echoed it.
 * @returns about 64 KiB of it at most, as text; empty when it cannot be read
 */
export async function readRefusal(upstream: Response, secrets: readonly string[]): Promise<string> {
  let text = '';
  let whole = false;
  try {
    const reader = upstream.body?.getReader();
    const decoder = new TextDecoder();
    for (let size = 0; reader && size < MAX_REFUSAL_BYTES; ) {
      const { done, value } = await reader.read();
      whole = done;
      if (done) break;
      size += value.byteLength;
      text += decoder.decode(value, { stream: true });
    }
    if (!whole) await reader?.cancel();
  } catch {
    // The connection broke within the refusal: what there is of it still tells more than nothing.
  }
  text = withoutSecrets(text, secrets);
  // A cut may have gone through the middle of a secret.
  const longest = Math.max(0, ...secrets.map((secret) => secret.length));
  return whole ? text : text.slice(0, Math.max(0, text.length - longest));
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) if (secret !== '') clean = clean.replaceAll(secret, HIDDEN);
  return clean;
}
