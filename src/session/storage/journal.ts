/** The journal in the object's SQLite: append-only, numbered from 1 without gaps. */
import type { Sql, SqlValue } from '../../kernel/platform.ts';
import type { JournalEntry, JournalKind } from '../../protocol/journal.ts';
import type { Draft } from '../lifecycle/model/transition.ts';
import { fitJson } from './fit.ts';
import { upgradeEntry } from './upgrade.ts';

/** Longest JSON text of entries that is given out at once, in UTF-16 code units. */
const MAX_PAGE_LENGTH = 1024 * 1024;
/** The same for a page that is read backwards: the newest is to be painted soon, over slow networks too. */
const MAX_BACKWARD_LENGTH = 256 * 1024;

/** Entries of a turn that are read at once. */
const TURN_PAGE = 200;
/** By `turns`, which has a row a turn; the journal itself is never searched for one. */
export const TURN_BOUNDS = `
  SELECT first, (SELECT first FROM turns AS later WHERE later.turn > ?1 ORDER BY later.turn LIMIT 1) AS next
  FROM turns WHERE turn = ?1`;
/** Prompts that came between the end of the turn before ?1 and the first entry of ?1, which is ?2. */
const ASKED_BEFORE = `
  SELECT seq, at, turn, body FROM journal
  WHERE kind = 'prompt' AND seq < ?2 AND seq > coalesce(
    (SELECT coalesce(
        (SELECT max(seq) FROM journal WHERE kind = 'turn-ended' AND seq >= earlier.first AND seq < ?2), ?2)
      FROM turns AS earlier WHERE earlier.turn BETWEEN 1 AND ?1 - 1 ORDER BY earlier.turn DESC LIMIT 1), 0)
  ORDER BY seq`;

interface Row extends Record<string, SqlValue> {
  seq: number;
  at: number;
  turn: number;
  body: string;
}

export class Journal {
  readonly #sql: Sql;
  /** Number of the last entry; null while it has not been looked up. */
  #head: number | null = null;
  /** Turn of the last entry that was appended in this life. */
  #turn: number | null = null;
  /** Number of the newest entry that tells of saved work, 0 if there is none; null while it has not been looked up. */
  #savedAt: number | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Number of the last entry; 0 for an empty journal. */
  get head(): number {
    this.#head ??= this.#readHead();
    return this.#head;
  }

  /**
   * Appends one entry and gives it its number. To be called inside of a transaction.
   * @param state changes of the state that are stored with it; see state-store.ts
   */
  append(draft: Draft, state: string | null = null): JournalEntry {
    const seq = this.head + 1;
    const { json, isCut } = fitJson(draft.body);
    this.#sql.exec(
      'INSERT INTO journal (seq, at, turn, kind, body, state) VALUES (?, ?, ?, ?, ?, ?)',
      seq,
      draft.at,
      draft.turn,
      draft.body.kind,
      json,
      state,
    );
    this.#head = seq;
    if (draft.body.kind === 'saved') this.#savedAt = seq;
    // The journal of a session that begins is not searched for what cannot be there.
    else if (seq === 1) this.#savedAt = 0;
    this.#noteTurn(draft.turn, seq);
    const body = isCut ? upgradeEntry(json) : draft.body;
    return { seq, at: draft.at, turn: draft.turn, ...body };
  }

  #noteTurn(turn: number, seq: number): void {
    if (turn === this.#turn) return;
    this.#sql.exec('INSERT OR IGNORE INTO turns (turn, first) VALUES (?, ?)', turn, seq);
    this.#turn = turn;
  }

  /** After a transaction that was rolled back: what is in memory may be ahead of what is stored. */
  reload(): void {
    this.#head = null;
    this.#turn = null;
    this.#savedAt = null;
  }

  /** Entries after number `after`, in order: at most `limit`, and no more than fit into one message (but always one). */
  after(after: number, limit: number): JournalEntry[] {
    const entries: JournalEntry[] = [];
    let length = 0;
    for (const row of this.#sql.exec<Row>(
      'SELECT seq, at, turn, body FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
      after,
      limit,
    )) {
      length += row.body.length;
      if (length > MAX_PAGE_LENGTH && entries.length > 0) break;
      entries.push(toEntry(row));
    }
    return entries;
  }

  /**
   * Entries before number `before`, in order: those nearest to it, at most `limit`, and no more than load in a moment (but always one).
   * @param before null: the newest
   */
  before(before: number | null, limit: number): JournalEntry[] {
    const entries: JournalEntry[] = [];
    let length = 0;
    for (const row of this.#sql.exec<Row>(
      'SELECT seq, at, turn, body FROM journal WHERE seq < ? ORDER BY seq DESC LIMIT ?',
      before ?? Number.MAX_SAFE_INTEGER,
      limit,
    )) {
      length += row.body.length;
      if (length > MAX_BACKWARD_LENGTH && entries.length > 0) break;
      entries.push(toEntry(row));
    }
    return entries.reverse();
  }

  /** Number of the newest entry below `before`; 0 if there is none. */
  lastBefore(before: number): number {
    const [row] = this.#sql.exec<{ seq: number | null }>('SELECT max(seq) AS seq FROM journal WHERE seq < ?', before);
    return row?.seq ?? 0;
  }

  /**
   * Entries whose stored text holds `text`, newest first: letters from A to Z are the same in either case, others are found as written,
   * all small, all capital or with a capital first. What is stored has names of fields too, so the caller looks at each again.
   * @param range numbers from `from` on, below `before`. @param limit entries that are given out at most
   */
  *holding(
    text: string,
    { from, before }: { from: number; before: number },
    limit: number,
  ): Generator<JournalEntry, void, undefined> {
    const stored = writings(text);
    const anyOf = stored.map(() => 'instr(lower(body), ?) > 0').join(' OR ');
    for (const row of this.#sql.exec<Row>(
      `SELECT seq, at, turn, body FROM journal WHERE seq >= ? AND seq < ? AND (${anyOf}) ORDER BY seq DESC LIMIT ?`,
      from,
      before,
      ...stored,
      limit,
    )) {
      yield toEntry(row);
    }
  }

  /**
   * The entries of a turn, in order, read as they are taken: a few at a time are in memory, however long the turn was. What
   * is appended meanwhile may come along. What people asked before it began, since the end of the turn before, comes first: that
   * is what led to it, and it was recorded under the earlier number. What they ask after its end belongs to the next.
   */
  *ofTurn(turn: number): Generator<JournalEntry, void, undefined> {
    const [bounds] = this.#sql.exec<{ first: number; next: number | null }>(TURN_BOUNDS, turn).toArray();
    if (!bounds) return;
    if (turn > 0) for (const row of this.#sql.exec<Row>(ASKED_BEFORE, turn, bounds.first)) yield toEntry(row);
    let isOver = false;
    for (let after = bounds.first - 1; ; ) {
      const page = this.after(after, TURN_PAGE);
      for (const entry of page) {
        if (bounds.next !== null && entry.seq >= bounds.next) return;
        if (entry.turn !== turn || (isOver && entry.kind === 'prompt')) continue;
        isOver ||= entry.kind === 'turn-ended' && turn > 0;
        yield entry;
      }
      const last = page.at(-1);
      if (!last) return;
      after = last.seq;
    }
  }

  /** The entry with this number; null if there is none. */
  at(seq: number): JournalEntry | null {
    const [row] = this.#sql.exec<Row>('SELECT seq, at, turn, body FROM journal WHERE seq = ?', seq).toArray();
    return row ? toEntry(row) : null;
  }

  /** The newest entries of a kind, in their order. */
  newest(kind: JournalKind, limit: number): JournalEntry[] {
    const rows = this.#sql.exec<Row>(
      'SELECT seq, at, turn, body FROM journal WHERE kind = ? ORDER BY seq DESC LIMIT ?',
      kind,
      limit,
    );
    return rows.toArray().reverse().map(toEntry);
  }

  /** The newest entry that tells of saved work; null before the first. */
  lastSaved(): Extract<JournalEntry, { kind: 'saved' }> | null {
    this.#savedAt ??= this.#readSavedAt();
    const entry = this.#savedAt === 0 ? null : this.at(this.#savedAt);
    return entry?.kind === 'saved' ? entry : null;
  }

  /** Walks back from the newest entry, through all of them if none tells of saved work. */
  #readSavedAt(): number {
    const [row] = this.#sql
      .exec<{ seq: number }>("SELECT seq FROM journal WHERE kind = 'saved' ORDER BY seq DESC LIMIT 1")
      .toArray();
    return row?.seq ?? 0;
  }

  #readHead(): number {
    return this.#sql.exec<{ head: number }>('SELECT coalesce(max(seq), 0) AS head FROM journal').one().head;
  }
}

function toEntry({ seq, at, turn, body }: Row): JournalEntry {
  return { seq, at, turn, ...upgradeEntry(body) };
}

/** How a text may stand in what SQLite's `lower` gives, which knows the letters from A to Z alone. */
function writings(text: string): string[] {
  const small = text.toLowerCase();
  const [first = ''] = small;
  const all = [text, small, text.toUpperCase(), first.toUpperCase() + small.slice(first.length)];
  // As it is written in JSON: a quotation mark has a backslash before it there.
  const stored = all.map((one) => JSON.stringify(one).slice(1, -1));
  return [...new Set(stored.map((one) => one.replace(/[A-Z]/g, (letter) => letter.toLowerCase())))];
}
