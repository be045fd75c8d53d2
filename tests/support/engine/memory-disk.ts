/** Storage as a Durable Object has it, in Node's memory: SQLite, synchronous, with transactions that roll back. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { Rows, Sql, SqlValue } from '../../../src/kernel/platform.ts';
import type { ObjectStorage } from '../../../src/store/object-schema.ts';

export class MemoryDisk implements ObjectStorage {
  readonly #database = new DatabaseSync(':memory:');
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;
  readonly sql: Sql;
  readonly kv: ObjectStorage['kv'];

  constructor() {
    this.sql = { exec: (query, ...bindings) => this.#exec(query, bindings) };
    // In a table, so that a transaction rolls it back.
    this.#database.exec('CREATE TABLE _kv (key TEXT PRIMARY KEY, value TEXT NOT NULL)');
    this.kv = {
      get: (key) => {
        const [row] = this.#exec<{ value: string }>('SELECT value FROM _kv WHERE key = ?', [key]);
        return row === undefined ? undefined : JSON.parse(row.value);
      },
      put: (key, value) => {
        this.#exec('INSERT OR REPLACE INTO _kv (key, value) VALUES (?, ?)', [key, JSON.stringify(value)]);
      },
      delete: (key) => this.#exec('DELETE FROM _kv WHERE key = ? RETURNING key', [key]).toArray().length > 0,
      list: ({ limit }) =>
        this.#exec<{ key: string; value: string }>('SELECT key, value FROM _kv ORDER BY key LIMIT ?', [limit]),
    };
  }

  transactionSync(act: () => void): void {
    const name = `step_${this.#depth}`;
    this.#database.exec(`SAVEPOINT ${name}`);
    this.#depth += 1;
    try {
      act();
    } catch (error) {
      this.#database.exec(`ROLLBACK TO ${name}`);
      throw error;
    } finally {
      this.#depth -= 1;
      this.#database.exec(`RELEASE ${name}`);
    }
  }

  close(): void {
    this.#database.close();
  }

  #exec<Row extends Record<string, SqlValue>>(query: string, bindings: unknown[]): Rows<Row> {
    if (bindings.length === 0 && /;\s*\S/.test(query)) {
      this.#database.exec(query);
      return rowsOf<Row>([]);
    }
    let statement = this.#statements.get(query);
    if (!statement) {
      statement = this.#database.prepare(query);
      this.#statements.set(query, statement);
    }
    // What the rows hold is for the caller to know, as with a Durable Object.
    return rowsOf(statement.all(...(bindings as SQLInputValue[])) as Row[]);
  }
}

function rowsOf<Row>(rows: Row[]): Rows<Row> {
  return {
    toArray: () => rows,
    one: () => {
      const [row] = rows;
      if (rows.length !== 1 || row === undefined) throw new Error(`${rows.length} rows instead of one`);
      return row;
    },
    [Symbol.iterator]: () => rows[Symbol.iterator](),
  };
}
