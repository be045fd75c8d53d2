/**
 * Takes up what other people did to the session's branch: their commits come into the worktree, a branch that was merged
 * or deleted begins again from the base, and where history was rewritten or a merge conflicts nothing is moved and Claude
 * is told. Nothing here removes a commit of anybody's from the git host.
 */
import {
  askHost,
  commitAt,
  commitsBeyond,
  contains,
  foreignCommits,
  type HostTips,
  isInBase,
  named,
} from '../git/host-branch.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { type BranchMemory, type PullRequestNote, rewrittenBase } from './branch-news.ts';
import { beginAgain, isClean, joinHistories, mergeIn, standOn } from './worktree-moves.ts';

/** The state of the branch after what happened outside was taken up. */
export interface Meeting {
  tips: HostTips;
  /** What happened, in sentences for people and Claude. */
  news: string[];
  /** Why the work must not be pushed as it is, and what Claude can do about it; null: it may be. */
  blocked: string | null;
}

/** One push of the session's own may end while the host is asked; so many in a row do not. */
const MAX_ASKED = 4;

/**
 * Looks at the host and takes up what happened there. To be called while nobody else works in the worktree.
 * @param memory brought up to date
 * @returns null if the host cannot be asked now: nothing was moved
 * @throws GitError if not even the worktree can be read
 */
export async function takeUpOutside(
  plan: WorkspacePlan,
  memory: BranchMemory,
  pullRequest: PullRequestNote | null = null,
): Promise<Meeting | null> {
  const head = await commitAt(inWorktree(plan), 'HEAD');
  if (head === null) return null;
  const tips = await askBetweenPushes(plan, memory);
  if (!tips) return null;
  // Seen for the first time: what is there is what the worktree was made from.
  if (memory.tip === undefined) memory.tip = tips.branch;
  const ofBase = await rewrittenBase(plan, memory, tips, head);
  const first = await meet(plan, memory, tips, head, pullRequest);
  if (first.blocked !== null || first.news.length === 0 || tips.branch === null)
    return { ...first, news: [...ofBase, ...first.news] };
  // What was pushed may have been merged into the base as well.
  const now = await commitAt(inWorktree(plan), 'HEAD');
  const second = await meet(plan, memory, tips, now ?? head, pullRequest);
  return { ...second, news: [...ofBase, ...first.news, ...second.news] };
}

/**
 * Asks the host while no push of the session's own ends: what the host said before such a push, compared with what is
 * remembered since, would look like somebody else's deletion or rewrite.
 */
async function askBetweenPushes(plan: WorkspacePlan, memory: BranchMemory): Promise<HostTips | null> {
  for (let attempt = 1; attempt <= MAX_ASKED; attempt++) {
    const { tip } = memory;
    const tips = await askHost(plan);
    if (tips === null || memory.tip === tip) return tips;
  }
  return null;
}

async function meet(
  plan: WorkspacePlan,
  memory: BranchMemory,
  tips: HostTips,
  head: string,
  pullRequest: PullRequestNote | null,
): Promise<Meeting> {
  const options = inWorktree(plan);
  const before = memory.tip ?? null;
  const { base, branch } = tips;
  const nothing: Meeting = { tips, news: [], blocked: null };
  if (branch === null) {
    if (before === null || base === null) return nothing;
    return await afterDeletion(plan, memory, tips, { before, base, head });
  }
  // Nobody but this session has touched it since.
  if (branch === before || (await isOwnDoing(plan, { before, branch, head }))) {
    memory.tip = branch;
    if (base === null || !(await contains(options, head, branch))) return nothing;
    // It continues from the base already.
    if (await contains(options, head, base)) return nothing;
    if (!(await isMergedIntoBase(plan, memory, { branch, base, pullRequest }))) return nothing;
    return await afterMerge(plan, memory, tips, { branch, base, head });
  }
  if (before === null) {
    return {
      ...nothing,
      blocked: `Somebody else created a branch ${plan.branch} on the git host in the meantime. Their branch was not touched, and the work here is not pushed: ask the people of the issue whether it may go there (merge origin/${plan.branch} then).`,
    };
  }
  if (!(await contains(options, branch, before))) {
    return await afterRewrite(plan, memory, tips, { before, branch, head });
  }
  return await afterPush(plan, memory, tips, { before, branch, head });
}

/** Claude pushes by itself too: then HEAD has what is there, or the host has only the session's own commits beside it. */
async function isOwnDoing(
  plan: WorkspacePlan,
  { before, branch, head }: { before: string | null; branch: string; head: string },
): Promise<boolean> {
  const options = inWorktree(plan);
  if (before === null) return await contains(options, head, branch);
  // HEAD still has what was there, and the host does not: somebody else took it away.
  if (await contains(options, head, before)) {
    return (await contains(options, branch, before)) && (await contains(options, head, branch));
  }
  return (await foreignCommits(plan, branch, head)).length === 0;
}

/** Whether the base has all of the branch, which lacks something of the base. */
async function isMergedIntoBase(
  plan: WorkspacePlan,
  memory: BranchMemory,
  { branch, base, pullRequest }: { branch: string; base: string; pullRequest: PullRequestNote | null },
): Promise<boolean> {
  if (await contains(inWorktree(plan), branch, base)) return false;
  // Merged as it is, however: what was pushed after the merge is not in the base.
  const isMerged = pullRequest?.state === 'merged' && pullRequest.base === plan.baseBranch;
  if (isMerged && (await contains(inWorktree(plan), pullRequest.head, branch))) return true;
  const pair = `${branch} ${base}`;
  if (memory.unmerged === pair) return false;
  if (await isInBase(plan, branch, base)) return true;
  memory.unmerged = pair;
  return false;
}

/** Somebody pushed: their commits come into the worktree. */
async function afterPush(
  plan: WorkspacePlan,
  memory: BranchMemory,
  tips: HostTips,
  { before, branch, head }: { before: string; branch: string; head: string },
): Promise<Meeting> {
  const options = inWorktree(plan);
  const theirs = await commitsBeyond(options, branch, [head, before]);
  const what = theirs.length === 0 ? 'commits' : named(theirs);
  const problem = await mergeIn(plan, branch, `Merge what was pushed to ${plan.branch}`);
  if (problem !== null) {
    return {
      tips,
      news: [],
      blocked: `Other people pushed to ${plan.branch} (${what}), and their commits cannot be merged with the work here: ${problem}. Nothing of theirs was touched, and the work here is not pushed. Merge origin/${plan.branch} and resolve the conflicts; never force the push.`,
    };
  }
  memory.tip = branch;
  memory.taken = branch;
  return {
    tips,
    news: [`Other people pushed to ${plan.branch}; the worktree has their commits now: ${what}.`],
    blocked: null,
  };
}

/** Somebody took commits off the branch that the session had put there or built on. */
async function afterRewrite(
  plan: WorkspacePlan,
  memory: BranchMemory,
  tips: HostTips,
  { before, branch, head }: { before: string; branch: string; head: string },
): Promise<Meeting> {
  const options = inWorktree(plan);
  const gone = await commitsBeyond(options, head, tips.base === null ? [branch] : [branch, tips.base]);
  const rewritten = `The history of ${plan.branch} was rewritten on the git host by somebody else: it was at ${before.slice(0, 10)}, and is at ${branch.slice(0, 10)} now`;
  // Nothing here that was not there: the worktree follows.
  if (head === before && (await isClean(options)) && (await standOn(plan, branch)) === null) {
    memory.tip = branch;
    memory.taken = branch;
    const missing = gone.length === 0 ? '' : ` No longer on the branch: ${named(gone)}.`;
    return { tips, news: [`${rewritten}. The worktree follows it.${missing}`], blocked: null };
  }
  return {
    tips,
    news: [],
    blocked: `${rewritten}. The work here builds on the old history and was not pushed; here and not on the host: ${named(gone) || 'nothing'}. Do not force it: rebase what you want to keep onto origin/${plan.branch} (git rebase --onto origin/${plan.branch} ${before.slice(0, 10)}), or ask the people of the issue what they want if it is not clear.`,
  };
}

/** The branch is gone from the host: it begins again from the base, with what was not there yet. */
async function afterDeletion(
  plan: WorkspacePlan,
  memory: BranchMemory,
  tips: HostTips,
  { before, base, head }: { before: string; base: string; head: string },
): Promise<Meeting> {
  const options = inWorktree(plan);
  const isMerged = await isInBase(plan, before, base);
  const lost = isMerged ? [] : await commitsBeyond(options, before, [base]);
  const why = isMerged
    ? `${plan.branch} was merged into ${plan.baseBranch} and deleted on the git host`
    : `${plan.branch} was deleted on the git host by somebody else`;
  // Claude has begun it again by itself.
  if (!(await contains(options, head, before))) {
    memory.tip = null;
    return { tips, news: [`${why}.`], blocked: null };
  }
  const kept =
    lost.length === 0
      ? ''
      : ` Commits of it that ${plan.baseBranch} does not have under these names: ${named(lost)}; git cherry-pick brings one back.`;
  const begun = await beginAgain(plan, before, base, head);
  if ('problem' in begun) {
    return { tips, news: [], blocked: `${why}. ${cannotBeginAgain(plan, before, begun.problem)}${kept}` };
  }
  memory.tip = null;
  memory.taken = base;
  return {
    tips,
    news: [`${why}. It starts again from ${plan.baseBranch}${carried(begun.carried)}.${kept}`],
    blocked: null,
  };
}

/** The base has all of the branch, which is still there: what comes next builds on the base. */
async function afterMerge(
  plan: WorkspacePlan,
  memory: BranchMemory,
  tips: HostTips,
  { branch, base, head }: { branch: string; base: string; head: string },
): Promise<Meeting> {
  const options = inWorktree(plan);
  const why = `${plan.branch} was merged into ${plan.baseBranch}`;
  // Other people's commits stay in its history, so that nothing of theirs is replaced; the files are the base's.
  const isTheirs = (await foreignCommits(plan, branch, base)).length > 0;
  const onto = isTheirs
    ? await joinHistories(options, branch, base, `Merge ${plan.baseBranch}, which has all of ${plan.branch}`)
    : base;
  const begun = await beginAgain(plan, branch, onto, head);
  if ('problem' in begun) {
    return { tips, news: [], blocked: `${why}. ${cannotBeginAgain(plan, branch, begun.problem)}` };
  }
  memory.tip = branch;
  memory.taken = onto;
  return {
    tips,
    news: [`${why}. The work continues from ${plan.baseBranch}${carried(begun.carried)}.`],
    blocked: null,
  };
}

function cannotBeginAgain(plan: WorkspacePlan, before: string, problem: string): string {
  return `The work since then cannot continue from ${plan.baseBranch} automatically: ${problem}. It is here and not pushed. Rebase it (git rebase --onto origin/${plan.baseBranch} ${before.slice(0, 10)}) and resolve the conflicts.`;
}

function carried(count: number): string {
  if (count === 0) return '';
  return count === 1 ? ', with the one commit that was not there' : `, with the ${count} commits that were not there`;
}
