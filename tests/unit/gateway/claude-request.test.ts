import { describe, expect, it } from 'vitest';
import { type ClaudeAllowance, readAllowance } from '../../../src/claude-quota/api-allow-list.ts';
import { ClaudeRequestReader, checkBetas, modelsOf, RequestRefused } from '../../../src/gateway/claude/request.ts';

const nothing: ClaudeAllowance = { betas: [], keys: [], tools: [], models: [] };
const usual = {
  model: 'claude-sonnet-5-5',
  max_tokens: 128_000,
  messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
  system: [{ type: 'text', text: 'You are Claude.', cache_control: { type: 'ephemeral' } }],
  tools: [{ name: 'Bash', description: 'Runs a command', input_schema: { type: 'object', properties: {} } }],
  metadata: { user_id: 'x' },
  thinking: { type: 'adaptive', display: 'updates' },
  context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
  output_config: { effort: 'medium' },
  stream: true,
};

/** Why a body is refused; null if it is not. */
function refusal(body: unknown, { allowance = nothing, started = ['sonnet'] } = {}): string | null {
  const reader = new ClaudeRequestReader(allowance, modelsOf(started));
  try {
    const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
    for (let at = 0; at < bytes.length; at += 50) reader.take(bytes.subarray(at, at + 50));
    reader.end();
    return null;
  } catch (error) {
    if (error instanceof RequestRefused) return error.message;
    throw error;
  }
}

const saying = (...content: object[]) => ({ ...usual, messages: [{ role: 'user', content }] });

describe('a request to Claude’s API', () => {
  it('passes as the CLI sends it, with pictures, documents and web search', () => {
    expect(refusal(usual)).toBeNull();
    const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } };
    expect(refusal(saying(picture, { type: 'tool_result', tool_use_id: 'a', content: [picture] }))).toBeNull();
    expect(refusal({ ...usual, tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 8 }] })).toBeNull();
  });

  it.each([
    ['a picture by its address', { type: 'image', source: { type: 'url', url: 'https://evil.example/x' } }],
    ['a document by its address', { type: 'document', source: { url: 'https://evil.example/x', type: 'base64' } }],
    ['a file of the account', { type: 'document', source: { type: 'file', file_id: 'file_1' } }],
    [
      'a picture by its address within the result of a tool',
      { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'image', source: { type: 'url', url: 'x' } }] },
    ],
    [
      'a picture by its address within a document',
      { type: 'document', source: { type: 'content', content: [{ type: 'image', source: { type: 'url' } }] } },
    ],
    ['a file for a server tool', { type: 'container_upload', file_id: 'file_1' }],
  ])('is refused with %s', (_what, block) => {
    expect(refusal(saying(block))).not.toBeNull();
    expect(refusal({ ...usual, system: [block] })).not.toBeNull();
    // Not in a list, as the API wants it, but alone: what reads more leniently must not find it either.
    expect(refusal({ ...usual, messages: [{ role: 'user', content: block }] })).not.toBeNull();
  });

  it('does not take the input of a tool, or the schema of one, for the request itself', () => {
    const input = { source: { type: 'url', url: 'https://example.com' }, mcp_servers: [], type: 'container_upload' };
    expect(refusal(saying({ type: 'tool_use', id: 'a', name: 'Fetch', input }))).toBeNull();
    expect(refusal({ ...usual, tools: [{ name: 'x', input_schema: { properties: { source: input } } }] })).toBeNull();
  });

  it.each(['mcp_servers', 'container', 'service_tier', 'speed', 'fallback_models', 'inference_geo'])(
    'is refused with the field %s, and says how an admin allows it',
    (key) => {
      expect(refusal({ ...usual, [key]: [] })).toBe(
        `the field "${key}". An admin can allow it: CLAUDE_API_ALLOW = "key:${key}"`,
      );
      expect(refusal({ ...usual, [key]: [] }, { allowance: readAllowance(`key:${key}`) ?? nothing })).toBeNull();
    },
  );

  it.each([
    'web_fetch_20250910',
    'web_search_20260209',
    'code_execution_20250825',
    'advisor_20260301',
    'mcp_toolset',
    'bash_code_execution',
    'tool_search_tool_bm25_and_more',
    'Custom',
    'x'.repeat(500),
  ])('is refused with the tool type %s, which the API would run', (type) => {
    expect(refusal({ ...usual, tools: [{ type, name: 'tool' }] })).toContain('tool type');
    // Tools can be changed within a conversation too.
    expect(refusal({ ...usual, messages: [{ role: 'system', tools: [{ type }] }] })).toContain('tool type');
    expect(refusal(saying({ type: 'tool_addition', tool: { type } }))).toContain('tool type');
  });

  it('asks the models of its session and the small one, and no other', () => {
    const asks = (model: string, started?: string[]) => refusal({ ...usual, model }, { ...(started && { started }) });
    expect(asks('claude-haiku-5-5')).toBeNull();
    expect(asks('claude-opus-5-5')).toContain('the model "claude-opus-5-5"');
    expect(asks('claude-opus-5-5', ['sonnet', 'opus'])).toBeNull();
    expect(asks('claude-sonnet-5-5[1m]')).toBeNull();
    expect(asks('claude-next-1', ['claude-next-1'])).toBeNull();
    expect(asks('gpt-5')).not.toBeNull();
    expect(asks('not-claude-sonnet')).not.toBeNull();
  });

  it('is refused if two readers could take it for two requests', () => {
    expect(refusal('{"model":"claude-sonnet-5-5","model":"claude-opus-5-5"}')).toContain('twice');
    expect(refusal('{"model":"claude-sonnet-5-5","m\\u006fdel":"claude-opus-5-5"}')).toContain('twice');
    for (const odd of [
      '{"model":"claude-sonnet-5-5","Model":"x"}',
      '{"model":"claude-sonnet-5-5","messages":[{"content":[{"type":"image","source":{"\\u0075rl":"https://evil.example"}}]}]}',
      '{"model":"claude-sonnet-5-5","tools":[{"t\\u0079pe":"web\\u005ffetch_20250910"}]}',
      '{"model":"claude-sonnet-5-5","messages":[{"content":[{"type":"image","source":{"type":"\\u0075rl"}}]}]}',
      `{"model":"claude-sonnet-5-5","messages":${'['.repeat(300)}${']'.repeat(300)}}`,
      `{"model":"claude-sonnet-5-5","${'k'.repeat(9_000)}":1}`,
      '{"model":"claude-sonnet-5-5","max_tokens":1e400}',
      "{'model':'claude-sonnet-5-5'}",
      '{"model":"claude-sonnet-5-5",/* more */"stream":true}',
      '{"model":"claude-sonnet-5-5","stream":NaN}',
      '\u{feff}{"model":"claude-sonnet-5-5"}',
      '{"model":"claude-sonnet-5-5"}\0',
    ]) {
      expect(refusal(odd), odd.slice(0, 80)).not.toBeNull();
    }
    for (const broken of ['', 'null', '[]', '"x"', '{"model":"claude-sonnet-5-5"', '{} {}', '{"a":1,}']) {
      expect(refusal(broken), broken).not.toBeNull();
    }
  });

  it('has a bound on the tokens of its answer and on its size', () => {
    expect(refusal({ ...usual, max_tokens: 10_000_000 })).toContain('max_tokens');
    const reader = new ClaudeRequestReader(nothing, modelsOf(undefined));
    const megabyte = new Uint8Array(1024 * 1024).fill(0x20);
    expect(() => {
      for (let piece = 0; piece < 40; piece += 1) reader.take(megabyte);
    }).toThrow('more than 32 MiB');
  });

  it('asks only for betas that the CLI uses', () => {
    checkBetas('claude-code-20250219, oauth-2025-04-20', nothing);
    for (const beta of [
      'mcp-client-2025-11-20',
      'code-execution-2025-08-25',
      'files-api-2025-04-14',
      'fast-mode-2026-02-01',
    ])
      expect(() => checkBetas(`claude-code-20250219,${beta}`, nothing), beta).toThrow(beta);
    checkBetas('files-api-2025-04-14', readAllowance('beta:files-api-2025-04-14') ?? nothing);
  });
});
