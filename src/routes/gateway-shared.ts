/** `PUT /shared/:hash?name=N` of the gateway: a file that Claude shared, named by the SHA-256 of its content. */
import { fileType, KNOWN_TYPES } from '../protocol/file-type.ts';
import { isFileHash, MAX_SHARED_BYTES } from '../protocol/files.ts';
import { putSharedFile, SharedFileError } from '../store/shared-files.ts';
import { refuse } from './gateway-refusal.ts';
import { sizedBody } from './sized-body.ts';

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
): Promise<Response> {
  if (!isFileHash(hash)) return refuse(400, 'malformed', 'a shared file is named by its SHA-256, 64 hex digits');
  const sized = sizedBody(request, 'a shared file', MAX_SHARED_BYTES);
  if (sized instanceof Response) return sized;
  const content = await request.arrayBuffer();
  const type = fileType(new Uint8Array(content), new URL(request.url).searchParams.get('name') ?? '');
  if (type === null) return refuse(415, 'unknown_type', `the file is none of ${KNOWN_TYPES}`);
  try {
    await putSharedFile(bucket, sessionId, hash, content, type);
  } catch (error) {
    if (error instanceof SharedFileError) return refuse(400, 'refused', error.message);
    throw error;
  }
  return Response.json({ bytes: content.byteLength, type }, { status: 201 });
}
