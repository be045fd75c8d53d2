/**
 * Bringing back what a checkpoint holds, on a disk that has none of it: Claude's files where the CLI looks for them, and
 * the worktree with its branch, what was staged, and what was neither staged nor committed.
 */
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { CheckpointFile, CheckpointManifest } from '../../src/protocol/checkpoint.ts';
import { elapsedMs, pause, steadyNow } from '../clock.ts';
import { mkdir, rm, writeFile } from '../files/inside.ts';
import { CheckpointStoreError, getObject, sha256 } from '../gateway/checkpoint-client.ts';
import type { GatewayAccess } from '../gateway/request.ts';
import { finishClone, type Missing, makeClone } from '../git/clone.ts';
import { complaint, GitError, type GitOptions, git, gitSays, remoteFailure } from '../git/git.ts';
import { HostAwayError } from '../git/host-patience.ts';
import { inMirror, inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { incomingFolder, takeObject } from '../lfs/store.ts';
import { log } from '../log.ts';
import type { IncarnationContext } from '../session/context.ts';
import { PackError, unpackFiles } from './pack.ts';
import { LFS_SUBJECT } from './worktree.ts';

const decompress = promisify(gunzip);
/** Against parts that unpack to more than the disk holds. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** People are told that a restore waits after so long, and again after ten times as long. */
const TOLD_AFTER_MS = 15_000;
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 5_000;
/** What is not what was stored is fetched again so often: an answer may have been cut off. */
const DAMAGED_TRIES = 3;
const CHECKOUT_TIMEOUT_MS = 10 * 60_000;

/** The checkpoint cannot be used, now or later: the work begins without it. */
export class RestoreError extends Error {
  override readonly name = 'RestoreError';
}

/** The objects of a checkpoint, fetched and found to be what was stored. */
export interface FetchedCheckpoint {
  manifest: CheckpointManifest;
  bundles: Buffer[];
  files: { path: string; content: Buffer }[];
}

/**
 * Fetches a checkpoint through the gateway; nothing is written yet. While the gateway or its storage is away, it waits, for as
 * long as that lasts, and says so.
 * @throws RestoreError where objects are gone or are not what was stored; CheckpointStoreError once the life is over
 */
export async function fetchCheckpoint(
  context: IncarnationContext,
  manifest: CheckpointManifest,
): Promise<FetchedCheckpoint> {
  const begun = steadyNow();
  let tellAfter = TOLD_AFTER_MS;
  let damaged = 0;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(LAST_PAUSE_MS, 2 * wait)) {
    try {
      // The token may have been renewed since.
      return await fetchOnce({ gateway: context.start.gateway, signal: context.signal }, manifest);
    } catch (error) {
      if (error instanceof PackError) throw new RestoreError(error.message, { cause: error });
      if (!(error instanceof CheckpointStoreError) || context.isOver) throw error;
      const isGone = error.status === 404;
      const isDamaged = error.status === null && !error.passes;
      if (isDamaged) damaged += 1;
      if (isGone || damaged >= DAMAGED_TRIES) throw new RestoreError(error.message, { cause: error });
      log('checkpoint.download.failed', { sessionId: context.sessionId, error });
      if (!isDamaged && elapsedMs(begun) >= tellAfter) {
        tellAfter *= 10;
        const text = `The work will be restored as soon as its checkpoint can be read; the storage does not answer (${error.message.slice(0, 200)}).`;
        context.emit({ type: 'notice', text });
      }
      if (!isDamaged) await pause(wait, context.signal);
    }
  }
}

async function fetchOnce(access: GatewayAccess, manifest: CheckpointManifest): Promise<FetchedCheckpoint> {
  const { generation } = manifest;
  const [bundles, files, packs] = await Promise.all([
    Promise.all(manifest.worktree.bundles.map((object) => getObject(access, generation, object))),
    Promise.all(
      manifest.files.map(async (file) => ({ path: file.path, content: await wholeFile(access, generation, file) })),
    ),
    Promise.all((manifest.packs ?? []).map(async (pack) => unpackFiles(await getObject(access, generation, pack)))),
  ]);
  // A later pack's file replaces an earlier one's, and a file of its own is newer than any.
  const packed = new Map(packs.flat().map(({ path, content }) => [path, content]));
  for (const { path, content } of files) packed.set(path, content);
  return { manifest, bundles, files: [...packed].map(([path, content]) => ({ path, content })) };
}

async function wholeFile(access: GatewayAccess, generation: number, file: CheckpointFile): Promise<Buffer> {
  const parts = await Promise.all(
    file.parts.map(async (part) => {
      const content = await getObject(access, generation, part);
      return (await decompress(content, { maxOutputLength: MAX_FILE_BYTES })) as Buffer;
    }),
  );
  const content = Buffer.concat(parts);
  if (sha256(content) !== file.sha256) throw new RestoreError(`${file.path} is not what was stored`);
  return content;
}

/** Writes Claude's files below its configuration directory, in place of what may be there. */
export async function restoreFiles(context: IncarnationContext, files: FetchedCheckpoint['files']): Promise<void> {
  for (const { path, content } of files) {
    // The manifest's schema keeps it below `projects/`.
    const file = join(context.paths.claudeConfig, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, content, { mode: 0o600 });
  }
}

/**
 * Makes the worktree, which must not exist, as a clone of the mirror that was just brought up to date.
 * @param bundlePath file for a bundle on its way
 * @throws RestoreError where the git host has lost what the bundles build on
 */
export async function restoreWorktree(
  plan: WorkspacePlan,
  checkpoint: FetchedCheckpoint,
  bundlePath: string,
): Promise<void> {
  const { commit, index } = checkpoint.manifest.worktree;
  const worktree = inWorktree(plan);
  await rebuild(plan, checkpoint, bundlePath, 'files', async () => {
    const settings: [string, string][] = [
      ['checkout.workers', '0'],
      ['core.protectNTFS', 'false'],
      ['core.protectHFS', 'false'],
    ];
    const options: GitOptions = { ...worktree, settings, timeoutMs: CHECKOUT_TIMEOUT_MS };
    await git(['read-tree', '--reset', '-u', commit], options);
    await git(['read-tree', index], options);
    await gitSays(['update-index', '-q', '--refresh'], options);
  });
}

/**
 * Makes the repository of a worktree again whose files are there: commits, branches and what was staged are those of the
 * checkpoint, and no file is touched.
 * @throws RestoreError where the git host has lost what the bundles build on
 */
export async function restoreRepository(
  plan: WorkspacePlan,
  checkpoint: FetchedCheckpoint,
  bundlePath: string,
): Promise<void> {
  await rebuild(plan, checkpoint, bundlePath, 'commits', async () => {
    const options: GitOptions = { ...inWorktree(plan), timeoutMs: CHECKOUT_TIMEOUT_MS };
    // Not refreshed: that would read files, by whatever filter Claude may have set meanwhile.
    await git(['read-tree', checkpoint.manifest.worktree.index], options);
  });
}

/**
 * Makes the worktree's repository from a checkpoint: objects, HEAD and branches.
 * @param missing as for `makeClone`
 * @param fill makes the index and the files, once HEAD and the branches are set
 */
async function rebuild(
  plan: WorkspacePlan,
  { manifest, bundles }: FetchedCheckpoint,
  bundlePath: string,
  missing: Missing,
  fill: () => Promise<void>,
): Promise<void> {
  const { head, headRef, branchHead } = manifest.worktree;
  const worktree: GitOptions = { ...inWorktree(plan), timeoutMs: CHECKOUT_TIMEOUT_MS };
  const base = ['rev-parse', '--verify', `refs/remotes/origin/${plan.baseBranch}^{commit}`];
  // What the next bundle builds on must be reachable.
  const ref = 'refs/cyrus/restore';
  try {
    await makeClone(plan, (await git(base, inMirror(plan))).trim(), missing);
    for (const bundle of bundles) {
      await writeFile(bundlePath, bundle, { mode: 0o640 });
      const [found = ''] = (await unbundle(plan, worktree, bundlePath)).split(' ');
      await git(['update-ref', ref, found], worktree);
    }
    await git(['update-ref', `refs/heads/${plan.branch}`, branchHead], worktree);
    await standAt(worktree, plan, head, headRef);
    await restoreLargeObjects(plan, manifest.worktree.commit);
    await fill();
    await git(['update-ref', '-d', ref], worktree);
    await finishClone(plan);
  } catch (error) {
    if (!(error instanceof GitError) || error.timedOut || plan.signal.aborted) throw error;
    // Once the host is back, the checkpoint is as good as before.
    if (error.command === 'fetch' && remoteFailure(error) === 'network') {
      throw new HostAwayError(plan.fullName, 1, complaint(error));
    }
    throw new RestoreError(`the worktree could not be restored from its checkpoint: ${complaint(error)}`, {
      cause: error,
    });
  } finally {
    await rm(bundlePath, { force: true });
  }
}

/** Objects of Git LFS that were not on the host when the checkpoint was made: without them their pointers could not be pushed. */
async function restoreLargeObjects(plan: WorkspacePlan, commit: string): Promise<void> {
  const stores = plan.remote.lfs;
  if (!stores) return;
  const worktree: GitOptions = { ...inWorktree(plan), timeoutMs: CHECKOUT_TIMEOUT_MS };
  const parents = await git(['log', '--no-walk', '--format=%H %s', `${commit}^@`, '--'], worktree);
  const holder = parents.split('\n').find((line) => line.slice(line.indexOf(' ') + 1) === LFS_SUBJECT);
  if (holder === undefined) return;
  const listed = await git(['ls-tree', '-z', `${holder.split(' ')[0]}^{tree}`], worktree);
  for (const entry of listed.split('\0')) {
    const [, blob, oid] = /^100644 blob ([0-9a-f]{40})\t([0-9a-f]{64})$/.exec(entry) ?? [];
    if (blob === undefined || oid === undefined) continue;
    const part = join(await incomingFolder(stores.own), oid);
    const chunks: Buffer[] = [];
    await git(['cat-file', 'blob', blob], { ...worktree, maxBytes: MAX_FILE_BYTES, onData: (one) => chunks.push(one) });
    const content = Buffer.concat(chunks);
    if (sha256(content) !== oid) continue;
    await writeFile(part, content, { mode: 0o600 });
    await takeObject(stores.own, oid, part);
  }
}

/**
 * Takes a bundle's objects. What it builds on was on the host when it was made: the base branch, and where the work was too
 * large for that, or an earlier version made it, the session's branch. Where people have rewritten or deleted that since, the
 * host may still have the commits by their ids.
 */
async function unbundle(plan: WorkspacePlan, worktree: GitOptions, bundlePath: string): Promise<string> {
  const args = ['bundle', 'unbundle', bundlePath];
  try {
    return await git(args, worktree);
  } catch (error) {
    if (!(error instanceof GitError) || !error.stderr.includes('lacks these prerequisite commits')) throw error;
    const missing = error.stderr.match(/\b[0-9a-f]{40}\b/g) ?? [];
    log('checkpoint.commits.asked_by_id', { missing });
    await git(
      ['fetch', '--quiet', '--no-write-fetch-head', '--no-tags', '--update-shallow', plan.remote.url, ...missing],
      worktree,
    );
    return await git(args, worktree);
  }
}

/** HEAD where it was: on the session's branch, on another, or on none. */
async function standAt(worktree: GitOptions, plan: WorkspacePlan, head: string, headRef: string | null): Promise<void> {
  if (headRef === `refs/heads/${plan.branch}`) return;
  if (headRef === null || !(await mayMove(worktree, headRef, head))) {
    await git(['update-ref', '--no-deref', 'HEAD', head], worktree);
    return;
  }
  await git(['update-ref', headRef, head], worktree);
  await git(['symbolic-ref', 'HEAD', headRef], worktree);
}

/** A branch that is somebody else's here is left alone. */
async function mayMove(worktree: GitOptions, ref: string, head: string): Promise<boolean> {
  if (!ref.startsWith('refs/heads/')) return false;
  const found = await git(['rev-parse', '--verify', '--quiet', ref], worktree).catch(() => '');
  return found === '' || found.trim() === head;
}
