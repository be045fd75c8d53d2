/** Bare repositories made from a list of commits: the same list gives the same commit ids on every machine. */
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { runGit } from './git-command.ts';

export interface SeedCommit {
  message: string;
  author: { name: string; email: string };
  /** Seconds since the epoch; author's and committer's date. */
  at: number;
  /** Files written by this commit, by path; null removes one. Others stay as they were. */
  files: Record<string, string | null>;
}

export interface RepositorySeed {
  /** The default branch, e.g. `main`; it holds all the commits. */
  branch: string;
  /** Oldest first. */
  commits: SeedCommit[];
}

/**
 * Makes the bare repository unless it is there already. It appears complete or not at all.
 * @param directory where the repository shall be, e.g. `…/acme/shop.git`
 * @returns true when it was made now
 * @throws GitCommandError when git refuses the seed
 */
export async function seedRepository(directory: string, seed: RepositorySeed): Promise<boolean> {
  if (await exists(directory)) return false;
  await mkdir(dirname(directory), { recursive: true });
  const partial = await mkdtemp(join(dirname(directory), `.${basename(directory)}-`));
  try {
    await runGit(['init', '--quiet', '--bare', '--template=', `--initial-branch=${seed.branch}`, partial]);
    await runGit(['fast-import', '--quiet', '--done', '--date-format=raw'], {
      cwd: partial,
      input: fastImport(seed),
    });
    await rename(partial, directory);
    return true;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Somebody else made it in the meantime: theirs is the same.
    if (await exists(directory)) return false;
    throw error;
  }
}

/** The seed in git's own import language (https://git-scm.com/docs/git-fast-import). */
function fastImport(seed: RepositorySeed): string {
  const lines: string[] = [];
  for (const commit of seed.commits) {
    const person = `${commit.author.name} <${commit.author.email}> ${commit.at} +0000`;
    lines.push(`commit refs/heads/${seed.branch}`, `author ${person}`, `committer ${person}`);
    lines.push(data(`${commit.message}\n`));
    for (const [path, text] of Object.entries(commit.files)) {
      if (text === null) lines.push(`D ${path}`);
      else lines.push(`M 100644 inline ${path}`, data(text));
    }
  }
  return `${lines.join('\n')}\ndone\n`;
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}`;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
