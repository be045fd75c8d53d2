/**
 * A session's working copy: a bare mirror shared by all sessions of a repository, and a git worktree of the session's
 * own on its branch, always at the same path because Claude's transcripts are keyed by it.
 */
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxStep, StartSession } from '../src/protocol/sandbox.ts';
import {
  complaint,
  GitError,
  type GitOptions,
  type GitRemote,
  git,
  gitSays,
  remoteFailure,
  withoutFilters,
} from './git.ts';
import { log } from './log.ts';
import { mirrorPath, type SessionPaths } from './paths.ts';
import { killServerChildren } from './processes.ts';
import { forgetSeed, seedFromBundle, verifySeed } from './repository-bundle.ts';
import type { WorkspacePlan } from './workspace-plan.ts';

export type { WorkspacePlan } from './workspace-plan.ts';

const REMOTE_TRIES = 4;
const FIRST_PAUSE_MS = 500;
/** Fetching two branches writes their refs in a moment. */
const LOCK_AGE_MS = 3_000;
const LIST_TIMEOUT_MS = 60_000;
/** Commits that a first fetch brings of a new session's base branch; what is before them follows while Claude works. */
const FIRST_DEPTH = 50;
const FETCH_TIMEOUT_MS = 30 * 60_000;
const CHECKOUT_TIMEOUT_MS = 10 * 60_000;

/** Preparations ended here: `message` and `hint` are for people. */
export class PreparationError extends Error {
  override readonly name = 'PreparationError';
  readonly step: SandboxStep;
  readonly hint: string;
  constructor(step: SandboxStep, message: string, hint: string) {
    super(message);
    this.step = step;
    this.hint = hint;
  }
}

/** Reports a step; `detail` is one line for people. */
export type StepReporter = (
  step: SandboxStep,
  status: 'started' | 'done',
  detail?: string,
  durationMs?: number,
) => void;

export interface PreparedWorkspace {
  /** Commit the branch stands at. */
  commit: string;
  /** True when the worktree was made now: the setup script is due. */
  created: boolean;
}

/**
 * Brings the mirror up to date and makes the worktree stand. What is there already is kept: a second call costs one fetch.
 * @param restore makes the worktree, which does not exist then, from what was kept elsewhere
 * @throws PreparationError in words for people; what `restore` throws
 */
export async function prepareWorkspace(
  plan: WorkspacePlan,
  report: StepReporter,
  restore: (() => Promise<void>) | null = null,
): Promise<PreparedWorkspace> {
  const standing = restore === null && (await isWorktree(plan));
  await writeFile(plan.remote.excludesFile, neverCommitted, { mode: 0o600 });
  const since = Date.now();
  report('mirror', 'started', `Fetching ${plan.fullName}`);
  const wholeHistory = standing || restore !== null;
  const fetched = await withLock(plan.mirror, () => updateMirror(plan, wholeHistory)).catch((error: unknown) => {
    // Work that is already here can go on without the git host; saving will say if it stays away.
    if (standing && error instanceof PreparationError) return error;
    throw error;
  });
  report('mirror', 'done', fetched instanceof PreparationError ? fetched.message : fetched, Date.now() - since);

  const checkoutSince = Date.now();
  report('worktree', 'started', `Checking out ${plan.branch}`);
  const detail = await withLock(plan.mirror, async () => {
    if (standing) return await catchUp(plan);
    if (restore === null) return await addWorktree(plan);
    await putAside(plan);
    await restore();
    return await catchUp(plan);
  });
  const commit = (await git(['rev-parse', 'HEAD'], inWorktree(plan))).trim();
  report('worktree', 'done', detail, Date.now() - checkoutSince);
  return { commit, created: !standing };
}

/** Removes a session's worktree and its local branch. The mirror stays for other sessions. */
export async function removeWorkspace(root: string, paths: SessionPaths, start: StartSession): Promise<void> {
  await rm(paths.worktree, { recursive: true, force: true });
  const mirror = mirrorPath(root, start.repository.fullName);
  if (!mirror || !(await exists(mirror))) return;
  const remote = remoteOf(paths, start);
  await withLock(mirror, async () => {
    await git(['worktree', 'prune'], { cwd: mirror, remote });
    // Never made, or in use elsewhere: either way there is nothing to remove.
    await git(['branch', '-D', '--', start.repository.branch], { cwd: mirror, remote }).catch((error: unknown) => {
      log('info', 'branch not removed', { error });
    });
  });
}

/** The remote of a session as git is told of it. */
export function remoteOf(paths: SessionPaths, start: StartSession): GitRemote {
  const { gateway, repository, author } = start;
  return {
    url: `${gateway.url}/git/${repository.fullName}.git`,
    gatewayUrl: gateway.url,
    token: gateway.token,
    author,
    excludesFile: paths.excludes,
    credentialFile: paths.credential,
  };
}

/**
 * Removes what gits that were killed with an earlier server left behind; to be called before any is started. A git that
 * outlived its server is ended first.
 */
export async function removeStaleLocks(root: string): Promise<void> {
  killServerChildren(root);
  await removeLocksUnder(join(root, 'mirrors'));
}

async function removeLocksUnder(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name);
    if (entry.isFile() && entry.name.endsWith('.lock')) await rm(path, { force: true });
    // Objects are many and know no locks that matter.
    else if (entry.isDirectory() && entry.name !== 'objects') await removeLocksUnder(path);
  }
}

const locks = new Map<string, Promise<unknown>>();

/** One git operation at a time on each mirror; `git fetch` and `git worktree` take locks that do not wait. */
function withLock<T>(mirror: string, task: () => Promise<T>): Promise<T> {
  const before = locks.get(mirror) ?? Promise.resolve();
  const mine = before.then(task, task);
  const settled = mine.catch(() => {});
  locks.set(mirror, settled);
  void settled.then(() => {
    if (locks.get(mirror) === settled) locks.delete(mirror);
  });
  return mine;
}

/**
 * Fetches the two branches that matter, or finds that they stand as on the host. A disk without the repository begins with
 * the bundle that the gateway keeps, else with the newest commits.
 * @param wholeHistory false: a branch that does not exist yet may begin on newest commits alone, see `completeHistory`
 * @returns a line for people
 */
async function updateMirror(plan: WorkspacePlan, wholeHistory: boolean): Promise<string> {
  const { baseBranch, branch, fullName } = plan;
  await mkdir(plan.mirror, { recursive: true });
  const wanted = [`refs/heads/${baseBranch}`, `refs/heads/${branch}`];
  const listing = fromRemote(plan, ['ls-remote', plan.remote.url, 'HEAD', ...wanted], LIST_TIMEOUT_MS);
  // Waited for below; a failure before that is not unhandled.
  listing.catch(() => {});
  let here = await originRefs(plan);
  let seeded: 'seeded' | null = null;
  if (!here.has(baseBranch)) {
    // `init` is idempotent, and an interrupted fetch leaves nothing but rubbish files: no clone that is half there.
    await git(['init', '--quiet', '--bare', plan.mirror], inMirror(plan));
    seeded = await seedFromBundle(plan);
    if (seeded) here = await originRefs(plan);
  }
  const there = readListing(await listing);
  const base = there.get(`refs/heads/${baseBranch}`);
  if (base === undefined) throw await missingBase(plan, there.has('HEAD'));
  const onHost = there.get(`refs/heads/${branch}`);
  const before = here.get(baseBranch);
  if (onHost === undefined && here.has(branch)) {
    await git(['update-ref', '-d', `refs/remotes/origin/${branch}`], inMirror(plan));
  }
  const depth = await depthOf(plan, before === undefined, wholeHistory || onHost !== undefined);
  const stale = [...(before === base ? [] : [baseBranch]), ...(here.get(branch) === onHost ? [] : [branch])];
  const specs = [baseBranch, ...(onHost === undefined ? [] : [branch])].map(trackingSpec);
  if (stale.length > 0 || depth.includes('--unshallow')) {
    const fetch = ['fetch', '--quiet', '--no-write-fetch-head', '--no-tags', '--prune', ...depth];
    await fromRemote(plan, [...fetch, plan.remote.url, ...specs], FETCH_TIMEOUT_MS);
  }
  if (before === undefined) {
    const count = Number(await git(['rev-list', '--count', `refs/remotes/origin/${baseBranch}`], inMirror(plan)));
    const isPart = await isShallow(plan);
    return `${fullName}: ${isPart ? 'the newest ' : ''}${countOf(count, 'commit')} fetched`;
  }
  const news = before === base ? 0 : await countNew(plan, before, base);
  const words = news > 0 ? `${countOf(news, 'new commit')} on ${baseBranch}` : `${baseBranch} is up to date`;
  return seeded ? `${fullName}: from the cache, ${words}` : words;
}

/** Options of the fetch that decide how much history comes. */
async function depthOf(plan: WorkspacePlan, isFirst: boolean, wholeHistory: boolean): Promise<string[]> {
  if (isFirst) return wholeHistory ? [] : [`--depth=${FIRST_DEPTH}`];
  // Where the branch left the base may lie further back than what is here.
  return wholeHistory && (await isShallow(plan)) ? ['--unshallow'] : [];
}

/**
 * Fetches what a first fetch left out or a bundle did not hold, once for all sessions of the mirror.
 * @returns false where the host could not be reached: the work goes on without, and the next start tries again
 */
export async function completeHistory(plan: WorkspacePlan): Promise<boolean> {
  const isWhole = await verifySeed(plan);
  if (isWhole && !(await isShallow(plan))) return true;
  return await withLock(plan.mirror, async () => {
    if (plan.signal.aborted) return false;
    const missing = isWhole ? ((await isShallow(plan)) ? '--unshallow' : null) : '--refetch';
    if (missing === null) return true;
    const fetch = ['fetch', '--quiet', '--no-write-fetch-head', '--no-tags', missing];
    try {
      await fromRemote(plan, [...fetch, plan.remote.url, trackingSpec(plan.baseBranch)], FETCH_TIMEOUT_MS);
      await forgetSeed(plan);
      return true;
    } catch (error) {
      if (!plan.signal.aborted) log('warning', 'older history not fetched', { repository: plan.fullName, error });
      return false;
    }
  });
}

function isShallow(plan: WorkspacePlan): Promise<boolean> {
  return exists(join(plan.mirror, 'shallow'));
}

/** A host's branch as it is known here, whatever it was before. */
function trackingSpec(branch: string): string {
  return `+refs/heads/${branch}:refs/remotes/origin/${branch}`;
}

/** Commits of the two branches as they were last fetched, by branch; empty where there is no repository yet. */
async function originRefs(plan: WorkspacePlan): Promise<Map<string, string>> {
  const prefix = 'refs/remotes/origin/';
  const names = [plan.baseBranch, plan.branch].map((name) => prefix + name);
  const args = [`--git-dir=${plan.mirror}`, 'for-each-ref', '--format=%(objectname) %(refname)', ...names];
  const listed = await git(args, inMirror(plan)).catch((error: unknown) => {
    if (error instanceof GitError && !plan.signal.aborted) return '';
    throw error;
  });
  const refs = new Map<string, string>();
  for (const line of listed.split('\n')) {
    const [commit = '', name = ''] = line.split(' ');
    if (names.includes(name)) refs.set(name.slice(prefix.length), commit);
  }
  return refs;
}

/** Commits by name, as `ls-remote` prints them. */
function readListing(listed: string): Map<string, string> {
  const refs = new Map<string, string>();
  for (const line of listed.split('\n')) {
    const [commit = '', name] = line.split('\t');
    if (name !== undefined) refs.set(name, commit);
  }
  return refs;
}

async function countNew(plan: WorkspacePlan, before: string, after: string): Promise<number> {
  return Number(await git(['rev-list', '--count', after, `^${before}`], inMirror(plan)));
}

async function missingBase(plan: WorkspacePlan, hasHead: boolean): Promise<PreparationError> {
  const { fullName, baseBranch } = plan;
  const all = await fromRemote(plan, ['ls-remote', '--heads', plan.remote.url], LIST_TIMEOUT_MS);
  const names = all
    .split('\n')
    .map((line) => line.split('\trefs/heads/')[1])
    .filter((name) => name !== undefined);
  if (names.length === 0 && !hasHead) {
    return new PreparationError(
      'mirror',
      `${fullName} is empty: it has no branch to start from.`,
      `Push a first commit to ${baseBranch}, then assign the issue again.`,
    );
  }
  const few = names.slice(0, 5).map((name) => `"${name}"`);
  const more = names.length > few.length ? ` and ${names.length - few.length} more` : '';
  return new PreparationError(
    'mirror',
    `${fullName} has no branch "${baseBranch}".`,
    `Set the repository's base branch in Cyrus to one that exists: ${few.join(', ')}${more}.`,
  );
}

/** Runs a command against the remote, again after a pause where the network failed. */
async function fromRemote(plan: WorkspacePlan, args: string[], timeoutMs: number): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await git(args, { ...inMirror(plan), timeoutMs });
    } catch (error) {
      if (!(error instanceof GitError) || plan.signal.aborted) throw error;
      const failure = (await isLocked(error)) ? 'network' : remoteFailure(error);
      log('warning', 'git remote failed', { command: args[0], attempt, failure, complaint: complaint(error) });
      if (failure === 'network' && attempt < REMOTE_TRIES) {
        await pause(FIRST_PAUSE_MS * 3 ** (attempt - 1) * (0.75 + Math.random() / 2), plan.signal);
        continue;
      }
      throw remoteError(plan, failure, complaint(error));
    }
  }
}

/** Another git holds a lock of the mirror, or one that was killed left it behind; then it is removed. */
async function isLocked(error: GitError): Promise<boolean> {
  const path = /Unable to create '([^']+\.lock)': File exists/.exec(error.stderr)?.[1];
  if (path === undefined) return false;
  const found = await stat(path).catch(() => null);
  if (found && Date.now() - found.mtimeMs > LOCK_AGE_MS) await rm(path, { force: true });
  return true;
}

function remoteError(plan: WorkspacePlan, failure: ReturnType<typeof remoteFailure>, said: string): PreparationError {
  const { fullName } = plan;
  switch (failure) {
    case 'auth':
      return new PreparationError(
        'mirror',
        `The git host refused access to ${fullName}: ${said}`,
        `Check the credential stored for ${fullName} in Cyrus: it must exist, be valid, and allow reading and pushing.`,
      );
    case 'not-found':
      return new PreparationError(
        'mirror',
        `${fullName} was not found on the git host.`,
        'Check the repository’s name in Cyrus, and that its credential may see it.',
      );
    case 'network':
      return new PreparationError(
        'mirror',
        `The git host of ${fullName} could not be reached (${REMOTE_TRIES} tries): ${said}`,
        'Check that the git host is up, then prompt again.',
      );
    case 'other':
      return new PreparationError('mirror', `${fullName} could not be fetched: ${said}`, 'See the sandbox’s log.');
  }
}

/** Makes the worktree: on the branch as it stands here or on the remote, else on a new branch from the base. */
async function addWorktree(plan: WorkspacePlan): Promise<string> {
  const { branch, baseBranch } = plan;
  const remoteBranch = `refs/remotes/origin/${branch}`;
  const mirror = inMirror(plan);
  try {
    await putAside(plan);
    await git(['worktree', 'prune'], mirror);
    const [onRemote, here, settings] = await Promise.all([
      gitSays(['show-ref', '--quiet', '--verify', remoteBranch], mirror),
      gitSays(['show-ref', '--quiet', '--verify', `refs/heads/${branch}`], mirror),
      withoutFilters(mirror),
    ]);
    const start = onRemote ? remoteBranch : `refs/remotes/origin/${baseBranch}`;
    // A branch that is here and holds all of that has commits which were never pushed: go on from them.
    const keep = here && (await gitSays(['merge-base', '--is-ancestor', start, `refs/heads/${branch}`], mirror));
    const onto = keep ? `refs/heads/${branch}` : start;
    // As many processes as processors; a checkout of many files is the longest step of a start.
    const parallel: [string, string] = ['checkout.workers', '0'];
    const checkout = { ...mirror, settings: [...settings, parallel], timeoutMs: CHECKOUT_TIMEOUT_MS };
    await git(['worktree', 'add', '--force', '--no-track', '-B', branch, plan.worktree, onto], checkout);
    if (keep || onRemote) return `Continuing ${branch}`;
    return `New branch ${branch} from ${baseBranch}`;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    throw new PreparationError(
      'worktree',
      `The branch ${branch} could not be checked out: ${complaint(error)}`,
      'Check that the branch name is valid for git and that the sandbox has disk space.',
    );
  }
}

/** What git does not take for a worktree any more may still hold work: it is put aside, not deleted. */
async function putAside(plan: WorkspacePlan): Promise<void> {
  if (!(await exists(plan.worktree))) return;
  await rm(`${plan.worktree}.aside`, { recursive: true, force: true });
  await rename(plan.worktree, `${plan.worktree}.aside`);
}

/** Commit up to which a branch that stands at `head` is on the git host. */
export async function pushedCommit(plan: WorkspacePlan, head: string): Promise<string> {
  const options = inWorktree(plan);
  for (const name of [plan.branch, plan.baseBranch]) {
    const found = await git(['merge-base', `refs/remotes/origin/${name}`, head], options).catch(() => '');
    if (found !== '') return found.trim();
  }
  return head;
}

/** Takes over what others pushed to the branch since, where that is a plain step forward. */
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
    log('warning', 'branch has gone another way on the remote', { branch: plan.branch, complaint: complaint(error) });
    return `Continuing ${plan.branch}; the git host has commits on it that are not here`;
  }
}

/** The worktree is there and git knows it. */
async function isWorktree(plan: WorkspacePlan): Promise<boolean> {
  if (!(await exists(join(plan.worktree, '.git'))) || !(await exists(plan.mirror))) return false;
  try {
    await git(['rev-parse', '--verify', '--quiet', 'HEAD'], inWorktree(plan));
    return true;
  } catch (error) {
    if (error instanceof GitError) return false;
    throw error;
  }
}

function inMirror(plan: WorkspacePlan): GitOptions {
  return { cwd: plan.mirror, remote: plan.remote, signal: plan.signal };
}

function inWorktree(plan: WorkspacePlan): GitOptions {
  return { cwd: plan.worktree, remote: plan.remote, signal: plan.signal };
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** What a repository without a .gitignore for it would otherwise have committed by `git add -A`. */
const hex = '[0-9a-f]';
const neverCommitted = `# What the CLI was writing when it was killed (name.tmp.<process>.<random>, measured with CLI 2.1.330).
*.tmp.[0-9]*.${hex.repeat(12)}
# Made by tools, never meant to be committed. A repository that tracks such files keeps them.
node_modules/
__pycache__/
*.pyc
.venv/
.DS_Store
`;
