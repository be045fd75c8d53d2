/** How git and git-lfs are told of Git LFS: by the environment, so that nothing a repository or its `.lfsconfig` says counts. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { filterCommand } from './filter.ts';
import type { LfsStores } from './store.ts';

/** Settings for the server's own git. Without `required`, git would store the content itself where the filter fails. */
export function filterSettings(stores: LfsStores): [string, string][] {
  return [
    ['filter.lfs.process', filterCommand(stores)],
    ['filter.lfs.clean', ''],
    ['filter.lfs.smudge', ''],
    ['filter.lfs.required', 'true'],
  ];
}

/**
 * Settings for Claude's git: git-lfs where it is installed, which fetches what a checkout needs; else the server's filter, so
 * that content never takes the place of a pointer.
 * @param url the session's remote, on its way to the gateway: nothing there asks for a credential
 */
export function largeFileSettings(url: string, stores: LfsStores): [string, string][] {
  const server = `${url}/info/lfs`;
  const filter: [string, string][] = isInstalled()
    ? [
        ['filter.lfs.process', 'git-lfs filter-process'],
        ['filter.lfs.clean', 'git-lfs clean -- %f'],
        ['filter.lfs.smudge', 'git-lfs smudge -- %f'],
        ['filter.lfs.required', 'true'],
      ]
    : filterSettings(stores);
  return [
    ...filter,
    ['lfs.url', server],
    ['lfs.pushurl', server],
    [`lfs.${server}.access`, 'none'],
    [`lfs.${server}.locksverify`, 'false'],
    ['lfs.locksverify', 'false'],
    ['lfs.basictransfersonly', 'true'],
    ['lfs.standalonetransferagent', ''],
  ];
}

/** Whether git-lfs is on the PATH now: a setup script may install it. */
export function isInstalled(): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    if (folder === '') return false;
    try {
      accessSync(join(folder, 'git-lfs'), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
