/** Which files a snapshot takes: nothing too large, nothing that git cannot read, each looked at by as few processes as possible. */
import { lstat } from 'node:fs/promises';
import { complaint, GitError, type GitOptions, git } from '../git/git.ts';
import { type RawPath, rawFile, rawInput, shownPath } from '../git/raw-path.ts';
import type { WorkspacePlan } from '../git/workspace-plan.ts';
import { log } from '../log.ts';

/** Git hosts refuse larger files, and so does the end of a turn: such a file would never leave the sandbox. */
export const MAX_FILE_BYTES = 50 * 1024 * 1024;
/** Files that one snapshot adds are kept up to this size together, the smallest first. */
export const MAX_FILES_BYTES = 200 * 1024 * 1024;
/** Files are looked at so many at a time. */
const LOOKED_AT_TOGETHER = 256;
/** So many new files go into one pack of git's: a file of its own for each takes longer to write than to read. */
const PACKED_FROM = 1_000;
const IN_ONE_PACK: [string, string][] = [
  ['core.bigFileThreshold', '1'],
  ['pack.compression', '1'],
];
/** Paths that git refuses to add: they could pass for the files of a repository of its own. */
const OF_GIT = /(^|\/)\.git(\/|$)/i;

export class FilesToTake {
  /** Files that git could not take, with what they looked like then: they are not tried again until they change. */
  readonly #refused = new Map<RawPath, string>();

  /** Forgets what git could not take. */
  forget(): void {
    this.#refused.clear();
  }

  /** Chooses what is taken: nothing too large, no repository inside of the repository, nothing that was refused before. */
  async select(
    plan: WorkspacePlan,
    listed: Set<RawPath>,
  ): Promise<{ paths: RawPath[]; skipped: RawPath[]; bytes: number }> {
    const paths: RawPath[] = [];
    const skipped: RawPath[] = [];
    const files: { path: RawPath; bytes: number }[] = [];
    const all = [...listed];
    for (let at = 0; at < all.length; at += LOOKED_AT_TOGETHER) {
      const some = all.slice(at, at + LOOKED_AT_TOGETHER);
      const found = await Promise.all(some.map((path) => lstat(rawFile(plan.worktree, path)).catch(() => null)));
      for (const [index, path] of some.entries()) {
        const status = found[index];
        const stamp = `${status?.size} ${status?.mtimeMs} ${status?.ino}`;
        if (path.endsWith('/') || OF_GIT.test(path) || this.#refused.get(path) === stamp) skipped.push(path);
        else if (status?.isFile()) files.push({ path, bytes: status.size });
        // Gone, or a link: that is not large.
        else paths.push(path);
      }
    }
    let total = 0;
    for (const { path, bytes } of files.sort((a, b) => a.bytes - b.bytes)) {
      total += bytes;
      (bytes > MAX_FILE_BYTES || total > MAX_FILES_BYTES ? skipped : paths).push(path);
    }
    return { paths, skipped, bytes: total };
  }

  /** Takes files into an index. @returns what git cannot take (it cannot be read, or not converted as its attributes say); the others are taken */
  async update(plan: WorkspacePlan, options: GitOptions, paths: RawPath[]): Promise<RawPath[]> {
    const args = ['update-index', '--add', '--remove', '--replace', '-z', '--stdin'];
    const settings = [...(options.settings ?? []), ...(paths.length >= PACKED_FROM ? IN_ONE_PACK : [])];
    try {
      await git(args, { ...options, settings, input: rawInput(paths) });
      return [];
    } catch (error) {
      if (!(error instanceof GitError) || error.timedOut || plan.signal.aborted) throw error;
      const [path] = paths;
      if (paths.length > 1 || path === undefined) {
        const middle = Math.ceil(paths.length / 2);
        const first = await this.update(plan, options, paths.slice(0, middle));
        return [...first, ...(await this.update(plan, options, paths.slice(middle)))];
      }
      log('checkpoint.file.incomplete', { path: shownPath(path), complaint: complaint(error) });
      const status = await lstat(rawFile(plan.worktree, path)).catch(() => null);
      if (status) this.#refused.set(path, `${status.size} ${status.mtimeMs} ${status.ino}`);
      return [path];
    }
  }
}
