/**
 * D1 and R2 for a Worker that runs in workerd alone: one object with SQLite behind both, which outlives a kill of workerd
 * as they do. Only what Cyrus uses of them is there.
 */
import { DurableObject } from 'cloudflare:workers';

interface Answer {
  columns: string[];
  rows: SqlStorageValue[][];
  changes: number;
}

export class ChaosStore extends DurableObject {
  /** Runs statements without parameters, such as a migration. */
  execute(sql: string): void {
    this.ctx.storage.sql.exec(sql);
  }

  query(statements: { sql: string; values: SqlStorageValue[] }[]): Answer[] {
    return this.ctx.storage.transactionSync(() =>
      statements.map(({ sql, values }) => {
        const cursor = this.ctx.storage.sql.exec(sql, ...values);
        const rows = [...cursor.raw()];
        return { columns: cursor.columnNames, rows, changes: cursor.rowsWritten };
      }),
    );
  }

  put(key: string, bytes: ArrayBuffer): void {
    this.ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, bytes BLOB NOT NULL)');
    this.ctx.storage.sql.exec('INSERT OR REPLACE INTO files (key, bytes) VALUES (?, ?)', key, bytes);
  }
}

export type Store = Pick<DurableObjectStub<ChaosStore>, 'query' | 'put'>;

/** The store as the binding `DB`. */
export function databaseOver(store: Store): D1Database {
  const database = {
    prepare: (sql: string) => new Statement(store, sql, []),
    batch: async (statements: Statement[]) => (await store.query(statements)).map(toResult),
  };
  // The rest of D1's interface is not used.
  return database as unknown as D1Database;
}

/** The store as the binding `LOGS`. */
export function bucketOver(store: Store): R2Bucket {
  const bucket = {
    put: async (key: string, body: BodyInit) => store.put(key, await new Response(body).arrayBuffer()),
    get: async () => null,
  };
  // The rest of R2's interface is not used.
  return bucket as unknown as R2Bucket;
}

class Statement {
  readonly #store: Store;
  readonly sql: string;
  readonly values: SqlStorageValue[];

  constructor(store: Store, sql: string, values: SqlStorageValue[]) {
    this.#store = store;
    this.sql = sql;
    this.values = values;
  }

  bind(...values: SqlStorageValue[]): Statement {
    return new Statement(this.#store, this.sql, values);
  }

  async raw() {
    return (await this.#run()).rows;
  }

  async all() {
    return toResult(await this.#run());
  }

  async run() {
    return toResult(await this.#run());
  }

  async first() {
    return toResult(await this.#run()).results[0] ?? null;
  }

  async #run(): Promise<Answer> {
    const [answer] = await this.#store.query([{ sql: this.sql, values: this.values }]);
    if (!answer) throw new Error('the store answered nothing');
    return answer;
  }
}

function toResult({ columns, rows, changes }: Answer) {
  const results = rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])));
  return { success: true, results, meta: { changes } };
}
