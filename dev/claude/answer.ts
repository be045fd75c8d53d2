/** The script's next message as the API's answer: content blocks with ids, usage, stop reason. */
import { randomBytes } from 'node:crypto';
import {
  type AnswerBlock,
  type AnswerMessage,
  estimateTokens,
  estimateUsage,
  type MessagesRequest,
} from './messages-api.ts';
import type { Answer, Step } from './script.ts';

/**
 * Makes the whole answer. Thinking is left out where the request has none enabled; text longer than `max_tokens` is cut and the stop
 * reason says so.
 */
export function toAnswer(request: MessagesRequest, message: Step | Answer): AnswerMessage {
  const content: AnswerBlock[] = [];
  const thinks = request.thinking !== undefined && request.thinking.type !== 'disabled';
  if (message.thinking && thinks) {
    const signature = randomBytes(96).toString('base64');
    content.push({ type: 'thinking', thinking: message.thinking, signature });
  }
  const most = request.max_tokens * 4;
  const cut = message.text !== undefined && message.text.length > most;
  if (message.text) content.push({ type: 'text', text: cut ? message.text.slice(0, most) : message.text });
  const calls = 'calls' in message && !cut ? message.calls : [];
  for (const call of calls) content.push({ type: 'tool_use', id: makeId('toolu_01'), ...call });
  return {
    id: makeId('msg_01'),
    type: 'message',
    role: 'assistant',
    model: request.model,
    content,
    stop_reason: cut ? 'max_tokens' : calls.length > 0 ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: estimateUsage(
      request,
      content.reduce((sum, block) => sum + estimateTokens(block), 0),
    ),
  };
}

/** An id as the API makes them: the prefix and 22 letters and digits. */
export function makeId(prefix: string): string {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  return prefix + Array.from(randomBytes(22), (byte) => alphabet[byte % alphabet.length]).join('');
}
