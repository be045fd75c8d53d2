/**
 * The decoy credential: it lies in every sandbox's environment, opens nothing, and belongs into no request. Where it
 * turns up on its way out, something in the sandbox collects secrets and sends them away.
 */
import type { Config } from '../../config/config.ts';
import { toHex } from '../../lib/hex.ts';
import { deriveKey } from '../../store/encryption.ts';

/** How a secret may be called, and how it may begin. A deployment has one of each, so that no list of known decoys names it. */
const NAMES = [
  'PRODUCTION_API_TOKEN',
  'DEPLOY_API_KEY',
  'INTERNAL_SERVICE_TOKEN',
  'RELEASE_UPLOAD_TOKEN',
  'BILLING_API_SECRET',
  'ANALYTICS_WRITE_KEY',
  'BACKUP_STORAGE_SECRET',
  'SEARCH_ADMIN_KEY',
] as const;
const PREFIXES = ['prod_', 'dpl_', 'svc_', 'rel_', 'bil_', 'wk_', 'bak_', 'adm_'] as const;
const utf8 = new TextEncoder();

/** A session's decoy. */
export interface Decoy {
  /** Of the variable in the environment. */
  name: string;
  value: string;
  /** What is looked for: the secret part of it and, while the encryption key is being replaced, of the one by the old key. */
  parts: readonly string[];
}

/** The decoy of a session: the same each time it is asked for, and not to be told from a credential. */
export async function decoyOf(
  config: Pick<Config, 'encryptionKey' | 'oldEncryptionKey'>,
  sessionId: string,
): Promise<Decoy> {
  const { encryptionKey, oldEncryptionKey } = config;
  const [name, prefix] = await bytesFor(encryptionKey, 'name of the decoy');
  const keys = oldEncryptionKey === null ? [encryptionKey] : [encryptionKey, oldEncryptionKey];
  const parts = await Promise.all(
    // Without the prefix: who takes that off has the secret part all the same.
    keys.map(async (key) => toHex((await bytesFor(key, `decoy of ${sessionId}`)).subarray(0, 20))),
  );
  return {
    name: NAMES[(name ?? 0) % NAMES.length] ?? NAMES[0],
    value: `${PREFIXES[(prefix ?? 0) % PREFIXES.length]}${parts[0]}`,
    parts,
  };
}

async function bytesFor(encryptionKey: string, what: string): Promise<Uint8Array> {
  const key = await deriveKey(encryptionKey, 'decoy', 'sign');
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8.encode(what)));
}
