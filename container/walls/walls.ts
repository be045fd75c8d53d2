/**
 * What separates the sessions of one server. As root each session has a user id of its own; a plain user puts each process of a session
 * into namespaces by bubblewrap (github.com/containers/bubblewrap). With bubblewrap a session also has a view of its own: its folders, the
 * system read-only, only its own processes; without, users alone separate. Where neither works there is no wall.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../src/lib/error.ts';
import { filtered, writeCallFilter } from './call-filter.ts';
import { SessionGroups } from './session-groups.ts';
import { claimUsers } from './user-range.ts';

export const WALL_SETTINGS = ['auto', 'users', 'namespaces', 'none'] as const;
export type WallSetting = (typeof WALL_SETTINGS)[number];
export type WallKind = Exclude<WallSetting, 'auto'>;

const PROJECT = dirname(dirname(import.meta.dirname));
const PROBE_MS = 20_000;

export interface WallLimits {
  /** Most processes of a session. */
  processes: number;
  /** Most memory of its own that one process takes, in bytes. */
  memoryBytes: number;
  /** Most memory of all processes of a session together, in bytes, where there are control groups. */
  sessionBytes: number;
}

export interface WallOptions {
  setting: WallSetting;
  root: string;
  claudeBin: string;
  /** Folders that no session sees, besides the server's own and its user's home. */
  hidden: string[];
  limits: WallLimits;
}

/** What this machine gives. `why`: what it lacks, in words for an admin; null if it lacks nothing. */
export interface Walls {
  kind: WallKind;
  /** Whether sessions have a view of their own. */
  hasView: boolean;
  why: string | null;
  options: WallOptions;
  /** What bounds all processes of a session together; else why nothing does. */
  groups: SessionGroups | { why: string };
  /** File with the filter of system calls, with which a view begins; null if there is none. */
  callFilter: string | null;
  /** First of the user ids that are this server's to give, where walls are users; none needs an entry in /etc/passwd. */
  firstUser: number | null;
}

type Found = Pick<Walls, 'kind' | 'hasView' | 'why' | 'callFilter' | 'firstUser'>;

/** Tries what the setting wants, once at the start of a server. Never throws: a wall that was wanted and cannot be had is told by `why`. */
export function findWalls(options: WallOptions): Walls {
  const found = tryWalls(options);
  const { processes, sessionBytes } = options.limits;
  const groups =
    found.kind === 'none'
      ? { why: 'there are no walls' }
      : SessionGroups.find(options.root, { processes, memoryBytes: sessionBytes });
  return { ...found, options, groups };
}

/** Which limits hold, in words for an admin. */
export function limitsInWords({ kind, groups, options: { limits } }: Walls): string {
  if (kind === 'none') return 'none: sessions share what the machine has';
  const mebibytes = (bytes: number) => `${Math.floor(bytes / 1024 ** 2)} MiB`;
  const each = `${mebibytes(limits.memoryBytes)} of memory a process`;
  if (groups instanceof SessionGroups)
    return `${mebibytes(limits.sessionBytes)} of memory and ${limits.processes} processes a session, ${each}`;
  const whose = kind === 'users' ? 'a session' : 'a user of the machine';
  return `${limits.processes} processes ${whose}, ${each}; none for the memory of a session as a whole: ${groups.why}`;
}

function tryWalls(options: WallOptions): Found {
  const { setting } = options;
  const none = (why: string): Found => ({ kind: 'none', hasView: false, why, callFilter: null, firstUser: null });
  if (setting === 'none') return none('CYRUS_WALLS is none');
  if (process.platform !== 'linux') return none(`${process.platform} has no walls between sessions`);
  const isRoot = process.getuid?.() === 0;
  if (setting === 'users' && !isRoot) return none('walls by users require a server that runs as root');
  // Root stays root to the kernel in a namespace of users: what it owns (files of the system, settings of the kernel) it may change there too.
  if (setting === 'namespaces' && isRoot) {
    return none(
      'walls by namespaces alone would run sessions as root: set CYRUS_WALLS=users, or start the server as a plain user',
    );
  }
  if (isRoot) {
    let firstUser: number;
    try {
      firstUser = claimUsers(options.root);
    } catch (error) {
      return none(`no users can be had for sessions: ${messageOf(error)}`);
    }
    const inside: WallSpace = { uid: firstUser, dir: null, mirror: null };
    const seen = `test -x "$0" && test -r "$1" && test -x "$2"`;
    const check = ['sh', '-c', seen, process.execPath, join(PROJECT, 'container/server.ts'), options.root];
    const problem = attempt(['setpriv', ...asUser(firstUser), '--', ...check]);
    if (problem !== null) {
      return none(
        `another user cannot be used for sessions (${problem}): setpriv must work, and ${PROJECT}, ${process.execPath} and ${options.root} be readable for every user`,
      );
    }
    const view = attemptView(options, inside, ['setpriv', ...asUser(firstUser), '--', 'true']);
    if (view.problem === null)
      return { kind: 'users', hasView: true, why: view.why, callFilter: view.callFilter, firstUser };
    const why = `sessions see each other’s processes and /tmp and may share the kernel’s keyrings, because bubblewrap does not work (${view.problem})`;
    return { kind: 'users', hasView: false, why, callFilter: null, firstUser };
  }
  const view = attemptView(options, { uid: null, dir: null, mirror: null }, ['true']);
  if (view.problem === null)
    return { kind: 'namespaces', hasView: true, why: view.why, callFilter: view.callFilter, firstUser: null };
  const { problem } = view;
  return none(
    `bubblewrap does not work for this user (${problem}): install it (apt-get install bubblewrap) and allow user namespaces, or run the server as root`,
  );
}

/** Tries a view with the filter of system calls, else without. @returns `problem`: why no view works; `why`: what is missing in it */
function attemptView(
  options: WallOptions,
  space: WallSpace,
  command: readonly string[],
): { problem: string | null; why: string | null; callFilter: string | null } {
  const view = ['bwrap', ...viewArguments(options, space), '--', ...command];
  const file = join(options.root, 'system-calls.bpf');
  const without = (lack: string) => ({
    problem: attempt(view),
    why: `sessions may share the kernel’s keyrings, because ${lack}`,
    callFilter: null,
  });
  try {
    if (!writeCallFilter(file)) return without(`the system calls of ${process.arch} are not known`);
  } catch (error) {
    return without(`no filter of system calls can be written (${messageOf(error)})`);
  }
  const problem = attempt(filtered(file, view));
  return problem === null
    ? { problem, why: null, callFilter: file }
    : without(`the kernel takes no filter of system calls (${problem})`);
}

/** @returns null if it works, else what it says */
function attempt([program = '', ...args]: string[]): string | null {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: PROBE_MS });
    return null;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    const first = (said || messageOf(error)).split('\n')[0] ?? '';
    return first.slice(0, 200);
  }
}

/** What is put inside of walls; `dir` null: only to see whether they stand. */
export interface WallSpace {
  uid: number | null;
  /** The session's folder. */
  dir: string | null;
  /** The mirror it reads objects from. */
  mirror: string | null;
  /** For the server's own programs: with the folders in which it works, in a folder of the session. */
  cwd?: string;
}

/** How a program is run inside. @returns the whole command line */
export function commandInside(walls: Walls, space: WallSpace, command: readonly string[]): string[] {
  if (walls.kind === 'none') return [...command];
  const { limits } = walls.options;
  const limited = ['prlimit', `--nproc=${limits.processes}`, `--data=${limits.memoryBytes}`, '--core=0', '--'];
  const user = space.uid === null ? [] : ['setpriv', ...asUser(space.uid), '--'];
  const inner = [...limited, ...user, ...command];
  const viewed = walls.hasView ? ['bwrap', ...viewArguments(walls.options, space), '--', ...inner] : inner;
  const bounded = walls.callFilter === null ? viewed : filtered(walls.callFilter, viewed);
  // Before the view, in which the groups cannot be written to.
  return walls.groups instanceof SessionGroups && space.dir !== null
    ? walls.groups.inside(basename(space.dir), bounded)
    : bounded;
}

/** How a program is run as a session's user, with the session's limits and the server's view. @param dir of the session. @returns the whole command line */
export function commandAsUser(walls: Walls, uid: number, dir: string, command: readonly string[]): string[] {
  const limited = ['prlimit', `--data=${walls.options.limits.memoryBytes}`, '--core=0', '--'];
  const bounded = [...limited, 'setpriv', ...asUser(uid), '--', ...command];
  return walls.groups instanceof SessionGroups ? walls.groups.inside(basename(dir), bounded) : bounded;
}

function asUser(uid: number): string[] {
  return [
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    '--no-new-privs',
    '--inh-caps=-all',
    '--bounding-set=-all',
  ];
}

/** Folders of a session that are its own. */
const OWN_FOLDERS = ['worktree', 'home', 'tmp', 'share'];
/** What it may read besides; nothing else of its folder is there. */
const READABLE = ['hooks', 'files', 'instructions.md', 'never-committed', 'certificates.crt', 'mcp-servers.json'];
/** What the server's own programs work with, besides. */
const OF_THE_SERVER = ['checkpoint', 'cache', 'checkpoint.bundle'];
const SETUP_FILE = /^setup[-.]/;

function viewArguments({ root, claudeBin, hidden }: WallOptions, { uid, dir, mirror, cwd }: WallSpace): string[] {
  const home = homedir();
  const hides = [...new Set([home, ...hidden, root])].filter((path) => path !== '/' && existsSync(path));
  const isHidden = (path: string) => [...hides, '/tmp', '/run'].some((folder) => `${path}/`.startsWith(`${folder}/`));
  const tools = [
    ...[join(PROJECT, 'container'), join(PROJECT, 'src'), join(PROJECT, 'node_modules'), join(PROJECT, 'package.json')],
    ...[dirname(dirname(process.execPath)), dirname(claudeBin), ...(process.env.PATH ?? '').split(':')],
  ].filter((path) => path.startsWith('/') && isHidden(path) && path !== home);
  return [
    ...['--die-with-parent', '--unshare-pid', '--unshare-ipc'],
    ...(uid === null ? ['--unshare-user', '--cap-drop', 'ALL'] : []),
    ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ...['/dev/shm', '/tmp', '/var/tmp']
      .filter((path) => existsSync(path))
      .flatMap((path) => ['--perms', '1777', '--tmpfs', path]),
    // Sockets of other services; where names are resolved by a file in there, it stays.
    ...['--tmpfs', '/run', '--ro-bind-try', '/run/systemd/resolve', '/run/systemd/resolve'],
    ...hides.filter((path) => path !== root).flatMap((path) => ['--perms', '0755', '--tmpfs', path]),
    ...tools.flatMap((path) => [...wayTo(path, [...hides, '/tmp', '/run']), '--ro-bind-try', path, path]),
    ...['--perms', '0755', '--tmpfs', root],
    ...(mirror === null ? [] : [...wayTo(mirror, [root]), '--ro-bind-try', mirror, mirror]),
    ...(dir === null ? [] : wayTo(dir, [root])),
    ...(dir === null ? [] : ownView(dir, cwd)),
  ];
}

/** Folders above a path that an empty folder hides: bubblewrap makes missing ones for its own user alone. */
function wayTo(path: string, empty: readonly string[]): string[] {
  const made: string[] = [];
  for (let above = dirname(path); empty.some((folder) => above.startsWith(`${folder}/`)); above = dirname(above)) {
    made.unshift('--perms', '0755', '--dir', above);
  }
  return made;
}

function ownView(dir: string, cwd: string | undefined): string[] {
  const at = (name: string) => join(dir, name);
  const setup = readdirSync(dir).filter((name) => SETUP_FILE.test(name));
  const passwd = at('passwd');
  return [
    ...['--perms', '0755', '--tmpfs', dir],
    ...[...READABLE, ...setup].flatMap((name) => ['--ro-bind-try', at(name), at(name)]),
    ...[...OWN_FOLDERS, ...(cwd === undefined ? [] : OF_THE_SERVER)].flatMap((name) => [
      '--bind-try',
      at(name),
      at(name),
    ]),
    ...(existsSync(passwd) ? ['--ro-bind', passwd, '/etc/passwd'] : []),
    ...['--remount-ro', dir],
    ...['--chdir', cwd ?? at('worktree')],
  ];
}
