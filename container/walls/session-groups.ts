/**
 * A control group of the kernel for each session, which bounds the memory of all its processes together (files in its own /tmp
 * count) and their number (docs.kernel.org/admin-guide/cgroup-v2.html). The groups lie below the server's own group. The server needs
 * the right to make them: as root, or delegated by systemd (Delegate=yes). Version 1 is used if it holds the memory controller.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { messageOf } from '../../src/lib/error.ts';
import { log } from '../log.ts';

const PROBE_MS = 20_000;
const SERVERS_OWN = 'cyrus-server';
/** Files that bound a group; a kernel without one of them is not asked for it. */
const FILES = {
  memory: ['memory.max', 'memory.limit_in_bytes'],
  processes: ['pids.max'],
  // A session at its memory limit must not fill the swap instead; only version 2 counts swap separately.
  swap: ['memory.swap.max'],
} as const;

export interface GroupLimits {
  /** Most memory of a session's processes together, in bytes. */
  memoryBytes: number;
  /** Most processes and threads of a session. */
  processes: number;
}

/** Folders in which the kernel shows the server's own groups. */
export interface OwnGroups {
  version: 1 | 2;
  folders: string[];
}

/**
 * Finds the folders of the server's own groups, for the memory and pids controllers.
 * @param mounts content of /proc/self/mountinfo
 * @param memberships content of /proc/self/cgroup
 * @param hasMemory whether the memory controller is available in this folder
 * @returns null if no group bounds memory
 */
export function ownGroups(
  mounts: string,
  memberships: string,
  hasMemory: (folder: string) => boolean,
): OwnGroups | null {
  const paths = memberships.split('\n').flatMap((line) => {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return names === undefined || path === undefined ? [] : [{ names: names.split(','), path }];
  });
  const found = mounts.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, mountPoint] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    return root && mountPoint && type?.startsWith('cgroup')
      ? [{ root, mountPoint, type, names: options.split(',') }]
      : [];
  });
  const folderOf = ({ root, mountPoint }: { root: string; mountPoint: string }, path: string) => {
    const below = relative(root, path);
    return below.startsWith('..') ? mountPoint : join(mountPoint, below);
  };
  const [unified] = paths.filter(({ names }) => names.join() === '');
  const second = found.find(({ type }) => type === 'cgroup2');
  if (unified && second) {
    const own = folderOf(second, unified.path);
    // Where this process has moved itself, see below.
    const folder = basename(own) === SERVERS_OWN ? dirname(own) : own;
    if (hasMemory(folder)) return { version: 2, folders: [folder] };
  }
  const folders = ['memory', 'pids'].flatMap((name) => {
    const mount = found.find(({ type, names }) => type === 'cgroup' && names.includes(name));
    const path = paths.find(({ names }) => names.includes(name));
    return mount && path ? [folderOf(mount, path.path)] : [];
  });
  return folders[0] !== undefined && hasMemory(folders[0]) ? { version: 1, folders } : null;
}

/** What the kernel shows of groups, and how it is told; a test has one of its own. */
export interface GroupKernel {
  /** Content of /proc/self/mountinfo. */
  mounts: string;
  /** Content of /proc/self/cgroup. */
  memberships: string;
  write: (file: string, text: string) => void;
}

function thisKernel(): GroupKernel {
  const [mounts = '', memberships = ''] = ['mountinfo', 'cgroup'].map((name) =>
    readFileSync(`/proc/self/${name}`, 'utf8'),
  );
  return { mounts, memberships, write: (file, text) => writeFileSync(file, text) };
}

export class SessionGroups {
  readonly #folders: readonly string[];
  readonly #prefix: string;
  readonly #limits: GroupLimits;
  readonly #write: GroupKernel['write'];

  private constructor(folders: readonly string[], prefix: string, limits: GroupLimits, write: GroupKernel['write']) {
    this.#folders = folders;
    this.#prefix = prefix;
    this.#limits = limits;
    this.#write = write;
  }

  /**
   * Tries it once, at the start of a server. Never throws.
   * @param root of the server, by which its groups are told from those of another one
   * @param kernel left out: this machine's
   * @returns why there are none, in words for an admin, where there are none
   */
  static find(root: string, limits: GroupLimits, kernel?: GroupKernel): SessionGroups | { why: string } {
    const prefix = `cyrus-${createHash('sha256').update(root).digest('hex').slice(0, 8)}-`;
    try {
      const { mounts, memberships, write } = kernel ?? thisKernel();
      const groups = ownGroups(mounts, memberships, bounds);
      if (groups === null) return { why: 'the kernel offers no control group that bounds memory' };
      const [folder = ''] = groups.folders;
      if (groups.version === 2) handDown(folder, write);
      const found = new SessionGroups(groups.folders, prefix, limits, write);
      found.#sweep();
      found.open('probe');
      execFileSync('sh', [...found.#joining('probe'), 'true'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: PROBE_MS,
      });
      found.close('probe');
      return found;
    } catch (error) {
      const said = messageOf(error).split('\n')[0];
      return { why: `control groups cannot be made (${said})`.slice(0, 300) };
    }
  }

  /** Makes a session's groups, or changes their bounds. @param name of the session's folder. @throws where that cannot be done */
  open(name: string): void {
    const { memoryBytes, processes } = this.#limits;
    for (const folder of this.#of(name)) {
      mkdirSync(folder, { recursive: true });
      this.#bound(folder, FILES.memory, memoryBytes);
      this.#bound(folder, FILES.processes, processes);
      this.#bound(folder, FILES.swap, 0);
    }
  }

  /** Makes the groups again if they are gone. If that fails, the next program that should begin in them reports it. */
  reopen(name: string): void {
    if (this.#of(name).every((folder) => existsSync(folder))) return;
    try {
      this.open(name);
    } catch (error) {
      log('server.session_group.failed', { session: basename(name), error });
    }
  }

  /** A program that begins in the session's groups: it fails where it could not. @returns the whole command line */
  inside(name: string, command: readonly string[]): string[] {
    return ['sh', ...this.#joining(name), ...command];
  }

  /** Nothing of the session runs any more. */
  close(name: string): void {
    for (const folder of this.#of(name)) remove(folder);
  }

  #bound(folder: string, names: readonly string[], value: number): void {
    for (const name of names) {
      const file = join(folder, name);
      if (existsSync(file)) this.#write(file, String(value));
    }
  }

  #of(name: string): string[] {
    return this.#folders.map((folder) => join(folder, `${this.#prefix}${basename(name)}`));
  }

  #joining(name: string): string[] {
    const groups = this.#of(name).map((folder) => join(folder, 'cgroup.procs'));
    const enter = groups.map((_, at) => `echo $$ > "$${at + 1}" || exit 125; `).join('');
    return ['-c', `${enter}shift ${groups.length}; exec "$@"`, 'sh', ...groups];
  }

  /** What a server that was killed has left. */
  #sweep(): void {
    for (const folder of this.#folders) {
      for (const name of readdirSync(folder)) if (name.startsWith(this.#prefix)) remove(join(folder, name));
    }
  }
}

/** Whether a group bounds memory, or lets those in it do so. */
function bounds(folder: string): boolean {
  const controllers = join(folder, 'cgroup.controllers');
  if (existsSync(controllers)) return readFileSync(controllers, 'utf8').split(/\s+/).includes('memory');
  return existsSync(join(folder, 'memory.limit_in_bytes'));
}

/** Version 2: the groups below have controllers only where the group itself holds no process, so the server moves into one. */
function handDown(folder: string, write: GroupKernel['write']): void {
  const control = join(folder, 'cgroup.subtree_control');
  const missing = ['memory', 'pids'].filter((name) => !readFileSync(control, 'utf8').split(/\s+/).includes(name));
  if (missing.length === 0) return;
  const wanted = missing.map((name) => `+${name}`).join(' ');
  try {
    write(control, wanted);
  } catch {
    const own = join(folder, SERVERS_OWN);
    mkdirSync(own, { recursive: true });
    write(join(own, 'cgroup.procs'), String(process.pid));
    try {
      write(control, wanted);
    } catch (error) {
      // Others are in it as well.
      write(join(folder, 'cgroup.procs'), String(process.pid));
      remove(own);
      throw error;
    }
  }
}

/** Left where something is still in it: the next server tries again. */
function remove(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not empty, or gone.
  }
}
