/**
 * What the reader of the CLI's stream remembers between lines, and what one line becomes.
 *
 * The state is plain data and small: it is stored with the issue session after every batch. It holds how long the text
 * streamed so far is, never the text itself. Ids come from the CLI and may be anything, so they are looked up in lists,
 * not as keys of objects.
 */
import type { JournalBody, Usage } from '../protocol/journal.ts';

/** A content block that is being streamed and not yet finished. */
export interface OpenStreamBlock {
  /** Name of the block for viewers: message id and index. */
  key: string;
  messageId: string;
  kind: 'text' | 'thinking' | 'tool-call';
  /** Id of the tool call this block will become; null for text. */
  toolUseId: string | null;
  parent: string | null;
  /** Text (or tool input) streamed so far, in UTF-16 code units. */
  length: number;
}

/** A message that is being streamed, with the usage reported for it so far. */
interface OpenMessage {
  id: string;
  parent: string | null;
  usage: Usage;
}

/** Plain, JSON-serialisable state of the reader; start from `initialReaderState`. */
export interface ReaderState {
  blocks: OpenStreamBlock[];
  messages: OpenMessage[];
  /** Usage of the running turn's main conversation, as far as streamed. */
  turnUsage: Usage;
  /** Questions without an answer yet. */
  questions: { requestId: string; name: string; toolUseId: string | null }[];
  /** Running subagents and background commands. */
  tasks: { taskId: string; description: string; toolUseId: string | null; isHelper?: boolean }[];
  /** Cause named by the last error message of the running turn; the result line itself often names none. */
  failure: string | null;
  permissionMode: string | null;
  /** Cost the CLI had counted up to the last result, in US dollars; its totals only grow. */
  costTotal: number;
  /** MCP servers that did not connect, as told last; left out by older versions: none. */
  unusableServers?: string[];
}

const noUsage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 };

/** The reader before its first line. */
export const initialReaderState: ReaderState = {
  blocks: [],
  messages: [],
  turnUsage: noUsage,
  questions: [],
  tasks: [],
  failure: null,
  permissionMode: null,
  costTotal: 0,
};

/** What happens now and is not stored. */
export type Live =
  | { type: 'open'; block: string; kind: 'text' | 'thinking' | 'tool-call'; name?: string; parentToolUseId?: string }
  /** Text or thinking, never the input of a tool. */
  | { type: 'delta'; block: string; text: string }
  /** The block ended without an entry of its own (an interrupted or repeated message). */
  | { type: 'drop'; block: string }
  /** A passing state worth showing. `tokens` is an estimate of what was produced so far. */
  | {
      type: 'activity';
      what: 'requesting' | 'thinking' | 'tool-input' | 'compacting' | 'idle';
      tokens?: number;
    }
  /** Usage of the running turn so far (main conversation, as streamed); the result brings the final sum. */
  | { type: 'usage'; usage: Usage };

/** An entry; `block` names the streamed block it finishes, whose text is the entry's unless that was truncated. */
export interface ReadEntry {
  body: JournalBody;
  block?: string;
}

/** What one line becomes. A line that yields neither entries nor anything live says why in `redundant`. */
export interface ReadLine {
  entries: ReadEntry[];
  live: Live[];
  redundant?: string;
}

/** The state after a line, with what the line became. */
export interface ReadStep {
  state: ReaderState;
  read: ReadLine;
}

/** Most open blocks, messages, questions and tasks remembered; past it the oldest is dropped. */
const MAX_OPEN = 64;

/** Appends to a bounded list; the oldest items past the bound are left out. */
export function remember<T>(list: T[], item: T): T[] {
  return [...list.slice(Math.max(0, list.length + 1 - MAX_OPEN)), item];
}

/** A step that yields entries. */
export function entries(state: ReaderState, ...bodies: JournalBody[]): ReadStep {
  return { state, read: { entries: bodies.map((body) => ({ body })), live: [] } };
}

/** A step that yields something live. */
export function live(state: ReaderState, ...items: Live[]): ReadStep {
  return { state, read: { entries: [], live: items } };
}

/** A step that yields nothing new, and why. */
export function redundant(state: ReaderState, why: string): ReadStep {
  return { state, read: { entries: [], live: [], redundant: why } };
}

/** Drops open blocks: the state without them, and a drop for each. */
export function dropBlocks(
  state: ReaderState,
  which: (block: OpenStreamBlock) => boolean,
): { state: ReaderState; live: Live[] } {
  const dropped = state.blocks.filter(which);
  if (dropped.length === 0) return { state, live: [] };
  return {
    state: { ...state, blocks: state.blocks.filter((block) => !which(block)) },
    live: dropped.map((block) => ({ type: 'drop', block: block.key })),
  };
}
