/**
 * Second half of saving: the branch is pushed, and the patch is stored. It reads nothing but commits, so that Claude may
 * continue as soon as the first half is done.
 */
import { type HeldPush, MAX_HELD_DIFF } from '../../src/protocol/held-push.ts';
import type { ChangedFile, Commit } from '../../src/protocol/sandbox/events.ts';
import { complaint, GitError, type GitOptions, git } from '../git/git.ts';
import { contains, type ForeignCommit, foreignCommits, isInBase, named } from '../git/host-branch.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { pushLargeFiles } from '../lfs/lfs.ts';
import { log } from '../log.ts';
import type { Meeting } from './branch-catch-up.ts';
import { listCommits, listFiles, mergeBase } from './branch-changes.ts';
import type { BranchMemory } from './branch-news.ts';
import { notForGit, replacedPointers } from './not-for-git.ts';
import { storePatch } from './patch.ts';
import { push, RETRY_PAUSES_MS } from './push.ts';

/** What the `saved` event says about the branch. */
export interface PublishedWork {
  commits: Commit[];
  files: ChangedFile[];
  newCommits: number;
  pushed: boolean;
  patchBytes: number | null;
  problems: string[];
  /** Those of the problems that Claude can do something about. */
  advice: string[];
  /** True when the push failed for a reason that passes: it should be tried again later. */
  retry: boolean;
  /** Somebody pushed at the same moment: what happened outside is to be taken up, and the push tried again. */
  stale: boolean;
  /** What git needs for it could not be read: the repository may be damaged. */
  unreadable?: boolean;
  /** A person has to allow the push first: what they are to be asked; `null` if that is too long to be read. */
  held?: HeldPush | null;
}

/**
 * Pushes a commit to the session's branch and stores its patch at `{gateway}/patch/{head}`.
 * @param since commit of the last save, for counting what is new
 * @param branch what the session knows of its branch on the host, brought up to date; and how it was found just now
 * @param patchPath file the patch is made in; null: no patch is stored
 */
export async function publishWork(
  plan: WorkspacePlan,
  head: string,
  since: string | null,
  branch: { memory: BranchMemory; meeting: Meeting | null },
  patchPath: string | null,
): Promise<PublishedWork> {
  const base = `refs/remotes/origin/${plan.baseBranch}`;
  const options = inWorktree(plan);
  const problems: string[] = [];
  const advice: string[] = [];
  const commits = await listCommits(options, base, head);
  const { memory, meeting } = branch;
  const onHost = meeting ? meeting.tips.branch : (memory.tip ?? null);
  const not = [since ?? base, ...(memory.taken === undefined ? [] : [memory.taken])].map((name) => `^${name}`);
  const newCommits = Number(await git(['rev-list', '--count', head, ...not], options));
  const forkPoint = await mergeBase(options, base, head);
  const files = await listFiles(options, forkPoint, head);

  const strange = await notForGit(plan, forkPoint, head);
  if (forkPoint === base && commits.length > 0) {
    strange.push(
      `${plan.branch} has no history in common with ${plan.baseBranch}, so that no pull request can be opened. Bring the work onto origin/${plan.baseBranch}: check that out on ${plan.branch}, and commit the files there.`,
    );
  }
  problems.push(...strange);
  advice.push(...strange);
  const result = await publish(plan, { head, onHost, hasCommits: commits.length > 0, base }, branch);
  if (result.problem !== null) {
    problems.push(result.problem);
    if (result.isForClaude) advice.push(result.problem);
  }
  const { pushed, retry, stale } = result;
  const held = result.held && (await heldDiff(options, result.held, forkPoint, head));
  let patchBytes: number | null = null;
  if (files.length > 0 && patchPath !== null) {
    // Where the push has just waited without success for the gateway, the patch is tried once.
    const patch = await storePatch(plan, forkPoint, head, patchPath, retry ? [] : RETRY_PAUSES_MS);
    patchBytes = patch.bytes;
    if (patch.problem) problems.push(patch.problem);
  }
  return {
    commits,
    files,
    newCommits,
    pushed,
    patchBytes,
    problems,
    advice,
    retry,
    stale,
    ...(held !== undefined && { held }),
  };
}

interface Published {
  pushed: boolean;
  problem: string | null;
  isForClaude: boolean;
  retry: boolean;
  stale: boolean;
  held?: Pick<HeldPush, 'files' | 'fingerprint'>;
}

/** Pushes if there is something to push and nobody else's commit would leave the branch. */
async function publish(
  plan: WorkspacePlan,
  { head, onHost, hasCommits, base }: { head: string; onHost: string | null; hasCommits: boolean; base: string },
  { memory, meeting }: { memory: BranchMemory; meeting: Meeting | null },
): Promise<Published> {
  const done = { pushed: true, problem: null, isForClaude: false, retry: false, stale: false };
  const refused = (problem: string): Published => ({ ...done, pushed: false, problem, isForClaude: true });
  if (onHost === head) return done;
  if (meeting?.blocked) return refused(meeting.blocked);
  const options = inWorktree(plan);
  if (!hasCommits) {
    // A branch that neither holds anything nor exists on the host would only be clutter there.
    if (onHost === null) return { ...done, pushed: false };
    // Merged: the base has it all, and there is nothing new.
    if (await isInBase(plan, onHost, base)) return done;
  }
  if (onHost !== null && !(await contains(options, head, onHost))) {
    const theirs = await foreignCommits(plan, onHost, head);
    const lost = await notInBase(plan, theirs, base);
    if (lost.length > 0) {
      return refused(
        `${plan.branch} was not pushed: it would remove other people's commits from the branch (${named(lost)}). Merge origin/${plan.branch}, or rebase onto it, so that they are kept.`,
      );
    }
  }
  const replaced = await replacedPointers(plan, onHost ?? (await mergeBase(options, base, head)), head);
  if (replaced.length > 0) {
    return refused(
      `${plan.branch} was not pushed: ${replaced.join(', ')} is kept in Git LFS, and a commit replaces its pointer with the content itself. Remove it and add it again (git rm --cached, git add), instead of that commit.`,
    );
  }
  const large = await pushLargeFiles(plan, head, [...(onHost === null ? [] : [onHost]), base]);
  if (large !== null) return { ...done, pushed: false, ...large };
  const failure = await push(plan, head, onHost);
  if (failure !== null) return { ...done, pushed: false, ...failure };
  memory.tip = head;
  return done;
}

/** Without those that the base has too. */
async function notInBase(plan: WorkspacePlan, commits: ForeignCommit[], base: string): Promise<ForeignCommit[]> {
  const missing: ForeignCommit[] = [];
  for (const commit of commits) if (!(await contains(inWorktree(plan), base, commit.sha))) missing.push(commit);
  if (missing.length === 0) return missing;
  // A squash of the whole branch has them too, under another name.
  const [newest] = missing;
  return newest && (await isInBase(plan, newest.sha, base)) ? [] : missing;
}

/** What the files that are held differ in from the base; null if that is nothing, or more than people can read. */
async function heldDiff(
  options: GitOptions,
  held: Pick<HeldPush, 'files' | 'fingerprint'>,
  from: string,
  head: string,
): Promise<HeldPush | null> {
  const args = ['diff', '--full-index', '--no-ext-diff', '--no-textconv', '--no-color', '--no-renames'];
  const paths = held.files.map((file) => `:(top,literal)${file}`);
  try {
    const diff = await git([...args, '--submodule=short', from, head, '--', ...paths], {
      ...options,
      maxBytes: 4 * MAX_HELD_DIFF,
    });
    return diff === '' || diff.length > MAX_HELD_DIFF ? null : { ...held, diff };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    log('save.held_diff.failed', { complaint: complaint(error) });
    return null;
  }
}
