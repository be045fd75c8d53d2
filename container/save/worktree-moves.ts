/**
 * Moves of the worktree between commits: a merge, a rebase, a checkout. Each leaves the worktree as it was if it does not work,
 * and overwrites nothing that is not committed.
 */
import { complaint, GitError, type GitOptions, git, gitSays, withoutFilters } from '../git/git.ts';
import { commitAt, commitsBeyond, contains } from '../git/host-branch.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { listedConflicts } from './branch-news.ts';

const MERGE_TIMEOUT_MS = 5 * 60_000;

/** A commit with the base's files and both histories. */
export async function joinHistories(
  options: GitOptions,
  branch: string,
  base: string,
  message: string,
): Promise<string> {
  return (await git(['commit-tree', `${base}^{tree}`, '-p', branch, '-p', base, '-m', message], options)).trim();
}

/** Puts the worktree onto another commit, with what HEAD has beyond `from`; as it was where that does not work. */
export async function beginAgain(
  plan: WorkspacePlan,
  from: string,
  onto: string,
  head: string,
): Promise<{ carried: number } | { problem: string }> {
  const options: GitOptions = { ...inWorktree(plan), timeoutMs: MERGE_TIMEOUT_MS };
  const mine = await commitsBeyond(options, head, [from, onto]);
  if (mine.length === 0) {
    const problem = await standOn(plan, onto);
    return problem === null ? { carried: 0 } : { problem };
  }
  const settings = await withoutFilters(options);
  try {
    const args = ['rebase', '--quiet', '--no-verify', '--no-autostash', '--no-autosquash', '--onto', onto, from];
    await git(args, { ...options, settings });
    await bringBranchAlong(plan, head);
    return { carried: mine.length };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const conflicts = await conflictingFiles(options);
    await git(['rebase', '--abort'], { ...options, settings }).catch(() => {});
    return { problem: conflictText(conflicts, error) };
  }
}

/**
 * Where Claude works beside the session's branch, a rebase moves HEAD alone: the branch, which HEAD held all of, would stay behind on the
 * history that was left, and look like other work.
 * @param head where HEAD was before
 */
async function bringBranchAlong(plan: WorkspacePlan, head: string): Promise<void> {
  const options = inWorktree(plan);
  const ref = `refs/heads/${plan.branch}`;
  const branch = await commitAt(options, ref);
  const now = await commitAt(options, 'HEAD');
  if (branch === null || now === null || branch === now || !(await contains(options, head, branch))) return;
  await git(['update-ref', ref, now, branch], options);
}

/** Checks a commit out on the session's branch. @returns why it could not; what is not committed is never overwritten */
export async function standOn(plan: WorkspacePlan, commit: string): Promise<string | null> {
  const options: GitOptions = { ...inWorktree(plan), timeoutMs: MERGE_TIMEOUT_MS };
  const settings = await withoutFilters(options);
  try {
    await git(['checkout', '--quiet', '--no-track', '-B', plan.branch, commit], { ...options, settings });
    return null;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    try {
      // A branch of Claude's may stand in the way of the name.
      await git(['checkout', '--quiet', '--detach', commit], { ...options, settings });
      return null;
    } catch (again) {
      if (!(again instanceof GitError)) throw again;
      return complaint(again);
    }
  }
}

/** Merges a commit into HEAD. @returns why not, with the worktree as it was; null: done */
export async function mergeIn(plan: WorkspacePlan, commit: string, message: string): Promise<string | null> {
  const options: GitOptions = { ...inWorktree(plan), timeoutMs: MERGE_TIMEOUT_MS };
  const settings = await withoutFilters(options);
  const args = ['merge', '--quiet', '--no-verify', '--no-edit', '--no-autostash', '-m', message, commit];
  try {
    await git(args, { ...options, settings });
    return null;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const conflicts = await conflictingFiles(options);
    await git(['merge', '--abort'], { ...options, settings }).catch(() => {});
    return conflictText(conflicts, error);
  }
}

async function conflictingFiles(options: GitOptions): Promise<string[]> {
  const listed = await git(['diff', '--name-only', '--diff-filter=U', '-z'], options).catch(() => '');
  return listed.split('\0').filter((path) => path !== '');
}

function conflictText(conflicts: string[], error: GitError): string {
  if (conflicts.length === 0) return complaint(error);
  return `conflicts in ${listedConflicts(conflicts)}`;
}

/** Whether nothing that git tracks is changed. */
export async function isClean(options: GitOptions): Promise<boolean> {
  return await gitSays(
    ['diff', '--quiet', '--no-ext-diff', '--no-textconv', '--ignore-submodules=all', 'HEAD'],
    options,
  );
}
