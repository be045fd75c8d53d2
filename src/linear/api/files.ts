/** Linear's API around files: addresses that are good without a token, and places to upload to. */
import { findUploads } from '../uploads.ts';
import type { Send } from './call.ts';
import { LinearError } from './errors.ts';
import { ask, callOf } from './operation.ts';
import { FILE_UPLOAD, ISSUE_TEXTS } from './operations.ts';

/** How long a signed address is good, in seconds: for all files of a prompt, tried several times. */
const SIGNED_SECONDS = 600;

/** Where to put a file, and the address that shows it afterwards. The place is good for about a minute. */
export interface UploadPlace {
  uploadUrl: string;
  assetUrl: string;
  headers: { key: string; value: string }[];
}

/**
 * Has Linear sign the addresses of the files that an issue and its comments link.
 * Source: https://linear.app/developers/file-storage-authentication
 * @returns signed addresses by the address without a query
 * @throws LinearError
 */
export async function signedAddresses(send: Send, issueId: string, uploadsUrl: string): Promise<Map<string, string>> {
  const { issue } = await ask(send, ISSUE_TEXTS, { id: issueId }, { signFilesFor: SIGNED_SECONDS });
  const texts = [issue.description ?? '', ...issue.comments.nodes.map(({ body }) => body)];
  const uploads = texts.flatMap((text) => findUploads(text, uploadsUrl));
  return new Map(uploads.flatMap(({ address, signed }) => (signed === null ? [] : [[address, signed] as const])));
}

/**
 * Asks for a place to upload a file to.
 * Source: https://linear.app/developers/how-to-upload-a-file-to-linear
 * @throws LinearError
 */
export async function prepareUpload(
  send: Send,
  file: { contentType: string; filename: string; size: number },
): Promise<UploadPlace> {
  const data = await send(callOf(FILE_UPLOAD, file, { priority: 'answer' }));
  const place = FILE_UPLOAD.answer.safeParse(data).data?.fileUpload.uploadFile;
  if (!place) throw new LinearError('refused', 'Linear gave no upload address for the file');
  return place;
}
