/** Linear's API around files: addresses that are good without a token, and places to upload to. */
import * as z from 'zod';
import { findUploads } from '../uploads.ts';
import type { Send } from './call.ts';
import { LinearError } from './errors.ts';
import { FILE_UPLOAD, ISSUE_TEXTS } from './operations.ts';

/** How long a signed address is good, in seconds: for all files of a prompt, tried several times. */
const SIGNED_SECONDS = 600;

const issueTextsSchema = z.object({
  issue: z.object({
    description: z.string().nullish(),
    comments: z.object({ nodes: z.array(z.object({ body: z.string() })) }),
  }),
});

const fileUploadSchema = z.object({
  fileUpload: z.object({
    uploadFile: z.object({
      uploadUrl: z.url(),
      assetUrl: z.url(),
      headers: z.array(z.object({ key: z.string(), value: z.string() })),
    }),
  }),
});

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
  const data = await send({
    document: ISSUE_TEXTS,
    variables: { id: issueId },
    priority: 'action',
    idempotent: false,
    signFilesFor: SIGNED_SECONDS,
  });
  const { issue } = issueTextsSchema.parse(data);
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
  const data = await send({ document: FILE_UPLOAD, variables: file, priority: 'answer', idempotent: false });
  const parsed = fileUploadSchema.safeParse(data);
  if (!parsed.success) throw new LinearError('refused', 'Linear gave no upload address for the file');
  return parsed.data.fileUpload.uploadFile;
}
