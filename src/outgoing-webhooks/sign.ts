/** Signatures of what is sent, and their secrets, as Standard Webhooks 1.0 has them (github.com/standard-webhooks/standard-webhooks). */

const PREFIX = 'whsec_';
const SECRET_BYTES = 32;
const utf8 = new TextEncoder();

/** @returns a new secret: `whsec_` and 32 random bytes in base64 */
export function makeSecret(): string {
  return PREFIX + toBase64(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
}

/**
 * Headers that prove who sent a body.
 * @param secrets each signs, so that a receiver may know the old one or the new one
 * @param message `id` is the same for each attempt; `at`: of this attempt, in ms since the epoch
 */
export async function signedHeaders(
  secrets: readonly string[],
  { id, at, body }: { id: string; at: number; body: string },
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(at / 1_000));
  const signatures = await Promise.all(secrets.map((secret) => sign(secret, `${id}.${timestamp}.${body}`)));
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

async function sign(secret: string, text: string): Promise<string> {
  const bytes = Uint8Array.from(atob(secret.replace(PREFIX, '')), (character) => character.charCodeAt(0));
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return `v1,${toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8.encode(text))))}`;
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
