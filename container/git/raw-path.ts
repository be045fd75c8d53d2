/** Names of files as git has them: bytes, not text. Each byte is one character here (latin1), so that none is lost. */
import { type GitOptions, git } from './git.ts';

/** A path of the worktree, with slashes; one that ends with a slash is a repository of its own. */
export type RawPath = string;

/** Runs git and gives its stdout as one character a byte. @throws GitError */
export async function rawOutput(args: string[], options: GitOptions): Promise<string> {
  const chunks: Buffer[] = [];
  await git(args, { ...options, onData: (chunk) => chunks.push(chunk) });
  return Buffer.concat(chunks).toString('latin1');
}

/** The paths that git lists with `-z`. @throws GitError */
export async function listRawPaths(args: string[], options: GitOptions): Promise<RawPath[]> {
  return (await rawOutput(args, options)).split('\0').filter((path) => path !== '');
}

/** Paths as git reads them with `-z --stdin`. */
export function rawInput(paths: Iterable<RawPath>): Buffer {
  return Buffer.from([...paths].join('\0'), 'latin1');
}

/** Where a path lies on the disk. @param folder an absolute path, as text */
export function rawFile(folder: string, path: RawPath): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path.replace(/\/$/, ''), 'latin1')]);
}

/** A path for people: as text, without what would break a line. */
export function shownPath(path: RawPath): string {
  const text = Buffer.from(path, 'latin1').toString('utf8');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is to be replaced
  return text.replace(/[\0-\x1f\x7f]/g, '?').slice(0, 300);
}
