/** The bare mirror of a repository, shared by all its sessions on a disk: brought up to date from the git host, one git at a time. */
import { lstat, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { elapsedMs, pause, steadyNow } from '../clock.ts';
import { log } from '../log.ts';
import { exists } from '../paths.ts';
import { killServerChildren } from '../process/process-group.ts';
import { forgetSeed, seedFromBundle, verifySeed } from './bundle.ts';
import { complaint, GitError, git, isBranchGone, remoteFailure } from './git.ts';
import { HostAwayError } from './host-patience.ts';
import { PreparationError } from './preparation-error.ts';
import { inMirror, type WorkspacePlan } from './workspace-plan.ts';

const REMOTE_TRIES = 4;
const FIRST_PAUSE_MS = 500;
/** Fetching two branches writes their refs in a moment; the tries after a first failure take longer than this together. */
const LOCK_AGE_MS = 1_500;
const LIST_TIMEOUT_MS = 60_000;
/** Commits that a first fetch brings of a new session's base branch; what is before them follows while Claude works. */
const FIRST_DEPTH = 50;
const FETCH_TIMEOUT_MS = 30 * 60_000;
const SHA1_LENGTH = 40;
/** File in a mirror that lacks tags of the host. */
const TAGS_DUE = 'cyrus-tags-due';

/**
 * Removes what gits that were killed with an earlier server left behind; to be called before any is started. A git that
 * outlived its server is ended first.
 */
export async function removeStaleLocks(root: string): Promise<void> {
  killServerChildren(root);
  await removeLocksUnder(join(root, 'mirrors'));
  const sessions = join(root, 'sessions');
  for (const id of await readdir(sessions).catch(() => [])) {
    await removeLocksOf({ worktree: join(sessions, id, 'worktree') });
  }
}

const locks = new Map<string, Promise<unknown>>();

/** One git operation at a time on each mirror; `git fetch` and `git worktree` take locks that do not wait. */
export function withLock<T>(mirror: string, task: () => Promise<T>): Promise<T> {
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
 * @param tries so often in a row the host is asked, if it does not answer
 * @returns a line for people
 * @throws HostAwayError if it does not; PreparationError where another try is of no use
 */
export async function updateMirror(plan: WorkspacePlan, wholeHistory: boolean, tries = REMOTE_TRIES): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await bringUpToDate(plan, wholeHistory, tries);
    } catch (error) {
      // People delete branches, and rename them: the host is asked again what there is.
      if (!(error instanceof BranchGoneError) || attempt === REMOTE_TRIES) throw error;
    }
  }
}

/** A branch was there when the host was asked what there is, and was not when it was fetched. */
class BranchGoneError extends PreparationError {}

async function bringUpToDate(plan: WorkspacePlan, wholeHistory: boolean, tries: number): Promise<string> {
  const { baseBranch, branch, fullName } = plan;
  await mkdir(plan.mirror, { recursive: true });
  const wanted = [`refs/heads/${baseBranch}`, `refs/heads/${branch}`];
  const listing = fromRemote(
    plan,
    ['ls-remote', plan.remote.url, 'HEAD', ...wanted, 'refs/tags/*'],
    LIST_TIMEOUT_MS,
    tries,
  );
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
  if ([...there.values()].some((object) => object.length > SHA1_LENGTH)) throw wrongFormat(plan);
  const base = there.get(`refs/heads/${baseBranch}`);
  if (base === undefined) throw await missingBase(plan, there.has('HEAD'), tries);
  const onHost = there.get(`refs/heads/${branch}`);
  const before = here.get(baseBranch);
  if (onHost === undefined && here.has(branch)) {
    await git(['update-ref', '-d', `refs/remotes/origin/${branch}`], inMirror(plan));
  }
  const depth = await depthOf(plan, before === undefined, wholeHistory || onHost !== undefined);
  const stale = [...(before === base ? [] : [baseBranch]), ...(here.get(branch) === onHost ? [] : [branch])];
  const specs = [baseBranch, ...(onHost === undefined ? [] : [branch])].map(trackingSpec);
  if (stale.length > 0 || depth.includes('--unshallow')) {
    // The host's own history may be cut off: git would leave such a branch out without a word.
    const fetch = ['fetch', '--quiet', '--no-write-fetch-head', '--no-tags', '--update-shallow', '--prune', ...depth];
    await fromRemote(plan, [...fetch, plan.remote.url, ...specs], FETCH_TIMEOUT_MS, tries);
  }
  await noteTags(plan, there);
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

/** Tags are not waited for by a start: that some are missing is noted, and `completeHistory` fetches them. */
async function noteTags(plan: WorkspacePlan, there: Map<string, string>): Promise<void> {
  const wanted = [...there].filter(([name]) => name.startsWith('refs/tags/') && !name.endsWith('^{}'));
  if (wanted.length === 0) return;
  const listed = await git(['for-each-ref', '--format=%(objectname) %(refname)', 'refs/tags'], inMirror(plan));
  const here = new Set(listed.split('\n'));
  if (wanted.some(([name, object]) => !here.has(`${object} ${name}`))) await writeFile(join(plan.mirror, TAGS_DUE), '');
}

/**
 * Fetches what a first fetch left out or a bundle did not hold (older commits, tags), once for all sessions of the mirror.
 * @returns false if the host could not be reached: the work continues without, and the next start tries again
 */
export async function completeHistory(plan: WorkspacePlan): Promise<boolean> {
  const isWhole = await verifySeed(plan);
  if (isWhole && !(await isShallow(plan)) && !(await lacksTags(plan))) return true;
  return await withLock(plan.mirror, async () => {
    if (plan.signal.aborted) return false;
    const missing = isWhole ? ((await isShallow(plan)) ? '--unshallow' : null) : '--refetch';
    const fetch = ['fetch', '--quiet', '--no-write-fetch-head', '--no-tags', '--update-shallow'];
    try {
      if (missing !== null) {
        await fromRemote(
          plan,
          [...fetch, missing, plan.remote.url, trackingSpec(plan.baseBranch)],
          FETCH_TIMEOUT_MS,
          REMOTE_TRIES,
        );
        await forgetSeed(plan);
      }
      if (await lacksTags(plan)) {
        await fromRemote(
          plan,
          [...fetch, '--prune', plan.remote.url, '+refs/tags/*:refs/tags/*'],
          FETCH_TIMEOUT_MS,
          REMOTE_TRIES,
        );
        await rm(join(plan.mirror, TAGS_DUE), { force: true });
      }
      return true;
    } catch (error) {
      if (!plan.signal.aborted) log('git.history_fetch.failed', { repository: plan.fullName, error });
      return false;
    }
  });
}

function lacksTags(plan: WorkspacePlan): Promise<boolean> {
  return exists(join(plan.mirror, TAGS_DUE));
}

function isShallow(plan: WorkspacePlan): Promise<boolean> {
  return exists(join(plan.mirror, 'shallow'));
}

/** A host's branch as it is known here, whatever it was before. */
function trackingSpec(branch: string): string {
  return `+refs/heads/${branch}:refs/remotes/origin/${branch}`;
}

/** Commits of the two branches as they were last fetched, by branch; empty if there is no repository yet. */
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

async function missingBase(plan: WorkspacePlan, hasHead: boolean, tries: number): Promise<PreparationError> {
  const { fullName, baseBranch } = plan;
  const all = await fromRemote(plan, ['ls-remote', '--heads', plan.remote.url], LIST_TIMEOUT_MS, tries);
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

/**
 * Runs a command against the remote, again after a pause where the network failed or a lock is held.
 * @throws HostAwayError after so many tries; PreparationError where another try is of no use
 */
async function fromRemote(plan: WorkspacePlan, args: string[], timeoutMs: number, tries: number): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await git(args, { ...inMirror(plan), timeoutMs });
    } catch (error) {
      if (!(error instanceof GitError) || plan.signal.aborted) throw error;
      const isBusy = await isLocked(error);
      const failure = isBusy ? 'network' : remoteFailure(error);
      log('git.remote.failed', { command: args[0], attempt, failure, complaint: complaint(error) });
      if (failure === 'network' && attempt < (isBusy ? REMOTE_TRIES : tries)) {
        await pause(FIRST_PAUSE_MS * 3 ** (attempt - 1) * (0.75 + Math.random() / 2), plan.signal);
        continue;
      }
      throw remoteError(plan, failure, error, attempt);
    }
  }
}

/** Locks that were met, with the file each was and when it was met first. */
const lockFiles = new Map<string, { file: string; since: number }>();

/** Another git holds a lock of the mirror, or one that was killed left it behind: then it stays, and is removed. */
async function isLocked(error: GitError): Promise<boolean> {
  const path = /Unable to create '([^']+\.lock)': File exists/.exec(error.stderr)?.[1];
  if (path === undefined) return false;
  const found = await stat(path).catch(() => null);
  const file = found ? `${found.ino} ${found.ctimeMs}` : '';
  const met = lockFiles.get(path);
  if (found && met?.file !== file) lockFiles.set(path, { file, since: steadyNow() });
  else lockFiles.delete(path);
  if (found && met?.file === file) {
    if (elapsedMs(met.since) > LOCK_AGE_MS) await rm(path, { force: true });
    else lockFiles.set(path, met);
  }
  return true;
}

function remoteError(
  plan: WorkspacePlan,
  failure: ReturnType<typeof remoteFailure>,
  error: GitError,
  tries: number,
): PreparationError {
  const { fullName } = plan;
  const said = complaint(error);
  switch (failure) {
    case 'auth':
      return new PreparationError(
        'mirror',
        `The git host refused access to ${fullName}: ${said}`,
        // An exact reason is no better for advice that holds for any.
        /^remote: /m.test(error.stderr)
          ? 'Once the credential or its permissions are fixed, comment to continue.'
          : `Check the credential stored for ${fullName} in Cyrus: it must exist, be valid, and allow reading and pushing.`,
      );
    case 'not-found':
      return new PreparationError(
        'mirror',
        `${fullName} was not found on the git host.`,
        'Check the repository’s name in Cyrus, and that its credential may see it.',
      );
    case 'network':
      return new HostAwayError(fullName, tries, said, isCutOff(error));
    case 'other':
      if (said.includes('mismatched algorithms')) return wrongFormat(plan);
      if (isBranchGone(said)) {
        const words = `A branch of ${fullName} is deleted or renamed again and again while it is fetched.`;
        return new BranchGoneError('mirror', words, 'Prompt again once its branches stay as they are.');
      }
      return new PreparationError('mirror', `${fullName} could not be fetched: ${said}`, 'See the sandbox’s log.', {
        cause: error,
      });
  }
}

/** The host had listed its branches just before. */
function isCutOff({ command, stderr, timedOut }: GitError): boolean {
  return command === 'fetch' && !timedOut && !/returned error: \d{3}|Could not resolve|onnect/.test(stderr);
}

function wrongFormat({ fullName }: WorkspacePlan): PreparationError {
  return new PreparationError(
    'mirror',
    `${fullName} names its objects by SHA-256, which Cyrus does not support.`,
    'Convert the repository to SHA-1 (git init --object-format=sha1), or set another one in Cyrus.',
  );
}

/** Removes what a git that was killed left in the session's repository; to be called while no git runs there. */
export async function removeLocksOf({ worktree }: Pick<WorkspacePlan, 'worktree'>): Promise<void> {
  const gitDir = join(worktree, '.git');
  // Claude may have put a link there: that is not followed.
  if ((await lstat(gitDir).catch(() => null))?.isDirectory()) await removeLocksUnder(gitDir);
}

async function removeLocksUnder(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name);
    if (entry.isFile() && entry.name.endsWith('.lock')) await rm(path, { force: true });
    // Objects are many and know no locks that matter.
    else if (entry.isDirectory() && entry.name !== 'objects') await removeLocksUnder(path);
  }
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
