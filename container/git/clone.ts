/**
 * A session's own repository: a clone of the mirror that shares nothing with other sessions but objects, which it reads
 * through `objects/info/alternates`. Branches, tags, stash, configuration and new objects are the session's alone. The mirror is
 * never pruned, so what a clone borrows from it stays.
 */
import { join } from 'node:path';
import { mkdir, readText, rename, rm, writeFile } from '../files/inside.ts';
import { log } from '../log.ts';
import { exists } from '../paths.ts';
import { FETCH_REFSPEC, GitError, git, gitSays } from './git.ts';
import { inMirror, inWorktree, type WorkspacePlan } from './workspace-plan.ts';

const ORIGIN = 'refs/remotes/origin/';
/** Some hundred thousand commits, and a few folders: a session may have written these files. */
const MAX_SHALLOW_BYTES = 16 * 1024 * 1024;
const MAX_ALTERNATES_BYTES = 64 * 1024;
const MAX_MARK_BYTES = 100;
/** A host's history is cut at fewer commits; what is longer was written by somebody else, and stays as it is. */
const MOST_SHALLOW = 10_000;
const COMMIT_ID = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** In a repository to which its maker has still something to add. It says what. */
export const UNFINISHED_MARK = 'cyrus-unfinished';

/** What a new clone still lacks: `files` of a checkout, so that what is beside it is nobody's work; or `commits` of work whose files are there. */
export type Missing = 'files' | 'commits';

/** A ref as the mirror has it. */
interface MirrorRef {
  name: string;
  object: string;
  /** What an annotated tag leads to; empty for everything else. */
  peeled: string;
}

/**
 * Makes the session's repository at `<worktree>/.git`, with HEAD on its branch and without any file checked out. It has the
 * mirror's base branch (as `origin/<base>`, `origin/HEAD` and a local branch), the session's own branch and the tags.
 * It counts as unfinished until `finishClone` is called: a server that was killed before begins again.
 * To be called under the mirror's lock; what is at `<worktree>/.git` must have been put aside.
 * @param head commit at which the session's branch begins
 * @param missing what its maker adds before it calls `finishClone`
 * @throws GitError if the mirror cannot be read
 */
export async function makeClone(plan: WorkspacePlan, head: string, missing: Missing): Promise<void> {
  const { branch, baseBranch } = plan;
  const [refs, shallow] = await Promise.all([mirrorRefs(plan), shallowFile(plan.mirror)]);
  const gitDir = join(plan.worktree, '.git');
  // Put in its place when it is whole: a server killed in between leaves nothing that looks like a repository.
  const unfinished = join(plan.worktree, '.git.unfinished');
  await rm(unfinished, { recursive: true, force: true });
  for (const directory of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags', 'refs/remotes/origin', 'info'])
    await mkdir(join(unfinished, directory), { recursive: true });
  const base = refs.find(({ name }) => name === `${ORIGIN}${baseBranch}`);
  const hasLocalBase = base !== undefined && !isInTheWay(baseBranch, branch);
  const local = [
    ...(hasLocalBase ? [{ name: `refs/heads/${baseBranch}`, object: base.object, peeled: '' }] : []),
    { name: `refs/heads/${branch}`, object: head, peeled: '' },
  ];
  const put = (name: string, text: string) => writeFile(join(unfinished, name), text);
  await Promise.all([
    put('HEAD', `ref: refs/heads/${branch}\n`),
    put('config', configuration(plan)),
    put(UNFINISHED_MARK, missing),
    put('objects/info/alternates', `${join(plan.mirror, 'objects')}\n`),
    put('packed-refs', packedRefs([...refs, ...local])),
    ...(base ? [put('refs/remotes/origin/HEAD', `ref: ${base.name}\n`)] : []),
    ...(shallow === null ? [] : [put('shallow', shallow)]),
  ]);
  await rename(unfinished, gitDir);
}

/** Declares the repository that `makeClone` made whole: its commits and its files are all there. */
export async function finishClone(plan: WorkspacePlan): Promise<void> {
  await rm(join(plan.worktree, '.git', UNFINISHED_MARK), { force: true });
}

/** Whether `makeClone` made the repository and `finishClone` was never called: what is in it is not the session's work. */
export async function isUnfinishedClone(plan: WorkspacePlan): Promise<boolean> {
  return await exists(join(plan.worktree, '.git', UNFINISHED_MARK));
}

/** Whether a checkout was cut off, so that nothing in the worktree is anybody's work. */
export async function isCutOffCheckout(plan: WorkspacePlan): Promise<boolean> {
  const mark = await readText(join(plan.worktree, '.git', UNFINISHED_MARK), MAX_MARK_BYTES).catch(() => null);
  return mark === ('files' satisfies Missing);
}

/**
 * Takes over what the mirror has learned since: `origin/<base>`, `origin/<branch>`, new tags, and older history. A local base
 * branch on which nobody has worked follows. To be called under the mirror's lock.
 * @param isFresh whether the mirror was brought up to date just now: else branches that are known here stay as they are
 * @throws GitError
 */
export async function syncClone(plan: WorkspacePlan, isFresh: boolean): Promise<void> {
  const { branch, baseBranch } = plan;
  const options = inWorktree(plan);
  await borrowFrom(plan);
  await deepen(plan);
  // Clones of before had it from the environment.
  const fetches = await git(['config', '--local', '--default', '', '--get', 'remote.origin.fetch'], options);
  if (fetches.trim() === '') await git(['config', '--local', 'remote.origin.fetch', FETCH_REFSPEC], options);
  const [theirs, listed] = await Promise.all([
    mirrorRefs(plan),
    git(['for-each-ref', '--format=%(objectname) %(refname)', ORIGIN, 'refs/tags'], options),
  ]);
  const ours = new Map(listed.split('\n').map((line) => [line.slice(line.indexOf(' ') + 1), line.split(' ')[0] ?? '']));
  const commands: string[] = [];
  const set = (name: string, object: string) => {
    if (ours.get(name) !== object) commands.push(`update ${name}\0${object}\0\0`);
  };
  for (const { name, object } of theirs) {
    // A tag that is here may be Claude's own, and a branch's tip may be newer here than in the mirror.
    if (!ours.has(name) || (isFresh && !name.startsWith('refs/tags/'))) set(name, object);
  }
  const gone = `${ORIGIN}${branch}`;
  if (isFresh && ours.has(gone) && !theirs.some(({ name }) => name === gone)) commands.push(`delete ${gone}\0\0`);
  const base = theirs.find(({ name }) => name === `${ORIGIN}${baseBranch}`);
  if (commands.length > 0) await updateRefs(plan, commands);
  if (base) await git(['symbolic-ref', `${ORIGIN}HEAD`, base.name], options);
  await followBase(plan);
}

/**
 * Puts the local base branch where `origin/<base>` is, unless it has commits of its own or is checked out.
 * @throws GitError
 */
async function followBase(plan: WorkspacePlan): Promise<void> {
  const { branch, baseBranch } = plan;
  if (isInTheWay(baseBranch, branch)) return;
  const options = inWorktree(plan);
  const local = `refs/heads/${baseBranch}`;
  const tracking = `${ORIGIN}${baseBranch}`;
  const [listed, on] = await Promise.all([
    git(['for-each-ref', '--format=%(refname) %(objectname)', local, tracking], options),
    git(['symbolic-ref', '--quiet', 'HEAD'], options).catch(() => ''),
  ]);
  const refs = new Map(listed.split('\n').map((line) => line.split(' ') as [string, string]));
  const [before, now] = [refs.get(local), refs.get(tracking)];
  if (now === undefined || before === now || on.trim() === local) return;
  const isBehind = before === undefined || (await gitSays(['merge-base', '--is-ancestor', before, now], options));
  if (isBehind) await git(['update-ref', local, now, before ?? ''], options);
}

/** Git keeps no two branches of which one is a folder of the other, and here they may also be the same. */
function isInTheWay(baseBranch: string, branch: string): boolean {
  return `${branch}/`.startsWith(`${baseBranch}/`) || `${baseBranch}/`.startsWith(`${branch}/`);
}

/** One transaction; where one ref is in the way of another, those that fit are set one by one. */
async function updateRefs(plan: WorkspacePlan, commands: string[]): Promise<void> {
  const update = (input: string) => git(['update-ref', '--no-deref', '-z', '--stdin'], { ...inWorktree(plan), input });
  try {
    await update(commands.join(''));
  } catch (error) {
    if (!(error instanceof GitError) || plan.signal.aborted || commands.length > 100) throw error;
    for (const command of commands) {
      await update(command).catch((cause: unknown) => log('git.ref_update.failed', { error: cause }));
    }
  }
}

/** Commits behind which history is missing here. */
export async function shallowFile(gitDir: string): Promise<string | null> {
  return await readText(join(gitDir, 'shallow'), MAX_SHALLOW_BYTES).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

/** Where a repository keeps what its worktrees share: `.git`, or the mirror for a worktree that an earlier version made. */
async function commonDirectory(plan: WorkspacePlan): Promise<string> {
  return (await git(['rev-parse', '--path-format=absolute', '--git-common-dir'], inWorktree(plan))).trim();
}

/** Whether the worktree's repository is the session's: it reads from the mirror, or is the mirror's own worktree. @throws GitError */
export async function isOfMirror(plan: WorkspacePlan): Promise<boolean> {
  const directory = await commonDirectory(plan);
  return (
    directory === plan.mirror || (await alternatesOf(directory)).split('\n').includes(join(plan.mirror, 'objects'))
  );
}

/** A session that was begun with another mirror, e.g. by an earlier version, sees the objects of this one too. */
async function borrowFrom(plan: WorkspacePlan): Promise<void> {
  if (await isOfMirror(plan)) return;
  const directory = await commonDirectory(plan);
  const before = await alternatesOf(directory);
  const file = join(directory, 'objects', 'info', 'alternates');
  await mkdir(join(directory, 'objects', 'info'), { recursive: true });
  const added = `${before === '' || before.endsWith('\n') ? '' : '\n'}${join(plan.mirror, 'objects')}\n`;
  await writeFile(`${file}.new`, before + added);
  await rename(`${file}.new`, file);
}

async function alternatesOf(directory: string): Promise<string> {
  return await readText(join(directory, 'objects', 'info', 'alternates'), MAX_ALTERNATES_BYTES).catch(() => '');
}

/** Where the mirror has its whole history by now, so has the clone. What Claude itself fetched in part stays as it is. */
async function deepen(plan: WorkspacePlan): Promise<void> {
  if (await exists(join(plan.mirror, 'shallow'))) return;
  const gitDir = await commonDirectory(plan);
  const shallow = await shallowFile(gitDir);
  if (shallow === null) return;
  const commits = shallow.split('\n').filter((line) => line !== '');
  if (commits.length > MOST_SHALLOW) return;
  const known = await commitsOfMirror(plan, commits);
  const left = commits.filter((commit) => !known.has(commit));
  if (commits.length > 0 && left.length === commits.length) return;
  const file = join(gitDir, 'shallow');
  // Git's own lock of this file.
  const lock = await writeFile(`${file}.lock`, left.map((commit) => `${commit}\n`).join(''), { flag: 'wx' }).then(
    () => true,
    () => false,
  );
  if (!lock) return;
  if (left.length > 0) await rename(`${file}.lock`, file);
  else {
    await rm(file, { force: true });
    await rm(`${file}.lock`, { force: true });
  }
}

/** Which of these commits the mirror has, by one git for all of them; none if it cannot tell. */
async function commitsOfMirror(plan: WorkspacePlan, commits: string[]): Promise<Set<string>> {
  const input = commits
    .filter((commit) => COMMIT_ID.test(commit))
    .map((commit) => `${commit}\n`)
    .join('');
  if (input === '') return new Set();
  const options = { ...inMirror(plan), input };
  const told = await git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], options).catch((error: unknown) => {
    if (!(error instanceof GitError)) throw error;
    log('git.shallow.unreadable', { error });
    return '';
  });
  const isCommit = (line: string) => line.endsWith(' commit');
  return new Set(
    told
      .split('\n')
      .filter(isCommit)
      .map((line) => line.slice(0, line.indexOf(' '))),
  );
}

/** The base branch, the session's branch and the tags, as the mirror has them. */
async function mirrorRefs(plan: WorkspacePlan): Promise<MirrorRef[]> {
  const names = [`${ORIGIN}${plan.baseBranch}`, `${ORIGIN}${plan.branch}`];
  const args = ['for-each-ref', '--format=%(objectname) %(refname) %(*objectname)', ...names, 'refs/tags'];
  const listed = await git(args, inMirror(plan));
  const refs: MirrorRef[] = [];
  for (const line of listed.split('\n')) {
    const [object = '', name = '', peeled = ''] = line.split(' ');
    // A pattern also lists what is below a branch of that name.
    if (names.includes(name) || name.startsWith('refs/tags/')) refs.push({ name, object, peeled });
  }
  return refs;
}

/** As git writes it (https://git-scm.com/docs/git-pack-refs; sorted by bytes). */
function packedRefs(refs: MirrorRef[]): string {
  const sorted = [...refs].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  const lines = sorted.map(({ name, object, peeled }) => `${object} ${name}\n${peeled === '' ? '' : `^${peeled}\n`}`);
  return `# pack-refs with: peeled fully-peeled sorted \n${lines.join('')}`;
}

/** The remote itself comes with the environment, because its address and the token may change while the session lives. */
function configuration({ branch, baseBranch }: WorkspacePlan): string {
  const upstream = (name: string) =>
    `[branch ${JSON.stringify(name)}]\n\tremote = origin\n\tmerge = ${JSON.stringify(`refs/heads/${name}`)}\n`;
  const core = '[core]\n\trepositoryFormatVersion = 0\n\tfileMode = true\n\tbare = false\n\tlogAllRefUpdates = true\n';
  const origin = `[remote "origin"]\n\tfetch = ${FETCH_REFSPEC}\n`;
  return core + origin + (isInTheWay(baseBranch, branch) ? '' : upstream(baseBranch));
}
