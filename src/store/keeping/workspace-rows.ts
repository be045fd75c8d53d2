/** Removes what D1 has of a workspace. */
import { eq, inArray, sql } from 'drizzle-orm';
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import { type Database, run } from '../database.ts';
import {
  apiAnswers,
  apiTokens,
  auditEntries,
  claudeUsage,
  mcpServers,
  outgoingWebhooks,
  pullRequests,
  repositories,
  sandboxSecrets,
  sessions,
  settings,
  signIns,
  workspaces,
} from '../schema.ts';

/** Ids of a workspace's sessions, so many at most. @throws NotMigratedError, DatabaseError */
export async function sessionsOf(db: Database, workspaceId: string, limit: number): Promise<string[]> {
  const rows = await run(() =>
    db.orm.select({ id: sessions.id }).from(sessions).where(eq(sessions.workspaceId, workspaceId)).limit(limit),
  );
  return rows.map(({ id }) => id);
}

/** Removes every row of a workspace and its part of each sign-in, all or nothing. @throws NotMigratedError, DatabaseError */
export async function deleteWorkspaceRows(db: Database, workspaceId: string): Promise<void> {
  const own = db.orm
    .select({ id: repositories.id })
    .from(repositories)
    .where(eq(repositories.workspaceId, workspaceId));
  await endMemberships(db, workspaceId);
  await run(() =>
    db.orm.batch([
      db.orm.delete(mcpServers).where(inArray(mcpServers.repositoryId, own)),
      db.orm.delete(sandboxSecrets).where(eq(sandboxSecrets.workspaceId, workspaceId)),
      db.orm.delete(outgoingWebhooks).where(eq(outgoingWebhooks.workspaceId, workspaceId)),
      db.orm.delete(repositories).where(eq(repositories.workspaceId, workspaceId)),
      db.orm.delete(pullRequests).where(eq(pullRequests.workspaceId, workspaceId)),
      db.orm.delete(sessions).where(eq(sessions.workspaceId, workspaceId)),
      db.orm.delete(claudeUsage).where(eq(claudeUsage.workspaceId, workspaceId)),
      db.orm.delete(auditEntries).where(eq(auditEntries.workspaceId, workspaceId)),
      db.orm.delete(settings).where(eq(settings.scope, `workspace:${workspaceId}`)),
      db.orm.delete(workspaces).where(eq(workspaces.id, workspaceId)),
    ]),
  );
}

const membershipsSchema = z.array(z.looseObject({ workspaceId: z.string() }));

/** People who were members of nothing else are signed out, and their tokens for programs end. */
async function endMemberships(db: Database, workspaceId: string): Promise<void> {
  for (const table of [signIns, apiTokens]) {
    const isMember = sql`EXISTS (SELECT 1 FROM json_each(${table.memberships}) WHERE value ->> 'workspaceId' = ${workspaceId})`;
    const columns = { id: table.id, tokenHash: table.tokenHash, memberships: table.memberships };
    for (const { id, tokenHash, memberships } of await run(() => db.orm.select(columns).from(table).where(isMember))) {
      const known = membershipsSchema.safeParse(parseJson(memberships)).data ?? [];
      const left = known.filter((one) => one.workspaceId !== workspaceId);
      const which = eq(table.tokenHash, tokenHash);
      // What programs were answered may be of this workspace.
      if (table === apiTokens) await run(() => db.orm.delete(apiAnswers).where(eq(apiAnswers.tokenId, id)));
      await run(() =>
        left.length === 0
          ? db.orm.delete(table).where(which)
          : db.orm
              .update(table)
              .set({ memberships: JSON.stringify(left) })
              .where(which),
      );
    }
  }
}
