/** A GitHub App's private key, and the token with which the app itself speaks to GitHub. WebCrypto alone. */
import { toBase64Url } from '../lib/base64url.ts';

/** The app's private key cannot be read. The message says what to do; it holds nothing of the key. */
export class AppKeyError extends Error {
  override readonly name = 'AppKeyError';
}

const ALGORITHM = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
/** The token's life in seconds. GitHub takes 10 minutes at most; clocks may differ. */
const LIFE_S = 9 * 60;
/** How far GitHub's clock may be behind (docs.github.com/…/generating-a-json-web-token-jwt-for-a-github-app). */
const CLOCK_SKEW_S = 60;

/**
 * Reads a private key.
 * @param pem as GitHub gives it out (PKCS#1, `BEGIN RSA PRIVATE KEY`) or converted to PKCS#8 (`BEGIN PRIVATE KEY`); line
 * breaks may be written as `\n`
 * @throws AppKeyError
 */
export async function importAppKey(pem: string): Promise<CryptoKey> {
  const text = pem.replaceAll('\\n', '\n');
  const match = /-----BEGIN (RSA )?PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END (RSA )?PRIVATE KEY-----/.exec(text);
  if (!match) {
    throw new AppKeyError(
      'GITHUB_APP_PRIVATE_KEY is not an RSA private key in PEM: store the whole .pem file that GitHub gave you, from -----BEGIN to END-----',
    );
  }
  try {
    const der = Uint8Array.from(atob((match[2] ?? '').replace(/\s+/g, '')), (char) => char.charCodeAt(0));
    const pkcs8 = match[1] ? wrapPkcs1(der) : der;
    return await crypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, false, ['sign']);
  } catch (cause) {
    throw new AppKeyError(
      'GITHUB_APP_PRIVATE_KEY is damaged: store the whole .pem file from GitHub again, or create a new key in the app’s settings',
      { cause },
    );
  }
}

/**
 * The app's own token: a JWT, RS256.
 * @param appId the app's id or client id
 * @param now milliseconds since the epoch
 */
export async function signAppToken(key: CryptoKey, appId: string, now: number): Promise<string> {
  const seconds = Math.floor(now / 1000);
  const claims = { iat: seconds - CLOCK_SKEW_S, exp: seconds + LIFE_S, iss: appId };
  const encoder = new TextEncoder();
  const part = (value: object) => toBase64Url(encoder.encode(JSON.stringify(value)));
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  const signature = await crypto.subtle.sign(ALGORITHM, key, encoder.encode(signed));
  return `${signed}.${toBase64Url(new Uint8Array(signature))}`;
}

/** `AlgorithmIdentifier` of rsaEncryption, as DER (RFC 8017 appendix C). */
const RSA_ENCRYPTION = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/** PKCS#8 around a PKCS#1 key, which WebCrypto does not read (RFC 5208 section 5). */
function wrapPkcs1(pkcs1: Uint8Array): Uint8Array<ArrayBuffer> {
  const version = [0x02, 0x01, 0x00];
  return der(0x30, [...version, ...RSA_ENCRYPTION, ...der(0x04, pkcs1)]);
}

/** One DER value: its tag, its length, its content. */
function der(tag: number, content: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const { length } = content;
  const size: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) size.unshift(rest & 0xff);
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | size.length, ...size];
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  bytes.set(content, header.length);
  return bytes;
}
