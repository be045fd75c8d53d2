/** `system` lines: what the CLI says about itself. */
import type * as z from 'zod';
import { systemLineSchemas as schemas } from '../protocol/claude-line.ts';
import type { JournalBody } from '../protocol/journal.ts';
import { boundText, boundWord } from './bounds.ts';
import type { ReaderState, ReadStep } from './reader-state.ts';
import { dropBlocks, entries, live, redundant, remember } from './reader-state.ts';

type Read = (state: ReaderState, line: unknown) => ReadStep | null;

/** A reader for lines of this shape; null for any other. */
function reads<T extends z.ZodType>(schema: T, read: (state: ReaderState, line: z.infer<T>) => ReadStep): Read {
  return (state, line) => {
    const parsed = schema.safeParse(line);
    return parsed.success ? read(state, parsed.data) : null;
  };
}

/** A reader for lines that tell nothing the journal does not have. */
function skips(why: string): Read {
  return (state) => redundant(state, why);
}

/** Most tools and servers listed for one start of Claude. */
const MAX_LIST = 300;

const readers = new Map<string, Read>([
  [
    'init',
    reads(schemas.init, (state, line) => {
      // Sent at the start of every turn: nothing of an earlier one is being written any more.
      const dropped = dropBlocks(state, (block) => block.parent === null);
      const next = { ...dropped.state, permissionMode: line.permissionMode ?? state.permissionMode };
      const unusableServers = (line.mcp_servers ?? [])
        .filter(({ status }) => UNUSABLE.includes(status))
        .map(({ name, status }) => boundWord(`${name} (${status})`))
        .slice(0, MAX_LIST);
      // Said once, not in every turn.
      const news = unusableServers.filter((server) => !(state.unusableServers ?? []).includes(server));
      const started: JournalBody = {
        kind: 'claude-started',
        model: boundWord(line.model),
        version: boundWord(line.claude_code_version ?? 'unknown'),
        cwd: boundText(line.cwd, 1_000).text,
        tools: (line.tools ?? []).slice(0, MAX_LIST).map(boundWord),
        mcpServers: (line.mcp_servers ?? [])
          .slice(0, MAX_LIST)
          .map((server) => ({ name: boundWord(server.name), status: boundWord(server.status) })),
      };
      const step = entries({ ...next, ...(line.mcp_servers && { unusableServers }) }, started, ...serverNotices(news));
      return { state: step.state, read: { ...step.read, live: dropped.live } };
    }),
  ],
  ['status', reads(schemas.status, readStatus)],
  [
    'thinking_tokens',
    reads(schemas.thinking_tokens, (state, line) =>
      live(state, { type: 'activity', what: 'thinking', tokens: line.estimated_tokens }),
    ),
  ],
  [
    'api_retry',
    reads(schemas.api_retry, (state, line) =>
      entries(state, {
        kind: 'retry',
        attempt: line.attempt,
        maxAttempts: line.max_retries,
        delayMs: line.retry_delay_ms,
        httpStatus: line.error_status ?? null,
        error: boundWord(line.error ?? 'unknown'),
      }),
    ),
  ],
  [
    'permission_denied',
    reads(schemas.permission_denied, (state, line) =>
      entries(state, {
        kind: 'permission-denied',
        toolUseId: line.tool_use_id !== undefined ? boundWord(line.tool_use_id) : null,
        name: boundWord(line.tool_name),
        message: boundText(line.message).text,
      }),
    ),
  ],
  ['model_fallback', reads(schemas.model_fallback, readFallback)],
  ['model_refusal_fallback', reads(schemas.model_fallback, readFallback)],
  [
    'model_refusal_no_fallback',
    reads(schemas.model_refusal_no_fallback, (state, line) => notice(state, 'warning', line.content)),
  ],
  [
    'compact_boundary',
    reads(schemas.compact_boundary, (state, { compact_metadata: about }) =>
      entries(state, {
        kind: 'compaction',
        trigger: boundWord(about.trigger),
        tokensBefore: about.pre_tokens ?? null,
        tokensAfter: about.post_tokens ?? null,
      }),
    ),
  ],
  [
    'task_started',
    reads(schemas.task_started, (state, line) => {
      const taskId = boundWord(line.task_id);
      const description = boundText(line.description, 1_000).text;
      const toolUseId = line.tool_use_id !== undefined ? boundWord(line.tool_use_id) : null;
      const tasks = remember(
        state.tasks.filter((task) => task.taskId !== taskId),
        { taskId, description, toolUseId, isHelper: line.task_type === 'local_agent' },
      );
      return entries({ ...state, tasks }, { kind: 'task', taskId, status: 'started', description, toolUseId });
    }),
  ],
  [
    'task_progress',
    reads(schemas.task_progress, (state, line) =>
      task(state, line.task_id, 'running', line.description, line.tool_use_id),
    ),
  ],
  [
    'task_updated',
    reads(schemas.task_updated, (state, { task_id, patch }) => {
      const description = patch.error ?? patch.description;
      if (patch.status === undefined && description === undefined) return redundant(state, 'details of a task');
      return task(state, task_id, patch.status ?? 'running', description);
    }),
  ],
  [
    'task_notification',
    reads(schemas.task_notification, (state, line) => {
      const step = task(state, line.task_id, line.status, line.summary, line.tool_use_id);
      const tasks = state.tasks.filter((known) => known.taskId !== boundWord(line.task_id));
      return { ...step, state: { ...step.state, tasks } };
    }),
  ],
  [
    'hook_response',
    reads(schemas.hook_response, (state, line) => {
      const outcome = line.outcome ?? 'unknown';
      const output = line.output?.trim() ? `: ${line.output.trim()}` : '';
      return notice(state, outcome === 'success' ? 'info' : 'warning', `Hook ${line.hook_name} (${outcome})${output}`);
    }),
  ],
  [
    'informational',
    reads(schemas.informational, (state, line) =>
      notice(state, line.level === 'warning' ? 'warning' : 'info', line.content),
    ),
  ],
  ['notification', reads(schemas.notification, (state, line) => notice(state, 'info', line.text))],
  ['local_command_output', reads(schemas.local_command_output, (state, line) => notice(state, 'info', line.content))],
  [
    'plugin_install',
    reads(schemas.plugin_install, (state, line) => {
      if (line.status !== 'failed') return redundant(state, `installation of plugins: ${boundWord(line.status)}`);
      return notice(
        state,
        'warning',
        `Plugin ${line.name ?? '(unnamed)'} could not be installed: ${line.error ?? 'no reason given'}`,
      );
    }),
  ],
  [
    'session_state_changed',
    reads(schemas.session_state_changed, (state, line) =>
      line.state === 'idle'
        ? live(state, { type: 'activity', what: 'idle' })
        : redundant(state, `the CLI is ${boundWord(line.state)}`),
    ),
  ],
  [
    'worker_shutting_down',
    reads(schemas.worker_shutting_down, (state, line) =>
      notice(state, 'warning', `Claude Code is shutting down: ${line.reason}`),
    ),
  ],
  [
    'mirror_error',
    reads(schemas.mirror_error, (state, line) =>
      notice(state, 'warning', `The transcript could not be mirrored: ${line.error}`),
    ),
  ],
  [
    'session_writes_lost',
    reads(schemas.session_writes_lost, (state, line) =>
      notice(state, 'error', `The sandbox's disk is full (${line.error_code}): the conversation could not be saved.`),
    ),
  ],
  ['hook_started', skips('start of a hook, whose response follows')],
  ['hook_progress', skips('output of a hook, whose response follows')],
  ['background_tasks_changed', skips('list of background tasks, each told by its own entries')],
  ['session_title_changed', skips('title the CLI gives the conversation')],
  ['vcs_state_changed', skips('hint at a commit, which the save tells')],
  ['commands_changed', skips('list of slash commands')],
  ['files_persisted', skips('files kept by the CLI')],
  ['memory_recall', skips('memories the CLI read')],
  ['elicitation_complete', skips('end of a question, which its answer tells')],
  ['control_request_progress', skips('progress of a control request')],
  ['ui_invalidate', skips('sign to redraw')],
]);

/**
 * Reads a `system` line.
 * @returns null if the subtype is not known or the line has not the shape of it
 */
export function readSystem(state: ReaderState, subtype: string, line: unknown): ReadStep | null {
  return readers.get(subtype)?.(state, line) ?? null;
}

/** States of an MCP server in which Claude has none of its tools (measured with CLI 2.1.330; `pending` may still connect). */
const UNUSABLE = ['failed', 'needs-auth'];

function serverNotices(servers: string[]): JournalBody[] {
  if (servers.length === 0) return [];
  const text = `Claude works without the tools of these MCP servers, which could not be connected: ${servers.join(', ')}`;
  return [{ kind: 'notice', level: 'warning', ...boundText(text) }];
}

function readStatus(state: ReaderState, line: z.infer<typeof schemas.status>): ReadStep {
  const what = line.status === 'requesting' || line.status === 'compacting' ? line.status : 'idle';
  const permissionMode = line.permissionMode ?? state.permissionMode;
  const step = live({ ...state, permissionMode }, { type: 'activity', what });
  const bodies: JournalBody[] = [];
  if (permissionMode !== null && permissionMode !== state.permissionMode) {
    bodies.push({ kind: 'notice', level: 'info', text: boundWord(`Permission mode: ${permissionMode}`) });
  }
  if (line.compact_result === 'failed') {
    const text = `The conversation could not be compacted: ${line.compact_error ?? 'no reason given'}`;
    bodies.push({ kind: 'notice', level: 'warning', ...boundText(text) });
  }
  return { state: step.state, read: { ...step.read, entries: bodies.map((body) => ({ body })) } };
}

function readFallback(state: ReaderState, line: z.infer<typeof schemas.model_fallback>): ReadStep {
  return entries(state, {
    kind: 'model-changed',
    from: boundWord(line.original_model),
    to: boundWord(line.fallback_model),
    reason: boundWord(line.trigger ?? 'unknown'),
  });
}

function task(state: ReaderState, id: string, status: string, description?: string, toolUseId?: string): ReadStep {
  const taskId = boundWord(id);
  const known = state.tasks.find((candidate) => candidate.taskId === taskId);
  return entries(state, {
    kind: 'task',
    taskId,
    status: boundWord(status),
    description: boundText(description ?? known?.description ?? '', 1_000).text,
    toolUseId: toolUseId !== undefined ? boundWord(toolUseId) : (known?.toolUseId ?? null),
  });
}

function notice(state: ReaderState, level: 'info' | 'warning' | 'error', text: string): ReadStep {
  if (text.trim() === '') return redundant(state, 'notice without text');
  return entries(state, { kind: 'notice', level, ...boundText(text) });
}
