/**
 * MCP servers of the session: the file that tells the CLI of them, and what becomes of a call that it asks about. No other
 * servers are loaded (`--strict-mcp-config`). Measured with CLI 2.1.330.
 */
import { writeFile } from 'node:fs/promises';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import {
  judgeMcpCall,
  type McpRules,
  readMcpToolName,
  type SandboxMcpServer,
} from '../../src/protocol/settings/mcp.ts';
import type { SessionPaths } from '../paths.ts';

/**
 * Writes the CLI's file of servers. Those behind the gateway are reached by the session's way there, which adds the token.
 * @param proxyUrl address of that way
 */
export async function writeMcpConfig(start: StartSession, paths: SessionPaths, proxyUrl: string): Promise<void> {
  const servers = serversOf(start);
  if (servers.length === 0) return;
  const mcpServers = Object.fromEntries(servers.map((server) => [server.name, entryOf(server, proxyUrl)]));
  await writeFile(paths.mcpConfig, JSON.stringify({ mcpServers }), { mode: 0o640 });
}

/** Flags of the CLI. */
export function mcpArguments(start: StartSession, paths: SessionPaths): string[] {
  return ['--strict-mcp-config', ...(serversOf(start).length > 0 ? ['--mcp-config', paths.mcpConfig] : [])];
}

/** Rules by which the CLI asks about every call of a server that has restrictions: also when nothing else is asked. */
export function mcpAskRules(start: StartSession): string[] {
  return serversOf(start)
    .filter(({ rules }) => !runsEverything(rules))
    .map(({ name }) => `mcp__${name}`);
}

/** What becomes of a call that the CLI asks about; null for a tool that is of no server. */
export function mcpVerdict(start: StartSession, toolName: string): McpRules['others'] | null {
  if (!toolName.startsWith('mcp__')) return null;
  const name = readMcpToolName(toolName);
  const server = name && serversOf(start).find((candidate) => candidate.name === name.server);
  return name && server ? judgeMcpCall(server.rules, name.tool) : 'refuse';
}

function runsEverything({ offered, ask, others }: McpRules): boolean {
  return offered.includes('*') && ask.length === 0 && others === 'run';
}

function serversOf({ claude }: StartSession): SandboxMcpServer[] {
  return claude.mcpServers ?? [];
}

function entryOf(server: SandboxMcpServer, proxyUrl: string): object {
  // So that they are never left to be looked for by ToolSearch, which is not offered. With few tools it makes no difference (measured).
  const alwaysLoad = true;
  if (server.kind === 'gateway') return { type: 'http', url: `${proxyUrl}/mcp/${server.name}`, alwaysLoad };
  const { command, args, env } = server;
  return { type: 'stdio', command, args, env, alwaysLoad };
}
