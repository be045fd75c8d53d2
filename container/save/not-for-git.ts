/** What a branch holds that leads out of git and would reach nobody: pointers to commits that nobody has, files that belong into Git LFS. */
import { join } from 'node:path';
import { type GitOptions, git } from '../git/git.ts';
import { shownPath } from '../git/raw-path.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { exists } from '../paths.ts';
import { filteredBy, isPointer, submodulePaths } from './leftovers.ts';

const MAX_LISTING_BYTES = 256 * 1024 * 1024;
/** Files in Git LFS that are looked at, and problems that are told. */
const MAX_LOOKED_AT = 500;
const MAX_TOLD = 20;

/** @returns a sentence for each, for people and Claude */
export async function notForGit(plan: WorkspacePlan, from: string, head: string): Promise<string[]> {
  const options: GitOptions = { ...inWorktree(plan), maxBytes: MAX_LISTING_BYTES };
  const chunks: Buffer[] = [];
  const args = ['diff', '--raw', '-z', '--no-renames', '--no-abbrev', '--ignore-submodules=none', from, head, '--'];
  await git(args, { ...options, onData: (chunk) => chunks.push(chunk) });
  const fields = Buffer.concat(chunks).toString('latin1').split('\0');
  const links = new Map<string, string>();
  const blobs = new Map<string, string>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [, mode = '', , id = ''] = (fields[at] ?? '').split(' ');
    const path = fields[at + 1] ?? '';
    if (mode === '160000') links.set(path, id);
    else if (mode.startsWith('100')) blobs.set(path, id);
  }
  const told: string[] = [];
  const registered = links.size > 0 ? await submodulePaths({ ...options, cwd: plan.worktree }) : new Set<string>();
  for (const [path, id] of links) {
    if (registered.has(path)) {
      if (await isNowhere(plan, path, id)) {
        told.push(
          `${shownPath(path)} is committed at ${id.slice(0, 10)}, which is on no branch of the submodule’s repository: nobody else can fetch it. Push that commit there first, or go back to one that is there.`,
        );
      }
      continue;
    }
    told.push(
      `${shownPath(path)} is committed as a pointer to a repository of its own that .gitmodules does not name: nobody else can fetch its files. Remove it (git rm --cached), or add it as a submodule.`,
    );
  }
  for (const path of [...(await filteredBy(options, [...blobs.keys()], 'lfs'))].slice(0, MAX_LOOKED_AT)) {
    const id = blobs.get(path);
    if (id === undefined || (await isStoredAsPointer(options, id))) continue;
    told.push(
      `${shownPath(path)} is committed as a plain file, although the repository keeps such files in Git LFS (.gitattributes). Remove it and add it again (git rm --cached, git add): then it is stored as a pointer.`,
    );
  }
  return told.slice(0, MAX_TOLD);
}

/** Whether a submodule that is here knows no branch of its remote that has the commit. */
async function isNowhere(plan: WorkspacePlan, path: string, commit: string): Promise<boolean> {
  const cwd = join(plan.worktree, Buffer.from(path, 'latin1').toString('utf8'));
  if (!(await exists(join(cwd, '.git')))) return false;
  const args = ['branch', '--remotes', '--contains', commit];
  return (await git(args, { ...inWorktree(plan), cwd }).catch(() => '')).trim() === '';
}

/**
 * Files whose pointer of Git LFS a push would replace by content.
 * @param from what the host has: there the pointer is
 * @returns their paths
 */
export async function replacedPointers(plan: WorkspacePlan, from: string, head: string): Promise<string[]> {
  const options: GitOptions = { ...inWorktree(plan), maxBytes: MAX_LISTING_BYTES };
  const chunks: Buffer[] = [];
  const args = ['diff', '--raw', '-z', '--no-renames', '--no-abbrev', '--diff-filter=M', from, head, '--'];
  await git(args, { ...options, onData: (chunk) => chunks.push(chunk) });
  const fields = Buffer.concat(chunks).toString('latin1').split('\0');
  const changed = new Map<string, { before: string; after: string }>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before = '', after = '', old = '', now = ''] = (fields[at] ?? '').split(' ');
    if (!before.startsWith(':100') || !after.startsWith('100')) continue;
    changed.set(fields[at + 1] ?? '', { before: old, after: now });
  }
  const replaced: string[] = [];
  // Where the attributes are gone too, the file was taken out of Git LFS on purpose.
  for (const path of await filteredBy(options, [...changed.keys()], 'lfs')) {
    const ids = changed.get(path);
    if (!ids || replaced.length === MAX_TOLD) continue;
    if ((await isStoredAsPointer(options, ids.before)) && !(await isStoredAsPointer(options, ids.after))) {
      replaced.push(shownPath(path));
    }
  }
  return replaced;
}

async function isStoredAsPointer(options: GitOptions, id: string): Promise<boolean> {
  const size = Number(await git(['cat-file', '-s', id], options));
  // git-lfs keeps an empty file as an empty file.
  if (size === 0) return true;
  if (size >= 1_024) return false;
  return isPointer(Buffer.from(await git(['cat-file', 'blob', id], options)));
}
