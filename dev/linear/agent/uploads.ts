/**
 * File uploads: fileUpload hands out an address and headers, a PUT with exactly those headers stores the file, and a GET with the
 * token reads it. Files live in memory. Source: linear.app/developers/how-to-upload-a-file-to-linear.
 */
import { randomUUID } from 'node:crypto';
import type { LinearUrls } from '../urls.ts';

interface Upload {
  contentType: string;
  size: number;
  bytes: Buffer | null;
}

/** Larger files are refused. */
export const LARGEST_UPLOAD_BYTES = 25 * 1024 * 1024;
const CACHE_CONTROL = 'public, max-age=31536000';

export class Uploads {
  readonly #urls: LinearUrls;
  readonly #uploads = new Map<string, Upload>();

  constructor(urls: LinearUrls) {
    this.#urls = urls;
  }

  /** fileUpload. */
  prepare({ contentType, filename, size }: { contentType: string; filename: string; size: number }) {
    const id = randomUUID();
    this.#uploads.set(id, { contentType, size, bytes: null });
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

  /** The file, once it was stored. */
  read(id: string): { contentType: string; bytes: Buffer } | null {
    const upload = this.#uploads.get(id);
    return upload?.bytes ? { contentType: upload.contentType, bytes: upload.bytes } : null;
  }
}
