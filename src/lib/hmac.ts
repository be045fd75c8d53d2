/** Texts that only the holder of a key could have signed: HMAC with the key's hash, the signature in base64url. */
import { fromBase64Url, toBase64Url } from './base64url.ts';

const utf8 = new TextEncoder();

/** @param key for HMAC. @returns the signature of the text */
export async function hmac(key: CryptoKey, text: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8.encode(text))));
}

/** Whether it is the signature of the text, compared in constant time; false for what is no base64url. */
export async function isHmac(key: CryptoKey, text: string, signature: string): Promise<boolean> {
  const bytes = fromBase64Url(signature);
  return bytes !== null && (await crypto.subtle.verify('HMAC', key, bytes, utf8.encode(text)));
}
