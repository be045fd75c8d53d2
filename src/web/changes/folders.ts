/** Files by the folders they are in. Pure. */
import type { ChangedFile } from './patch.ts';

export interface Folder {
  /** Path of the folder; empty for the files at the top. Folders that hold one folder alone are one with it. */
  readonly path: string;
  readonly files: readonly ChangedFile[];
}

/** The folders that have changed files, in the order of their paths. @param words of which each has to be in a file's path */
export function foldersOf(files: readonly ChangedFile[], words = ''): Folder[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const folders = new Map<string, ChangedFile[]>();
  for (const file of files) {
    const path = file.path.toLowerCase();
    if (!wanted.every((word) => path.includes(word))) continue;
    const folder = file.path.slice(0, Math.max(0, file.path.lastIndexOf('/')));
    const known = folders.get(folder);
    if (known) known.push(file);
    else folders.set(folder, [file]);
  }
  return [...folders]
    .map(([path, within]) => ({ path, files: within }))
    .toSorted((one, other) => (one.path < other.path ? -1 : 1));
}
