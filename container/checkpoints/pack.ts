/**
 * Many small files in one object of a checkpoint: for each a line of JSON with its path, size and digest, then its content; all
 * of it compressed with gzip. A later object's file replaces that of an earlier one.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { checkpointFileSchema } from '../../src/protocol/checkpoint.ts';
import { sha256 } from '../gateway/checkpoint-client.ts';

const compress = promisify(gzip);
const decompress = promisify(gunzip);
/** Against an object that unpacks to more than the disk holds. */
const MAX_UNPACKED_BYTES = 512 * 1024 * 1024;
const NEWLINE = 0x0a;

const headerSchema = z.object({
  path: checkpointFileSchema.shape.path,
  bytes: z.number().int().nonnegative(),
  sha256: z.string(),
});

/** A file with all of its content. */
export interface PackedFile {
  path: string;
  content: Buffer;
}

/** What is packed is not what was put in. */
export class PackError extends Error {
  override readonly name = 'PackError';
}

/** Packs files into one object. */
export async function packFiles(files: PackedFile[]): Promise<Buffer<ArrayBuffer>> {
  const parts = files.flatMap(({ path, content }) => {
    const header = { path, bytes: content.length, sha256: sha256(content) };
    return [Buffer.from(`${JSON.stringify(header)}\n`), content];
  });
  return Buffer.from(await compress(Buffer.concat(parts)));
}

/** Unpacks what `packFiles` has made. @throws PackError where it is something else */
export async function unpackFiles(object: Buffer): Promise<PackedFile[]> {
  const all = await decompress(object, { maxOutputLength: MAX_UNPACKED_BYTES }).catch((error: unknown) => {
    throw new PackError('an object of small files cannot be unpacked', { cause: error });
  });
  const files: PackedFile[] = [];
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf(NEWLINE, at);
    const header = headerSchema.safeParse(end < 0 ? null : parseJson(all.toString('utf8', at, end)));
    if (!header.success) throw new PackError('an object of small files is damaged');
    const content = all.subarray(end + 1, end + 1 + header.data.bytes);
    if (content.length !== header.data.bytes || sha256(content) !== header.data.sha256) {
      throw new PackError(`${header.data.path} is not what was stored`);
    }
    files.push({ path: header.data.path, content });
    at = end + 1 + header.data.bytes;
  }
  return files;
}
