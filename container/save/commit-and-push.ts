/**
 * Saving: what Claude left uncommitted is committed, the branch is pushed, the patch is stored. Two halves, because
 * Claude may continue as soon as the first is done: the second reads nothing but commits.
 */
import { createWriteStream, openAsBlob } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../src/lib/error.ts';
import { type HeldPush, MAX_HELD_DIFF } from '../../src/protocol/held-push.ts';
import type { ChangedFile, Commit } from '../../src/protocol/sandbox/events.ts';
import { pause, steadyNow } from '../clock.ts';
import { readText, rm } from '../files/inside.ts';
import { complaint, GitError, type GitOptions, git } from '../git/git.ts';
import {
  commitAt,
  commitsBeyond,
  contains,
  type ForeignCommit,
  foreignCommits,
  isInBase,
  named,
} from '../git/host-branch.ts';
import { mendIndex } from '../git/index-file.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { pushLargeFiles } from '../lfs/lfs.ts';
import { log } from '../log.ts';
import { exists } from '../paths.ts';
import type { Baseline } from './baseline.ts';
import { type BranchMemory, type Meeting, mergeIn } from './branch-catch-up.ts';
import { commitLeftovers } from './leftovers.ts';
import { notForGit, replacedPointers } from './not-for-git.ts';
import { push, RETRY_LIMIT_MS, RETRY_PAUSES_MS } from './push.ts';

const MAX_PATCH_BYTES = 20 * 1024 * 1024;
const MAX_COMMITS = 50;
/** A commit's id and a line feed. */
const MAX_ID_BYTES = 100;
const MAX_FILES = 300;
const LOCK_PATIENCE_MS = 3_000;
const PATCH_TIMEOUT_MS = 60_000;

export interface CommittedWork {
  /** Commit that holds the work: HEAD, whatever Claude called its branch. */
  head: string;
  /** Whether the worktree is at rest: no rebase or merge of Claude's is under way. */
  isAtRest: boolean;
  problems: string[];
}

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
 * First half. Nothing of Claude's is running, or it only reads.
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
      await breakStaleLocks(plan);
      await mendIndex(inWorktree(plan));
      const refusal = await whyNotCommit(plan);
      if (refusal) {
        problems.push(refusal);
        isAtRest = false;
      } else problems.push(...(await commitLeftovers(plan, leftovers, isLast)));
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

/**
 * Second half: pushes a commit to the session's branch and stores its patch at `{gateway}/patch/{head}`.
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

async function gitPath(options: GitOptions, name: string): Promise<string> {
  const path = (await git(['rev-parse', '--git-path', name], options)).trim();
  return join(path.startsWith('/') ? '' : options.cwd, path);
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

async function listCommits(options: GitOptions, base: string, head: string): Promise<Commit[]> {
  const out = await git(['log', '-z', '--format=%H %s', `--max-count=${MAX_COMMITS}`, head, `^${base}`, '--'], options);
  const lines = out.split('\0').filter((line) => line !== '');
  return lines.map((line) => {
    const space = line.indexOf(' ');
    return { sha: line.slice(0, space), subject: line.slice(space + 1, space + 501) };
  });
}

async function mergeBase(options: GitOptions, base: string, head: string): Promise<string> {
  return await git(['merge-base', base, head], options).then(
    (sha) => sha.trim(),
    // No common history: compared as they are.
    () => base,
  );
}

const safeDiff = ['--no-ext-diff', '--no-textconv', '--no-color', '--find-renames', '--ignore-submodules=dirty'];

async function listFiles(options: GitOptions, from: string, head: string): Promise<ChangedFile[]> {
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

function lineCount(text: string): number | null {
  return text === '-' ? null : Number(text);
}

async function storePatch(
  plan: WorkspacePlan,
  from: string,
  head: string,
  path: string,
  pauses: number[],
): Promise<{ bytes: number | null; problem: string | null }> {
  try {
    const bytes = await writePatch(plan, from, head, path);
    const until = steadyNow() + RETRY_LIMIT_MS;
    for (let attempt = 0; ; attempt++) {
      const refusal = await putPatch(plan, head, path);
      if (refusal === null) return { bytes, problem: null };
      const wait = pauses[attempt];
      if (!refusal.retry || wait === undefined || plan.signal.aborted || steadyNow() > until) {
        return { bytes: null, problem: `The patch could not be stored: ${refusal.problem}` };
      }
      await pause(wait, plan.signal);
    }
  } catch (error) {
    if (error instanceof GitError && error.tooLarge) {
      return {
        bytes: null,
        problem: `The patch is larger than ${MAX_PATCH_BYTES / 1024 / 1024} MiB and was not stored.`,
      };
    }
    if (error instanceof GitError) return { bytes: null, problem: `The patch could not be made: ${complaint(error)}` };
    throw error;
  } finally {
    await rm(path, { force: true });
  }
}

/** The patch goes through a file: its size must be known before it is sent, and it may be large. */
async function writePatch(plan: WorkspacePlan, from: string, head: string, path: string): Promise<number> {
  const file = createWriteStream(path, { mode: 0o600 });
  const failed = new Promise<never>((_, reject) => file.on('error', reject));
  const args = [
    'diff',
    '--binary',
    '--full-index',
    ...safeDiff,
    '--src-prefix=a/',
    '--dst-prefix=b/',
    from,
    head,
    '--',
  ];
  const made = git(args, {
    ...inWorktree(plan),
    maxBytes: MAX_PATCH_BYTES,
    timeoutMs: PATCH_TIMEOUT_MS,
    onData: (chunk) => file.write(chunk),
  });
  try {
    await Promise.race([made, failed]);
  } finally {
    await new Promise((done) => file.end(done));
  }
  return file.bytesWritten;
}

async function putPatch(
  plan: WorkspacePlan,
  head: string,
  path: string,
): Promise<{ problem: string; retry: boolean } | null> {
  try {
    const answer = await fetch(`${plan.remote.gatewayUrl}/patch/${head}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${plan.remote.token}`, 'content-type': 'text/x-diff' },
      body: await openAsBlob(path),
      redirect: 'error',
      signal: AbortSignal.any([plan.signal, AbortSignal.timeout(PATCH_TIMEOUT_MS)]),
    });
    const text = (await answer.text()).slice(0, 300);
    // 409: it is there from when this was the head before.
    if (answer.ok || answer.status === 409) return null;
    return {
      problem: `the gateway answered ${answer.status} ${text}`,
      retry: answer.status >= 500 || answer.status === 429,
    };
  } catch (error) {
    return { problem: messageOf(error), retry: true };
  }
}
