/**
 * `stream_event` lines: the model's answer while it is being written. They are most of all lines, so they are checked
 * by hand instead of by a schema. Text and thinking go to viewers as deltas; nothing of it is stored, because the
 * finished block follows on an `assistant` line of its own, just before the block's `content_block_stop`.
 */
import { asFields, type Fields } from '../protocol/claude-line.ts';
import type { Usage } from '../protocol/journal.ts';
import { boundWord } from './bounds.ts';
import {
  dropBlocks,
  entries,
  type Live,
  live,
  type OpenStreamBlock,
  type ReaderState,
  type ReadStep,
  redundant,
  remember,
} from './reader-state.ts';

/** Tool input is reported as progress, not as text: once at its start and again after this many characters. */
const INPUT_STEP = 2_000;
/** Rough size of a token, for progress only. */
const CHARACTERS_PER_TOKEN = 4;

/**
 * Reads one `stream_event` line.
 * @returns null if the line has not the shape of one
 */
export function readPartial(state: ReaderState, line: Fields): ReadStep | null {
  const event = asFields(line.event);
  if (event === null || typeof event.type !== 'string') return null;
  const parent = typeof line.parent_tool_use_id === 'string' ? boundWord(line.parent_tool_use_id) : null;
  if (event.type === 'content_block_delta') return readDelta(state, line, event, parent);
  switch (event.type) {
    case 'message_start':
      return readMessageStart(state, event, parent);
    case 'content_block_start':
      return readBlockStart(state, line, event, parent);
    case 'content_block_stop': {
      const open = state.blocks.some((block) => block.key === blockKey(state, line, event, parent));
      return redundant(
        state,
        open ? 'end of a block that arrives complete later' : 'end of a block already in the journal',
      );
    }
    case 'message_delta':
      return readUsage(state, messageId(state, line, parent), parent, asFields(event.usage));
    case 'message_stop':
      return readMessageStop(state, messageId(state, line, parent));
    case 'ping':
      return redundant(state, 'keep-alive from the API');
    case 'error': {
      const error = asFields(event.error);
      const text = typeof error?.message === 'string' ? error.message : 'no reason given';
      return entries(state, {
        kind: 'notice',
        level: 'warning',
        text: boundWord(`Claude's answer was cut off: ${text}`),
      });
    }
    default:
      return null;
  }
}

function readDelta(state: ReaderState, line: Fields, event: Fields, parent: string | null): ReadStep | null {
  const delta = asFields(event.delta);
  if (delta === null) return null;
  const kind = delta.type;
  if (kind === 'signature_delta') return redundant(state, 'signature of a thinking block');
  const text = kind === 'text_delta' ? delta.text : kind === 'thinking_delta' ? delta.thinking : delta.partial_json;
  if (typeof text !== 'string') {
    return kind === 'citations_delta' ? redundant(state, 'citation of a text block') : null;
  }
  const key = blockKey(state, line, event, parent);
  const at = state.blocks.findIndex((block) => block.key === key);
  const block = state.blocks[at];
  if (block === undefined) return redundant(state, 'delta of a block that is not open');
  const grown: OpenStreamBlock = { ...block, length: block.length + text.length };
  const next: ReaderState = { ...state, blocks: state.blocks.with(at, grown) };
  if (kind === 'input_json_delta') {
    const moved = Math.floor(block.length / INPUT_STEP) !== Math.floor(grown.length / INPUT_STEP);
    if (!moved && !(block.length === 0 && text.length > 0))
      return redundant(next, 'input of a tool call that arrives complete later');
    return live(next, { type: 'activity', what: 'tool-input', tokens: Math.ceil(grown.length / CHARACTERS_PER_TOKEN) });
  }
  if (block.kind !== (kind === 'text_delta' ? 'text' : 'thinking'))
    return redundant(state, 'delta whose type does not match its block');
  if (text === '') return redundant(state, 'empty delta');
  return live(next, { type: 'delta', block: block.key, text });
}

function readMessageStart(state: ReaderState, event: Fields, parent: string | null): ReadStep | null {
  const message = asFields(event.message);
  if (message === null || typeof message.id !== 'string') return null;
  const id = boundWord(message.id);
  // One conversation writes one message at a time: what it left open will not be finished any more.
  const dropped = dropBlocks(state, (block) => block.parent === parent || block.messageId === id);
  const messages = state.messages.filter((open) => open.parent !== parent && open.id !== id);
  const next = { ...dropped.state, messages: remember(messages, { id, parent, usage: emptyUsage }) };
  const step = readUsage(next, id, parent, asFields(message.usage));
  if (dropped.live.length === 0) return step;
  return { state: step.state, read: { entries: [], live: [...dropped.live, ...step.read.live] } };
}

function readBlockStart(state: ReaderState, line: Fields, event: Fields, parent: string | null): ReadStep | null {
  const content = asFields(event.content_block);
  if (content === null || typeof content.type !== 'string' || typeof event.index !== 'number') return null;
  const kind = blockKind(content.type);
  if (kind === null) return redundant(state, `start of a ${boundWord(content.type)} block that arrives complete later`);
  const key = blockKey(state, line, event, parent);
  const first = kind === 'text' ? content.text : kind === 'thinking' ? content.thinking : '';
  const text = typeof first === 'string' ? first : '';
  const block: OpenStreamBlock = {
    key,
    messageId: messageId(state, line, parent),
    kind,
    toolUseId: typeof content.id === 'string' ? boundWord(content.id) : null,
    parent,
    length: text.length,
  };
  const blocks = remember(
    state.blocks.filter((open) => open.key !== key),
    block,
  );
  const items: Live[] = state.blocks
    .filter((open) => !blocks.includes(open))
    .map((open) => ({ type: 'drop', block: open.key }));
  items.push({
    type: 'open',
    block: key,
    kind,
    ...(typeof content.name === 'string' && { name: boundWord(content.name) }),
    ...(parent !== null && { parentToolUseId: parent }),
  });
  if (text !== '') items.push({ type: 'delta', block: key, text });
  return live({ ...state, blocks }, ...items);
}

function readMessageStop(state: ReaderState, id: string): ReadStep {
  const dropped = dropBlocks(state, (block) => block.messageId === id);
  const next = { ...dropped.state, messages: state.messages.filter((message) => message.id !== id) };
  return dropped.live.length > 0 ? live(next, ...dropped.live) : redundant(next, 'end of a message');
}

const emptyUsage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 };

/** Counts of one message grow while it streams; the turn's sum moves by the difference. */
function readUsage(state: ReaderState, id: string, parent: string | null, reported: Fields | null): ReadStep {
  const at = state.messages.findIndex((message) => message.id === id);
  const message = state.messages[at];
  if (message === undefined || reported === null) return redundant(state, 'part of a message without usage');
  const usage: Usage = {
    inputTokens: grown(message.usage.inputTokens, reported.input_tokens),
    outputTokens: grown(message.usage.outputTokens, reported.output_tokens),
    cacheReadTokens: grown(message.usage.cacheReadTokens, reported.cache_read_input_tokens),
    cacheCreationTokens: grown(message.usage.cacheCreationTokens, reported.cache_creation_input_tokens),
  };
  const messages = state.messages.with(at, { ...message, usage });
  // The result counts the turn's main conversation; a subagent's messages would make the sum jump back.
  if (parent !== null) return redundant({ ...state, messages }, 'usage of a subagent, counted by the result');
  const turnUsage: Usage = {
    inputTokens: state.turnUsage.inputTokens + usage.inputTokens - message.usage.inputTokens,
    outputTokens: state.turnUsage.outputTokens + usage.outputTokens - message.usage.outputTokens,
    cacheReadTokens: state.turnUsage.cacheReadTokens + usage.cacheReadTokens - message.usage.cacheReadTokens,
    cacheCreationTokens:
      state.turnUsage.cacheCreationTokens + usage.cacheCreationTokens - message.usage.cacheCreationTokens,
  };
  return live({ ...state, messages, turnUsage }, { type: 'usage', usage: turnUsage });
}

function grown(before: number, reported: unknown): number {
  return typeof reported === 'number' && Number.isFinite(reported) && reported > before ? reported : before;
}

function blockKind(type: string): OpenStreamBlock['kind'] | null {
  switch (type) {
    case 'text':
    case 'thinking':
      return type;
    case 'tool_use':
    case 'server_tool_use':
    case 'mcp_tool_use':
      return 'tool-call';
    default:
      return null;
  }
}

function messageId(state: ReaderState, line: Fields, parent: string | null): string {
  if (typeof line.api_message_id === 'string') return boundWord(line.api_message_id);
  return state.messages.findLast((message) => message.parent === parent)?.id ?? 'message';
}

function blockKey(state: ReaderState, line: Fields, event: Fields, parent: string | null): string {
  return `${messageId(state, line, parent)}:${typeof event.index === 'number' ? event.index : '?'}`;
}
