/** What the image this server runs from consists of, in one word; made when the image is built. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** @returns `sha256:…`; null where the server runs from the project's own folder instead of an image */
export async function imageDigest(): Promise<string | null> {
  const text = await readFile(join(import.meta.dirname, '../../digest'), 'utf8').catch(() => '');
  return text.trim() || null;
}
