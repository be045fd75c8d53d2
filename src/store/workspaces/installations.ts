/**
 * The tokens of a workspace. Used by the workspace's object alone (linear/workspace.ts); held-secrets.ts reads them to look for them. Every change names
 * what it replaces, so that a late one never overwrites what came meanwhile.
 */
import { and, eq, ne } from 'drizzle-orm';
import { type Database, run } from '../database.ts';
import { decryptText } from '../encryption.ts';
import { type InstalledBy, type WorkspaceStatus, workspaces } from '../schema.ts';
import { sealTokens } from './workspaces.ts';

/** A pair of tokens, or one that is renewed in another way. */
export interface Tokens {
  accessToken: string;
  refreshToken: string | null;
  /** When the access token ends, in ms since the epoch; null: not known. */
  expiresAt: number | null;
}

/** The tokens with what a change of them has to name. */
export interface StoredTokens extends Tokens {
  status: Exclude<WorkspaceStatus, 'revoked'>;
  installedBy: InstalledBy | null;
  /** The access token as it is stored: another one there means that others were stored meanwhile. */
  sealed: string;
}

/**
 * A workspace's tokens, decrypted. `revoked`: there are none any more; null: there is no such workspace.
 * @throws NotMigratedError, DatabaseError, DecryptionError
 */
export async function readTokens(db: Database, id: string): Promise<StoredTokens | 'revoked' | null> {
  const [row] = await run(() => db.orm.select().from(workspaces).where(eq(workspaces.id, id)).limit(1));
  if (!row) return null;
  if (row.status === 'revoked') return 'revoked';
  const { accessToken: sealed, refreshToken, expiresAt, status, installedBy } = row;
  return {
    accessToken: await decryptText(db.readKeys, 'workspace-access-token', [id], sealed),
    refreshToken:
      refreshToken === null ? null : await decryptText(db.readKeys, 'workspace-refresh-token', [id], refreshToken),
    expiresAt,
    status,
    installedBy,
    sealed,
  };
}

/**
 * Puts new tokens in the place of others, both and their end at once.
 * @param replaced `sealed` of the tokens they follow
 * @param now ms
 * @param as `sealed` of the new ones, if that is decided already
 * @returns them as stored; null if others were stored meanwhile, and nothing was changed
 * @throws NotMigratedError, DatabaseError
 */
export async function replaceTokens(
  db: Database,
  id: string,
  replaced: string,
  tokens: Tokens,
  now: number,
  as?: string,
): Promise<StoredTokens | null> {
  const sealed = { ...(await sealTokens(db, id, tokens)), ...(as !== undefined && { accessToken: as }) };
  const values = { ...sealed, expiresAt: tokens.expiresAt, status: 'active' as const, updatedAt: now };
  const changed = await run(() =>
    db.orm
      .update(workspaces)
      .set(values)
      .where(and(eq(workspaces.id, id), eq(workspaces.accessToken, replaced)))
      .returning({ installedBy: workspaces.installedBy }),
  );
  const [row] = changed;
  return row ? { ...tokens, ...row, status: 'active', sealed: sealed.accessToken } : null;
}

/** `sealed` of an access token that is about to be stored. */
export async function sealAccessToken(db: Database, id: string, accessToken: string): Promise<string> {
  return (await sealTokens(db, id, { accessToken, refreshToken: null })).accessToken;
}

/**
 * Notes that Linear takes these tokens no more, or takes them again.
 * @param sealed of the tokens it is about
 * @returns whether this changed anything
 * @throws NotMigratedError, DatabaseError
 */
export async function markTokens(
  db: Database,
  id: string,
  sealed: string,
  status: StoredTokens['status'],
  now: number,
): Promise<boolean> {
  const changed = await run(() =>
    db.orm
      .update(workspaces)
      .set({ status, updatedAt: now })
      .where(and(eq(workspaces.id, id), eq(workspaces.accessToken, sealed), ne(workspaces.status, status)))
      .returning({ id: workspaces.id }),
  );
  return changed.length > 0;
}

/** Names of the workspaces whose tokens Linear takes no more, by name. @throws NotMigratedError, DatabaseError */
export async function listReinstallNeeded(db: Database): Promise<{ id: string; name: string }[]> {
  const query = db.orm.select({ id: workspaces.id, name: workspaces.name }).from(workspaces);
  return run(() => query.where(eq(workspaces.status, 'reinstall-needed')).orderBy(workspaces.name));
}

/**
 * Wipes a workspace's tokens; the workspace, its repositories and its sessions stay.
 * @param now ms
 * @throws NotMigratedError, DatabaseError
 */
export async function wipeTokens(db: Database, id: string, now: number): Promise<void> {
  await run(() =>
    db.orm
      .update(workspaces)
      .set({ accessToken: '', refreshToken: null, expiresAt: null, status: 'revoked', updatedAt: now })
      .where(eq(workspaces.id, id)),
  );
}
