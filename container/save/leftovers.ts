/**
 * What Claude left uncommitted becomes a commit. One file that git cannot take costs that file: it is left out and named
 * with its reason. What the setup scripts made, and what only git's own line-ending rules make look changed, is not Claude's.
 */
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readFile, writeFile } from '../files/inside.ts';
import { complaint, GitError, type GitOptions, git, gitSays, withoutFilters } from '../git/git.ts';
import { mendIndex } from '../git/index-file.ts';
import { type RawPath, rawFile, rawOutput, shownPath } from '../git/raw-path.ts';
import { isAsGiven } from '../git/submodules.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import type { CommitHook } from '../hooks/repository-hooks.ts';
import { log } from '../log.ts';
import { type Baseline, isUnchangedSince } from './baseline.ts';

/** Git hosts refuse larger files (GitHub: 100 MiB), and with them the whole push. */
export const MAX_FILE_BYTES = 50 * 1024 * 1024;
/** The same for files in Git LFS (GitHub: 2 GiB). */
const MAX_LARGE_BYTES = 2 * 1024 ** 3;
const ADD_TIMEOUT_MS = 5 * 60_000;
/** A listing of any number of files; it is held in memory. */
const MAX_LISTING_BYTES = 1024 ** 3;
const MAX_NAMED = 20;
const MAX_POINTER_BYTES = 1_024;

/**
 * Commits everything that is not ignored, not the setup's, and that git can take.
 * @param baseline what the worktree looked like when Claude got it
 * @param isLast whether the turn is over: then a hook that fails does not keep the work from being committed
 * @returns what was left out, in sentences for people and Claude
 * @throws GitError if nothing can be committed at all
 */
export async function commitLeftovers(plan: WorkspacePlan, baseline: Baseline, isLast = true): Promise<string[]> {
  const options: GitOptions = {
    ...inWorktree(plan),
    settings: await withoutFilters(inWorktree(plan)),
    timeoutMs: ADD_TIMEOUT_MS,
    maxBytes: MAX_LISTING_BYTES,
  };
  await mendIndex(options);
  const changed = await listChanged(options);
  if (changed.length === 0 && (await isNothingStaged(options))) return [];
  const left = new LeftOut();
  const filtered = await filteredBy(
    options,
    changed.map(({ path }) => path),
    'lfs',
  );
  const wanted: RawPath[] = [];
  const installed = await installedFolders(options, changed);
  for (const folder of installed.named) {
    left.add(folder, 'a package manager created it; to ignore it, add it to .gitignore; to keep it, commit it');
  }
  for (const entry of changed) {
    if (installed.folders.some((folder) => entry.path.startsWith(folder))) continue;
    if (await isUnchangedSince(baseline, plan.worktree, entry.path)) continue;
    if (entry.isTracked && !entry.isStaged && (await isOnlyNormalized(plan, options, entry.path))) continue;
    if (await isModuleAsGiven(plan, entry.path)) continue;
    const reason = await whyLeaveOut(plan, entry.path, filtered);
    if (reason === null) wanted.push(entry.path);
    else left.add(entry.path, reason);
  }
  await add(options, wanted, left);
  if (await isNothingStaged(options)) return left.sentences;
  const refusal = await commitStaged(plan, options, isLast);
  return refusal === null ? left.sentences : [...left.sentences, refusal];
}

/** Commits what is staged, by way of the repository's hooks where those are to run. @returns what a hook said against it */
async function commitStaged(plan: WorkspacePlan, options: GitOptions, isLast: boolean): Promise<string | null> {
  const message = plan.commitMessage?.(plan.branch) ?? `Work in progress on ${plan.branch}`;
  if (!plan.runHook) {
    await git(['commit', '--quiet', '--no-verify', '--message', message], options);
    return null;
  }
  // The repository's hooks may change it.
  const file = join(dirname(plan.remote.hooksFolder), 'tmp', 'commit-message.txt');
  await writeFile(file, `${message}\n`, { mode: 0o600 });
  const refusal = await refusalOfHooks(plan.runHook, file);
  if (refusal !== null && !isLast) {
    return `Uncommitted changes were not committed, because the repository’s ${refusal} Fix that, or commit them yourself.`;
  }
  // A hook may have put back what was staged.
  if (await isNothingStaged(options)) return null;
  await git(['commit', '--quiet', '--no-verify', '--cleanup=strip', '--file', file], options);
  await plan.runHook('post-commit', []);
  return refusal === null ? null : `The last commit was made without the repository’s hooks, because its ${refusal}`;
}

async function refusalOfHooks(runHook: NonNullable<WorkspacePlan['runHook']>, file: string): Promise<string | null> {
  for (const [hook, args] of [
    ['pre-commit', []],
    ['prepare-commit-msg', [file, 'message']],
    ['commit-msg', [file]],
  ] as [CommitHook, string[]][]) {
    const { ok, output } = await runHook(hook, args);
    if (!ok) return `${hook} hook refused it: ${output === '' ? '(it said nothing)' : output}`;
  }
  return null;
}

/** A submodule that Claude never moved: where others moved it meanwhile, it is not moved back. */
async function isModuleAsGiven(plan: WorkspacePlan, path: RawPath): Promise<boolean> {
  const found = await lstat(rawFile(plan.worktree, path)).catch(() => null);
  return (found?.isDirectory() ?? false) && (await isAsGiven(plan, text(path.replace(/\/$/, ''))));
}

/** Collects what is left out; the first ones are named, the rest is counted. */
class LeftOut {
  readonly sentences: string[] = [];
  #more = 0;

  add(path: RawPath, reason: string): void {
    if (this.sentences.length < MAX_NAMED) this.sentences.push(`${shownPath(path)} was not committed: ${reason}.`);
    else {
      this.#more += 1;
      this.sentences[MAX_NAMED] = `${this.#more} more files were not committed.`;
    }
  }
}

interface ChangedPath {
  path: RawPath;
  isTracked: boolean;
  /** Claude has staged it. */
  isStaged: boolean;
}

/** What `git status` finds changed, deleted or new. A directory with a slash at its end is a repository of its own. */
async function listChanged(options: GitOptions): Promise<ChangedPath[]> {
  const listed = await rawOutput(
    ['status', '--porcelain', '-z', '--untracked-files=all', '--no-renames', '--ignore-submodules=dirty'],
    options,
  );
  return listed
    .split('\0')
    .filter((entry) => entry.length > 3)
    .map((entry) => ({
      path: entry.slice(3),
      isTracked: !entry.startsWith('??'),
      isStaged: entry[0] !== ' ' && entry[0] !== '?',
    }));
}

/** Files by which package managers mark a folder that they have filled. */
const INSTALL_MARKS =
  /^(.*?(?:^|\/)node_modules\/)\.(?:package-lock\.json|yarn-integrity|modules\.yaml|yarn-state\.yml)$/;
const ENVIRONMENT_MARK = /^((?:.*\/)?[^/]+\/)pyvenv\.cfg$/;
const COMPILED = /^((?:.*\/)?__pycache__\/)[^/]+\.pyc$/;

/**
 * Folders that a package manager or an interpreter filled, and of which the repository tracks nothing: they are no work,
 * even if no .gitignore says so. `named`: those that people are told of; compiled files make themselves.
 */
async function installedFolders(
  options: GitOptions,
  changed: readonly ChangedPath[],
): Promise<{ folders: RawPath[]; named: RawPath[] }> {
  const found = new Map<RawPath, boolean>();
  for (const { path, isTracked } of changed) {
    if (isTracked) continue;
    const installed = INSTALL_MARKS.exec(path)?.[1] ?? ENVIRONMENT_MARK.exec(path)?.[1];
    const compiled = COMPILED.exec(path)?.[1];
    if (installed !== undefined) found.set(installed, true);
    else if (compiled !== undefined) found.set(compiled, false);
  }
  const folders: RawPath[] = [];
  for (const folder of found.keys()) {
    const tracked = await rawOutput(['ls-files', '-z', '--', `:(top,literal)${text(folder)}`], options);
    if (tracked === '') folders.push(folder);
  }
  return { folders, named: folders.filter((folder) => found.get(folder)) };
}

async function whyLeaveOut(plan: WorkspacePlan, path: RawPath, filtered: Set<RawPath>): Promise<string | null> {
  const file = rawFile(plan.worktree, path);
  const found = await lstat(file).catch(() => null);
  if (!found) return null;
  if (found.isFile() && filtered.has(path)) {
    if (found.size > MAX_LARGE_BYTES) {
      return `it is ${Math.round(found.size / 1024 / 1024)} MiB large, and Git LFS accepts ${MAX_LARGE_BYTES / 1024 / 1024}`;
    }
    // What is committed is a pointer, made by the server's own filter.
    if (plan.remote.lfs) return null;
    return isPointer(await readFile(file, MAX_POINTER_BYTES).catch(() => Buffer.alloc(0)))
      ? null
      : 'the repository keeps it in Git LFS, which is not set up here';
  }
  if (found.isFile() && found.size > MAX_FILE_BYTES) {
    return `it is ${Math.round(found.size / 1024 / 1024)} MiB large (limit ${MAX_FILE_BYTES / 1024 / 1024})`;
  }
  if (found.isDirectory()) return await whyNotRepository(plan, path.replace(/\/$/, ''));
  return null;
}

/**
 * A repository inside of the repository: a submodule that `.gitmodules` names goes along, if its commit can be had by
 * others; anything else would be a pointer to nowhere.
 */
async function whyNotRepository(plan: WorkspacePlan, path: RawPath): Promise<string | null> {
  const options = inWorktree(plan);
  const registered = await submodulePaths(options);
  if (!registered.has(path)) {
    return 'it is a git repository of its own, and .gitmodules does not name it. To keep its files, remove its .git; to keep the repository, add it as a submodule';
  }
  const inside: GitOptions = { ...options, cwd: join(plan.worktree, Buffer.from(path, 'latin1').toString('utf8')) };
  const remotes = await git(['branch', '--remotes', '--contains', 'HEAD'], inside).catch(() => '');
  return remotes.trim() === ''
    ? 'the submodule is at a commit that is on no remote branch: push that commit to the submodule’s own repository first'
    : null;
}

/** Paths that `.gitmodules` names, one character a byte. */
export async function submodulePaths(options: GitOptions): Promise<Set<string>> {
  const args = ['config', '--file', '.gitmodules', '-z', '--get-regexp', '^submodule\\..*\\.path$'];
  const listed = await rawOutput(args, options).catch(() => '');
  return new Set(
    listed
      .split('\0')
      .map((entry) => entry.slice(entry.indexOf('\n') + 1))
      .filter((path) => path !== ''),
  );
}

/** Those of the paths whose `filter` attribute has this value. */
export async function filteredBy(options: GitOptions, paths: RawPath[], filter: string): Promise<Set<RawPath>> {
  if (paths.length === 0) return new Set();
  const input = Buffer.from(paths.join('\0'), 'latin1');
  const fields = (await rawOutput(['check-attr', '-z', '--stdin', 'filter'], { ...options, input })).split('\0');
  const found = new Set<RawPath>();
  for (let at = 0; at + 2 < fields.length; at += 3) if (fields[at + 2] === filter) found.add(fields[at] ?? '');
  return found;
}

/** Begins every pointer of Git LFS (github.com/git-lfs/git-lfs/blob/main/docs/spec.md). */
export function isPointer(content: Buffer): boolean {
  return (
    content.length < MAX_POINTER_BYTES &&
    content.toString('latin1').startsWith('version https://git-lfs.github.com/spec/')
  );
}

/**
 * Whether a file is as a checkout would write it: git calls it changed only because its line endings or filters would
 * store it another way (https://git-scm.com/docs/gitattributes#_text).
 */
async function isOnlyNormalized(plan: WorkspacePlan, options: GitOptions, path: RawPath): Promise<boolean> {
  const file = rawFile(plan.worktree, path);
  const found = await lstat(file).catch(() => null);
  if (!found?.isFile() && !found?.isSymbolicLink()) return false;
  if (found.size > MAX_FILE_BYTES) return false;
  const entry = await rawOutput(['ls-files', '--stage', '-z', '--', `:(top,literal)${text(path)}`], options);
  const mode = /^(\d{6}) /.exec(entry)?.[1];
  if (mode === undefined) return false;
  const isExecutable = (found.mode & 0o100) !== 0;
  if (found.isSymbolicLink() !== (mode === '120000') || (mode === '100755') !== (found.isFile() && isExecutable))
    return false;
  const chunks: Buffer[] = [];
  try {
    await git(['cat-file', '--filters', `:${text(path)}`], {
      ...options,
      maxBytes: found.size,
      onData: (chunk) => chunks.push(chunk),
    });
  } catch (error) {
    if (error instanceof GitError) return false;
    throw error;
  }
  const stored = Buffer.concat(chunks);
  const there = found.isSymbolicLink()
    ? Buffer.from(await readlink(file))
    : await readFile(file, stored.length).catch(() => null);
  return there?.equals(stored) ?? false;
}

function text(path: RawPath): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}

/** Adds paths: all at once, and where git refuses, in ever smaller parts, so that only what it cannot take is missing. */
async function add(options: GitOptions, paths: RawPath[], left: LeftOut): Promise<void> {
  if (paths.length === 0) return;
  const input = Buffer.from(paths.map((path) => `:(top,literal)${path.replace(/\/$/, '')}`).join('\0'), 'latin1');
  try {
    // Some of them may be ignored by now, or made by the setup and changed by Claude.
    // In a sparse checkout what lies outside of it is work all the same.
    const args = ['add', '--all', '--force', '--sparse', '--pathspec-from-file=-', '--pathspec-file-nul'];
    await git(args, { ...options, input });
  } catch (error) {
    if (!(error instanceof GitError) || error.timedOut || options.signal?.aborted) throw error;
    const [only, ...others] = paths;
    if (others.length === 0 && only !== undefined) {
      // It has vanished since it was listed: there is nothing to keep.
      if (!(await lstat(rawFile(options.cwd, only)).catch(() => null))) return;
      log('save.file.incomplete', { path: shownPath(only), complaint: complaint(error) });
      left.add(only, `git cannot store it (${complaint(error)})`);
      return;
    }
    const half = Math.ceil(paths.length / 2);
    await add(options, paths.slice(0, half), left);
    await add(options, paths.slice(half), left);
  }
}

async function isNothingStaged(options: GitOptions): Promise<boolean> {
  return await gitSays(
    ['diff', '--cached', '--quiet', '--no-ext-diff', '--no-textconv', '--ignore-submodules=none'],
    options,
  );
}
