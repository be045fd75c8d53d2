/**
 * Long texts in rows of a bounded size: the platform refuses a row above 2 MB
 * (developers.cloudflare.com/durable-objects/platform/limits), and no value here comes near it.
 */

import type { Sql } from './platform.ts';

/** Longest piece, in UTF-16 code units; in UTF-8 at most three times as many bytes, below 1 MB. */
const PIECE_LENGTH = 300_000;

const SAVE = `INSERT INTO pieces (name, piece, text) VALUES (?, ?, ?)
  ON CONFLICT (name, piece) DO UPDATE SET text = excluded.text`;

/** Returns no row if there is one already. */
const ADD = `INSERT INTO pieces (name, piece, text) VALUES (?, ?, ?)
  ON CONFLICT (name, piece) DO NOTHING RETURNING piece`;

export class Pieces {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Stores a text under a name, in the place of what was there. Only rows that differ in number are removed. */
  put(name: string, text: string): void {
    const pieces = cut(text);
    for (const [index, piece] of pieces.entries()) {
      this.#sql.exec(SAVE, name, index, piece);
    }
    this.#sql.exec('DELETE FROM pieces WHERE name = ? AND piece >= ?', name, pieces.length);
  }

  /** Stores a text under a name that nothing is stored under; otherwise it changes nothing. */
  add(name: string, text: string): void {
    for (const [index, piece] of cut(text).entries()) {
      // Rows of one text are stored and removed together, so the first one tells of all.
      if (this.#sql.exec(ADD, name, index, piece).toArray().length === 0) return;
    }
  }

  /** Removes what is stored under a name. */
  remove(name: string): void {
    this.#sql.exec('DELETE FROM pieces WHERE name = ?', name);
  }

  /** The text under a name; null if there is none. */
  get(name: string): string | null {
    const rows = this.#sql
      .exec<{ text: string }>('SELECT text FROM pieces WHERE name = ? ORDER BY piece', name)
      .toArray();
    return rows.length === 0 ? null : rows.map(({ text }) => text).join('');
  }
}

/** Cuts a text, never inside of a character. At least one piece. */
function cut(text: string): string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + PIECE_LENGTH);
    // A high surrogate belongs to what follows it.
    if (to < text.length && /[\uD800-\uDBFF]/.test(text.charAt(to - 1))) to -= 1;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces.length === 0 ? [''] : pieces;
}
