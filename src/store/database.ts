/**
 * Workspaces, repositories and the index of sessions in D1. A repository found by its key comes with its credential
 * decrypted; lists (`list…`) never hold a secret.
 */
import { and, desc, eq, inArray, isNull, lt, type SQL, sql } from 'drizzle-orm';
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1';
import { messageOf } from '../lib/error.ts';
import { withoutEnding } from '../lib/linear-time.ts';
import { credentialSchema, type RepositoryInput, type StoredCredential, type WorkspaceInput } from '../protocol/api.ts';
import { type RepositorySettings, repositorySettingsSchema } from '../protocol/settings/repository.ts';
import type { SessionRow } from '../protocol/viewer.ts';
import { decryptText, encryptText, type KeyPurpose } from './encryption.ts';
import { type InstalledBy, isRunning, repositories, sessions, type WorkspaceStatus, workspaces } from './schema.ts';

/** A database and the key for what is encrypted in it. */
export interface Database {
  orm: DrizzleD1Database;
  /** Encrypts. */
  encryptionKey: string;
  /** Decrypt: the one above, and the one before it if there is one. */
  readKeys: readonly string[];
}

/** The database has no tables yet, or is behind this version. */
export class NotMigratedError extends Error {
  override readonly name = 'NotMigratedError';
  constructor(cause: unknown) {
    super(
      'The database lacks what this version of Cyrus needs: run `npm run deploy`, or `wrangler d1 migrations apply DB --remote` (`--local` for a local run)',
      { cause },
    );
  }
}

/** D1 refused or failed. The cause is D1's own error; the statement's parameters are left out on purpose. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
}

/** How a repository is reached. */
export type GitCredential = StoredCredential;

/** A workspace without its tokens; those are read by installations.ts, for the workspace's object alone. Times in ms. */
export interface Workspace {
  id: string;
  name: string;
  urlKey: string;
  appUserId: string;
  status: WorkspaceStatus;
  scope: string | null;
  installedBy: InstalledBy | null;
  installedAt: number | null;
  expiresAt: number | null;
  createdAt: number;
  updatedAt: number;
}

/** What is stored of a workspace when the app is installed there. What is left out is not known. */
export interface Installation extends WorkspaceInput {
  refreshToken?: string | null;
  /** When the access token ends, in ms since the epoch. */
  expiresAt?: number | null;
  /** Separated by spaces. */
  scope?: string | null;
  installedBy?: InstalledBy;
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
  settings: RepositorySettings;
  createdAt: number;
  updatedAt: number;
}
export interface Repository extends RepositorySummary {
  /** Decrypted; null for a repository that needs none. */
  credential: GitCredential | null;
}

/** A row of the sessions index, as the issue session's object gives it. */
export type IndexedSession = typeof sessions.$inferInsert;

/**
 * Opens the database. Costs nothing; make one for each request or object.
 * @param oldEncryptionKey the key before, while something is still encrypted with it
 */
export function openDatabase(d1: D1Database, encryptionKey: string, oldEncryptionKey: string | null = null): Database {
  const readKeys = oldEncryptionKey === null ? [encryptionKey] : [encryptionKey, oldEncryptionKey];
  return { orm: drizzle(d1), encryptionKey, readKeys };
}

const workspaceColumns = {
  id: workspaces.id,
  name: workspaces.name,
  urlKey: workspaces.urlKey,
  appUserId: workspaces.appUserId,
  status: workspaces.status,
  scope: workspaces.scope,
  installedBy: workspaces.installedBy,
  installedAt: workspaces.installedAt,
  expiresAt: workspaces.expiresAt,
  createdAt: workspaces.createdAt,
  updatedAt: workspaces.updatedAt,
};

/** The workspace with this Linear organization id, or null. @throws NotMigratedError, DatabaseError */
export async function findWorkspace(db: Database, id: string): Promise<Workspace | null> {
  const [row] = await run(() => db.orm.select(workspaceColumns).from(workspaces).where(eq(workspaces.id, id)).limit(1));
  return row ?? null;
}

/** All workspaces, by name. @throws NotMigratedError, DatabaseError */
export async function listWorkspaces(db: Database): Promise<Workspace[]> {
  return run(() => db.orm.select(workspaceColumns).from(workspaces).orderBy(workspaces.name, workspaces.id));
}

/**
 * Creates or replaces a workspace, which makes it active. Only the workspace's object calls this where tokens may be in use:
 * it is the one writer of them (linear/workspace.ts).
 * @param id Linear's organization id
 * @param now ms
 * @throws NotMigratedError, DatabaseError
 */
export async function upsertWorkspace(db: Database, id: string, input: Installation, now: number): Promise<void> {
  const values = {
    name: input.name,
    urlKey: input.urlKey,
    appUserId: input.appUserId,
    ...(await sealTokens(db, id, { accessToken: input.accessToken, refreshToken: input.refreshToken ?? null })),
    expiresAt: input.expiresAt ?? null,
    status: 'active' as const,
    scope: input.scope ?? null,
    installedBy: input.installedBy ?? null,
    installedAt: now,
    updatedAt: now,
  };
  await run(() =>
    db.orm
      .insert(workspaces)
      .values({ id, ...values, createdAt: now })
      .onConflictDoUpdate({ target: workspaces.id, set: values }),
  );
}

/** A workspace's tokens as the table holds them. */
export async function sealTokens(
  db: Database,
  workspaceId: string,
  tokens: { accessToken: string; refreshToken: string | null },
): Promise<{ accessToken: string; refreshToken: string | null }> {
  const { accessToken, refreshToken } = tokens;
  const seal = (purpose: KeyPurpose, plain: string) => encryptText(db.encryptionKey, purpose, [workspaceId], plain);
  return {
    accessToken: await seal('workspace-access-token', accessToken),
    refreshToken: refreshToken === null ? null : await seal('workspace-refresh-token', refreshToken),
  };
}

/** Settings that were stored by an earlier version lack what is newer; the defaults stand in. */
function readSettings(json: string): RepositorySettings {
  return repositorySettingsSchema.parse(JSON.parse(json));
}

const repositoryColumns = {
  id: repositories.id,
  workspaceId: repositories.workspaceId,
  fullName: repositories.fullName,
  cloneUrl: repositories.cloneUrl,
  baseBranch: repositories.baseBranch,
  hasCredential: sql<number>`${repositories.credential} is not null`.mapWith(Boolean),
  settings: sql<RepositorySettings>`coalesce(${repositories.settings}, '{}')`.mapWith(readSettings),
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
 * Repositories of all workspaces at a clone address, without secrets; case, `.git` and a slash at the end do not matter.
 * @throws NotMigratedError, DatabaseError
 */
export async function listRepositoriesAt(db: Database, address: string): Promise<RepositorySummary[]> {
  const plain = withoutEnding(address.toLowerCase(), '/').replace(/\.git$/, '');
  const spellings = ['', '/', '.git', '.git/'].map((end) => plain + end);
  return run(() =>
    db.orm
      .select(repositoryColumns)
      .from(repositories)
      .where(inArray(sql`lower(${repositories.cloneUrl})`, spellings)),
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
  const plain = await decryptText(db.readKeys, 'repository-credential', context, sealed);
  return { ...repository, credential: credentialSchema.parse(JSON.parse(plain)) };
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
  input: Omit<RepositoryInput, 'settings'> & { settings?: RepositorySettings },
  now: number,
): Promise<void> {
  const { cloneUrl, baseBranch, credential, settings } = input;
  const values = {
    cloneUrl,
    baseBranch,
    settings: settings ? JSON.stringify(settings) : null,
    credential: credential
      ? await encryptText(
          db.encryptionKey,
          'repository-credential',
          [workspaceId, fullName, cloneUrl],
          JSON.stringify(credential),
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

/** Whether a repository is configured, and the state of its workspace; null if it is not. @throws NotMigratedError, DatabaseError */
export async function findRepositoryGround(
  db: Database,
  workspaceId: string,
  fullName: string,
): Promise<WorkspaceStatus | null> {
  const [row] = await run(() =>
    db.orm
      .select({ status: workspaces.status })
      .from(repositories)
      .innerJoin(workspaces, eq(workspaces.id, repositories.workspaceId))
      .where(ofRepository(workspaceId, fullName))
      .limit(1),
  );
  return row?.status ?? null;
}

/** Whether any repository has a sandbox server of its own. @throws NotMigratedError, DatabaseError */
export async function hasOwnEndpoints(db: Database): Promise<boolean> {
  const isEndpoint = sql`json_extract(${repositories.settings}, '$.sandbox.kind') = 'endpoint'`;
  const rows = await run(() => db.orm.select({ id: repositories.id }).from(repositories).where(isEndpoint).limit(1));
  return rows.length > 0;
}

/** The id of a repository, or null if the workspace has no such one. @throws NotMigratedError, DatabaseError */
export async function findRepositoryId(db: Database, workspaceId: string, fullName: string): Promise<string | null> {
  const [row] = await run(() =>
    db.orm.select({ id: repositories.id }).from(repositories).where(ofRepository(workspaceId, fullName)).limit(1),
  );
  return row?.id ?? null;
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

/** The app user's id in a workspace, or null if the workspace is not known. @throws NotMigratedError, DatabaseError */
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
      // Written out, as in the index of running sessions: with a parameter SQLite could not tell that the index covers it.
      .where(and(eq(sessions.workspaceId, workspaceId), isRunning(sessions.phase))),
  );
  return rows.map((row) => row.id);
}

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
        workspaceId: sessions.workspaceId,
        teamId: sessions.teamId,
      })
      .from(sessions)
      .where(and(...conditions))
      .orderBy(desc(sessions.updatedAt), desc(sessions.id))
      .limit(query.limit),
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

/** Notes the team of a session whose row does not say it. @param teamId empty: it has no issue @throws NotMigratedError, DatabaseError */
export async function noteTeam(db: Database, id: string, teamId: string): Promise<void> {
  await run(() =>
    db.orm
      .update(sessions)
      .set({ teamId })
      .where(and(eq(sessions.id, id), isNull(sessions.teamId))),
  );
}

function ofRepository(workspaceId: string, fullName: string): SQL | undefined {
  return and(eq(repositories.workspaceId, workspaceId), eq(repositories.fullName, fullName));
}

/**
 * Runs a statement. Drizzle's errors quote it with its parameters; the errors thrown here do not.
 * @throws NotMigratedError, DatabaseError
 */
export async function run<T>(query: () => PromiseLike<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const message = messageOf(cause);
    if (/no such (table|column)|has no column named/i.test(message)) throw new NotMigratedError(cause);
    throw new DatabaseError(`The database refused a statement: ${message}`, { cause });
  }
}
