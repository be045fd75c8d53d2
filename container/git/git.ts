/**
 * Running git on behalf of the server: with a time limit, in a process group of its own, with nothing of the machine's
 * configuration, and with what a hostile repository or configuration could set overruled from the environment.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import type { SessionPeers } from '../gateway/peers.ts';
import { filterSettings, largeFileSettings } from '../lfs/settings.ts';
import type { LfsStores } from '../lfs/store.ts';
import { noteOwnChild, SERVER_MARKER, signalProcess } from '../process/process-group.ts';
import type { SessionWall } from '../walls/session-wall.ts';

/** A git command failed. `stderr` is trimmed and capped; git does not know the token. */
export class GitError extends Error {
  override readonly name = 'GitError';
  readonly command: string;
  readonly code: number | null;
  readonly stderr: string;
  /** Start of what it printed all the same, e.g. `push --porcelain`. */
  readonly stdout: string;
  readonly timedOut: boolean;
  /** The output was larger than allowed. */
  readonly tooLarge: boolean;
  constructor(failure: {
    command: string;
    code: number | null;
    stderr: string;
    stdout: string;
    timedOut: boolean;
    tooLarge: boolean;
  }) {
    const why = failure.timedOut ? 'took too long' : failure.tooLarge ? 'printed too much' : endOf(failure.code);
    super(`git ${failure.command}: ${why}${failure.stderr ? `: ${failure.stderr}` : ''}`);
    this.command = failure.command;
    this.code = failure.code;
    this.stderr = failure.stderr;
    this.stdout = failure.stdout;
    this.timedOut = failure.timedOut;
    this.tooLarge = failure.tooLarge;
  }
}

/** How git ended, for people. */
function endOf(code: number | null): string {
  return code === null ? 'was killed' : `ended with exit code ${code}`;
}

/** In place of what git says, where it was not started any more. */
export const SESSION_ENDED = 'the session has ended';

/** What git complains of when the machine has no room for it, which says nothing of the repository. */
export const NO_ROOM = /out of memory|cannot (?:fork|allocate)|resource temporarily|too many open files/i;

/** Whether git itself gave up on what it read: one that was killed, took too long or had no memory has not told. */
export function tellsOfDamage({ code, timedOut, stderr }: GitError): boolean {
  return code === 128 && !timedOut && !NO_ROOM.test(stderr);
}

/** Where the remote is and who commits. */
export interface GitRemote {
  /** `{gateway}/git/{owner/name}.git` */
  url: string;
  gatewayUrl: string;
  /** Session token for the gateway: for the server's own requests, never for a process. */
  token: string;
  /** Where git finds the gateway: the session's way there, which adds the token. */
  proxyUrl: string;
  /** Behind which git runs in the session's folders. */
  wall?: SessionWall;
  /** Told of each git that is started, so that the way to the gateway is open to it. */
  peers?: SessionPeers;
  author: { name: string; email: string };
  /** File of patterns never to be committed, beside the repository's own .gitignore. */
  excludesFile: string;
  /** Folder of hooks for Claude's git; the server's own runs none. */
  hooksFolder: string;
  /** Where objects of Git LFS lie; left out: git knows nothing of Git LFS. */
  lfs?: LfsStores;
}

/** What `origin` fetches. It belongs into the configuration of a repository, see `sharedSettings`. */
export const FETCH_REFSPEC = '+refs/heads/*:refs/remotes/origin/*';

/**
 * Settings that Claude's own git gets too: the remote, the identity, and no background work on the shared mirror. No refspec:
 * if there is no repository, git 2.46 and later reads one by a hash that it does not know, and its helper dies of signal 11.
 */
function sharedSettings(remote: GitRemote): [string, string][] {
  return [
    ['remote.origin.url', remote.url],
    // Configurations and checkpoints name the gateway, whose address outlives a process.
    [`url.${remote.proxyUrl}/.insteadOf`, `${remote.gatewayUrl}/`],
    ['user.name', remote.author.name],
    ['user.email', remote.author.email],
    ['push.default', 'current'],
    ['push.autoSetupRemote', 'true'],
    ['core.excludesFile', remote.excludesFile],
    ['safe.directory', '*'],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['credential.helper', ''],
    ['init.defaultBranch', 'main'],
    ['advice.detachedHead', 'false'],
  ];
}

/** What could make the server's own commands run programs, ask questions, or print something else than expected. */
const guards: [string, string][] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.untrackedCache', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.pager', 'cat'],
  ['core.editor', 'false'],
  ['core.quotePath', 'true'],
  ['core.autocrlf', 'false'],
  ['core.safecrlf', 'false'],
  ['core.preloadIndex', 'true'],
  ['commit.gpgSign', 'false'],
  ['push.gpgSign', 'false'],
  ['push.followTags', 'false'],
  ['push.recurseSubmodules', 'no'],
  ['push.negotiate', 'false'],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['fetch.writeCommitGraph', 'false'],
  ['diff.renames', 'true'],
  ['diff.noprefix', 'false'],
  ['diff.mnemonicPrefix', 'false'],
  ['diff.submodule', 'short'],
  ['diff.ignoreSubmodules', 'none'],
  ['status.renames', 'false'],
  ['http.followRedirects', 'false'],
  ['http.lowSpeedLimit', '1000'],
  ['http.lowSpeedTime', '60'],
  ['http.proxy', ''],
  ['protocol.allow', 'never'],
  ['protocol.http.allow', 'always'],
  ['protocol.https.allow', 'always'],
  ['advice.addEmbeddedRepo', 'false'],
];

function asEnvironment(settings: [string, string][]): Record<string, string> {
  const entries: Record<string, string> = { GIT_CONFIG_COUNT: String(settings.length) };
  settings.forEach(([key, value], index) => {
    entries[`GIT_CONFIG_KEY_${index}`] = key;
    entries[`GIT_CONFIG_VALUE_${index}`] = value;
  });
  return entries;
}

/** Environment for git as Claude uses it: the remote works, as the session's author. */
export function gitEnvironmentForClaude(remote: GitRemote): Record<string, string> {
  const settings = asEnvironment([
    ...sharedSettings(remote),
    ['core.hooksPath', remote.hooksFolder],
    ...(remote.lfs ? largeFileSettings(remote.proxyUrl + remote.url.slice(remote.gatewayUrl.length), remote.lfs) : []),
  ]);
  // An object that nobody has stays a pointer, and does not stop a checkout.
  const lfs: Record<string, string> = remote.lfs ? { GIT_LFS_SKIP_DOWNLOAD_ERRORS: '1' } : { GIT_LFS_SKIP_SMUDGE: '1' };
  return { ...settings, GIT_TERMINAL_PROMPT: '0', ...lfs };
}

function gitEnvironment(cwd: string, remote: GitRemote, settings: [string, string][]): Record<string, string> {
  return {
    ...asEnvironment([
      ...sharedSettings(remote),
      ...guards,
      ...(remote.lfs ? filterSettings(remote.lfs) : []),
      ...settings,
    ]),
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C.UTF-8',
    [SERVER_MARKER]: String(process.pid),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    // A worktree whose .git is gone must not be taken for part of a repository around it.
    GIT_CEILING_DIRECTORIES: dirname(cwd),
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_ALLOW_PROTOCOL: 'http:https',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LITERAL_PATHSPECS: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_LFS_SKIP_SMUDGE: '1',
  };
}

export interface GitOptions {
  /** Repository or worktree; given as the working directory. */
  cwd: string;
  remote: GitRemote;
  /** Milliseconds; then the whole process group is killed. */
  timeoutMs?: number;
  /** Most bytes of stdout kept; more is a GitError with `tooLarge`. */
  maxBytes?: number;
  input?: string | Buffer;
  /** Ends the command early. */
  signal?: AbortSignal;
  /** More settings for this command, e.g. from `withoutFilters`. */
  settings?: [string, string][];
  /** Receives stdout instead of the result. */
  onData?: (chunk: Buffer) => void;
  /** Another index than the worktree's own. */
  indexFile?: string;
  /** Another repository for the files in `cwd`, with a configuration of its own, and where its objects lie. */
  repository?: { gitDir: string; objects: string };
  /** Time that new commits bear, so that the same content gives the same commit. */
  dates?: string;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_MAX_BYTES = 16 * 1024 * 1024;
const STDERR_BYTES = 8 * 1024;

/**
 * Runs git and gives its stdout.
 * @param args without `git`
 * @throws GitError for every exit code but 0, for a time-out and for too much output
 */
export function git(args: string[], options: GitOptions): Promise<string> {
  const command = args.find((arg) => !arg.startsWith('-')) ?? '';
  const { wall } = options.remote;
  const run = wall?.ownCommand('git', args, options.cwd) ?? { program: 'git', args };
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) {
      reject(
        new GitError({
          command,
          code: null,
          stderr: SESSION_ENDED,
          stdout: '',
          timedOut: false,
          tooLarge: false,
        }),
      );
      return;
    }
    const child: ChildProcess = spawn(run.program, run.args, {
      cwd: options.cwd,
      env: {
        ...gitEnvironment(options.cwd, options.remote, options.settings ?? []),
        ...(options.indexFile !== undefined && { GIT_INDEX_FILE: options.indexFile }),
        ...(options.repository && {
          GIT_DIR: options.repository.gitDir,
          GIT_WORK_TREE: options.cwd,
          GIT_OBJECT_DIRECTORY: options.repository.objects,
        }),
        ...(options.dates !== undefined && { GIT_AUTHOR_DATE: options.dates, GIT_COMMITTER_DATE: options.dates }),
      },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    noteOwnChild(child);
    options.remote.peers?.add(child);
    const chunks: Buffer[] = [];
    let bytes = 0;
    let stderr = '';
    let timedOut = false;
    let tooLarge = false;
    const kill = () => {
      if (child.pid) signalProcess(-child.pid, 'SIGKILL');
    };
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    options.signal?.addEventListener('abort', kill);
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        tooLarge = true;
        kill();
      } else if (options.onData) options.onData(chunk);
      else chunks.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_BYTES);
    });
    const settle = (code: number | null, problem?: string) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', kill);
      const printed = Buffer.concat(chunks).toString('utf8');
      if (code === 0 && !tooLarge) resolve(printed);
      else {
        const stdout = printed.slice(0, STDERR_BYTES);
        reject(new GitError({ command, code, stderr: problem ?? stderr.trim(), stdout, timedOut, tooLarge }));
      }
    };
    child.on('error', (error) => settle(null, `git cannot be run: ${error.message}`));
    child.on('close', (code) => settle(code));
    // A command that ends before it has read its input closes the pipe; its exit code says why.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** Runs git and tells whether it succeeded with exit code 0; 1 is "no". Anything else is thrown. */
export async function gitSays(args: string[], options: GitOptions): Promise<boolean> {
  try {
    await git(args, options);
    return true;
  } catch (error) {
    if (error instanceof GitError && error.code === 1) return false;
    throw error;
  }
}

/**
 * Settings that switch off every filter program (`filter.<name>.clean` and so on) configured in the repository, for
 * commands that read or write worktree files. The repository's attributes choose a filter by name; the program behind
 * the name comes from the configuration, which earlier work in the sandbox may have changed. An empty command is none
 * (https://git-scm.com/docs/gitattributes#_filter).
 */
export async function withoutFilters(options: GitOptions): Promise<[string, string][]> {
  const pattern = '^filter\\..*\\.(clean|smudge|process|required)$';
  const found = await git(['config', '--name-only', '-z', '--get-regexp', pattern], options).catch((error: unknown) => {
    if (error instanceof GitError && error.code === 1) return '';
    throw error;
  });
  // That of Git LFS is the server's own, whatever the repository says.
  const isOther = (name: string) => name !== '' && !(options.remote.lfs && name.startsWith('filter.lfs.'));
  const names = new Set(found.split('\0').filter(isOther));
  return [...names].map((name) => [name, name.endsWith('.required') ? 'false' : '']);
}

/** Why a command against the remote failed. */
export type RemoteFailure = 'network' | 'auth' | 'not-found' | 'other';

/** Whether git says that a branch, which the host listed before, is not there any more. @param said of `complaint` */
export function isBranchGone(said: string): boolean {
  return /couldn't find remote ref/i.test(said);
}

/**
 * Sorts a failure by git's and curl's words (git 2.39, English by LC_ALL).
 * `network` is worth another try; the others need a person.
 */
export function remoteFailure(error: GitError): RemoteFailure {
  if (error.timedOut) return 'network';
  // A moved repository stays moved, whatever the status it is told with.
  // The gateway's words, today's and those of the version before.
  if (/clone address in Cyrus/.test(error.stderr)) return 'other';
  // The host has read the push and said no; the names of files and the words of its hooks tell nothing of the connection.
  if (refusedRefs(error).length > 0) return 'other';
  const text = withoutRemoteWords(error.stderr);
  // A crash of git's own helper comes again; one that was killed (for want of memory) may not.
  if (/died of signal (?!9\b)\d/.test(text)) return 'other';
  if (
    /returned error: 40[13]|Authentication failed|could not read (Username|Password)|terminal prompts disabled/.test(
      text,
    )
  )
    return 'auth';
  if (/returned error: 404|repository '[^'\n]*' not found/.test(text)) return 'not-found';
  // What is too large, or not allowed, stays so, also when git continues about the connection that ended with it.
  if (/returned error: (?!408|429)4\d\d/.test(text)) return 'other';
  if (
    /returned error: (408|429|5\d\d)|Could not resolve|Failed to connect|Connection (refused|reset|timed out)|Couldn't connect|timed out|Timeout|Recv failure|Send failure|Empty reply|early EOF|RPC failed|hung up|transfer closed|bytes missing|HTTP\/2 stream|SSL|gnutls/i.test(
      text,
    )
  )
    return 'network';
  // Newer versions of git say this last, whatever happened. If nothing else is said, the helper was cut off.
  return HELPER_ENDED.test(text) && !/returned error: \d{3}/.test(text) ? 'network' : 'other';
}

/** Why the host refused each ref of a push, from the output of `git push --porcelain`; empty if it refused none. */
export function refusedRefs({ stdout }: GitError): string[] {
  return [...stdout.matchAll(/^!\t[^\t]*\t\[(?:remote )?rejected\] \((.*)\)$/gm)].map(([, reason = '']) => reason);
}

/** What the host itself says comes as lines that begin with "remote:". */
function withoutRemoteWords(stderr: string): string {
  return stderr
    .split(/[\r\n]+/)
    .filter((line) => !line.startsWith('remote:'))
    .join('\n');
}

const HELPER_ENDED = /^fatal: remote helper '\w+' aborted session$/m;

/** What a person may read of git's complaint: `remote:` lines and the last `fatal:` or `error:`, in one line. */
export function complaint(error: GitError): string {
  if (error.timedOut) return 'git took too long';
  const lines = error.stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .filter((line, _index, all) => all.length === 1 || !HELPER_ENDED.test(line));
  const said = lines.filter((line) => line.startsWith('remote:')).map((line) => line.slice(7).trim());
  const last =
    lines.findLast((line) => /^(?:fatal|error):.*returned error: \d{3}/.test(line)) ??
    lines.findLast((line) => /^(fatal|error):/.test(line)) ??
    lines.at(-1) ??
    `git ${error.tooLarge ? 'printed too much' : endOf(error.code)}`;
  return [...said.filter((line) => line !== ''), last.replace(/^(fatal|error): /, '')].join(' · ').slice(0, 500);
}
