/**
 * Repositories in D1. One that is found by its key comes with its credential decrypted; lists (`list…`) never hold a secret.
 */
import { and, eq, inArray, type SQL, sql } from 'drizzle-orm';
import { withoutEnding } from '../../lib/linear-time.ts';
import { credentialSchema, type RepositoryInput, type StoredCredential } from '../../protocol/api.ts';
import { type RepositorySettings, repositorySettingsSchema } from '../../protocol/settings/repository.ts';
import { type Database, run } from '../database.ts';
import { decryptText, encryptText } from '../encryption.ts';
import { repositories, type WorkspaceStatus, workspaces } from '../schema.ts';

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
  credential: StoredCredential | null;
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

/** Settings that were stored by an earlier version lack what is newer; the defaults stand in. */
function readSettings(json: string): RepositorySettings {
  return repositorySettingsSchema.parse(JSON.parse(json));
}

function ofRepository(workspaceId: string, fullName: string): SQL | undefined {
  return and(eq(repositories.workspaceId, workspaceId), eq(repositories.fullName, fullName));
}
