/** MCP servers in words: what the journal, Linear and people who are asked are told. */
import { expect, it } from 'vitest';
import { initialReaderState, readLine } from '../../src/claude/stream.ts';
import { toolWords } from '../../src/session/lifecycle/narration/tool-words.ts';
import { askWords, readPermission } from '../../src/session/lifecycle/questions/permissions.ts';
import { toolSummary } from '../../src/web/outline/tool-summary.ts';

const init = (servers: object[]) =>
  JSON.stringify({
    type: 'system',
    subtype: 'init',
    session_id: 's',
    uuid: 'u',
    model: 'sonnet',
    cwd: '/w',
    tools: ['Bash'],
    mcp_servers: servers,
  });

it('a server that could not be connected is a warning in the journal, once as long as it stays so', () => {
  const failed = init([
    { name: 'notes', status: 'failed' },
    { name: 'linear', status: 'connected' },
  ]);
  const first = readLine(initialReaderState, failed);
  const notices = first.read.entries.filter(({ body }) => body.kind === 'notice').map(({ body }) => body);
  expect(notices).toMatchObject([{ level: 'warning', text: expect.stringContaining('notes (failed)') }]);
  const second = readLine(first.state, failed);
  expect(second.read.entries.map(({ body }) => body.kind)).toEqual(['claude-started']);
  const mended = readLine(second.state, init([{ name: 'notes', status: 'connected' }]));
  const again = readLine(mended.state, failed);
  expect(again.read.entries.map(({ body }) => body.kind)).toEqual(['claude-started', 'notice']);
});

it('a call is told by tool and server', () => {
  expect(toolWords('mcp__linear__get_issue', { id: 'ENG-1' }, null)).toMatchObject({ action: 'get_issue (linear)' });
  expect(toolSummary('mcp__linear__get_issue', { id: 'ENG-1' }, null)).toMatchObject({
    label: 'linear · get_issue',
    subject: 'ENG-1',
  });
});

it('people who are asked see everything the tool is given, whatever its parts are called', () => {
  const input = { file_path: 'a.txt', description: 'delete everything', timeout: 5, command: 'echo' };
  const about = readPermission({
    kind: 'question',
    requestId: 'r-1',
    toolUseId: null,
    name: 'mcp__notes__write_note',
    input,
    permission: { why: null },
  } as unknown as Parameters<typeof readPermission>[0]);
  const words = about && askWords(about);
  expect(words).toContain('Claude asks to use write_note of the MCP server notes');
  for (const [key, value] of Object.entries(input)) expect(words).toContain(`"${key}": ${JSON.stringify(value)}`);
});
