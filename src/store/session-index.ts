/** The index of sessions in D1, which lists of sessions are read from. Each issue session writes its own row. */
import { and, desc, eq, isNull, lt, type SQL, sql } from 'drizzle-orm';
import { parseJson } from '../lib/parse-json.ts';
import { listedPullSchema, type SessionRow } from '../protocol/viewer.ts';
import { type Database, run } from './database.ts';
import { isRunning, sessions } from './schema.ts';

/** A row of the sessions index, as the issue session's object gives it. */
export type IndexedSession = typeof sessions.$inferInsert;

/** What somebody sees of the sessions: of these workspaces those of these teams, and where `withoutIssue` is set also those without an issue. */
export interface SeenSessions {
  workspaceId: string;
  teamIds: readonly string[];
  withoutIssue: boolean;
}

/** A row of the list with what says who may see it. `teamId`: as in the table. */
export type ListedSession = SessionRow & { workspaceId: string; teamId: string | null };

/** Where a list of sessions continues: the last row of the part before. */
export type SessionCursor = Pick<SessionRow, 'updatedAt' | 'id'>;

/**
 * Writes a session's row, unless the row that is there has the same or a higher version: late and repeated writes change nothing.
 * @throws NotMigratedError, DatabaseError
 */
export async function indexSession(db: Database, row: IndexedSession): Promise<void> {
  const { id, createdAt, ...changing } = row;
  await run(() =>
    db.orm
      .insert(sessions)
      .values(row)
      .onConflictDoUpdate({
        target: sessions.id,
        set: changing,
        setWhere: lt(sessions.version, row.version),
      }),
  );
}

/** Ids of a workspace's sessions in which something runs, as far as the index knows. @throws NotMigratedError, DatabaseError */
export async function listRunningSessions(db: Database, workspaceId: string): Promise<string[]> {
  const rows = await run(() =>
    db.orm
      .select({ id: sessions.id })
      .from(sessions)
      // Written out, as in the index of running sessions: with a parameter SQLite could not tell that the index covers it.
      .where(and(eq(sessions.workspaceId, workspaceId), isRunning(sessions.phase))),
  );
  return rows.map((row) => row.id);
}

/**
 * Sessions, last changed first.
 * @param query `limit` rows at most; `before`: only rows after this one in that order; `workspaceId`: only this workspace's; `seen`: only
 *   what is seen, and rows of which the team is not known, which the caller has to find out
 * @throws NotMigratedError, DatabaseError
 */
export async function listSessions(
  db: Database,
  query: { limit: number; before?: SessionCursor; workspaceId?: string; seen?: readonly SeenSessions[] },
): Promise<ListedSession[]> {
  const conditions: (SQL | undefined)[] = [];
  if (query.seen) conditions.push(isSeen(query.seen));
  if (query.workspaceId !== undefined) conditions.push(eq(sessions.workspaceId, query.workspaceId));
  if (query.before) {
    const { updatedAt, id } = query.before;
    // A row value, which SQLite looks up in the index; the same written with OR makes it read all that is newer.
    conditions.push(sql`(${sessions.updatedAt}, ${sessions.id}) < (${updatedAt}, ${id})`);
  }
  const rows = await run(() =>
    db.orm
      .select({
        id: sessions.id,
        identifier: sessions.issueIdentifier,
        title: sessions.title,
        url: sessions.url,
        repository: sessions.repositoryFullName,
        phase: sessions.phase,
        reason: sessions.reason,
        lastOutcome: sessions.lastOutcome,
        turn: sessions.turn,
        pullRequest: sessions.pullRequest,
        createdAt: sessions.createdAt,
        updatedAt: sessions.updatedAt,
        workspaceId: sessions.workspaceId,
        teamId: sessions.teamId,
      })
      .from(sessions)
      .where(and(...conditions))
      .orderBy(desc(sessions.updatedAt), desc(sessions.id))
      .limit(query.limit),
  );
  return rows.map((row) => ({ ...row, pullRequest: listedPull(row.pullRequest) }));
}

/** What a newer version stored and this one cannot read is not shown. */
function listedPull(stored: string | null): SessionRow['pullRequest'] {
  return stored === null ? null : (listedPullSchema.safeParse(parseJson(stored)).data ?? null);
}

/** Notes the team of a session whose row does not say it. @param teamId empty: it has no issue @throws NotMigratedError, DatabaseError */
export async function noteTeam(db: Database, id: string, teamId: string): Promise<void> {
  await run(() =>
    db.orm
      .update(sessions)
      .set({ teamId })
      .where(and(eq(sessions.id, id), isNull(sessions.teamId))),
  );
}

/** Lists go in as JSON: a statement of D1 takes a hundred parameters. */
function isSeen(seen: readonly SeenSessions[]): SQL | undefined {
  const [only, ...more] = seen;
  const listed = (values: readonly string[]) => sql`(select value from json_each(${JSON.stringify(values)}))`;
  const teams = seen.flatMap(({ workspaceId, teamIds, withoutIssue }) =>
    [...teamIds, ...(withoutIssue ? [''] : [])].map((teamId) => `${workspaceId} ${teamId}`),
  );
  return and(
    // One workspace is the common case, for which there is an index.
    only && more.length === 0
      ? eq(sessions.workspaceId, only.workspaceId)
      : sql`${sessions.workspaceId} in ${listed(seen.map(({ workspaceId }) => workspaceId))}`,
    sql`(${sessions.teamId} is null or ${sessions.workspaceId} || ' ' || ${sessions.teamId} in ${listed(teams)})`,
  );
}
