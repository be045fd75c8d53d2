/** `PUT /shared/:hash?name=N` of the gateway: a file that Claude shared, named by the SHA-256 of its content. */
import { type SecretSearch, SecretStream, type Wanted } from '../../gateway/secrets/secret-search.ts';
import { fileType, KNOWN_TYPES } from '../../protocol/file-type.ts';
import { isFileHash, MAX_SHARED_BYTES } from '../../protocol/files.ts';
import { putSharedFile, SharedFileError } from '../../store/shared-files.ts';
import { sizedBody } from './bounded-body.ts';
import { refuse } from './problem.ts';

/** What a shared file may not hold, and who is told where it does. */
export interface SharedGuard {
  search: SecretSearch;
  onSecret: (secret: Wanted) => Promise<void>;
}

/** Most that a compressed file is unpacked to, in bytes, to be looked through. */
const MAX_UNPACKED = 64 * 1024 ** 2;

/**
 * Stores a file of the session that calls. What it is, is told by its content; the name decides between kinds of text.
 * @param request with the file as body
 * @returns 201 with `bytes` and `type`, or a refusal that says what is wrong
 */
export async function takeSharedFile(
  request: Request,
  bucket: R2Bucket,
  sessionId: string,
  hash: string,
  guard: SharedGuard,
): Promise<Response> {
  if (!isFileHash(hash)) return refuse(400, 'malformed', 'a shared file is named by its SHA-256, 64 hex digits');
  const sized = sizedBody(request, 'a shared file', MAX_SHARED_BYTES);
  if (sized instanceof Response) return sized;
  const content = await request.arrayBuffer().catch(() => null);
  if (content === null) return refuse(400, 'broken_body', 'the upload was cut off');
  const secret = guard.search.first(new Uint8Array(content)) ?? (await inGzip(new Uint8Array(content), guard.search));
  if (secret !== null) {
    await guard.onSecret(secret);
    return refuse(403, 'credential', 'the file contains a credential, so it is not shared, and the session is stopped');
  }
  const type = fileType(new Uint8Array(content), new URL(request.url).searchParams.get('name') ?? '');
  if (type === null) return refuse(415, 'unknown_type', `the file is not one of: ${KNOWN_TYPES}`);
  try {
    await putSharedFile(bucket, sessionId, hash, content, type);
  } catch (error) {
    if (error instanceof SharedFileError) return refuse(400, 'refused', error.message);
    throw error;
  }
  return Response.json({ bytes: content.byteLength, type }, { status: 201 });
}

/** What is compressed is unpacked to be looked through, as far as the bound; what is no gzip has nothing in it. */
async function inGzip(content: Uint8Array<ArrayBuffer>, search: SecretSearch): Promise<Wanted | null> {
  if (content[0] !== 0x1f || content[1] !== 0x8b) return null;
  const stream = new SecretStream(search);
  let unpacked = 0;
  try {
    for await (const piece of new Blob([content]).stream().pipeThrough(new DecompressionStream('gzip'))) {
      const secret = stream.next(piece);
      if (secret !== null) return secret;
      unpacked += piece.byteLength;
      if (unpacked > MAX_UNPACKED) return null;
    }
  } catch {
    // A file that only looks like one: nobody can unpack it either.
  }
  return null;
}
