/** Workspaces in D1, without their tokens: those are read by installations.ts, for the workspace's object alone. */
import { eq } from 'drizzle-orm';
import type { WorkspaceInput } from '../../protocol/api.ts';
import { type Database, run } from '../database.ts';
import { encryptText, type KeyPurpose } from '../encryption.ts';
import { type InstalledBy, type WorkspaceStatus, workspaces } from '../schema.ts';

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

/** The app user's id in a workspace, or null if the workspace is not known. @throws NotMigratedError, DatabaseError */
export async function findAppUserId(db: Database, workspaceId: string): Promise<string | null> {
  const [row] = await run(() =>
    db.orm.select({ appUserId: workspaces.appUserId }).from(workspaces).where(eq(workspaces.id, workspaceId)).limit(1),
  );
  return row?.appUserId ?? null;
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
