/**
 * The decoy credential: it lies in every sandbox's environment, opens nothing, and has no business in any request. Where it
 * turns up on its way out, something in the sandbox collects secrets and sends them away.
 */
import type { Config } from '../config.ts';
import { deriveKey } from '../store/encryption.ts';
import { toHex } from '../store/hex.ts';

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

/**
 * Looks for a decoy in what passes: as it is, backwards, with characters in between, in hexadecimal, with percent signs, and in
 * base64 whatever stands around it.
 */
export class DecoyDetector {
  /** In lower case. */
  readonly #plain: string[];
  readonly #base64: string[];
  /** The end of what passed before: a decoy may be cut by the chunks. */
  #tail = '';
  readonly #keep: number;

  /** @param parts of a `Decoy` */
  constructor(parts: readonly string[]) {
    this.#plain = parts.flatMap((part) => [
      part,
      [...part].reverse().join(''),
      [...part].join('\0'),
      hex(part),
      hex(part).replace(/../g, '%$&'),
    ]);
    this.#base64 = parts.flatMap((part) => [0, 1, 2].map((offset) => base64Within(part, offset)));
    this.#keep = Math.max(...[...this.#plain, ...this.#base64].map((pattern) => pattern.length)) - 1;
  }

  /** Whether a text holds it. */
  isIn(text: string): boolean {
    const lower = text.toLowerCase();
    return (
      this.#plain.some((pattern) => lower.includes(pattern)) || this.#base64.some((pattern) => text.includes(pattern))
    );
  }

  /** A stream as it is, with a word when the decoy was in it. */
  watching(stream: ReadableStream<Uint8Array>, onFound: () => void): ReadableStream<Uint8Array> {
    return stream.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          if (this.isInNext(chunk)) onFound();
          controller.enqueue(chunk);
        },
      }),
    );
  }

  /** Whether it is in a stream whose next chunk this is. */
  isInNext(chunk: Uint8Array): boolean {
    const text = this.#tail + latin1.decode(chunk);
    this.#tail = text.slice(-this.#keep);
    return this.isIn(text);
  }
}

const latin1 = new TextDecoder('latin1');

function hex(text: string): string {
  return toHex(utf8.encode(text));
}

/** The characters of base64 that a text gives when `offset` bytes (mod 3) stand before it and anything after. */
function base64Within(text: string, offset: number): string {
  const encoded = btoa('\0'.repeat(offset) + text);
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor(((offset + text.length) * 8) / 6);
  return encoded.slice(first, last);
}
