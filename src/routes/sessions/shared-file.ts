/**
 * `/api/sessions/:id/shared/:hash?name=N`: a file that Claude shared, for the page. It may hold anything, so only images
 * without scripts are shown in place; the rest is downloaded, and nothing of it runs with the rights of the page.
 */
import type { ApiError } from '../../protocol/api.ts';
import { isSafeImage, isTextType } from '../../protocol/file-type.ts';
import { FILE_NAME, isFileHash } from '../../protocol/files.ts';
import { getSharedFile } from '../../store/shared-files.ts';

/** @param id a session's. @param name what the download is called; only a FILE_NAME is used */
export async function sharedFile(bucket: R2Bucket, id: string, hash: string, name: string): Promise<Response> {
  const isKey = /^[0-9a-f]{64}$/.test(id) && isFileHash(hash);
  const file = isKey ? await getSharedFile(bucket, id, hash) : null;
  if (!file) {
    const problem: ApiError = { error: 'no_such_file', message: 'No such file was shared in this session.' };
    return Response.json(problem, { status: 404 });
  }
  const isImage = isSafeImage(file.type);
  const filename = FILE_NAME.test(name) ? name : 'file';
  return new Response(file.body, {
    headers: {
      'content-type': isImage
        ? file.type
        : isTextType(file.type)
          ? 'text/plain; charset=utf-8'
          : 'application/octet-stream',
      'content-length': String(file.size),
      'content-disposition': `${isImage ? 'inline' : 'attachment'}; filename="${filename}"`,
      'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      // Named by its content, so it never changes; kept only by the browser of a person who may see it.
      'cache-control': 'private, max-age=31536000, immutable',
      // Who signed out, or in as somebody else, is asked again.
      vary: 'cookie',
    },
  });
}
