import { describe, expect, it } from 'vitest';
import { initialReaderState, readLine } from '../../src/claude/stream.ts';
import { MAX_ENTRY_TEXT } from '../../src/protocol/journal.ts';
import { ofKind, run } from './claude-fixtures.ts';

const read = (line: unknown) =>
  readLine(initialReaderState, typeof line === 'string' ? line : JSON.stringify(line)).read;
const bodies = (line: unknown) => read(line).entries.map(({ body }) => body);
const assistant = (...content: unknown[]) => ({
  type: 'assistant',
  message: { id: 'm1', model: 'opus', content },
  parent_tool_use_id: null,
});
const user = (content: unknown, rest: object = {}) => ({
  type: 'user',
  message: { role: 'user', content },
  parent_tool_use_id: null,
  ...rest,
});

describe('what is not known', () => {
  it.each([
    ['Segmentation fault', 'not-json'],
    ['{"type":"assist', 'not-json'],
    ['42', 'no-type'],
    ['["type"]', 'no-type'],
    ['{"kind":"x"}', 'no-type'],
    ['{"type":"hologram","x":1}', 'hologram'],
    ['{"type":"system","subtype":"quantum"}', 'system/quantum'],
    ['{"type":"system"}', 'system'],
    ['{"type":"control_request","request_id":"1","request":{"subtype":"dance"}}', 'control_request/dance'],
    ['{"type":"stream_event","event":{"type":"message_flip"}}', 'stream_event/message_flip'],
    ['{"type":"system","subtype":"init","cwd":7}', 'system/init'],
    ['{"type":"assistant","message":"hello"}', 'assistant'],
    ['{"type":"result","is_error":"perhaps"}', 'result'],
  ])('%s is kept whole', (line, type) => {
    expect(bodies(line)).toEqual([{ kind: 'unknown', type, raw: line }]);
  });

  it('is cut if it is very long', () => {
    const line = `{"type":"hologram","x":"${'y'.repeat(MAX_ENTRY_TEXT)}"}`;
    expect(bodies(line)).toMatchObject([{ kind: 'unknown', truncatedFrom: line.length }]);
  });

  it('is kept as such also when it is one block of a known line', () => {
    expect(bodies(assistant({ type: 'text', text: 'a' }, { type: 'sculpture', marble: true }))).toMatchObject([
      { kind: 'text' },
      { kind: 'unknown', type: 'assistant/sculpture' },
    ]);
  });

  it('does not matter as a further field of a known line', () => {
    expect(bodies({ ...assistant({ type: 'text', text: 'a', mood: 'good' }), mood: 'good' })).toEqual([
      { kind: 'text', text: 'a' },
    ]);
  });
});

describe('text', () => {
  it('longer than the journal takes is cut, never inside a character', () => {
    const text = `${'a'.repeat(MAX_ENTRY_TEXT - 1)}😀tail`;
    expect(bodies(assistant({ type: 'text', text }))).toEqual([
      { kind: 'text', text: 'a'.repeat(MAX_ENTRY_TEXT - 1), truncatedFrom: text.length },
    ]);
  });

  it('with half a character, which no store can hold, becomes text that can be stored', () => {
    expect(bodies('{"type":"assistant","message":{"content":[{"type":"text","text":"a\\ud800b"}]}}')).toEqual([
      { kind: 'text', text: 'a\ufffdb' },
    ]);
  });

  it('of no words adds nothing', () => {
    expect(read(assistant({ type: 'text', text: '\n' }))).toMatchObject({
      entries: [],
      redundant: 'text without text',
    });
    expect(read(assistant({ type: 'thinking', thinking: '', signature: 'x' }))).toMatchObject({ entries: [] });
    expect(read(assistant({ type: 'redacted_thinking', data: 'x' }))).toMatchObject({ entries: [] });
  });
});

describe('a tool call', () => {
  it('keeps its input as it is', () => {
    const input = { command: 'npm test', nested: { list: [1, null, true] } };
    expect(bodies(assistant({ type: 'tool_use', id: 't1', name: 'Bash', input }))).toEqual([
      { kind: 'tool-call', toolUseId: 't1', name: 'Bash', input },
    ]);
  });

  it('with a huge input keeps a part of known size', () => {
    const input = { file_path: 'big.txt', content: 'x'.repeat(10 * MAX_ENTRY_TEXT), list: Array(100_000).fill('y') };
    const [body] = bodies(assistant({ type: 'tool_use', id: 't1', name: 'Write', input }));
    expect(body).toMatchObject({
      kind: 'tool-call',
      input: { file_path: 'big.txt' },
      truncatedFrom: expect.any(Number),
    });
    expect(JSON.stringify(body).length).toBeLessThan(1.2 * MAX_ENTRY_TEXT);
  });

  it('nested without end is cut at a depth that can be walked', () => {
    const depth = 50_000;
    const line = `{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"X","input":${'['.repeat(depth)}${']'.repeat(depth)}}]}}`;
    const [body] = bodies(line);
    expect(body?.kind).toBe('tool-call');
    expect(JSON.stringify(body)).toContain('nested too deeply');
  });

  it('keeps keys that mean something to JavaScript as mere keys', () => {
    const line = `{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"X","input":{"__proto__":{"polluted":1},"z":"${'z'.repeat(MAX_ENTRY_TEXT)}"}}]}}`;
    const [body] = bodies(line);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(JSON.stringify(body)).toContain('__proto__');
  });
});

describe('a tool result', () => {
  const result = (content: unknown, rest: object = {}, details?: unknown) =>
    bodies(user([{ type: 'tool_result', tool_use_id: 't1', content, ...rest }], { tool_use_result: details }))[0];

  it('is text, whether it comes as a string or as blocks', () => {
    expect(result('ok')).toEqual({ kind: 'tool-result', toolUseId: 't1', text: 'ok', isError: false });
    expect(
      result([
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ]),
    ).toMatchObject({ text: 'a\nb' });
    expect(result(undefined)).toMatchObject({ text: '' });
  });

  it('names an image with its size instead of carrying it', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'A'.repeat(16_384) } };
    expect(result([{ type: 'text', text: 'screen' }, image])).toMatchObject({ text: 'screen\n[image, 12 KB]' });
  });

  it('of an edit carries the changed lines', () => {
    const hunk = { oldStart: 3, oldLines: 1, newStart: 3, newLines: 1, lines: ['-a', '+b'] };
    const details = {
      filePath: '/w/x.ts',
      oldString: 'a',
      newString: 'b',
      structuredPatch: [hunk],
      userModified: false,
    };
    expect(result('updated', {}, details)).toMatchObject({ edit: { path: '/w/x.ts', created: false, hunks: [hunk] } });
  });

  it('of a very large edit carries a part, and says so', () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => `+line ${index}`);
    const hunk = { oldStart: 1, oldLines: 0, newStart: 1, newLines: lines.length, lines };
    const body = result('updated', {}, { filePath: '/w/x.ts', structuredPatch: [hunk, hunk] });
    const kept = body?.kind === 'tool-result' ? (body.edit?.hunks ?? []) : [];
    expect(JSON.stringify(kept).length).toBeLessThan(2 * MAX_ENTRY_TEXT);
    expect(kept[0]?.lines.at(-1)).toMatch(/^\\ /);
  });

  it('of a failed tool is an error', () => {
    expect(result('no', { is_error: true }, 'Error: no')).toMatchObject({ isError: true, text: 'no' });
  });

  it('answers the question that was open for it', () => {
    const asked = {
      type: 'control_request',
      request_id: 'r1',
      request: { subtype: 'can_use_tool', tool_name: 'Bash', tool_use_id: 't1', input: {} },
    };
    const { state } = run([JSON.stringify(asked)]);
    expect(state.questions).toHaveLength(1);
    const line = JSON.stringify(user([{ type: 'tool_result', tool_use_id: 't1', content: 'ok' }]));
    expect(run([line], state).state.questions).toEqual([]);
  });
});

describe('text in the user’s place', () => {
  it('adds no entry if it repeats a prompt or reports an interruption', () => {
    expect(read(user('do it', { isReplay: true })).redundant).toContain('already in the journal');
    expect(read(user([{ type: 'text', text: '[Request interrupted by user for tool use]' }])).redundant).toContain(
      'interruption',
    );
  });

  it('becomes a notice if the CLI itself put it there', () => {
    expect(bodies(user('Continue from where you left off.', { isSynthetic: true }))).toEqual([
      { kind: 'notice', level: 'info', text: 'Given to Claude: Continue from where you left off.' },
    ]);
  });
});

describe('a question', () => {
  const asks = (request: object) =>
    JSON.stringify({ type: 'control_request', request_id: 'r1', request: { subtype: 'can_use_tool', ...request } });

  it('of a tool that asks to be let run says so, with the reason of the CLI; one of Claude to people does not', () => {
    const input = { file_path: '/etc/hosts', content: '' };
    const decision_reason = 'Path is outside allowed working directories';
    const write = run([asks({ tool_name: 'Write', input, decision_reason })]);
    expect(ofKind(write.entries, 'question')).toMatchObject([{ name: 'Write', permission: { why: decision_reason } }]);
    const question = run([asks({ tool_name: 'AskUserQuestion', input: { questions: [] } })]);
    expect(ofKind(question.entries, 'question')[0]).not.toHaveProperty('permission');
  });

  it('too long to be kept whole says how long it was', () => {
    const { entries } = run([asks({ tool_name: 'Bash', input: { command: 'x'.repeat(100_000) } })]);
    expect(ofKind(entries, 'question')[0]?.truncatedFrom).toBeGreaterThan(100_000);
  });

  it('that is withdrawn names what was asked', () => {
    const asked =
      '{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}';
    const { entries } = run([asked, '{"type":"control_cancel_request","request_id":"r1"}']);
    expect(ofKind(entries, 'question')).toMatchObject([
      { requestId: 'r1', name: 'Bash', status: 'asked' },
      { requestId: 'r1', name: 'Bash', status: 'withdrawn' },
    ]);
  });
});

describe('lines the CLI prints now and then', () => {
  it.each([
    [
      {
        type: 'system',
        subtype: 'model_fallback',
        trigger: 'overloaded',
        original_model: 'opus',
        fallback_model: 'sonnet',
      },
      { kind: 'model-changed', from: 'opus', to: 'sonnet', reason: 'overloaded' },
    ],
    [
      { type: 'system', subtype: 'compact_boundary', compact_metadata: { trigger: 'auto', pre_tokens: 9 } },
      { kind: 'compaction', trigger: 'auto', tokensBefore: 9, tokensAfter: null },
    ],
    [
      { type: 'system', subtype: 'informational', content: 'Careful', level: 'warning' },
      { kind: 'notice', level: 'warning', text: 'Careful' },
    ],
    [
      { type: 'system', subtype: 'status', status: null, compact_result: 'failed', compact_error: 'too short' },
      { kind: 'notice', level: 'warning', text: 'The conversation could not be compacted: too short' },
    ],
    [
      { type: 'rate_limit_event', rate_limit_info: { status: 'odd', resetsAt: 1e300, rateLimitType: 'new_window' } },
      { kind: 'rate-limit', status: 'odd', limit: 'new_window', resetsAt: null, utilization: null },
    ],
    [
      {
        type: 'result',
        subtype: 'error_during_execution',
        is_error: true,
        startup_failure_reason: 'bypass_root',
        errors: ['no root'],
      },
      { kind: 'result', isError: true, terminalReason: 'startup_failed', apiError: 'bypass_root', text: 'no root' },
    ],
  ])('%j', (line, body) => {
    expect(bodies(line)).toMatchObject([body]);
  });
});
