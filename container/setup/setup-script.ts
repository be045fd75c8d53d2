/**
 * Setup scripts, run once for each worktree to install what the work needs: those that an admin set, then the repository's
 * optional `cyrus-setup.sh`.
 */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { readFile } from '../files/inside.ts';
import type { SessionAccess } from '../gateway/session-access.ts';
import { repositoryFile, type SessionPaths } from '../paths.ts';
import { sessionEnvironment } from '../process/environment.ts';
import { signalProcess } from '../process/process-group.ts';

export const SETUP_SCRIPT = 'cyrus-setup.sh';

const MAX_REPORTED = 64 * 1024;
const MAX_LOGGED = 16 * 1024 * 1024;
/** A larger script runs as it is. */
const MAX_SCRIPT_BYTES = 4 * 1024 * 1024;

export interface SetupOutcome {
  ok: boolean;
  /** One line for people, e.g. "cyrus-setup.sh failed with exit code 1". */
  summary: string;
}

/** Whether the repository brings a setup script. */
export async function hasSetupScript(paths: SessionPaths): Promise<boolean> {
  return (await repositoryFile(paths.worktree, SETUP_SCRIPT)) !== null;
}

/** The script as bash can run it: the file itself, or a copy beside the worktree with plain line ends. */
async function withoutCarriageReturns(paths: SessionPaths, path: string): Promise<string> {
  const file = isAbsolute(path) ? path : join(paths.worktree, path);
  const text = await readFile(file, MAX_SCRIPT_BYTES).catch(() => null);
  if (!text?.includes('\r\n')) return path;
  const copy = join(paths.dir, 'setup-plain.sh');
  await writeFile(copy, text.toString('latin1').replaceAll('\r\n', '\n'), { mode: 0o640, encoding: 'latin1' });
  return copy;
}

/**
 * Runs a script with bash in the worktree, in a process group of its own, without any secret in its environment.
 * All output goes to `setup.log` in the session's directory, after what is there; the first 64 KiB are reported.
 * @param script `name`: for people; `path`: of the file, absolute or in the worktree
 * @param variables added to its environment
 * @param onOutput stdout and stderr as they come
 */
export async function runSetupScript(
  paths: SessionPaths,
  { name, path }: { name: string; path: string },
  variables: Record<string, string>,
  timeoutSeconds: number,
  onOutput: (text: string) => void,
  signal: AbortSignal,
  access: Pick<SessionAccess, 'peers' | 'wall'>,
): Promise<SetupOutcome> {
  // Checked out with carriage returns it would stop at its first line, or pass over all of it.
  const file = await withoutCarriageReturns(paths, path);
  return await new Promise((resolve) => {
    const { program, args } = access.wall.command('bash', [file]);
    const child = spawn(program, args, {
      cwd: paths.worktree,
      env: { ...sessionEnvironment(paths), ...variables },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    access.peers.add(child);
    const logFile = createWriteStream(paths.setupLog, { flags: 'a', mode: 0o640 });
    logFile.on('error', () => {});
    let reported = 0;
    let logged = 0;
    let timedOut = false;
    const kill = () => {
      if (child.pid) signalProcess(-child.pid, 'SIGKILL');
    };
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, timeoutSeconds * 1000);
    signal.addEventListener('abort', kill);
    const read = (chunk: Buffer) => {
      if (logged < MAX_LOGGED) logFile.write(chunk);
      logged += chunk.length;
      if (reported >= MAX_REPORTED) return;
      reported += chunk.length;
      onOutput(chunk.toString('utf8'));
      if (reported >= MAX_REPORTED) onOutput('\n(more output is not shown; it is in setup.log)\n');
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    const finish = (ok: boolean, summary: string) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
      logFile.end();
      resolve({ ok, summary });
    };
    child.on('error', (error) => finish(false, `${name} could not be run: ${error.message}`));
    // A background process the script leaves behind may hold the pipes open forever, so the exit counts.
    child.on('exit', (code, killedBy) => {
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        if (timedOut) finish(false, `${name} was ended: it took longer than ${timeoutSeconds} seconds`);
        else if (code === 0) finish(true, `${name} succeeded`);
        else finish(false, `${name} failed with ${code === null ? `signal ${killedBy}` : `exit code ${code}`}`);
      }, 50);
    });
  });
}
