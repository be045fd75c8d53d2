/** A push of more than the gateway takes, by a real git: 1 GiB and one piece more. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { round } from './figures.ts';

const PIECE = 1024 ** 2;
const PIECES = 1025;

/** How it ended. */
export interface LargePush {
  packMiB: number;
  seconds: number;
  /** Whether git printed why. */
  isRefusedInWords: boolean;
  /** By how much the memory of workerd grew at the most. */
  workerGrewMiB: number;
}

/** @param url of the repository at the gateway. @param credential basic, in base64 */
export async function pushTooLarge(folder: string, url: string, credential: string): Promise<LargePush> {
  const cwd = join(folder, 'large-push');
  mkdirSync(cwd);
  const env = { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' };
  const author = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com'];
  // Written without compression: git only copies.
  const plain = ['-c', 'core.compression=0', '-c', 'core.bigFileThreshold=1m'];
  const git = (...args: string[]) => promisify(execFile)('git', [...author, ...plain, ...args], { cwd, env });
  await git('init', '--quiet', '--initial-branch=main');
  const piece = randomBytes(PIECE);
  const file = await open(join(cwd, 'large.bin'), 'w');
  for (let written = 0; written < PIECES; written += 1) await file.write(piece);
  await file.close();
  await git('add', '.');
  await git('commit', '--quiet', '-m', 'Large');
  const before = workerdMiB('VmRSS');
  const begin = performance.now();
  const header = `http.extraHeader=Authorization: Basic ${credential}`;
  const said = await git('-c', header, 'push', url, 'HEAD:refs/heads/cyrus/eng-1').then(
    () => 'it was taken',
    (error: unknown) => String(Object(error).stderr),
  );
  const seconds = (performance.now() - begin) / 1_000;
  const grew = workerdMiB('VmHWM') - before;
  rmSync(cwd, { recursive: true, force: true });
  const isRefusedInWords = said.includes('(Cyrus: a push may have at most 1024 MiB)');
  if (!isRefusedInWords) console.log(`git said: ${said}`);
  return {
    packMiB: (PIECES * PIECE) / 1024 ** 2,
    seconds: round(seconds, 1),
    isRefusedInWords,
    workerGrewMiB: round(grew, 0),
  };
}

/** Memory of the workerd that this process has started. @param what `VmRSS` now, `VmHWM` at the most (proc(5)) */
function workerdMiB(what: 'VmRSS' | 'VmHWM'): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      if (!/^Name:\s+workerd$/m.test(status) || !status.includes(`\nPPid:\t${process.pid}\n`)) continue;
      return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024;
    } catch {
      // It has ended.
    }
  }
  return Number.NaN;
}
