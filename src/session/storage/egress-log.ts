/** The session's egress log in the object's SQLite: the newest lines, and a count of all. */
import type { EgressLine, EgressPage } from '../../protocol/egress-log.ts';

/** Lines that are kept; older ones are dropped. */
const KEPT = 5_000;
/** Longest host and path that are kept, in UTF-16 code units. */
const MAX_HOST = 255;
const MAX_PATH = 500;

const TABLE = `
  CREATE TABLE IF NOT EXISTS egress (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, host TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    verdict TEXT NOT NULL, status INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL) STRICT`;

/** One statement for all lines, in their order: each call of `exec` costs. */
const INSERT = `
  INSERT INTO egress (at, host, method, path, verdict, status, sent, received)
  SELECT value ->> 'at', value ->> 'host', value ->> 'method', value ->> 'path',
    value ->> 'verdict', value ->> 'status', value ->> 'sent', value ->> 'received'
  FROM json_each(?) ORDER BY key`;

interface Row extends Record<string, SqlStorageValue> {
  at: number;
  host: string;
  method: string;
  path: string;
  verdict: string;
  status: number;
  sent: number;
  received: number;
}

export class EgressLog {
  readonly #sql: SqlStorage;
  #hasTable = false;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Adds lines. The first makes the table, so that a session without a sandbox stores nothing. */
  add(lines: EgressLine[]): void {
    this.#createTable();
    const bounded = lines.map((line) => ({
      ...line,
      host: line.host.slice(0, MAX_HOST),
      method: line.method.slice(0, 20),
      path: line.path.slice(0, MAX_PATH),
    }));
    this.#sql.exec(INSERT, JSON.stringify(bounded));
    this.#sql.exec('DELETE FROM egress WHERE id <= (SELECT max(id) FROM egress) - ?', KEPT);
  }

  /** The newest lines, newest first. */
  newest(limit: number): EgressPage {
    this.#createTable();
    const [count] = this.#sql.exec<{ total: number | null }>('SELECT max(id) AS total FROM egress').toArray();
    const rows = this.#sql.exec<Row>(
      'SELECT at, host, method, path, verdict, status, sent, received FROM egress ORDER BY id DESC LIMIT ?',
      limit,
    );
    // Written by `add` and nobody else, so the verdict is one.
    const lines = rows.toArray().map((row) => ({ ...row, verdict: row.verdict as EgressLine['verdict'] }));
    return { lines, total: count?.total ?? 0 };
  }

  #createTable(): void {
    if (!this.#hasTable) this.#sql.exec(TABLE);
    this.#hasTable = true;
  }
}
