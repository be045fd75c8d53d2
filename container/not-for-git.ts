/** What a branch holds that leads out of git and would reach nobody: pointers to commits that nobody has, files that belong into Git LFS. */
import { type GitOptions, git } from './git.ts';
import { filteredBy, isPointer, submodulePaths } from './leftovers.ts';
import { shownPath } from './raw-path.ts';
import { inWorktree, type WorkspacePlan } from './workspace-plan.ts';

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
  const links: string[] = [];
  const blobs = new Map<string, string>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [, mode = '', , id = ''] = (fields[at] ?? '').split(' ');
    const path = fields[at + 1] ?? '';
    if (mode === '160000') links.push(path);
    else if (mode.startsWith('100')) blobs.set(path, id);
  }
  const told: string[] = [];
  const registered = links.length > 0 ? await submodulePaths({ ...options, cwd: plan.worktree }) : new Set<string>();
  for (const path of links) {
    if (registered.has(path)) continue;
    told.push(
      `${shownPath(path)} is committed as a pointer to a repository of its own that .gitmodules does not name: nobody else can get its files. Take it out (git rm --cached), or add it as a submodule.`,
    );
  }
  for (const path of [...(await filteredBy(options, [...blobs.keys()], 'lfs'))].slice(0, MAX_LOOKED_AT)) {
    const id = blobs.get(path);
    if (id === undefined || (await isStoredAsPointer(options, id))) continue;
    told.push(
      `${shownPath(path)} is committed as a plain file, though the repository keeps such files in Git LFS (.gitattributes). Commit it by git-lfs, or leave it out.`,
    );
  }
  return told.slice(0, MAX_TOLD);
}

async function isStoredAsPointer(options: GitOptions, id: string): Promise<boolean> {
  const size = Number(await git(['cat-file', '-s', id], options));
  // git-lfs keeps an empty file as an empty file.
  if (size === 0) return true;
  if (size >= 1_024) return false;
  return isPointer(Buffer.from(await git(['cat-file', 'blob', id], options)));
}
