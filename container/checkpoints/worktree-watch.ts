/**
 * What was touched in the worktree since it was last asked, by the kernel's word (inotify through fs.watch, a watch for each
 * folder). It knows what it does not know: too many changes, a watch that fails, or a kernel that does not tell make it say so,
 * and then every file has to be looked at. Writes through a mapping of memory or another link to a file are not told by any
 * kernel: the caller looks at every file now and then.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { settledWithin } from '../../src/lib/timeout.ts';
import { mkdir, rm, writeFile } from '../files/inside.ts';
import { type RawPath, rawFile } from '../git/raw-path.ts';

/** Folders that are watched; a worktree with more is not. The kernel's own limit may be lower. */
const MAX_FOLDERS = 20_000;
/** After more events it costs less to look at everything. Far below the kernel's queue (16,384), so that none is missed. */
const MAX_EVENTS = 4_000;
/** Longest wait for the kernel to tell of a file that was just written. */
const ECHO_PATIENCE_MS = 1_000;
/** Folders are read so many at a time. */
const READ_TOGETHER = 32;

/** Paths that were touched. `folders`: those that came, went or moved and are, or were, folders. */
export interface Touched {
  paths: Set<RawPath>;
  folders: Set<RawPath>;
}

export class WorktreeWatch {
  readonly #worktree: string;
  readonly #echoes: string;
  readonly #maxEvents: number;
  readonly #echoPatienceMs: number;
  readonly #watchers = new Map<RawPath, FSWatcher>();
  #echoWatcher: FSWatcher | null = null;
  #heard: ((name: string) => void) | null = null;
  #touched: Touched = { paths: new Set(), folders: new Set() };
  #events = 0;
  #echo = 0;
  /** The kernel does not tell. */
  #isDeaf = false;

  /**
   * @param echoes a folder of its own, in which files are written to hear of them
   * @param limits `maxEvents`: more between two questions are not told one by one; `echoPatienceMs`: longest wait for the kernel
   */
  constructor(worktree: string, echoes: string, limits: { maxEvents?: number; echoPatienceMs?: number } = {}) {
    this.#worktree = worktree;
    this.#maxEvents = limits.maxEvents ?? MAX_EVENTS;
    this.#echoPatienceMs = limits.echoPatienceMs ?? ECHO_PATIENCE_MS;
    this.#echoes = echoes;
  }

  /** Whether all folders are watched, and nothing was missed so far. */
  get isOn(): boolean {
    return this.#echoWatcher !== null;
  }

  /**
   * Begins to watch all folders but these. What is touched from now on will be told.
   * @param ignored folders, with a slash at their end
   * @returns whether it is on
   */
  async begin(ignored: ReadonlySet<RawPath>): Promise<boolean> {
    this.close();
    if (this.#isDeaf) return false;
    try {
      await rm(this.#echoes, { recursive: true, force: true });
      await mkdir(this.#echoes, { recursive: true });
      this.#echoWatcher = watch(this.#echoes, { persistent: false }, (_, name) => this.#heard?.(name ?? ''));
      this.#echoWatcher.on('error', () => this.close());
    } catch {
      this.close();
      return false;
    }
    if (!(await this.#isHeard())) {
      // Here it never will.
      this.#isDeaf = true;
      this.close();
      return false;
    }
    await this.add('', ignored);
    return this.isOn;
  }

  /** Watches a folder and what is in it, from now on; '' is the worktree itself. */
  async add(folder: RawPath, ignored: ReadonlySet<RawPath>): Promise<void> {
    const open = [folder];
    while (open.length > 0 && this.isOn) {
      const some = open.splice(-READ_TOGETHER);
      const found = await Promise.all(some.map((one) => this.#addOne(one, ignored)));
      for (const one of found.flat()) open.push(one);
    }
  }

  /** A folder is gone, or another one has its name. */
  remove(folder: RawPath): void {
    for (const [path, watcher] of this.#watchers) {
      if (path !== folder && !path.startsWith(`${folder}/`)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
  }

  /**
   * What was touched since it was asked last, with everything that was written before the call.
   * @returns null: that is not known, and everything has to be looked at
   */
  async take(): Promise<Touched | null> {
    if (!this.isOn) return null;
    if (!(await this.#isHeard())) this.close();
    return this.isOn ? this.#reset() : null;
  }

  /** Everything is being looked at: what was touched before this moment need not be told. */
  forgetTouched(): void {
    this.#reset();
  }

  /** Watches nothing any more. */
  close(): void {
    this.#echoWatcher?.close();
    this.#echoWatcher = null;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    this.#reset();
  }

  #reset(): Touched {
    const touched = this.#touched;
    this.#touched = { paths: new Set(), folders: new Set() };
    this.#events = 0;
    return touched;
  }

  /** The kernel tells everything in its order: when it tells of this file, it has told of all that was written before. */
  async #isHeard(): Promise<boolean> {
    this.#echo += 1;
    const name = `${this.#echo}`;
    const heard = new Promise<void>((done) => {
      this.#heard = (told) => {
        if (told === name) done();
      };
    });
    const file = join(this.#echoes, name);
    try {
      await writeFile(file, '');
      return (await settledWithin(this.#echoPatienceMs, heard)) !== 'late';
    } catch {
      return false;
    } finally {
      this.#heard = null;
      await rm(file, { force: true }).catch(() => {});
    }
  }

  /** @returns folders in it that are to be watched too */
  async #addOne(folder: RawPath, ignored: ReadonlySet<RawPath>): Promise<RawPath[]> {
    if (!this.isOn || this.#watchers.has(folder)) return [];
    if (this.#watchers.size >= MAX_FOLDERS) {
      this.close();
      return [];
    }
    const path = folder === '' ? Buffer.from(this.#worktree) : rawFile(this.#worktree, folder);
    try {
      // Watched first, then read: what comes in between is seen twice rather than never.
      const watcher = watch(path, { persistent: false, encoding: 'latin1' }, (type, name) =>
        this.#onEvent(folder, type, name),
      );
      this.#watchers.set(folder, watcher);
      watcher.on('error', () => this.close());
      const entries = await readdir(path, { withFileTypes: true, encoding: 'latin1' });
      // A repository of its own: git does not look into it.
      if (folder !== '' && entries.some(({ name }) => name === '.git')) {
        this.remove(folder);
        return [];
      }
      const inside = folder === '' ? '' : `${folder}/`;
      return entries
        .filter((entry) => entry.isDirectory() && entry.name !== '.git')
        .map((entry) => inside + entry.name)
        .filter((child) => !ignored.has(`${child}/`));
    } catch (error) {
      // One that has gone meanwhile was told of by the folder around it. Anything else (no more watches, no permission) ends it.
      const isGone = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
      if (isGone && folder !== '') this.remove(folder);
      else this.close();
      return [];
    }
  }

  #onEvent(folder: RawPath, type: 'rename' | 'change', name: string | null): void {
    this.#events += 1;
    if (name === null || this.#events > this.#maxEvents) {
      this.close();
      return;
    }
    const path = folder === '' ? name : `${folder}/${name}`;
    if (path === '.git') return;
    if (type === 'rename' && this.#watchers.has(path)) this.#touched.folders.add(path);
    else this.#touched.paths.add(path);
  }
}
