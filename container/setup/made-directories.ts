/** What a setup script made in the worktree: the directories that it names, and whatever else is there. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fitsGlob } from '../../src/lib/glob.ts';
import { git } from '../git/git.ts';
import type { IncarnationContext } from '../session/context.ts';

/**
 * The directories that patterns mean, where `*` stands for one folder's name and `**` for any number of folders.
 * A directory inside of another one goes along with it.
 */
export async function matching(worktree: string, patterns: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  const walk = async (directory: string, pattern: string, isDeep: boolean, depth: number): Promise<void> => {
    const entries = await readdir(join(worktree, directory), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (!entry.isDirectory() || entry.name === '.git') continue;
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
      if (fitsGlob(path, pattern)) found.add(path);
      else if (depth > 1 || isDeep) await walk(path, pattern, isDeep, depth - 1);
    }
  };
  for (const pattern of patterns) {
    if (!/[*?]/.test(pattern)) {
      if (await isDirectory(join(worktree, pattern))) found.add(pattern);
      continue;
    }
    await walk('', pattern, pattern.includes('**'), pattern.split('/').length);
  }
  return [...found].sort().filter((path) => ![...found].some((other) => path.startsWith(`${other}/`)));
}

async function isDirectory(path: string): Promise<boolean> {
  return await lstat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/**
 * What there is besides the repository's files and these directories: files, and folders of which git tracks nothing, each with when
 * something in it was changed last (ms since the epoch).
 */
export async function whatIsThere(context: IncarnationContext, made: readonly string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const path of await besides(context, made)) found.set(path, await changedAt(join(context.paths.worktree, path)));
  return found;
}

/** The newest change in a file, or in a folder with all that is in it; 0 if there is none. */
async function changedAt(path: string): Promise<number> {
  const found = await lstat(path).catch(() => null);
  if (!found?.isDirectory()) return found?.ctimeMs ?? 0;
  let newest = found.ctimeMs;
  for (const name of await readdir(path).catch(() => [])) newest = Math.max(newest, await changedAt(join(path, name)));
  return newest;
}

async function besides({ paths, plan, signal }: IncarnationContext, made: readonly string[]): Promise<string[]> {
  const options = { cwd: paths.worktree, remote: plan.remote, signal, maxBytes: 256 * 1024 ** 2 };
  const listed = await git(
    ['status', '--porcelain', '-z', '--ignored', '--untracked-files=normal', '--no-renames'],
    options,
  );
  return (
    listed
      .split('\0')
      .filter((entry) => entry.length > 3)
      .map((entry) => entry.slice(3).replace(/\/$/, ''))
      // A folder of which a kept directory is all that is new is listed as a whole.
      .filter(
        (path) => !made.some((name) => path === name || path.startsWith(`${name}/`) || name.startsWith(`${path}/`)),
      )
  );
}
