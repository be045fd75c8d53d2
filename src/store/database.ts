/**
 * Everything Cyrus reads and writes in D1. What is found by its key (`find…`) comes with its secrets decrypted; lists
 * (`list…`) never hold a secret.
 */
import { and, desc, eq, lt, ne, or, type SQL, sql } from 'drizzle-orm';
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1';
import { type RepositoryInput, repositoryInputSchema, type WorkspaceInput } from '../protocol/api.ts';
import type { SessionRow } from '../protocol/viewer.ts';
import { decryptText, encryptText } from './encryption.ts';
import { repositories, sessions, workspaces } from './schema.ts';

/** A database and the key for what is encrypted in it. */
export interface Database {
  orm: DrizzleD1Database;
  encryptionKey: string;
}

/** The database has no tables yet. */
export class NotMigratedError extends Error {
  override readonly name = 'NotMigratedError';
  constructor(cause: unknown) {
    super(
      'The database has no tables yet: run `npm run deploy`, or `wrangler d1 migrations apply DB --remote` (`--local` for a local run)',
      { cause },
    );
  }
}

/** D1 refused or failed. The cause is D1's own error; the statement's parameters are left out on purpose. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
}

/** HTTP basic credential of a git host. */
export type GitCredential = NonNullable<RepositoryInput['credential']>;

/** A workspace as lists show it. Times in ms. */
export interface WorkspaceSummary {
  id: string;
  name: string;
  urlKey: string;
  appUserId: string;
  createdAt: number;
  updatedAt: number;
}
export interface Workspace extends WorkspaceSummary {
  /** Linear access token of the app user, decrypted. */
  accessToken: string;
}

/** A repository as lists show it. Times in ms. */
export interface RepositorySummary {
  id: string;
  workspaceId: string;
  /** `owner/name` */
  fullName: string;
  cloneUrl: string;
  baseBranch: string;
  hasCredential: boolean;
  createdAt: number;
  updatedAt: number;
}
export interface Repository extends RepositorySummary {
  /** Decrypted; null for a repository that needs none. */
  credential: GitCredential | null;
}

/** A row of the sessions index, as the issue session's object gives it. */
export type IndexedSession = typeof sessions.$inferInsert;

/** Opens the database. Costs nothing; make one for each request or object. */
export function openDatabase(d1: D1Database, encryptionKey: string): Database {
  return { orm: drizzle(d1), encryptionKey };
}

/**
 * The workspace with this Linear organization id, or null.
 * @throws NotMigratedError, DatabaseError, DecryptionError
 */
export async function findWorkspace(db: Database, id: string): Promise<Workspace | null> {
  const [row] = await run(() => db.orm.select().from(workspaces).where(eq(workspaces.id, id)).limit(1));
  if (!row) return null;
  return {
    ...row,
    accessToken: await decryptText(db.encryptionKey, 'workspace-access-token', [row.id], row.accessToken),
  };
}

/** All workspaces, by name, without secrets. @throws NotMigratedError, DatabaseError */
export async function listWorkspaces(db: Database): Promise<WorkspaceSummary[]> {
  const { id, name, urlKey, appUserId, createdAt, updatedAt } = workspaces;
  return run(() =>
    db.orm.select({ id, name, urlKey, appUserId, createdAt, updatedAt }).from(workspaces).orderBy(workspaces.name, id),
  );
}

/**
 * Creates or replaces a workspace.
 * @param id Linear's organization id
 * @param now ms
 * @throws NotMigratedError, DatabaseError
 */
export async function upsertWorkspace(db: Database, id: string, input: WorkspaceInput, now: number): Promise<void> {
  const values = {
    name: input.name,
    urlKey: input.urlKey,
    appUserId: input.appUserId,
    accessToken: await encryptText(db.encryptionKey, 'workspace-access-token', [id], input.accessToken),
    updatedAt: now,
  };
  await run(() =>
    db.orm
      .insert(workspaces)
      .values({ id, ...values, createdAt: now })
      .onConflictDoUpdate({ target: workspaces.id, set: values }),
  );
}

const repositoryColumns = {
  id: repositories.id,
  workspaceId: repositories.workspaceId,
  fullName: repositories.fullName,
  cloneUrl: repositories.cloneUrl,
  baseBranch: repositories.baseBranch,
  hasCredential: sql<number>`${repositories.credential} is not null`.mapWith(Boolean),
  createdAt: repositories.createdAt,
  updatedAt: repositories.updatedAt,
};

/** The repositories of a workspace, by name, without secrets. @throws NotMigratedError, DatabaseError */
export async function listRepositories(db: Database, workspaceId: string): Promise<RepositorySummary[]> {
  return run(() =>
    db.orm
      .select(repositoryColumns)
      .from(repositories)
      .where(eq(repositories.workspaceId, workspaceId))
      .orderBy(repositories.fullName),
  );
}

/**
 * The repository of a workspace with this `owner/name`, or null.
 * @throws NotMigratedError, DatabaseError, DecryptionError
 */
export async function findRepository(db: Database, workspaceId: string, fullName: string): Promise<Repository | null> {
  const [row] = await run(() =>
    db.orm
      .select({ ...repositoryColumns, sealed: repositories.credential })
      .from(repositories)
      .where(ofRepository(workspaceId, fullName))
      .limit(1),
  );
  if (!row) return null;
  const { sealed, ...repository } = row;
  if (sealed === null) return { ...repository, credential: null };
  const context = [workspaceId, fullName, repository.cloneUrl];
  const plain = await decryptText(db.encryptionKey, 'repository-credential', context, sealed);
  return { ...repository, credential: repositoryInputSchema.shape.credential.unwrap().parse(JSON.parse(plain)) };
}

/**
 * Creates or replaces a repository; a credential left out is a credential removed, so that it never follows a changed
 * clone address to another host.
 * @param now ms
 * @throws NotMigratedError; DatabaseError, also when the workspace does not exist
 */
export async function upsertRepository(
  db: Database,
  workspaceId: string,
  fullName: string,
  input: RepositoryInput,
  now: number,
): Promise<void> {
  const { cloneUrl, baseBranch, credential } = input;
  const values = {
    cloneUrl,
    baseBranch,
    credential: credential
      ? await encryptText(
          db.encryptionKey,
          'repository-credential',
          [workspaceId, fullName, cloneUrl],
          JSON.stringify({ username: credential.username, password: credential.password }),
        )
      : null,
    updatedAt: now,
  };
  await run(() =>
    db.orm
      .insert(repositories)
      .values({ id: crypto.randomUUID(), workspaceId, fullName, ...values, createdAt: now })
      .onConflictDoUpdate({ target: [repositories.workspaceId, repositories.fullName], set: values }),
  );
}

/** Deletes a repository. @returns false when there was none. @throws NotMigratedError, DatabaseError */
export async function deleteRepository(db: Database, workspaceId: string, fullName: string): Promise<boolean> {
  const deleted = await run(() =>
    db.orm.delete(repositories).where(ofRepository(workspaceId, fullName)).returning({ id: repositories.id }),
  );
  return deleted.length > 0;
}

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

/** The app user's id in a workspace, or null where the workspace is not known. @throws NotMigratedError, DatabaseError */
export async function findAppUserId(db: Database, workspaceId: string): Promise<string | null> {
  const [row] = await run(() =>
    db.orm.select({ appUserId: workspaces.appUserId }).from(workspaces).where(eq(workspaces.id, workspaceId)).limit(1),
  );
  return row?.appUserId ?? null;
}

/** Ids of a workspace's sessions in which something runs, as far as the index knows. @throws NotMigratedError, DatabaseError */
export async function listRunningSessions(db: Database, workspaceId: string): Promise<string[]> {
  const rows = await run(() =>
    db.orm
      .select({ id: sessions.id })
      .from(sessions)
      .where(and(eq(sessions.workspaceId, workspaceId), ne(sessions.phase, 'waiting'))),
  );
  return rows.map((row) => row.id);
}

/** Where a list of sessions goes on: the last row of the part before. */
export type SessionCursor = Pick<SessionRow, 'updatedAt' | 'id'>;

/**
 * Sessions, last changed first.
 * @param query `limit` rows at most; `before`: only rows after this one in that order; `workspaceId`: only this workspace's
 * @throws NotMigratedError, DatabaseError
 */
export async function listSessions(
  db: Database,
  query: { limit: number; before?: SessionCursor; workspaceId?: string },
): Promise<SessionRow[]> {
  const conditions: (SQL | undefined)[] = [];
  if (query.workspaceId !== undefined) conditions.push(eq(sessions.workspaceId, query.workspaceId));
  if (query.before) {
    const { updatedAt, id } = query.before;
    conditions.push(or(lt(sessions.updatedAt, updatedAt), and(eq(sessions.updatedAt, updatedAt), lt(sessions.id, id))));
  }
  return run(() =>
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
        createdAt: sessions.createdAt,
        updatedAt: sessions.updatedAt,
      })
      .from(sessions)
      .where(and(...conditions))
      .orderBy(desc(sessions.updatedAt), desc(sessions.id))
      .limit(query.limit),
  );
}

function ofRepository(workspaceId: string, fullName: string): SQL | undefined {
  return and(eq(repositories.workspaceId, workspaceId), eq(repositories.fullName, fullName));
}

/** Drizzle's errors quote the statement with its parameters; what leaves this file does not. */
async function run<T>(query: () => PromiseLike<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const message = cause instanceof Error ? cause.message : String(cause);
    if (/no such table/i.test(message)) throw new NotMigratedError(cause);
    throw new DatabaseError(`The database refused a statement: ${message}`, { cause });
  }
}
