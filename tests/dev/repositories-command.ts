/** Runs commands of dev/ as a process, against an admin API of the test's. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT } from '../../dev/settings.ts';
import { ADMIN_TOKEN, type AdminHost } from '../unit/support/admin-host.ts';

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export interface RunOptions {
  /** Beside those that say where Cyrus is. */
  env?: Record<string, string>;
  stdin?: string;
}

export function runRepositories(host: AdminHost, args: string[], options: RunOptions): Promise<Ran> {
  return runCommand('repositories.ts', host, args, options);
}

/** @param program its file in dev/ */
export async function runCommand(
  program: string,
  host: AdminHost,
  args: string[],
  { env, stdin = '' }: RunOptions,
): Promise<Ran> {
  const environment = { PATH: process.env.PATH ?? '', CYRUS_URL: host.url, ADMIN_TOKEN, ...env };
  const child = spawn(process.execPath, [join(PROJECT, 'dev', program), ...args], { env: environment });
  const ran: Ran = { code: null, out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    ran.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    ran.err += chunk;
  });
  child.stdin.end(stdin);
  ran.code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return ran;
}
