/**
 * Which prompts Claude has begun to read, by the CLI's lines (measured with CLI 2.1.330, `command_lifecycle` and
 * `user_message_uuids`): a prompt is `queued` when the CLI has it, and `started` when it goes into the conversation. Pure.
 */
import * as z from 'zod';
import { parseJson } from '../lib/parse-json.ts';

const lineSchema = z.union([
  z.looseObject({ type: z.literal('command_lifecycle'), command_uuid: z.string(), state: z.string() }),
  z.looseObject({
    type: z.enum(['system', 'assistant']),
    subtype: z.string().optional().catch(undefined),
    user_message_uuids: z.array(z.string()),
  }),
]);

/** @returns ids of the prompts that a line says are read, none where it only shows that the CLI tells; null: it says nothing */
export function promptsRead(line: string): string[] | null {
  // Most lines say nothing of it, and need not be parsed for that.
  if (!line.includes('"command_lifecycle"') && !line.includes('"user_message_uuids"')) return null;
  const parsed = lineSchema.safeParse(parseJson(line));
  if (!parsed.success) return null;
  const event = parsed.data;
  if (event.type !== 'command_lifecycle') return event.user_message_uuids;
  return event.state === 'started' ? [event.command_uuid] : [];
}
