/**
 * A session's working copy: a bare mirror that all sessions of a repository read objects from, and a clone of the session's own
 * on its branch, always at the same path because Claude's transcripts are keyed by it.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxStep } from '../../src/protocol/sandbox/events.ts';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import { elapsedMs, steadyNow } from '../clock.ts';
import { rename, rm } from '../files/inside.ts';
import type { SessionAccess } from '../gateway/session-access.ts';
import { log } from '../log.ts';
import { exists, type SessionPaths } from '../paths.ts';
import { finishClone, isCutOffCheckout, isUnfinishedClone, makeClone, syncClone } from './clone.ts';
import { neverCommitted } from './excludes.ts';
import { complaint, GitError, type GitRemote, git, gitSays, tellsOfDamage, withoutFilters } from './git.ts';
import { untilHostAnswers } from './host-patience.ts';
import { completeHistory, updateMirror, withLock } from './mirror.ts';
import { PreparationError } from './preparation-error.ts';
import { inMirror, inWorktree, type WorkspacePlan } from './workspace-plan.ts';

const CHECKOUT_TIMEOUT_MS = 10 * 60_000;

/** Reports a step; `detail` is one line for people. */
export type StepReporter = (
  step: SandboxStep,
  status: 'started' | 'done',
  detail?: string,
  durationMs?: number,
) => void;

export interface PreparedWorkspace {
  /** Commit the branch is at. */
  commit: string;
  /** True when the worktree was made now: the setup script is due. */
  created: boolean;
}

/**
 * Fetches into the mirror, and checks out the session's branch in its worktree. A worktree that exists is kept: a second
 * call costs one fetch.
 * @param restore makes the worktree, which does not exist then, from what was kept elsewhere
 * @throws PreparationError as text for users; what `restore` throws
 */
export async function prepareWorkspace(
  plan: WorkspacePlan,
  report: StepReporter,
  restore: (() => Promise<void>) | null = null,
): Promise<PreparedWorkspace> {
  const exists = restore === null && (await isWorktree(plan));
  await writeFile(plan.remote.excludesFile, neverCommitted, { mode: 0o640 });
  const since = steadyNow();
  report('mirror', 'started', `Fetching ${plan.fullName}`);
  const wholeHistory = exists || restore !== null;
  const update = (tries?: number) => withLock(plan.mirror, () => updateMirror(plan, wholeHistory, tries));
  // One try at a time while it waits: the mirror's lock is free in between.
  const fetched = await (exists || !plan.waiting ? update() : untilHostAnswers(plan, () => update(1))).catch(
    (error: unknown) => {
      // Work that is already here can continue without the git host; saving will say if it stays away.
      if (exists && error instanceof PreparationError) return error;
      throw error;
    },
  );
  report('mirror', 'done', fetched instanceof PreparationError ? fetched.message : fetched, elapsedMs(since));

  const checkoutSince = steadyNow();
  report('worktree', 'started', `Checking out ${plan.branch}`);
  let isPutAside = false;
  const checkOutOnce = async () => {
    if (exists) {
      if (!(fetched instanceof PreparationError)) await syncClone(plan, true);
      return await catchUp(plan);
    }
    if (restore === null) return await checkOut(plan);
    // What an attempt before left unfinished is nobody's work.
    if (isPutAside) await rm(plan.worktree, { recursive: true, force: true });
    else await putAside(plan);
    isPutAside = true;
    await restore();
    return await catchUp(plan);
  };
  // A checkpoint may build on commits that only the host has.
  const detail = await untilHostAnswers(plan, () => withLock(plan.mirror, checkOutOnce));
  const commit = (await git(['rev-parse', 'HEAD'], inWorktree(plan))).trim();
  report('worktree', 'done', detail, elapsedMs(checkoutSince));
  return { commit, created: !exists };
}

/**
 * Gives the session's clone the whole history and the tags.
 * @returns false if the host could not be reached, or Claude holds a lock: the clone stays as it is
 */
export async function wholeHistory(plan: WorkspacePlan): Promise<boolean> {
  if (!(await completeHistory(plan)) || plan.signal.aborted) return false;
  try {
    await withLock(plan.mirror, () => syncClone(plan, false));
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (!plan.signal.aborted) log('git.clone.incomplete', { error });
    return false;
  }
}

/**
 * The remote of a session as git is told of it.
 * @param mirror the repository's mirror; left out: git knows nothing of Git LFS
 */
export function remoteOf(paths: SessionPaths, start: StartSession, access: SessionAccess, mirror?: string): GitRemote {
  const { gateway, repository, author } = start;
  return {
    url: `${gateway.url}/git/${repository.fullName}.git`,
    gatewayUrl: gateway.url,
    token: gateway.token,
    proxyUrl: access.proxy.url,
    peers: access.peers,
    wall: access.wall,
    author,
    excludesFile: paths.excludes,
    hooksFolder: paths.hooks,
    ...(mirror !== undefined && { lfs: { own: join(paths.worktree, '.git', 'lfs'), shared: join(mirror, 'lfs') } }),
  };
}

/** Makes the worktree: on the branch as it is on the remote, else on a new branch from the base. */
async function checkOut(plan: WorkspacePlan): Promise<string> {
  const { branch, baseBranch } = plan;
  const remoteBranch = `refs/remotes/origin/${branch}`;
  const mirror = inMirror(plan);
  try {
    await putAside(plan);
    const [onRemote] = await Promise.all([
      gitSays(['show-ref', '--quiet', '--verify', remoteBranch], mirror),
      git(['check-ref-format', '--branch', branch], mirror),
    ]);
    const start = onRemote ? remoteBranch : `refs/remotes/origin/${baseBranch}`;
    await makeClone(plan, (await git(['rev-parse', '--verify', `${start}^{commit}`], mirror)).trim(), 'files');
    // As many processes as processors; a checkout of many files is the longest step of a start.
    const settings: [string, string][] = [['checkout.workers', '0']];
    await git(['reset', '--quiet', '--hard'], { ...inWorktree(plan), settings, timeoutMs: CHECKOUT_TIMEOUT_MS });
    await finishClone(plan);
    if (onRemote) return `Continuing ${branch}`;
    return `New branch ${branch} from ${baseBranch}`;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    throw new PreparationError(
      'worktree',
      `The branch ${branch} could not be checked out: ${complaint(error)}`,
      'Check that the branch name is valid for git and that the sandbox has disk space.',
      { cause: error },
    );
  }
}

/** What git does not take for a worktree any more may still hold work: it is put aside, not deleted. */
async function putAside(plan: WorkspacePlan): Promise<void> {
  if (!(await exists(plan.worktree))) return;
  // What was put aside before may be work.
  if (await isCutOffCheckout(plan)) return await rm(plan.worktree, { recursive: true, force: true });
  await rm(`${plan.worktree}.aside`, { recursive: true, force: true });
  await rename(plan.worktree, `${plan.worktree}.aside`);
}

/** Commit up to which a branch that is at `head` is on the git host. */
export async function pushedCommit(plan: WorkspacePlan, head: string): Promise<string> {
  const options = inWorktree(plan);
  for (const name of [plan.branch, plan.baseBranch]) {
    const found = await git(['merge-base', `refs/remotes/origin/${name}`, head], options).catch(() => '');
    if (found !== '') return found.trim();
  }
  return head;
}

/** Takes over what others pushed to the branch since, if that is a plain step forward. */
async function catchUp(plan: WorkspacePlan): Promise<string> {
  const remoteBranch = `refs/remotes/origin/${plan.branch}`;
  const options = inWorktree(plan);
  if (!(await gitSays(['show-ref', '--quiet', '--verify', remoteBranch], options))) return `Continuing ${plan.branch}`;
  if (await gitSays(['merge-base', '--is-ancestor', remoteBranch, 'HEAD'], options)) return `Continuing ${plan.branch}`;
  try {
    const settings = await withoutFilters(options);
    await git(['merge', '--quiet', '--ff-only', '--no-verify', remoteBranch], { ...options, settings });
    return `Continuing ${plan.branch}, with what was pushed to it meanwhile`;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    log('git.branch.diverged', { branch: plan.branch, complaint: complaint(error) });
    return `Continuing ${plan.branch}; the git host has commits on it that are not here`;
  }
}

/** The worktree is there, its checkout was completed, and git knows it. */
async function isWorktree(plan: WorkspacePlan): Promise<boolean> {
  if (!(await exists(join(plan.worktree, '.git'))) || (await isUnfinishedClone(plan))) return false;
  try {
    await git(['rev-parse', '--verify', '--quiet', 'HEAD'], inWorktree(plan));
    return true;
  } catch (error) {
    // With 1 git says that HEAD leads to no commit. One that was killed has said nothing, and the work in there may be whole.
    if (error instanceof GitError && (error.code === 1 || tellsOfDamage(error))) return false;
    throw error;
  }
}
