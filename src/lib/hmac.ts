/** Texts that only the holder of a key could have signed: HMAC with the key's hash. */
import { fromBase64Url, toBase64Url } from './base64url.ts';

const utf8 = new TextEncoder();

/** @param key for HMAC. @returns the signature of the text, base64url */
export async function hmac(key: CryptoKey, text: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8.encode(text))));
}

/** Whether it is the signature of the text, compared in constant time; false for what is no base64url. */
export async function isHmac(key: CryptoKey, text: string, signature: string): Promise<boolean> {
  const bytes = fromBase64Url(signature);
  return bytes !== null && (await crypto.subtle.verify('HMAC', key, bytes, utf8.encode(text)));
}

let cached: { secret: string; key: Promise<CryptoKey> }[] = [];
/** Secrets whose keys are kept: one for each service that signs what it sends. */
const MOST_KEYS = 4;

/**
 * Whether a webhook's body bears this signature, as Linear and GitHub make it: HMAC-SHA256 in hex over the raw bytes. Compared in
 * constant time.
 * @param body the bytes as received
 * @param signature 64 hex digits, in either case; null when missing
 */
export async function isSignedBody(secret: string, body: ArrayBuffer, signature: string | null): Promise<boolean> {
  const bytes = signature === null ? null : fromHex(signature);
  if (!bytes) return false;
  return crypto.subtle.verify('HMAC', await keyFor(secret), bytes, body);
}

function keyFor(secret: string): Promise<CryptoKey> {
  const known = cached.find((one) => one.secret === secret);
  if (known) return known.key;
  const key = crypto.subtle.importKey('raw', utf8.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  cached = [...cached.slice(1 - MOST_KEYS), { secret, key }];
  return key;
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[0-9a-f]{64}$/i.test(text)) return null;
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
