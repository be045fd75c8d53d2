/**
 * Which paths of the worktree a snapshot has to bring up to date. Looking at every file of a large repository takes a third of a
 * second of a processor, so there the worktree is watched (worktree-watch.ts), and only what was touched is looked at; everything
 * is looked at first, whenever the watch does not know, and from time to time.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { elapsedMs, steadyNow } from '../clock.ts';
import { GitError, type GitOptions, git } from '../git/git.ts';
import { indexBytes } from '../git/index-file.ts';
import { listRawPaths, type RawPath, rawFile, rawInput, rawOutput } from '../git/raw-path.ts';
import { WorktreeWatch } from './worktree-watch.ts';

/** An index with fewer bytes names so few files that looking at all of them is quick: about four thousand. */
const WATCHED_FROM_BYTES = 300_000;
/** What no watch sees (a write through a mapping of memory) is seen after so long at the latest. */
const EVERYTHING_AFTER_MS = 30_000;
/** A watch that did not know, or could not be begun, is begun again after so many quiet looks at everything. */
const CALM_LOOKS = 3;
const CALM_PATHS = 200;
/** More folders that came or went at once: everything is looked at. */
const MAX_FOLDERS = 50;

/** When the worktree is watched. */
export interface WatchLimits {
  /** Size of the snapshots' index from which on it is. */
  fromBytes?: number;
  /** More events between two snapshots than these: everything is looked at. */
  maxEvents?: number;
  /** Longest wait for the kernel to have told everything. */
  echoPatienceMs?: number;
}

export class WorktreeChanges {
  readonly #worktree: string;
  readonly #indexFile: string;
  readonly #fromBytes: number;
  readonly #watch: WorktreeWatch;
  /** When everything was looked at last; null: never, or what is known is not to be trusted. */
  #lookedAt: number | null = null;
  #calm = CALM_LOOKS;
  /** Commits of other repositories, whose own folders are not watched. */
  #links: RawPath[] = [];
  /** Paths that were left out last time: they may be taken next time. */
  #left: readonly RawPath[] = [];

  /**
   * @param directory the snapshots' repository, see worktree.ts; its index names what the last one holds
   */
  constructor(worktree: string, directory: string, limits: WatchLimits = {}) {
    this.#worktree = worktree;
    this.#indexFile = join(directory, 'index');
    this.#fromBytes = limits.fromBytes ?? WATCHED_FROM_BYTES;
    this.#watch = new WorktreeWatch(worktree, join(directory, 'watch'), limits);
  }

  /** Whether the worktree is watched. */
  get isWatched(): boolean {
    return this.#watch.isOn;
  }

  /** Nothing that is known counts any more. */
  forget(): void {
    this.#lookedAt = null;
  }

  close(): void {
    this.#watch.close();
  }

  /** These were left out of the snapshot. */
  leave(paths: readonly RawPath[]): void {
    this.#left = paths;
  }

  /**
   * Paths that may differ from the index: changed, new and removed ones, without what git ignores.
   * @param all whether to look at everything in any case
   * @throws GitError
   */
  async list(options: GitOptions, all: boolean): Promise<Set<RawPath>> {
    if (!all && this.#lookedAt !== null && elapsedMs(this.#lookedAt) < EVERYTHING_AFTER_MS) {
      const touched = await this.#touched(options);
      if (touched !== null) return touched;
    }
    if (!this.#watch.isOn && (await this.#isWorthIt())) await this.#beginWatch(options);
    this.#watch.forgetTouched();
    this.#lookedAt = null;
    const since = steadyNow();
    const looks = [['--modified'], ['--others', '--exclude-standard']];
    // Of many files, beside each other: they are what takes longest. Of few, starting another process is.
    const isLarge = (await indexBytes(this.#indexFile)) >= this.#fromBytes;
    const lists = (isLarge ? looks : [looks.flat()]).map((look) => listRawPaths(['ls-files', ...look, '-z'], options));
    const paths = new Set((await Promise.all(lists)).flat());
    this.#lookedAt = since;
    this.#calm = paths.size <= CALM_PATHS ? this.#calm + 1 : 0;
    return paths;
  }

  async #isWorthIt(): Promise<boolean> {
    return this.#calm >= CALM_LOOKS && (await indexBytes(this.#indexFile)) >= this.#fromBytes;
  }

  async #beginWatch(options: GitOptions): Promise<void> {
    this.#calm = 0;
    const ignored = await this.#ignoredFolders(options, []);
    const staged = await rawOutput(['ls-files', '--stage', '-z'], options);
    this.#links = [...staged.matchAll(/(?:^|\0)160000 [^\t]*\t([^\0]*)/g)].map((found) => found[1] ?? '');
    await this.#watch.begin(ignored);
  }

  async #ignoredFolders(options: GitOptions, of: RawPath[]): Promise<Set<RawPath>> {
    const args = ['ls-files', '--others', '--ignored', '--exclude-standard', '--directory', '-z', '--', ...of];
    return new Set((await listRawPaths(args, options)).filter((path) => path.endsWith('/')));
  }

  /** @returns null if everything has to be looked at */
  async #touched(options: GitOptions): Promise<Set<RawPath> | null> {
    const touched = await this.#watch.take();
    if (touched === null) return null;
    const { paths, folders } = touched;
    // Other files are ignored from now on, or no longer.
    if ([...paths].some((path) => path === '.gitignore' || path.endsWith('/.gitignore'))) {
      this.#watch.close();
      this.#calm = CALM_LOOKS;
      return null;
    }
    for (const path of [...this.#left, ...this.#links]) paths.add(path.replace(/\/$/, ''));
    const all = [...paths];
    const isFolder = await Promise.all(all.map((path) => this.#isFolder(path)));
    for (const [at, path] of all.entries()) if (isFolder[at]) folders.add(path);
    for (const link of this.#links) folders.delete(link);
    for (const folder of folders) paths.delete(folder);
    try {
      for (const path of await ignoredOf(options, [...paths, ...folders])) {
        paths.delete(path);
        folders.delete(path);
      }
      if (folders.size > MAX_FOLDERS || ![...folders].every(isText)) return null;
      for (const folder of folders) for (const path of await this.#inFolder(options, folder)) paths.add(path);
      return paths;
    } catch (error) {
      // For example a path behind what is a link by now.
      if (!(error instanceof GitError) || error.timedOut || options.signal?.aborted) throw error;
      return null;
    }
  }

  /** A folder came, went, or is another one now: everything in it counts as touched. */
  async #inFolder(options: GitOptions, folder: RawPath): Promise<RawPath[]> {
    this.#watch.remove(folder);
    const only = `:(top,literal)${Buffer.from(folder, 'latin1').toString('utf8')}`;
    if (await this.#isFolder(folder)) await this.#watch.add(folder, await this.#ignoredFolders(options, [only]));
    return await listRawPaths(['ls-files', '--cached', '--others', '--exclude-standard', '-z', '--', only], options);
  }

  async #isFolder(path: RawPath): Promise<boolean> {
    return await lstat(rawFile(this.#worktree, path)).then(
      (found) => found.isDirectory(),
      () => false,
    );
  }
}

/** Whether git can be given a path on its command line. */
function isText(path: RawPath): boolean {
  const bytes = Buffer.from(path, 'latin1');
  return Buffer.from(bytes.toString('utf8')).equals(bytes);
}

/** Those of the paths that git ignores and does not have. */
async function ignoredOf(options: GitOptions, paths: RawPath[]): Promise<RawPath[]> {
  if (paths.length === 0) return [];
  const input = rawInput(paths);
  try {
    return await listRawPaths(['check-ignore', '-z', '--stdin'], { ...options, input });
  } catch (error) {
    if (error instanceof GitError && error.code === 1) return [];
    throw error;
  }
}

/** Tells git to look at files that its index says not to look at: those that are there may have changed all the same. */
export async function trustNothing(options: GitOptions, worktree: string): Promise<void> {
  const flagged = await listRawPaths(['ls-files', '-v', '-z'], options);
  const assumed = flagged.filter((entry) => /^[a-z] /.test(entry)).map((entry) => entry.slice(2));
  const skipped: RawPath[] = [];
  for (const entry of flagged) {
    // Of a sparse checkout most files are not there, and are not removed for that.
    if (!/^[Ss] /.test(entry)) continue;
    const path = entry.slice(2);
    const isThere = await lstat(rawFile(worktree, path)).then(
      () => true,
      () => false,
    );
    if (isThere) skipped.push(path);
  }
  for (const [flag, paths] of [
    ['--no-assume-unchanged', assumed],
    ['--no-skip-worktree', skipped],
  ] as const)
    if (paths.length > 0) await git(['update-index', flag, '-z', '--stdin'], { ...options, input: rawInput(paths) });
}
