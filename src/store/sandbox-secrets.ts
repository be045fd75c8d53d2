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
 * @throws NotMigratedError; DatabaseError, also where the workspace does not exist
 */
export async function putSandboxSecret(
  db: Database,
  server: { workspaceId: string; fullName: string; url: string },
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

/** The secret for a server, decrypted; null where none is stored for this address. @throws DatabaseError, DecryptionError */
export async function findSandboxSecret(
  db: Database,
  server: { workspaceId: string; fullName: string; url: string },
): Promise<string | null> {
  const { workspaceId, fullName, url } = server;
  const [row] = await run(() =>
    db.orm
      .select({ secret: sandboxSecrets.secret })
      .from(sandboxSecrets)
      .where(and(ofRepository(workspaceId, fullName), eq(sandboxSecrets.url, url)))
      .limit(1),
  );
  return row ? decryptText(db.readKeys, 'sandbox-secret', [workspaceId, fullName, url], row.secret) : null;
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
