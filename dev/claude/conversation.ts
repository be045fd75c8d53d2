/**
 * What a request's messages say about the work so far (pure): where it is done, what people asked, which tools were
 * called with what result. Shapes measured with CLI 2.1.330.
 */
import {
  type ContentBlock,
  isText,
  isToolResult,
  isToolUse,
  type Message,
  type MessagesRequest,
} from './messages-api.ts';
import type { ToolResult } from './script.ts';

/**
 * One message of the model that called tools, with the results in the order of the calls; or one that ended with words, after which
 * the CLI told that something in the background is done: then that is its one result.
 */
interface PastStep {
  results: ToolResult[];
}

/** What a person wrote while a turn was running. */
interface Interjection {
  text: string;
  /** How many steps of the turn were done when it arrived. */
  afterStep: number;
}

/** One prompt and what followed. */
export interface Turn {
  prompt: string;
  steps: PastStep[];
  interjections: Interjection[];
  /** What the model said last before its stream broke off: it is asked to continue from there. Null: nothing broke off. */
  cutOff: string | null;
}

export interface Conversation {
  /** Where the tools run; empty if the request does not say. */
  directory: string;
  turns: Turn[];
}

/** How the CLI asks to continue where a stream broke off after a finished block; what was finished is before it. */
const cutOffMark = 'Your response above was cut off mid-stream.';

/** Texts the CLI itself puts in the user's place; none of them begins a turn. */
const notFromPeople = [
  cutOffMark,
  '<system-reminder>',
  '<local-command-',
  '<command-name>',
  '<task-notification>',
  '[Request interrupted by user',
  'Continue from where you left off.',
  'Stop hook feedback',
];

/** How Cyrus asks to continue after Claude's process or its sandbox was lost (src/session/lifecycle/turn/sandbox-retries.ts): no new request. */
const goesOn = ['Your process ended unexpectedly', 'The sandbox you worked in was lost.'];

const interjected =
  /The user sent a new message while you were working:\n([\s\S]*?)(?=\n\nThis is how Claude Code surfaces|\n\nThe user sent a new message while you were working:|\n<\/system-reminder>|$)/g;

/** How the CLI tells that a helper or a command in the background is done, in a request of its own (measured with CLI 2.1.330). */
const notified = /<task-notification>([\s\S]*?)<\/task-notification>/g;

/** A call without a result: the CLI lost it when it was killed. */
const lost: ToolResult = { text: '', isError: true };

/** Reads a request. */
export function readConversation(request: MessagesRequest): Conversation {
  const turns: Turn[] = [];
  let said = '';
  let hasCalled = false;
  /** What was told in the background since the model spoke last. */
  let told: PastStep | null = null;
  const results = resultsOf(request.messages);
  let directory = workingDirectory(systemText(request.system)) ?? '';
  for (const message of request.messages) {
    const blocks = blocksOf(message);
    const turn = turns.at(-1);
    if (message.role === 'assistant') {
      const calls = blocks.filter(isToolUse);
      hasCalled = calls.length > 0;
      told = null;
      if (turn && calls.length > 0) {
        turn.steps.push({ results: calls.map((call) => results.get(call.id) ?? lost) });
        turn.cutOff = null;
      }
      said = textsOf(blocks).join('\n\n');
      continue;
    }
    const texts = textsOf(blocks);
    if (turn && texts.some((text) => text.trimStart().startsWith(cutOffMark))) turn.cutOff = said;
    const news = notifications(texts);
    // In the middle of a turn it comes along with the results of tools, and asks for nothing by itself.
    if (turn && !hasCalled && news.length > 0) {
      if (told) told.results.push(...news);
      else {
        told = { results: news };
        turn.steps.push(told);
      }
    }
    for (const text of texts) {
      if (message.role === 'system' || text.startsWith('<system-reminder>')) {
        directory ||= workingDirectory(text) ?? '';
        for (const match of text.matchAll(interjected)) {
          turn?.interjections.push({ text: (match[1] ?? '').trim(), afterStep: turn.steps.length });
        }
      }
    }
    if (message.role === 'system') continue;
    const asked = texts.filter((text) => !notFromPeople.some((start) => text.trimStart().startsWith(start)));
    const prompt = asked.join('\n\n').trim();
    if (turn && goesOn.some((start) => prompt.startsWith(start))) continue;
    if (prompt !== '') turns.push({ prompt, steps: [], interjections: [], cutOff: null });
  }
  return { directory, turns };
}

/** What the CLI tells of helpers and commands that are done: their report, or the summary of how they ended. */
function notifications(texts: string[]): ToolResult[] {
  return texts.flatMap((text) =>
    [...text.matchAll(notified)].map(([, body = '']) => {
      const field = (name: string) => new RegExp(`<${name}>([\\s\\S]*?)</${name}>`).exec(body)?.[1]?.trim();
      return { text: field('result') ?? field('summary') ?? '', isError: field('status') !== 'completed' };
    }),
  );
}

function blocksOf(message: Message): ContentBlock[] {
  return typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content;
}

function textsOf(blocks: ContentBlock[]): string[] {
  return blocks.filter(isText).map((block) => block.text);
}

function systemText(system: MessagesRequest['system']): string {
  if (system === undefined || typeof system === 'string') return system ?? '';
  return system.map((block) => block.text).join('\n');
}

function workingDirectory(text: string): string | undefined {
  return /^\s*-?\s*(?:Primary working directory|Working directory): (.+)$/m.exec(text)?.[1]?.trim();
}

/** Results by the id of their call. */
function resultsOf(messages: Message[]): Map<string, ToolResult> {
  const results = new Map<string, ToolResult>();
  for (const block of messages.flatMap(blocksOf).filter(isToolResult)) {
    const content = block.content ?? '';
    const texts = typeof content === 'string' ? [content] : content.filter(isText).map((part) => part.text);
    results.set(block.tool_use_id, { text: texts.join('\n'), isError: block.is_error ?? false });
  }
  return results;
}
