/**
 * Files that cross into and out of a sandbox beside the repository: those people attached to an issue, given to Claude in
 * a folder beside the worktree, and those Claude puts into its share folder, shown to people. Sizes in bytes.
 */
import * as z from 'zod';

/** Largest file that is given to a sandbox. */
export const MAX_GIVEN_BYTES = 20 * 1024 * 1024;
/** Largest file that Claude can share. */
export const MAX_SHARED_BYTES = 10 * 1024 * 1024;
/** Most files of the share folder that one save takes. */
export const MAX_SHARED_FILES = 50;

/** A name that is safe as a file's name and inside of a Markdown link: it holds no slash and begins with no dot or dash. */
export const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A file given to a sandbox. Answer to `PUT /sessions/:id/files/:name`; `path` is where Claude finds it. */
export const givenFileSchema = z.object({
  name: z.string().regex(FILE_NAME),
  path: z.string().min(1),
  bytes: z.number().int().nonnegative(),
});
export type GivenFile = z.infer<typeof givenFileSchema>;

/** Answer to `GET /sessions/:id/files`. */
export const givenFilesSchema = z.object({ files: z.array(givenFileSchema) });

/** True for the SHA-256 of a file: 64 hex digits, lower case. */
export function isFileHash(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** A file that Claude shared and the gateway stored, as `PUT {gateway}/shared/:hash`. */
export const sharedFileSchema = z.object({
  name: z.string().regex(FILE_NAME),
  /** SHA-256 of the content. */
  hash: z.string().refine(isFileHash, 'must be a SHA-256 in hex'),
  bytes: z.number().int().nonnegative(),
  /** Media type by content, see `fileType`. */
  type: z.string().max(100),
});
export type SharedFile = z.infer<typeof sharedFileSchema>;

/**
 * The name of the shared file that the address of a Markdown link means: `share/<name>`, also as the absolute path that
 * Claude sees.
 * @returns null for every other address
 */
export function sharedName(address: string): string | null {
  const name = /^(?:\.\/|\/(?!\/)(?:[^\s()]*\/)?)?share\/([^/\s()]+)$/.exec(address)?.[1];
  return name !== undefined && FILE_NAME.test(name) ? name : null;
}

/** Words of a link hold no bracket, so that a text full of brackets is read in one go. */
const LINK = /(!?)\[([^\][\n]{0,500})\]\(<?([^\s()<>]{1,500})>?(?:\s+"[^"\n]{0,200}")?\)/g;

/** A Markdown link to a shared file. */
export interface SharedLink {
  name: string;
  words: string;
  /** Written with `!`, to be shown in place. */
  isImage: boolean;
}

/** Names of the shared files that a Markdown text links, each once. */
export function sharedNames(text: string): string[] {
  const names = new Set<string>();
  replaceSharedLinks(text, ({ name, words }) => {
    names.add(name);
    return words;
  });
  return [...names];
}

/** Replaces each link to a shared file in a Markdown text; everything else stays as it is. */
export function replaceSharedLinks(text: string, replacement: (link: SharedLink) => string): string {
  if (!text.includes('share/')) return text;
  return text.replace(LINK, (whole: string, mark: string, words: string, address: string) => {
    const name = sharedName(address);
    return name === null ? whole : replacement({ name, words, isImage: mark === '!' });
  });
}
