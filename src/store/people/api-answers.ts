/** Answers to changes that programs asked for with an Idempotency-Key, kept for a day. Times in ms since the epoch. */
import { and, eq, lt, sql } from 'drizzle-orm';
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

/**
 * What is known of a change. `do`: the caller is to do it now; `since` is when it was asked for first, the same for a repeat of what was broken
 * off. `isRepeat`: that it may be done already. Otherwise what was asked before under this key.
 */
export type KnownChange =
  | { kind: 'do'; since: number; isRepeat: boolean }
  | { kind: 'unanswered'; request: string }
  | { kind: 'answered'; request: string; status: number; body: string };

/**
 * Takes a key for a change, unless it is taken.
 * @param request fingerprint of what is asked
 * @throws NotMigratedError, DatabaseError
 */
export async function takeKey(db: Database, which: ChangeKey, request: string, now: number): Promise<KnownChange> {
  const isOver = lt(apiAnswers.createdAt, now - KEPT_MS);
  const begunAt = sql`coalesce(${apiAnswers.retriedAt}, ${apiAnswers.createdAt})`;
  const isLeft = and(sql`${apiAnswers.status} is null`, lt(begunAt, now - UNANSWERED_MS));
  const [, retried, inserted, [row]] = await run(() =>
    db.orm.batch([
      db.orm.delete(apiAnswers).where(isOver),
      db.orm
        .update(apiAnswers)
        .set({ retriedAt: now })
        .where(and(ofKey(which), eq(apiAnswers.request, request), isLeft))
        .returning({ since: apiAnswers.createdAt }),
      db.orm
        .insert(apiAnswers)
        .values({ ...which, request, status: null, body: null, createdAt: now, retriedAt: null })
        .onConflictDoNothing()
        .returning({ key: apiAnswers.key }),
      db.orm.select().from(apiAnswers).where(ofKey(which)),
    ]),
  );
  if (inserted.length > 0 || !row) return { kind: 'do', since: now, isRepeat: false };
  const [again] = retried;
  if (again) return { kind: 'do', since: again.since, isRepeat: true };
  if (row.status === null) return { kind: 'unanswered', request: row.request };
  return { kind: 'answered', request: row.request, status: row.status, body: row.body ?? '' };
}

/** Keeps the answer. @throws NotMigratedError, DatabaseError */
export async function keepAnswer(db: Database, which: ChangeKey, status: number, body: string): Promise<void> {
  await run(() => db.orm.update(apiAnswers).set({ status, body }).where(ofKey(which)));
}

/** Has the next repeat do it again at once: whether anything was changed is not known. @throws NotMigratedError, DatabaseError */
export async function leaveKey(db: Database, which: ChangeKey): Promise<void> {
  await run(() =>
    db.orm
      .update(apiAnswers)
      .set({ retriedAt: 0 })
      .where(and(ofKey(which), sql`${apiAnswers.status} is null`)),
  );
}

/** Gives the key free: nothing was changed. @throws NotMigratedError, DatabaseError */
export async function freeKey(db: Database, which: ChangeKey): Promise<void> {
  await run(() => db.orm.delete(apiAnswers).where(and(ofKey(which), sql`${apiAnswers.status} is null`)));
}

function ofKey({ tokenId, key }: ChangeKey) {
  return and(eq(apiAnswers.tokenId, tokenId), eq(apiAnswers.key, key));
}
