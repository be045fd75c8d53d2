/**
 * Lines as the CLI prints them, in a mix like that of real work: mostly small pieces of streamed text, now and then a
 * thought, a tool call with its result. Every piece bears the time at which it was made, so that its way can be measured.
 */

/** How a piece bears its time: `~<milliseconds since the epoch, with a fraction>~`. */
export const STAMP = /~(\d{13}\.\d{3})~/g;

/** Now, in milliseconds since the epoch, fine enough for a latency; comparable between processes of one machine. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

function stamp(): string {
  return `~${now().toFixed(3)}~`;
}

/** A line is made when it is asked for, so that its stamp is the time at which it is sent. */
export type Line = () => string;

const PIECES = 60;

/** Endless lines: messages of a thought, a text in `PIECES` pieces, a tool call, and its result. */
export function* lines(): Generator<Line> {
  for (let message = 1; ; message++) {
    const id = `msg_${message}`;
    const usage = {
      input_tokens: 4,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 12_000,
      output_tokens: 1,
    };
    yield event(id, { type: 'message_start', message: { id, role: 'assistant', model: 'claude-sonnet-5-5', usage } });
    yield* block(id, 0, 'thinking', 6);
    yield* block(id, 1, 'text', PIECES);
    yield* toolCall(id, 2, message);
  }
}

/** A line in which the CLI begins a turn. */
export const INIT = JSON.stringify({
  type: 'system',
  subtype: 'init',
  cwd: '/workspace/shop',
  session_id: 'bench',
  tools: ['Bash', 'Edit'],
  mcp_servers: [],
  model: 'claude-sonnet-5-5',
  claude_code_version: '2.1.330',
});

function event(id: string, body: object): Line {
  const line = { type: 'stream_event', event: body, session_id: 'bench', parent_tool_use_id: null, api_message_id: id };
  return () => JSON.stringify(line);
}

function assistant(id: string, content: () => object): Line {
  return () =>
    JSON.stringify({
      type: 'assistant',
      message: { id, type: 'message', role: 'assistant', model: 'claude-sonnet-5-5', content: [content()] },
      parent_tool_use_id: null,
      session_id: 'bench',
    });
}

function* block(id: string, index: number, kind: 'text' | 'thinking', count: number): Generator<Line> {
  const empty = kind === 'text' ? { type: 'text', text: '' } : { type: 'thinking', thinking: '', signature: '' };
  yield event(id, { type: 'content_block_start', index, content_block: empty });
  let whole = '';
  for (let piece = 0; piece < count; piece++) {
    yield () => {
      const words = `word ${piece} ${stamp()} `;
      whole += words;
      const delta = kind === 'text' ? { type: 'text_delta', text: words } : { type: 'thinking_delta', thinking: words };
      return event(id, { type: 'content_block_delta', index, delta })();
    };
  }
  yield assistant(id, () =>
    kind === 'text' ? { type: 'text', text: whole } : { type: 'thinking', thinking: whole, signature: 's' },
  );
  yield event(id, { type: 'content_block_stop', index });
}

function* toolCall(id: string, index: number, message: number): Generator<Line> {
  const toolId = `toolu_${message}`;
  yield event(id, {
    type: 'content_block_start',
    index,
    content_block: { type: 'tool_use', id: toolId, name: 'Bash', input: {} },
  });
  yield event(id, {
    type: 'content_block_delta',
    index,
    delta: { type: 'input_json_delta', partial_json: '{"command":"npm test"}' },
  });
  const input = { command: `npm test -- --grep "case ${message}"`, description: 'Run the tests that cover the change' };
  yield assistant(id, () => ({ type: 'tool_use', id: toolId, name: 'Bash', input }));
  yield event(id, { type: 'content_block_stop', index });
  yield () => {
    const content = `${stamp()} 60 tests, 60 passed\n${'ok 1 - the total counts every piece\n'.repeat(60)}`;
    return JSON.stringify({
      type: 'user',
      message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: toolId, content }] },
      parent_tool_use_id: null,
      session_id: 'bench',
    });
  };
}
