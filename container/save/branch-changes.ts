/** What a branch has over its base: commits and changed files, as people are shown them. */
import type { ChangedFile, Commit } from '../../src/protocol/sandbox/events.ts';
import { type GitOptions, git } from '../git/git.ts';

const MAX_COMMITS = 50;
const MAX_FILES = 300;

/** Commits of `head` that `base` does not have, newest first, 50 at most. @throws GitError */
export async function listCommits(options: GitOptions, base: string, head: string): Promise<Commit[]> {
  const out = await git(['log', '-z', '--format=%H %s', `--max-count=${MAX_COMMITS}`, head, `^${base}`, '--'], options);
  const lines = out.split('\0').filter((line) => line !== '');
  return lines.map((line) => {
    const space = line.indexOf(' ');
    return { sha: line.slice(0, space), subject: line.slice(space + 1, space + 501) };
  });
}

/** The commit at which `head` left `base`; `base` itself if they have no history in common. */
export async function mergeBase(options: GitOptions, base: string, head: string): Promise<string> {
  return await git(['merge-base', base, head], options).then(
    (sha) => sha.trim(),
    // No common history: compared as they are.
    () => base,
  );
}

/** Options of a diff that runs nothing which a repository names, and reads the same everywhere. */
export const safeDiff = ['--no-ext-diff', '--no-textconv', '--no-color', '--find-renames', '--ignore-submodules=dirty'];

/** Files that differ between two commits, 300 at most. @throws GitError */
export async function listFiles(options: GitOptions, from: string, head: string): Promise<ChangedFile[]> {
  const out = await git(['diff', '--numstat', '-z', ...safeDiff, from, head, '--'], {
    ...options,
    maxBytes: 64 * 1024 * 1024,
  });
  const fields = out.split('\0');
  const files: ChangedFile[] = [];
  for (let at = 0; at < fields.length && files.length < MAX_FILES; at++) {
    const [added, removed, name] = (fields[at] ?? '').split('\t');
    if (added === undefined || removed === undefined || name === undefined) continue;
    // A rename has an empty name here; the old and the new one follow.
    const path = name === '' ? fields[at + 2] : name;
    if (name === '') at += 2;
    if (path) files.push({ path, additions: lineCount(added), deletions: lineCount(removed) });
  }
  return files;
}

function lineCount(text: string): number | null {
  return text === '-' ? null : Number(text);
}
