/**
 * Whose process is on the other end of a connection on loopback: Linux tells the socket's owner in /proc/net/tcp, and its processes by
 * their open files (docs: proc_net(5), proc_pid_fd(5)).
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { sessionProcesses } from '../process/process-group.ts';

const SOCKETS = '/proc/net/tcp';

/** Whether this platform tells whose a connection is; macOS does not. */
export function tellsPeers(): boolean {
  return existsSync(SOCKETS);
}

/** The other end of a connection: who made the socket, and the socket's number. */
export interface Peer {
  uid: number;
  inode: string;
}

/** @returns null if the other end is gone already, or is no socket of this machine */
export async function peerOf(
  socket: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>,
): Promise<Peer | null> {
  const theirs = hexAddress(socket.remoteAddress, socket.remotePort);
  const ours = hexAddress(socket.localAddress, socket.localPort);
  if (theirs === null || ours === null) return null;
  return findPeer(await readFile(SOCKETS, 'utf8').catch(() => ''), theirs, ours);
}

/** @param table content of /proc/net/tcp. @param theirs address of the socket looked for. @param ours where it is connected to */
export function findPeer(table: string, theirs: string, ours: string): Peer | null {
  for (const line of table.split('\n')) {
    const [, local, remote, , , , , uid, , inode] = line.trim().split(/\s+/);
    if (local !== theirs || remote !== ours || uid === undefined || inode === undefined) continue;
    return { uid: Number(uid), inode };
  }
  return null;
}

/** As the kernel of a little-endian machine prints it. */
function hexAddress(address: string | undefined, port: number | undefined): string | null {
  const parts = (address ?? '').replace('::ffff:', '').split('.');
  if (parts.length !== 4 || port === undefined) return null;
  const hex = (value: number, length: number) => value.toString(16).toUpperCase().padStart(length, '0');
  return `${parts
    .reverse()
    .map((part) => hex(Number(part), 2))
    .join('')}:${hex(port, 4)}`;
}

/** The processes that were started for one session, by which its connections are told where all sessions run as one user. */
export class SessionPeers {
  readonly #sessionDir: string;
  /** Whether a process may also be told by the marker in its environment: if nothing else ties what left its parent to the session. */
  readonly #byMarker: boolean;
  readonly #roots = new Set<number>();

  constructor(sessionDir: string, byMarker: boolean) {
    this.#sessionDir = sessionDir;
    this.#byMarker = byMarker;
  }

  /** A process that was started for the session, until it ends; what it starts itself counts as well. */
  add(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return;
    this.#roots.add(pid);
    child.once('exit', () => this.#roots.delete(pid));
  }

  /** Whether one of the session's processes holds a socket. */
  holds({ inode }: Peer): boolean {
    const link = `socket:[${inode}]`;
    const candidates = new Set([
      ...descendants(this.#roots),
      ...(this.#byMarker ? sessionProcesses(this.#sessionDir) : []),
    ]);
    for (const pid of candidates) if (hasOpen(pid, link)) return true;
    return false;
  }
}

/** The processes and what descends from them. */
function descendants(roots: ReadonlySet<number>): number[] {
  const parents = new Map<number, number>();
  for (const name of listed('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended.
    }
  }
  return [...parents.keys()].filter((pid) => {
    for (let at: number | undefined = pid, steps = 0; at !== undefined && steps < 100; at = parents.get(at), steps++) {
      if (roots.has(at)) return true;
    }
    return false;
  });
}

function hasOpen(pid: number, link: string): boolean {
  return listed(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === link;
    } catch {
      return false;
    }
  });
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
