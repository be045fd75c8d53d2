/** What a working copy is made of, for everyone who has to do with it. */

import type { CommitHook } from '../hooks/repository-hooks.ts';
import type { GitOptions, GitRemote } from './git.ts';
import type { Waiting } from './host-patience.ts';

/** What a working copy is made of. */
export interface WorkspacePlan {
  /** `<root>/mirrors/<identity>/<owner>/<name>.git` */
  mirror: string;
  worktree: string;
  fullName: string;
  /** See `identity` of a start; null: not told. */
  identity: string | null;
  baseBranch: string;
  branch: string;
  remote: GitRemote;
  /** File for a bundle on its way out of the cache. */
  bundlePath: string;
  signal: AbortSignal;
  /** How a start waits for a git host that is away; left out: it does not. */
  waiting?: Waiting;
  /** Most content of Git LFS that a checkout fetches, in bytes; left out: 1 GiB. */
  lfsLimitBytes?: number;
  /** Message of the commit that holds what Claude left uncommitted. */
  commitMessage?: (branch: string) => string;
  /** Runs one of the repository's commit hooks; left out if they are not to run. */
  runHook?: (hook: CommitHook, args: string[]) => Promise<HookOutcome>;
}

/** What became of a hook; `output`: the end of what it printed. */
export interface HookOutcome {
  ok: boolean;
  output: string;
}

/** Where and how git works on the mirror. */
export function inMirror(plan: WorkspacePlan): GitOptions {
  return { cwd: plan.mirror, remote: plan.remote, signal: plan.signal };
}

/** The same for the worktree. */
export function inWorktree(plan: WorkspacePlan): GitOptions {
  return { cwd: plan.worktree, remote: plan.remote, signal: plan.signal };
}
