/**
 * Saving: what Claude left uncommitted is committed, the branch is pushed, the patch is stored. Two halves, because
 * Claude may go on as soon as the first is done: the second reads nothing but commits.
 */
import { createWriteStream, openAsBlob } from 'node:fs';
import { lstat, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChangedFile, Commit } from '../src/protocol/sandbox.ts';
import { complaint, GitError, type GitOptions, git, gitSays, remoteFailure, withoutFilters } from './git.ts';
import { log } from './log.ts';
import { exists } from './paths.ts';
import { inWorktree, type WorkspacePlan } from './workspace-plan.ts';

/** Git hosts refuse larger files (GitHub: 100 MiB), and with them the whole push. */
const MAX_FILE_BYTES = 50 * 1024 * 1024;
const MAX_PATCH_BYTES = 20 * 1024 * 1024;
const MAX_COMMITS = 50;
const MAX_FILES = 300;
const LOCK_PATIENCE_MS = 3_000;
const PUSH_TIMEOUT_MS = 10 * 60_000;
const PATCH_TIMEOUT_MS = 60_000;
const RETRY_PAUSES_MS = [500, 2_000, 6_000];
/** Whoever waits for the turn's end is told what failed rather than kept waiting. */
const RETRY_LIMIT_MS = 60_000;

export interface CommittedWork {
  /** Commit the session's branch stands at. */
  head: string;
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
  /** True when the push failed for a reason that passes: it should be tried again later. */
  retry: boolean;
}

/**
 * First half. Nothing of Claude's is running, or it only reads.
 * @param leftovers false while Claude works on: then only what is committed already counts
 * @throws GitError when not even the branch can be read
 */
export async function commitWork(plan: WorkspacePlan, leftovers: boolean): Promise<CommittedWork> {
  const problems: string[] = [];
  const options = inWorktree(plan);
  if (leftovers) {
    try {
      await breakStaleLocks(plan);
      const refusal = await whyNotCommit(plan);
      if (refusal) problems.push(refusal);
      else {
        problems.push(...(await commitLeftovers(plan)));
        await git(['update-ref', `refs/heads/${plan.branch}`, 'HEAD'], options);
      }
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      log('warning', 'leftovers not committed', { error });
      problems.push(`Uncommitted changes could not be committed: ${complaint(error)}`);
    }
  }
  const head = (await git(['rev-parse', '--verify', `refs/heads/${plan.branch}^{commit}`], options)).trim();
  return { head, problems };
}

/**
 * Second half: pushes a commit to the session's branch and stores its patch at `{gateway}/patch/{head}`.
 * @param since commit of the last save, for counting what is new
 * @param patchPath file the patch is made in
 */
export async function publishWork(
  plan: WorkspacePlan,
  head: string,
  since: string | null,
  patchPath: string,
): Promise<PublishedWork> {
  const base = `refs/remotes/origin/${plan.baseBranch}`;
  const options = inWorktree(plan);
  const problems: string[] = [];
  const commits = await listCommits(options, base, head);
  const newCommits = Number(await git(['rev-list', '--count', head, `^${since ?? base}`], options));
  const forkPoint = await mergeBase(options, base, head);
  const files = await listFiles(options, forkPoint, head);

  const remoteRef = `refs/remotes/origin/${plan.branch}`;
  const known = await git(['rev-parse', '--verify', '--quiet', remoteRef], options).then(
    (sha) => sha.trim(),
    () => null,
  );
  let pushed = known === head;
  let retry = false;
  // A branch that neither holds anything nor exists on the host would only be clutter there.
  if (!pushed && (commits.length > 0 || known !== null)) {
    const failure = await push(plan, head, known);
    pushed = failure === null;
    if (failure) {
      problems.push(failure.problem);
      retry = failure.retry;
    }
  }
  let patchBytes: number | null = null;
  if (files.length > 0) {
    // Where the push has just waited in vain for the gateway, the patch is tried once.
    const patch = await storePatch(plan, forkPoint, head, patchPath, retry ? [] : RETRY_PAUSES_MS);
    patchBytes = patch.bytes;
    if (patch.problem) problems.push(patch.problem);
  }
  return { commits, files, newCommits, pushed, patchBytes, problems, retry };
}

async function gitPath(options: GitOptions, name: string): Promise<string> {
  const path = (await git(['rev-parse', '--git-path', name], options)).trim();
  return join(path.startsWith('/') ? '' : options.cwd, path);
}

/** A git that was killed leaves its lock behind. One that merely runs in the background gets a moment to finish. */
async function breakStaleLocks(plan: WorkspacePlan): Promise<void> {
  const options = inWorktree(plan);
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  for (const name of ['index.lock', 'HEAD.lock', `refs/heads/${plan.branch}.lock`]) {
    const path = await gitPath(options, name);
    while (await exists(path)) {
      const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: 0 }))).mtimeMs;
      if (age > LOCK_PATIENCE_MS || Date.now() > deadline) {
        log('warning', 'stale git lock removed', { name });
        await rm(path, { force: true });
        break;
      }
      await new Promise((done) => setTimeout(done, 50));
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
      return `Uncommitted changes were left alone: ${what} is in progress in the worktree.`;
    }
  }
  const unmerged = await git(['ls-files', '--unmerged', '-z'], options);
  if (unmerged !== '') return 'Uncommitted changes were left alone: a merge has conflicts that are not resolved.';
  // Work on another branch that grew out of the session's belongs to it; any other branch is none of its business.
  if (await gitSays(['merge-base', '--is-ancestor', `refs/heads/${plan.branch}`, 'HEAD'], options)) return null;
  const on = await git(['symbolic-ref', '--quiet', '--short', 'HEAD'], options).then(
    (name) => `on ${name.trim()}`,
    () => 'at a detached commit',
  );
  return `Uncommitted changes were left alone: the worktree is ${on}, not on ${plan.branch}.`;
}

/** @returns problems in words for people; the rest is committed all the same */
async function commitLeftovers(plan: WorkspacePlan): Promise<string[]> {
  const options = { ...inWorktree(plan), settings: await withoutFilters(inWorktree(plan)), timeoutMs: 5 * 60_000 };
  const listed = await git(['status', '--porcelain', '-z', '--untracked-files=all', '--no-renames'], options);
  const paths = listed
    .split('\0')
    .filter((entry) => entry.length > 3)
    .map((entry) => entry.slice(3));
  if (paths.length === 0) return [];
  const problems: string[] = [];
  const excluded: string[] = [];
  for (const path of paths) {
    const found = await lstat(join(plan.worktree, path)).catch(() => null);
    if (found?.isFile() && found.size > MAX_FILE_BYTES) {
      excluded.push(path);
      problems.push(`${path} was not committed: it is ${Math.round(found.size / 1024 / 1024)} MiB large (limit 50).`);
    } else if (path.endsWith('/') && !(await hasCommit(plan, path))) {
      // A repository inside the repository, without a commit: git can neither add it nor skip it by itself.
      excluded.push(path);
      problems.push(`${path} was not committed: it is a git repository of its own without a commit.`);
    }
  }
  await addAll(options, excluded);
  if (
    await gitSays(
      ['diff', '--cached', '--quiet', '--no-ext-diff', '--no-textconv', '--ignore-submodules=none'],
      options,
    )
  ) {
    return problems;
  }
  await git(['commit', '--quiet', '--no-verify', '--message', `Work in progress on ${plan.branch}`], options);
  return problems;
}

async function addAll(options: GitOptions, excluded: string[]): Promise<void> {
  const pathspecs = ['.', ...excluded.map((path) => `:(top,literal,exclude)${path.replace(/\/$/, '')}`)];
  const args = ['add', '--all', '--pathspec-from-file=-', '--pathspec-file-nul'];
  await git(args, { ...options, input: pathspecs.join('\0') });
}

async function hasCommit(plan: WorkspacePlan, path: string): Promise<boolean> {
  const inside = { ...inWorktree(plan), cwd: join(plan.worktree, path) };
  return await git(['rev-parse', '--verify', '--quiet', 'HEAD'], inside).then(
    () => true,
    () => false,
  );
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

function lineCount(text: string): number | null {
  return text === '-' ? null : Number(text);
}

interface PushFailure {
  problem: string;
  retry: boolean;
}

/** Pushes; history that Claude rewrote is pushed too, as long as nobody else has changed the branch. */
async function push(plan: WorkspacePlan, head: string, known: string | null): Promise<PushFailure | null> {
  const ref = `refs/heads/${plan.branch}`;
  const lease = `--force-with-lease=${ref}:${known ?? ''}`;
  const until = Date.now() + RETRY_LIMIT_MS;
  const args = ['push', '--porcelain', '--no-verify', lease, plan.remote.url, `${head}:${ref}`];
  for (let attempt = 0; ; attempt++) {
    try {
      await git(args, { ...inWorktree(plan), timeoutMs: PUSH_TIMEOUT_MS });
      await git(['update-ref', `refs/remotes/origin/${plan.branch}`, head], inWorktree(plan));
      return null;
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const failure = remoteFailure(error);
      log('warning', 'push failed', { attempt: attempt + 1, failure, complaint: complaint(error) });
      const wait = RETRY_PAUSES_MS[attempt];
      if (failure === 'network' && wait !== undefined && !plan.signal.aborted && Date.now() < until) {
        await new Promise((done) => setTimeout(done, wait * (0.75 + Math.random() / 2)));
        continue;
      }
      return { problem: pushProblem(plan, error, failure), retry: failure === 'network' };
    }
  }
}

function pushProblem(plan: WorkspacePlan, error: GitError, failure: ReturnType<typeof remoteFailure>): string {
  if (error.stderr.includes('stale info') || error.stdout.includes('stale info')) {
    return `${plan.branch} was not pushed: somebody else has changed it on the git host since.`;
  }
  const rejected = /\[(?:remote )?rejected\] \(([^)]*)\)/.exec(error.stdout)?.[1];
  const said = rejected ? [rejected, ...remoteWords(error)].join(' · ') : complaint(error);
  if (failure === 'network') return `${plan.branch} was not pushed: the git host could not be reached (${said}).`;
  return `${plan.branch} was not pushed, the git host refused: ${said}`.slice(0, 1_000);
}

function remoteWords(error: GitError): string[] {
  return error.stderr
    .split(/[\r\n]+/)
    .filter((line) => line.startsWith('remote:'))
    .map((line) => line.slice(7).trim())
    .filter((line) => line !== '');
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
    const until = Date.now() + RETRY_LIMIT_MS;
    for (let attempt = 0; ; attempt++) {
      const refusal = await putPatch(plan, head, path);
      if (refusal === null) return { bytes, problem: null };
      const wait = pauses[attempt];
      if (!refusal.retry || wait === undefined || plan.signal.aborted || Date.now() > until) {
        return { bytes: null, problem: `The patch could not be stored: ${refusal.problem}` };
      }
      await new Promise((done) => setTimeout(done, wait));
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

async function putPatch(plan: WorkspacePlan, head: string, path: string): Promise<PushFailure | null> {
  try {
    const answer = await fetch(`${plan.remote.gatewayUrl}/patch/${head}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${plan.remote.token}`, 'content-type': 'text/x-diff' },
      body: await openAsBlob(path),
      redirect: 'error',
      signal: AbortSignal.any([plan.signal, AbortSignal.timeout(PATCH_TIMEOUT_MS)]),
    });
    const text = (await answer.text()).slice(0, 300);
    if (answer.ok) return null;
    return {
      problem: `the gateway answered ${answer.status} ${text}`,
      retry: answer.status >= 500 || answer.status === 429,
    };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error), retry: true };
  }
}
