/**
 * The worktree as commits that no branch shows: what is staged, and everything that is there. Made in a repository of the
 * server's own, whose configuration Claude does not write and whose index stays from one snapshot to the next: so a snapshot
 * reads only what has changed since the one before (changes.ts says what may have). The objects go where the
 * worktree's are.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mkdir, readUpTo, rm, writeFile } from '../files/inside.ts';
import { MAX_PATTERNS_BYTES } from '../git/excludes.ts';
import { GitError, type GitOptions, git } from '../git/git.ts';
import { copyIndex, isDamagedIndex } from '../git/index-file.ts';
import { listRawPaths, type RawPath, rawInput, shownPath } from '../git/raw-path.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { unpushedObjects } from '../lfs/lfs.ts';
import { log } from '../log.ts';
import { trustNothing, type WatchLimits, WorktreeChanges } from './changes.ts';
import { FilesToTake, MAX_FILE_BYTES, MAX_FILES_BYTES } from './files-to-take.ts';
import { readWorktreeRefs, type WorktreeRefs } from './worktree-refs.ts';

/** What is smaller needs no estimate of its bundle's size. */
const SMALL_BYTES = 32 * 1024 * 1024;
const SNAPSHOT_TIMEOUT_MS = 2 * 60_000;
const SETTINGS: [string, string][] = [
  // Names that other systems cannot have are files all the same.
  ['core.protectNTFS', 'false'],
  ['core.protectHFS', 'false'],
  ['index.version', '4'],
  // Of many entries only those that change are written.
  ['core.splitIndex', 'true'],
  ['splitIndex.sharedIndexExpire', '1.hour.ago'],
  // The content of files in Git LFS is kept, not a pointer to what may be nowhere else.
  ['filter.lfs.process', ''],
  ['filter.lfs.required', 'false'],
];
/** Subject of the commit that holds objects of Git LFS which are not on the git host. */
export const LFS_SUBJECT = 'Objects of Git LFS';

/** The worktree at a moment, in the repository but not shipped yet. */
export interface WorktreeSnapshot {
  commit: string;
  /** The same for the same work. */
  work: string;
  index: string;
  head: string;
  headRef: string | null;
  branchHead: string;
  /** Nothing was staged or committed since the snapshot before, and little was written. */
  isSmall: boolean;
  /** Where the repository's objects lie. */
  objects: string;
  /** Paths that were left out, for people: too large, a repository of their own, or nothing that git can take. */
  skipped: string[];
}

/** A snapshot that was shipped, on which the next one builds. */
export interface ShippedSnapshot {
  commit: string;
  work: string;
}

/** What Claude has staged, as long as its index is the same file with the same content. */
interface Staged {
  stamp: string;
  head: string;
  /** Null: a merge with conflicts, which cannot be written as a tree. */
  tree: string | null;
  /** A commit of the tree on HEAD. */
  commit: string;
}

/** Makes snapshots of one worktree, one at a time. */
export class WorktreeSnapshots {
  readonly #plan: () => WorkspacePlan;
  readonly #directory: string;
  readonly #indexFile: string;
  #staged: Staged | null = null;
  #tree: string | null = null;
  readonly #files = new FilesToTake();
  readonly #changes: WorktreeChanges;
  /** Objects of Git LFS by their oid, as blobs of git. */
  readonly #blobs = new Map<string, string>();

  /**
   * @param plan asked before each snapshot, because the token in it may change
   * @param directory a folder of its own for the repository
   * @param limits when the worktree is watched
   */
  constructor(plan: () => WorkspacePlan, directory: string, limits?: WatchLimits) {
    this.#plan = plan;
    this.#directory = directory;
    this.#indexFile = join(directory, 'index');
    this.#changes = new WorktreeChanges(plan().worktree, directory, limits);
  }

  /** Whether only what was touched is looked at. */
  get isWatched(): boolean {
    return this.#changes.isWatched;
  }

  /** Watches nothing any more. */
  close(): void {
    this.#changes.close();
  }

  /** Forgets what is known of the worktree: the next snapshot looks at everything. */
  async forget(): Promise<void> {
    this.#staged = null;
    this.#tree = null;
    this.#files.forget();
    this.#changes.close();
    this.#changes.forget();
    this.#blobs.clear();
    await Promise.all([this.#indexFile, `${this.#indexFile}.lock`].map((file) => rm(file, { force: true })));
  }

  /**
   * Takes a snapshot. What git ignores is left out, and so is a rebase or merge that is under way: of it the files are kept.
   * @param before the snapshot that this one is to be shipped on top of; null: on top of nothing
   * @param all whether to look at every file, also where it is known what was touched
   * @throws GitError
   */
  async take(before: ShippedSnapshot | null, all = true): Promise<WorktreeSnapshot> {
    try {
      return await this.#take(before, all);
    } catch (error) {
      this.#changes.forget();
      throw error;
    }
  }

  async #take(before: ShippedSnapshot | null, all: boolean): Promise<WorktreeSnapshot> {
    const plan = this.#plan();
    const refs = await readWorktreeRefs(plan);
    const { head, headRef, branchHead } = refs;
    const options = await this.#ownRepository(plan, refs);
    const known = this.#staged;
    const staged = await this.#stagedNow(plan, options, refs);
    const { tree, skipped, bytes } = await this.#everything(plan, options, staged, known !== staged, all);
    const large = await this.#largeObjects(plan, options, skipped);
    const work = [tree, staged.commit, head, headRef, branchHead, ...large.commits].join(' ');
    // Git leaves out of a bundle what is in the trees of a parent that the reader has, and of no other commit.
    const parents = [
      ...new Set([staged.commit, head, branchHead, ...large.commits, ...(before ? [before.commit] : [])]),
    ];
    const isSame = before?.work === work;
    const commit = isSame ? before.commit : await commitTree(inWorktree(plan), tree, parents, 'Checkpoint');
    const isSmall = before !== null && known === staged && bytes + large.bytes < SMALL_BYTES;
    return {
      commit,
      work,
      index: staged.commit,
      head,
      headRef,
      branchHead,
      isSmall,
      objects: refs.objects,
      skipped,
    };
  }

  /**
   * How git works in a repository without branches, whose configuration is ours: Claude is at work meanwhile and may give the
   * worktree's own a filter program at any moment, which git would run for every file it reads.
   */
  async #ownRepository(plan: WorkspacePlan, { gitDir, objects }: WorktreeRefs): Promise<GitOptions> {
    for (const directory of ['refs', 'objects']) await mkdir(join(this.#directory, directory), { recursive: true });
    await Promise.all([
      writeFile(join(this.#directory, 'HEAD'), 'ref: refs/heads/none\n'),
      writeFile(join(this.#directory, 'config'), '[core]\n\tbare = false\n\trepositoryFormatVersion = 0\n'),
      rm(`${this.#indexFile}.lock`, { force: true }),
      this.#takeExcludes(gitDir),
    ]);
    if ((await stampOf(this.#indexFile)) === null) {
      this.#staged = null;
      this.#tree = null;
      this.#changes.forget();
      await copyIndex(join(gitDir, 'index'), this.#indexFile);
    }
    return {
      ...inWorktree(plan),
      repository: { gitDir: this.#directory, objects },
      indexFile: this.#indexFile,
      settings: SETTINGS,
      timeoutMs: SNAPSHOT_TIMEOUT_MS,
      maxBytes: 256 * 1024 * 1024,
    };
  }

  /** What the worktree's own `info/exclude` names is ignored here too: a restored worktree has another one, and would commit it. */
  async #takeExcludes(gitDir: string): Promise<void> {
    const excludes = await readUpTo(join(gitDir, 'info', 'exclude'), MAX_PATTERNS_BYTES).catch(() => null);
    await mkdir(join(this.#directory, 'info'), { recursive: true });
    await writeFile(join(this.#directory, 'info', 'exclude'), excludes ?? Buffer.alloc(0));
  }

  async #stagedNow(plan: WorkspacePlan, options: GitOptions, { gitDir, head }: WorktreeRefs): Promise<Staged> {
    const index = join(gitDir, 'index');
    const stamp = (await stampOf(index)) ?? 'none';
    const known = this.#staged;
    if (known && known.stamp === stamp && known.head === head) return known;
    const copy = join(this.#directory, 'staged');
    await rm(`${copy}.lock`, { force: true });
    await rm(copy, { force: true });
    await copyIndex(index, copy);
    const tree = await git(['write-tree'], { ...options, indexFile: copy }).then(
      (name) => name.trim(),
      (error: unknown) => {
        if (!(error instanceof GitError) || plan.signal.aborted) throw error;
        return null;
      },
    );
    const commit = await commitTree(inWorktree(plan), tree ?? `${head}^{tree}`, [head], 'What was staged');
    this.#staged = { stamp, head, tree, commit };
    return this.#staged;
  }

  /** Brings the own index up to what is in the worktree. @returns its tree, and what could not be taken */
  async #everything(
    plan: WorkspacePlan,
    options: GitOptions,
    staged: Staged,
    isStagedNew: boolean,
    all: boolean,
  ): Promise<{ tree: string; skipped: string[]; bytes: number }> {
    if (this.#tree === null) {
      await this.#begin(plan, options, staged);
      this.#changes.forget();
    }
    const listed = await this.#changes.list(options, all);
    // What Claude added by force is ignored, so that it is not among the others.
    if (isStagedNew) for (const path of await this.#stagedAlone(options, staged)) listed.add(path);
    const { paths, skipped, bytes } = await this.#files.select(plan, listed);
    if (paths.length > 0) {
      for (const path of await this.#files.update(plan, options, paths)) skipped.push(path);
      if (paths.some((path) => path === '.gitignore' || path.endsWith('/.gitignore')))
        await this.#dropIgnored(options, staged);
      this.#tree = null;
    }
    this.#tree ??= (await git(['write-tree'], options)).trim();
    this.#changes.leave(skipped);
    return { tree: this.#tree, skipped: skipped.map(shownPath), bytes };
  }

  /** The own index is a copy of Claude's, which may be damaged, and may tell git not to look at some files. */
  async #begin(plan: WorkspacePlan, options: GitOptions, { head }: Staged): Promise<void> {
    try {
      await trustNothing(options, plan.worktree);
    } catch (error) {
      if (!(error instanceof GitError) || !isDamagedIndex(error) || plan.signal.aborted) throw error;
      log('checkpoint.index.damaged', { error });
      await rm(this.#indexFile, { force: true });
      await git(['read-tree', head], options);
    }
  }

  /**
   * Objects of Git LFS that are not on the host yet, as a commit beside the work: the worktree may hold a later version of the
   * file, or none. @returns no commit if there are none
   */
  async #largeObjects(
    plan: WorkspacePlan,
    options: GitOptions,
    skipped: string[],
  ): Promise<{ commits: string[]; bytes: number }> {
    const objects = (await unpushedObjects(plan)).sort((a, b) => a.size - b.size);
    let bytes = 0;
    let fresh = 0;
    const lines: string[] = [];
    for (const { oid, size, file } of objects) {
      if (size > MAX_FILE_BYTES || bytes + size > MAX_FILES_BYTES) {
        skipped.push(`an object of Git LFS (${oid.slice(0, 12)})`);
        continue;
      }
      bytes += size;
      let blob = this.#blobs.get(oid);
      if (blob === undefined) {
        blob = (await git(['hash-object', '-w', '--no-filters', '--', file], options)).trim();
        this.#blobs.set(oid, blob);
        fresh += size;
      }
      lines.push(`100644 blob ${blob}\t${oid}\n`);
    }
    if (lines.length === 0) return { commits: [], bytes: 0 };
    const tree = (await git(['mktree'], { ...options, input: lines.sort().join('') })).trim();
    return { commits: [await commitTree(inWorktree(plan), tree, [], LFS_SUBJECT)], bytes: fresh };
  }

  /** What is staged and not in the own index; during a conflict all that Claude's index names. */
  async #stagedAlone(options: GitOptions, { tree }: Staged): Promise<RawPath[]> {
    if (tree !== null)
      return await listRawPaths(['diff-index', '--cached', '--name-only', '--diff-filter=D', '-z', tree], options);
    const copy = { ...options, indexFile: join(this.#directory, 'staged') };
    return await listRawPaths(['ls-files', '-z'], copy).catch((error: unknown) => {
      if (error instanceof GitError && isDamagedIndex(error)) return [];
      throw error;
    });
  }

  /** What the repository has come to ignore is left out, unless it is staged. */
  async #dropIgnored(options: GitOptions, { tree, head }: Staged): Promise<void> {
    const [ignored, ours] = await Promise.all([
      listRawPaths(['ls-files', '--cached', '--ignored', '--exclude-standard', '-z'], options),
      listRawPaths(['diff-index', '--cached', '--name-only', '--diff-filter=A', '-z', tree ?? head], options),
    ]);
    const own = new Set(ours);
    const input = rawInput(ignored.filter((path) => own.has(path)));
    if (input.length > 0) await git(['update-index', '--force-remove', '-z', '--stdin'], { ...options, input });
  }
}

/** Always of the same time, so that two snapshots of the same work are the same commits. */
async function commitTree(options: GitOptions, tree: string, parents: string[], message: string): Promise<string> {
  const args = ['commit-tree', ...parents.flatMap((parent) => ['-p', parent]), '-m', message, tree];
  return (await git(args, { ...options, dates: '2000-01-01T00:00:00Z' })).trim();
}

/** What changes with each write to a file; null if there is no file. */
async function stampOf(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  return found && `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}
