/** The journal as a page draws it: sections, the items in them, and rows of work. */
import type { JournalEntry, JournalKind } from '../../protocol/journal.ts';

export type Entry<K extends JournalKind> = Extract<JournalEntry, { kind: K }>;

/** A tool call, its result once there is one, and what happened under it. `call` is null for a result nobody asked for. */
export type ToolCall = {
  readonly type: 'tool';
  readonly key: number;
  readonly id: string;
  readonly call: Entry<'tool-call'> | null;
  readonly result: Entry<'tool-result'> | null;
  /** True when a person's stop cut it off: its error is no failure. */
  readonly stopped: boolean;
  readonly tasks: readonly Entry<'task'>[];
  readonly items: readonly Item[];
};

/** Entries shown as one plain line. */
export type LineKind =
  | 'stop-requested'
  | 'rate-limit'
  | 'model-changed'
  | 'permission-denied'
  | 'compaction'
  | 'task'
  | 'question'
  | 'notice'
  | 'unknown'
  | 'output';

export type Row =
  | ToolCall
  | { readonly type: 'thought'; readonly key: number; readonly entry: Entry<'thinking'> }
  | { readonly type: 'line'; readonly key: number; readonly entry: Entry<LineKind> }
  | { readonly type: 'retries'; readonly key: number; readonly entries: readonly Entry<'retry'>[] }
  /** All that was given up in a section, where the first of it was. */
  | { readonly type: 'failures'; readonly key: number; readonly entries: readonly Entry<'effect-failed'>[] };

export type Preparation = Entry<'step'> | Entry<'output'> | Entry<'claude-started'>;

/** Something that happened in a turn, as its flight record tells it. */
export type Moment = {
  /** The entry that tells of it. */
  readonly key: number;
  /** In ms since the epoch. */
  readonly at: number;
  readonly level: 'plain' | 'warning' | 'error';
  readonly text: string;
  /** How long what ended here took, in ms; null: nothing ended, or nobody said. */
  readonly tookMs: number | null;
};

export type Item =
  | { readonly type: 'message'; readonly key: number; readonly entry: Entry<'prompt'> }
  | { readonly type: 'text'; readonly key: number; readonly entry: Entry<'text'> }
  | { readonly type: 'work'; readonly key: number; readonly rows: readonly Row[] }
  | { readonly type: 'steps'; readonly key: number; readonly entries: readonly Preparation[] }
  | {
      readonly type: 'saved';
      readonly key: number;
      readonly entry: Entry<'saved'>;
      readonly durationMs: number | null;
    }
  | { readonly type: 'proposed'; readonly key: number; readonly entry: Entry<'pull-request' | 'branch-link'> }
  | {
      readonly type: 'ended';
      readonly key: number;
      readonly entry: Entry<'turn-ended'>;
      /** True when its text is what Claude just said and need not be repeated. */
      readonly repeats: boolean;
      /** What happened when in the turn. */
      readonly flight: readonly Moment[];
    };

export type Section = {
  /** Number of the first entry; stays the same for the life of the section. */
  readonly key: number;
  /** 0 until a turn begins. */
  readonly turn: number;
  readonly items: readonly Item[];
  readonly prompt: Entry<'prompt'> | null;
  readonly saved: Entry<'saved'> | null;
  readonly ended: Entry<'turn-ended'> | null;
  /** True when something meant for the outside (Linear, the index, the log) was given up in it. */
  readonly effectFailed: boolean;
  /** Claude has said, thought or called something. */
  readonly hasSpoken: boolean;
  /** Tool calls, those of subagents included. */
  readonly calls: number;
  readonly startedAt: number;
  /** Entries it is made of. */
  readonly entries: readonly JournalEntry[];
};

export type Outline = {
  readonly sections: readonly Section[];
  /** Directory Claude works in; paths are shown relative to it. */
  readonly cwd: string | null;
};
