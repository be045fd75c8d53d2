/** A real git as a sandbox runs it, for tests of the gateway. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What git would start behind every commit, fetch and push, and flush to the disk, is not what is tested. */
const QUICK = { 'maintenance.auto': 'false', 'receive.autogc': 'false', 'core.fsync': 'none' };

/** Variables of a git that knows no configuration of this machine and asks nobody. */
export function gitVariables(home: string): Record<string, string | undefined> {
  const variables: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
    GIT_CONFIG_COUNT: String(Object.keys(QUICK).length),
  };
  for (const [at, [key, value]] of Object.entries(QUICK).entries()) {
    variables[`GIT_CONFIG_KEY_${at}`] = key;
    variables[`GIT_CONFIG_VALUE_${at}`] = value;
  }
  for (const role of ['AUTHOR', 'COMMITTER']) {
    variables[`GIT_${role}_NAME`] = 'Cyrus';
    variables[`GIT_${role}_EMAIL`] = 'cyrus@example.com';
  }
  return variables;
}

/**
 * Runs git in a folder.
 * @param home a folder without a configuration of git
 * @returns its exit code, which is never thrown, and what it prints on both channels
 */
export async function runGit(args: string[], cwd: string, home: string): Promise<{ code: number; output: string }> {
  try {
    const { stdout, stderr } = await run('git', args, { cwd, env: gitVariables(home) });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, output: failed.stdout + failed.stderr };
  }
}
