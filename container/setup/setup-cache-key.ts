/**
 * What of a setup script's result may be kept, and under which name. The script says by itself what may be kept: a line
 * `# cyrus-cache: node_modules vendor/bundle` names directories inside of the repository that git does not track. The name is
 * the hash of everything that the result depends on.
 */
import { createHash } from 'node:crypto';
import { withoutEnding } from '../../src/lib/linear-time.ts';
import { FileTooLargeError, readFile, readText } from '../files/inside.ts';
import { GitError, git } from '../git/git.ts';
import { inWorktree } from '../git/workspace-plan.ts';
import { log } from '../log.ts';
import { repositoryFile } from '../paths.ts';
import type { IncarnationContext } from '../session/context.ts';
import { decisive, decisivePart } from './setup-sources.ts';

const DIRECTIVE = /^[ \t]*#\s*cyrus-cache:(.*)$/gm;
/** What a script may name, which a repository writes: each is compared with many paths. */
const MAX_PATTERNS = 50;
const MAX_PATTERN_LENGTH = 200;
/** Of a script, a lock file or a manifest: with a larger one nothing is kept. */
const MAX_SOURCE_BYTES = 64 * 1024 * 1024;

/** What may be kept, and under which name. */
export interface SetupCache {
  entry: string;
  /** Relative to the worktree, with slashes; `*` and `**` as in the script's line. */
  directories: string[];
}

/**
 * Reads what the script says of itself, and hashes what its result depends on: the scripts, the lock files, the platform.
 * @param script name of the repository's own script
 * @param before scripts that an admin set, which run before it
 * @returns null if nothing may be kept
 */
export async function setupCacheOf(
  context: IncarnationContext,
  script: string,
  before: string[],
): Promise<SetupCache | null> {
  try {
    return await readSetup(context, script, before);
  } catch (error) {
    if (!(error instanceof FileTooLargeError)) throw error;
    log('setup.cache.skipped', {
      sessionId: context.sessionId,
      why: 'a file that it depends on is too large',
      error,
    });
    return null;
  }
}

async function readSetup(context: IncarnationContext, script: string, before: string[]): Promise<SetupCache | null> {
  const { worktree } = context.paths;
  const path = await repositoryFile(worktree, script);
  const text = path === null ? '' : await readText(path, MAX_SOURCE_BYTES);
  const wished = [...text.matchAll(DIRECTIVE)]
    .flatMap(([, names = '']) => names.trim().split(/\s+/))
    .filter((name) => name !== '');
  const directories = [...new Set(wished.map((name) => withoutEnding(name, '/')))];
  // One that leads elsewhere would leave the cache incomplete, with the script skipped.
  if (directories.length === 0 || !directories.every(isInside))
    return tellUncached(context, directories, 'a name points outside it');
  if (directories.length > MAX_PATTERNS || directories.some((pattern) => pattern.length > MAX_PATTERN_LENGTH)) {
    const few = directories.slice(0, 3).map((pattern) => pattern.slice(0, 40));
    return tellUncached(context, few, `it names more than ${MAX_PATTERNS} directories, or one at too great a length`);
  }
  const sources = await trackedFiles(context);
  if (sources === null) return null;
  const tracked = await git(['ls-files', '-z', '--', ...directories.map((name) => `:(top,glob)${name}/**`)], {
    cwd: worktree,
    remote: context.plan.remote,
    signal: context.signal,
  }).catch((error: unknown) => {
    if (error instanceof GitError) return 'unknown';
    throw error;
  });
  if (tracked !== '') {
    log('setup.cache.skipped', { sessionId: context.sessionId, why: 'git tracks what it names', directories });
    return null;
  }
  const hash = createHash('sha256');
  const add = (name: string, content: string | Buffer) => hash.update(`${name}\0${content.length}\0`).update(content);
  add('platform', `${process.platform} ${process.arch} ${process.version}`);
  add('tree', (await git(['rev-parse', 'HEAD^{tree}'], inWorktree(context.plan))).trim());
  // Of this workspace's repository at this address alone.
  if (context.plan.identity !== null) add('identity', context.plan.identity);
  for (const one of before) add('script', one);
  add(script, text);
  // Of a monorepo each package's: what is installed depends on all of them.
  for (const name of decisive(sources)) {
    const file = await repositoryFile(worktree, name);
    if (file !== null) add(name, decisivePart(name, await readFile(file, MAX_SOURCE_BYTES)));
  }
  return { entry: `setup-${hash.digest('hex')}`, directories };
}

/** Paths that git tracks, sorted; null if they cannot be read. */
async function trackedFiles({ paths, plan, signal }: IncarnationContext): Promise<string[] | null> {
  const options = { cwd: paths.worktree, remote: plan.remote, signal, maxBytes: 256 * 1024 ** 2 };
  const listed = await git(['ls-files', '-z'], options).catch((error: unknown) => {
    if (error instanceof GitError) return null;
    throw error;
  });
  return listed === null
    ? null
    : listed
        .split('\0')
        .filter((path) => path !== '')
        .sort();
}

/** Tells people and the log why nothing is kept, if the script names anything. @param directories as the script names them */
export function tellUncached(context: IncarnationContext, directories: string[], why: string): null {
  if (directories.length > 0) {
    log('setup.cache.skipped', { sessionId: context.sessionId, why, directories });
    context.emit({
      type: 'notice',
      text: `${directories.join(', ')} is not cached for later sessions: ${why}.`,
    });
  }
  return null;
}

function isInside(name: string): boolean {
  const segments = name.split('/');
  return segments.every(
    (segment) => segment !== '' && segment !== '.' && segment !== '..' && !/^-|^\.git$/i.test(segment),
  );
}
