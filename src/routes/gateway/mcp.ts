/** `/mcp/:server` of the gateway: the MCP servers of the repository that the calling session works in. */
import type { Config } from '../../config/config.ts';
import { accountFor, type EgressObserver } from '../../gateway/egress-account.ts';
import type { Fetch } from '../../gateway/forwarding.ts';
import { forwardToMcp, type McpTarget } from '../../gateway/mcp.ts';
import { guardOf } from '../../gateway/secrets/guarded-secrets.ts';
import { type Claims, guardedBy, rightsOf } from '../../gateway/token.ts';
import { log } from '../../observability/log.ts';
import type { Refusal } from '../../protocol/sandbox/batches.ts';
import { matchesTool } from '../../protocol/settings/mcp.ts';
import { cleanText } from '../../protocol/text/clean-text.ts';
import { linkedImages } from '../../protocol/text/foreign-images.ts';
import { openDatabase } from '../../store/database.ts';
import { DecryptionError } from '../../store/encryption.ts';
import { findMcpServer, type McpServer } from '../../store/workspaces/mcp-servers.ts';

/** What the route needs of the gateway. */
export interface McpRequest {
  env: Env;
  config: Config;
  claims: Claims;
  observer: EgressObserver;
  fetcher: Fetch;
}

/**
 * Hands a request to a server of the session's repository.
 * @param name as in the address, decoded
 * @throws NotMigratedError, DatabaseError
 */
export async function passToMcp(request: Request, name: string, passage: McpRequest): Promise<Response> {
  const { env, config, claims, observer } = passage;
  let server: McpServer | null;
  try {
    const database = openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey);
    server = await findMcpServer(database, { workspaceId: claims.w, fullName: claims.r }, name);
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    log('gateway.mcp_credential.unreadable', { repository: claims.r, server: name, error });
    return refuse(502, 'credential', `Cyrus: ${error.message}`);
  }
  const target = server && targetOf(server, config, claims);
  if (!target)
    return refuse(404, 'no_such_server', `Cyrus: ${claims.r} has no MCP server of this name behind the gateway`);
  const isLinear = server?.settings.kind === 'linear';
  const fetcher = isLinear ? throughWorkspace(env, claims.w) : passage.fetcher;
  const { host, pathname } = new URL(target.url);
  const account = { observer, secrets: await guardOf(env, config, guardedBy(claims)), host, path: pathname };
  return accountFor(request, account, fetcher, (watched, outgoing) => forwardToMcp(watched, target, outgoing));
}

/** Null for a server that runs in the sandbox. */
function targetOf({ name, settings, headers }: McpServer, config: Config, claims: Claims): McpTarget | null {
  const mayCall = allowedTools(settings, rightsOf(claims).includes('change'));
  switch (settings.kind) {
    case 'stdio':
      return null;
    case 'http':
      return { name, url: settings.url, headers, mayCall, shown: null };
    case 'linear':
      return { name, url: config.linear.mcpUrl, headers: {}, mayCall, shown: shownInLinear };
  }
}

/** As all that Cyrus itself posts there: nobody's browser asks a host that a text chose, and nothing in it is hidden. */
function shownInLinear(text: string): string {
  return linkedImages(cleanText(text));
}

/** What may be called: of the tools that an admin allows all, or for a role that only looks those that change nothing. */
function allowedTools(
  { tools, lookingTools }: McpServer['settings'],
  mayChange: boolean,
): ((tool: string) => boolean) | null {
  if (mayChange) return tools ? (tool) => matchesTool(tools, tool) : null;
  return (tool) => matchesTool(lookingTools, tool) && (!tools || matchesTool(tools, tool));
}

/** Linear's token is with the workspace's object alone, which adds it. */
function throughWorkspace(env: Env, workspaceId: string): Fetch {
  return async (request) => {
    const body = request.body === null ? null : await request.text();
    const asked = { method: request.method, headers: [...request.headers], body };
    return await env.LINEAR_WORKSPACE.getByName(workspaceId).mcp(asked);
  };
}

function refuse(status: number, error: string, message: string): Response {
  return Response.json({ error, message } satisfies Refusal, { status });
}
