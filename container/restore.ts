/**
 * Bringing back what a checkpoint holds, on a disk that has none of it: Claude's files where the CLI looks for them, and
 * the worktree with its branch, what was staged, and what was neither staged nor committed.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { CheckpointFile, CheckpointManifest } from '../src/protocol/checkpoint.ts';
import { CheckpointStoreError, getObject, sha256 } from './checkpoint-store.ts';
import { makeClone } from './clone.ts';
import type { GatewayAccess } from './gateway-request.ts';
import { complaint, GitError, type GitOptions, git, gitSays } from './git.ts';
import type { LifeContext } from './life-context.ts';
import { inMirror, inWorktree, type WorkspacePlan } from './workspace-plan.ts';

const decompress = promisify(gunzip);
/** Against parts that unpack to more than the disk holds. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** Work is not given up because the gateway is away for some minutes. */
const FETCH_PATIENCE_MS = 5 * 60_000;
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
 * Fetches a checkpoint through the gateway; nothing is written yet.
 * @throws RestoreError where it is incomplete; CheckpointStoreError where the gateway stays away
 */
export async function fetchCheckpoint(context: LifeContext, manifest: CheckpointManifest): Promise<FetchedCheckpoint> {
  const access: GatewayAccess = { gateway: context.start.gateway, signal: context.signal };
  const deadline = Date.now() + FETCH_PATIENCE_MS;
  for (;;) {
    try {
      return await fetchOnce(access, manifest);
    } catch (error) {
      if (!(error instanceof CheckpointStoreError)) throw error;
      if (!error.passes) throw new RestoreError(error.message, { cause: error });
      if (context.isOver || Date.now() > deadline) throw error;
    }
  }
}

async function fetchOnce(access: GatewayAccess, manifest: CheckpointManifest): Promise<FetchedCheckpoint> {
  const { generation } = manifest;
  const [bundles, files] = await Promise.all([
    Promise.all(manifest.worktree.bundles.map((object) => getObject(access, generation, object))),
    Promise.all(
      manifest.files.map(async (file) => ({ path: file.path, content: await wholeFile(access, generation, file) })),
    ),
  ]);
  return { manifest, bundles, files };
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
export async function restoreFiles(context: LifeContext, files: FetchedCheckpoint['files']): Promise<void> {
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
  await rebuild(plan, checkpoint, bundlePath, async () => {
    const options: GitOptions = { ...worktree, settings: [['checkout.workers', '0']], timeoutMs: CHECKOUT_TIMEOUT_MS };
    await git(['read-tree', '--reset', '-u', commit], options);
    await git(['read-tree', index], options);
    await gitSays(['update-index', '-q', '--refresh'], options);
  });
}

/** @param fill what is done once HEAD and the branches stand */
async function rebuild(
  plan: WorkspacePlan,
  { manifest, bundles }: FetchedCheckpoint,
  bundlePath: string,
  fill: () => Promise<void>,
): Promise<void> {
  const { head, headRef, branchHead } = manifest.worktree;
  const worktree: GitOptions = { ...inWorktree(plan), timeoutMs: CHECKOUT_TIMEOUT_MS };
  const base = ['rev-parse', '--verify', `refs/remotes/origin/${plan.baseBranch}^{commit}`];
  // What the next bundle builds on must be reachable.
  const ref = 'refs/cyrus/restore';
  try {
    await makeClone(plan, (await git(base, inMirror(plan))).trim());
    for (const bundle of bundles) {
      await writeFile(bundlePath, bundle, { mode: 0o600 });
      const [found = ''] = (await git(['bundle', 'unbundle', bundlePath], worktree)).split(' ');
      await git(['update-ref', ref, found], worktree);
    }
    await git(['update-ref', `refs/heads/${plan.branch}`, branchHead], worktree);
    await standAt(worktree, plan, head, headRef);
    await fill();
    await git(['update-ref', '-d', ref], worktree);
  } catch (error) {
    if (!(error instanceof GitError) || error.timedOut || plan.signal.aborted) throw error;
    throw new RestoreError(`the worktree could not be made from its checkpoint: ${complaint(error)}`, { cause: error });
  } finally {
    await rm(bundlePath, { force: true });
  }
}

/** HEAD where it stood: on the session's branch, on another, or on none. */
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
