/** Who is signed in: a row for each browser, found by the hash of its cookie's token. Times in ms since the epoch. */
import { and, desc, eq, gt, ne, type SQL, sql } from 'drizzle-orm';
import { toBase64Url } from '../../lib/base64url.ts';
import { type Database, run } from '../database.ts';
import { signIns } from '../schema.ts';
import { type NamedWorkspace, namedWorkspaces } from './named-workspaces.ts';

/** A sign-in as it is stored; `memberships` is JSON, which src/people reads. */
export type StoredSignIn = typeof signIns.$inferSelect;

/** A sign-in with the workspaces that its memberships name. */
export interface FoundSignIn {
  signIn: StoredSignIn;
  workspaces: NamedWorkspace[];
}

/** SHA-256 of a token, base64url. */
export async function hashOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token));
  return toBase64Url(new Uint8Array(digest));
}

/** Stores a sign-in, in the place of one with the same token. @throws NotMigratedError, DatabaseError */
export async function putSignIn(db: Database, row: StoredSignIn): Promise<void> {
  const { tokenHash: _, ...values } = row;
  await run(() => db.orm.insert(signIns).values(row).onConflictDoUpdate({ target: signIns.tokenHash, set: values }));
}

/**
 * The sign-in of a token with the workspaces it names, in one round trip; null if there is none, or it has ended.
 * @param now ms
 * @throws NotMigratedError, DatabaseError
 */
export async function findSignIn(db: Database, tokenHash: string, now: number): Promise<FoundSignIn | null> {
  const memberships = sql`(select ${signIns.memberships} from ${signIns} where ${signIns.tokenHash} = ${tokenHash})`;
  const [[signIn], rows] = await run(() =>
    db.orm.batch([
      db.orm
        .select()
        .from(signIns)
        .where(and(eq(signIns.tokenHash, tokenHash), gt(signIns.expiresAt, now)))
        .limit(1),
      namedWorkspaces(db, memberships),
    ]),
  );
  return signIn ? { signIn, workspaces: rows } : null;
}

/** Notes that a sign-in was used, or checked with Linear. @throws NotMigratedError, DatabaseError */
export async function updateSignIn(
  db: Database,
  tokenHash: string,
  values: Partial<Pick<StoredSignIn, 'seenAt' | 'expiresAt' | 'checkedAt' | 'memberships' | 'name' | 'email'>>,
): Promise<void> {
  await run(() => db.orm.update(signIns).set(values).where(eq(signIns.tokenHash, tokenHash)));
}

/** The sign-ins of a person, the one that was used last first. @throws NotMigratedError, DatabaseError */
export async function listSignIns(
  db: Database,
  person: string,
  now: number,
): Promise<Pick<StoredSignIn, 'id' | 'kind' | 'browser' | 'createdAt' | 'seenAt' | 'expiresAt'>[]> {
  const { id, kind, browser, createdAt, seenAt, expiresAt } = signIns;
  return run(() =>
    db.orm
      .select({ id, kind, browser, createdAt, seenAt, expiresAt })
      .from(signIns)
      .where(and(eq(signIns.person, person), gt(signIns.expiresAt, now)))
      .orderBy(desc(signIns.seenAt))
      .limit(100),
  );
}

/**
 * Ends sign-ins of a person.
 * @param which one by its id; `others`: all but that; `all`
 * @returns how many ended
 * @throws NotMigratedError, DatabaseError
 */
export async function endSignIns(
  db: Database,
  person: string,
  which: { id: string } | { others: string } | 'all',
): Promise<number> {
  const condition: SQL | undefined =
    which === 'all' ? undefined : 'id' in which ? eq(signIns.id, which.id) : ne(signIns.id, which.others);
  const ended = await run(() =>
    db.orm
      .delete(signIns)
      .where(and(eq(signIns.person, person), condition))
      .returning({ id: signIns.id }),
  );
  return ended.length;
}
