/**
 * Files given to a session, such as the images of its issue: in a folder beside the worktree, where git does not see them.
 * A file is there whole or not at all, and the same name again replaces it.
 */
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chown, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FILE_NAME, type GivenFile, MAX_GIVEN_BYTES } from '../../src/protocol/files.ts';
import { Refusal } from '../http.ts';

/** Most that a session is given over its whole life. */
const MAX_TOTAL_BYTES = 300 * 1024 * 1024;
const MAX_FILES = 300;
/** Beginning of the name of a file that is still being written; no name of a given file has it. */
const UNFINISHED = '.unfinished-';
/** What this server is writing now. */
const writing = new Set<string>();

/** The files a session was given. @param folder need not exist */
export async function listGivenFiles(folder: string): Promise<GivenFile[]> {
  const files: GivenFile[] = [];
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    if (!FILE_NAME.test(name)) continue;
    const path = join(folder, name);
    const found = await lstat(path).catch(() => null);
    if (found?.isFile()) files.push({ name, path, bytes: found.size });
  }
  return files;
}

/**
 * Takes a file from the body of a request.
 * @param name as in the address, still encoded
 * @throws Refusal 400 for a name that is none, 413 for a file that is too large or more than the session may hold
 */
export async function takeGivenFile(folder: string, name: string, request: IncomingMessage): Promise<GivenFile> {
  if (!FILE_NAME.test(name)) {
    const message = 'A file is named by 1 to 128 letters, digits, ".", "_" and "-", a letter or digit first.';
    throw new Refusal(400, 'bad-file-name', message);
  }
  await ownFolder(folder);
  const others = (await listGivenFiles(folder)).filter((file) => file.name !== name);
  const room = MAX_TOTAL_BYTES - others.reduce((sum, { bytes }) => sum + bytes, 0);
  if (others.length >= MAX_FILES || room <= 0) {
    throw new Refusal(413, 'full', `The session already has ${others.length} files, which is the limit.`);
  }
  const most = Math.min(MAX_GIVEN_BYTES, room);
  const tooLarge = () => new Refusal(413, 'too-large', `The file has more than the ${most} bytes that are allowed.`);
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge();
  const unfinished = join(folder, `${UNFINISHED}${randomUUID()}`);
  writing.add(unfinished);
  try {
    // `wx`: whatever else has that name is not written to.
    const bytes = new Counter(most, tooLarge);
    await pipeline(request, bytes, createWriteStream(unfinished, { flags: 'wx', mode: 0o640 }), { end: true });
    const path = join(folder, name);
    await shareWithFolder(unfinished, folder);
    await rename(unfinished, path);
    return { name, path, bytes: bytes.count };
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    writing.delete(unfinished);
  }
}

/** Makes the folder. What runs in the session may have put a link in its place: that is not followed. */
async function ownFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch(() => null);
  if (found && !found.isDirectory()) await rm(folder, { force: true });
  await mkdir(folder, { recursive: true, mode: 0o750 });
  for (const name of await readdir(folder)) {
    // What is not being written was left by a server that was killed.
    const path = join(folder, name);
    if (name.startsWith(UNFINISHED) && !writing.has(path)) await rm(path, { force: true });
  }
}

/** Where a session has a user of its own, its folder belongs to that user's group: a file is read by whom the folder is read by. */
async function shareWithFolder(file: string, folder: string): Promise<void> {
  const [{ uid, gid }, of] = await Promise.all([lstat(file), lstat(folder)]);
  if (gid !== of.gid) await chown(file, uid, of.gid);
}

/** Lets bytes through up to a limit. */
class Counter extends Transform {
  count = 0;
  readonly #most: number;
  readonly #tooLarge: () => Error;

  constructor(most: number, tooLarge: () => Error) {
    super();
    this.#most = most;
    this.#tooLarge = tooLarge;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.count += chunk.length;
    if (this.count > this.#most) done(this.#tooLarge());
    else done(null, chunk);
  }
}
