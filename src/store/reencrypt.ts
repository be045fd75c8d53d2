/**
 * Moves everything that is encrypted at rest from the old ENCRYPTION_KEY to the new one. Each value is replaced only where
 * it still is what was read, so it may run beside everything else, and again.
 */
import { and, eq, isNotNull } from 'drizzle-orm';
import { type Database, run } from './database.ts';
import { DecryptionError, decryptText, encryptText, isEncryptedWith, type KeyPurpose } from './encryption.ts';
import { mcpServers, outgoingWebhooks, repositories, sandboxSecrets, workspaces } from './schema.ts';
import { headersContext, readMcpSettings } from './workspaces/mcp-servers.ts';

/** What came of it: how many values were moved, and which could not be read by either key. */
export interface Reencrypted {
  moved: number;
  unreadable: string[];
}

/**
 * Re-encrypts one workspace's tokens. Called by the workspace's object, which is their one writer.
 * @throws NotMigratedError, DatabaseError
 */
export async function reencryptTokens(db: Database, id: string): Promise<Reencrypted> {
  const [row] = await run(() =>
    db.orm
      .select({ access: workspaces.accessToken, refresh: workspaces.refreshToken })
      .from(workspaces)
      .where(eq(workspaces.id, id))
      .limit(1),
  );
  const done: Reencrypted = { moved: 0, unreadable: [] };
  if (!row || row.access === '') return done;
  const name = `tokens of workspace ${id}`;
  const access = await move(db, 'workspace-access-token', [id], row.access, name, done);
  const refresh = row.refresh && (await move(db, 'workspace-refresh-token', [id], row.refresh, name, done));
  if (access === row.access && refresh === row.refresh) return done;
  await run(() =>
    db.orm
      .update(workspaces)
      .set({ accessToken: access, refreshToken: refresh })
      .where(and(eq(workspaces.id, id), eq(workspaces.accessToken, row.access))),
  );
  return done;
}

/** Re-encrypts the credentials of all repositories. @throws NotMigratedError, DatabaseError */
export async function reencryptRepositories(db: Database): Promise<Reencrypted> {
  const rows = await run(() => db.orm.select().from(repositories).where(isNotNull(repositories.credential)));
  const done: Reencrypted = { moved: 0, unreadable: [] };
  for (const { id, workspaceId, fullName, cloneUrl, credential } of rows) {
    if (credential === null) continue;
    const context = [workspaceId, fullName, cloneUrl];
    const name = `credential of ${fullName} in workspace ${workspaceId}`;
    const sealed = await move(db, 'repository-credential', context, credential, name, done);
    if (sealed === credential) continue;
    await run(() =>
      db.orm
        .update(repositories)
        .set({ credential: sealed })
        .where(and(eq(repositories.id, id), eq(repositories.credential, credential))),
    );
  }
  return done;
}

/** Re-encrypts the secrets of repositories' sandbox servers. @throws NotMigratedError, DatabaseError */
export async function reencryptSandboxSecrets(db: Database): Promise<Reencrypted> {
  const done: Reencrypted = { moved: 0, unreadable: [] };
  for (const { workspaceId, fullName, url, secret } of await run(() => db.orm.select().from(sandboxSecrets))) {
    const name = `secret of the sandbox server of ${fullName} in workspace ${workspaceId}`;
    const sealed = await move(db, 'sandbox-secret', [workspaceId, fullName, url], secret, name, done);
    if (sealed === secret) continue;
    await run(() =>
      db.orm
        .update(sandboxSecrets)
        .set({ secret: sealed })
        .where(and(eq(sandboxSecrets.workspaceId, workspaceId), eq(sandboxSecrets.secret, secret))),
    );
  }
  return done;
}

/** Re-encrypts the headers of repositories' MCP servers. @throws NotMigratedError, DatabaseError */
export async function reencryptMcpHeaders(db: Database): Promise<Reencrypted> {
  const done: Reencrypted = { moved: 0, unreadable: [] };
  const rows = await run(() => db.orm.select().from(mcpServers).where(isNotNull(mcpServers.headers)));
  for (const { repositoryId, name, settings, headers } of rows) {
    if (headers === null) continue;
    const context = headersContext(repositoryId, name, readMcpSettings(settings));
    const what = `headers of the MCP server ${name} of the repository ${repositoryId}`;
    const sealed = await move(db, 'mcp-headers', context, headers, what, done);
    if (sealed === headers) continue;
    await run(() =>
      db.orm
        .update(mcpServers)
        .set({ headers: sealed })
        .where(and(eq(mcpServers.repositoryId, repositoryId), eq(mcpServers.headers, headers))),
    );
  }
  return done;
}

/** Re-encrypts the secrets of workspaces' webhooks. @throws NotMigratedError, DatabaseError */
export async function reencryptWebhookSecrets(db: Database): Promise<Reencrypted> {
  const done: Reencrypted = { moved: 0, unreadable: [] };
  for (const { id, workspaceId, secret, previousSecret } of await run(() => db.orm.select().from(outgoingWebhooks))) {
    const name = `secret of the webhook ${id} in workspace ${workspaceId}`;
    const sealed = await move(db, 'webhook-secret', [id], secret, name, done);
    const previous = previousSecret && (await move(db, 'webhook-secret', [id], previousSecret, name, done));
    if (sealed === secret && previous === previousSecret) continue;
    await run(() =>
      db.orm
        .update(outgoingWebhooks)
        .set({ secret: sealed, previousSecret: previous })
        .where(and(eq(outgoingWebhooks.id, id), eq(outgoingWebhooks.secret, secret))),
    );
  }
  return done;
}

async function move(
  db: Database,
  purpose: KeyPurpose,
  context: readonly string[],
  stored: string,
  name: string,
  done: Reencrypted,
): Promise<string> {
  if (await isEncryptedWith(db.encryptionKey, stored)) return stored;
  try {
    const sealed = await encryptText(
      db.encryptionKey,
      purpose,
      context,
      await decryptText(db.readKeys, purpose, context, stored),
    );
    done.moved += 1;
    return sealed;
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    if (!done.unreadable.includes(name)) done.unreadable.push(name);
    return stored;
  }
}
