/** An archive of directories, made and unpacked by the system's tar inside of the session's wall. */
import { type ChildProcess, spawn } from 'node:child_process';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { messageOf } from '../../src/lib/error.ts';
import { MAX_SETUP_CACHE_BYTES } from '../../src/protocol/repository-cache.ts';
import { createReadStream, writeStream } from '../files/inside.ts';
import { feed } from '../process/feed.ts';
import { noteOwnChild, SERVER_MARKER } from '../process/process-group.ts';
import type { SessionWall } from '../walls/session-wall.ts';

/** Unpacked; what is larger is not worth the wait. */
const MAX_UNPACKED_BYTES = 4_000_000_000;

/** The archive cannot be made, or not be used. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

/** Packs directories of the worktree into a file. @returns its size in bytes @throws ArchiveError */
export async function pack(
  wall: SessionWall,
  worktree: string,
  directories: string[],
  archive: string,
  signal: AbortSignal,
): Promise<number> {
  const tar = startTar(wall, ['-cf', '-', '--', ...directories], worktree, signal);
  const counted = limitedTo(MAX_SETUP_CACHE_BYTES);
  if (!tar.child.stdout) throw new ArchiveError('tar has no output');
  await Promise.all([
    pipeline(tar.child.stdout, createGzip({ level: 1 }), counted.stream, { signal }),
    writeStream(archive, counted.stream, 0o600),
    tar.ended,
  ]);
  return counted.bytes();
}

/** Unpacks an archive into a folder. @throws ArchiveError */
export async function unpack(wall: SessionWall, archive: string, into: string, signal: AbortSignal): Promise<void> {
  // Owners and modes as for everything that the session makes.
  const tar = startTar(wall, ['-xf', '-', '--no-same-owner'], into, signal);
  if (!tar.child.stdin) throw new ArchiveError('tar has no input');
  const limit = limitedTo(MAX_UNPACKED_BYTES).stream;
  const reading = { stdin: tar.child.stdin, ended: tar.ended };
  await feed(createReadStream(archive), [createGunzip(), limit], reading, signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw new ArchiveError(`it cannot be unpacked: ${messageOf(error)}`);
  });
}

/** The system's tar, without anything of the server's environment but PATH. */
function startTar(
  wall: SessionWall,
  tarArguments: string[],
  cwd: string,
  signal: AbortSignal,
): { child: ChildProcess; ended: Promise<void> } {
  const env = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    LANG: 'C.UTF-8',
    [SERVER_MARKER]: String(process.pid),
  };
  const { program, args } = wall.ownCommand('tar', tarArguments, cwd);
  const child = spawn(program, args, {
    cwd,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  noteOwnChild(child);
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(-500);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new ArchiveError(`tar ended with ${code}: ${complaint.trim()}`));
    });
  });
  return { child, ended };
}

function limitedTo(most: number): { stream: Transform; bytes: () => number } {
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      if (bytes > most) done(new ArchiveError(`it has more than ${most} bytes`));
      else done(null, chunk);
    },
  });
  return { stream, bytes: () => bytes };
}
