/** How commands reach Cloudflare: by wrangler, with the login of the person who runs them. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from '../processes.ts';
import { PROJECT } from '../settings.ts';

/** What became of a command. */
export interface Ran {
  ok: boolean;
  out: string;
  /** Standard error, or why it could not be started. */
  err: string;
}

/** Runs programs. Tests give one of their own. */
export interface Host {
  /** Runs it to its end and reads what it prints. @param input for its standard input */
  read(command: string, args: readonly string[], input?: string): Ran;
  /** Runs it in front of the person. @returns null, or why it failed */
  show(command: string, args: readonly string[]): string | null;
  tell(words: string): void;
}

const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Programs of this machine. Wrangler and vite are the project's own; a folder CYRUS_PROGRAMS has others in their place, for tests. */
export const machine: Host = {
  read(command, args, input) {
    const { status, stdout, stderr, error } = spawnSync(programOf(command), args, {
      cwd: PROJECT,
      encoding: 'utf8',
      maxBuffer: MOST_OUTPUT_BYTES,
      ...(input !== undefined && { input }),
    });
    return { ok: status === 0, out: stdout ?? '', err: error?.message ?? stderr ?? '' };
  },
  show(command, args) {
    const { status, error } = spawnSync(programOf(command), args, { cwd: PROJECT, stdio: 'inherit' });
    return status === 0 ? null : (error?.message ?? `exit code ${status}`);
  },
  tell: (words) => console.log(words),
};

const OWN = ['wrangler', 'vite'];

function programOf(command: string): string {
  const folder = process.env.CYRUS_PROGRAMS;
  if (folder && existsSync(join(folder, command))) return join(folder, command);
  return OWN.includes(command) ? binary(command) : command;
}
