/**
 * What the repository's setup script made, kept by the hash of what it depends on (setup-cache-key.ts). Whatever goes wrong
 * here, the script is run.
 */
import { realpath } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { mkdir, rename, rm } from '../files/inside.ts';
import { findEntry, getEntry, putEntry } from '../gateway/cache-client.ts';
import type { GatewayAccess } from '../gateway/request.ts';
import { git, gitSays } from '../git/git.ts';
import { log } from '../log.ts';
import type { IncarnationContext } from '../session/context.ts';
import { matching, whatIsThere } from './made-directories.ts';
import { ArchiveError, pack, unpack } from './setup-archive.ts';
import { type SetupCache, tellUncached } from './setup-cache-key.ts';

/** Directories that are kept; more are not, and the log says so. */
const MAX_DIRECTORIES = 200;
const SETUP = 'the setup script';
const PACK_LIMIT_MS = 2 * 60_000;
const UNPACK_LIMIT_MS = 5 * 60_000;

/**
 * Puts what was kept into the worktree.
 * @returns a line for people; null if nothing is kept, or it cannot be used: then the script has to run
 */
export async function restoreSetup(
  context: IncarnationContext,
  { entry, directories }: SetupCache,
): Promise<string | null> {
  const access = accessOf(context, UNPACK_LIMIT_MS);
  const { worktree, cache } = context.paths;
  // The session cannot replace it by a link here.
  const archive = join(context.paths.dir, 'kept-setup.tar.gz');
  const unpacked = join(cache, 'setup');
  try {
    const kept = await findEntry(access, entry);
    if (!kept) return null;
    await rm(unpacked, { recursive: true, force: true });
    await mkdir(unpacked, { recursive: true, mode: 0o700 });
    await getEntry(access, entry, kept, archive);
    await unpack(context.access.wall, archive, unpacked, access.signal);
    const found: string[] = [];
    for (const name of await matching(unpacked, directories)) {
      const target = join(worktree, name);
      await mkdir(dirname(target), { recursive: true });
      if (!(await liesInside(worktree, dirname(target))))
        throw new ArchiveError(`${name} points outside the repository`);
      await rm(target, { recursive: true, force: true });
      await rename(join(unpacked, name), target);
      found.push(name);
    }
    const day = new Date(kept.at).toISOString().slice(0, 10);
    return `${found.join(', ')} from the cache, made on ${day} at ${kept.commit.slice(0, 7)}`;
  } catch (error) {
    if (context.isOver) return null;
    log('setup.cache_restore.failed', { sessionId: context.sessionId, error });
    return null;
  } finally {
    await rm(archive, { force: true });
    await rm(cache, { recursive: true, force: true });
  }
}

/**
 * Keeps what the script made, before anybody else has touched it: only then it is taken. Not of a branch that holds more than
 * its base: what a session does is not to run in others.
 * @param there what was there besides the repository's files before the script ran, by `whatIsThere`
 * @returns its size in bytes; null if it is not kept
 */
export async function keepSetup(
  context: IncarnationContext,
  { entry, directories }: SetupCache,
  there: ReadonlyMap<string, number>,
): Promise<number | null> {
  const { worktree, cache } = context.paths;
  const { plan } = context;
  const options = { cwd: worktree, remote: plan.remote, signal: context.signal };
  // The session cannot replace it by a link here.
  const archive = join(context.paths.dir, 'kept-setup.tar.gz');
  const access = accessOf(context, PACK_LIMIT_MS);
  try {
    const base = `refs/remotes/origin/${plan.baseBranch}`;
    if (!(await gitSays(['merge-base', '--is-ancestor', 'HEAD', base], options))) return null;
    const made = await matching(worktree, directories);
    if (made.length === 0) return tellUncached(context, directories, `${SETUP} created no directory of that name`);
    const elsewhere = [...(await whatIsThere(context, made))]
      .filter(([path, changedAt]) => there.get(path) !== changedAt)
      .map(([path]) => path);
    if (elsewhere.length > 0) {
      const few = elsewhere.slice(0, 5).join(', ');
      return tellUncached(
        context,
        directories,
        `${SETUP} also creates or changes files outside it (${few}), which would be missing if the script were skipped`,
      );
    }
    if (made.length > MAX_DIRECTORIES)
      return tellUncached(context, directories, `these are ${made.length} directories, more than ${MAX_DIRECTORIES}`);
    await mkdir(cache, { recursive: true, mode: 0o700 });
    const bytes = await pack(context.access.wall, worktree, made, archive, access.signal);
    const commit = (await git(['rev-parse', 'HEAD'], options)).trim();
    return (await putEntry(access, entry, archive, commit)) ? bytes : null;
  } catch (error) {
    if (!context.isOver) log('setup.cache_upload.failed', { sessionId: context.sessionId, error });
    return null;
  } finally {
    await rm(archive, { force: true });
    await rm(cache, { recursive: true, force: true });
  }
}

/** A link in the repository may lead anywhere. */
async function liesInside(worktree: string, directory: string): Promise<boolean> {
  const way = relative(await realpath(worktree), await realpath(directory));
  return way !== '..' && !way.startsWith('../');
}

function accessOf({ start, signal }: IncarnationContext, limitMs: number): GatewayAccess {
  return { gateway: start.gateway, signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]) };
}
