/**
 * The session token at rest. It lives in the server's memory; so that a server that was restarted can continue, its record holds it sealed with
 * the server's own secret (AES-256-GCM), which is on no disk. A server without a secret keeps nothing, and waits for the next start.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const MARK = 'sealed:1:';
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** What the record holds if no token is kept; the gateway refuses it like an expired token. */
export const UNKNOWN_TOKEN = 'not-kept';

/** @param secret of this server. @param context what the token belongs to; opens with the same alone */
export function sealToken(token: string, secret: string | null, context: string): string {
  if (secret === null) return UNKNOWN_TOKEN;
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret), iv).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([cipher.update(token, 'utf8'), cipher.final()]);
  return `${MARK}${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url')}`;
}

/** @returns `UNKNOWN_TOKEN` for what cannot be opened, e.g. after the secret was changed; what an earlier version left in plain as it is */
export function openToken(kept: string, secret: string | null, context: string): string {
  if (!kept.startsWith(MARK)) return kept;
  if (secret === null) return UNKNOWN_TOKEN;
  const bytes = Buffer.from(kept.slice(MARK.length), 'base64url');
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyOf(secret), bytes.subarray(0, IV_BYTES));
    decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    return decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return UNKNOWN_TOKEN;
  }
}

function keyOf(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'cyrus sandbox: session token', 32));
}
