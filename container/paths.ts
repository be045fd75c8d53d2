/** Where a session's files lie under the server's root. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';

/** Session ids become directory names: nothing but these characters. */
export const SESSION_ID = /^[A-Za-z0-9_-]{1,128}$/;

export interface SessionPaths {
  dir: string;
  /** Start body, stream and progress; the session token is sealed in it (see container/gateway/sealed-token.ts). */
  record: string;
  /** Holds a directory for each stream: its commands and its events. */
  lives: string;
  /** HOME of everything that runs in the session. */
  home: string;
  /** CLAUDE_CONFIG_DIR: transcripts lie in it. */
  claudeConfig: string;
  tmp: string;
  worktree: string;
  /** Files the session was given, e.g. those of its issue. */
  files: string;
  /** What Claude puts here is shown to people; Claude knows it as CYRUS_SHARE. */
  share: string;
  instructions: string;
  setupLog: string;
  patch: string;
  /** A checkpoint's bundle on its way out or in. */
  bundle: string;
  /** The repository in which checkpoints are made: an index and a configuration that are the server's alone. */
  checkpoint: string;
  /** Something of the repository's cache on its way out or in. */
  cache: string;
  /** Where Claude's git looks for hooks. */
  hooks: string;
  excludes: string;
  /** What the worktree held besides the repository's files when Claude got it. */
  baseline: string;
  /** The CLI's file of MCP servers. */
  mcpConfig: string;
  /** Files in which earlier versions left the token for Claude's git and for MCP. */
  formerTokenFiles: string[];
}

/** @param root the server's root directory. @param id checked against SESSION_ID by the caller */
export function sessionPaths(root: string, id: string): SessionPaths {
  const dir = join(root, 'sessions', id);
  return {
    dir,
    record: join(dir, 'session.json'),
    lives: join(dir, 'lives'),
    home: join(dir, 'home'),
    claudeConfig: join(dir, 'home', '.claude'),
    tmp: join(dir, 'tmp'),
    worktree: join(dir, 'worktree'),
    files: join(dir, 'files'),
    share: join(dir, 'share'),
    instructions: join(dir, 'instructions.md'),
    setupLog: join(dir, 'setup.log'),
    patch: join(dir, 'work.patch'),
    bundle: join(dir, 'checkpoint.bundle'),
    checkpoint: join(dir, 'checkpoint'),
    cache: join(dir, 'cache'),
    hooks: join(dir, 'hooks'),
    excludes: join(dir, 'never-committed'),
    baseline: join(dir, 'baseline.json'),
    mcpConfig: join(dir, 'mcp-servers.json'),
    formerTokenFiles: [join(dir, 'git-credential'), join(dir, 'mcp-headers.json')],
  };
}

/**
 * A path under `mirrors/` for a repository: by the identity that a start gives it, so that workspaces, and repositories of
 * one name at two addresses, share nothing.
 * @returns null for a name that would leave the directory or that git would take for an option
 */
export function mirrorPath(
  root: string,
  repository: { fullName: string; identity?: string | undefined },
): string | null {
  const segments = repository.fullName.split('/');
  if (segments.some((segment) => segment.startsWith('.') || segment.startsWith('-') || segment === '')) return null;
  const { identity } = repository;
  if (identity !== undefined && !/^[0-9a-f]{64}$/.test(identity)) return null;
  return `${join(root, 'mirrors', ...(identity === undefined ? [] : [identity]), ...segments)}.git`;
}

/**
 * A regular file of the repository, with links followed only inside of it: a repository may link CLAUDE.md to
 * AGENTS.md, but not to a file of the machine.
 * @returns its real path, null when there is none or it lies elsewhere
 */
export async function repositoryFile(worktree: string, name: string): Promise<string | null> {
  try {
    const real = await realpath(join(worktree, name));
    const inside = relative(await realpath(worktree), real);
    if (inside.startsWith('..') || isAbsolute(inside) || inside === '.git') return null;
    return (await lstat(real)).isFile() ? real : null;
  } catch {
    return null;
  }
}

/** Whether there is something; links are followed. */
export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
