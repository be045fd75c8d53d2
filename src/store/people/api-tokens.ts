/** Tokens by which programs act for people, found by their hash. Times in ms since the epoch. */
import { and, count, desc, eq, gt, sql } from 'drizzle-orm';
import { type Database, run } from '../database.ts';
import { apiTokens } from '../schema.ts';
import { type NamedWorkspace, namedWorkspaces } from './named-workspaces.ts';

/** Requests are counted by the minute. */
export const MINUTE_MS = 60_000;

/** A token as it is stored; `memberships` is JSON, which src/people reads. */
export type StoredApiToken = typeof apiTokens.$inferSelect;

/** A token at work, with the workspaces that its memberships name. */
export interface FoundApiToken {
  token: StoredApiToken;
  workspaces: NamedWorkspace[];
  /** How many requests all tokens of the person made in this minute, with this one. */
  requestsOfPerson: number;
}

/** A token as its owner sees it. */
export type ListedApiToken = Pick<StoredApiToken, 'id' | 'label' | 'scope' | 'createdAt' | 'usedAt' | 'expiresAt'>;

/** Stores a token. @throws NotMigratedError, DatabaseError */
export async function putApiToken(db: Database, row: StoredApiToken): Promise<void> {
  await run(() => db.orm.insert(apiTokens).values(row));
}

/**
 * Counts a request by the token with this hash, and reads the token and the workspaces it names, in one round trip.
 * @returns `token.requests` counts this one too; null: there is no such token, or it has ended
 * @throws NotMigratedError, DatabaseError
 */
export async function spendRequest(db: Database, tokenHash: string, now: number): Promise<FoundApiToken | null> {
  const memberships = sql`(select ${apiTokens.memberships} from ${apiTokens} where ${apiTokens.tokenHash} = ${tokenHash})`;
  const minute = Math.floor(now / MINUTE_MS);
  const requests = sql`case when ${apiTokens.minute} = ${minute} then ${apiTokens.requests} + 1 else 1 end`;
  const person = sql`(select ${apiTokens.person} from ${apiTokens} where ${apiTokens.tokenHash} = ${tokenHash})`;
  const [[token], [spent], workspaces] = await run(() =>
    db.orm.batch([
      db.orm
        .update(apiTokens)
        .set({ requests, minute, usedAt: now })
        .where(and(eq(apiTokens.tokenHash, tokenHash), gt(apiTokens.expiresAt, now)))
        .returning(),
      db.orm
        .select({ requests: sql<number>`coalesce(sum(${apiTokens.requests}), 0)` })
        .from(apiTokens)
        .where(and(sql`${apiTokens.person} = ${person}`, eq(apiTokens.minute, minute))),
      namedWorkspaces(db, memberships),
    ]),
  );
  return token ? { token, workspaces, requestsOfPerson: spent?.requests ?? 0 } : null;
}

/** Notes what Linear said of a token's person. @throws NotMigratedError, DatabaseError */
export async function updateApiToken(
  db: Database,
  tokenHash: string,
  values: Partial<Pick<StoredApiToken, 'checkedAt' | 'memberships' | 'name' | 'email'>>,
): Promise<void> {
  await run(() => db.orm.update(apiTokens).set(values).where(eq(apiTokens.tokenHash, tokenHash)));
}

/** The tokens of a person, the newest first. @throws NotMigratedError, DatabaseError */
export async function listApiTokens(db: Database, person: string, now: number): Promise<ListedApiToken[]> {
  const { id, label, scope, createdAt, usedAt, expiresAt } = apiTokens;
  return run(() =>
    db.orm
      .select({ id, label, scope, createdAt, usedAt, expiresAt })
      .from(apiTokens)
      .where(and(eq(apiTokens.person, person), gt(apiTokens.expiresAt, now)))
      .orderBy(desc(apiTokens.createdAt), desc(apiTokens.id)),
  );
}

/** How many tokens a person has. @throws NotMigratedError, DatabaseError */
export async function countApiTokens(db: Database, person: string, now: number): Promise<number> {
  const [row] = await run(() =>
    db.orm
      .select({ tokens: count() })
      .from(apiTokens)
      .where(and(eq(apiTokens.person, person), gt(apiTokens.expiresAt, now))),
  );
  return row?.tokens ?? 0;
}

/** Ends a token of a person. @returns what its owner called it; null: there is none. @throws NotMigratedError, DatabaseError */
export async function endApiToken(db: Database, person: string, id: string): Promise<string | null> {
  const [ended] = await run(() =>
    db.orm
      .delete(apiTokens)
      .where(and(eq(apiTokens.person, person), eq(apiTokens.id, id)))
      .returning({ label: apiTokens.label }),
  );
  return ended?.label ?? null;
}
