/** MCP servers of repositories: what an admin set, with their secret headers encrypted. A repository that is deleted takes them along. */
import { and, asc, eq } from 'drizzle-orm';
import * as z from 'zod';
import {
  type McpServerInput,
  type McpServerSettings,
  type McpServerView,
  mcpHeadersSchema,
  mcpServerSettingsSchema,
} from '../../protocol/settings/mcp.ts';
import { type Database, run } from '../database.ts';
import { decryptText, encryptText } from '../encryption.ts';
import { mcpServers, repositories } from '../schema.ts';

/** Which repository of which workspace. */
export interface RepositoryKey {
  workspaceId: string;
  /** `owner/name` */
  fullName: string;
}

/** A server with its headers decrypted, for the gateway alone. */
export interface McpServer {
  name: string;
  settings: McpServerSettings;
  headers: Record<string, string>;
}

const namesSchema = z.array(z.string());

/** What the headers are bound to: they never follow a changed address to another server. */
export function headersContext(repositoryId: string, name: string, settings: McpServerSettings): string[] {
  return [repositoryId, name, settings.kind === 'http' ? settings.url : ''];
}

/** A repository's servers by name, without their secrets. @throws NotMigratedError, DatabaseError */
export async function listMcpServers(db: Database, key: RepositoryKey): Promise<McpServerView[]> {
  const rows = await run(() =>
    db.orm
      .select({ name: mcpServers.name, settings: mcpServers.settings, headerNames: mcpServers.headerNames })
      .from(mcpServers)
      .innerJoin(repositories, eq(mcpServers.repositoryId, repositories.id))
      .where(ofRepository(key))
      .orderBy(asc(mcpServers.name)),
  );
  return rows.map(({ name, settings, headerNames }) => ({
    name,
    settings: readMcpSettings(settings),
    headers: namesSchema.parse(JSON.parse(headerNames)),
  }));
}

/** A server as the gateway reaches it; null if there is none. @throws NotMigratedError, DatabaseError, DecryptionError */
export async function findMcpServer(db: Database, key: RepositoryKey, name: string): Promise<McpServer | null> {
  const [row] = await run(() =>
    db.orm
      .select({ repositoryId: mcpServers.repositoryId, settings: mcpServers.settings, headers: mcpServers.headers })
      .from(mcpServers)
      .innerJoin(repositories, eq(mcpServers.repositoryId, repositories.id))
      .where(and(ofRepository(key), eq(mcpServers.name, name)))
      .limit(1),
  );
  if (!row) return null;
  const settings = readMcpSettings(row.settings);
  if (row.headers === null) return { name, settings, headers: {} };
  const context = headersContext(row.repositoryId, name, settings);
  const plain = await decryptText(db.readKeys, 'mcp-headers', context, row.headers);
  return { name, settings, headers: mcpHeadersSchema.parse(JSON.parse(plain)) };
}

/**
 * Creates or replaces a server. Headers that are not given are kept.
 * @param repositoryId the repository's own id; the caller has looked it up
 * @param kept whether headers that are stored stay; they are dropped otherwise, unless new ones are given
 * @param now ms
 * @throws NotMigratedError; DatabaseError, also when the repository is gone
 */
export async function putMcpServer(
  db: Database,
  repositoryId: string,
  name: string,
  { settings, headers }: McpServerInput,
  { kept, now }: { kept: boolean; now: number },
): Promise<void> {
  const values = { settings: JSON.stringify(settings), updatedAt: now };
  const sealed = await sealHeaders(db, headersContext(repositoryId, name, settings), headers ?? {});
  await run(() =>
    db.orm
      .insert(mcpServers)
      .values({ repositoryId, name, ...values, ...sealed, createdAt: now })
      .onConflictDoUpdate({
        target: [mcpServers.repositoryId, mcpServers.name],
        set: kept ? values : { ...values, ...sealed },
      }),
  );
}

/** Forgets a server. @returns false when there was none. @throws NotMigratedError, DatabaseError */
export async function deleteMcpServer(db: Database, repositoryId: string, name: string): Promise<boolean> {
  const deleted = await run(() =>
    db.orm
      .delete(mcpServers)
      .where(and(eq(mcpServers.repositoryId, repositoryId), eq(mcpServers.name, name)))
      .returning({ name: mcpServers.name }),
  );
  return deleted.length > 0;
}

async function sealHeaders(
  db: Database,
  context: string[],
  headers: Record<string, string>,
): Promise<{ headers: string | null; headerNames: string }> {
  const headerNames = JSON.stringify(Object.keys(headers).sort());
  if (Object.keys(headers).length === 0) return { headers: null, headerNames };
  const plain = JSON.stringify(headers);
  return { headers: await encryptText(db.encryptionKey, 'mcp-headers', context, plain), headerNames };
}

/** @param json as in the column `settings` */
export function readMcpSettings(json: string): McpServerSettings {
  return mcpServerSettingsSchema.parse(JSON.parse(json));
}

function ofRepository({ workspaceId, fullName }: RepositoryKey) {
  return and(eq(repositories.workspaceId, workspaceId), eq(repositories.fullName, fullName));
}
