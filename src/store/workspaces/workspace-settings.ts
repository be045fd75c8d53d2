/** What an admin set for a workspace, see src/protocol/settings/access-rules.ts. An installation leaves it as it is. */
import { eq } from 'drizzle-orm';
import {
  defaultWorkspaceSettings,
  type WorkspaceSettings,
  workspaceSettingsSchema,
} from '../../protocol/settings/access-rules.ts';
import { type Database, run } from '../database.ts';
import { workspaces } from '../schema.ts';

/** @returns the defaults if nothing was set, or there is no such workspace @throws NotMigratedError, DatabaseError */
export async function readWorkspaceSettings(db: Database, workspaceId: string): Promise<WorkspaceSettings> {
  const query = db.orm.select({ settings: workspaces.settings }).from(workspaces);
  const [row] = await run(() => query.where(eq(workspaces.id, workspaceId)).limit(1));
  // What an earlier version stored lacks what is newer: the defaults stand in.
  return row?.settings ? workspaceSettingsSchema.parse(JSON.parse(row.settings)) : defaultWorkspaceSettings;
}

/**
 * @param now ms
 * @returns false if there is no such workspace @throws NotMigratedError, DatabaseError
 */
export async function writeWorkspaceSettings(
  db: Database,
  workspaceId: string,
  settings: WorkspaceSettings,
  now: number,
): Promise<boolean> {
  const values = { settings: JSON.stringify(settings), updatedAt: now };
  const changed = await run(() =>
    db.orm.update(workspaces).set(values).where(eq(workspaces.id, workspaceId)).returning({ id: workspaces.id }),
  );
  return changed.length > 0;
}
