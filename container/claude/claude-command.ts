/**
 * How the Claude CLI is called: flags and environment (measured with CLI 2.1.330). There is no secret in either.
 */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SANDBOX_TOOLS, type StartSession } from '../../src/protocol/sandbox/start.ts';
import { rename } from '../files/inside.ts';
import { type GitRemote, gitEnvironmentForClaude } from '../git/git.ts';
import type { SessionPaths } from '../paths.ts';
import { decoyVariable, sessionEnvironment } from '../process/environment.ts';
import { mcpArguments, mcpAskRules } from './mcp.ts';

/** No Co-Authored-By line: commits are by the author the session was started with. */
const SETTINGS = { includeCoAuthoredBy: false, attribution: { commit: '', pr: '' } };

/** The gateway notices a silent API first, and says so; the CLI notices a silent gateway. 10 s is the least it takes for a stream. */
const GATEWAY_LEAD_MS = 10_000;

/** The CLI says nothing for so long at most while it waits for Claude's API, in ms. */
export function apiSilenceMs({ claude }: StartSession): number {
  return Math.max(claude.answerSeconds, claude.stallSeconds) * 1000 + 2 * GATEWAY_LEAD_MS;
}

/** @param resume continue the conversation, instead of beginning it under this id */
export function claudeArguments(start: StartSession, paths: SessionPaths, resume: boolean): string[] {
  return [
    '--print',
    '--input-format',
    'stream-json',
    '--output-format',
    'stream-json',
    '--verbose',
    '--include-partial-messages',
    // The repository's own settings could start programs, redirect the API and allow what is not allowed (measured:
    // `permissions.allow` of its settings.local.json counts), and Claude could write the user's: none are read.
    '--setting-sources',
    '',
    ...mcpArguments(start, paths),
    ...permissionMode(start),
    // Without a permission host there is no AskUserQuestion (measured with CLI 2.1.330).
    '--permission-prompt-tool',
    'stdio',
    '--tools',
    // Tools of MCP servers come with their server.
    offeredTools(start)
      .filter((tool) => !tool.startsWith('mcp__'))
      .join(','),
    '--settings',
    JSON.stringify({ ...SETTINGS, permissions: permissionRules(start, paths) }),
    '--model',
    start.claude.model,
    ...(start.claude.effort ? ['--effort', start.claude.effort] : []),
    ...(start.claude.fallbackModel ? ['--fallback-model', start.claude.fallbackModel] : []),
    '--append-system-prompt-file',
    paths.instructions,
    resume ? '--resume' : '--session-id',
    start.claude.conversationId,
  ];
}

/** Tools of the CLI that this session is offered. */
function offeredTools(start: StartSession): string[] {
  return start.claude.tools ?? Object.values(SANDBOX_TOOLS).flat();
}

/**
 * In `acceptEdits` files of the worktree are edited without asking; for those outside of it, and for git's and
 * Claude's own, the CLI asks. Rules that ask hold in every mode, also for `cd x && npm publish` (measured with CLI 2.1.330).
 */
function permissionMode(start: StartSession): string[] {
  const { permissions } = start.claude;
  if (!permissions || permissions.others === 'allow') return ['--dangerously-skip-permissions'];
  return ['--permission-mode', acceptsEdits(start) ? 'acceptEdits' : 'default'];
}

function acceptsEdits(start: StartSession): boolean {
  const editing = offeredTools(start).filter((tool) => SANDBOX_TOOLS.editing.includes(tool));
  return editing.length > 0 && editing.every((tool) => start.claude.permissions?.allow.includes(tool));
}

/** Rules of the CLI's settings. What is not offered is denied as well: two locks for the sessions that must not edit. */
function permissionRules(start: StartSession, paths: SessionPaths): Record<string, string[]> {
  const { allow = [], ask = [] } = start.claude.permissions ?? {};
  const offered = offeredTools(start);
  const isOffered = (tool: string) => offered.includes(tool);
  const deny = [
    // A rule on one editing tool counts for all of them.
    ...(SANDBOX_TOOLS.editing.some(isOffered) ? [] : SANDBOX_TOOLS.editing),
    ...SANDBOX_TOOLS.running.filter((tool) => !isOffered(tool)),
  ];
  // As a rule, an editing tool would be allowed outside of the worktree too.
  const inWorktree = acceptsEdits(start) ? SANDBOX_TOOLS.editing : [];
  // What Claude shares with people lies beside the worktree.
  const additionalDirectories = acceptsEdits(start) ? [paths.share] : [];
  const asked = [...ask, ...mcpAskRules(start)];
  return { allow: allow.filter((rule) => !inWorktree.includes(rule)), ask: asked, deny, additionalDirectories };
}

/** What the CLI takes for its credential, for it insists on one: worth nothing, and replaced on the way to the gateway. */
export const PLACEHOLDER_KEY = 'cyrus-placeholder-worth-nothing';

/** The whole environment of the CLI, which its tools inherit. The placeholder is written to file descriptor 3. */
export function claudeEnvironment(start: StartSession, paths: SessionPaths, remote: GitRemote): Record<string, string> {
  // By file descriptor nothing that looks like a credential is in the environment of the tools (measured with CLI 2.1.330).
  const tokenFrom =
    start.claude.credential === 'subscription'
      ? 'CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR'
      : 'CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR';
  return {
    ...sessionEnvironment(paths),
    ...gitEnvironment(start, remote),
    ...decoyVariable(start),
    [tokenFrom]: '3',
    CLAUDE_CONFIG_DIR: paths.claudeConfig,
    CLAUDE_CODE_TMPDIR: paths.tmp,
    CYRUS_SHARE: paths.share,
    ANTHROPIC_BASE_URL: `${remote.proxyUrl}/anthropic`,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
    CLAUDE_CODE_DISABLE_AUTO_MEMORY: '1',
    // Root is refused bypassed permissions unless it says that it is in a sandbox.
    ...(process.getuid?.() === 0 ? { IS_SANDBOX: '1' } : {}),
    CLAUDE_CODE_MAX_RETRIES: '10',
    // A request that is never answered would else block for six minutes at a time.
    API_TIMEOUT_MS: String(start.claude.answerSeconds * 1000 + GATEWAY_LEAD_MS),
    CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS: String(start.claude.stallSeconds * 1000 + GATEWAY_LEAD_MS),
    BASH_MAX_TIMEOUT_MS: '1800000',
  };
}

/**
 * Where not every command is allowed, git must not take a directory of the repository's files for a repository of its own, whose
 * configuration names programs (docs: git-scm.com/docs/git-config, safe.bareRepository).
 */
function gitEnvironment(start: StartSession, remote: GitRemote): Record<string, string> {
  const environment = gitEnvironmentForClaude(remote);
  if ((start.claude.permissions?.others ?? 'allow') === 'allow') return environment;
  const count = Number(environment.GIT_CONFIG_COUNT ?? 0);
  return {
    ...environment,
    GIT_CONFIG_COUNT: String(count + 1),
    [`GIT_CONFIG_KEY_${count}`]: 'safe.bareRepository',
    [`GIT_CONFIG_VALUE_${count}`]: 'explicit',
  };
}

/** What `claude --version` prints, e.g. "2.1.330"; null when it cannot be run. */
export function claudeVersion(bin: string): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(
      bin,
      ['--version'],
      { timeout: 10_000, env: { PATH: process.env.PATH, HOME: '/nonexistent' } },
      (error, out) => {
        resolve(error ? null : (out.trim().split(' ')[0] ?? null));
      },
    );
  });
}

/**
 * Whether Claude has a transcript of this conversation: it may lie under the name of any working directory.
 * @returns false also for an empty one, which the CLI refuses to resume
 */
export async function hasConversation(paths: SessionPaths, conversationId: string): Promise<boolean> {
  for (const path of await transcripts(paths, conversationId)) {
    const found = await stat(path).catch(() => null);
    if (found && found.size > 0) return true;
  }
  return false;
}

/** Puts a transcript that cannot be resumed aside, so that the conversation can begin again under its id. */
export async function forgetConversation(paths: SessionPaths, conversationId: string): Promise<void> {
  for (const path of await transcripts(paths, conversationId)) {
    await rename(path, `${path}.broken`).catch(() => {});
  }
}

/** Files that may hold the transcript of a conversation; they need not be there. */
export async function transcripts(paths: SessionPaths, conversationId: string): Promise<string[]> {
  const projects = join(paths.claudeConfig, 'projects');
  const directories = await readdir(projects).catch(() => []);
  return directories.map((directory) => join(projects, directory, `${conversationId}.jsonl`));
}
