/**
 * Takes up what other people did to the session's branch: their commits come into the worktree, a branch that was merged
 * or deleted begins again from the base, and where history was rewritten or a merge conflicts nothing is moved and Claude
 * is told. Nothing here removes a commit of anybody's from the git host.
 */
import { complaint, GitError, type GitOptions, git, gitSays, withoutFilters } from '../git/git.ts';
import {
  askHost,
  commitAt,
  commitsBeyond,
  contains,
  distanceToBase,
  foreignCommits,
  type HostTips,
  isInBase,
  named,
} from '../git/host-branch.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';

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

/** The state of the branch after what happened outside was taken up. */
export interface Meeting {
  tips: HostTips;
  /** What happened, in sentences for people and Claude. */
  news: string[];
  /** Why the work must not be pushed as it is, and what Claude can do about it; null: it may be. */
  blocked: string | null;
}

const MERGE_TIMEOUT_MS = 5 * 60_000;
const MAX_CONFLICTS = 20;
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

/** Commits that somebody took off the base, and that the branch would bring back. @returns a sentence, or nothing */
async function rewrittenBase(
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

/** A commit with the base's files and both histories. */
async function joinHistories(options: GitOptions, branch: string, base: string, message: string): Promise<string> {
  return (await git(['commit-tree', `${base}^{tree}`, '-p', branch, '-p', base, '-m', message], options)).trim();
}

/** Puts the worktree onto another commit, with what HEAD has beyond `from`; as it was where that does not work. */
async function beginAgain(
  plan: WorkspacePlan,
  from: string,
  onto: string,
  head: string,
): Promise<{ carried: number } | { problem: string }> {
  const options: GitOptions = { ...inWorktree(plan), timeoutMs: MERGE_TIMEOUT_MS };
  const mine = await commitsBeyond(options, head, [from, onto]);
  if (mine.length === 0) {
    const problem = await standOn(plan, onto);
    return problem === null ? { carried: 0 } : { problem };
  }
  const settings = await withoutFilters(options);
  try {
    const args = ['rebase', '--quiet', '--no-verify', '--no-autostash', '--no-autosquash', '--onto', onto, from];
    await git(args, { ...options, settings });
    await bringBranchAlong(plan, head);
    return { carried: mine.length };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const conflicts = await conflictingFiles(options);
    await git(['rebase', '--abort'], { ...options, settings }).catch(() => {});
    return { problem: conflictText(conflicts, error) };
  }
}

/**
 * Where Claude works beside the session's branch, a rebase moves HEAD alone: the branch, which HEAD held all of, would stay behind on the
 * history that was left, and look like other work.
 * @param head where HEAD was before
 */
async function bringBranchAlong(plan: WorkspacePlan, head: string): Promise<void> {
  const options = inWorktree(plan);
  const ref = `refs/heads/${plan.branch}`;
  const branch = await commitAt(options, ref);
  const now = await commitAt(options, 'HEAD');
  if (branch === null || now === null || branch === now || !(await contains(options, head, branch))) return;
  await git(['update-ref', ref, now, branch], options);
}

/** Checks a commit out on the session's branch. @returns why it could not; what is not committed is never overwritten */
async function standOn(plan: WorkspacePlan, commit: string): Promise<string | null> {
  const options: GitOptions = { ...inWorktree(plan), timeoutMs: MERGE_TIMEOUT_MS };
  const settings = await withoutFilters(options);
  try {
    await git(['checkout', '--quiet', '--no-track', '-B', plan.branch, commit], { ...options, settings });
    return null;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    try {
      // A branch of Claude's may stand in the way of the name.
      await git(['checkout', '--quiet', '--detach', commit], { ...options, settings });
      return null;
    } catch (again) {
      if (!(again instanceof GitError)) throw again;
      return complaint(again);
    }
  }
}

/** Merges a commit into HEAD. @returns why not, with the worktree as it was; null: done */
export async function mergeIn(plan: WorkspacePlan, commit: string, message: string): Promise<string | null> {
  const options: GitOptions = { ...inWorktree(plan), timeoutMs: MERGE_TIMEOUT_MS };
  const settings = await withoutFilters(options);
  const args = ['merge', '--quiet', '--no-verify', '--no-edit', '--no-autostash', '-m', message, commit];
  try {
    await git(args, { ...options, settings });
    return null;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const conflicts = await conflictingFiles(options);
    await git(['merge', '--abort'], { ...options, settings }).catch(() => {});
    return conflictText(conflicts, error);
  }
}

async function conflictingFiles(options: GitOptions): Promise<string[]> {
  const listed = await git(['diff', '--name-only', '--diff-filter=U', '-z'], options).catch(() => '');
  return listed.split('\0').filter((path) => path !== '');
}

function conflictText(conflicts: string[], error: GitError): string {
  if (conflicts.length === 0) return complaint(error);
  const more = conflicts.length > MAX_CONFLICTS ? ` and ${conflicts.length - MAX_CONFLICTS} more` : '';
  return `conflicts in ${conflicts.slice(0, MAX_CONFLICTS).join(', ')}${more}`;
}

async function isClean(options: GitOptions): Promise<boolean> {
  return await gitSays(
    ['diff', '--quiet', '--no-ext-diff', '--no-textconv', '--ignore-submodules=all', 'HEAD'],
    options,
  );
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
  const more = conflicts.length > MAX_CONFLICTS ? ` and ${conflicts.length - MAX_CONFLICTS} more` : '';
  return `; merging it would conflict in ${conflicts.slice(0, MAX_CONFLICTS).join(', ')}${more}`;
}
