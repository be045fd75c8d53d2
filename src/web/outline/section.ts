/**
 * The entries of one section, grouped: tool calls with their results, what a subagent did under the call that started
 * it, preparations in one item, retries and failures in one row. Pure.
 */
import type { JournalEntry } from '../../protocol/journal.ts';
import { flightOf } from './flight.ts';
import type { Entry, Item, Preparation, Row, Section, ToolCall } from './model.ts';

/** A call while its section is being made; afterwards nobody changes it. */
type OpenCall = Omit<ToolCall, 'result' | 'stopped' | 'tasks' | 'items'> & {
  result: Entry<'tool-result'> | null;
  stopped: boolean;
  tasks: Entry<'task'>[];
  items: Item[];
};

/** Makes the section of these entries, in their order. @param isPartial its beginning is not known */
export function sectionOf(entries: JournalEntry[], isPartial = false): Section {
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
  const failures: Entry<'effect-failed'>[] = [];
  let stopAsked = false;
  let hasSpoken = false;

  const listFor = (entry: { parentToolUseId?: string }): Item[] =>
    (entry.parentToolUseId === undefined ? undefined : calls.get(entry.parentToolUseId)?.items) ?? items;

  const addCall = (list: Item[], key: number, id: string, call: ToolCall['call'], result: ToolCall['result']) => {
    const tool: OpenCall = { type: 'tool', key, id, call, result, stopped: false, tasks: [], items: [] };
    calls.set(id, tool);
    addRow(list, tool);
  };

  for (const entry of entries) {
    // A prompt comes with the number of the turn before it; which turn takes it up is told when that begins.
    if (section.turn === 0 && entry.kind !== 'prompt') section.turn = entry.turn;
    hasSpoken ||= entry.kind === 'text' || entry.kind === 'thinking' || entry.kind === 'tool-call';
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
        // Its call is further up than what was read.
        if (tool === undefined && isPartial) break;
        if (tool === undefined) addCall(listFor(entry), entry.seq, entry.toolUseId, null, entry);
        else {
          tool.result = entry;
          tool.stopped = stopAsked && entry.isError;
        }
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
      case 'effect-failed':
        if (failures.length === 0) addRow(items, { type: 'failures', key: entry.seq, entries: failures });
        failures.push(entry);
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
      case 'pull-request':
      case 'branch-link':
        items.push({ type: 'proposed', key: entry.seq, entry });
        break;
      case 'turn-ended':
        section.ended = entry;
        section.turn = entry.turn || section.turn;
        items.push({
          type: 'ended',
          key: entry.seq,
          entry,
          repeats: lastText?.trim() === entry.text.trim(),
          flight: flightOf(entries),
        });
        break;
      case 'turn-started':
        section.turn = entry.turn;
        section.startedAt = entry.at;
        break;
      case 'result':
        break; // `turn-ended` tells it to people.
      case 'rate-limit':
        // Usage within a limit is no news; the header tells how much of each is used.
        if (entry.status !== 'allowed') addRow(items, { type: 'line', key: entry.seq, entry });
        break;
      case 'stop-requested':
        stopAsked = true;
        addRow(items, { type: 'line', key: entry.seq, entry });
        break;
      default:
        addRow(items, { type: 'line', key: entry.seq, entry });
    }
  }
  return { ...section, items, effectFailed: failures.length > 0, hasSpoken, calls: calls.size, entries };
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
