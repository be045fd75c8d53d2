/**
 * `/api/admin/workspaces/:id/repositories/:owner/:name/mcp-servers[/:server]`: the MCP servers of a repository. Headers go in
 * and never come out. Mounted by index.ts, behind its guard.
 */
import { Hono } from 'hono';
import * as z from 'zod';
import type { ApiError } from '../../protocol/api.ts';
import {
  MAX_MCP_SERVERS,
  type McpServerInput,
  mcpServerInputSchema,
  mcpServerNameSchema,
} from '../../protocol/settings/mcp.ts';
import { deleteMcpServer, listMcpServers, putMcpServer } from '../../store/workspaces/mcp-servers.ts';
import { findRepositoryId } from '../../store/workspaces/repositories.ts';
import { type AdminContext, type AdminEnv, noSuchRepository, note, problem, readBody } from './request.ts';

/** A name of a repository may have slashes in it; the last of the address decide. */
const ALL = '/workspaces/:id/repositories/:owner/:rest{.+/mcp-servers}';
const ONE = '/workspaces/:id/repositories/:owner/:rest{.+/mcp-servers/[^/]+}';

export const mcpServers = new Hono<AdminEnv>();

mcpServers.get(ALL, async (c) => {
  const { key, repositoryId } = await repositoryOf(c);
  if (repositoryId === null) return c.json(noSuchRepository(key.workspaceId, key.fullName), 404);
  return c.json({ servers: await listMcpServers(c.var.database, key) });
});

mcpServers.get(ONE, async (c) => {
  const { key, repositoryId, name } = await repositoryOf(c);
  if (repositoryId === null) return c.json(noSuchRepository(key.workspaceId, key.fullName), 404);
  const server = (await listMcpServers(c.var.database, key)).find((candidate) => candidate.name === name);
  return server ? c.json(server) : c.json(noSuchServer(key, name), 404);
});

/** Replaces the server; only headers that are not given stay, as long as the address does. */
mcpServers.put(ONE, async (c) => {
  const { key, repositoryId, name } = await repositoryOf(c);
  const nameProblem = mcpServerNameSchema.safeParse(name);
  if (!nameProblem.success) return c.json(problem('bad_request', `name: ${z.prettifyError(nameProblem.error)}`), 400);
  const input = await readBody(c, mcpServerInputSchema);
  if (!input.success) return c.json(input.problem, 400);
  if (repositoryId === null) return c.json(noSuchRepository(key.workspaceId, key.fullName), 404);
  const { database } = c.var;
  const servers = await listMcpServers(database, key);
  const before = servers.find((candidate) => candidate.name === name);
  if (!before && servers.length >= MAX_MCP_SERVERS) {
    return c.json(problem('too_many', `A repository has at most ${MAX_MCP_SERVERS} MCP servers.`), 409);
  }
  const isSame = before !== undefined && addressOf(before.settings) === addressOf(input.data.settings);
  const hadHeaders = before !== undefined && before.headers.length > 0;
  if (hadHeaders && !isSame && input.data.settings.kind === 'http' && input.data.headers === undefined) {
    const message = 'The stored headers belong to another address: give headers with the new address, or {} for none.';
    return c.json(problem('credential_needed', message), 409);
  }
  const kept = isSame && input.data.headers === undefined;
  await putMcpServer(database, repositoryId, name, input.data, { kept, now: Date.now() });
  await note(c, 'mcp-server.stored', key.workspaceId, {
    repository: key.fullName,
    server: name,
    kind: input.data.settings.kind,
  });
  const headers = kept ? before.headers : Object.keys(input.data.headers ?? {}).sort();
  return c.json({ name, settings: input.data.settings, headers }, before ? 200 : 201);
});

mcpServers.delete(ONE, async (c) => {
  const { key, repositoryId, name } = await repositoryOf(c);
  if (repositoryId === null) return c.json(noSuchRepository(key.workspaceId, key.fullName), 404);
  if (!(await deleteMcpServer(c.var.database, repositoryId, name))) return c.json(noSuchServer(key, name), 404);
  await note(c, 'mcp-server.deleted', key.workspaceId, { repository: key.fullName, server: name });
  return c.body(null, 204);
});

interface Addressed {
  key: { workspaceId: string; fullName: string };
  repositoryId: string | null;
  /** Of the server; empty if the address names none. */
  name: string;
}

async function repositoryOf(c: AdminContext): Promise<Addressed> {
  const { id: workspaceId = '', owner = '', rest = '' } = c.req.param() as Record<string, string | undefined>;
  const [, repository = '', name = ''] = /^(.+)\/mcp-servers(?:\/([^/]+))?$/.exec(rest) ?? [];
  const key = { workspaceId, fullName: `${owner}/${repository}` };
  return { key, repositoryId: await findRepositoryId(c.var.database, workspaceId, key.fullName), name };
}

function addressOf(settings: McpServerInput['settings']): string {
  return settings.kind === 'http' ? settings.url : settings.kind;
}

function noSuchServer({ fullName }: Addressed['key'], name: string): ApiError {
  return problem('no_such_server', `The repository ${fullName} has no MCP server ${name}.`);
}
