/**
 * The session's branch and the base as they are on the git host now, and what may be said of commits: whose they are,
 * and whether the base has their content already. Reads; moves nothing but remote-tracking refs.
 */
import { dirname } from 'node:path';
import { inTheWay } from '../../src/protocol/settings/branch-names.ts';
import { log } from '../log.ts';
import { complaint, GitError, type GitOptions, git, gitSays, isBranchGone, remoteFailure } from './git.ts';
import { HostAwayError } from './host-patience.ts';
import { inMirror, inWorktree, type WorkspacePlan } from './workspace-plan.ts';

const LIST_TIMEOUT_MS = 20_000;
/** So often the host is asked again, where a branch was deleted between its list and the fetch. */
const ASK_TRIES = 3;
const FETCH_TIMEOUT_MS = 5 * 60_000;
const COMPARE_TIMEOUT_MS = 20_000;
/** Commits of the base that are looked through for one that holds the branch as a whole. */
const MAX_SQUASHES = 300;
const MAX_LISTED = 20;

/** Tips on the git host; null if there is no such branch. */
export interface HostTips {
  base: string | null;
  branch: string | null;
}

/**
 * Asks the host for both tips and fetches what is not here.
 * @returns null if the host cannot be asked now
 */
export async function askHost(plan: WorkspacePlan): Promise<HostTips | null> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readTips(plan);
    } catch (error) {
      if (!(error instanceof GitError) || plan.signal.aborted) throw error;
      // Deleted between the list and the fetch: it is listed again.
      if (isBranchGone(complaint(error)) && attempt < ASK_TRIES) continue;
      log('git.host_query.failed', { failure: remoteFailure(error), complaint: complaint(error) });
      return null;
    }
  }
}

/** @throws GitError */
async function readTips(plan: WorkspacePlan): Promise<HostTips> {
  const options = inWorktree(plan);
  const refs = { base: `refs/heads/${plan.baseBranch}`, branch: `refs/heads/${plan.branch}` };
  const args = ['ls-remote', plan.remote.url, refs.base, refs.branch];
  const listed = await git(args, { ...options, timeoutMs: LIST_TIMEOUT_MS });
  const tips = new Map(listed.split('\n').map((line) => line.split('\t').reverse() as [string, string]));
  const found: HostTips = { base: tips.get(refs.base) ?? null, branch: tips.get(refs.branch) ?? null };
  await fetchTips(plan, found);
  if (found.base !== null) await followBase(plan, found.base);
  return found;
}

/**
 * Names of all branches on the host; null if it refuses to list them. There need be no repository here yet.
 * @throws HostAwayError
 */
export async function hostBranches(plan: WorkspacePlan): Promise<string[] | null> {
  try {
    const args = ['ls-remote', '--heads', plan.remote.url];
    const options = {
      ...inMirror(plan),
      cwd: dirname(dirname(plan.bundlePath)),
      timeoutMs: LIST_TIMEOUT_MS,
      maxBytes: 256 * 1024 ** 2,
    };
    const listed = await git(args, options);
    return listed.split('\n').flatMap((line) => line.split('\trefs/heads/')[1] ?? []);
  } catch (error) {
    if (!(error instanceof GitError) || plan.signal.aborted) throw error;
    log('git.branch_list.failed', { complaint: complaint(error) });
    if (remoteFailure(error) === 'network') throw new HostAwayError(plan.fullName, 1, complaint(error));
    return null;
  }
}

async function fetchTips(plan: WorkspacePlan, { base, branch }: HostTips): Promise<void> {
  const options = inWorktree(plan);
  const specs: string[] = [];
  for (const [name, tip] of [
    [plan.baseBranch, base],
    [plan.branch, branch],
  ] as const) {
    const ref = `refs/remotes/origin/${name}`;
    const known = await commitAt(options, ref);
    if (tip === null) {
      // A branch that is gone from the host is not shown to Claude as if it were there.
      if (known !== null && name === plan.branch) await git(['update-ref', '-d', ref], options);
    } else if (tip !== known) specs.push(`+refs/heads/${name}:${ref}`);
  }
  if (specs.length === 0) return;
  const args = [
    'fetch',
    '--quiet',
    '--no-write-fetch-head',
    '--no-tags',
    '--update-shallow',
    plan.remote.url,
    ...specs,
  ];
  await git(args, { ...options, timeoutMs: FETCH_TIMEOUT_MS });
}

/** `origin/HEAD` and a local base branch, as tools expect them; one on which Claude has worked, or is, is left alone. */
async function followBase(plan: WorkspacePlan, base: string): Promise<void> {
  const options = inWorktree(plan);
  const local = `refs/heads/${plan.baseBranch}`;
  const [head, there] = await Promise.all([
    git(['symbolic-ref', '--quiet', 'refs/remotes/origin/HEAD'], options).catch(() => ''),
    commitAt(options, local),
  ]);
  const tracking = `refs/remotes/origin/${plan.baseBranch}`;
  if (head.trim() !== tracking) await git(['symbolic-ref', 'refs/remotes/origin/HEAD', tracking], options);
  if (there === base || inTheWay(plan.baseBranch, [plan.branch]) !== null) return;
  const on = await git(['symbolic-ref', '--quiet', 'HEAD'], options).catch(() => '');
  if (on.trim() === local || (there !== null && !(await contains(options, base, there)))) return;
  await git(['update-ref', local, base], options).catch((error: unknown) => {
    log('git.base_branch.unset', { error });
  });
}

/** The commit at a name; null if there is none. */
export async function commitAt(options: GitOptions, name: string): Promise<string | null> {
  const found = await git(['rev-parse', '--verify', '--quiet', `${name}^{commit}`], options).catch((error: unknown) => {
    if (error instanceof GitError && !options.signal?.aborted) return '';
    throw error;
  });
  return found.trim() || null;
}

/** Whether a commit is part of another's history, or the same. */
export async function contains(options: GitOptions, whole: string, part: string): Promise<boolean> {
  if (whole === part) return true;
  return await gitSays(['merge-base', '--is-ancestor', part, whole], options).catch((error: unknown) => {
    // A commit that is not here at all is not part of what is here.
    if (error instanceof GitError && !options.signal?.aborted) return false;
    throw error;
  });
}

export interface ForeignCommit {
  sha: string;
  author: string;
  subject: string;
}

/** Commits of `tip` that `head` does not have, newest first, with who committed each. */
async function missingFrom(
  options: GitOptions,
  tip: string,
  head: string,
): Promise<(ForeignCommit & { by: string })[]> {
  const format = '--format=%H%x09%ce%x09%an%x09%s';
  const listed = await git(['log', '-z', format, tip, `^${head}`, '--'], { ...options, maxBytes: 256 * 1024 * 1024 });
  return listed
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      const [sha = '', by = '', author = '', ...subject] = line.split('\t');
      return { sha, by, author, subject: subject.join('\t') };
    });
}

/**
 * Other people's commits on `tip` that `head` lacks. A commit is the session's own if it was committed under the session's
 * identity, or here under another one; a person who rebases, merges or picks becomes the committer.
 */
export async function foreignCommits(plan: WorkspacePlan, tip: string, head: string): Promise<ForeignCommit[]> {
  const options = inWorktree(plan);
  const missing = await missingFrom(options, tip, head);
  const others = missing.filter(({ by }) => by !== plan.remote.author.email);
  if (others.length === 0) return others;
  const here = await madeHere(options);
  return others.filter(({ sha }) => !here.has(sha));
}

/** What git's reflogs call a commit that it made, rather than moved to (sequencer.c and builtin/commit.c of git 2.39). */
const MADE =
  /^(?:commit(?: \([a-z-]+\))?: |am: |(?:cherry-pick|revert|(?:pull --)?rebase[^:]*\((?:pick|reword|edit|squash|fixup|continue)\)): (?!fast-forward))/;

/**
 * Commits that were made in this clone, no matter who they name as author or committer: its reflogs tell. The gateway does not
 * rely on it: it knows itself what the session has pushed.
 */
async function madeHere(options: GitOptions): Promise<ReadonlySet<string>> {
  const args = ['log', '--walk-reflogs', '--all', '--format=%H%x09%gs'];
  const listed = await git(args, { ...options, maxBytes: 64 * 1024 * 1024 }).catch((error: unknown) => {
    // None are kept: then nothing is known to be made here.
    if (error instanceof GitError && !options.signal?.aborted) return '';
    throw error;
  });
  const made = listed.split('\n').filter((line) => MADE.test(line.slice(line.indexOf('\t') + 1)));
  return new Set(made.map((line) => line.slice(0, line.indexOf('\t'))));
}

/** Commits of `tip` that are in none of the others, newest first. */
export async function commitsBeyond(options: GitOptions, tip: string, others: string[]): Promise<ForeignCommit[]> {
  const format = '--format=%H%x09%an%x09%s';
  const not = others.flatMap((other) => (other.startsWith('--') ? ['--not', other, '--not'] : [`^${other}`]));
  const listed = await git(['log', '-z', format, '--no-merges', tip, ...not, '--'], {
    ...options,
    maxBytes: 256 * 1024 * 1024,
  });
  return listed
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      const [sha = '', author = '', ...subject] = line.split('\t');
      return { sha, author, subject: subject.join('\t') };
    });
}

/** A list of commits in words: the first of them, and how many more. */
export function named(commits: readonly ForeignCommit[]): string {
  const few = commits
    .slice(0, MAX_LISTED)
    .map(({ sha, author, subject }) => `${sha.slice(0, 10)} "${oneLine(subject)}" (${oneLine(author)})`);
  const more = commits.length > few.length ? `, and ${commits.length - few.length} more` : '';
  return few.join(', ') + more;
}

function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is to be replaced
  return [...text.replace(/[\0-\x1f\x7f\u2028\u2029]+/g, ' ')].slice(0, 100).join('');
}

/** How the base has a branch's content: by its history, or as other commits with the same changes. */
export async function isInBase(plan: WorkspacePlan, tip: string, base: string): Promise<boolean> {
  const options = { ...inWorktree(plan), timeoutMs: COMPARE_TIMEOUT_MS };
  if (await contains(options, base, tip)) return true;
  try {
    const fork = (await git(['merge-base', base, tip], options)).trim();
    if (fork === base) return false;
    return (await isPickedIntoBase(options, tip, base)) || (await isSquashedIntoBase(options, fork, tip, base));
  } catch (error) {
    // No common history, or too much of it to compare: not known to be there.
    if (error instanceof GitError && !options.signal?.aborted) return false;
    throw error;
  }
}

/** "Rebase and merge": each commit of the branch has one in the base with the same change. */
async function isPickedIntoBase(options: GitOptions, tip: string, base: string): Promise<boolean> {
  const marks = (await git(['cherry', base, tip], options)).split('\n').filter((line) => line !== '');
  return marks.length > 0 && marks.every((line) => line.startsWith('-'));
}

/** "Squash and merge": one commit of the base changes what the whole branch changes. */
async function isSquashedIntoBase(options: GitOptions, fork: string, tip: string, base: string): Promise<boolean> {
  const safe = ['--no-ext-diff', '--no-textconv', '--no-color', '--full-index', '--binary', '--no-renames'];
  const whole = await patchIds(
    options,
    await git(['diff', ...safe, fork, tip], { ...options, maxBytes: 64 * 1024 * 1024 }),
  );
  const [wanted] = whole;
  if (!wanted) return false;
  const names = await git(['diff', '--name-only', '-z', '--no-renames', fork, tip], options);
  const paths = names.split('\0').filter((name) => name !== '');
  // Many names would not fit on a command line.
  const specs = paths.length > 50 ? [] : paths.map((path) => `:(top,literal)${path}`);
  const args = ['log', '--no-merges', `--max-count=${MAX_SQUASHES}`, '--format=commit %H', '--patch', ...safe];
  const changes = await git([...args, base, `^${fork}`, '--', ...specs], { ...options, maxBytes: 256 * 1024 * 1024 });
  return (await patchIds(options, changes)).includes(wanted);
}

async function patchIds(options: GitOptions, patch: string): Promise<string[]> {
  const out = await git(['patch-id', '--stable'], { ...options, input: patch });
  return out.split('\n').flatMap((line) => (line === '' ? [] : [line.split(' ')[0] ?? '']));
}

/** How far a branch is behind the base, and in which files a merge of the base would conflict. */
export async function distanceToBase(
  plan: WorkspacePlan,
  head: string,
  base: string,
): Promise<{ behind: number; conflicts: string[] }> {
  const options = { ...inWorktree(plan), timeoutMs: COMPARE_TIMEOUT_MS };
  const behind = Number(await git(['rev-list', '--count', base, `^${head}`], options));
  if (behind === 0) return { behind, conflicts: [] };
  try {
    await git(['merge-tree', '--write-tree', '--name-only', '-z', '--no-messages', head, base], options);
    return { behind, conflicts: [] };
  } catch (error) {
    if (!(error instanceof GitError) || error.code !== 1) return { behind, conflicts: [] };
    // The tree, then the files in conflict.
    return { behind, conflicts: [...new Set(error.stdout.split('\0').slice(1))].filter((path) => path !== '') };
  }
}
