import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  killSessionProcesses,
  noteOwnChild,
  SERVER_MARKER,
  SESSION_MARKER,
  sessionProcesses,
  signalProcess,
} from '../../container/process/process-group.ts';
import { isSessionUser } from '../../container/walls/user-range.ts';
import { eventually } from './stage.ts';

const begun: number[] = [];
const folders: string[] = [];
afterEach(() => {
  for (const pid of begun.splice(0)) signalProcess(pid, 'SIGKILL');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function sessionFolder(uid?: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'cyrus-leftovers-'));
  folders.push(dir);
  mkdirSync(join(dir, 'home'));
  if (uid !== undefined) chownSync(join(dir, 'home'), uid, uid);
  return dir;
}

/** Runs a shell script, and waits for the process whose id it prints. */
async function begin(
  script: string,
  env: NodeJS.ProcessEnv,
  uid?: number,
  onChild: (child: ChildProcess) => void = () => {},
): Promise<number> {
  const child = spawn('sh', ['-c', script], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  onChild(child);
  if (child.pid !== undefined) begun.push(child.pid);
  const pid = await new Promise<number>((resolve) =>
    child.stdout.once('data', (text) => resolve(Number(String(text)))),
  );
  begun.push(pid);
  return pid;
}

const lives = (pid: number) => existsSync(`/proc/${pid}`);

describe.runIf(existsSync('/proc/self/stat'))('the end of a session', () => {
  it.each([
    ['left its process group', 'setsid sleep 600 & echo $!; wait'],
    ['says that it is the server’s', `${SERVER_MARKER}=$$ sleep 600 & echo $!; wait`],
    ['says that it is that of this server', `${SERVER_MARKER}=${process.pid} sleep 600 & echo $!; wait`],
    [
      'replaced the program that the server had begun, and says so',
      `exec env ${SERVER_MARKER}=${process.pid} sh -c 'sleep 600 & echo $!; wait'`,
    ],
    ['took the marker off', 'env -i sleep 600 & echo $!; wait'],
  ])('ends a process of it that %s', async (_what, script) => {
    const dir = sessionFolder();
    const pid = await begin(script, { [SESSION_MARKER]: dir });
    await eventually(() => sessionProcesses(dir).includes(pid), 'the process to be found', 5_000);
    expect(await killSessionProcesses(dir)).toEqual([]);
    await eventually(() => !lives(pid) || !sessionProcesses(dir).includes(pid), 'its end', 5_000);
    expect(sessionProcesses(dir)).toEqual([]);
  });

  it('spares what the server itself runs in its folder', async () => {
    const dir = sessionFolder();
    const pid = await begin('sleep 600 & echo $!; wait', { [SESSION_MARKER]: dir }, undefined, noteOwnChild);
    await killSessionProcesses(dir);
    expect(lives(pid)).toBe(true);
  });

  it.runIf(process.getuid?.() === 0)(
    'ends what its own user runs, without marker and parent, and nothing of another session’s',
    async () => {
      const [uid, other] = [99_998, 99_999];
      expect([uid, other].every(isSessionUser)).toBe(true);
      const dir = sessionFolder(uid);
      const orphan = 'env -i setsid sh -c "sleep 600 & echo \\$!" ';
      const pid = await begin(orphan, {}, uid);
      const sayingServer = await begin(`${SERVER_MARKER}=1 setsid sh -c "sleep 600 & echo \\$!"`, {}, uid);
      const neighbour = await begin(orphan, {}, other);
      const elsewhere = await begin('sleep 600 & echo $!; wait', { [SESSION_MARKER]: sessionFolder() }, uid);
      expect(sessionProcesses(dir)).toEqual(expect.arrayContaining([pid, sayingServer]));
      expect(await killSessionProcesses(dir)).toEqual([]);
      expect([neighbour, elsewhere].map(lives)).toEqual([true, true]);
    },
  );
});
