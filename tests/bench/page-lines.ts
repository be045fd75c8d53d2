/** What a long turn consists of, as lines of the CLI: texts, thoughts, and tool calls with their results. Each line is one entry. */

/** A line as the CLI prints it. @param content of the message */
function line(type: 'assistant' | 'user', id: string, content: object): string {
  const message = type === 'assistant' ? { id, role: type, model: 'claude-sonnet-5-5' } : { role: type };
  return JSON.stringify({
    type,
    message: { ...message, type: 'message', content: [content] },
    parent_tool_use_id: null,
    session_id: 'bench',
  });
}

/** The text that entry `number` shows, by which it is recognised on a page. */
export function markOf(number: number): string {
  return `Entry number ${number}.`;
}

/**
 * Entry `number` of a turn, from 1: of twenty, one is a text, one a thought, and the others are nine calls with their results, one of
 * which reads a file.
 */
export function pageLine(number: number): string {
  const place = number % 20;
  const id = `msg_${number}`;
  const words = `${markOf(number)} The total has to **count** every piece of an item, so \`cartTotal\` multiplies by its quantity.`;
  if (place === 0) return line('assistant', id, { type: 'text', text: `${words}\n\n- one point\n- and another` });
  if (place === 1) return line('assistant', id, { type: 'thinking', thinking: `${words} ${words}`, signature: 's' });
  const isCall = place % 2 === 0;
  const call = isCall ? number : number - 1;
  const toolUseId = `toolu_${call}`;
  if (!isCall) {
    const content = `${markOf(number)}\n${'ok 1 - the total counts every piece\n'.repeat(1 + (call % 14))}`;
    return line('user', id, { type: 'tool_result', tool_use_id: toolUseId, content });
  }
  const input =
    place === 8
      ? { name: 'Read', input: { file_path: `/workspace/shop/src/part-${call}.ts` } }
      : { name: 'Bash', input: { command: `npm test -- --grep "${markOf(number)}"`, description: 'Run the tests' } };
  return line('assistant', id, { type: 'tool_use', id: toolUseId, ...input });
}

/** Two lines that are a call of a tool and its result. */
export function callLines(number: number): [string, string] {
  const toolUseId = `toolu_more_${number}`;
  const call = { type: 'tool_use', id: toolUseId, name: 'Bash', input: { command: `echo ${number}` } };
  const result = { type: 'tool_result', tool_use_id: toolUseId, content: markOf(number) };
  return [line('assistant', `more_${number}`, call), line('user', `more_${number}`, result)];
}
