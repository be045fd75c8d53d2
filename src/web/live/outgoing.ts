/**
 * Prompts written on this page that the journal does not show yet. Pure. A prompt keeps the id the page chose, so that
 * sending it again (after a network loss, after a reload) prompts once.
 */
import * as z from 'zod';
import type { JournalEntry } from '../../protocol/journal.ts';

export const outgoingSchema = z.object({
  /** UUID; the prompt entry carries it as `promptId`. */
  id: z.uuid(),
  text: z.string(),
  at: z.number(),
  /** `sending` until the server has it; `accepted` until the journal shows it; `refused` until a person decides. */
  state: z.enum(['sending', 'accepted', 'refused']),
  /** What the server said when it refused, or why it is still being tried. */
  message: z.string().optional(),
});
export type Outgoing = z.infer<typeof outgoingSchema>;

/** What became of a prompt: the server has it, or will not take it and says why, or it shall be sent again. */
export type Delivery =
  | { state: 'accepted' }
  | { state: 'refused'; message: string }
  | { state: 'sending'; message?: string };

/** The prompts with the delivery of one of them noted; a prompt the journal already showed stays gone. */
export function delivered(prompts: readonly Outgoing[], id: string, delivery: Delivery): readonly Outgoing[] {
  return prompts.map((prompt) => {
    if (prompt.id !== id) return prompt;
    const { message: _, ...rest } = prompt;
    return { ...rest, ...delivery };
  });
}

/** The prompts without those that the entries show. The same array when there is none. */
export function withoutShown(prompts: readonly Outgoing[], entries: readonly JournalEntry[]): readonly Outgoing[] {
  if (prompts.length === 0) return prompts;
  const shown = new Set<string>();
  for (const entry of entries) if (entry.kind === 'prompt') shown.add(entry.promptId);
  const left = prompts.filter((prompt) => !shown.has(prompt.id));
  return left.length === prompts.length ? prompts : left;
}

/** The next prompt to send: one at a time and in order, so that they arrive as they were written. */
export function nextToSend(prompts: readonly Outgoing[]): Outgoing | null {
  return prompts.find((prompt) => prompt.state === 'sending') ?? null;
}
