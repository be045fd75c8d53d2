/** Removes rows of D1 that were kept long enough, in chunks: a statement that removes much would keep others waiting. Times in ms. */
import { and, eq, lt, lte, notExists, type SQL, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { type Database, run } from '../database.ts';
import {
  apiAnswers,
  apiTokens,
  auditEntries,
  claudeUsage,
  oauthStates,
  pullRequests,
  sessions,
  signInAttempts,
  signIns,
  usageBatches,
} from '../schema.ts';

/** Rows that one statement removes. */
const CHUNK = 1_000;
const DAY_MS = 24 * 3_600_000;
const QUARTER_MS = 15 * 60_000;
/** Nobody sends a batch of use again that is older. */
const KEEP_BATCHES_MS = 90 * DAY_MS;
/** What says nothing any more after a day: states that came back, attempts to sign in. */
const KEEP_TRACES_MS = DAY_MS;

/** What was removed, by table, and whether there was no time for all of it. */
export interface Cleaned {
  removed: Record<string, number>;
  isDone: boolean;
}

/** How long sums of use and lines of the audit log are kept, in ms; null: forever. */
interface Kept {
  usage: number | null;
  audit: number | null;
}

/** Rows of one table that are over or were kept long enough. */
interface DueRows {
  name: string;
  table: SQLiteTable;
  condition: SQL | undefined;
}

/** Whether there is anything that `cleanDatabase` would remove; its parameters. @throws NotMigratedError, DatabaseError */
export async function hasDueRows(db: Database, kept: Kept, now: number): Promise<boolean> {
  const found = dueRows(kept, now).map(
    ({ table, condition }) => sql`EXISTS (SELECT 1 FROM ${table} WHERE ${condition})`,
  );
  const [row] = await run(() => db.orm.all<{ due: number }>(sql`SELECT ${sql.join(found, sql` OR `)} AS due`));
  return row?.due === 1;
}

/**
 * Removes what is over or was kept long enough. If nothing is, nothing is written.
 * @param kept how long sums of use and lines of the audit log are kept
 * @param until when to stop, in ms since the epoch
 * @throws NotMigratedError, DatabaseError
 */
export async function cleanDatabase(db: Database, kept: Kept, now: number, until: number): Promise<Cleaned> {
  const removed: Record<string, number> = {};
  for (const { name, table, condition } of dueRows(kept, now)) {
    for (;;) {
      if (Date.now() >= until) return { removed, isDone: false };
      const chunk = sql`rowid IN (SELECT rowid FROM ${table} WHERE ${condition} LIMIT ${CHUNK})`;
      const { meta } = await run(() => db.orm.delete(table).where(chunk));
      const count = meta.changes;
      if (count > 0) removed[name] = (removed[name] ?? 0) + count;
      if (count < CHUNK) break;
    }
  }
  return { removed, isDone: true };
}

function dueRows(kept: Kept, now: number): DueRows[] {
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const quarter = Math.floor((now - KEEP_TRACES_MS) / QUARTER_MS);
  const rows: DueRows[] = [
    { name: 'oauth_states', table: oauthStates, condition: lt(oauthStates.expiresAt, now - KEEP_TRACES_MS) },
    { name: 'sign_ins', table: signIns, condition: lte(signIns.expiresAt, now) },
    { name: 'sign_in_attempts', table: signInAttempts, condition: lt(signInAttempts.quarter, quarter) },
    { name: 'api_tokens', table: apiTokens, condition: lte(apiTokens.expiresAt, now) },
    { name: 'api_answers', table: apiAnswers, condition: lt(apiAnswers.createdAt, now - 2 * KEEP_TRACES_MS) },
    { name: 'claude_usage_batches', table: usageBatches, condition: lt(usageBatches.at, now - KEEP_BATCHES_MS) },
  ];
  if (kept.usage !== null) {
    rows.push({ name: 'claude_usage', table: claudeUsage, condition: lt(claudeUsage.day, day(now - kept.usage)) });
  }
  if (kept.audit !== null) {
    rows.push({ name: 'audit', table: auditEntries, condition: lt(auditEntries.at, now - kept.audit) });
  }
  return rows;
}

/**
 * Removes a session's row, unless it is of a later revision than that, and where it is gone what was noted of its pull requests.
 * @throws NotMigratedError, DatabaseError
 */
export async function deleteSessionRow(db: Database, id: string, version: number): Promise<void> {
  const isThere = db.orm.select({ id: sessions.id }).from(sessions).where(eq(sessions.id, id));
  await run(() =>
    db.orm.batch([
      db.orm.delete(sessions).where(and(eq(sessions.id, id), lte(sessions.version, version))),
      db.orm.delete(pullRequests).where(and(eq(pullRequests.sessionId, id), notExists(isThere))),
    ]),
  );
}

/**
 * Sessions by their ids, for going through all of them in steps.
 * @param after the last id of the step before; empty: from the beginning
 * @throws NotMigratedError, DatabaseError
 */
export async function sessionsAfter(
  db: Database,
  after: string,
  limit: number,
): Promise<{ id: string; version: number }[]> {
  return run(() =>
    db.orm
      .select({ id: sessions.id, version: sessions.version })
      .from(sessions)
      .where(sql`${sessions.id} > ${after}`)
      .orderBy(sessions.id)
      .limit(limit),
  );
}
