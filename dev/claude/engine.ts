/** From a request to the next message of the script (pure): the script is replayed with the results the request holds. */
import { type Conversation, readConversation, type Turn } from './conversation.ts';
import type { MessagesRequest } from './messages-api.ts';
import { type Answer, firstWords, type Part, type Script, type Step, type ToolResult } from './script.ts';
import { chooseScript, requestText } from './scripts.ts';

export interface NextMessage {
  /** Name of the script, for the log. */
  script: string;
  /** How many steps of this turn were done before. */
  step: number;
  /** A step calls tools, an answer ends the turn. */
  message: Step | Answer;
}

/** How the CLI asks for a summary when it compacts a conversation (measured with CLI 2.1.330). */
const compaction = /^Your task is to create a detailed summary of/m;

/**
 * Decides what the model says next. The same request always gets the same answer.
 * @param known the scripts that a marker can select, by name
 */
export function nextMessage(request: MessagesRequest, known: Record<string, Script>): NextMessage {
  const conversation = readConversation(request);
  const turn = conversation.turns.at(-1);
  if (!turn || !request.tools?.length) {
    return { script: 'background', step: 0, message: { text: backgroundText(request) } };
  }
  if (compaction.test(turn.prompt)) {
    return { script: 'compaction', step: 0, message: { text: summary(conversation) } };
  }
  const { name, generator } = wholeTurn(conversation, turn, known);
  let next = generator.next();
  for (const step of turn.steps) {
    if (next.done) break;
    next = generator.next(step.results);
  }
  const message = withoutWhatWasSaid(withAcknowledgement(next.value, turn), turn.cutOff);
  return { script: name, step: turn.steps.length, message };
}

/** After a stream that broke off, the rest of the message: "no apology, no recap" is how the CLI asks for it. */
function withoutWhatWasSaid(message: Step | Answer, cutOff: string | null): Step | Answer {
  if (cutOff === null || cutOff === '') return message;
  const { thinking: _, text = '', ...rest } = message;
  const left = text.startsWith(cutOff) ? text.slice(cutOff.length) : text;
  if ('calls' in rest) return { ...rest, ...(left && { text: left }) };
  return { ...rest, text: left || 'That was all.' };
}

/** The turn's script, and then whatever was asked while it ran. */
function wholeTurn(
  conversation: Conversation,
  turn: Turn,
  known: Record<string, Script>,
): { name: string; generator: Part<Answer> } {
  const { name, script, args } = chooseScript(known, turn.prompt, conversation.turns.length === 1);
  const { directory } = conversation;
  function* all(): Generator<Step, Answer, ToolResult[]> {
    const first = yield* script({ prompt: requestText(turn.prompt), whole: turn.prompt, args, directory });
    const texts = [first.text];
    for (const interjection of turn.interjections) {
      const more = chooseScript(known, interjection.text, false);
      const asked = { prompt: requestText(interjection.text), whole: interjection.text };
      texts.push((yield* more.script({ ...asked, args: more.args, directory })).text);
    }
    return { ...first, text: texts.join('\n\n') };
  }
  return { name, generator: all() };
}

/** The first message after somebody wrote says that it was read. */
function withAcknowledgement(message: Step | Answer, turn: Turn): Step | Answer {
  const fresh = turn.interjections.filter((interjection) => interjection.afterStep === turn.steps.length);
  if (fresh.length === 0) return message;
  const words = fresh.map((interjection) => `“${firstWords(requestText(interjection.text))}”`).join(' and ');
  const note = `You wrote while I was working: ${words}. I take that up as soon as this is done.`;
  return { ...message, text: message.text ? `${note}\n\n${message.text}` : note };
}

/** Small requests of the CLI beside the conversation (titles and the like): something harmless, as JSON where asked for. */
function backgroundText(request: MessagesRequest): string {
  const format = request.output_config?.format;
  if (format?.type !== 'json_schema') return 'Scripted session';
  const schema = format.schema;
  const properties = typeof schema === 'object' && schema !== null && 'properties' in schema ? schema.properties : {};
  const answer: Record<string, unknown> = {};
  for (const [key, property] of Object.entries(properties ?? {})) answer[key] = harmlessValue(property);
  return JSON.stringify(answer);
}

function harmlessValue(property: unknown): unknown {
  const { type, enum: choices }: { type?: unknown; enum?: unknown } = Object(property);
  if (Array.isArray(choices)) return choices[0];
  if (type === 'boolean') return false;
  if (type === 'number' || type === 'integer') return 0;
  if (type === 'array') return [];
  return type === 'object' ? {} : 'Scripted session';
}

/** What stays of a conversation when the CLI compacts it. */
function summary(conversation: Conversation): string {
  const asked = conversation.turns
    .slice(0, -1)
    .map((turn, index) => `${index + 1}. ${firstWords(requestText(turn.prompt), 40)}`);
  return `<analysis>\nThe requests so far, in their order.\n</analysis>\n\n<summary>\nAsked so far:\n${asked.join('\n')}\n</summary>`;
}
