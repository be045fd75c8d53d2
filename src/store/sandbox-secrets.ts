/**
 * Secrets of sandbox servers that a repository names (setting `sandbox`). Each is bound to the address it was given for, so
 * that it never follows a changed address to another machine.
 */
import { and, eq } from 'drizzle-orm';
import { type Database, run } from './database.ts';
import { decryptText, encryptText } from './encryption.ts';
import { sandboxSecrets } from './schema.ts';

/**
 * Stores the secret of a repository's sandbox server, in the place of any before.
 * @param url address of the server, without trailing slash
 * @param now ms
 * @throws NotMigratedError; DatabaseError, also when the workspace does not exist
 */
export async function putSandboxSecret(
  db: Database,
  server: SandboxServer,
  secret: string,
  now: number,
): Promise<void> {
  const { workspaceId, fullName, url } = server;
  const sealed = await encryptText(db.encryptionKey, 'sandbox-secret', [workspaceId, fullName, url], secret);
  const values = { url, secret: sealed, updatedAt: now };
  await run(() =>
    db.orm
      .insert(sandboxSecrets)
      .values({ workspaceId, fullName, ...values, createdAt: now })
      .onConflictDoUpdate({ target: [sandboxSecrets.workspaceId, sandboxSecrets.fullName], set: values }),
  );
}

/** Whose secret it is. */
export interface SandboxServer {
  workspaceId: string;
  /** `owner/name` */
  fullName: string;
  /** Address of the server, without trailing slash. */
  url: string;
}

/** The secret for a server, decrypted; null if none is stored for this address. @throws DatabaseError, DecryptionError */
export async function findSandboxSecret(db: Database, server: SandboxServer): Promise<string | null> {
  const sealed = await findSealedSandboxSecret(db, server);
  return sealed === null ? null : openSandboxSecret(db, server, sealed);
}

/** The secret for a server, still encrypted; null if none is stored for this address. @throws DatabaseError */
export async function findSealedSandboxSecret(db: Database, server: SandboxServer): Promise<string | null> {
  const { workspaceId, fullName, url } = server;
  const [row] = await run(() =>
    db.orm
      .select({ secret: sandboxSecrets.secret })
      .from(sandboxSecrets)
      .where(and(ofRepository(workspaceId, fullName), eq(sandboxSecrets.url, url)))
      .limit(1),
  );
  return row?.secret ?? null;
}

/** The secret stored for a repository's server, at any address; null if there is none. @throws DatabaseError, DecryptionError */
export async function findStoredSandboxSecret(
  db: Database,
  workspaceId: string,
  fullName: string,
): Promise<string | null> {
  const [row] = await run(() =>
    db.orm.select().from(sandboxSecrets).where(ofRepository(workspaceId, fullName)).limit(1),
  );
  return row ? openSandboxSecret(db, { workspaceId, fullName, url: row.url }, row.secret) : null;
}

/** Decrypts what `findSealedSandboxSecret` returned for the same server. @throws DecryptionError */
export async function openSandboxSecret(db: Database, server: SandboxServer, sealed: string): Promise<string> {
  const { workspaceId, fullName, url } = server;
  return decryptText(db.readKeys, 'sandbox-secret', [workspaceId, fullName, url], sealed);
}

/** Forgets a secret. @returns false when there was none. @throws NotMigratedError, DatabaseError */
export async function deleteSandboxSecret(db: Database, workspaceId: string, fullName: string): Promise<boolean> {
  const deleted = await run(() =>
    db.orm
      .delete(sandboxSecrets)
      .where(ofRepository(workspaceId, fullName))
      .returning({ fullName: sandboxSecrets.fullName }),
  );
  return deleted.length > 0;
}

function ofRepository(workspaceId: string, fullName: string) {
  return and(eq(sandboxSecrets.workspaceId, workspaceId), eq(sandboxSecrets.fullName, fullName));
}
