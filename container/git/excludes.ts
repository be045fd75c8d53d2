/** What git keeps out of commits beside the repository's own .gitignore. */
import { join, normalize } from 'node:path';
import { readUpTo } from '../files/inside.ts';
import { log } from '../log.ts';
import type { SessionPaths } from '../paths.ts';
import { GitError, type GitOptions, git } from './git.ts';
import { inWorktree, type WorkspacePlan } from './workspace-plan.ts';

const hex = '[0-9a-f]';
/** Ignored is what the repository ignores, and files that the CLI itself leaves behind. */
export const neverCommitted = `# What the CLI was writing when it was killed (name.tmp.<process>.<random>, measured with CLI 2.1.330).
*.tmp.[0-9]*.${hex.repeat(12)}
`;
/** Longest file of patterns that is read, in bytes. */
export const MAX_PATTERNS_BYTES = 256 * 1024;

/**
 * Patterns of the files that a setup script has named as `core.excludesFile`, in the clone's configuration or the user's, and of the one that
 * git reads if none is named: the server's own file is in their place (git.ts). Only files of the session are read.
 */
export async function patternsOfSetup(plan: WorkspacePlan, paths: SessionPaths): Promise<string> {
  const options = inWorktree(plan);
  const named =
    (await excludesFileIn(options, ['--local'])) ??
    (await excludesFileIn(options, ['--file', join(paths.home, '.gitconfig')])) ??
    '~/.config/git/ignore';
  const file = named.startsWith('~/')
    ? join(paths.home, named.slice(2))
    : join(named.startsWith('/') ? '/' : paths.worktree, named);
  if (!normalize(file).startsWith(`${paths.dir}/`)) {
    log('git.excludes_file.outside', {});
    return '';
  }
  const patterns = (await readUpTo(normalize(file), MAX_PATTERNS_BYTES).catch(() => null))?.toString('utf8') ?? '';
  return patterns === '' ? '' : `${patterns.trimEnd()}\n`;
}

async function excludesFileIn(options: GitOptions, where: string[]): Promise<string | null> {
  try {
    return (await git(['config', ...where, '--get', 'core.excludesFile'], options)).trim() || null;
  } catch (error) {
    // There is none, or no such file.
    if (error instanceof GitError && !options.signal?.aborted) return null;
    throw error;
  }
}
