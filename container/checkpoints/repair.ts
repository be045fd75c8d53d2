/**
 * A worktree whose repository is gone while its files are there: Claude, or what it ran, has removed `.git` or begun another one.
 * The repository is made again as the last checkpoint has it; the files, which may be newer, stay as they are.
 */
import { join } from 'node:path';
import { rename, rm } from '../files/inside.ts';
import { CheckpointStoreError } from '../gateway/checkpoint-client.ts';
import { finishClone, isOfMirror, isUnfinishedClone, syncClone } from '../git/clone.ts';
import { GitError, git, tellsOfDamage } from '../git/git.ts';
import { HostAwayError } from '../git/host-patience.ts';
import { killedGitIn } from '../git/killed-git.ts';
import { withLock } from '../git/mirror.ts';
import { inWorktree } from '../git/workspace-plan.ts';
import { log } from '../log.ts';
import { exists } from '../paths.ts';
import type { IncarnationContext } from '../session/context.ts';
import { lastCheckpoint } from './last-checkpoint.ts';
import { fetchCheckpoint, RestoreError, restoreRepository } from './restore.ts';

/**
 * Makes the repository again where it is broken.
 * @param isSuspect something of it could not be read: then it is broken as well where objects of the work are missing or damaged
 * @returns whether it was: false if nothing is wrong, or there is no checkpoint to make it from
 * @throws GitError if git cannot tell: it was killed, or had no memory
 */
export async function repairRepository(context: IncarnationContext, isSuspect = false): Promise<boolean> {
  const { plan, paths } = context;
  const broken = join(plan.worktree, '.git');
  const aside = join(paths.dir, 'git.aside');
  return await withLock(paths.worktree, async () => {
    if (context.isOver || !(await exists(plan.worktree))) return false;
    const isGone = await isBroken(context);
    if (!isGone && !(isSuspect && (await lacksObjects(context)))) return false;
    const manifest = await lastCheckpoint(paths);
    if (!manifest) return false;
    try {
      const checkpoint = await fetchCheckpoint(context, manifest);
      await withLock(plan.mirror, async () => {
        // What a server that was killed left half made is nobody's; what it was to replace is aside already.
        if (await isUnfinishedClone(plan)) await rm(broken, { recursive: true, force: true });
        else {
          await rm(aside, { recursive: true, force: true });
          if (await exists(broken)) await rename(broken, aside);
        }
        await restoreRepository(plan, checkpoint, paths.bundle);
      });
    } catch (error) {
      const known = [GitError, RestoreError, CheckpointStoreError, HostAwayError];
      if (!known.some((kind) => error instanceof kind)) throw error;
      const killed = killedGitIn(error);
      if (!context.isOver && (await isUnfinishedClone(plan))) {
        // No later attempt can do better: the work continues from what is there.
        if (error instanceof RestoreError && killed === null) await finishClone(plan);
        else {
          // A later one can: until then it is as broken as before, and nobody takes what is half made for the work.
          await rm(broken, { recursive: true, force: true });
          if (await exists(aside)) await rename(aside, broken);
        }
      }
      if (!context.isOver) log('checkpoint.repair.failed', { sessionId: context.sessionId, error });
      if (killed !== null) throw killed;
      return false;
    }
    const state = isGone ? 'missing' : 'damaged';
    const text = `The repository in the worktree (.git) was ${state}. Cyrus recreated it from the last checkpoint; the files are unchanged. Other local branches and stashes were not kept.`;
    context.emit({ type: 'notice', text });
    return true;
  });
}

/** Another repository than the session's, one that is half made, or none. One that merely lacks what it knew of the host gets that again. */
async function isBroken(context: IncarnationContext): Promise<boolean> {
  const { plan } = context;
  const resolves = (name: string) =>
    git(['rev-parse', '--verify', '--quiet', `${name}^{commit}`], inWorktree(plan)).then(
      () => true,
      (error: unknown) => {
        // With 1 it says that the name leads to no commit.
        if (error instanceof GitError && !context.isOver && (error.code === 1 || tellsOfDamage(error))) return false;
        throw error;
      },
    );
  if ((await isUnfinishedClone(plan)) || !(await resolves('HEAD'))) return true;
  if (await resolves(`refs/remotes/origin/${plan.baseBranch}`)) return false;
  if (!(await isOfMirror(plan))) return true;
  await withLock(plan.mirror, () => syncClone(plan, false));
  return false;
}

const LOOK_TIMEOUT_MS = 60_000;

/** Whether an object of the work is not there or cannot be read: of HEAD's own files and the base's, or of a commit that no fetched branch has. */
async function lacksObjects(context: IncarnationContext): Promise<boolean> {
  const { plan } = context;
  const options = { ...inWorktree(plan), timeoutMs: LOOK_TIMEOUT_MS };
  const walks = [
    ['--no-walk', 'HEAD', `refs/remotes/origin/${plan.baseBranch}`],
    ['HEAD', '--not', '--remotes=origin'],
  ];
  for (const walk of walks) {
    try {
      await git(['rev-list', '--objects', '--quiet', ...walk], options);
    } catch (error) {
      if (!(error instanceof GitError) || context.isOver) throw error;
      return tellsOfDamage(error);
    }
  }
  return false;
}
