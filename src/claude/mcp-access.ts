/** Which MCP servers a session has, and which of their tools run without asking people (pure). */
import type { McpRules, McpServerView, SandboxMcpServer } from '../protocol/settings/mcp.ts';
import type { RepositorySettings, Role } from '../protocol/settings/repository.ts';
import { rolesThatLook } from './roles.ts';

type ToolSettings = Pick<RepositorySettings, 'tools' | 'otherTools' | 'askFirst'>;

/**
 * @param servers of the repository, as an admin set them
 * @param settings of the repository: what holds for the CLI's own tools (src/claude/tool-access.ts) holds for those of servers
 * @returns the servers that have a tool for this role; a role that only looks has none but `lookingTools`
 */
export function mcpAccess(servers: McpServerView[], role: Role, settings: ToolSettings): SandboxMcpServer[] {
  return servers.flatMap(({ name, settings: server }): SandboxMcpServer[] => {
    const rules = rulesFor(name, server, role, settings);
    if (rules === null) return [];
    if (server.kind !== 'stdio') return [{ kind: 'gateway', name, rules }];
    const { command, args, env } = server;
    return [{ kind: 'stdio', name, command, args, env, rules }];
  });
}

/** Null where no tool of the server could ever be used. */
function rulesFor(
  name: string,
  { tools = ['*'], lookingTools }: McpServerView['settings'],
  role: Role,
  { tools: choice = 'all', otherTools, askFirst }: ToolSettings,
): McpRules | null {
  const ask = toolsNamed(askFirst, name);
  const whole = { offered: tools, ask, free: lookingTools };
  if (rolesThatLook.includes(role) || choice === 'readOnly') {
    return lookingTools.length === 0 ? null : { ...whole, others: 'refuse' };
  }
  if (choice === 'all') return { ...whole, others: 'run' };
  if (choice === 'safe') return { ...whole, others: 'ask' };
  // A list says itself what is used without asking.
  const free = toolsNamed(choice, name);
  if (otherTools === 'ask') return { ...whole, free, others: 'ask' };
  return free.length === 0 ? null : { ...whole, free, others: 'refuse' };
}

/** The tools of a server that rules name: `mcp__linear` is all of them, `mcp__linear__get_issue` one. */
function toolsNamed(rules: string[], server: string): string[] {
  return rules.flatMap((rule) => {
    const named = rule.split('(', 1)[0] ?? rule;
    if (named === `mcp__${server}`) return ['*'];
    const prefix = `mcp__${server}__`;
    return named.startsWith(prefix) ? [named.slice(prefix.length)] : [];
  });
}
