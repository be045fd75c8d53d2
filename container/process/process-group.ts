/**
 * Finding and ending every process of a session, also those that left their process group (`setsid`, `nohup … &`) or
 * lost their parent. Each process a session starts inherits SESSION_MARKER in its environment; Linux shows it in /proc.
 * Elsewhere (macOS) only the process group that the caller ends itself is reached.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { steadyNow } from '../clock.ts';

/** Environment variable that marks a session's processes; its value is the session's directory. */
export const SESSION_MARKER = 'CYRUS_SESSION';
/** Marks the server's own children (git) with its process id: an end of the session must not hit them during a save. */
export const SERVER_MARKER = 'CYRUS_SERVER';

interface Seen {
  pid: number;
  parent: number;
  belongs: boolean;
}

/**
 * Lists the living processes of a session: those that carry its marker and all descendants of these. Zombies do not
 * count. (A working directory inside the session proves nothing: it may be the shell of a person who looks around.)
 * @param sessionDir absolute directory of the session
 * @returns process ids; empty if there is no /proc
 */
export function sessionProcesses(sessionDir: string): number[] {
  const seen = new Map<number, Seen>();
  for (const pid of allPids()) {
    if (pid === process.pid) continue;
    const process_ = look(pid, sessionDir);
    if (process_) seen.set(pid, process_);
  }
  const found: number[] = [];
  for (const process_ of seen.values()) {
    if (belongs(process_, seen)) found.push(process_.pid);
  }
  return found;
}

/**
 * Kills (SIGKILL) every process of a session and waits until none is left.
 * @param limitMs gives up after this time
 * @returns the processes still alive: empty unless the limit was reached
 */
export async function killSessionProcesses(sessionDir: string, limitMs = 2_000): Promise<number[]> {
  const deadline = steadyNow() + limitMs;
  for (;;) {
    // A process may have forked while its siblings were read: look until a look finds none.
    const left = sessionProcesses(sessionDir);
    if (left.length === 0) return [];
    for (const pid of left) signalProcess(pid, 'SIGKILL');
    if (steadyNow() > deadline) return sessionProcesses(sessionDir);
    await new Promise((done) => setTimeout(done, 10));
  }
}

/**
 * Kills gits whose server is gone and that work inside a directory.
 * @param directory absolute
 */
export function killServerChildren(directory: string): void {
  for (const pid of allPids()) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const server = environment
        .find((entry) => entry.startsWith(`${SERVER_MARKER}=`))
        ?.slice(SERVER_MARKER.length + 1);
      if (!server || existsSync(`/proc/${server}`)) continue;
      if (`${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${directory}/`)) signalProcess(pid, 'SIGKILL');
    } catch {
      // Gone, or not ours to read.
    }
  }
}

/** The process for which bubblewrap was started, which passes no signals on; the process itself where it is none. */
export function innermost(pid: number): number {
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'bwrap') return pid;
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return child === undefined ? pid : innermost(Number(child));
  } catch {
    return pid;
  }
}

/** Sends a signal to a process, or with a negative id to its group. A process that is gone is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

function allPids(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** Null: gone, a zombie, not ours to read, or one of the server's own. */
function look(pid: number, sessionDir: string): Seen | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name stands in parentheses and may hold anything, so read after the last one.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    if (environment.some((entry) => entry.startsWith(`${SERVER_MARKER}=`))) return null;
    return { pid, parent: Number(parent), belongs: environment.includes(`${SESSION_MARKER}=${sessionDir}`) };
  } catch {
    return null;
  }
}

function belongs(process_: Seen, seen: Map<number, Seen>): boolean {
  for (let current: Seen | undefined = process_, steps = 0; current && steps < 100; steps++) {
    if (current.belongs) return true;
    current = seen.get(current.parent);
  }
  return false;
}
