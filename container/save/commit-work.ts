/** First half of saving: what Claude left uncommitted is committed, and the commit that holds the work is found. */
import { join } from 'node:path';
import { pause, steadyNow } from '../clock.ts';
import { readText, rm } from '../files/inside.ts';
import { complaint, GitError, type GitOptions, git } from '../git/git.ts';
import { commitAt, commitsBeyond, contains, named } from '../git/host-branch.ts';
import { mendIndex } from '../git/index-file.ts';
import { againIfKilled } from '../git/killed-git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { log } from '../log.ts';
import { exists } from '../paths.ts';
import type { Baseline } from './baseline.ts';
import { commitLeftovers } from './leftovers.ts';
import { mergeIn } from './worktree-moves.ts';

/** A commit's id and a line feed. */
const MAX_ID_BYTES = 100;
const LOCK_PATIENCE_MS = 3_000;

export interface CommittedWork {
  /** Commit that holds the work: HEAD, whatever Claude called its branch. */
  head: string;
  /** Whether the worktree is at rest: no rebase or merge of Claude's is under way. */
  isAtRest: boolean;
  problems: string[];
}

/**
 * Nothing of Claude's is running, or it only reads.
 * @param leftovers what the worktree held before Claude; null while Claude works on: then only what is committed already counts
 * @param isLast whether the turn is over, so that nothing can be put right before it is saved
 * @throws GitError when not even HEAD can be read
 */
export async function commitWork(
  plan: WorkspacePlan,
  leftovers: Baseline | null,
  isLast = true,
): Promise<CommittedWork> {
  const problems: string[] = [];
  let isAtRest = leftovers !== null;
  if (leftovers !== null) {
    try {
      const refusal = await againIfKilled(plan.signal, async () => {
        await breakStaleLocks(plan);
        await mendIndex(inWorktree(plan));
        const why = await whyNotCommit(plan);
        if (why === null) problems.push(...(await commitLeftovers(plan, leftovers, isLast)));
        return why;
      });
      if (refusal !== null) {
        problems.push(refusal);
        isAtRest = false;
      }
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      log('save.leftovers.failed', { error });
      problems.push(`Uncommitted changes could not be committed: ${complaint(error)}.`);
    }
  }
  const { head, problem } = await findWork(plan, isAtRest);
  if (problem !== null) problems.push(problem);
  return { head, isAtRest, problems };
}

/** A git that was killed leaves its lock behind. One that merely runs in the background gets a moment to finish. */
async function breakStaleLocks(plan: WorkspacePlan): Promise<void> {
  const options = inWorktree(plan);
  const deadline = steadyNow() + LOCK_PATIENCE_MS;
  for (const name of ['index.lock', 'HEAD.lock', `refs/heads/${plan.branch}.lock`]) {
    const path = await gitPath(options, name);
    while (await exists(path)) {
      if (steadyNow() > deadline) {
        log('save.lock.removed', { name });
        await rm(path, { force: true });
        break;
      }
      await pause(50);
    }
  }
}

/** Committing in the middle of a rebase, or elsewhere than on the session's branch, would bend Claude's history. */
async function whyNotCommit(plan: WorkspacePlan): Promise<string | null> {
  const options = inWorktree(plan);
  for (const [directory, what] of [
    ['rebase-merge', 'a rebase'],
    ['rebase-apply', 'a rebase'],
    ['sequencer', 'a cherry-pick or revert'],
  ] as const) {
    if (await exists(await gitPath(options, directory))) {
      return `Uncommitted changes were not committed: ${what} is in progress in the worktree.`;
    }
  }
  const unmerged = await git(['ls-files', '--unmerged', '-z'], options);
  if (unmerged !== '') return 'Uncommitted changes were not committed: a merge has conflicts that are not resolved.';
  return null;
}

/**
 * The commit that holds the work. Mostly HEAD. Where Claude only looks at another commit, its branch; where it has
 * committed on a branch beside the session's, both together.
 * @param isAtRest whether Claude is at rest, so that a merge may be made in the worktree
 * @throws GitError when HEAD cannot be read
 */
export async function findWork(
  plan: WorkspacePlan,
  isAtRest: boolean,
): Promise<{ head: string; problem: string | null }> {
  const options = inWorktree(plan);
  const branchRef = `refs/heads/${plan.branch}`;
  const suspended = await headBeforeRebase(options);
  const head = suspended ?? (await git(['rev-parse', '--verify', 'HEAD^{commit}'], options)).trim();
  const branch = await commitAt(options, branchRef);
  const on = await git(['symbolic-ref', '--quiet', 'HEAD'], options).then(
    (name) => name.trim(),
    () => null,
  );
  if (suspended !== null || on === branchRef || branch === null || (await contains(options, head, branch))) {
    if (isAtRest && on !== branchRef && branch !== head) {
      // A branch of Claude's may be in the way of the name; what counts is HEAD.
      await git(['update-ref', branchRef, head], options).catch((error: unknown) => {
        log('save.branch.unset', { error });
      });
    }
    return { head, problem: null };
  }
  const beside = await commitsBeyond(options, head, [branch, '--remotes=origin']);
  if (beside.length === 0) return { head: branch, problem: null };
  const where = on === null ? 'a detached commit' : on.replace(/^refs\/heads\//, '');
  const conflict = isAtRest
    ? await mergeIn(plan, branch, `Merge ${plan.branch}`)
    : 'Claude was at work in the worktree';
  if (conflict !== null) {
    const problem = `${named(beside)} on ${where} could not be merged into ${plan.branch}: ${conflict}. Merge ${plan.branch} there, or check it out and merge them.`;
    return { head: branch, problem };
  }
  return await findWork(plan, isAtRest);
}

/** Where the branch was before a rebase that is under way; null if none is. */
async function headBeforeRebase(options: GitOptions): Promise<string | null> {
  for (const name of ['rebase-merge/orig-head', 'rebase-apply/orig-head']) {
    const text = await readText(await gitPath(options, name), MAX_ID_BYTES).catch(() => '');
    if (/^[0-9a-f]{40,64}$/.test(text.trim())) return await commitAt(options, text.trim());
  }
  return null;
}

async function gitPath(options: GitOptions, name: string): Promise<string> {
  const path = (await git(['rev-parse', '--git-path', name], options)).trim();
  return join(path.startsWith('/') ? '' : options.cwd, path);
}
