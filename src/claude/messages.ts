/** `assistant` and `user` lines: finished content blocks, tool results, and what the CLI puts between them. */

import type { AssistantLine, ContentBlock, UserLine } from '../protocol/claude-line.ts';
import type { JournalBody } from '../protocol/journal.ts';
import { boundText, boundValue, boundWord } from './bounds.ts';
import { failureCause } from './failure.ts';
import { withoutInternals } from './internals.ts';
import type { Live, OpenStreamBlock, ReadEntry, ReaderState, ReadStep } from './reader-state.ts';
import { entries, redundant } from './reader-state.ts';
import { contentText, toolResult } from './tool-results.ts';

/** Model named on messages that the CLI wrote itself. */
const SYNTHETIC_MODEL = '<synthetic>';

/**
 * Reads an `assistant` line: one finished content block (or several), or an error in the shape of a message.
 * A block that was streamed names its stream; text that differs from what was streamed does not.
 */
export function readAssistant(state: ReaderState, line: AssistantLine): ReadStep {
  if (line.is_api_error_message === true || line.error !== undefined) return readErrorMessage(state, line);
  if (line.message.model === SYNTHETIC_MODEL) {
    const text = contentText(line.message.content);
    if (text === '') return redundant(state, 'empty message of the CLI');
    return entries(state, { kind: 'notice', level: 'info', ...boundText(text) });
  }
  return collect(state, line.message.content, (current, block) => readBlock(current, block, line));
}

/** Text for people comes with the result; here it is kept as a notice and its cause is remembered. */
function readErrorMessage(state: ReaderState, line: AssistantLine): ReadStep {
  const text = contentText(line.message.content) || `Claude's API reported an error (${line.error ?? 'unknown'}).`;
  const isMainConversation = parentOf(line) === undefined;
  const failure = isMainConversation ? failureCause({ ...line, text }) : state.failure;
  return entries({ ...state, failure }, { kind: 'notice', level: 'error', ...boundText(text) });
}

function readBlock(state: ReaderState, block: ContentBlock, line: AssistantLine): BlockStep {
  const parentToolUseId = parentOf(line);
  const from = parentToolUseId !== undefined ? { parentToolUseId } : {};
  switch (block.type) {
    case 'text':
    case 'thinking': {
      const said = (block.type === 'text' ? block.text : block.thinking) ?? '';
      const text = withoutInternals(said);
      const open = openBlock(state, line, (candidate) => candidate.kind === block.type);
      const closed = close(state, open);
      if (text.trim() === '') return dropped(closed, open, `${block.type} without text`);
      const body: JournalBody = { kind: block.type, ...boundText(text), ...from };
      // What viewers have seen is the entry only if it is as long; otherwise they are given the entry.
      if (open !== undefined && open.length !== text.length) return replaced(closed, open, body);
      return { state: closed, entry: { body, ...(open && { block: open.key }) } };
    }
    case 'redacted_thinking':
      return { state, why: 'hidden thinking' };
    case 'tool_use':
    case 'server_tool_use':
    case 'mcp_tool_use': {
      const toolUseId = boundWord(block.id ?? '');
      const open = openBlock(
        state,
        line,
        (candidate) => candidate.kind === 'tool-call' && (candidate.toolUseId ?? toolUseId) === toolUseId,
      );
      const { value: input, ...truncated } = boundValue(block.input ?? {});
      const name = boundWord(block.server_name ? `${block.server_name}:${block.name}` : (block.name ?? 'unnamed tool'));
      const body: JournalBody = { kind: 'tool-call', toolUseId, name, input, ...from, ...truncated };
      return { state: close(state, open), entry: { body, ...(open && { block: open.key }) } };
    }
    default:
      if (block.tool_use_id !== undefined) {
        return { state, entry: { body: toolResult(block, undefined, parentToolUseId) } };
      }
      return { state, entry: { body: unknownBlock('assistant', block) } };
  }
}

/** Reads a `user` line: tool results, and text the CLI put in the user's place. */
export function readUser(state: ReaderState, line: UserLine): ReadStep {
  return collect(state, line.message.content, (current, block) => {
    if (block.type === 'tool_result') {
      const body = toolResult(block, line.tool_use_result, parentOf(line));
      const questions = current.questions.filter((question) => question.toolUseId !== body.toolUseId);
      const answered = questions.length === current.questions.length ? current : { ...current, questions };
      return { state: answered, entry: { body } };
    }
    if (block.type === 'text') return readUserText(current, block.text ?? '', line);
    if (line.isReplay === true) return { state: current, why: 'replay of a prompt that is already in the journal' };
    const shown = contentText([block]);
    return {
      state: current,
      entry: { body: { kind: 'notice', level: 'info', ...boundText(`Given to Claude: ${shown}`) } },
    };
  });
}

const INTERRUPTED = /^\[Request interrupted by user/;
const COMMAND_OUTPUT = /^<local-command-(stdout|stderr)>([\s\S]*?)(?:<\/local-command-\1>\s*)?$/;
const INTERNAL = /^\s*(?:<system-reminder>|<task-notification>|\[SYSTEM NOTIFICATION)/;
const CONTINUATION = /^This session is being continued from a previous conversation/;

function readUserText(state: ReaderState, text: string, line: UserLine): BlockStep {
  if (INTERRUPTED.test(text)) return { state, why: 'interruption; the stop and the result report it' };
  const output = COMMAND_OUTPUT.exec(text);
  if (output !== null) {
    const printed = (output[2] ?? '').trim();
    if (printed === '') return { state, why: 'command without output' };
    return notice(state, output[1] === 'stderr' ? 'warning' : 'info', printed);
  }
  if (line.isReplay === true) return { state, why: 'replay of a prompt that is already in the journal' };
  if (parentOf(line) !== undefined) return { state, why: 'prompt of a subagent; its tool call has it' };
  if (INTERNAL.test(text)) return { state, why: 'note from the CLI for Claude only' };
  if (CONTINUATION.test(text)) return notice(state, 'info', `Claude continues from a summary.\n\n${summary(text)}`);
  if (text.trim() === '') return { state, why: 'empty text' };
  return notice(state, 'info', `Given to Claude: ${text}`);
}

/** The summary inside the text that the CLI builds around it after a compaction; all of the text if it has no such part. */
function summary(text: string): string {
  const start = text.indexOf('\nSummary:\n');
  if (start < 0) return text;
  const end = text.indexOf('\n\nIf you need specific details from before compaction', start);
  return text.slice(start + '\nSummary:\n'.length, end < 0 ? undefined : end).trim();
}

/** What one content block becomes. */
interface BlockStep {
  state: ReaderState;
  entry?: ReadEntry;
  live?: Live[];
  why?: string;
}

function collect(
  state: ReaderState,
  blocks: ContentBlock[],
  read: (state: ReaderState, block: ContentBlock) => BlockStep,
): ReadStep {
  let current = state;
  const found: ReadEntry[] = [];
  const live: Live[] = [];
  const reasons: string[] = [];
  for (const block of blocks) {
    const step = read(current, block);
    current = step.state;
    if (step.entry) found.push(step.entry);
    if (step.live) live.push(...step.live);
    if (step.why !== undefined) reasons.push(step.why);
  }
  const isSilent = found.length === 0 && live.length === 0;
  const redundantBecause = isSilent ? { redundant: reasons[0] ?? 'message without content' } : {};
  return { state: current, read: { entries: found, live, ...redundantBecause } };
}

function openBlock(
  state: ReaderState,
  line: AssistantLine,
  fits: (block: OpenStreamBlock) => boolean,
): OpenStreamBlock | undefined {
  const id = boundWord(line.message.id ?? '');
  const parent = parentOf(line) ?? null;
  return state.blocks.find((block) => block.messageId === id && block.parent === parent && fits(block));
}

function close(state: ReaderState, open: OpenStreamBlock | undefined): ReaderState {
  return open === undefined ? state : { ...state, blocks: state.blocks.filter((block) => block !== open) };
}

function dropped(state: ReaderState, open: OpenStreamBlock | undefined, why: string): BlockStep {
  return open === undefined ? { state, why } : { state, live: [{ type: 'drop', block: open.key }] };
}

function replaced(state: ReaderState, open: OpenStreamBlock, body: JournalBody): BlockStep {
  return { state, entry: { body }, live: [{ type: 'drop', block: open.key }] };
}

function notice(state: ReaderState, level: 'info' | 'warning', text: string): BlockStep {
  return { state, entry: { body: { kind: 'notice', level, ...boundText(text) } } };
}

function unknownBlock(where: string, block: ContentBlock): JournalBody {
  const { text: raw, ...truncated } = boundText(contentText([block]));
  return { kind: 'unknown', type: `${where}/${boundWord(block.type)}`, raw, ...truncated };
}

function parentOf(line: { parent_tool_use_id?: string | null }): string | undefined {
  return typeof line.parent_tool_use_id === 'string' ? boundWord(line.parent_tool_use_id) : undefined;
}
