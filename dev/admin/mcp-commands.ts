/** `npm run repositories -- mcp …`: the MCP servers of a repository. */
import { z } from 'zod';
import type { Deployment } from './deployment.ts';
import { askHidden, readStdin } from './secrets.ts';
import type { Given } from './settings-options.ts';
import { UsageProblem } from './usage.ts';

export const MCP_OPTIONS = {
  http: { type: 'string' },
  linear: { type: 'boolean' },
  command: { type: 'string' },
  arg: { type: 'string', multiple: true },
  env: { type: 'string', multiple: true },
  header: { type: 'string' },
  bearer: { type: 'boolean' },
  'no-header': { type: 'boolean' },
  tool: { type: 'string', multiple: true },
  'looking-tool': { type: 'string', multiple: true },
} as const;

const serverSchema = z.looseObject({
  name: z.string(),
  settings: z.looseObject({
    kind: z.string(),
    url: z.string().optional(),
    command: z.string().optional(),
    args: z.array(z.string()).default([]),
    tools: z.array(z.string()).optional(),
  }),
  headers: z.array(z.string()),
});
type ShownServer = z.infer<typeof serverSchema>;

export type McpOutcome =
  | { kind: 'mcp-servers'; servers: ShownServer[] }
  | { kind: 'mcp-server'; server: ShownServer; done: string }
  | { kind: 'mcp-removed'; name: string };

/**
 * Carries out `mcp list OWNER/NAME`, `mcp add OWNER/NAME SERVER` or `mcp remove OWNER/NAME SERVER`.
 * @param words what follows `mcp`
 * @param pathOf the repository's address in the admin API @throws UsageProblem, DeploymentProblem
 */
export async function carryOutMcp(
  words: string[],
  given: Given,
  deployment: Deployment,
  pathOf: (fullName: string | undefined) => Promise<string>,
): Promise<McpOutcome> {
  const [command, fullName, name, ...more] = words;
  if (more.length > 0) throw new UsageProblem(`"${more.join(' ')}" is too much; see --help.`);
  if (command === 'list') {
    if (name !== undefined) throw new UsageProblem(`"${name}" is too much; see --help.`);
    const answer = z.object({ servers: z.array(serverSchema) });
    const { servers } = await deployment.ask('GET', `${await pathOf(fullName)}/mcp-servers`, answer);
    return { kind: 'mcp-servers', servers };
  }
  if (command !== 'add' && command !== 'remove') {
    throw new UsageProblem('Say `mcp list`, `mcp add` or `mcp remove`, and the repository: OWNER/NAME.');
  }
  if (name === undefined) throw new UsageProblem('Say which server: OWNER/NAME SERVER.');
  if (!/^[\w.-]+$/.test(name)) throw new UsageProblem(`"${name}" is no name of a server.`);
  const path = `${await pathOf(fullName)}/mcp-servers/${name}`;
  if (command === 'remove') {
    await deployment.ask('DELETE', path, z.null());
    return { kind: 'mcp-removed', name };
  }
  const server = await deployment.ask('PUT', path, serverSchema, await bodyOf(given));
  return {
    kind: 'mcp-server',
    server,
    done: `${fullName} has the MCP server ${name}, from the next start of a sandbox.`,
  };
}

/** @returns lines to be printed */
export function describeMcpOutcome(outcome: McpOutcome): string {
  switch (outcome.kind) {
    case 'mcp-servers':
      return outcome.servers.map(line).join('\n') || 'There is no MCP server; `mcp add` adds one.';
    case 'mcp-server':
      return `${outcome.done}\n\n${line(outcome.server)}`;
    case 'mcp-removed':
      return `${outcome.name} is removed.`;
  }
}

function line({ name, settings, headers }: ShownServer): string {
  const { kind, url, command, args, tools } = settings;
  const where = url ?? (command === undefined ? kind : [command, ...args].join(' '));
  const with_ = headers.length > 0 ? `, with ${headers.join(', ')}` : '';
  return `${name}  ${where}${with_}${tools ? `; only ${tools.join(', ')}` : ''}`;
}

async function bodyOf(given: Given): Promise<object> {
  const { http, linear, command } = given;
  const kinds = [http, linear, command].filter((kind) => kind !== undefined);
  if (kinds.length !== 1) throw new UsageProblem('Say what it is: one of --http URL, --linear, --command PROGRAM.');
  const tools = {
    ...(given.tool !== undefined && { tools: given.tool }),
    ...(given['looking-tool'] !== undefined && { lookingTools: given['looking-tool'] }),
  };
  const refuse = (options: string[], kind: string) => {
    const foreign = options.find((option) => given[option] !== undefined);
    if (foreign !== undefined) throw new UsageProblem(`--${foreign} goes with ${kind}.`);
  };
  if (http === undefined) refuse(['header', 'bearer', 'no-header', 'secret-stdin'], '--http');
  if (command === undefined) refuse(['arg', 'env'], '--command');
  if (linear !== undefined) return { kind: 'linear', ...tools };
  if (http !== undefined) {
    const headers = await headersOf(given);
    return { kind: 'http', url: http, ...(headers && { headers }), ...tools };
  }
  return { kind: 'stdio', command, args: given.arg ?? [], env: environmentOf(given.env), ...tools };
}

/** @returns undefined if nothing was said of them: those that are stored are kept */
async function headersOf(given: Given): Promise<Record<string, string> | undefined> {
  const { header, bearer, 'no-header': none } = given;
  if ([header, bearer, none].filter((option) => option !== undefined).length > 1) {
    throw new UsageProblem('--header, --bearer and --no-header exclude each other.');
  }
  if (none) return {};
  if (header === undefined && !bearer) {
    if (given['secret-stdin']) throw new UsageProblem('--secret-stdin goes with --header NAME or --bearer.');
    return undefined;
  }
  const secret = given['secret-stdin']
    ? await readStdin()
    : process.env.CYRUS_MCP_SECRET || (await askHidden('Secret of the header: '));
  if (!secret) {
    throw new UsageProblem(
      'The header has a secret: set CYRUS_MCP_SECRET, or give it on standard input with --secret-stdin.',
    );
  }
  return bearer ? { Authorization: `Bearer ${secret}` } : { [String(header)]: secret };
}

function environmentOf(given: Given[string]): Record<string, string> {
  const pairs = (Array.isArray(given) ? given : []).map((text): [string, string] => {
    const [, name, value] = /^([^=]+)=([\s\S]*)$/.exec(String(text)) ?? [];
    if (name === undefined || value === undefined) throw new UsageProblem(`--env wants NAME=VALUE, not "${text}".`);
    return [name, value];
  });
  return Object.fromEntries(pairs);
}
