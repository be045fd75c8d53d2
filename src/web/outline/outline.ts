/**
 * The journal as a page draws it. Pure: entries in, sections out. A section is a turn with what led to it (prompts,
 * preparations) and what came of it; inside it the entries are grouped: tool calls with their results, what a subagent
 * did under the call that started it, preparations in one item, retries in one.
 */
import type { JournalEntry, JournalKind } from '../../protocol/journal.ts';
import { shared } from './shared.ts';

export type Entry<K extends JournalKind> = Extract<JournalEntry, { kind: K }>;

/** A tool call, its result once there is one, and what happened under it. `call` is null for a result nobody asked for. */
export type ToolCall = {
  readonly type: 'tool';
  readonly key: number;
  readonly id: string;
  readonly call: Entry<'tool-call'> | null;
  readonly result: Entry<'tool-result'> | null;
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
  | 'effect-failed'
  | 'unknown'
  | 'output';

export type Row =
  | ToolCall
  | { readonly type: 'thought'; readonly key: number; readonly entry: Entry<'thinking'> }
  | { readonly type: 'line'; readonly key: number; readonly entry: Entry<LineKind> }
  | { readonly type: 'retries'; readonly key: number; readonly entries: readonly Entry<'retry'>[] };

export type Preparation = Entry<'step'> | Entry<'output'> | Entry<'claude-started'>;

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
  | {
      readonly type: 'ended';
      readonly key: number;
      readonly entry: Entry<'turn-ended'>;
      /** True when its text is what Claude just said and need not be repeated. */
      readonly repeats: boolean;
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

/**
 * The outline of the entries (all of them, in order). Whatever is as it was in `previous` is the very same object, so
 * that a view draws only what changed; sections without a new entry are not even looked into.
 */
export function outlineOf(entries: readonly JournalEntry[], previous?: Outline): Outline {
  const { sections, cwd } = splitIntoSections(entries);
  return {
    cwd,
    sections: sections.map((own, index) => {
      const before = previous?.sections[index];
      if (before !== undefined && isSame(before.entries, own)) return before;
      const section = sectionOf(own);
      return before === undefined ? section : shared(before, section);
    }),
  };
}

/** Entries come at the end, and a prompt may leave for a later section: first, last and length tell both. */
function isSame(before: readonly JournalEntry[], now: readonly JournalEntry[]): boolean {
  return before.length === now.length && before[0] === now[0] && before.at(-1) === now.at(-1);
}

/**
 * A section begins with the first prompt (or the turn) after the end of the last; entries of a turn that come late go
 * where their turn is. Entries outside of any turn (turn 0) join the section at hand. A prompt that came too late for
 * the turn it came in moves to the one that takes it up.
 */
function splitIntoSections(entries: readonly JournalEntry[]): { sections: JournalEntry[][]; cwd: string | null } {
  const sections: JournalEntry[][] = [];
  const sectionOfTurn = new Map<number, JournalEntry[]>();
  let current: { entries: JournalEntry[]; turn: number; ended: boolean } | null = null;
  let cwd: string | null = null;
  for (const entry of entries) {
    if (entry.kind === 'claude-started') cwd = entry.cwd;
    const known = entry.turn > 0 && entry.kind !== 'prompt' ? sectionOfTurn.get(entry.turn) : undefined;
    if (known !== undefined) {
      known.push(entry);
      if (entry.kind === 'turn-ended' && current?.entries === known) current.ended = true;
      continue;
    }
    const begins: boolean =
      current === null || (current.ended && entry.kind === 'prompt') || (current.turn > 0 && entry.turn > current.turn);
    if (begins || current === null) {
      current = { entries: [], turn: 0, ended: false };
      sections.push(current.entries);
    }
    current.entries.push(entry);
    if (entry.turn > 0 && current.turn === 0 && !sectionOfTurn.has(entry.turn)) {
      current.turn = entry.turn;
      sectionOfTurn.set(entry.turn, current.entries);
    }
    if (entry.kind === 'turn-ended') current.ended = true;
    if (entry.kind === 'turn-started') bringPrompts(entry.promptIds, sections, current.entries);
  }
  return { sections: sections.filter((entries) => entries.length > 0), cwd };
}

/** Moves the prompts of a turn that begins from the section before it to the beginning of its own. */
function bringPrompts(promptIds: readonly string[], sections: readonly JournalEntry[][], own: JournalEntry[]): void {
  const before = sections.at(-2);
  if (before === undefined || sections.at(-1) !== own) return;
  const taken = before.filter((entry) => entry.kind === 'prompt' && promptIds.includes(entry.promptId));
  if (taken.length === 0) return;
  own.unshift(...taken);
  const left = before.filter((entry) => !taken.includes(entry));
  before.splice(0, before.length, ...left);
}

/** A call while its section is being made; afterwards nobody changes it. */
type OpenCall = Omit<ToolCall, 'result' | 'tasks' | 'items'> & {
  result: Entry<'tool-result'> | null;
  tasks: Entry<'task'>[];
  items: Item[];
};

function sectionOf(entries: JournalEntry[]): Section {
  const items: Item[] = [];
  const calls = new Map<string, OpenCall>();
  const section = {
    key: entries[0]?.seq ?? 0,
    turn: 0,
    prompt: null as Entry<'prompt'> | null,
    saved: null as Entry<'saved'> | null,
    ended: null as Entry<'turn-ended'> | null,
    startedAt: entries[0]?.at ?? 0,
  };
  let lastText: string | null = null;
  let saveMs: number | null = null;

  const listFor = (entry: { parentToolUseId?: string }): Item[] =>
    (entry.parentToolUseId === undefined ? undefined : calls.get(entry.parentToolUseId)?.items) ?? items;

  const addCall = (list: Item[], key: number, id: string, call: ToolCall['call'], result: ToolCall['result']) => {
    const tool: OpenCall = { type: 'tool', key, id, call, result, tasks: [], items: [] };
    calls.set(id, tool);
    addRow(list, tool);
  };

  for (const entry of entries) {
    if (section.turn === 0) section.turn = entry.turn;
    switch (entry.kind) {
      case 'prompt':
        section.prompt ??= entry;
        items.push({ type: 'message', key: entry.seq, entry });
        break;
      case 'text':
        if (entry.parentToolUseId === undefined) lastText = entry.text;
        listFor(entry).push({ type: 'text', key: entry.seq, entry });
        break;
      case 'thinking':
        addRow(listFor(entry), { type: 'thought', key: entry.seq, entry });
        break;
      case 'tool-call':
        addCall(listFor(entry), entry.seq, entry.toolUseId, entry, null);
        break;
      case 'tool-result': {
        const tool = calls.get(entry.toolUseId);
        if (tool === undefined) addCall(listFor(entry), entry.seq, entry.toolUseId, null, entry);
        else tool.result = entry;
        break;
      }
      case 'task': {
        const tool = entry.toolUseId === null ? undefined : calls.get(entry.toolUseId);
        if (tool === undefined) addRow(items, { type: 'line', key: entry.seq, entry });
        else tool.tasks.push(entry);
        break;
      }
      case 'retry':
        addRetry(items, entry);
        break;
      case 'step':
        if (entry.step === 'save' && entry.status === 'done') {
          saveMs = entry.durationMs ?? null;
          if (noteSaveDone(items, saveMs)) break;
        }
        addPreparation(items, entry);
        break;
      case 'claude-started': // Every turn has one; it is worth a line where it ends the preparations.
        if (items.at(-1)?.type === 'steps') addPreparation(items, entry);
        break;
      case 'output':
        if (items.at(-1)?.type === 'steps') addPreparation(items, entry);
        else addRow(items, { type: 'line', key: entry.seq, entry });
        break;
      case 'saved':
        section.saved = entry;
        addSaved(items, entry, saveMs);
        saveMs = null;
        break;
      case 'turn-ended':
        section.ended = entry;
        section.turn = entry.turn || section.turn;
        items.push({ type: 'ended', key: entry.seq, entry, repeats: lastText?.trim() === entry.text.trim() });
        break;
      case 'turn-started':
        section.turn = entry.turn;
        section.startedAt = entry.at;
        break;
      case 'result':
        break; // `turn-ended` tells it to people.
      default:
        addRow(items, { type: 'line', key: entry.seq, entry });
    }
  }
  const effectFailed = entries.some((entry) => entry.kind === 'effect-failed');
  return { ...section, items, effectFailed, calls: calls.size, entries };
}

/** Lists of items being made are arrays that still grow. */
function addRow(items: Item[], row: Row): void {
  const last = items.at(-1);
  if (last?.type === 'work') (last.rows as Row[]).push(row);
  else items.push({ type: 'work', key: row.key, rows: [row] });
}

function addRetry(items: Item[], entry: Entry<'retry'>): void {
  const last = items.at(-1);
  const row = last?.type === 'work' ? last.rows.at(-1) : undefined;
  if (row?.type === 'retries') (row.entries as Entry<'retry'>[]).push(entry);
  else addRow(items, { type: 'retries', key: entry.seq, entries: [entry] });
}

function addPreparation(items: Item[], entry: Preparation): void {
  const last = items.at(-1);
  if (last?.type === 'steps') (last.entries as Preparation[]).push(entry);
  else items.push({ type: 'steps', key: entry.seq, entries: [entry] });
}

/** The step may be done after what it saved was told, and after the turn ended. Returns whether it was. */
function noteSaveDone(items: Item[], durationMs: number | null): boolean {
  const index = items.findLastIndex((item) => item.type === 'saved');
  const saved = items[index];
  if (saved?.type !== 'saved' || saved.durationMs !== null) return false;
  items[index] = { ...saved, durationMs };
  return true;
}

/** The step that saved needs no line of its own beside what was saved. */
function addSaved(items: Item[], entry: Entry<'saved'>, durationMs: number | null): void {
  const last = items.at(-1);
  if (last?.type === 'steps' && last.entries.every((step) => step.kind === 'step' && step.step === 'save')) items.pop();
  items.push({ type: 'saved', key: entry.seq, entry, durationMs });
}
