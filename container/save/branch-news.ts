/** What the session remembers of its branch on the host, and the texts that tell Claude and people about the base branch and the pull request. */
import { git } from '../git/git.ts';
import { commitAt, commitsBeyond, contains, distanceToBase, type HostTips, named } from '../git/host-branch.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';

const MAX_CONFLICTS = 20;

/** What the session knows of its branch on the host; kept in its record. */
export interface BranchMemory {
  /** Commit that the session last put there or took up from there; null: nothing of it is there. Left out: not known yet. */
  tip?: string | null;
  /** The tip and the base's tip that were compared last, and found not to be merged. */
  unmerged?: string;
  /** Commit of other people's that the worktree was put onto last: what it holds is not counted as Claude's. */
  taken?: string;
  /** The base's name and tip as they were seen last. */
  base?: string;
  /** Tips of other local branches and of stashes that people were told of. */
  beside?: string[];
}

/** What Cyrus knows of the branch's pull request. */
export interface PullRequestNote {
  number: number;
  state: 'open' | 'closed' | 'merged';
  /** Commit that it proposes, or proposed last. */
  head: string;
  /** The branch that it is, or was, to be merged into. */
  base: string;
}

/** What Claude is told of a pull request that is over; null if it is open. */
export function pullRequestNews({ number, state, base }: PullRequestNote): string | null {
  switch (state) {
    case 'open':
      return null;
    case 'merged':
      return `Pull request #${number} of this branch was merged into ${base}. What you change from now on goes into a new pull request.`;
    case 'closed':
      return `Pull request #${number} of this branch was closed without being merged. Read in the issue and its comments why before you continue the same way, and ask if it is not clear; what you change from now on goes into a new pull request.`;
  }
}

/** Commits that somebody took off the base, and that the branch would bring back. @returns a sentence, or nothing */
export async function rewrittenBase(
  plan: WorkspacePlan,
  memory: BranchMemory,
  { base }: HostTips,
  head: string,
): Promise<string[]> {
  const options = inWorktree(plan);
  const { baseBranch, branch } = plan;
  if (base === null) return [];
  const [name, before] = memory.base?.split(' ') ?? [];
  memory.base = `${baseBranch} ${base}`;
  if (before === undefined || name !== baseBranch || (await contains(options, base, before))) return [];
  const fork = await git(['merge-base', before, head], options).catch(() => '');
  const gone = fork === '' ? [] : await commitsBeyond(options, fork.trim(), [base]);
  if (gone.length === 0) return [];
  // What is on the host already leaves the branch by no force: it is undone there.
  const way =
    memory.tip === null
      ? `rebase onto the base as it is now (git rebase --onto origin/${baseBranch} ${fork.trim().slice(0, 10)})`
      : 'undo them on the branch (git revert); do not rewrite it';
  return [
    `The history of ${baseBranch} was rewritten on the git host: it was at ${before.slice(0, 10)}, and is at ${base.slice(0, 10)} now. ${branch} still has commits that are no longer on ${baseBranch}: ${named(gone)}. A pull request would bring them back. Unless the people of the issue want that, ${way}.`,
  ];
}

/** What Claude should know of the base before it begins; null if there is nothing. */
export async function baseNews(plan: WorkspacePlan, tips: HostTips): Promise<string | null> {
  const { base } = tips;
  const head = await commitAt(inWorktree(plan), 'HEAD');
  if (base === null || head === null) return null;
  const { behind, conflicts } = await distanceToBase(plan, head, base);
  if (behind === 0) return null;
  const commits = behind === 1 ? 'one commit' : `${behind} commits`;
  const files = conflictList(conflicts);
  return `The branch is ${commits} behind origin/${plan.baseBranch} (${base.slice(0, 10)}, fetched just now)${files}.`;
}

function conflictList(conflicts: string[]): string {
  if (conflicts.length === 0) return ', and would merge without conflicts';
  return `; merging it would conflict in ${listedConflicts(conflicts)}`;
}

/** Files in conflict, 20 at most by name. */
export function listedConflicts(conflicts: readonly string[]): string {
  const more = conflicts.length > MAX_CONFLICTS ? ` and ${conflicts.length - MAX_CONFLICTS} more` : '';
  return `${conflicts.slice(0, MAX_CONFLICTS).join(', ')}${more}`;
}
