/**
 * How the Claude CLI is called: flags and environment (measured with CLI 2.1.330). There is no secret in either.
 */
import { execFile } from 'node:child_process';
import { readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SANDBOX_TOOLS, type StartSession } from '../src/protocol/sandbox.ts';
import { sessionEnvironment } from './environment.ts';
import { type GitRemote, gitEnvironmentForClaude } from './git.ts';
import type { SessionPaths } from './paths.ts';

/** No Co-Authored-By line: commits are by the author the session was started with. */
const SETTINGS = { includeCoAuthoredBy: false, attribution: { commit: '', pr: '' } };

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
    // The repository's own settings could start programs and redirect the API: they are not read.
    '--setting-sources',
    'user',
    '--strict-mcp-config',
    '--dangerously-skip-permissions',
    // Without a permission host there is no AskUserQuestion (measured with CLI 2.1.330).
    '--permission-prompt-tool',
    'stdio',
    '--tools',
    (start.claude.tools ?? Object.values(SANDBOX_TOOLS).flat()).join(','),
    '--settings',
    JSON.stringify(SETTINGS),
    '--model',
    start.claude.model,
    '--append-system-prompt-file',
    paths.instructions,
    resume ? '--resume' : '--session-id',
    start.claude.conversationId,
  ];
}

/** The whole environment of the CLI, which its tools inherit. The token itself is written to file descriptor 3. */
export function claudeEnvironment(start: StartSession, paths: SessionPaths, remote: GitRemote): Record<string, string> {
  // By file descriptor the token is neither in the environment of the tools nor in /proc (measured with CLI 2.1.330).
  const tokenFrom =
    start.claude.credential === 'subscription'
      ? 'CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR'
      : 'CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR';
  return {
    ...sessionEnvironment(paths),
    ...gitEnvironmentForClaude(remote),
    [tokenFrom]: '3',
    CLAUDE_CONFIG_DIR: paths.claudeConfig,
    CLAUDE_CODE_TMPDIR: paths.tmp,
    ANTHROPIC_BASE_URL: `${start.gateway.url}/anthropic`,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
    CLAUDE_CODE_DISABLE_AUTO_MEMORY: '1',
    // Root is refused bypassed permissions unless it says that it is in a sandbox.
    ...(process.getuid?.() === 0 ? { IS_SANDBOX: '1' } : {}),
    CLAUDE_CODE_MAX_RETRIES: '10',
    // A request that is never answered would else block for six minutes at a time.
    API_TIMEOUT_MS: '300000',
    CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS: '120000',
    BASH_MAX_TIMEOUT_MS: '1800000',
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

async function transcripts(paths: SessionPaths, conversationId: string): Promise<string[]> {
  const projects = join(paths.claudeConfig, 'projects');
  const directories = await readdir(projects).catch(() => []);
  return directories.map((directory) => join(projects, directory, `${conversationId}.jsonl`));
}
