/**
 * The secrets that the database holds for the sessions of one repository, so that they can be looked for in what leaves a sandbox.
 * None of them is ever in a sandbox by Cyrus's doing.
 */
import type { Database } from './database.ts';
import { DecryptionError } from './encryption.ts';
import { findStoredSandboxSecret } from './sandbox-secrets.ts';
import { readTokens } from './workspaces/installations.ts';
import { findMcpServer, listMcpServers } from './workspaces/mcp-servers.ts';
import { readWebhookSecrets } from './workspaces/outgoing-webhooks.ts';
import { findRepository } from './workspaces/repositories.ts';

/** A secret, and what people call it. */
export interface HeldSecret {
  name: string;
  text: string;
}

/** Headers of MCP servers that hold credentials by their names. What is in others is no secret by itself: `acme`, `2026-01-01`. */
const SECRET_HEADER = /auth|token|key|secret|pass|cred|cookie|session|sign/i;

/**
 * Linear's tokens of the workspace, the secrets of its webhooks, the repository's git credential, the credentials of its MCP servers, and the secret of its
 * sandbox server. What cannot be decrypted is left out.
 * @throws NotMigratedError, DatabaseError
 */
export async function readHeldSecrets(db: Database, workspaceId: string, fullName: string): Promise<HeldSecret[]> {
  const all = await Promise.all([
    readable(ofWorkspace(db, workspaceId)),
    readable(ofWebhooks(db, workspaceId)),
    readable(ofRepository(db, workspaceId, fullName)),
    readable(ofMcpServers(db, workspaceId, fullName)),
    readable(ofSandboxServer(db, workspaceId, fullName)),
  ]);
  return all.flat();
}

async function readable(secrets: Promise<HeldSecret[]>): Promise<HeldSecret[]> {
  try {
    return await secrets;
  } catch (error) {
    if (error instanceof DecryptionError) return [];
    throw error;
  }
}

async function ofWorkspace(db: Database, workspaceId: string): Promise<HeldSecret[]> {
  const tokens = await readTokens(db, workspaceId);
  if (tokens === null || tokens === 'revoked') return [];
  const { accessToken, refreshToken } = tokens;
  return [
    { name: "access token for this workspace's Linear", text: accessToken },
    ...(refreshToken === null ? [] : [{ name: "refresh token for this workspace's Linear", text: refreshToken }]),
  ];
}

async function ofWebhooks(db: Database, workspaceId: string): Promise<HeldSecret[]> {
  const secrets = await readWebhookSecrets(db, workspaceId);
  return secrets.map((text) => ({ name: "secret of this workspace's webhook", text }));
}

async function ofRepository(db: Database, workspaceId: string, fullName: string): Promise<HeldSecret[]> {
  const credential = (await findRepository(db, workspaceId, fullName))?.credential ?? null;
  if (credential === null || ('kind' in credential && credential.kind === 'github-app')) return [];
  const text = 'token' in credential ? credential.token : credential.password;
  return [{ name: `git credential of ${fullName}`, text }];
}

async function ofMcpServers(db: Database, workspaceId: string, fullName: string): Promise<HeldSecret[]> {
  const key = { workspaceId, fullName };
  const servers = (await listMcpServers(db, key)).filter(({ headers }) => headers.length > 0);
  const found = await Promise.all(
    servers.map(({ name }) =>
      readable(
        findMcpServer(db, key, name).then((server) =>
          Object.entries(server?.headers ?? {})
            .filter(([header]) => SECRET_HEADER.test(header))
            // The scheme before it is in every such header.
            .map(([, value]) => ({
              name: `credential of the MCP server ${name}`,
              text: value.replace(/^[A-Za-z]+ /, ''),
            })),
        ),
      ),
    ),
  );
  return found.flat();
}

async function ofSandboxServer(db: Database, workspaceId: string, fullName: string): Promise<HeldSecret[]> {
  const text = await findStoredSandboxSecret(db, workspaceId, fullName);
  return text === null ? [] : [{ name: `secret of the sandbox server of ${fullName}`, text }];
}
