/**
 * The decoy credential: it lies in every sandbox's environment, opens nothing, and has no business in any request. Where it
 * turns up on its way out, something in the sandbox collects secrets and sends them away.
 */
import type { Config } from '../config.ts';
import { toHex } from '../store/hex.ts';

/** Under this name it lies in the environment. */
export const DECOY_NAME = 'PRODUCTION_API_TOKEN';
const PREFIX = 'prod_';
const utf8 = new TextEncoder();

/** A session's decoy: the same each time it is asked for, and not to be told from a credential. */
export async function decoyOf(config: Pick<Config, 'encryptionKey'>, sessionId: string): Promise<string> {
  const bytes = Uint8Array.from(atob(config.encryptionKey), (character) => character.charCodeAt(0));
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8.encode(`decoy:${sessionId}`)));
  return PREFIX + toHex(mac.subarray(0, 20));
}

/** Looks for a decoy in what passes: as it is, in hexadecimal, in base64 whatever stands around it. */
export class DecoyDetector {
  readonly #patterns: string[];
  /** The end of what passed before: a decoy may be cut by the chunks. */
  #tail = '';
  readonly #keep: number;

  constructor(decoy: string) {
    // Without the prefix: whoever takes that off has the secret part all the same.
    const core = decoy.slice(PREFIX.length);
    this.#patterns = [core, hex(core), ...[0, 1, 2].map((offset) => base64Within(core, offset))];
    this.#keep = Math.max(...this.#patterns.map((pattern) => pattern.length)) - 1;
  }

  /** Whether a text holds it. */
  isIn(text: string): boolean {
    const lower = text.toLowerCase();
    return this.#patterns.some((pattern, index) => (index < 2 ? lower : text).includes(pattern));
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
