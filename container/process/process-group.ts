/**
 * Finding and ending every process of a session, also those that left their process group (`setsid`, `nohup … &`) or
 * lost their parent. Each process a session starts inherits SESSION_MARKER in its environment; Linux shows it in /proc. One that removes
 * the marker is recognised by its parent, and, if the session has a user of its own, by that user.
 * Elsewhere (macOS) only the process group that the caller ends itself is reached.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { steadyNow } from '../clock.ts';
import { isSessionUser } from '../walls/user-range.ts';

/** Environment variable that marks a session's processes; its value is the session's directory. */
export const SESSION_MARKER = 'CYRUS_SESSION';
/**
 * Marks the server's own children (git, tar, rm) with its process id: the next server ends those that outlived it, and tests tell them
 * from what Claude started.
 */
export const SERVER_MARKER = 'CYRUS_SERVER';

interface Seen {
  pid: number;
  parent: number;
  belongs: boolean;
}

/** What the server itself has running in sessions' folders, by process id. A marker would not do: what runs in a session can write one. */
const ownChildren = new Set<number>();

/** The server has started a program of its own, as the session's user maybe: an end of the session must not hit it during a save. */
export function noteOwnChild(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  ownChildren.add(pid);
  child.once('exit', () => ownChildren.delete(pid));
}

/**
 * Lists the living processes of a session: those that carry its marker and all descendants of these. Zombies do not
 * count. (A working directory inside the session proves nothing: it may be the shell of a person who looks around.)
 * @param sessionDir absolute directory of the session
 * @returns process ids; empty if there is no /proc
 */
export function sessionProcesses(sessionDir: string): number[] {
  const seen = new Map<number, Seen>();
  const user = userOf(sessionDir);
  for (const pid of allPids()) {
    if (pid === process.pid) continue;
    const process_ = look(pid, sessionDir, user);
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

/** The user that is the session's alone; null if it has none. */
function userOf(sessionDir: string): number | null {
  try {
    const { uid } = statSync(join(sessionDir, 'home'));
    return isSessionUser(uid) ? uid : null;
  } catch {
    return null;
  }
}

/** Null: gone, or a zombie. */
function look(pid: number, sessionDir: string, user: number | null): Seen | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name is in parentheses and may hold anything, so read after the last one.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    const mark = `${SESSION_MARKER}=`;
    const session = environmentOf(pid)
      .find((entry) => entry.startsWith(mark))
      ?.slice(mark.length);
    // Another server of the machine may have given the same user to a session of its own.
    const isOfUser = user !== null && (session === undefined || session === sessionDir) && realUser(pid) === user;
    return { pid, parent: Number(parent), belongs: session === sessionDir || isOfUser };
  } catch {
    return null;
  }
}

/** Empty if it is not ours to read: a process may hide it, and is recognised by its parent then. */
function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** The user as whom a process runs; the owner of its folder in /proc is another one where it hides. */
function realUser(pid: number): number | null {
  const said = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return said === undefined ? null : Number(said);
}

function belongs(process_: Seen, seen: Map<number, Seen>): boolean {
  let isSessions = false;
  for (let current: Seen | undefined = process_, steps = 0; current && steps < 100; steps++) {
    if (ownChildren.has(current.pid)) return false;
    isSessions ||= current.belongs;
    current = seen.get(current.parent);
  }
  return isSessions;
}
