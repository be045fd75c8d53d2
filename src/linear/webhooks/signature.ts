/** Linear's webhook signature: lower-case hex HMAC-SHA256 of the raw body (docs: linear.app/developers/webhooks). */

const encoder = new TextEncoder();
let cached: { secret: string; key: Promise<CryptoKey> } | null = null;

/**
 * Checks a signature in constant time.
 * The SDK's own helper is not used: it refuses bodies over 60 s old, and so Linear's retries, which bear the first timestamp.
 * @param body the bytes as received
 * @param signature the `Linear-Signature` header; null when missing
 */
export async function isSigned(secret: string, body: ArrayBuffer, signature: string | null): Promise<boolean> {
  const bytes = signature === null ? null : fromHex(signature);
  if (!bytes) return false;
  return crypto.subtle.verify('HMAC', await keyFor(secret), bytes, body);
}

function keyFor(secret: string): Promise<CryptoKey> {
  if (cached?.secret !== secret) {
    const key = crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'verify',
    ]);
    cached = { secret, key };
  }
  return cached.key;
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[0-9a-f]{64}$/i.test(text)) return null;
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
