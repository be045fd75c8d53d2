/** Running the machine's git, without the settings of the person who is logged in. */
import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** git, or its `http-backend`, is not on this machine. The message says what to install. */
export class GitMissingError extends Error {
  override readonly name = 'GitMissingError';
}

/** git ran and refused. `stderr` is what it said. */
export class GitCommandError extends Error {
  override readonly name = 'GitCommandError';
  readonly stderr: string;
  constructor(command: string, code: number | null, stderr: string) {
    super(`git ${command} ended with ${code ?? 'a signal'}: ${stderr.trim() || 'no message'}`);
    this.stderr = stderr;
  }
}

/**
 * Settings of every repository of the host, given by environment so that no file has to be written into it.
 * Fetching any commit by its id is what GitHub allows too; garbage collection would go on after the host is closed.
 */
const settings: [string, string][] = [
  ['safe.directory', '*'],
  ['core.hooksPath', '/dev/null'],
  ['gc.auto', '0'],
  ['receive.autogc', 'false'],
  ['maintenance.auto', 'false'],
  ['http.receivepack', 'true'],
  ['uploadpack.allowFilter', 'true'],
  ['uploadpack.allowAnySHA1InWant', 'true'],
];

/**
 * Environment for git: PATH of this process, the host's settings, and nothing of the user's or the machine's git configuration.
 * @param more added last
 * @param further settings that come after the host's
 */
export function gitEnvironment(
  more: Record<string, string> = {},
  further: readonly [string, string][] = [],
): Record<string, string> {
  const all = [...settings, ...further];
  const environment: Record<string, string> = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_COUNT: String(all.length),
  };
  for (const [index, [key, value]] of all.entries()) {
    environment[`GIT_CONFIG_KEY_${index}`] = key;
    environment[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return { ...environment, ...more };
}

/**
 * Runs git to its end.
 * @param args arguments after `git`
 * @param options.cwd directory to run in; `input` is written to its stdin; `env` is added to the environment
 * @returns what it printed on stdout
 * @throws GitCommandError on any exit code but 0; GitMissingError without git
 */
export function runGit(
  args: string[],
  options: { cwd?: string; input?: string; env?: Record<string, string> } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd: options.cwd, env: gitEnvironment(options.env), stdio: 'pipe' });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? gitMissing() : error));
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString('utf8'));
      else reject(new GitCommandError(args.join(' '), code, Buffer.concat(err).toString('utf8')));
    });
    // git may end without reading all of its input; its exit code then says why.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/**
 * Path of the `git-http-backend` program that belongs to the git on PATH.
 * @throws GitMissingError
 */
export async function findHttpBackend(): Promise<string> {
  const path = join((await runGit(['--exec-path'])).trim(), 'git-http-backend');
  try {
    await access(path);
  } catch {
    throw new GitMissingError(
      `git is installed without its http-backend (looked for ${path}): install your system's full git package (Debian: apt-get install git; Alpine: apk add git-daemon)`,
    );
  }
  return path;
}

function gitMissing(): GitMissingError {
  return new GitMissingError(
    'git was not found on PATH: install it (Debian: apt-get install git; macOS: xcode-select --install) and start again',
  );
}
