/** Runs the repository's commit hooks for a commit that the server makes: as Claude's own git would, with a time limit. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import type { SessionAccess } from '../gateway/session-access.ts';
import { gitEnvironmentForClaude } from '../git/git.ts';
import { remoteOf } from '../git/workspace.ts';
import type { HookOutcome, WorkspacePlan } from '../git/workspace-plan.ts';
import type { SessionPaths } from '../paths.ts';
import { decoyVariable, sessionEnvironment } from '../process/environment.ts';
import { signalProcess } from '../process/process-group.ts';

const LIMIT_MS = 5 * 60_000;
const MAX_OUTPUT = 4_000;

/** @returns runs a hook in the session's worktree. Never rejects */
export function hookRunner(
  paths: SessionPaths,
  start: StartSession,
  access: SessionAccess,
  signal: AbortSignal,
): NonNullable<WorkspacePlan['runHook']> {
  return (hook, args) =>
    new Promise<HookOutcome>((done) => {
      const program = join(import.meta.dirname, 'repository-hooks.ts');
      const command = access.wall.command(process.execPath, [program, hook, ...args]);
      const child = spawn(command.program, command.args, {
        cwd: paths.worktree,
        env: {
          ...sessionEnvironment(paths),
          ...gitEnvironmentForClaude(remoteOf(paths, start, access)),
          ...decoyVariable(start),
        },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      access.peers.add(child);
      let output = '';
      let timedOut = false;
      const read = (chunk: Buffer) => {
        output = (output + chunk.toString('utf8')).slice(-2 * MAX_OUTPUT);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      const kill = () => {
        if (child.pid) signalProcess(-child.pid, 'SIGKILL');
      };
      const timer = setTimeout(() => {
        timedOut = true;
        kill();
      }, LIMIT_MS);
      signal.addEventListener('abort', kill);
      const settle = (ok: boolean, why = '') => {
        clearTimeout(timer);
        signal.removeEventListener('abort', kill);
        const { token } = start.gateway;
        const said = output.replaceAll(token, '[session token]').trim().slice(-MAX_OUTPUT);
        done({
          ok,
          output: [said, timedOut ? `it took longer than ${LIMIT_MS / 60_000} minutes` : why]
            .filter(Boolean)
            .join(' · '),
        });
      };
      child.on('error', (error) => settle(false, error.message));
      child.on('close', (code) => settle(code === 0));
    });
}
