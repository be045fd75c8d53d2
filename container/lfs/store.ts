/**
 * Pointers and objects of Git LFS on the disk, as git-lfs keeps them (github.com/git-lfs/git-lfs/blob/main/docs/spec.md). A
 * session's own storage lies in its repository. What the git host is known to have lies in the mirror's, which all sessions of
 * the repository read, git-lfs among them (it looks beside `objects/info/alternates`).
 */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyFile, createReadStream, isOfSession, mkdir, rename, rm } from '../files/inside.ts';

/** What a pointer points to. */
export interface Pointer {
  /** SHA-256 of the content, 64 hex digits. */
  oid: string;
  /** Bytes. */
  size: number;
}

/** Folders that hold objects: what was made here, and what is on the git host as well. */
export interface LfsStores {
  own: string;
  shared: string;
}

/** By its specification a pointer is shorter. */
export const MAX_POINTER_BYTES = 1_024;

/** @returns null for content that is no pointer, e.g. because it is the file itself */
export function readPointer(content: Buffer): Pointer | null {
  if (content.length >= MAX_POINTER_BYTES) return null;
  const text = content.toString('latin1');
  if (!text.startsWith('version https://git-lfs.github.com/spec/')) return null;
  const oid = /^oid sha256:([0-9a-f]{64})$/m.exec(text)?.[1];
  const size = /^size (\d{1,15})$/m.exec(text)?.[1];
  return oid === undefined || size === undefined ? null : { oid, size: Number(size) };
}

export function pointerText({ oid, size }: Pointer): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;
}

/** Where a store keeps an object. */
export function objectFile(store: string, oid: string): string {
  return join(store, 'objects', oid.slice(0, 2), oid.slice(2, 4), oid);
}

/** The object's file in one of the stores; null if none has it. */
export function findObject(stores: LfsStores, oid: string): string | null {
  return [objectFile(stores.shared, oid), objectFile(stores.own, oid)].find((file) => existsSync(file)) ?? null;
}

/** Puts a finished file into a store, under its name. */
export async function takeObject(store: string, oid: string, file: string): Promise<void> {
  const target = objectFile(store, oid);
  await mkdir(dirname(target), { recursive: true });
  await rename(file, target);
}

/** The git host has an object: it need not be kept elsewhere, and other sessions may read it. */
export async function noteOnHost(stores: LfsStores, oid: string): Promise<void> {
  const target = objectFile(stores.shared, oid);
  if (existsSync(target)) return;
  const file = objectFile(stores.own, oid);
  if (!existsSync(file)) return;
  await mkdir(dirname(target), { recursive: true });
  if (isOfSession(file)) return await shareContent(file, stores.shared, oid);
  // Another file system, or another session was quicker.
  await link(file, target).catch(async () => {
    if (existsSync(target)) return;
    await copyFile(file, `${target}.new`);
    await rename(`${target}.new`, target);
  });
}

/** As a file of the server's: the session may change its own at any moment, so that what was copied is what counts. */
async function shareContent(file: string, store: string, oid: string): Promise<void> {
  const copy = join(await incomingFolder(store), randomUUID());
  try {
    await copyFile(file, copy);
    const { size } = await stat(copy);
    if (await isObject(copy, { oid, size })) await rename(copy, objectFile(store, oid));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
  } finally {
    await rm(copy, { force: true });
  }
}

/** Objects that only this session has, as far as is known here. */
export async function unsharedObjects({ own, shared }: LfsStores): Promise<Pointer[]> {
  const found: Pointer[] = [];
  const names = async (path: string) => await readdir(path).catch(() => []);
  const root = join(own, 'objects');
  for (const first of await names(root)) {
    if (!/^[0-9a-f]{2}$/.test(first)) continue;
    for (const second of await names(join(root, first))) {
      for (const oid of await names(join(root, first, second))) {
        if (!/^[0-9a-f]{64}$/.test(oid) || existsSync(objectFile(shared, oid))) continue;
        const file = await stat(join(root, first, second, oid)).catch(() => null);
        if (file?.isFile()) found.push({ oid, size: file.size });
      }
    }
  }
  return found;
}

/** Whether a file's content is the object. */
export async function isObject(file: string | Buffer, { oid, size }: Pointer): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  if (!found?.isFile() || found.size !== size) return false;
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  } catch {
    return false;
  }
  return hash.digest('hex') === oid;
}

/** A folder for files on their way into a store. */
export async function incomingFolder(store: string): Promise<string> {
  const folder = join(store, 'tmp');
  await mkdir(folder, { recursive: true });
  return folder;
}
