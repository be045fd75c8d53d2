/**
 * Looks into the machine a sandbox runs on. The same code everywhere: in this process where the sandbox is one of this
 * machine, inside of the container where it is one (then as a program, with its question as JSON on standard input).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { sessionPaths } from '../../container/paths.ts';
import { SERVER_MARKER, sessionProcesses } from '../../container/process/process-group.ts';
import { readRecord } from '../../container/session/session-record.ts';
import { findInFiles, findInProcesses, type Secret } from './secrets.ts';

/** What is asked about: a session of the server whose folder is `root`, and what a single question needs besides. */
export interface ProbeInput {
  root: string;
  id: string;
  pids: number[];
  secrets: Secret[];
  /** Of files that were last changed before, in ms since the epoch, nothing is asked. */
  changedSince: number;
}

const numbers = z.array(z.number());
const texts = z.array(z.string());
const longToolSchema = z.object({ shell: z.number(), parent: z.number(), child: z.number() });
const ANSWER_LIMIT_MS = 10_000;
/** Not files of anybody. */
const NO_FILES = ['proc', 'sys', 'dev'];
/** First line of the program's output: from now on nothing escapes it. */
export const LOOKING = 'looking';

/** The numbers on this machine of processes that know themselves by others (proc_pid_status(5), NSpid). */
function hostPids(candidates: readonly number[], inside: readonly number[]): number[] {
  const known = new Map<number, number>();
  for (const pid of candidates) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const own = /^NSpid:\s(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/).at(-1);
      known.set(Number(own ?? pid), pid);
    } catch {
      // It has ended.
    }
  }
  return inside.map((pid) => known.get(pid) ?? pid);
}

/** Each question with the shape of its answer. */
export const probes = {
  /** Every living process of the session, without what the server itself runs in its folder, like the git that saves. */
  processes: {
    answer: numbers,
    look: ({ root, id }: ProbeInput) =>
      sessionProcesses(sessionPaths(root, id).dir).filter((pid) => isAlive(pid) && !isOfServer(pid)),
  },
  /** The processes that `[script: long-tool]` started: a shell, a program, and a child of it; null before. */
  longTool: {
    answer: numbers.nullable(),
    look: ({ root, id }: ProbeInput) => {
      const file = join(sessionPaths(root, id).worktree, '.git', 'long-tool.json');
      if (!existsSync(file)) return null;
      const { shell, parent, child } = longToolSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
      // As the tool knows them: behind a wall they have other numbers.
      return hostPids(sessionProcesses(sessionPaths(root, id).dir), [shell, parent, child]);
    },
  },
  /** Waits until none of these processes lives: when that was, in ms since the epoch, and which are left. */
  gone: {
    answer: z.object({ at: z.number(), left: numbers }),
    look: async ({ pids }: ProbeInput) => {
      for (const since = Date.now(); pids.some(isAlive) && Date.now() - since < ANSWER_LIMIT_MS; ) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return { at: Date.now(), left: pids.filter(isAlive) };
    },
  },
  /** Ids of the conversations that Claude keeps on this disk. */
  conversations: {
    answer: texts,
    look: ({ root, id }: ProbeInput) => {
      const projects = join(sessionPaths(root, id).claudeConfig, 'projects');
      const folders = existsSync(projects) ? readdirSync(projects) : [];
      const files = folders.flatMap((folder) => readdirSync(join(projects, folder)));
      return files.filter((file) => file.endsWith('.jsonl')).map((file) => basename(file, '.jsonl'));
    },
  },
  /** The session's token, which the record holds sealed with the server's secret (given as `secrets`); null before the session has begun. */
  token: {
    answer: z.string().nullable(),
    look: async ({ root, id, secrets }: ProbeInput) =>
      (await readRecord(sessionPaths(root, id), secrets[0]?.text ?? null))?.start.gateway.token ?? null,
  },
  /** The files that the session was given, in base64. */
  files: {
    answer: z.array(z.object({ name: z.string(), base64: z.string() })),
    look: ({ root, id }: ProbeInput) => {
      const { files } = sessionPaths(root, id);
      return readdirSync(files).map((name) => ({ name, base64: readFileSync(join(files, name), 'base64') }));
    },
  },
  /** Names of the files that `[script: steps]` made. */
  steps: {
    answer: texts,
    look: ({ root, id }: ProbeInput) => readdirSync(join(sessionPaths(root, id).worktree, 'steps')),
  },
  /** Secrets in the environment and the command line of processes. */
  inProcesses: { answer: texts, look: ({ pids, secrets }: ProbeInput) => findInProcesses(pids, secrets) },
  /** Secrets in the session's files. */
  inSession: {
    answer: texts,
    look: ({ root, id, secrets }: ProbeInput) => findInFiles(sessionPaths(root, id).dir, secrets),
  },
  /** Secrets in all files of the sandboxes. */
  inSandboxes: { answer: texts, look: ({ root, secrets }: ProbeInput) => findInFiles(root, secrets) },
  /** Secrets in every file of the machine. For containers: elsewhere it would be all of somebody's disk. */
  everyFile: {
    answer: texts,
    look: ({ secrets, changedSince }: ProbeInput) => {
      const folders = readdirSync('/').filter((name) => !NO_FILES.includes(name));
      return folders.flatMap((name) => findInFiles(`/${name}`, secrets, changedSince));
    },
  },
  /** Secrets in every process. Of another user's, root of a container may not read the environment. */
  everyProcess: {
    answer: texts,
    look: ({ secrets }: ProbeInput) => {
      const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
      return findInProcesses(pids, secrets);
    },
  },
} as const;

export type ProbeName = keyof typeof probes;
export type ProbeAnswer<Name extends ProbeName> = z.infer<(typeof probes)[Name]['answer']>;

/** Whether a process is alive; a zombie is not. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** Whether the server started a process for itself. */
function isOfServer(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .some((entry) => entry.startsWith(`${SERVER_MARKER}=`));
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const { name, input }: { name: ProbeName; input: ProbeInput } = JSON.parse(readFileSync(0, 'utf8'));
  console.log(LOOKING);
  console.log(JSON.stringify(await probes[name].look(input)));
}
