/**
 * What the repository's setup script made, kept by the hash of what it depends on. The script says by itself what may be kept:
 * a line `# cyrus-cache: node_modules vendor/bundle` names directories inside of the repository that git does not track.
 * Whatever goes wrong here, the script is run.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { messageOf } from '../../src/lib/error.ts';
import { fitsGlob } from '../../src/lib/glob.ts';
import { withoutEnding } from '../../src/lib/linear-time.ts';
import { MAX_SETUP_CACHE_BYTES } from '../../src/protocol/repository-cache.ts';
import {
  createReadStream,
  FileTooLargeError,
  mkdir,
  readFile,
  readText,
  rename,
  rm,
  writeStream,
} from '../files/inside.ts';
import { findEntry, getEntry, putEntry } from '../gateway/cache-client.ts';
import type { GatewayAccess } from '../gateway/request.ts';
import { GitError, git, gitSays } from '../git/git.ts';
import { inWorktree } from '../git/workspace-plan.ts';
import { log } from '../log.ts';
import { repositoryFile } from '../paths.ts';
import { feed } from '../process/feed.ts';
import { noteOwnChild, SERVER_MARKER } from '../process/process-group.ts';
import type { IncarnationContext } from '../session/context.ts';
import type { SessionWall } from '../walls/session-wall.ts';
import { decisive, decisivePart } from './setup-sources.ts';

const DIRECTIVE = /^[ \t]*#\s*cyrus-cache:(.*)$/gm;
/** Directories that are kept; more are not, and the log says so. */
const MAX_DIRECTORIES = 200;
/** What a script may name, which a repository writes: each is compared with many paths. */
const MAX_PATTERNS = 50;
const MAX_PATTERN_LENGTH = 200;
const SETUP = 'the setup script';
/** Of a script, a lock file or a manifest: with a larger one nothing is kept. */
const MAX_SOURCE_BYTES = 64 * 1024 * 1024;
/** Unpacked; what is larger is not worth the wait. */
const MAX_UNPACKED_BYTES = 4_000_000_000;
const PACK_LIMIT_MS = 2 * 60_000;
const UNPACK_LIMIT_MS = 5 * 60_000;

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
  const patterns = [...new Set(wished.map((name) => withoutEnding(name, '/')))];
  // One that leads elsewhere would leave the cache incomplete, with the script skipped.
  if (patterns.length === 0 || !patterns.every(isInside))
    return tellUncached(context, patterns, 'a name points outside it');
  if (patterns.length > MAX_PATTERNS || patterns.some((pattern) => pattern.length > MAX_PATTERN_LENGTH)) {
    const few = patterns.slice(0, 3).map((pattern) => pattern.slice(0, 40));
    return tellUncached(context, few, `it names more than ${MAX_PATTERNS} directories, or one at too great a length`);
  }
  const sources = await trackedFiles(context);
  if (sources === null) return null;
  const directories = patterns;
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

function tellUncached(context: IncarnationContext, directories: string[], why: string): null {
  if (directories.length > 0) {
    log('setup.cache.skipped', { sessionId: context.sessionId, why, directories });
    context.emit({
      type: 'notice',
      text: `${directories.join(', ')} is not cached for later sessions: ${why}.`,
    });
  }
  return null;
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

/** The archive cannot be made, or not be used. */
class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

async function pack(
  wall: SessionWall,
  worktree: string,
  directories: string[],
  archive: string,
  signal: AbortSignal,
): Promise<number> {
  const tar = startTar(wall, ['-cf', '-', '--', ...directories], worktree, signal);
  const counted = limitedTo(MAX_SETUP_CACHE_BYTES);
  if (!tar.child.stdout) throw new ArchiveError('tar has no output');
  await Promise.all([
    pipeline(tar.child.stdout, createGzip({ level: 1 }), counted.stream, { signal }),
    writeStream(archive, counted.stream, 0o600),
    tar.ended,
  ]);
  return counted.bytes();
}

async function unpack(wall: SessionWall, archive: string, into: string, signal: AbortSignal): Promise<void> {
  // Owners and modes as for everything that the session makes.
  const tar = startTar(wall, ['-xf', '-', '--no-same-owner'], into, signal);
  if (!tar.child.stdin) throw new ArchiveError('tar has no input');
  const limit = limitedTo(MAX_UNPACKED_BYTES).stream;
  const reading = { stdin: tar.child.stdin, ended: tar.ended };
  await feed(createReadStream(archive), [createGunzip(), limit], reading, signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw new ArchiveError(`it cannot be unpacked: ${messageOf(error)}`);
  });
}

/** The system's tar, without anything of the server's environment but PATH. */
function startTar(
  wall: SessionWall,
  tarArguments: string[],
  cwd: string,
  signal: AbortSignal,
): { child: ChildProcess; ended: Promise<void> } {
  const env = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    LANG: 'C.UTF-8',
    [SERVER_MARKER]: String(process.pid),
  };
  const { program, args } = wall.ownCommand('tar', tarArguments, cwd);
  const child = spawn(program, args, {
    cwd,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  noteOwnChild(child);
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(-500);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new ArchiveError(`tar ended with ${code}: ${complaint.trim()}`));
    });
  });
  return { child, ended };
}

function limitedTo(most: number): { stream: Transform; bytes: () => number } {
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      if (bytes > most) done(new ArchiveError(`it has more than ${most} bytes`));
      else done(null, chunk);
    },
  });
  return { stream, bytes: () => bytes };
}

function isInside(name: string): boolean {
  const segments = name.split('/');
  return segments.every(
    (segment) => segment !== '' && segment !== '.' && segment !== '..' && !/^-|^\.git$/i.test(segment),
  );
}

async function isDirectory(path: string): Promise<boolean> {
  return await lstat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** A link in the repository may lead anywhere. */
async function liesInside(worktree: string, directory: string): Promise<boolean> {
  const way = relative(await realpath(worktree), await realpath(directory));
  return way !== '..' && !way.startsWith('../');
}

function accessOf({ start, signal }: IncarnationContext, limitMs: number): GatewayAccess {
  return { gateway: start.gateway, signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]) };
}
