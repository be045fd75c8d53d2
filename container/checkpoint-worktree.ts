/**
 * The worktree as commits that no branch shows: what is staged, and everything that is there. Made with an index of its
 * own, so that neither Claude's index nor its branches are touched; kept from garbage collection by a ref that only this
 * worktree has (https://git-scm.com/docs/git-worktree#_refs).
 */
import { copyFile, lstat, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_CHECKPOINT_OBJECT_BYTES } from '../src/protocol/checkpoint.ts';
import { complaint, GitError, type GitOptions, git } from './git.ts';
import { log } from './log.ts';
import type { WorkspacePlan } from './workspace-plan.ts';

/** Git hosts refuse larger files, and so does the end of a turn: such a file would never leave the sandbox. */
const MAX_FILE_BYTES = 50 * 1024 * 1024;
/** Files that are new or changed are kept up to this size together, the smallest first. */
const MAX_FILES_BYTES = 200 * 1024 * 1024;
const SNAPSHOT_TIMEOUT_MS = 2 * 60_000;
/** Keeps the newest snapshot from garbage collection. */
export const CHECKPOINT_REF = 'refs/worktree/cyrus-checkpoint';

/** The worktree at a moment, in the repository but not shipped yet. */
export interface WorktreeSnapshot {
  commit: string;
  /** The same for the same work. */
  work: string;
  index: string;
  head: string;
  headRef: string | null;
  branchHead: string;
  /** Paths that were left out because of their size. */
  skipped: string[];
}

/**
 * Takes a snapshot. What git ignores is left out, and so is a rebase or merge that is under way: of it the files are kept.
 * @param before commit of the snapshot that this one is to be shipped on top of; null: on top of nothing
 * @throws GitError
 */
export async function snapshotWorktree(plan: WorkspacePlan, before: string | null): Promise<WorktreeSnapshot> {
  const plain: GitOptions = { cwd: plan.worktree, remote: plan.remote, signal: plan.signal };
  const [facts, branch] = await Promise.all([
    git(['rev-parse', '--path-format=absolute', '--git-dir', '--git-common-dir', 'HEAD'], plain),
    // Claude may have removed it.
    git(['rev-parse', '--verify', '--quiet', `refs/heads/${plan.branch}`], plain).catch(() => ''),
  ]);
  const [gitDirectory = '', common = '', head = ''] = facts.split('\n');
  const branchHead = branch.trim() || head;
  const indexFile = join(gitDirectory, 'cyrus-checkpoint-index');
  await rm(`${indexFile}.lock`, { force: true });
  await copyFile(join(gitDirectory, 'index'), indexFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return rm(indexFile, { force: true });
    throw error;
  });
  const repository = await ownRepository(gitDirectory, common, head.length);
  const options: GitOptions = { ...plain, repository, indexFile, timeoutMs: SNAPSHOT_TIMEOUT_MS };
  try {
    const [headRef, staged] = await Promise.all([
      git(['symbolic-ref', '--quiet', 'HEAD'], plain).then(
        (name) => name.trim(),
        () => null,
      ),
      // A merge with conflicts cannot be written as a tree: then nothing counts as staged.
      git(['write-tree'], options).then(
        (tree) => tree.trim(),
        () => null,
      ),
    ]);
    const skipped = await addEverything(plan, options);
    const tree = (await git(['write-tree'], options)).trim();
    const index = await commitTree(plain, staged ?? `${head}^{tree}`, [head], 'What was staged');
    // Git leaves out of a bundle what is in the trees of a parent that the reader has, and of no other commit.
    const parents = [...new Set([index, head, branchHead, ...(before ? [before] : [])])];
    const commit = await commitTree(plain, tree, parents, 'Checkpoint');
    await git(['update-ref', CHECKPOINT_REF, commit], plain);
    const work = [tree, index, head, headRef, branchHead].join(' ');
    return { commit, work, index, head, headRef, branchHead, skipped };
  } finally {
    await rm(indexFile, { force: true });
  }
}

/**
 * A repository without branches, whose configuration is ours: Claude is at work meanwhile and may give the worktree's own a
 * filter program at any moment, which git would run for every file it reads. Its objects are those of the worktree's.
 */
async function ownRepository(
  gitDirectory: string,
  common: string,
  idLength: number,
): Promise<NonNullable<GitOptions['repository']>> {
  const gitDir = join(gitDirectory, 'cyrus-checkpoint');
  const format =
    idLength === 64
      ? 'repositoryFormatVersion = 1\n[extensions]\n\tobjectFormat = sha256'
      : 'repositoryFormatVersion = 0';
  for (const directory of ['refs', 'objects']) await mkdir(join(gitDir, directory), { recursive: true });
  await writeFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  await writeFile(join(gitDir, 'config'), `[core]\n\tbare = false\n\t${format}\n`);
  return { gitDir, objects: join(common, 'objects') };
}

/** Always of the same time, so that two snapshots of the same work are the same commits. */
async function commitTree(options: GitOptions, tree: string, parents: string[], message: string): Promise<string> {
  const args = ['commit-tree', ...parents.flatMap((parent) => ['-p', parent]), '-m', message, tree];
  return (await git(args, { ...options, dates: '2000-01-01T00:00:00Z' })).trim();
}

async function addEverything(plan: WorkspacePlan, options: GitOptions): Promise<string[]> {
  const listed = await git(['ls-files', '--others', '--modified', '--exclude-standard', '-z'], options);
  const found: { path: string; bytes: number }[] = [];
  const skipped: string[] = [];
  for (const path of new Set(listed.split('\0'))) {
    if (path === '') continue;
    // A repository inside of the repository is listed as a directory; it is none of ours.
    if (path.endsWith('/')) {
      skipped.push(path);
      continue;
    }
    const status = await lstat(join(plan.worktree, path)).catch(() => null);
    if (status?.isFile()) found.push({ path, bytes: status.size });
  }
  let total = 0;
  for (const { path, bytes } of found.sort((a, b) => a.bytes - b.bytes)) {
    total += bytes;
    if (bytes > MAX_FILE_BYTES || total > MAX_FILES_BYTES) skipped.push(path);
  }
  const pathspecs = ['.', ...skipped.map((path) => `:(top,literal,exclude)${path.replace(/\/$/, '')}`)];
  const args = ['add', '--all', '--ignore-errors', '--pathspec-from-file=-', '--pathspec-file-nul'];
  await git(args, { ...options, input: pathspecs.join('\0') }).catch((error: unknown) => {
    // A file that cannot be read, or vanished meanwhile, is left out; the others are there.
    if (!(error instanceof GitError) || error.code !== 1) throw error;
    log('warning', 'not every file is in the checkpoint', { complaint: complaint(error) });
  });
  return skipped;
}

/**
 * Writes a bundle with what leads to a commit and is not known.
 * @param known commits whose history whoever reads the bundle has
 * @param path file to write
 * @returns its size in bytes; null when nothing is missing
 * @throws GitError; BundleTooLargeError past MAX_CHECKPOINT_OBJECT_BYTES
 */
export async function writeBundle(plan: WorkspacePlan, known: string[], path: string): Promise<number | null> {
  const options: GitOptions = {
    cwd: plan.worktree,
    remote: plan.remote,
    signal: plan.signal,
    timeoutMs: SNAPSHOT_TIMEOUT_MS,
  };
  // Of a git that was killed with an earlier server.
  await rm(`${path}.lock`, { force: true });
  const args = ['bundle', 'create', '--quiet', path, CHECKPOINT_REF, ...known.map((commit) => `^${commit}`)];
  try {
    await git(args, options);
  } catch (error) {
    if (error instanceof GitError && error.stderr.includes('empty bundle')) return null;
    throw error;
  }
  const { size } = await stat(path);
  if (size > MAX_CHECKPOINT_OBJECT_BYTES) throw new BundleTooLargeError(size);
  return size;
}

/** The work is larger than what a checkpoint may hold. */
export class BundleTooLargeError extends Error {
  override readonly name = 'BundleTooLargeError';
  constructor(bytes: number) {
    const mebibytes = (size: number) => Math.round(size / 1024 / 1024);
    super(
      `the work has ${mebibytes(bytes)} MiB, more than the ${mebibytes(MAX_CHECKPOINT_OBJECT_BYTES)} that are kept`,
    );
  }
}

/** Commits of the git host that are here: whoever fetches from it has their history. */
export async function commitsOnHost(plan: WorkspacePlan): Promise<string[]> {
  const options: GitOptions = { cwd: plan.worktree, remote: plan.remote, signal: plan.signal };
  const refs = [`refs/remotes/origin/${plan.baseBranch}`, `refs/remotes/origin/${plan.branch}`];
  const listed = await git(['for-each-ref', '--format=%(objectname)', ...refs], options);
  return listed.split('\n').filter((line) => line !== '');
}
