/** Removes rows of D1 that were kept long enough, in chunks: a statement that removes much would keep others waiting. Times in ms. */
import { and, eq, lt, lte, type SQL, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { type Database, run } from '../database.ts';
import {
  apiAnswers,
  apiTokens,
  auditEntries,
  claudeUsage,
  oauthStates,
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

/**
 * Removes what is over or was kept long enough. If nothing is, nothing is written.
 * @param kept how long sums of use and lines of the audit log are kept; null: forever
 * @param until when to stop, in ms since the epoch
 * @throws NotMigratedError, DatabaseError
 */
export async function cleanDatabase(
  db: Database,
  kept: { usage: number | null; audit: number | null },
  now: number,
  until: number,
): Promise<Cleaned> {
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const parts: [name: string, table: SQLiteTable, condition: SQL | undefined][] = [
    ['oauth_states', oauthStates, lt(oauthStates.expiresAt, now - KEEP_TRACES_MS)],
    ['sign_ins', signIns, lte(signIns.expiresAt, now)],
    ['sign_in_attempts', signInAttempts, lt(signInAttempts.quarter, Math.floor((now - KEEP_TRACES_MS) / QUARTER_MS))],
    ['api_tokens', apiTokens, lte(apiTokens.expiresAt, now)],
    ['api_answers', apiAnswers, lt(apiAnswers.createdAt, now - 2 * KEEP_TRACES_MS)],
    ['claude_usage_batches', usageBatches, lt(usageBatches.at, now - KEEP_BATCHES_MS)],
  ];
  if (kept.usage !== null) parts.push(['claude_usage', claudeUsage, lt(claudeUsage.day, day(now - kept.usage))]);
  if (kept.audit !== null) parts.push(['audit', auditEntries, lt(auditEntries.at, now - kept.audit)]);
  const removed: Record<string, number> = {};
  for (const [name, table, condition] of parts) {
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

/** Removes a session's row, unless it is of a later revision than that. @throws NotMigratedError, DatabaseError */
export async function deleteSessionRow(db: Database, id: string, version: number): Promise<void> {
  await run(() => db.orm.delete(sessions).where(and(eq(sessions.id, id), lte(sessions.version, version))));
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
