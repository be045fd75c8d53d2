/** Child processes of a local run: started in a group of their own, logged to a file, ended with everything they started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROJECT } from './settings.ts';

/** Longest wait for a process to end by itself. */
const END_MS = 5_000;

export interface Child {
  readonly process: ChildProcess;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  /** Ends the process and what it started. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * Starts a process.
 * @param environment the whole of it; nothing is inherited
 * @param logFile where its output goes
 */
export function startProcess(
  command: string,
  args: string[],
  environment: Record<string, string>,
  logFile: string,
): Child {
  mkdirSync(dirname(logFile), { recursive: true });
  const output = createWriteStream(logFile, { flags: 'a' });
  const child = spawn(command, args, {
    cwd: PROJECT,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout?.pipe(output, { end: false });
  child.stderr?.pipe(output, { end: false });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const signalGroup = (signal: NodeJS.Signals) => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // The group is gone already.
    }
  };
  return {
    process: child,
    ended,
    async end(signal = 'SIGTERM') {
      signalGroup(signal);
      await Promise.race([ended, sleep(END_MS, undefined, { ref: false })]);
      signalGroup('SIGKILL');
      output.end();
    },
  };
}

/** Runs a command to its end. @throws with the end of its output where it fails */
export async function run(command: string, args: string[], environment: Record<string, string>): Promise<void> {
  const child = spawn(command, args, { cwd: PROJECT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} failed (exit code ${code}):\n${output}`);
}

/** Path of a command that npm installed for this project. */
export function binary(name: string): string {
  return join(PROJECT, 'node_modules', '.bin', name);
}

/** What a child of ours needs of this process's environment: no credentials that happen to lie there. */
export function plainEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '', LANG = 'C.UTF-8', TMPDIR } = process.env;
  const path = `${join(PROJECT, 'node_modules', '.bin')}:${PATH}`;
  return { PATH: path, HOME, LANG, ...(TMPDIR !== undefined && { TMPDIR }) };
}

/** Waits until `probe` is true. @throws naming what was waited for */
export async function waitFor(what: string, probe: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if (await probe().catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`${what} did not come up within ${timeoutMs / 1000} s`);
}
