/**
 * Which prompts Claude has begun to read, by the CLI's lines (measured with CLI 2.1.330, `command_lifecycle` and
 * `user_message_uuids`): a prompt is `queued` when the CLI has it, and `started` when it goes into the conversation. Pure.
 */
import { parseJson } from '../lib/parse-json.ts';
import { commandLifecycleLineSchema, promptsReadLineSchema } from '../protocol/claude-line.ts';

/** @returns ids of the prompts that a line says are read, none if it only shows that the CLI tells; null: it says nothing */
export function promptsRead(line: string): string[] | null {
  // Most lines say nothing of it, and need not be parsed for that.
  if (!line.includes('"command_lifecycle"') && !line.includes('"user_message_uuids"')) return null;
  const fields = parseJson(line);
  const begun = promptsReadLineSchema.safeParse(fields);
  if (begun.success) return begun.data.user_message_uuids;
  const lifecycle = commandLifecycleLineSchema.safeParse(fields);
  if (!lifecycle.success || lifecycle.data.command_uuid === undefined) return null;
  return lifecycle.data.state === 'started' ? [lifecycle.data.command_uuid] : [];
}
