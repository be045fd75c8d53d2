/**
 * The rows of the outbox: what the next life of the program finds of its effects. A row is written with its first attempt
 * counted from the time at which it is due, so that most effects cost one row written and one removed.
 */
import type { Pending } from './effect-rules.ts';
import { Pieces } from './pieces.ts';
import type { Sql, SqlValue } from './platform.ts';

/** Effects whose JSON is longer lie in rows of their own (see pieces.ts), UTF-16 code units. */
const LONG_EFFECT = 100_000;
/** Most JSON of effects in one statement, in UTF-16 code units: at most three times as many bytes, below 1 MB. */
const MOST_AT_ONCE = 200_000;
/** What `last_error` says while an effect is carried out, with how often in a row the program ended meanwhile. */
const UNDER_WAY = 'under way, interruption ';
/** What a row holds whose effect lies in rows of its own. An earlier version passes over it as an effect that it does not know. */
const IN_PIECES = JSON.stringify({ kind: 'in-pieces' });

interface Row extends Record<string, SqlValue> {
  id: number;
  effect: string;
  attempts: number;
  next_at: number;
  last_error: string | null;
}

/** An effect as its row has it. */
export interface Stored {
  id: number;
  /** The effect's JSON. */
  json: string;
  isInPieces: boolean;
  attempts: number;
  /** When it is due, in ms since the epoch. */
  nextAt: number;
  /** How often in a row the program ended while it was carried out. */
  interruptions: number;
}

export class OutboxRows<Effect extends object> {
  readonly #sql: Sql;
  readonly #pieces: Pieces;

  /** @param sql has the tables of `KERNEL_TABLES`, at the latest at the first call */
  constructor(sql: Sql) {
    this.#sql = sql;
    this.#pieces = new Pieces(sql);
  }

  /** Everything that is stored, oldest first. */
  all(): Stored[] {
    return this.#sql
      .exec<Row>('SELECT id, effect, attempts, next_at, last_error FROM outbox ORDER BY id')
      .toArray()
      .map(({ id, effect, attempts, next_at, last_error }) => {
        const isInPieces = effect === IN_PIECES;
        return {
          id,
          json: isInPieces ? (this.#pieces.get(piecesName(id)) ?? '') : effect,
          isInPieces,
          attempts,
          nextAt: next_at,
          interruptions: last_error?.startsWith(UNDER_WAY) ? Number(last_error.slice(UNDER_WAY.length)) : 0,
        };
      });
  }

  /** Stores effects, with their first attempt counted. */
  insert(added: Pending<Effect>[]): void {
    let rows: [id: number, json: string, nextAt: number][] = [];
    let length = 0;
    for (const pending of added) {
      const json = this.#inRow(pending);
      if (length + json.length > MOST_AT_ONCE) {
        this.#insert(rows);
        rows = [];
        length = 0;
      }
      rows.push([pending.id, json, pending.nextAt]);
      length += json.length;
    }
    this.#insert(rows);
  }

  /** What an effect's row holds: its JSON, or that it lies in rows of its own, where it is stored then. */
  #inRow(pending: Pending<Effect>): string {
    const json = JSON.stringify(pending.effect);
    if (json.length <= LONG_EFFECT) return json;
    this.#pieces.put(piecesName(pending.id), json);
    pending.isInPieces = true;
    return IN_PIECES;
  }

  #insert(rows: [id: number, json: string, nextAt: number][]): void {
    if (rows.length === 0) return;
    this.#sql.exec(
      `INSERT INTO outbox (id, effect, attempts, next_at, last_error)
       SELECT value ->> 0, value ->> 1, 1, value ->> 2, ?2 FROM json_each(?1)`,
      JSON.stringify(rows),
      `${UNDER_WAY}1`,
    );
  }

  /** Counts an attempt that begins now, and puts the next one off. */
  countAttempt(begun: Pending<Effect>[], now: number): void {
    if (begun.length === 0) return;
    this.#sql.exec(
      `UPDATE outbox SET attempts = value ->> 3, next_at = value ->> 1, last_error = value ->> 2
       FROM json_each(?) WHERE outbox.id = value ->> 0`,
      JSON.stringify(
        begun.map(({ id, attempts, interruptions }) => [
          id,
          // A program that ended once was restarted; the wait grows if it ends each time.
          now + 1_000 * (2 ** (interruptions - 1) - 1),
          UNDER_WAY + interruptions,
          attempts,
        ]),
      ),
    );
  }

  /** Takes back an attempt that was none of each of these effects. */
  uncountAttempt(tried: Pending<Effect>[]): void {
    this.#sql.exec(
      'UPDATE outbox SET attempts = attempts - 1 WHERE id IN (SELECT value FROM json_each(?))',
      JSON.stringify(tried.map((pending) => pending.id)),
    );
  }

  /** @param nextAt when they are due again, in ms since the epoch */
  putBack(tried: Pending<Effect>[], error: string, nextAt: number): void {
    this.#sql.exec(
      'UPDATE outbox SET next_at = ?, last_error = ? WHERE id IN (SELECT value FROM json_each(?))',
      nextAt,
      error,
      JSON.stringify(tried.map((pending) => pending.id)),
    );
  }

  /** Stores another effect in the row of this one. */
  replace(id: number, effect: Effect): void {
    this.#sql.exec('UPDATE outbox SET effect = ? WHERE id = ?', JSON.stringify(effect), id);
  }

  /** Moves every due time. @param by ms, forward or back */
  moveTimes(by: number): void {
    this.#sql.exec('UPDATE outbox SET next_at = next_at + ?', by);
  }

  /** Removes the rows of those that have one. */
  remove(gone: readonly Pending<Effect>[]): void {
    const stored = gone.filter((pending) => !pending.isUnstored);
    if (stored.length === 0) return;
    this.#sql.exec(
      'DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))',
      JSON.stringify(stored.map((pending) => pending.id)),
    );
    for (const { id, isInPieces } of stored) if (isInPieces) this.#pieces.remove(piecesName(id));
  }
}

function piecesName(id: number): string {
  return `effect ${id}`;
}
