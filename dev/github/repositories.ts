/** What the stand-in reads of the git host's repositories, and the merge that its page offers. */
import { runGit } from '../git/git-command.ts';
import type { LoggedCommit } from '../git/repository.ts';
import { defaultBranch, listBranches, mergeBase, readDiff, readLog } from '../git/repository.ts';

/** A way to the bare repository of `owner/name`, or null if there is none. */
export type Locate = (fullName: string) => Promise<string | null>;

/** Commit a branch is at; null if there is no such branch. */
export async function headOf(directory: string, branch: string): Promise<string | null> {
  return (await listBranches(directory)).find(({ name }) => name === branch)?.sha ?? null;
}

/** Name of the default branch. */
export function mainOf(directory: string): Promise<string> {
  return defaultBranch(directory);
}

/** Commits of one commit's history that the other's has not, newest first. */
export function commitsBetween(directory: string, base: string, head: string): Promise<LoggedCommit[]> {
  return readLog(directory, head, base);
}

/** The difference that a pull request shows: from where the branches parted. */
export async function differenceOf(directory: string, base: string, head: string): Promise<string> {
  return readDiff(directory, await mergeBase(directory, base, head), head);
}

/**
 * Merges a branch into another with a merge commit.
 * @throws GitCommandError if they conflict
 */
export async function merge(
  directory: string,
  branches: { base: string; baseHead: string; head: string; message: string; at: number },
): Promise<void> {
  const { base, baseHead, head, message, at } = branches;
  const [tree = ''] = (await runGit(['merge-tree', '--write-tree', baseHead, head], { cwd: directory })).split('\n');
  const date = `${Math.floor(at / 1000)} +0000`;
  const person = { NAME: 'GitHub', EMAIL: 'noreply@github.com', DATE: date };
  const env = Object.fromEntries(
    Object.entries(person).flatMap(([key, value]) => [
      [`GIT_AUTHOR_${key}`, value],
      [`GIT_COMMITTER_${key}`, value],
    ]),
  );
  const made = await runGit(['commit-tree', tree, '-p', baseHead, '-p', head, '-m', message], { cwd: directory, env });
  await runGit(['update-ref', `refs/heads/${base}`, made.trim(), baseHead], { cwd: directory });
}
