/** Rows of D1 for an archive, and from one. What is encrypted stays encrypted. */
import type { ArchiveRow, ArchiveTable, RowsPage } from '../../protocol/archive.ts';
import { type Database, DatabaseError, run } from '../database.ts';

const ROWS = 500;

/** Columns that hold what is encrypted: they leave a deployment with a copy of all of it only, which is useless without the key. */
const SEALED: Partial<Record<ArchiveTable, readonly string[]>> = {
  workspaces: ['access_token', 'refresh_token'],
  repositories: ['credential'],
  sandbox_secrets: ['secret'],
  mcp_servers: ['headers'],
  outgoing_webhooks: ['secret', 'previous_secret'],
};

/** What is a workspace's own, as a condition with its id; null: the table has nothing of one workspace. */
const OWN: Record<ArchiveTable, string | null> = {
  workspaces: 'id = ?',
  repositories: 'workspace_id = ?',
  sandbox_secrets: 'workspace_id = ?',
  mcp_servers: 'repository_id IN (SELECT id FROM repositories WHERE workspace_id = ?)',
  outgoing_webhooks: 'workspace_id = ?',
  settings: "scope = 'workspace:' || ?",
  sessions: 'workspace_id = ?',
  pull_requests: 'workspace_id = ?',
  claude_usage: 'workspace_id = ?',
  claude_windows: null,
  audit: 'workspace_id = ?',
};

/**
 * A page of a table.
 * @param d1 the binding itself: the columns are those that are there
 * @param after where the page before ended; 0: from the beginning
 * @param workspaceId only its own rows, without what is encrypted; null: all of it
 * @throws NotMigratedError, DatabaseError
 */
export async function readRows(
  d1: D1Database,
  table: ArchiveTable,
  after: number,
  workspaceId: string | null,
): Promise<RowsPage> {
  const own = workspaceId === null ? 'true' : OWN[table];
  if (own === null) return { rows: [], next: null };
  const text = `SELECT rowid AS "rowid", * FROM "${table}" WHERE rowid > ? AND ${own} ORDER BY rowid LIMIT ${ROWS}`;
  const values = workspaceId === null ? [after] : [after, workspaceId];
  const { results } = await run(() =>
    d1
      .prepare(text)
      .bind(...values)
      .all<Record<string, string | number | null>>(),
  );
  const hidden = ['rowid', ...(workspaceId === null ? [] : (SEALED[table] ?? []))];
  const rows = results.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !hidden.includes(name))));
  const last = results.at(-1)?.rowid;
  return { rows, next: results.length < ROWS || typeof last !== 'number' ? null : last };
}

/** Stores rows; one whose key is there already stays as it is. @throws NotMigratedError, DatabaseError */
export async function storeRows(d1: D1Database, table: ArchiveTable, rows: readonly ArchiveRow[]): Promise<void> {
  if (rows.length === 0) return;
  const statements = rows.map((row) => {
    const names = Object.keys(row);
    const columns = names.map((name) => `"${name}"`).join(', ');
    const text = `INSERT INTO "${table}" (${columns}) VALUES (${names.map(() => '?').join(', ')}) ON CONFLICT DO NOTHING`;
    return d1.prepare(text).bind(...Object.values(row));
  });
  await run(() => d1.batch(statements));
}

/** Whether a deployment has no workspace and no session yet. @throws NotMigratedError, DatabaseError */
export async function isEmptyDeployment({ orm }: Database): Promise<boolean> {
  const text = 'SELECT (SELECT count(*) FROM workspaces) + (SELECT count(*) FROM sessions) AS count';
  const [row] = await run(() => orm.all<{ count: number }>(text));
  if (!row) throw new DatabaseError('The database did not say what it has');
  return row.count === 0;
}
