/**
 * The base branch as a bundle at the gateway: unpacked where the disk has none of the repository, and brought up to date after
 * a save. Nothing of it is believed: git checks every object by its hash, and which commit counts is what the git host says.
 */
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MAX_CACHE_PART_BYTES, MAX_CACHE_PARTS } from '../../src/protocol/repository-cache.ts';
import { baseEntry, CacheError, findEntry, getEntry, putEntry } from '../gateway/cache-client.ts';
import type { GatewayAccess } from '../gateway/request.ts';
import { log } from '../log.ts';
import { exists } from '../paths.ts';
import { GitError, type GitOptions, git, gitSays } from './git.ts';
import { inMirror, type WorkspacePlan } from './workspace-plan.ts';

/** Smaller repositories are fetched from their host as fast. */
const LEAST_KIBIBYTES = 256;
/** Bundles up to this size follow every change; larger ones wait until it is worth sending them again. */
const SMALL_BYTES = 8 * 1024 * 1024;
const WORTH_COMMITS = 50;
const WORTH_AGE_MS = 24 * 3_600_000;
/** File in a mirror that was begun with a bundle, until everything in it was looked through. */
const UNVERIFIED = 'cyrus-unverified';
/** File in a mirror whose bundle at the gateway turned out to be of no use, until another has taken its place. */
const USELESS = 'cyrus-bundle-useless';
const UNPACK_TIMEOUT_MS = 10 * 60_000;
const PACK_TIMEOUT_MS = 30 * 60_000;

/**
 * Unpacks the bundle of the base branch into a mirror that has none of it, as if it had been fetched.
 * @returns null if there is no bundle, or it is of no use: then everything comes from the git host
 */
export async function seedFromBundle(plan: WorkspacePlan): Promise<'seeded' | null> {
  const access = accessOf(plan);
  const entry = baseEntry(plan.baseBranch, plan.identity);
  try {
    const kept = await findEntry(access, entry);
    if (!kept) return null;
    await mkdir(dirname(plan.bundlePath), { recursive: true, mode: 0o700 });
    await getEntry(access, entry, kept, plan.bundlePath);
    const options: GitOptions = { ...inMirror(plan), timeoutMs: UNPACK_TIMEOUT_MS };
    await git(['bundle', 'unbundle', plan.bundlePath], options);
    // What the checkout needs has to be there, and every commit; the rest is looked through once Claude is at work.
    await Promise.all([
      git(['rev-list', '--objects', '--quiet', '--no-walk', kept.commit], options),
      git(['rev-list', '--quiet', kept.commit], options),
    ]);
    await writeFile(join(plan.mirror, UNVERIFIED), '');
    await git(['update-ref', `refs/remotes/origin/${plan.baseBranch}`, kept.commit], options);
    return 'seeded';
  } catch (error) {
    if (!(error instanceof CacheError || error instanceof GitError)) throw error;
    if (plan.signal.aborted) return null;
    log('git.bundle.damaged', { repository: plan.fullName, error });
    // One that cannot be unpacked now cannot be later: the next save makes another.
    if (error instanceof GitError) await writeFile(join(plan.mirror, USELESS), '');
    return null;
  } finally {
    await rm(plan.bundlePath, { force: true });
  }
}

/**
 * Looks through everything that a mirror got from a bundle, once.
 * @returns false if something is missing; another bundle is stored then
 */
export async function verifySeed(plan: WorkspacePlan): Promise<boolean> {
  const mark = join(plan.mirror, UNVERIFIED);
  if (!(await exists(mark))) return true;
  const ref = `refs/remotes/origin/${plan.baseBranch}`;
  try {
    await git(['rev-list', '--objects', '--quiet', ref], { ...inMirror(plan), timeoutMs: UNPACK_TIMEOUT_MS });
    await rm(mark, { force: true });
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (plan.signal.aborted) return true;
    log('git.bundle.incomplete', { repository: plan.fullName, error });
    await writeFile(join(plan.mirror, USELESS), '');
    return false;
  }
}

/** Everything was fetched from the git host again. */
export async function forgetSeed(plan: WorkspacePlan): Promise<void> {
  await rm(join(plan.mirror, UNVERIFIED), { force: true });
}

/**
 * Stores a bundle of the base branch as it was last fetched, if that is worth it.
 * @throws CacheError, GitError
 */
export async function refreshBundle(plan: WorkspacePlan): Promise<void> {
  const options: GitOptions = { ...inMirror(plan), timeoutMs: PACK_TIMEOUT_MS };
  // Part of a history is no ground for others.
  if ((await exists(join(plan.mirror, 'shallow'))) || (await exists(join(plan.mirror, UNVERIFIED)))) return;
  if ((await kibibytes(options)) < LEAST_KIBIBYTES) return;
  const ref = `refs/remotes/origin/${plan.baseBranch}`;
  const commit = (await git(['rev-parse', '--verify', `${ref}^{commit}`], options)).trim();
  const access = accessOf(plan);
  const entry = baseEntry(plan.baseBranch, plan.identity);
  const useless = join(plan.mirror, USELESS);
  if (!(await exists(useless)) && !(await isWorthIt(access, entry, commit, options))) return;
  await mkdir(dirname(plan.bundlePath), { recursive: true, mode: 0o700 });
  try {
    await rm(`${plan.bundlePath}.lock`, { force: true });
    // One thread: the other processors are for the sessions at work.
    const settings: [string, string][] = [['pack.threads', '1']];
    await git(['bundle', 'create', '--quiet', plan.bundlePath, ref], { ...options, settings });
    const { size } = await stat(plan.bundlePath);
    if (size > MAX_CACHE_PARTS * MAX_CACHE_PART_BYTES) {
      log('git.bundle.too_large', { repository: plan.fullName, bytes: size });
      return;
    }
    await putEntry(access, entry, plan.bundlePath, commit);
    await rm(useless, { force: true });
    log('git.bundle.updated', { repository: plan.fullName, bytes: size });
  } finally {
    await rm(plan.bundlePath, { force: true });
  }
}

async function isWorthIt(access: GatewayAccess, entry: string, commit: string, options: GitOptions): Promise<boolean> {
  const kept = await findEntry(access, entry);
  if (!kept) return true;
  if (kept.commit === commit) return false;
  const isOld = Date.now() - kept.at > WORTH_AGE_MS;
  // What is not known here may well be newer than what is.
  const isKnown = await git(['cat-file', '-e', `${kept.commit}^{commit}`], options).then(
    () => true,
    () => false,
  );
  if (!isKnown) return isOld;
  if (await gitSays(['merge-base', '--is-ancestor', commit, kept.commit], options)) return false;
  if (isOld || kept.bytes < SMALL_BYTES) return true;
  const behind = Number(await git(['rev-list', '--count', commit, `^${kept.commit}`], options));
  return behind >= WORTH_COMMITS;
}

/** What the mirror's objects take on the disk. */
async function kibibytes(options: GitOptions): Promise<number> {
  const counted = await git(['count-objects', '-v'], options);
  const sizes = [...counted.matchAll(/^(?:size|size-pack): (\d+)$/gm)];
  return sizes.reduce((sum, [, size]) => sum + Number(size), 0);
}

function accessOf({ remote, signal }: WorkspacePlan): GatewayAccess {
  return { gateway: { url: remote.gatewayUrl, token: remote.token }, signal };
}
