/**
 * The session's state as it is stored, and the texts of prompts that may have to be delivered again.
 *
 * Most steps change little: a piece of streamed text moves a cursor. So a step stores what has changed since the last
 * snapshot, as one small row: in the row of the last journal entry that it writes, where it writes one, else in a row of its
 * own. Once that has grown, the snapshot is written again. Parts that are long (context, open questions) lie in rows of their
 * own and are written when they change. What Claude's tools did is in the journal already and is read from there.
 */
import { Pieces } from '../../kernel/pieces.ts';
import type { Sql } from '../../kernel/platform.ts';
import type { Readable } from '../../kernel/versions.ts';
import { messageOf } from '../../lib/error.ts';
import type { JournalBody } from '../../protocol/journal.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import { noteCall, type RecentCall } from '../lifecycle/model/unconfirmed-calls.ts';
import { upgradeEntry, upgradeState } from './upgrade.ts';

/** A part whose JSON is longer than this lies in a row of its own; UTF-16 code units. */
const LONG_PART = 2_000;
/** When the changes since the snapshot are longer than this, the snapshot is written again. */
const MOST_CHANGES = 1_500;
/** A sign of life is stored when the last stored one is this old, in ms: well below the silence that counts as trouble. */
const HEARD_EVERY_MS = 20_000;
/** Part of the state that is derived from the journal. */
const CALLS = 'calls';
/** Changes to these alone say nothing but that the sandbox lives. */
const SIGNS_OF_LIFE = new Set(['sandbox', 'revision', 'updatedAt']);

type Part = keyof SessionState & string;

/** Changes since the snapshot. `revision`: of the state that they lead to. `rows`: parts that lie in rows of their own. */
interface Changes {
  revision: number;
  set: Record<string, unknown>;
  gone: string[];
  rows: string[];
}

const SAVE_SNAPSHOT = 'INSERT INTO state (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json';
const SAVE_PROGRESS =
  'INSERT INTO progress (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json';

interface Snapshot {
  state: Record<string, unknown>;
  rows: string[];
}

/** What a step is about to store beside the state. */
export interface StepOutput {
  /** Number of the last entry before the step. */
  head: number;
  /** The step's entries, in order. */
  bodies: JournalBody[];
  /** It calls for nothing and puts nothing out. */
  isSilent: boolean;
}

export class StateStore {
  readonly #sql: Sql;
  readonly #pieces: Pieces;
  /** The state as it is stored; null before the first. */
  #saved: SessionState | null = null;
  /** Parts as the snapshot has them. */
  #snapshot = new Map<string, unknown>();
  /** Parts that lie in rows of their own. */
  #rows = new Set<string>();
  /** When the sandbox was heard of last, as stored. */
  #heardAt = 0;
  /** Whether the first version kept prompts here; null while nobody has looked. Nothing is added to them any more. */
  #hasOldPrompts: boolean | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#pieces = new Pieces(sql);
  }

  /** The state as last saved, and what was stored as it is; null for an object to which nothing has happened. */
  load(): { state: Readable<SessionState>; stored: unknown } | null {
    const [row] = this.#sql.exec<{ json: string }>('SELECT json FROM state').toArray();
    if (!row) return null;
    let stored: Record<string, unknown> | null = null;
    try {
      const snapshot = readSnapshot(row.json);
      stored = this.#assemble(snapshot);
      const state = upgradeState(stored);
      if (state.ok) this.#remember(state.value, snapshot);
      return { state, stored };
    } catch (error) {
      const why = messageOf(error);
      return { state: { ok: false, why: `its state cannot be read (${why})` }, stored };
    }
  }

  /** After a transaction that was rolled back: what is in memory may be ahead of what is stored. */
  reload(): void {
    this.clear();
    this.load();
  }

  /** Forgets what is in memory, if nothing is stored. */
  clear(): void {
    this.#saved = null;
    this.#snapshot = new Map();
    this.#rows = new Set();
  }

  /**
   * Stores a state after a step. To be called inside of its transaction.
   * @returns what is to be stored with the last entry of the step; null: nothing is
   */
  save(state: SessionState, output: StepOutput): string | null {
    const changed = this.#changedParts(state);
    if (output.isSilent && this.#isSignOfLife(state, changed)) return null;
    this.#saveCalls(state, output);
    for (const part of changed) this.#saveLong(part, state[part]);
    const json = JSON.stringify(this.#changes(state));
    const isSnapshotDue = this.#saved === null || json.length > MOST_CHANGES;
    this.#saved = state;
    this.#heardAt = state.sandbox.heardAt;
    if (isSnapshotDue) {
      this.#writeSnapshot(state);
      return null;
    }
    if (output.bodies.length > 0) return json;
    this.#sql.exec(SAVE_PROGRESS, json);
    return null;
  }

  /** Keeps what Claude is given for a prompt. */
  keepPrompt(id: string, text: string): void {
    if (this.#promptOfFirstVersion(id) === null) this.#pieces.add(promptName(id), text);
  }

  /** Keeps the text of a prompt under another id as well. */
  copyPrompt(id: string, of: string): void {
    const text = this.promptText(of);
    if (text !== null) this.keepPrompt(id, text);
  }

  /** Texts of prompts that hold these words. */
  promptsWith(words: string): string[] {
    const names = this.#sql.exec<{ name: string }>(
      `SELECT DISTINCT name FROM pieces WHERE name >= 'prompt ' AND name < 'prompt!'`,
    );
    const kept = this.#sql.exec<{ id: string }>('SELECT id FROM prompts');
    const ids = new Set([
      ...[...names].map(({ name }) => name.slice(promptName('').length)),
      ...[...kept].map(({ id }) => id),
    ]);
    return [...ids].map((id) => this.promptText(id) ?? '').filter((text) => text.includes(words));
  }

  promptText(id: string): string | null {
    return this.#pieces.get(promptName(id)) ?? this.#promptOfFirstVersion(id);
  }

  /** The first version kept prompts in a table of their own; a session that a later one began has none in it. */
  #promptOfFirstVersion(id: string): string | null {
    this.#hasOldPrompts ??= this.#sql.exec('SELECT 1 FROM prompts LIMIT 1').toArray().length > 0;
    if (!this.#hasOldPrompts) return null;
    const [row] = this.#sql.exec<{ text: string }>('SELECT text FROM prompts WHERE id = ?', id).toArray();
    return row?.text ?? null;
  }

  #assemble(snapshot: Snapshot): Record<string, unknown> {
    const changes = this.#newestChanges(Number(snapshot.state.revision ?? 0));
    const state = { ...snapshot.state, ...changes?.set };
    for (const part of changes?.gone ?? []) delete state[part];
    this.#rows = new Set(changes?.rows ?? snapshot.rows);
    for (const part of this.#rows) {
      const text = this.#pieces.get(partName(part));
      if (text !== null) state[part] = JSON.parse(text);
    }
    state[CALLS] = this.#loadCalls(state);
    return state;
  }

  /** Of what the last step without an entry and the last one with one have stored, what is newer; if newer than the snapshot. */
  #newestChanges(since: number): Changes | null {
    const rows = [
      ...this.#sql.exec<{ json: string | null }>('SELECT json FROM progress'),
      ...this.#sql.exec<{ json: string | null }>('SELECT state AS json FROM journal ORDER BY seq DESC LIMIT 1'),
    ];
    let newest: Changes | null = null;
    for (const { json } of rows) {
      // Written by `save` and nobody else, so its shape is known.
      const changes = json === null ? null : (JSON.parse(json) as Changes);
      if (changes && changes.revision > (newest?.revision ?? since)) newest = changes;
    }
    return newest;
  }

  #remember(state: SessionState, snapshot: Snapshot): void {
    this.#saved = state;
    this.#heardAt = state.sandbox.heardAt;
    this.#snapshot = new Map(Object.entries(snapshot.state));
  }

  #changedParts(state: SessionState): Part[] {
    const before = this.#saved;
    const parts = Object.keys(state) as Part[];
    return before === null ? parts : parts.filter((part) => state[part] !== before[part]);
  }

  /** A sandbox that posts an empty batch every 10 s need not be written down each time. */
  #isSignOfLife(state: SessionState, changed: Part[]): boolean {
    const before = this.#saved;
    if (before === null || !changed.every((part) => SIGNS_OF_LIFE.has(part))) return false;
    const { heardAt, ...sandbox } = state.sandbox;
    const { heardAt: _, ...known } = before.sandbox;
    return JSON.stringify(sandbox) === JSON.stringify(known) && Math.abs(heardAt - this.#heardAt) < HEARD_EVERY_MS;
  }

  /** Calls are stored where they are not what the journal's entries make of the stored ones. */
  #saveCalls(state: SessionState, { bodies, head }: StepOutput): void {
    const { calls = [], sandbox } = state;
    const before = this.#saved?.calls ?? [];
    if (calls === before) return;
    const at = { generation: sandbox.generation, seq: sandbox.cursor };
    const derived = bodies.reduce<readonly RecentCall[]>((known, body) => noteCall(known, body, at), before);
    if (outline(derived) === outline(calls)) return;
    this.#pieces.put(partName(CALLS), JSON.stringify({ after: head + bodies.length, calls }));
  }

  #loadCalls(state: Record<string, unknown>): readonly RecentCall[] {
    const text = this.#pieces.get(partName(CALLS));
    // Written by `#saveCalls` or the migration and nobody else, so its shape is known.
    const kept = text === null ? null : (JSON.parse(text) as { after: number; calls: RecentCall[] });
    const { generation = 0, cursor = 0 } = (state.sandbox ?? {}) as { generation?: number; cursor?: number };
    const rows = this.#sql.exec<{ body: string }>(
      "SELECT body FROM journal WHERE seq > ? AND kind IN ('tool-call', 'tool-result') ORDER BY seq",
      kept?.after ?? 0,
    );
    let calls: readonly RecentCall[] = kept?.calls ?? [];
    for (const { body } of rows) calls = noteCall(calls, upgradeEntry(body), { generation, seq: cursor });
    return calls;
  }

  /** Writes a long part into rows of its own; one that has become short goes back among the others. */
  #saveLong(part: Part, value: unknown): void {
    if (part === CALLS) return;
    const json = JSON.stringify(value);
    if (json !== undefined && json.length > LONG_PART) {
      this.#pieces.put(partName(part), json);
      this.#rows.add(part);
    } else this.#rows.delete(part);
  }

  #changes(state: SessionState): Changes {
    const set: Record<string, unknown> = {};
    for (const part of Object.keys(state) as Part[]) {
      const value = state[part];
      const isElsewhere = this.#rows.has(part) || part === CALLS;
      if (!isElsewhere && value !== undefined && value !== this.#snapshot.get(part)) set[part] = value;
    }
    const kept = state as unknown as Record<string, unknown>;
    const gone = [...this.#snapshot.keys()].filter((part) => kept[part] === undefined && part !== CALLS);
    return { revision: state.revision, set, gone, rows: [...this.#rows] };
  }

  #writeSnapshot(state: SessionState): void {
    const { calls: _, ...parts } = state;
    const kept = Object.entries(parts).filter(([part, value]) => !this.#rows.has(part) && value !== undefined);
    const json = JSON.stringify({ ...Object.fromEntries(kept), [ROWS]: [...this.#rows] });
    this.#sql.exec(SAVE_SNAPSHOT, json);
    this.#snapshot = new Map(kept);
  }
}

/** Key in a snapshot under which it names the parts that lie in rows of their own. */
const ROWS = '$rows';

/** @throws where it is no JSON object */
function readSnapshot(json: string): Snapshot {
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('it is not an object');
  const { [ROWS]: rows, ...state } = parsed as Record<string, unknown>;
  return { state, rows: Array.isArray(rows) ? rows.map(String) : [] };
}

function outline(calls: readonly RecentCall[]): string {
  return calls.map(({ id, outcome }) => `${id} ${outcome}`).join('\n');
}

function partName(part: string): string {
  return `state ${part}`;
}

function promptName(id: string): string {
  return `prompt ${id}`;
}
