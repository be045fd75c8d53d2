import { describe, expect, it } from 'vitest';
import { mcpAccess } from '../../src/claude/mcp-access.ts';
import {
  judgeMcpCall,
  type McpServerView,
  matchesTool,
  mcpServerInputSchema,
  readMcpToolName,
} from '../../src/protocol/settings/mcp.ts';
import { type Role, repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';

function serverOf(input: object, name = 'notes'): McpServerView {
  return { name, settings: mcpServerInputSchema.parse(input).settings, headers: [] };
}

const linear = serverOf({ kind: 'linear' }, 'linear');
const notes = serverOf({ kind: 'http', url: 'https://notes.example.com/mcp' });

/** What becomes of a call, with these settings of the repository; undefined where the session has no such server. */
function judge(server: McpServerView, tool: string, settings: object = {}, role: Role = 'builder') {
  const [access] = mcpAccess([server], role, repositorySettingsSchema.parse(settings));
  return access && judgeMcpCall(access.rules, tool);
}

describe('tools of MCP servers follow what is set for tools', () => {
  it('all: they run without asking', () => {
    expect(judge(notes, 'write_note')).toBe('run');
    expect(judge(notes, 'write_note', { tools: 'all' })).toBe('run');
  });

  it('safe: those that only look run, the others ask', () => {
    expect(judge(linear, 'list_comments', { tools: 'safe' })).toBe('run');
    expect(judge(linear, 'create_comment', { tools: 'safe' })).toBe('ask');
    expect(judge(notes, 'read_note', { tools: 'safe' })).toBe('ask');
  });

  it.each([
    ['readOnly', 'builder'],
    ['all', 'scoper'],
    ['all', 'reviewer'],
  ] as const)('tools %s and the role %s: only those that only look', (tools, role) => {
    expect(judge(linear, 'get_issue', { tools }, role)).toBe('run');
    expect(judge(linear, 'update_issue', { tools }, role)).toBe('refuse');
    expect(judge(notes, 'read_note', { tools }, role)).toBeUndefined();
  });

  it('a list names a server, or a tool of it; the rest is withheld, or asked for', () => {
    expect(judge(linear, 'update_issue', { tools: ['Read', 'mcp__linear'] })).toBe('run');
    expect(judge(linear, 'update_issue', { tools: ['Read', 'mcp__linear__get_issue'] })).toBe('refuse');
    expect(judge(linear, 'get_issue', { tools: ['Read', 'mcp__linear__get_issue'] })).toBe('run');
    expect(judge(linear, 'get_issue', { tools: ['Read'] })).toBeUndefined();
    expect(judge(linear, 'get_issue', { tools: ['Read'], otherTools: 'ask' })).toBe('ask');
  });

  it('askFirst goes before everything that allows', () => {
    const askFirst = ['mcp__linear__create_comment', 'mcp__notes'];
    expect(judge(linear, 'create_comment', { askFirst })).toBe('ask');
    expect(judge(linear, 'update_issue', { askFirst })).toBe('run');
    expect(judge(notes, 'read_note', { askFirst })).toBe('ask');
    expect(judge(notes, 'read_note', { tools: ['mcp__notes'], askFirst })).toBe('ask');
  });

  it('what an admin did not choose of a server is refused, whatever else is set', () => {
    const few = serverOf({ kind: 'linear', tools: ['get_issue', 'create_*'] }, 'linear');
    expect(judge(few, 'get_issue')).toBe('run');
    expect(judge(few, 'create_comment')).toBe('run');
    expect(judge(few, 'update_issue')).toBe('refuse');
    expect(judge(few, 'list_comments', { tools: 'safe' })).toBe('refuse');
    expect(judge(few, 'update_issue', { askFirst: ['mcp__linear'] })).toBe('refuse');
  });
});

describe('what an admin sends', () => {
  it.each([
    [{ kind: 'http', url: 'http://notes.example.com/mcp' }],
    [{ kind: 'http', url: 'https://user:secret@notes.example.com/mcp' }],
    [{ kind: 'http', url: 'ftp://notes.example.com/mcp' }],
    [{ kind: 'http', url: 'https://notes.example.com/mcp', headers: { host: 'evil.example.com' } }],
    [{ kind: 'http', url: 'https://notes.example.com/mcp', headers: { 'Mcp-Session-Id': 'x' } }],
    [{ kind: 'http', url: 'https://notes.example.com/mcp', headers: { 'x-key': 'a\r\nx-other: b' } }],
    [{ kind: 'http', url: 'https://notes.example.com/mcp', header: { 'x-key': 'a' } }],
    [{ kind: 'linear', headers: { authorization: 'Bearer x' } }],
    [{ kind: 'linear', tools: ['get_issue('] }],
    [{ kind: 'stdio' }],
    [{ kind: 'stdio', command: 'server', headers: { authorization: 'x' } }],
    [{ kind: 'sse', url: 'https://notes.example.com' }],
    [{}],
  ])('that makes no server is refused: %j', (input) => {
    expect(mcpServerInputSchema.safeParse(input).success).toBe(false);
  });

  it('that makes one is taken, the headers apart from the settings', () => {
    const url = 'https://notes.example.com/mcp';
    const headers = { Authorization: 'Bearer x' };
    const taken = mcpServerInputSchema.parse({ kind: 'http', url, headers });
    expect(taken).toEqual({ settings: { kind: 'http', url, lookingTools: [] }, headers });
    expect(mcpServerInputSchema.safeParse({ kind: 'http', url: 'http://localhost:9000/mcp' }).success).toBe(true);
  });
});

it('the name of a tool has one reading', () => {
  expect(readMcpToolName('mcp__linear__get_issue')).toEqual({ server: 'linear', tool: 'get_issue' });
  expect(readMcpToolName('mcp__linear__get__issue')).toEqual({ server: 'linear', tool: 'get__issue' });
  expect(readMcpToolName('mcp__linear')).toBeNull();
  expect(readMcpToolName('Bash')).toBeNull();
});

it('a tool with a dot in its name is one tool, by the server’s name and by the CLI’s', () => {
  const web = (tools: string[]) => serverOf({ kind: 'http', url: 'https://web.example.com/mcp', tools });
  for (const tools of [['notes.*'], ['notes_*'], ['notes.read'], ['notes_read']]) {
    expect(judge(web(tools), 'notes_read'), `${tools} in the sandbox`).toBe('run');
    expect(matchesTool(tools, 'notes.read'), `${tools} at the gateway`).toBe(true);
    expect(matchesTool(tools, 'other.read')).toBe(false);
  }
  expect(judge(web(['notes.*']), 'notes_read', { askFirst: ['mcp__notes__notes.read'] })).toBe('ask');
});
