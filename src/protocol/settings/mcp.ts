/**
 * MCP servers of a repository: what an admin sets, and what a sandbox is told of them. A repository's own files name none.
 * Stdio servers run in the sandbox, so they hold no secret; HTTP servers and Linear's own are behind the gateway, which adds
 * their credentials.
 */
import * as z from 'zod';
import { isLoopback } from '../../lib/loopback.ts';

/** Most servers of one repository. */
export const MAX_MCP_SERVERS = 20;

/** No underscore: Claude's names for tools are `mcp__<server>__<tool>`, which then has one reading only. */
export const mcpServerNameSchema = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,31}$/,
    'must begin with a small letter and have small letters, digits and - only (32 at most)',
  );

/** A tool's name; `*` at the end stands for any rest (`get_*`). */
export const toolPatternSchema = z
  .string()
  .regex(/^([A-Za-z0-9_.-]{1,128}\*?|\*)$/, "must be a tool's name, or its beginning and a *, e.g. get_*");
const patterns = z.array(toolPatternSchema).max(200);

/** Tools of Linear's server that change nothing (named like this at linear.app/docs/mcp). */
export const LINEAR_LOOKING_TOOLS = ['get_*', 'list_*', 'search_*'];

const tools = {
  /** Only these are offered; left out: all. */
  tools: patterns.optional(),
  /** These change nothing: they are never asked for, unless by `askFirst`, and roles that only look have them too. */
  lookingTools: patterns.default([]),
};

/** Headers that the gateway sets for itself, or that speak of one connection. */
const RESERVED_HEADER =
  /^(accept|accept-encoding|connection|content-(length|type|encoding)|cookie|host|keep-alive|mcp-.*|proxy-.*|te|trailer|transfer-encoding|upgrade)$/;

/** Headers with the credential of an HTTP server. */
export const mcpHeadersSchema = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'must be the name of a header')
      .refine((name) => !RESERVED_HEADER.test(name.toLowerCase()), 'this header cannot be set here'),
    z
      .string()
      .min(1)
      .max(8_000)
      .regex(/^[\t\x20-\x7e]+$/, 'must be one line of ASCII'),
  )
  .refine((headers) => Object.keys(headers).length <= 20, 'must be 20 at most');

/** What is stored in the open. `command` is looked for in the sandbox's PATH; `env` can be read by Claude, so no secret goes there. */
export const mcpServerSettingsSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('stdio'),
    command: z.string().trim().min(1).max(1_000),
    args: z.array(z.string().max(4_000)).max(100).default([]),
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(8_000)).default({}),
    ...tools,
  }),
  z.strictObject({
    kind: z.literal('http'),
    /** Streamable HTTP; https, unless it is a loopback address. */
    url: z
      .url({ protocol: /^https?$/ })
      .max(2_000)
      .refine(isSafeAddress, {
        error: 'must be https (http on a loopback address only), without user, password and fragment',
      }),
    ...tools,
  }),
  z.strictObject({
    kind: z.literal('linear'),
    ...tools,
    lookingTools: patterns.default(LINEAR_LOOKING_TOOLS),
  }),
]);
export type McpServerSettings = z.infer<typeof mcpServerSettingsSchema>;

/**
 * Body of `PUT …/mcp-servers/:server`. `headers` go in and never come out; left out, those that are stored are kept as long
 * as the address stays.
 */
export const mcpServerInputSchema = z
  .looseObject({ kind: z.unknown(), headers: mcpHeadersSchema.optional() })
  .transform(({ headers, ...settings }, context) => {
    const parsed = mcpServerSettingsSchema.safeParse(settings);
    if (!parsed.success) {
      for (const issue of parsed.error.issues) context.addIssue({ ...issue, code: 'custom' });
      return z.NEVER;
    }
    if (headers !== undefined && parsed.data.kind !== 'http') {
      context.addIssue({ code: 'custom', path: ['headers'], message: 'only a server of the kind http has headers' });
      return z.NEVER;
    }
    return { settings: parsed.data, headers };
  });
export type McpServerInput = z.infer<typeof mcpServerInputSchema>;

/** A server as the admin API shows it. */
export interface McpServerView {
  name: string;
  settings: McpServerSettings;
  /** Names of the headers that are stored. */
  headers: string[];
}

/**
 * What becomes of a call, in this order: a tool that is not in `offered` is refused; one in `ask` is asked for; one in
 * `free` runs; `others` says what becomes of the rest. Each is a list of patterns of tools.
 */
export const mcpRulesSchema = z.object({
  offered: patterns.default(['*']),
  ask: patterns.default([]),
  free: patterns.default([]),
  others: z.enum(['run', 'ask', 'refuse']),
});
export type McpRules = z.infer<typeof mcpRulesSchema>;

/** A server as a sandbox is told of it, without any secret. `gateway`: reached at `{gateway}/mcp/{name}` with the session token. */
export const sandboxMcpServerSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('stdio'),
    name: mcpServerNameSchema,
    command: z.string().min(1),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()),
    rules: mcpRulesSchema,
  }),
  z.object({ kind: z.literal('gateway'), name: mcpServerNameSchema, rules: mcpRulesSchema }),
]);
export type SandboxMcpServer = z.infer<typeof sandboxMcpServerSchema>;

/** What becomes of a call of this tool of a server. @param tool without `mcp__<server>__` */
export function judgeMcpCall({ offered, ask, free, others }: McpRules, tool: string): McpRules['others'] {
  if (!matchesTool(offered, tool)) return 'refuse';
  if (matchesTool(ask, tool)) return 'ask';
  return matchesTool(free, tool) ? 'run' : others;
}

/**
 * Whether a tool is among these. The CLI names a server's `notes.read` as `notes_read` (measured with CLI 2.1.330), the gateway sees the server's own
 * name, and an admin may write either: all of them are one name.
 */
export function matchesTool(among: readonly string[], tool: string): boolean {
  const name = cliName(tool);
  return among.some((pattern) => {
    if (pattern.endsWith('*')) return name.startsWith(cliName(pattern.slice(0, -1)));
    return name === cliName(pattern);
  });
}

/** A tool's name as the CLI has it: what its API does not take in a name becomes `_`. */
function cliName(tool: string): string {
  return tool.replace(/[^A-Za-z0-9_-]/g, '_');
}

/** Server and tool of a name of the CLI's: `mcp__linear__get_issue`; null for a tool that is not of a server. */
export function readMcpToolName(name: string): { server: string; tool: string } | null {
  const parts = /^mcp__([a-z0-9-]+)__(.+)$/.exec(name);
  return parts?.[1] && parts[2] ? { server: parts[1], tool: parts[2] } : null;
}

function isSafeAddress(text: string): boolean {
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (username !== '' || password !== '' || hash !== '') return false;
  return protocol === 'https:' || isLoopback(hostname);
}
