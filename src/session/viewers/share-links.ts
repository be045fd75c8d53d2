/** The share links of a session, in the object's SQLite: of each the hash of its secret alone. Times in ms since the epoch. */
import type { Sql } from '../../kernel/platform.ts';
import { MOST_SHARE_LINKS, type ShareLink } from '../../protocol/share-links.ts';

const TABLE = `CREATE TABLE IF NOT EXISTS share_links (
  id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL UNIQUE, made_by TEXT, created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID`;

/** A link with the hash of its secret. */
export interface HashedShareLink extends ShareLink {
  secretHash: string;
}

/** To be used for sessions that there are; the table is made by the first link. */
export class StoredShareLinks {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** @returns false: there are as many as there may be, and it was not added */
  add({ id, secretHash, by, createdAt, expiresAt }: HashedShareLink): boolean {
    this.#sql.exec(TABLE);
    this.#sql.exec('DELETE FROM share_links WHERE expires_at <= ?', createdAt);
    if (this.list(createdAt).length >= MOST_SHARE_LINKS) return false;
    this.#sql.exec(
      'INSERT INTO share_links (id, secret_hash, made_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?)',
      ...[id, secretHash, by, createdAt, expiresAt],
    );
    return true;
  }

  /** Those that are good, the newest first. */
  list(now: number): ShareLink[] {
    if (!this.#hasTable()) return [];
    return this.#sql
      .exec<{ id: string; by: string | null; createdAt: number; expiresAt: number }>(
        `SELECT id, made_by AS "by", created_at AS createdAt, expires_at AS expiresAt FROM share_links
         WHERE expires_at > ? ORDER BY created_at DESC, id`,
        now,
      )
      .toArray();
  }

  /** Ends a link. @returns false: there is none with this id */
  end(id: string): boolean {
    if (!this.#hasTable()) return false;
    return this.#sql.exec('DELETE FROM share_links WHERE id = ? RETURNING id', id).toArray().length > 0;
  }

  /** Until when the link with this secret is good; null: there is none, or it has ended. */
  goodUntil(secretHash: string, now: number): number | null {
    if (!this.#hasTable()) return null;
    const [link] = this.#sql
      .exec<{ until: number }>(
        'SELECT expires_at AS until FROM share_links WHERE secret_hash = ? AND expires_at > ?',
        secretHash,
        now,
      )
      .toArray();
    return link?.until ?? null;
  }

  /** Looking at a session makes no table. */
  #hasTable(): boolean {
    return (
      this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'share_links'").toArray().length > 0
    );
  }
}
