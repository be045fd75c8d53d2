/** The commits that a session has pushed, with their parents: what the gateway judges by whether a push may replace them. */

import type { Sql } from '../../kernel/platform.ts';

/** Past this many the oldest are forgotten: then they are no longer the session's to replace. */
const MAX_KEPT = 20_000;
const TABLE = `CREATE TABLE IF NOT EXISTS pushed_commits (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, parents TEXT NOT NULL) STRICT`;

export interface PushedCommit {
  id: string;
  parents: string[];
}

export class PushedCommits {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** To be called in a transaction. One that is known already stays as it is. */
  add(commits: readonly PushedCommit[]): void {
    this.#sql.exec(TABLE);
    for (const { id, parents } of commits) {
      this.#sql.exec('INSERT OR IGNORE INTO pushed_commits (id, parents) VALUES (?, ?)', id, parents.join(' '));
    }
    this.#sql.exec('DELETE FROM pushed_commits WHERE number <= (SELECT max(number) FROM pushed_commits) - ?', MAX_KEPT);
  }

  all(): PushedCommit[] {
    this.#sql.exec(TABLE);
    const rows = this.#sql.exec<{ id: string; parents: string }>('SELECT id, parents FROM pushed_commits').toArray();
    return rows.map(({ id, parents }) => ({ id, parents: parents === '' ? [] : parents.split(' ') }));
  }
}
