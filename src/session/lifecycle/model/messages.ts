/** What is said in a thread. The shape is stored with the effects that say it. */
import type { SharedFile } from '../../../protocol/files.ts';

/** What a message consists of. Bodies and results are Markdown and never empty. */
export type MessageContent =
  | { type: 'thought'; body: string }
  | { type: 'action'; action: string; parameter: string; result?: string }
  | { type: 'response'; body: string }
  | { type: 'error'; body: string }
  | { type: 'elicitation'; body: string };

/** A message; an ephemeral one disappears as soon as the next one arrives. */
export interface Message {
  content: MessageContent;
  ephemeral: boolean;
  /** The shared files it links, as they were when it was said. */
  files?: SharedFile[];
  /** Offered with an elicitation; people may answer in their own words all the same. */
  options?: { label: string; value: string }[];
}

/** Whether it ends a turn. */
export function isClosing({ content }: Message): boolean {
  return content.type === 'response' || content.type === 'error';
}
