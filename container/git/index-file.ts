/** Git's index as a file: copied whole, and made again from HEAD if nobody can read it. */
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyFile, rename, rm, utimes } from '../files/inside.ts';
import { log } from '../log.ts';
import { GitError, type GitOptions, git } from './git.ts';

/** Of a split index most entries lie in a second file beside it (https://git-scm.com/docs/git-update-index#_split_index). */
const SHARED_INDEX = /^sharedindex\.[0-9a-f]{40,64}$/;

/** Copies an index with what it is split into. If there is none, nothing is copied. */
export async function copyIndex(from: string, to: string): Promise<void> {
  const names = await readdir(dirname(from)).catch(() => []);
  const shared = names.filter((name) => SHARED_INDEX.test(name));
  // Before the index itself, which may come to name a newer one meanwhile.
  for (const name of shared) await copyFile(join(dirname(from), name), join(dirname(to), name)).catch(ignoreMissing);
  const found = await stat(from).catch(() => null);
  if (!found) return;
  await copyFile(from, to).catch(ignoreMissing);
  // Files as young as the index are read by git, for they may have changed since: a younger copy would hide that.
  const seconds = Math.floor(found.mtimeMs / 1_000);
  await utimes(to, seconds, seconds).catch(ignoreMissing);
}

/** Bytes of the largest part of an index: a measure of how many files it names. 0 if there is none. */
export async function indexBytes(index: string): Promise<number> {
  const folder = dirname(index);
  const names = (await readdir(folder).catch(() => [])).filter((name) => SHARED_INDEX.test(name));
  const sizes = await Promise.all(
    [index, ...names.map((name) => join(folder, name))].map((file) =>
      stat(file).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return Math.max(...sizes);
}

/**
 * Makes the worktree's index again from HEAD if it cannot be read: a process that was killed, or a full disk, has damaged it.
 * What was staged is staged no more; the files stay. The damaged one is kept beside it.
 * @throws GitError if it is not the index that is broken
 */
export async function mendIndex(options: GitOptions): Promise<void> {
  try {
    await git(['ls-files', '-z', '--', ':(top,literal).git'], options);
  } catch (error) {
    if (!(error instanceof GitError) || !isDamagedIndex(error) || options.signal?.aborted) throw error;
    log('git.index.damaged', { error });
    const path = (await git(['rev-parse', '--path-format=absolute', '--git-path', 'index'], options)).trim();
    await rename(path, `${path}.damaged`);
    await rm(`${path}.lock`, { force: true });
    await git(['read-tree', 'HEAD'], options);
  }
}

/** By the words of git 2.39 to 2.50. */
export function isDamagedIndex({ stderr }: GitError): boolean {
  return /index file (smaller than expected|corrupt|open failed)|bad (index file|signature)|bad index version|unable to map index|sharedindex\.|malformed name field|unordered stage entries|broken index/i.test(
    stderr,
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
