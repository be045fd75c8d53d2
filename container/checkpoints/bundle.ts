/** A checkpoint's bundle: what leads to a snapshot and is not known to the reader, in one file of git. */
import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { MAX_CHECKPOINT_OBJECT_BYTES } from '../../src/protocol/checkpoint.ts';
import { copyFile, rm, writeFile } from '../files/inside.ts';
import { GitError, type GitOptions, git } from '../git/git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';

const BUNDLE_TIMEOUT_MS = 2 * 60_000;
/** Objects that take more than this on the disk are not packed: no compression brings them below the limit. */
const MAX_DISK_BYTES = 2 * 1024 * 1024 * 1024;

/** The work is larger than what a checkpoint may hold. */
export class BundleTooLargeError extends Error {
  override readonly name = 'BundleTooLargeError';
  /** @param bytes size; null: more than the limit */
  constructor(bytes: number | null) {
    const mebibytes = (size: number) => `${Math.round(size / 1024 / 1024)} MiB`;
    const limit = mebibytes(MAX_CHECKPOINT_OBJECT_BYTES);
    super(`the work has more than the ${limit} that can be saved${bytes === null ? '' : ` (${mebibytes(bytes)})`}`);
  }
}

/**
 * Writes a bundle. Packing ends as soon as the limit is passed, and is not begun for what is certainly larger.
 * @param commit the snapshot
 * @param known commits that the bundle's reader already has, with their history
 * @param directory the checkpoint's repository, see worktree.ts
 * @param path file to write
 * @param limits `maxBytes`: largest size; `maxDiskBytes`: what takes more on the disk is not packed; `isSmall`: so little has changed that its size need not be estimated first; `objects`: where they lie, if that is known
 * @returns its size in bytes; null when nothing is missing
 * @throws GitError; BundleTooLargeError past `maxBytes`
 */
export async function writeBundle(
  plan: WorkspacePlan,
  commit: string,
  known: string[],
  directory: string,
  path: string,
  {
    maxBytes = MAX_CHECKPOINT_OBJECT_BYTES,
    maxDiskBytes = MAX_DISK_BYTES,
    isSmall = false,
    objects,
  }: { maxBytes?: number; maxDiskBytes?: number; isSmall?: boolean; objects?: string } = {},
): Promise<number | null> {
  const plain = inWorktree(plan);
  const common =
    objects === undefined
      ? (await git(['rev-parse', '--path-format=absolute', '--git-common-dir'], plain)).trim()
      : dirname(objects);
  const options: GitOptions = {
    ...plain,
    repository: { gitDir: directory, objects: join(common, 'objects') },
    // It travels soon, and once.
    settings: [['pack.compression', '1']],
    timeoutMs: BUNDLE_TIMEOUT_MS,
  };
  await writeFile(join(directory, 'HEAD'), `${commit}\n`);
  // Where history is cut off, git must know it here as well.
  const shallow = join(directory, 'shallow');
  await rm(shallow, { force: true });
  await copyFile(join(common, 'shallow'), shallow).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  const without = known.map((one) => `^${one}`);
  if (!isSmall) {
    const onDisk = Number(await git(['rev-list', '--objects', '--disk-usage', commit, ...without], options));
    if (onDisk > maxDiskBytes) throw new BundleTooLargeError(onDisk);
  }
  return await writing(path, async (write) => {
    const limited: GitOptions = { ...options, maxBytes, onData: write };
    return isSmall && known.length > 0 && isSha1(commit)
      ? await packSmall(commit, known, limited)
      : await bundle(without, limited);
  });
}

/** @param make gives what it makes to `write`, and says whether there is anything. @returns bytes that were written; null: nothing is to be */
async function writing(
  path: string,
  make: (write: (chunk: Buffer) => void) => Promise<boolean>,
): Promise<number | null> {
  const file = createWriteStream(path, { mode: 0o600 });
  const failed = new Promise<never>((_, reject) => file.on('error', reject));
  try {
    const isAny = await Promise.race([make((chunk) => file.write(chunk)), failed]);
    if (!isAny) return null;
  } catch (error) {
    if (error instanceof GitError && error.tooLarge) throw new BundleTooLargeError(null);
    throw error;
  } finally {
    await new Promise((done) => file.end(done));
  }
  return file.bytesWritten;
}

async function bundle(without: string[], options: GitOptions): Promise<boolean> {
  try {
    await git(['bundle', 'create', '--quiet', '-', 'HEAD', ...without], options);
    return true;
  } catch (error) {
    if (error instanceof GitError && error.stderr.includes('empty bundle')) return false;
    throw error;
  }
}

/** In a repository of SHA-256 a bundle says so, see https://git-scm.com/docs/gitformat-bundle. */
function isSha1(commit: string): boolean {
  return commit.length === 40;
}

/**
 * The same file by one process: git makes a bundle with three, and starting them takes longer than packing a handful of objects.
 * What it presupposes are the known commits, instead of all commits at the edge of what is packed.
 */
async function packSmall(commit: string, known: string[], options: GitOptions): Promise<boolean> {
  const input = `${[commit, ...known.map((one) => `^${one}`)].join('\n')}\n`;
  const write = options.onData ?? (() => {});
  const first: Buffer[] = [];
  let isBegun = false;
  await git(['pack-objects', '--quiet', '--stdout', '--thin', '--delta-base-offset', '--threads=1', '--revs'], {
    ...options,
    input,
    onData: (chunk) => {
      if (isBegun) return write(chunk);
      first.push(chunk);
      const start = Buffer.concat(first);
      // "PACK", its version, and how many objects follow.
      if (start.length < 12 || start.readUInt32BE(8) === 0) return;
      isBegun = true;
      const presupposed = known.map((one) => `-${one}\n`).join('');
      write(Buffer.from(`# v2 git bundle\n${presupposed}${commit} HEAD\n\n`));
      write(start);
    },
  });
  return isBegun;
}

/**
 * Commits of the git host that are here: every clone of the host has their history.
 * @param of `base`: of the base branch alone. Anybody may rewrite or delete the session's branch at any time, and then
 * the host need not have its commits any more
 */
export async function commitsOnHost(plan: WorkspacePlan, of: 'base' | 'both'): Promise<string[]> {
  const names = of === 'base' ? [plan.baseBranch] : [plan.baseBranch, plan.branch];
  const refs = names.map((name) => `refs/remotes/origin/${name}`);
  const listed = await git(['for-each-ref', '--format=%(objectname)', ...refs], inWorktree(plan));
  return listed.split('\n').filter((line) => line !== '');
}
