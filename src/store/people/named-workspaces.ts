/** The workspaces that what is kept of a person names. */
import { type SQL, sql } from 'drizzle-orm';
import type { Database } from '../database.ts';
import { type WorkspaceStatus, workspaces } from '../schema.ts';

/** A workspace of a person: whether Cyrus is still installed there, and its settings as JSON. */
export interface NamedWorkspace {
  id: string;
  name: string;
  status: WorkspaceStatus;
  settings: string | null;
}

/**
 * A statement for a batch that reads them.
 * @param memberships JSON of memberships, as SQL
 */
export function namedWorkspaces(db: Database, memberships: SQL) {
  const named = sql`(select json_extract(value, '$.workspaceId') from json_each(${memberships}))`;
  const { id, name, status, settings } = workspaces;
  return db.orm.select({ id, name, status, settings }).from(workspaces).where(sql`${workspaces.id} in ${named}`);
}
