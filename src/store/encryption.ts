/**
 * Encryption at rest, and the keys behind it. One master key (the secret ENCRYPTION_KEY), one derived key for each purpose,
 * so that what leaks or is confused in one place is worthless in another.
 */
import { fromBase64Url, toBase64Url } from '../lib/base64url.ts';

/** What a derived key is for. A text encrypted for one purpose cannot be decrypted for another. */
export type KeyPurpose =
  | 'workspace-tokens'
  | 'workspace-access-token'
  | 'workspace-refresh-token'
  | 'repository-credential'
  | 'sandbox-secret'
  | 'decoy'
  | 'mcp-headers'
  | 'webhook-secret'
  | 'api-answer'
  | 'oauth-verifier'
  | 'oauth-cookie'
  | 'gateway-token'
  | 'lfs-address'
  | 'access-cookie'
  | 'sign-in-source'
  | 'token-password';

/** A stored text cannot be decrypted: it was altered, belongs elsewhere, or was encrypted with another ENCRYPTION_KEY. */
export class DecryptionError extends Error {
  override readonly name = 'DecryptionError';
}

const utf8 = new TextEncoder();
const VERSION = 'v1';
const IV_BYTES = 12;
/** Finished keys only: a promise belongs to the request that made it, and may never settle for another. */
const derived = new Map<string, CryptoKey>();
const keyIds = new Map<string, string>();

/**
 * Derives the key for one purpose from the master key: HKDF-SHA256 (RFC 5869) with the purpose as info. Kept for the life of the isolate.
 * @param encryptionKey 32 bytes in base64, as in Config
 * @param use `encrypt` gives an AES-256-GCM key, `sign` an HMAC-SHA256 key; the two differ also for the same purpose
 */
export async function deriveKey(
  encryptionKey: string,
  purpose: KeyPurpose,
  use: 'encrypt' | 'sign',
): Promise<CryptoKey> {
  const name = `${use} ${purpose} ${encryptionKey}`;
  const known = derived.get(name);
  if (known) return known;
  const key = await crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8.encode(`cyrus ${VERSION} ${use} ${purpose}`) },
    await masterKey(encryptionKey),
    use === 'encrypt' ? { name: 'AES-GCM', length: 256 } : { name: 'HMAC', hash: 'SHA-256', length: 256 },
    false,
    use === 'encrypt' ? ['encrypt', 'decrypt'] : ['sign', 'verify'],
  );
  derived.set(name, key);
  return key;
}

/**
 * Derives a secret for one purpose, as `deriveKey` does a key, for a library that makes a key of it.
 * @returns 32 bytes in base64url
 */
export async function deriveSecret(encryptionKey: string, purpose: KeyPurpose): Promise<string> {
  return toBase64Url(await deriveBytes(encryptionKey, `secret ${purpose}`, 32));
}

/**
 * Encrypts a text with AES-256-GCM under a fresh 96-bit IV.
 * @param context what the text belongs to (e.g. the workspace's id); the same is needed to decrypt, so that a text copied to another row is refused
 * @returns `v1.<key id>.<iv>.<ciphertext>`, the last two in base64url; the key id tells which ENCRYPTION_KEY was used
 */
export async function encryptText(
  encryptionKey: string,
  purpose: KeyPurpose,
  context: readonly string[],
  plain: string,
): Promise<string> {
  const id = await keyId(encryptionKey);
  const key = await deriveKey(encryptionKey, purpose, 'encrypt');
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData: additionalData(id, purpose, context) },
    key,
    utf8.encode(plain),
  );
  return `${VERSION}.${id}.${toBase64Url(iv)}.${toBase64Url(new Uint8Array(sealed))}`;
}

/**
 * Decrypts what `encryptText` wrote for the same purpose and context.
 * @param encryptionKeys the key, or all that may have been used; the text names the one it needs
 * @throws DecryptionError saying which of the possible causes it is, as far as that can be known
 */
export async function decryptText(
  encryptionKeys: string | readonly string[],
  purpose: KeyPurpose,
  context: readonly string[],
  stored: string,
): Promise<string> {
  const [version, id, ivText, sealedText, ...more] = stored.split('.');
  const iv = fromBase64Url(ivText ?? '');
  const sealed = fromBase64Url(sealedText ?? '');
  if (version !== VERSION || !id || iv?.length !== IV_BYTES || !sealed || more.length > 0) {
    throw new DecryptionError(`the stored ${purpose} is not an encrypted text of this version: store it again`);
  }
  const encryptionKey = await keyOf(id, typeof encryptionKeys === 'string' ? [encryptionKeys] : encryptionKeys);
  if (encryptionKey === null) {
    throw new DecryptionError(
      `the stored ${purpose} was encrypted with another ENCRYPTION_KEY: store that key as ENCRYPTION_KEY_OLD, or store the value again`,
    );
  }
  try {
    const plain = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv, additionalData: additionalData(id, purpose, context) },
      await deriveKey(encryptionKey, purpose, 'encrypt'),
      sealed,
    );
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
  } catch {
    throw new DecryptionError(`the stored ${purpose} was altered or belongs to something else: store it again`);
  }
}

/** True for a text that `encryptText` wrote with this key; nothing is decrypted. */
export async function isEncryptedWith(encryptionKey: string, stored: string): Promise<boolean> {
  return stored.startsWith(`${VERSION}.${await keyId(encryptionKey)}.`);
}

async function keyOf(id: string, encryptionKeys: readonly string[]): Promise<string | null> {
  for (const encryptionKey of encryptionKeys) if ((await keyId(encryptionKey)) === id) return encryptionKey;
  return null;
}

/** JSON keeps the parts apart: no two different lists of parts give the same bytes. */
function additionalData(id: string, purpose: KeyPurpose, context: readonly string[]) {
  return utf8.encode(JSON.stringify([VERSION, id, purpose, ...context]));
}

/** A name for the master key that gives nothing away about it: derived like a key of its own, then shortened. */
async function keyId(encryptionKey: string): Promise<string> {
  const known = keyIds.get(encryptionKey);
  if (known) return known;
  const id = toBase64Url(await deriveBytes(encryptionKey, 'key id', 6));
  keyIds.set(encryptionKey, id);
  return id;
}

async function deriveBytes(encryptionKey: string, name: string, length: number): Promise<Uint8Array> {
  const info = utf8.encode(`cyrus ${VERSION} ${name}`);
  const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info };
  return new Uint8Array(await crypto.subtle.deriveBits(how, await masterKey(encryptionKey), length * 8));
}

function masterKey(encryptionKey: string): Promise<CryptoKey> {
  const bytes = Uint8Array.from(atob(encryptionKey), (character) => character.charCodeAt(0));
  return crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey', 'deriveBits']);
}
