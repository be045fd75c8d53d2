/**
 * Files in folders that belong to a session, as the server reads and writes them: never through a link that the session put somewhere on the
 * way, never a pipe or device, never a file that is somebody else's too, and what is made belongs to the session's user. Every folder on the
 * way is opened by itself, without following links, and the next name is looked up in what was opened (openat(2), by way of
 * /proc/self/fd). Where a path is in no such folder, or there are no walls, these are node's own functions.
 */
import { spawn } from 'node:child_process';
import * as plain from 'node:fs';
import * as promises from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { noteOwnChild, SERVER_MARKER } from '../process/process-group.ts';

const { constants } = plain;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** A pipe or a device is not waited for. */
const SAFE = constants.O_NOFOLLOW | constants.O_NONBLOCK;

type Path = string | Buffer;

export interface Owner {
  uid: number;
  gid: number;
}

/** Owners by folder; a folder's path ends without a slash. */
const owned = new Map<string, Owner>();
/** Where the server keeps its own: the only other place that is named here once there are walls. */
let serverRoot: string | null = null;

/** From now on everything below this folder is handled as the session's. */
export function belongsTo(folder: string, owner: Owner): void {
  owned.set(folder, owner);
}

/** Paths that a session's git tells may lead anywhere: what is outside of this folder is refused. @param root null: no walls */
export function onlyBelow(root: string | null): void {
  serverRoot = root;
}

export function belongsToNobody(folder: string): void {
  owned.delete(folder);
}

/** The path was refused: a link, a pipe, a device, or a file with other names. */
export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError';
  readonly code = 'ELOOP';
}

/** The file has more bytes than its reader takes. */
export class FileTooLargeError extends Error {
  override readonly name = 'FileTooLargeError';
  readonly code = 'EFBIG';
}

interface Place extends Owner {
  root: string;
  /** One character a byte. */
  names: string[];
}

function placeOf(path: Path): Place | null {
  if (serverRoot === null) return null;
  const text = (Buffer.isBuffer(path) ? path : Buffer.from(path)).toString('latin1');
  for (const [folder, owner] of owned) {
    const root = Buffer.from(folder).toString('latin1');
    if (text !== root && !text.startsWith(`${root}/`)) continue;
    const names = text
      .slice(root.length)
      .split('/')
      .filter((name) => name !== '' && name !== '.');
    if (names.includes('..')) throw new UnsafePathError(`${folder}: a path must not lead upwards`);
    return { root: folder, ...owner, names };
  }
  const below = `${Buffer.from(serverRoot).toString('latin1')}/`;
  if (!text.startsWith(below) || text.split('/').includes('..'))
    throw new UnsafePathError(`${text} does not belong to this server`);
  return null;
}

/** Calls with the path of an entry in its folder, which stays open meanwhile. @param makes folders that are missing */
async function at<T>(place: Place, task: (entry: Buffer) => T | Promise<T>, makes = false): Promise<T> {
  const { root, names } = place;
  // The folder itself lies where only the server writes.
  if (names.length === 0) return await task(Buffer.from(root));
  if (makes) makeFolder(Buffer.from(root), place);
  let folder = plain.openSync(root, FOLDER);
  const entryOf = (name: string) => Buffer.from(`/proc/self/fd/${folder}/${name}`, 'latin1');
  try {
    for (const name of names.slice(0, -1)) {
      if (makes) makeFolder(entryOf(name), place);
      const next = openFolder(entryOf(name));
      plain.closeSync(folder);
      folder = next;
    }
    return await task(entryOf(names.at(-1) ?? ''));
  } finally {
    plain.closeSync(folder);
  }
}

function openFolder(path: Buffer): number {
  try {
    return plain.openSync(path, FOLDER);
  } catch (error) {
    // Missing is missing, for a link as well.
    if (codeOf(error) === 'ELOOP') throw new UnsafePathError('a link is in the way');
    throw error;
  }
}

function makeFolder(path: Buffer, { uid, gid }: Owner, mode = 0o755): void {
  try {
    plain.mkdirSync(path, { mode });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    throw error;
  }
  plain.lchownSync(path, uid, gid);
}

async function openToRead(place: Place): Promise<promises.FileHandle> {
  return await at(place, async (entry) => {
    const handle = await promises.open(entry, constants.O_RDONLY | SAFE);
    const found = await handle.stat();
    if (found.isFile() && (found.uid === place.uid || found.nlink === 1)) return handle;
    await handle.close();
    throw new UnsafePathError('it is not a regular file of the session');
  });
}

/** A file of its own, whatever was there. */
async function openToWrite(place: Place, mode: number): Promise<promises.FileHandle> {
  return await at(place, async (entry) => {
    await promises.unlink(entry).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
    const handle = await promises.open(entry, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | SAFE, mode);
    await handle.chown(place.uid, place.gid);
    return handle;
  });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}

interface WriteOptions {
  mode?: number;
  flag?: string;
  encoding?: BufferEncoding;
}

/**
 * The content of a file of at most so many bytes: what a session wrote may have any size, and the server's memory is everybody's.
 * @throws FileTooLargeError where it has more; what opening it throws
 */
export async function readFile(path: Path, most: number): Promise<Buffer> {
  const content = await readUpTo(path, most);
  if (content === null) throw new FileTooLargeError(`${path} has more than ${most} bytes, and is not read`);
  return content;
}

/** The same, as UTF-8. */
export async function readText(path: Path, most: number): Promise<string> {
  return (await readFile(path, most)).toString('utf8');
}

export async function writeFile(path: string, data: string | Buffer, options: WriteOptions = {}): Promise<void> {
  const place = placeOf(path);
  if (place === null) return await promises.writeFile(path, data, options);
  const { mode = 0o644, flag, encoding } = options;
  if (flag === 'wx') {
    await at(place, async (entry) => {
      await promises.writeFile(entry, data, { mode, flag, encoding });
      await promises.lchown(entry, place.uid, place.gid);
    });
    return;
  }
  const handle = await openToWrite(place, mode);
  try {
    await handle.writeFile(data, encoding);
  } finally {
    await handle.close();
  }
}

export async function open(path: Path, flags: 'r'): Promise<promises.FileHandle> {
  const place = placeOf(path);
  return place === null ? await promises.open(path, flags) : await openToRead(place);
}

/** The content of a small file. @returns null if it has more than so many bytes: it is not read then, since a session may make it any size */
export async function readUpTo(path: Path, most: number): Promise<Buffer | null> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > most) return null;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** As node's, except that it opens when it is asked to, not before. */
export function createReadStream(path: Path, encoding?: BufferEncoding): Readable {
  const place = placeOf(path);
  if (place === null) return plain.createReadStream(path, encoding);
  const read = async function* () {
    const handle = await openToRead(place);
    yield* handle.createReadStream();
  };
  const stream = Readable.from(read(), { objectMode: false });
  if (encoding !== undefined) stream.setEncoding(encoding);
  return stream;
}

/** Writes what a stream gives. */
export async function writeStream(path: string, from: Readable, mode: number): Promise<void> {
  const place = placeOf(path);
  const to: Writable =
    place === null ? plain.createWriteStream(path, { mode }) : (await openToWrite(place, mode)).createWriteStream();
  await pipeline(from, to);
}

export async function copyFile(from: Path, to: string, mode = 0): Promise<void> {
  if (placeOf(from) === null && placeOf(to) === null) return await promises.copyFile(from, to, mode);
  const source = await open(from, 'r');
  const { mode: bits } = await source.stat();
  await writeStream(to, source.createReadStream(), bits & 0o777);
}

export async function mkdir(path: string, options: { recursive?: boolean; mode?: number } = {}): Promise<void> {
  const place = placeOf(path);
  if (place === null) {
    await promises.mkdir(path, options);
    return;
  }
  const isNew = (entry: Buffer) => makeFolder(entry, place, options.mode);
  await at(place, isNew, options.recursive ?? false);
}

export async function chmod(path: string, mode: number): Promise<void> {
  const place = placeOf(path);
  if (place === null) return await promises.chmod(path, mode);
  const handle = await openToRead(place);
  try {
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

export async function rename(from: Path, to: Path): Promise<void> {
  const [here, there] = [placeOf(from), placeOf(to)];
  const inPlace = async (place: Place | null, path: Path, task: (entry: Path) => Promise<void>) =>
    place === null ? await task(path) : await at(place, task);
  await inPlace(here, from, (source) => inPlace(there, to, (target) => promises.rename(source, target)));
}

/** What is a folder is removed by a process of the session's user: it cannot be led into what is not the session's. */
export async function rm(path: string, options: { recursive?: boolean; force?: boolean } = {}): Promise<void> {
  const place = placeOf(path);
  if (place === null) return await promises.rm(path, options);
  try {
    await at(place, async (entry) => {
      const found = await promises.lstat(entry);
      if (!found.isDirectory()) return await promises.unlink(entry);
      if (options.recursive) await removeAs(place, path);
      await promises.rmdir(entry).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
      });
    });
  } catch (error) {
    if (!(options.force && (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'))) throw error;
  }
}

function removeAs({ uid, gid }: Owner, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('rm', ['-rf', '--', path], {
      uid,
      gid,
      cwd: '/',
      env: { PATH: process.env.PATH, [SERVER_MARKER]: String(process.pid) },
      stdio: 'ignore',
    });
    noteOwnChild(child);
    child.once('error', reject);
    // What it could not remove (the folder itself, in a folder of the server) is tried again by the caller.
    child.once('close', () => resolve());
  });
}

/** Times of a file, never of what it leads to. */
export async function utimes(path: string, accessed: number, modified: number): Promise<void> {
  const place = placeOf(path);
  if (place === null) return await promises.utimes(path, accessed, modified);
  await at(place, (entry) => promises.lutimes(entry, accessed, modified));
}

/** Calls with the content of a file as a blob, which is read as it is sent. */
export async function withBlob<T>(path: string, task: (content: Blob) => Promise<T>): Promise<T> {
  const place = placeOf(path);
  if (place === null) return await task(await plain.openAsBlob(path));
  const handle = await openToRead(place);
  try {
    return await task(await plain.openAsBlob(`/proc/self/fd/${handle.fd}`));
  } finally {
    await handle.close();
  }
}

/** Whether a path lies in a session's own folders, so that the session may change it at any moment. */
export function isOfSession(path: string): boolean {
  return placeOf(path) !== null;
}
