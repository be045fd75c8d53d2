/**
 * The CLI's stream turned into journal entries: pure, one line at a time, never throwing. No line is lost: each yields
 * journal entries, something live, or the reason why it adds nothing. What this version does not know becomes an
 * `unknown` entry with the raw line.
 */
import type * as z from 'zod';
import * as lines from '../protocol/claude-line.ts';
import { asFields, type Fields } from '../protocol/claude-line.ts';
import type { JournalBody } from '../protocol/journal.ts';
import { boundText, boundValue, boundWord } from './bounds.ts';
import { readAssistant, readUser } from './messages.ts';
import { readPartial } from './partial.ts';
import type { Live, ReaderState, ReadLine, ReadStep } from './reader-state.ts';
import { dropBlocks, entries, redundant, remember } from './reader-state.ts';
import { readResult } from './result.ts';
import { readSystem } from './system.ts';

export type { Live, ReadEntry, ReaderState, ReadLine } from './reader-state.ts';
export { initialReaderState } from './reader-state.ts';

/**
 * Reads one line of the CLI's standard output.
 * @param line one raw line, without its line end
 * @returns the next state and what the line becomes
 */
export function readLine(state: ReaderState, line: string): { state: ReaderState; read: ReadLine } {
  if (line.trim() === '') return redundant(state, 'empty line');
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    // Not an error of ours: something in the sandbox wrote to the CLI's standard output. The line is kept.
    return unknown(state, 'not-json', line);
  }
  const fields = asFields(parsed);
  if (fields === null || typeof fields.type !== 'string') return unknown(state, 'no-type', line);
  try {
    return readFields(state, fields, fields.type) ?? unknown(state, nameOf(fields, fields.type), line);
  } catch {
    // A shape no reader expected, e.g. nested too deeply to walk. The line is kept, and the state as it was.
    return unknown(state, nameOf(fields, fields.type), line);
  }
}

/**
 * The CLI's process is gone: nothing that was being written will be finished.
 * @returns the state for the next process, and a drop for every open block
 */
export function endStream(state: ReaderState): { state: ReaderState; live: Live[] } {
  const dropped = dropBlocks(state, () => true);
  return {
    state: {
      ...dropped.state,
      messages: [],
      questions: [],
      tasks: [],
      failure: null,
      turnUsage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 },
    },
    live: dropped.live,
  };
}

function readFields(state: ReaderState, fields: Fields, type: string): ReadStep | null {
  switch (type) {
    case 'stream_event':
      return readPartial(state, fields);
    case 'assistant':
      return withShape(lines.assistantLineSchema, fields, (line) => readAssistant(state, line));
    case 'user':
      return withShape(lines.userLineSchema, fields, (line) => readUser(state, line));
    case 'system':
      return typeof fields.subtype === 'string' ? readSystem(state, fields.subtype, fields) : null;
    case 'result':
      return withShape(lines.resultLineSchema, fields, (line) => readResult(state, line));
    case 'rate_limit_event':
      return withShape(lines.rateLimitLineSchema, fields, (line) => readRateLimit(state, line));
    case 'control_request':
      return withShape(lines.controlRequestLineSchema, fields, (line) => readControlRequest(state, line));
    case 'control_cancel_request':
      return withShape(lines.controlCancelLineSchema, fields, (line) => readControlCancel(state, line));
    case 'control_response':
      return withShape(lines.controlResponseLineSchema, fields, ({ response }) => {
        if (response.subtype !== 'error') return redundant(state, 'answer to a control request');
        const text = `Claude Code refused a control request: ${response.error ?? 'no reason given'}`;
        return entries(state, { kind: 'notice', level: 'info', ...boundText(text) });
      });
    case 'command_lifecycle':
      return withShape(lines.commandLifecycleLineSchema, fields, (line) =>
        redundant(state, `command lifecycle: ${boundWord(line.state)}`),
      );
    case 'tool_progress':
      return withShape(lines.toolProgressLineSchema, fields, (line) => readToolProgress(state, line));
    case 'auth_status':
      return withShape(lines.authStatusLineSchema, fields, (line) => {
        if (line.error === undefined) return redundant(state, 'state of the authentication');
        return entries(state, { kind: 'notice', level: 'error', ...boundText(`Authentication failed: ${line.error}`) });
      });
    case 'conversation_reset':
      return entries(state, { kind: 'notice', level: 'info', text: 'Claude began a new conversation.' });
    case 'transcript_mirror':
      return redundant(state, 'copy of the transcript');
    case 'keep_alive':
      return redundant(state, 'keep-alive from the CLI');
    case 'tool_use_summary':
      return redundant(state, 'summary of tool calls already in the journal');
    case 'prompt_suggestion':
      return redundant(state, 'suggestion for a next prompt');
    default:
      return null;
  }
}

function withShape<T extends z.ZodType>(
  schema: T,
  fields: Fields,
  read: (line: z.infer<T>) => ReadStep | null,
): ReadStep | null {
  const parsed = schema.safeParse(fields);
  return parsed.success ? read(parsed.data) : null;
}

/** Last second a JavaScript date can hold; a later reset is no date. */
const LATEST_SECOND = 8.64e12;

const MAX_WINDOWS = 10;

/** The CLI counts seconds, the journal milliseconds. */
function inMs(seconds: number | undefined): number | null {
  return seconds !== undefined && seconds >= 0 && seconds <= LATEST_SECOND ? Math.round(seconds * 1000) : null;
}

function readRateLimit(state: ReaderState, line: z.infer<typeof lines.rateLimitLineSchema>): ReadStep {
  const info = line.rate_limit_info;
  const windows = info.unifiedWindows ?? {};
  const inWindow =
    info.rateLimitType !== undefined && Object.hasOwn(windows, info.rateLimitType)
      ? windows[info.rateLimitType]?.utilization
      : undefined;
  const told = Object.entries(windows)
    .slice(0, MAX_WINDOWS)
    .map(([name, window]) => ({
      name: boundWord(name),
      utilization: window.utilization ?? null,
      resetsAt: inMs(window.resetsAt),
      status: window.status === undefined ? null : boundWord(window.status),
    }));
  return entries(state, {
    kind: 'rate-limit',
    status: boundWord(info.status),
    limit: boundWord(info.rateLimitType ?? 'unknown'),
    resetsAt: inMs(info.resetsAt),
    utilization: info.utilization ?? inWindow ?? null,
    ...(told.length > 0 && { windows: told }),
    ...(info.isUsingOverage === true && { beyondPlan: true as const }),
  });
}

/** Requests that ask a person; the others are answered by the sandbox itself. */
const QUESTIONS = new Set(['can_use_tool', 'elicitation', 'request_user_dialog']);

function readControlRequest(state: ReaderState, line: z.infer<typeof lines.controlRequestLineSchema>): ReadStep | null {
  const { subtype } = line.request;
  if (subtype === 'hook_callback' || subtype === 'mcp_message') {
    return redundant(state, `${subtype}, answered by the sandbox`);
  }
  if (!QUESTIONS.has(subtype)) return null;
  const requestId = boundWord(line.request_id);
  const name = boundWord(line.request.tool_name ?? subtype);
  const toolUseId = line.request.tool_use_id !== undefined ? boundWord(line.request.tool_use_id) : null;
  const { value: input, ...truncated } = boundValue(line.request.input ?? null);
  const questions = remember(
    state.questions.filter((question) => question.requestId !== requestId),
    { requestId, name, toolUseId },
  );
  const why = line.request.decision_reason === undefined ? null : boundWord(line.request.decision_reason);
  const permission = subtype === 'can_use_tool' && name !== 'AskUserQuestion' ? { permission: { why } } : {};
  const asked: JournalBody = { kind: 'question', requestId, name, input, status: 'asked', ...permission, ...truncated };
  return entries({ ...state, questions }, asked);
}

function readControlCancel(state: ReaderState, line: z.infer<typeof lines.controlCancelLineSchema>): ReadStep {
  const requestId = boundWord(line.request_id);
  const asked = state.questions.find((question) => question.requestId === requestId);
  if (asked === undefined) return redundant(state, 'withdrawal of a request that is not open');
  const questions = state.questions.filter((question) => question !== asked);
  return entries(
    { ...state, questions },
    { kind: 'question', requestId, name: asked.name, input: null, status: 'withdrawn' },
  );
}

function readToolProgress(state: ReaderState, line: z.infer<typeof lines.toolProgressLineSchema>): ReadStep {
  const retry = line.subagent_retry;
  if (retry === undefined) return redundant(state, 'a tool is still running');
  return entries(state, {
    kind: 'retry',
    attempt: retry.attempt,
    maxAttempts: retry.max_retries,
    delayMs: retry.retry_delay_ms,
    httpStatus: retry.error_status ?? null,
    error: boundWord(retry.error_category ?? 'unknown'),
  });
}

function nameOf(fields: Fields, type: string): string {
  const request = asFields(fields.request);
  const detail = type === 'stream_event' ? asFields(fields.event)?.type : (fields.subtype ?? request?.subtype);
  return boundWord(typeof detail === 'string' ? `${type}/${detail}` : type);
}

function unknown(state: ReaderState, type: string, line: string): ReadStep {
  const { text: raw, ...truncated } = boundText(line);
  return entries(state, { kind: 'unknown', type, raw, ...truncated });
}
