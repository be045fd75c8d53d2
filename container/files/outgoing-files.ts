/**
 * What Claude shares: files in the session's share folder are stored at the gateway after each turn, so that people see
 * them. The folder is Claude's, so nothing in it is trusted: only regular files are read, never through a link.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/lib/error.ts';
import { fileType, KNOWN_TYPES } from '../../src/protocol/file-type.ts';
import { FILE_NAME, MAX_SHARED_BYTES, MAX_SHARED_FILES, type SharedFile } from '../../src/protocol/files.ts';
import { pause, steadyNow } from '../clock.ts';
import { log } from '../log.ts';
import { mkdir, rm } from './inside.ts';

const PUT_TIMEOUT_MS = 30_000;
const PUT_TRIES = 3;
/** After this long the failure is reported, so that the end of the turn is not held up. */
const SHARE_LIMIT_MS = 60_000;
const MAX_PROBLEMS = 10;

export interface ShareGateway {
  url: string;
  token: string;
  signal: AbortSignal;
}

export interface Shared {
  files: SharedFile[];
  /** As a text for people. */
  problems: string[];
}

/** Makes the folder, before Claude is told of it. */
export async function makeShareFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch(() => null);
  if (found && !found.isDirectory()) await rm(folder, { force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/**
 * Stores what the share folder holds.
 * @param stored hashes the gateway has already; those of this call are added
 * @returns the files that are stored, by name; never throws
 */
export async function shareFiles(folder: string, gateway: ShareGateway, stored: Set<string>): Promise<Shared> {
  const files: SharedFile[] = [];
  const problems: string[] = [];
  const until = steadyNow() + SHARE_LIMIT_MS;
  const names = await namesIn(folder);
  for (const name of names.slice(0, MAX_SHARED_FILES)) {
    const read = await readShared(folder, name);
    if ('problem' in read) {
      problems.push(`share/${shown(name)} was not shared: ${read.problem}.`);
      continue;
    }
    const { file, content } = read;
    if (!stored.has(file.hash)) {
      const problem = steadyNow() > until ? 'the gateway took too long' : await put(gateway, file, content, until);
      if (problem !== null) {
        problems.push(`share/${name} was not shared: ${problem}.`);
        continue;
      }
      stored.add(file.hash);
    }
    files.push(file);
  }
  const left = names.length - MAX_SHARED_FILES;
  if (left > 0) problems.push(`${left} more files in the share folder were omitted: the limit is ${MAX_SHARED_FILES}.`);
  const more = problems.length - MAX_PROBLEMS;
  return { files, problems: more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `And ${more} more.`] : problems };
}

/** Names in the folder, the newest file first. A folder that is a link is none. */
async function namesIn(folder: string): Promise<string[]> {
  if (!(await lstat(folder).catch(() => null))?.isDirectory()) return [];
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const ages = await Promise.all(names.map((name) => lstat(join(folder, name)).catch(() => null)));
  return names
    .map((name, index) => ({ name, at: ages[index]?.mtimeMs ?? 0 }))
    .sort((a, b) => b.at - a.at || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

async function readShared(
  folder: string,
  name: string,
): Promise<{ file: SharedFile; content: Buffer<ArrayBuffer> } | { problem: string }> {
  if (!FILE_NAME.test(name)) return { problem: 'a name has only letters, digits, ".", "_" and "-"' };
  // Not followed where it is a link, not waited for where it is a pipe.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(join(folder, name), flags).catch(() => null);
  if (!handle) return { problem: 'it is not a regular file, or cannot be read' };
  try {
    const found = await handle.stat();
    if (!found.isFile()) return { problem: 'it is not a regular file' };
    const limit = `the limit is ${MAX_SHARED_BYTES / 1024 / 1024} MiB`;
    if (found.size > MAX_SHARED_BYTES)
      return { problem: `it is ${Math.ceil(found.size / 1024 / 1024)} MiB large, ${limit}` };
    if (found.size === 0) return { problem: 'it is empty' };
    // What is appended while it is read is not read.
    const buffer = Buffer.alloc(found.size);
    let bytes = 0;
    while (bytes < buffer.length) {
      const { bytesRead } = await handle.read(buffer, bytes, buffer.length - bytes, bytes);
      if (bytesRead === 0) break;
      bytes += bytesRead;
    }
    const content = buffer.subarray(0, bytes);
    const type = fileType(content, name);
    if (type === null) return { problem: `its content is not one of: ${KNOWN_TYPES}` };
    const hash = createHash('sha256').update(content).digest('hex');
    return { file: { name, hash, bytes, type }, content };
  } catch (error) {
    return { problem: messageOf(error) };
  } finally {
    await handle.close();
  }
}

/** @returns null when the gateway has it, otherwise why not */
async function put(
  { url, token, signal }: ShareGateway,
  { name, hash }: SharedFile,
  content: Buffer<ArrayBuffer>,
  until: number,
): Promise<string | null> {
  let problem = '';
  for (let attempt = 1; attempt <= PUT_TRIES && steadyNow() < until && !signal.aborted; attempt++) {
    try {
      const answer = await fetch(`${url}/shared/${hash}?name=${encodeURIComponent(name)}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
        body: content,
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(PUT_TIMEOUT_MS)]),
      });
      const text = (await answer.text()).slice(0, 300);
      if (answer.ok) return null;
      problem = `the gateway answered ${answer.status} ${text}`;
      if (answer.status < 500 && answer.status !== 429) return problem;
    } catch (error) {
      problem = `the gateway cannot be reached (${messageOf(error)})`;
    }
    log('files.upload.failed', { name, attempt, problem });
    await pause(500 * attempt, signal);
  }
  return problem || 'the session ended';
}

/** A name as it may stand in a sentence: it is Claude's, or the repository's. */
function shown(name: string): string {
  return name.replace(/[^\w. -]/g, '?').slice(0, 80);
}
