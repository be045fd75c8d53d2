/** Answers to changes that programs asked for with an Idempotency-Key, kept for a day. Times in ms since the epoch. */
import { and, eq, lt, or, sql } from 'drizzle-orm';
import { type Database, run } from '../database.ts';
import { apiAnswers } from '../schema.ts';

const KEPT_MS = 24 * 3_600_000;
/** A request that has not been answered for so long never will be: its Worker is gone. */
const UNANSWERED_MS = 60_000;

/** Which change it is. */
export interface ChangeKey {
  tokenId: string;
  key: string;
}

/** What is known of a change: nobody asked for it, so the caller is to do it now; or what was asked before under this key. */
export type KnownChange =
  | { kind: 'new' }
  | { kind: 'unanswered'; request: string }
  | { kind: 'answered'; request: string; status: number; body: string };

/**
 * Takes a key for a change, unless it is taken.
 * @param request fingerprint of what is asked
 * @throws NotMigratedError, DatabaseError
 */
export async function takeKey(db: Database, which: ChangeKey, request: string, now: number): Promise<KnownChange> {
  const isOver = lt(apiAnswers.createdAt, now - KEPT_MS);
  const isLeft = and(sql`${apiAnswers.status} is null`, lt(apiAnswers.createdAt, now - UNANSWERED_MS));
  const [, inserted, [row]] = await run(() =>
    db.orm.batch([
      db.orm.delete(apiAnswers).where(or(isOver, and(ofKey(which), isLeft))),
      db.orm
        .insert(apiAnswers)
        .values({ ...which, request, status: null, body: null, createdAt: now })
        .onConflictDoNothing()
        .returning({ key: apiAnswers.key }),
      db.orm.select().from(apiAnswers).where(ofKey(which)),
    ]),
  );
  if (inserted.length > 0 || !row) return { kind: 'new' };
  if (row.status === null) return { kind: 'unanswered', request: row.request };
  return { kind: 'answered', request: row.request, status: row.status, body: row.body ?? '' };
}

/** Keeps the answer. @throws NotMigratedError, DatabaseError */
export async function keepAnswer(db: Database, which: ChangeKey, status: number, body: string): Promise<void> {
  await run(() => db.orm.update(apiAnswers).set({ status, body }).where(ofKey(which)));
}

/** Gives the key free: nothing was changed. @throws NotMigratedError, DatabaseError */
export async function freeKey(db: Database, which: ChangeKey): Promise<void> {
  await run(() => db.orm.delete(apiAnswers).where(and(ofKey(which), sql`${apiAnswers.status} is null`)));
}

function ofKey({ tokenId, key }: ChangeKey) {
  return and(eq(apiAnswers.tokenId, tokenId), eq(apiAnswers.key, key));
}
