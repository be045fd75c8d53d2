/** Reading a bare repository: branches, commits, differences, files. */
import { runGit } from './git-command.ts';

export interface Branch {
  name: string;
  sha: string;
  subject: string;
  /** Seconds since the epoch. */
  at: number;
}

export interface LoggedCommit {
  sha: string;
  subject: string;
  body: string;
  author: string;
  email: string;
  /** Author's date, seconds since the epoch. */
  at: number;
}

/** There is no such branch or commit in this repository. */
export class UnknownRefError extends Error {
  override readonly name = 'UnknownRefError';
  constructor(ref: string) {
    super(`there is no branch or commit ${JSON.stringify(ref)}`);
  }
}

/** The tree without files, which git knows in every repository. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
/** Most commits that are ever listed. */
const MAX_COMMITS = 200;

/** All branches, the one with the newest commit first. */
export async function listBranches(directory: string): Promise<Branch[]> {
  const format = ['%(refname:lstrip=2)', '%(objectname)', '%(committerdate:unix)', '%(contents:subject)'].join('%00');
  const out = await runGit(['for-each-ref', '--sort=-committerdate', `--format=${format}`, 'refs/heads/'], {
    cwd: directory,
  });
  return out
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name = '', sha = '', at = '0', subject = ''] = line.split('\0');
      return { name, sha, subject, at: Number(at) };
    });
}

/** Name of the default branch (what HEAD points to). */
export async function defaultBranch(directory: string): Promise<string> {
  return (await runGit(['symbolic-ref', '--short', 'HEAD'], { cwd: directory })).trim();
}

/**
 * The commit id of a branch name, a full or shortened commit id, or HEAD. What was typed never reaches git as an option
 * or an expression.
 * @throws UnknownRefError
 */
export async function resolveRef(directory: string, ref: string): Promise<string> {
  const branch = (await listBranches(directory)).find((candidate) => candidate.name === ref);
  if (branch) return branch.sha;
  if (ref !== 'HEAD' && !/^[0-9a-f]{7,40}$/.test(ref)) throw new UnknownRefError(ref);
  try {
    return (await runGit(['rev-parse', '--verify', '--quiet', `${ref}^{commit}`], { cwd: directory })).trim();
  } catch {
    throw new UnknownRefError(ref);
  }
}

/**
 * Commits of a ref, newest first, at most 200.
 * @param without commit id whose history is left out
 * @throws UnknownRefError
 */
export async function readLog(directory: string, ref: string, without?: string): Promise<LoggedCommit[]> {
  const range = [await resolveRef(directory, ref), ...(without ? [`^${without}`] : [])];
  const format = '%H%x00%s%x00%b%x00%an%x00%ae%x00%at%x01';
  const out = await runGit(['log', `--max-count=${MAX_COMMITS}`, `--format=${format}`, ...range, '--'], {
    cwd: directory,
  });
  return out
    .split('\x01\n')
    .filter(Boolean)
    .map((record) => {
      const [sha = '', subject = '', body = '', author = '', email = '', at = '0'] = record.split('\0');
      return { sha, subject, body: body.trim(), author, email, at: Number(at) };
    });
}

/** The commit both have in common, or null if they share no history. Both are commit ids. */
export async function mergeBase(directory: string, one: string, other: string): Promise<string | null> {
  try {
    return (await runGit(['merge-base', one, other], { cwd: directory })).trim();
  } catch {
    return null;
  }
}

/** The difference between two commit ids as a unified diff; from the empty tree where `from` is null. */
export function readDiff(directory: string, from: string | null, to: string): Promise<string> {
  return runGit(
    ['diff-tree', '-p', '--no-color', '--no-ext-diff', '--no-textconv', '--find-renames', from ?? EMPTY_TREE, to],
    { cwd: directory },
  );
}

/**
 * Paths of all files of a ref.
 * @throws UnknownRefError
 */
export async function listFiles(directory: string, ref: string): Promise<string[]> {
  const sha = await resolveRef(directory, ref);
  const out = await runGit(['ls-tree', '-r', '-z', '--name-only', sha], { cwd: directory });
  return out.split('\0').filter(Boolean);
}

/**
 * Text of one file of a ref.
 * @throws UnknownRefError; GitCommandError if there is no such file
 */
export async function readFileAt(directory: string, ref: string, path: string): Promise<string> {
  const sha = await resolveRef(directory, ref);
  return runGit(['cat-file', 'blob', `${sha}:${path}`], { cwd: directory });
}
