/** A session as the sandbox's machine knows it: its files and its processes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { type SessionPaths, sessionPaths } from '../../container/paths.ts';
import { sessionProcesses } from '../../container/processes.ts';
import { readRecord } from '../../container/record.ts';
import { until } from './run.ts';

const longToolSchema = z.object({ shell: z.number(), parent: z.number(), child: z.number() });

export class SandboxSession {
  readonly paths: SessionPaths;

  /** @param root the sandbox's folder. @param id of the session */
  constructor(root: string, id: string) {
    this.paths = sessionPaths(root, id);
  }

  /** Every living process of the session. */
  processes(): number[] {
    return sessionProcesses(this.paths.dir);
  }

  /** Waits for the processes that `[script: long-tool]` started: a shell, a program, and a child of it. */
  longTool(): Promise<number[]> {
    const repository = () => {
      const file = join(this.paths.worktree, '.git');
      return existsSync(file) ? readFileSync(file, 'utf8').replace('gitdir: ', '').trim() : null;
    };
    return until('the long tool to run', () => {
      const directory = repository();
      const file = directory && join(directory, 'long-tool.json');
      if (!file || !existsSync(file)) return null;
      const { shell, parent, child } = longToolSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
      return [shell, parent, child];
    });
  }

  /** Ids of the conversations that Claude keeps on this disk. */
  conversations(): string[] {
    const projects = join(this.paths.claudeConfig, 'projects');
    const folders = existsSync(projects) ? readdirSync(projects) : [];
    const files = folders.flatMap((folder) => readdirSync(join(projects, folder)));
    return files.filter((file) => file.endsWith('.jsonl')).map((file) => basename(file, '.jsonl'));
  }

  /** The session's token: the one thing like a credential that it may have. */
  async token(): Promise<string> {
    return (await until('the session on the sandbox’s disk', () => readRecord(this.paths))).start.gateway.token;
  }
}

/** Whether a process is alive; a zombie is not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
