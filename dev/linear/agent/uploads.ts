/**
 * File uploads: fileUpload hands out an address and headers, a PUT with exactly those headers within a minute stores the file, and a
 * GET with the token, or with a signed address, reads it. Files live in memory.
 * Source: linear.app/developers/how-to-upload-a-file-to-linear; the minute was observed by an implementer.
 */
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { SimulatorClock } from '../clock.ts';
import type { LinearUrls } from '../urls.ts';

interface Upload {
  contentType: string;
  size: number;
  /** When its address was given out, epoch milliseconds on the simulator's clock. */
  preparedAt: number;
  bytes: Buffer | null;
}

/** Larger files are refused. */
export const LARGEST_UPLOAD_BYTES = 25 * 1024 * 1024;
const UPLOAD_URL_LIFE_MS = 60_000;
const CACHE_CONTROL = 'public, max-age=31536000';

export class Uploads {
  readonly #urls: LinearUrls;
  readonly #clock: SimulatorClock;
  readonly #uploads = new Map<string, Upload>();
  readonly #key = randomBytes(32);

  constructor(urls: LinearUrls, clock: SimulatorClock) {
    this.#urls = urls;
    this.#clock = clock;
  }

  /** Stores a file of a person, as if it had been dropped into a description. @returns its address, for Markdown */
  add({ filename, contentType, bytes }: { filename: string; contentType: string; bytes: Uint8Array }): string {
    const id = randomUUID();
    const preparedAt = this.#clock.now();
    this.#uploads.set(id, { contentType, size: bytes.length, preparedAt, bytes: Buffer.from(bytes) });
    return this.#urls.asset(id, filename);
  }

  /** fileUpload. */
  prepare({ contentType, filename, size }: { contentType: string; filename: string; size: number }) {
    const id = randomUUID();
    this.#uploads.set(id, { contentType, size, preparedAt: this.#clock.now(), bytes: null });
    const assetUrl = this.#urls.asset(id, filename);
    const headers = [{ key: 'x-goog-content-length-range', value: `${size},${size}` }];
    return { uploadUrl: `${assetUrl}?upload=1`, assetUrl, contentType, filename, size, headers };
  }

  /** @returns whether an upload of this id was prepared here */
  has(id: string): boolean {
    return this.#uploads.has(id);
  }

  /** @returns HTTP status and text of the answer to the PUT */
  store(id: string, headers: Record<string, unknown>, bytes: Buffer): { status: number; text: string } {
    const upload = this.#uploads.get(id);
    if (!upload) return { status: 404, text: 'no such upload' };
    if (this.#clock.now() - upload.preparedAt > UPLOAD_URL_LIFE_MS)
      return { status: 403, text: 'the address has expired' };
    const wanted = {
      'content-type': upload.contentType,
      'cache-control': CACHE_CONTROL,
      'x-goog-content-length-range': `${upload.size},${upload.size}`,
    };
    for (const [name, value] of Object.entries(wanted)) {
      if (headers[name] !== value) return { status: 403, text: `the header ${name} must be: ${value}` };
    }
    if (bytes.length !== upload.size) return { status: 400, text: `the file must have ${upload.size} bytes` };
    upload.bytes = bytes;
    return { status: 200, text: '' };
  }

  /**
   * Signs the addresses of files in a text, as Linear does for a request with `public-file-urls-expire-in`.
   * @param seconds how long they are good
   */
  signAddresses(text: string, seconds: number): string {
    const expires = this.#clock.now() + seconds * 1_000;
    return text.replace(this.#urls.assetPattern(), (address, id: string) => {
      return this.#uploads.has(id) ? `${address}?signature=${expires}.${this.#signature(id, expires)}` : address;
    });
  }

  /** @param signature of an address that was signed. @returns whether it is good still */
  isSigned(id: string, signature: string): boolean {
    const [expires = '', given = ''] = signature.split('.');
    const expected = this.#signature(id, Number(expires));
    if (given.length !== expected.length || Number(expires) <= this.#clock.now()) return false;
    return timingSafeEqual(Buffer.from(given), Buffer.from(expected));
  }

  #signature(id: string, expires: number): string {
    return createHmac('sha256', this.#key).update(`${id} ${expires}`).digest('hex');
  }

  /** The file, once it was stored. */
  read(id: string): { contentType: string; bytes: Buffer } | null {
    const upload = this.#uploads.get(id);
    return upload?.bytes ? { contentType: upload.contentType, bytes: upload.bytes } : null;
  }
}
