/**
 * Submodules, as `.gitmodules` of the checked-out commit names them: those that the gateway lets the session read are fetched, one
 * level deep; the others stay empty and are named. Where each comes from is the gateway's decision, by the address as it is there.
 */
import { readdir, realpath } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { mkdir, readText, rm, writeFile } from '../files/inside.ts';
import { log } from '../log.ts';
import { exists } from '../paths.ts';
import { UNFINISHED_MARK } from './clone.ts';
import { complaint, FETCH_REFSPEC, GitError, type GitOptions, git, gitSays, withoutFilters } from './git.ts';
import { againIfKilled, diedFromOutside } from './killed-git.ts';
import { inWorktree, type WorkspacePlan } from './workspace-plan.ts';

const FETCH_TIMEOUT_MS = 10 * 60_000;
const MAX_SUBMODULES = 50;
/** A name becomes a folder of `.git/modules`, and a section of the configuration. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;
/** File in a submodule's repository: the commit that was checked out for Claude. */
const GIVEN = 'cyrus-commit';
/** A commit's id and a line feed. */
const MAX_ID_BYTES = 100;

interface Submodule {
  name: string;
  path: string;
  url: string;
  commit: string;
}

/**
 * Brings the submodules to the commits that HEAD names, unless Claude has moved one. To be called while nobody else works in
 * the worktree. Without `.gitmodules` it costs one look for it.
 * @returns what stays empty and why, in sentences for people and Claude
 * @throws GitError if the index cannot be read
 */
export async function fetchSubmodules(plan: WorkspacePlan): Promise<string[]> {
  const named = await namedSubmodules(plan);
  const told: string[] = [];
  for (const submodule of named.slice(0, MAX_SUBMODULES)) {
    const problem = await bring(plan, submodule);
    if (problem !== null) told.push(problem);
    if (plan.signal.aborted) return told;
  }
  const more = named.length - MAX_SUBMODULES;
  if (more > 0) told.push(`${more} more submodules are empty: at most ${MAX_SUBMODULES} are fetched.`);
  return told;
}

/** Whether a submodule is at the commit to which it was put for Claude, so that its difference to HEAD is not Claude's work. */
export async function isAsGiven(plan: WorkspacePlan, path: string): Promise<boolean> {
  const options: GitOptions = { ...inWorktree(plan), cwd: join(plan.worktree, path) };
  try {
    const [gitDir = '', head = ''] = (await git(['rev-parse', '--absolute-git-dir', 'HEAD'], options)).split('\n');
    return (await readText(join(gitDir, GIVEN), MAX_ID_BYTES)).trim() === head;
  } catch {
    return false;
  }
}

async function namedSubmodules(plan: WorkspacePlan): Promise<Submodule[]> {
  const options = inWorktree(plan);
  const pattern = '^submodule\\..*\\.(path|url)$';
  const listed = await git(['config', '--blob', 'HEAD:.gitmodules', '-z', '--get-regexp', pattern], options).catch(
    (error: unknown) => {
      // There is none, or it cannot be read.
      if (error instanceof GitError) return '';
      throw error;
    },
  );
  const found = new Map<string, { path?: string; url?: string }>();
  for (const entry of listed.split('\0')) {
    const [, name, key, value] = /^submodule\.([\s\S]*)\.(path|url)\n([\s\S]*)$/.exec(entry) ?? [];
    if (name !== undefined && value !== undefined) found.set(name, { ...found.get(name), [key as 'path']: value });
  }
  if (found.size === 0) return [];
  const staged = await git(['ls-files', '--stage', '-z'], { ...options, maxBytes: 1024 ** 3 });
  const links = new Map<string, string>();
  for (const entry of staged.split('\0')) {
    const [, commit, path] = /^160000 ([0-9a-f]{40}) 0\t([\s\S]+)$/.exec(entry) ?? [];
    if (commit !== undefined && path !== undefined) links.set(path, commit);
  }
  const submodules: Submodule[] = [];
  for (const [name, { path, url }] of found) {
    const commit = links.get(path ?? '');
    if (path !== undefined && commit !== undefined) submodules.push({ name, path, url: url ?? '', commit });
  }
  return submodules;
}

/** @returns why it is empty, or not at its commit; null if nothing is to be told */
async function bring(plan: WorkspacePlan, submodule: Submodule): Promise<string | null> {
  try {
    return await againIfKilled(plan.signal, () => bringOnce(plan, submodule, true));
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return await bringOnce(plan, submodule, false);
  }
}

/** @param mayThrow whether a killed git is thrown to the caller, who tries again. Otherwise it is reported like any other failure. */
async function bringOnce(plan: WorkspacePlan, submodule: Submodule, mayThrow: boolean): Promise<string | null> {
  const { path, commit } = submodule;
  const folder = join(plan.worktree, path);
  const shown = path.replace(/\p{Cc}/gu, '?').slice(0, 300);
  const empty = (why: string) => `The submodule ${shown} is empty: ${why}.`;
  if (!NAME.test(submodule.name)) return empty('its name in .gitmodules cannot be a folder');
  if (!(await isInside(plan, folder))) return empty('its folder is outside the worktree');
  const inside: GitOptions = { ...inWorktree(plan), cwd: folder, timeoutMs: FETCH_TIMEOUT_MS };
  const gitDir = join(plan.worktree, '.git', 'modules', submodule.name);
  const mark = join(gitDir, UNFINISHED_MARK);
  const isCutOff = await exists(mark);
  const isThere = !isCutOff && (await exists(join(folder, '.git')));
  if (isThere && !(await isAsGiven(plan, path))) return null;
  if (!isThere && !isCutOff && (await readdir(folder).catch(() => [])).length > 0) return null;
  const url = `${plan.remote.gatewayUrl}/modules/${Buffer.from(submodule.url).toString('base64url')}`;
  try {
    if (isThere && (await git(['rev-parse', 'HEAD'], inside)).trim() === commit) return null;
    if (!isThere) await makeRepository(plan, submodule, { folder, gitDir, url });
    const fetch = ['fetch', '--quiet', '--no-write-fetch-head', '--no-recurse-submodules', '--update-shallow'];
    const specs = [FETCH_REFSPEC, '+refs/tags/*:refs/tags/*'];
    await git([...fetch, '--no-tags', url, ...specs], inside);
    // It may be on no branch any more, and still be had by its id.
    if (!(await has(inside, commit))) await git([...fetch, '--no-tags', url, commit], inside);
    // What a checkout that was cut off left is no work of Claude's, who was not there yet.
    const checkout = ['checkout', '--quiet', ...(isCutOff ? ['--force'] : []), '--detach', commit];
    await git(checkout, { ...inside, settings: await withoutFilters(inside) });
    await writeFile(join(gitDir, GIVEN), `${commit}\n`);
    await rm(mark, { force: true });
    const lacks = [
      ...((await exists(join(folder, '.gitmodules')))
        ? ['has submodules of its own, which are empty: only one level is fetched']
        : []),
      ...((await keepsLargeFiles(inside))
        ? ['keeps files in Git LFS, which stay pointers: contents are fetched for the repository itself alone']
        : []),
    ];
    return lacks.length === 0 ? null : `The submodule ${shown} ${lacks.join(', and ')}.`;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    // The end of the session cut it off: the mark tells the next life to begin again.
    if (plan.signal.aborted) return null;
    if (mayThrow && diedFromOutside(error)) throw error;
    log('git.submodule.failed', { path: shown, error });
    if (isThere) return `The submodule ${shown} could not be brought to ${commit.slice(0, 10)}: ${complaint(error)}.`;
    await rm(join(folder, '.git'), { force: true });
    await rm(gitDir, { recursive: true, force: true });
    return empty(
      /not our ref|couldn't find remote ref/.test(error.stderr)
        ? `its commit ${commit.slice(0, 10)} is nowhere at ${submodule.url}`
        : complaint(error),
    );
  }
}

/** An empty repository in the place where git keeps that of a submodule, with the gateway as its remote. */
async function makeRepository(
  plan: WorkspacePlan,
  { name, path }: Submodule,
  { folder, gitDir, url }: { folder: string; gitDir: string; url: string },
): Promise<void> {
  await rm(join(folder, '.git'), { force: true });
  await rm(gitDir, { recursive: true, force: true });
  await mkdir(gitDir, { recursive: true });
  await writeFile(join(gitDir, UNFINISHED_MARK), '');
  await mkdir(folder, { recursive: true });
  const inside: GitOptions = { ...inWorktree(plan), cwd: folder };
  await git(['init', '--quiet', '--template=', `--separate-git-dir=${gitDir}`], inside);
  // As git itself writes them: relative, so that the worktree may be moved.
  await writeFile(join(folder, '.git'), `gitdir: ${relative(folder, gitDir)}\n`);
  for (const [key, value] of [
    ['core.worktree', relative(gitDir, folder)],
    ['remote.origin.url', url],
    ['remote.origin.fetch', FETCH_REFSPEC],
  ] as const) {
    await git(['config', '--file', join(gitDir, 'config'), key, value], inside);
  }
  const outer = join(plan.worktree, '.git', 'config');
  await git(['config', '--file', outer, `submodule.${name}.url`, url], inWorktree(plan));
  await git(['config', '--file', outer, `submodule.${name}.active`, 'true'], inWorktree(plan));
  log('git.submodule.fetched', { path });
}

async function has(options: GitOptions, commit: string): Promise<boolean> {
  return await gitSays(['cat-file', '-e', `${commit}^{commit}`], options).catch(() => false);
}

async function keepsLargeFiles(options: GitOptions): Promise<boolean> {
  return await gitSays(
    ['grep', '--quiet', '-F', 'filter=lfs', 'HEAD', '--', ':(glob)**/.gitattributes'],
    options,
  ).catch(() => false);
}

/** A link may have come into the place of a folder above it. */
async function isInside(plan: WorkspacePlan, folder: string): Promise<boolean> {
  const root = await realpath(plan.worktree);
  for (let above = folder; above.length > plan.worktree.length; above = dirname(above)) {
    const real = await realpath(above).catch(() => null);
    if (real === null) continue;
    return real.startsWith(root + sep) && !real.startsWith(join(root, '.git') + sep) && real !== join(root, '.git');
  }
  return true;
}
