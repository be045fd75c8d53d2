/** Work of Claude's that no push takes along: commits on other branches of the clone, and what is stashed. */
import { GitError, type GitOptions, git, gitSays } from '../git/git.ts';
import { commitsBeyond, type ForeignCommit, foreignCommits, named } from '../git/host-branch.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { log } from '../log.ts';

export interface LeftBehind {
  /** Tip of the branch, or the stash; `REST` stands for what was not looked at. */
  tip: string;
  /** For people and Claude. */
  sentence: string;
}

const COMPARE_TIMEOUT_MS = 20_000;
/** So long, in ms, a save is held for this in all: it comes before the push, and in a large clone each comparison may take its time. */
const LIMIT_MS = 30_000;
/** Branches and stashes that are looked at; a clone of one session has few. */
const MAX_LOOKED_AT = 20;
/** Commits of the work whose content is compared with a branch's. */
const MAX_COMPARED = 300;
/** Many names would not fit on a command line. */
const MAX_PATHS = 200;

/** What was not looked at, because it is too much. */
const REST: LeftBehind = {
  tip: 'rest',
  sentence:
    'There are more local branches or stashes in the clone than Cyrus can look through. What they hold beside the work is not pushed, and nobody else gets it.',
};

/**
 * @param head the commit that is pushed
 * @param limitMs how long it may take; one entry says that the rest was not looked at
 * @throws GitError when the clone's branches cannot be listed
 */
export async function leftBehind(plan: WorkspacePlan, head: string, limitMs = LIMIT_MS): Promise<LeftBehind[]> {
  const limit = AbortSignal.timeout(limitMs);
  const found: LeftBehind[] = [];
  try {
    const bounded = { ...plan, signal: AbortSignal.any([plan.signal, limit]) };
    const isAll = await look(bounded, head, found);
    return isAll ? found : [...found, REST];
  } catch (error) {
    if (!(error instanceof GitError) || !limit.aborted || plan.signal.aborted) throw error;
    log('save.left_behind.incomplete', { error });
    return [...found, REST];
  }
}

/** @returns whether all of it was looked at */
async function look(plan: WorkspacePlan, head: string, found: LeftBehind[]): Promise<boolean> {
  const options: GitOptions = { ...inWorktree(plan), timeoutMs: COMPARE_TIMEOUT_MS };
  const args = ['for-each-ref', `--no-merged=${head}`, '--format=%(objectname) %(refname)', 'refs/heads'];
  const refs = (await git(args, options)).split('\n').filter((line) => line !== '');
  const on = await unlessEmpty(
    options,
    git(['symbolic-ref', '--quiet', 'HEAD'], options).then((ref) => [ref.trim()]),
  );
  for (const line of refs.slice(0, MAX_LOOKED_AT)) {
    const space = line.indexOf(' ');
    const [tip, ref] = [line.slice(0, space), line.slice(space + 1)];
    // What HEAD is on is the work itself, or was named when it could not be merged.
    if (ref === `refs/heads/${plan.branch}` || on.includes(ref)) continue;
    const commits = await unlessEmpty(options, commitsOnlyOn(plan, options, tip, head));
    if (commits.length === 0) continue;
    const name = ref.slice('refs/heads/'.length);
    const are = commits.length === 1 ? 'is a commit' : 'are commits';
    found.push({
      tip,
      sentence: `On the local branch ${name} there ${are} that ${plan.branch} does not have, and that nobody else gets: ${named(commits)}. Merge or cherry-pick what belongs to the work; delete the branch if nothing does.`,
    });
  }
  const stashed = await stashes(options);
  for (const { tip, subject } of stashed.slice(0, MAX_LOOKED_AT)) {
    if (await isAppliedIn(options, tip, head)) continue;
    found.push({
      tip,
      sentence: `Changes are stashed and were not committed (${subject}). Apply what belongs to the work (git stash pop); drop it if nothing does (git stash drop).`,
    });
  }
  return refs.length <= MAX_LOOKED_AT && stashed.length <= MAX_LOOKED_AT;
}

/** Commits of a branch that neither the work nor the host has, in content either: a branch kept before a rebase holds nothing else. */
async function commitsOnlyOn(
  plan: WorkspacePlan,
  options: GitOptions,
  tip: string,
  head: string,
): Promise<ForeignCommit[]> {
  const commits = await commitsBeyond(options, tip, [head, '--remotes=origin']);
  if (commits.length === 0) return [];
  const [tree, trees, marks] = await Promise.all([
    git(['rev-parse', `${tip}^{tree}`], options),
    git(['log', '--format=%T', `--max-count=${MAX_COMPARED}`, head, `^${tip}`, '--'], options),
    git(['cherry', head, tip], options),
  ]);
  if (trees.split('\n').includes(tree.trim())) return [];
  const other = new Set(marks.split('\n').flatMap((mark) => (mark.startsWith('+ ') ? [mark.slice(2)] : [])));
  // What was fetched, as a pull request of somebody's or a base of before, is no work that was done here.
  const theirs = new Set((await foreignCommits(plan, tip, head)).map(({ sha }) => sha));
  return commits.filter(({ sha }) => other.has(sha) && !theirs.has(sha));
}

async function stashes(options: GitOptions): Promise<{ tip: string; subject: string }[]> {
  if (!(await gitSays(['show-ref', '--quiet', '--verify', 'refs/stash'], options))) return [];
  const args = ['log', '--walk-reflogs', `--max-count=${MAX_LOOKED_AT + 1}`, '--format=%H %gs', 'refs/stash', '--'];
  const listed = await unlessEmpty(
    options,
    git(args, options).then((text) => text.split('\n').filter((line) => line !== '')),
  );
  return listed.map((line) => ({ tip: line.slice(0, line.indexOf(' ')), subject: line.slice(line.indexOf(' ') + 1) }));
}

/** Whether the work has what a stash holds: its changes, and the new files in its third parent. */
async function isAppliedIn(options: GitOptions, stash: string, head: string): Promise<boolean> {
  for (const [from, to] of [
    [`${stash}^1`, stash],
    [null, `${stash}^3`],
  ] as const) {
    if (from === null && !(await gitSays(['rev-parse', '--quiet', '--verify', to], options))) continue;
    const args = from === null ? ['ls-tree', '-r', '--name-only', '-z', to] : ['diff', '--name-only', '-z', from, to];
    const paths = (await git(args, options)).split('\0').filter((path) => path !== '');
    if (paths.length === 0) continue;
    if (paths.length > MAX_PATHS) return false;
    const specs = paths.map((path) => `:(top,literal)${path}`);
    if (!(await gitSays(['diff', '--quiet', '--no-ext-diff', '--no-textconv', to, head, '--', ...specs], options)))
      return false;
  }
  return true;
}

/** What could not be compared in time is not named: a save does not fail for it. */
async function unlessEmpty<T>(options: GitOptions, list: Promise<T[]>): Promise<T[]> {
  return await list.catch((error: unknown) => {
    if (error instanceof GitError && !options.signal?.aborted) return [];
    throw error;
  });
}
