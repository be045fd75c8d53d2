/**
 * Files that a repository keeps in Git LFS: after a checkout their content is fetched, within a limit; before a push their
 * objects are on the host; and those that only this sandbox has are known to the checkpoint.
 */

import { randomUUID } from 'node:crypto';
import { constants, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { chmod, copyFile, readFile, rename, rm } from '../files/inside.ts';
import { GitError, type GitOptions, git, gitSays } from '../git/git.ts';
import { listRawPaths, rawFile, rawInput, rawOutput, shownPath } from '../git/raw-path.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { log } from '../log.ts';
import { filteredBy } from '../save/leftovers.ts';
import { isInstalled } from './settings.ts';
import {
  findObject,
  incomingFolder,
  isObject,
  type LfsStores,
  MAX_POINTER_BYTES,
  noteOnHost,
  objectFile,
  type Pointer,
  readPointer,
  unsharedObjects,
} from './store.ts';
import {
  askAbout,
  downloadAll,
  type LfsAccess,
  LfsError,
  type LfsOffer,
  lockedByOthers,
  uploadAll,
} from './transfer.ts';

/** Content that is fetched for one checkout, unless told otherwise. */
const LIMIT_BYTES = 1024 ** 3;
const MAX_LISTING_BYTES = 1024 ** 3;
const MAX_NAMED = 5;
const ASK_TIMEOUT_MS = 5_000;

/** A file of the worktree that holds a pointer. One character of the path a byte. */
interface PointerFile extends Pointer {
  path: string;
}

/**
 * Puts content in the place of pointers that the worktree holds as they are committed. To be called while nobody else works
 * there. Without Git LFS in the repository it costs one look for it.
 * @returns what stays a pointer and why, in sentences for people and Claude. Never rejects but for a GitError
 */
export async function fetchLargeFiles(plan: WorkspacePlan): Promise<string[]> {
  const stores = plan.remote.lfs;
  if (!stores) return [];
  const options: GitOptions = { ...inWorktree(plan), maxBytes: MAX_LISTING_BYTES };
  const pointers = await pointersIn(plan, options);
  if (pointers.length === 0) return [];
  const { wanted, beyond } = withinLimit(pointers, plan.lfsLimitBytes ?? LIMIT_BYTES);
  const absent = uniqueObjects(wanted).filter(({ oid }) => findObject(stores, oid) === null);
  let missing = new Map<string, string>();
  if (absent.length > 0) {
    const access = { remote: plan.remote, signal: plan.signal };
    try {
      missing = await downloadAll(access, await askAbout(access, 'download', absent), stores.shared);
    } catch (error) {
      if (!(error instanceof LfsError)) throw error;
      missing = new Map(absent.map(({ oid }) => [oid, error.message]));
    }
  }
  const placed: string[] = [];
  for (const pointer of wanted) if (await place(plan, stores, pointer)) placed.push(pointer.path);
  if (placed.length > 0) {
    // The content is the pointer's: git takes note of the files' times, and nothing is staged.
    const input = rawInput(placed);
    await git(['update-index', '-q', '--refresh', '-z', '--stdin'], { ...options, input, timeoutMs: 10 * 60_000 });
  }
  log('lfs.files.fetched', { placed: placed.length, missing: missing.size, beyond: beyond.length });
  return [...missingNotices(wanted, missing), ...tooLargeNotices(beyond)];
}

/** Files whose content is a pointer as it is committed, of those that belong into Git LFS. */
async function pointersIn(plan: WorkspacePlan, options: GitOptions): Promise<PointerFile[]> {
  const pattern = ['grep', '-q', '--cached', '-e', 'filter=lfs', '--', ':(top,glob)**/.gitattributes'];
  if (!(await gitSays(pattern, options))) return [];
  const [tracked, changed] = await Promise.all([
    listRawPaths(['ls-files', '-z'], options),
    // What Claude has changed is Claude's.
    listRawPaths(['diff-files', '--name-only', '-z', '--ignore-submodules=all'], options),
  ]);
  const others = new Set(changed);
  const found: PointerFile[] = [];
  for (const path of await filteredBy(options, tracked, 'lfs')) {
    if (others.has(path)) continue;
    const file = rawFile(plan.worktree, path);
    const status = await lstat(file).catch(() => null);
    if (!status?.isFile() || status.size === 0 || status.size >= MAX_POINTER_BYTES) continue;
    const pointer = readPointer(await readFile(file, MAX_POINTER_BYTES).catch(() => Buffer.alloc(0)));
    if (pointer) found.push({ path, ...pointer });
  }
  return found;
}

/** The smallest first, so that most files are there. */
function withinLimit(pointers: PointerFile[], limit: number): { wanted: PointerFile[]; beyond: PointerFile[] } {
  const wanted: PointerFile[] = [];
  const beyond: PointerFile[] = [];
  const counted = new Set<string>();
  let total = 0;
  for (const pointer of [...pointers].sort((a, b) => a.size - b.size)) {
    if (!counted.has(pointer.oid)) total += pointer.size;
    counted.add(pointer.oid);
    (total > limit ? beyond : wanted).push(pointer);
  }
  return { wanted, beyond };
}

function uniqueObjects(pointers: readonly PointerFile[]): Pointer[] {
  return [...new Map(pointers.map(({ oid, size }) => [oid, { oid, size }])).values()];
}

/** Replaces the pointer as a whole: a crash leaves the one or the other. */
async function place(plan: WorkspacePlan, stores: LfsStores, { path, oid }: PointerFile): Promise<boolean> {
  const object = findObject(stores, oid);
  if (object === null) return false;
  const file = rawFile(plan.worktree, path);
  const part = join(await incomingFolder(stores.own), randomUUID());
  try {
    const { mode } = await lstat(file);
    await copyFile(object, part, constants.COPYFILE_FICLONE);
    await chmod(part, mode & 0o777);
    await rename(part, file);
    return true;
  } catch (error) {
    log('lfs.file.failed', { path: shownPath(path), error });
    return false;
  } finally {
    await rm(part, { force: true });
  }
}

function missingNotices(wanted: readonly PointerFile[], missing: Map<string, string>): string[] {
  const byReason = new Map<string, PointerFile[]>();
  for (const pointer of wanted) {
    const reason = missing.get(pointer.oid);
    if (reason !== undefined) byReason.set(reason, [...(byReason.get(reason) ?? []), pointer]);
  }
  return [...byReason].map(
    ([reason, files]) =>
      `${named(files)} in Git LFS could not be fetched: ${reason}. Pointers take ${files.length === 1 ? 'its' : 'their'} place; a new file may replace one.`,
  );
}

function tooLargeNotices(beyond: readonly PointerFile[]): string[] {
  if (beyond.length === 0) return [];
  const bytes = beyond.reduce((sum, { size }) => sum + size, 0);
  const how = isInstalled() ? 'git lfs pull --include=PATH fetches one' : 'an admin may raise CYRUS_LFS_MIB';
  return [
    `${named(beyond)} in Git LFS (${Math.ceil(bytes / 1024 ** 2)} MiB) was not fetched, because a checkout fetches a limited amount: pointers take their place, and ${how}.`,
  ];
}

function named(files: readonly { path: string }[]): string {
  const shown = files.slice(0, MAX_NAMED).map(({ path }) => shownPath(path));
  const more = files.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

/** Why objects are not on the host, so that their pointers must not go there. */
export interface LfsProblem {
  problem: string;
  isForClaude: boolean;
  retry: boolean;
}

/**
 * Puts to the host the objects of all pointers that a push would bring.
 * @param without commits that the host has
 * @returns null when all are there
 * @throws GitError
 */
export async function pushLargeFiles(
  plan: WorkspacePlan,
  head: string,
  without: readonly string[],
): Promise<LfsProblem | null> {
  const stores = plan.remote.lfs;
  if (!stores) return null;
  const brought = await pointersBetween(plan, head, without);
  if (brought.length === 0) return null;
  const access = { remote: plan.remote, signal: plan.signal };
  const notPushed = `${plan.branch} was not pushed`;
  const locked = await lockedAmong(access, brought, await changedBeside(plan, head, without));
  if (locked !== null) return { problem: `${notPushed}: ${locked}`, isForClaude: true, retry: false };
  const pointers = brought.filter(
    ({ oid, size }) => size > 0 && findObject({ own: stores.shared, shared: stores.shared }, oid) === null,
  );
  if (pointers.length === 0) return null;
  try {
    const offers = new Map(
      (await askAbout(access, 'upload', uniqueObjects(pointers))).map((offer) => [offer.oid, offer]),
    );
    const uploads = new Map<string, { offer: LfsOffer; file: string }>();
    const lost: PointerFile[] = [];
    for (const pointer of pointers) {
      const offer = offers.get(pointer.oid);
      if (!offer) continue;
      if (offer.error !== null) {
        const problem = `${notPushed}: ${shownPath(pointer.path)} is in Git LFS, and the git host does not accept it (${offer.error}).`;
        return { problem, isForClaude: true, retry: false };
      }
      if (offer.upload === null) continue;
      const file = await contentOf(plan, stores, pointer);
      if (file !== null) uploads.set(pointer.oid, { offer, file });
      else lost.push(pointer);
    }
    const gone = lost.filter(({ oid }) => !uploads.has(oid));
    if (gone.length > 0) {
      const problem = `${notPushed}: ${named(gone)} is committed as a pointer of Git LFS to content that is neither here nor on the git host. Put the content back and commit it, or take the file out of the commits.`;
      return { problem, isForClaude: true, retry: false };
    }
    await uploadAll(access, [...uploads.values()]);
    for (const { oid } of offers.values()) await noteOnHost(stores, oid);
    return null;
  } catch (error) {
    if (!(error instanceof LfsError)) throw error;
    log('lfs.push.failed', { error });
    const problem = `${notPushed}: its files in Git LFS (${named(pointers)}) could not be uploaded to the git host first: ${error.message}`;
    return { problem, isForClaude: !error.passes, retry: error.passes };
  }
}

/** Who locks a file in Git LFS does so because such files cannot be merged: what others make of it meanwhile is lost. */
async function lockedAmong(
  access: LfsAccess,
  brought: readonly PointerFile[],
  changed: ReadonlySet<string>,
): Promise<string | null> {
  let locks: Map<string, string>;
  try {
    locks = await lockedByOthers(access);
  } catch (error) {
    // Many hosts know no locks; the host itself refuses what it must.
    if (!(error instanceof LfsError)) throw error;
    log('lfs.locks.unsupported', { error });
    return null;
  }
  const owned = brought.flatMap(({ path }) => {
    const owner = locks.get(Buffer.from(path, 'latin1').toString('utf8'));
    return owner === undefined || !changed.has(path) ? [] : [`${shownPath(path)} (by ${oneLine(owner)})`];
  });
  const files = [...new Set(owned)];
  if (files.length === 0) return null;
  const more = files.length > MAX_NAMED ? ` and ${files.length - MAX_NAMED} more` : '';
  return `others have locked files in Git LFS that it changes: ${files.slice(0, MAX_NAMED).join(', ')}${more}. Undo these changes, or ask the people of the issue to have the files unlocked.`;
}

/** Paths that are not as the host has them: what a later commit undid is not among them. */
async function changedBeside(plan: WorkspacePlan, head: string, without: readonly string[]): Promise<Set<string>> {
  const [before = head] = without;
  const args = ['diff', '--name-only', '-z', '--no-renames', `${before}...${head}`, '--'];
  const options: GitOptions = { ...inWorktree(plan), maxBytes: MAX_LISTING_BYTES };
  // Without a common history everything is new.
  const listed = await listRawPaths(args, options).catch((error: unknown) => {
    if (error instanceof GitError && !plan.signal.aborted) return null;
    throw error;
  });
  return new Set(listed ?? (await listRawPaths(['ls-tree', '-r', '--name-only', '-z', head], options)));
}

function oneLine(name: string): string {
  return [...name.replace(/\s+/g, ' ')].slice(0, 100).join('').trim();
}

/** The object's own file, else a file of the worktree with the same content: a lost sandbox may have left only that. */
async function contentOf(plan: WorkspacePlan, stores: LfsStores, pointer: PointerFile): Promise<string | null> {
  const own = objectFile(stores.own, pointer.oid);
  if (await isObject(own, pointer)) return own;
  const inWork = join(plan.worktree, Buffer.from(pointer.path, 'latin1').toString('utf8'));
  return pointer.path !== '' && (await isObject(inWork, pointer)) ? inWork : null;
}

/** Pointers among the files that commits bring. */
async function pointersBetween(plan: WorkspacePlan, head: string, without: readonly string[]): Promise<PointerFile[]> {
  const options: GitOptions = { ...inWorktree(plan), maxBytes: MAX_LISTING_BYTES };
  const filters = [`--filter=blob:limit=${MAX_POINTER_BYTES}`, '--filter=object:type=blob'];
  const not = without.map((commit) => `^${commit}`);
  const args = ['rev-list', '--objects', '--filter-provided-objects', ...filters, head, ...not];
  const listed = (await rawOutput(args, options)).split('\n').filter((line) => line !== '');
  if (listed.length === 0) return [];
  const paths = new Map(listed.map((line) => [line.slice(0, 40), line.slice(41)]));
  const input = `${[...paths.keys()].join('\n')}\n`;
  const printed = Buffer.from(await rawOutput(['cat-file', '--batch'], { ...options, input }), 'latin1');
  const found: PointerFile[] = [];
  for (let at = 0; at < printed.length; ) {
    const end = printed.indexOf(10, at);
    const [id = '', kind, length = '0'] = printed.subarray(at, end).toString('latin1').split(' ');
    const size = kind === 'missing' ? -1 : Number(length);
    const pointer = kind === 'blob' ? readPointer(printed.subarray(end + 1, end + 1 + size)) : null;
    if (pointer) found.push({ path: paths.get(id) ?? '', ...pointer });
    at = end + 1 + size + 1;
  }
  return found;
}

/** Objects that the host was found to have not, so that it is asked about each once. */
const notOnHost = new Set<string>();

/**
 * Objects that only this sandbox has: with them, work would be lost. What Claude's git-lfs has fetched is on the host, which is asked
 * about each object once.
 */
export async function unpushedObjects(plan: WorkspacePlan): Promise<(Pointer & { file: string })[]> {
  const stores = plan.remote.lfs;
  if (!stores) return [];
  const own = await unsharedObjects(stores);
  const unknown = own.filter(({ oid }) => !notOnHost.has(`${plan.mirror} ${oid}`));
  if (unknown.length > 0) {
    const access = { remote: plan.remote, signal: plan.signal };
    try {
      for (const { oid, download } of await askAbout(access, 'download', unknown, ASK_TIMEOUT_MS)) {
        if (download === null) notOnHost.add(`${plan.mirror} ${oid}`);
        else await noteOnHost(stores, oid);
      }
    } catch (error) {
      // Kept all the same: what cannot be known is taken for missing there.
      if (!(error instanceof LfsError)) throw error;
    }
  }
  return own
    .filter(({ oid }) => findObject({ own: stores.shared, shared: stores.shared }, oid) === null)
    .map((pointer) => ({ ...pointer, file: objectFile(stores.own, pointer.oid) }));
}
