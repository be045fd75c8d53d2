/** Lines as the CLI prints them (shapes measured with CLI 2.1.330), each with a mark by which it is known wherever it turns up. */

const CWD = '/workspace/shop';
const SESSION = 'chaos';

/** A turn begins. */
export function init(): string {
  return JSON.stringify({
    type: 'system',
    subtype: 'init',
    cwd: CWD,
    session_id: SESSION,
    tools: ['Bash', 'Edit', 'AskUserQuestion'],
    mcp_servers: [],
    model: 'claude-sonnet-5-5',
    claude_code_version: '2.1.330',
  });
}

/** What the CLI tells of a prompt: it lies in its queue, or has gone into the conversation. */
export function lifecycle(promptId: string, state: 'queued' | 'started'): string {
  return JSON.stringify({
    type: 'command_lifecycle',
    command_uuid: promptId,
    state,
    uuid: promptId,
    session_id: SESSION,
  });
}

export function text(mark: string): string {
  return assistant(mark, { type: 'text', text: `The quantity was ignored, see ${mark}.` });
}

/** The words of a result that `text` with the same mark gave before. */
export function result(mark: string, promptIds: string[], more: object = {}): string {
  return JSON.stringify({
    type: 'result',
    subtype: 'success',
    is_error: false,
    terminal_reason: 'completed',
    result: `The quantity was ignored, see ${mark}.`,
    num_turns: 2,
    duration_ms: 1200,
    total_cost_usd: 0.01,
    usage: { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
    permission_denials: [],
    user_message_uuids: promptIds,
    session_id: SESSION,
    ...more,
  });
}

/** Claude's API was overloaded until the CLI gave up. */
export function overloaded(promptIds: string[]): string {
  const error = { is_error: true, terminal_reason: 'api_error', api_error: 'overloaded', api_error_status: 529 };
  return result('', promptIds, { ...error, result: 'API Error: 529 overloaded' });
}

/** The answer to an interrupt. */
export function aborted(promptIds: string[]): string {
  return result('', promptIds, {
    subtype: 'error_during_execution',
    is_error: true,
    terminal_reason: 'aborted_tools',
    result: '',
    errors: ['[ede_diagnostic] result_type=user'],
  });
}

export function toolCall(mark: string): string {
  const input = { command: `npm test -- --grep ${mark}`, description: 'Run the test' };
  return assistant(mark, { type: 'tool_use', id: `toolu_${mark}`, name: 'Bash', input });
}

export function toolResult(mark: string): string {
  const content = [{ type: 'tool_result', tool_use_id: `toolu_${mark}`, content: `1 test, 1 passed (${mark})` }];
  return JSON.stringify({
    type: 'user',
    message: { role: 'user', content },
    parent_tool_use_id: null,
    session_id: SESSION,
  });
}

/** What Claude asks people; the answers come back completed into this. */
export const QUESTION = {
  questions: [
    {
      question: 'Which rounding do you want?',
      header: 'Rounding',
      multiSelect: false,
      options: [
        { label: 'Half up', description: 'As in school' },
        { label: 'Half even', description: 'As in banks' },
      ],
    },
  ],
};

export function question(mark: string): string[] {
  const request = {
    subtype: 'can_use_tool',
    tool_name: 'AskUserQuestion',
    input: QUESTION,
    tool_use_id: `toolu_${mark}`,
  };
  return [
    assistant(mark, { type: 'tool_use', id: `toolu_${mark}`, name: 'AskUserQuestion', input: QUESTION }),
    JSON.stringify({ type: 'control_request', request_id: `request-${mark}`, request }),
  ];
}

function assistant(mark: string, content: object): string {
  return JSON.stringify({
    type: 'assistant',
    message: { id: `msg_${mark}`, role: 'assistant', model: 'claude-sonnet-5-5', content: [content] },
    parent_tool_use_id: null,
    session_id: SESSION,
  });
}
