/**
 * Questions that Claude asks by its tool AskUserQuestion: told as elicitations, answered by an option or in free words.
 * The answer returns to the same tool call while its sandbox runs; later it begins the work anew, as a prompt.
 */
import { z } from 'zod';
import type { JournalBody } from '../protocol/journal.ts';
import type { EventOf } from './events.ts';
import { type ClaudeQuestion, type Turn, type TurnPrompt, threadsOf } from './state.ts';
import type { Step } from './step.ts';
import { resumeWith } from './turn.ts';

/** Input of AskUserQuestion (measured with CLI 2.1.330). */
const inputSchema = z.looseObject({
  questions: z
    .array(
      z.looseObject({
        question: z.string().min(1),
        options: z.array(z.looseObject({ label: z.string(), description: z.string().optional() })).default([]),
      }),
    )
    .min(1),
});

type QuestionEntry = Extract<JournalBody, { kind: 'question' }>;

/** Claude asks, or takes a question back. Other tools that ask for permission are not let through by the sandbox. */
export function takeQuestion(step: Step, entry: QuestionEntry): void {
  const { phase } = step.state;
  if (entry.status === 'withdrawn') {
    const isThis =
      phase.name === 'asking' && phase.about.kind === 'claude' && phase.about.requestId === entry.requestId;
    if (isThis) step.enter({ name: 'working', since: step.now, turn: phase.turn });
    return;
  }
  if (phase.name !== 'working' || entry.name !== 'AskUserQuestion') return;
  const input = inputSchema.safeParse(entry.input);
  if (!input.success) return;
  const about: ClaudeQuestion = {
    kind: 'claude',
    requestId: entry.requestId,
    input: input.data,
    questions: input.data.questions.map(({ question, options }) => ({
      question,
      options: options.map(({ label }) => label),
    })),
    answers: {},
    isLive: true,
  };
  step.enter({ name: 'asking', since: step.now, turn: phase.turn, about });
  askNext(step, about);
  step.effect({ kind: 'index-session' });
}

function nextQuestion({ questions, answers }: ClaudeQuestion): ClaudeQuestion['questions'][number] | undefined {
  return questions.find(({ question }) => !(question in answers));
}

function askNext(step: Step, about: ClaudeQuestion): void {
  const { phase } = step.state;
  if (phase.name === 'asking') for (const thread of threadsOf(phase.turn)) elicit(step, thread, about, '');
}

/** Asks a thread again, after something else was said there. */
export function repeatClaudeQuestion(step: Step, thread: string, preface: string): void {
  const { phase } = step.state;
  if (phase.name === 'asking' && phase.about.kind === 'claude') elicit(step, thread, phase.about, `${preface}\n\n`);
}

function elicit(step: Step, thread: string, about: ClaudeQuestion, preface: string): void {
  const next = nextQuestion(about);
  if (!next) return;
  const list = next.options.map((option, index) => `${index + 1}. ${option}`).join('\n');
  const body = list === '' ? next.question : `${next.question}\n\n${list}`;
  const options = next.options.map((option) => ({ label: option, value: option }));
  step.elicit(thread, `${preface}${body}`, options);
}

/** A prompt while Claude asks is the answer: an option by number or name, or whatever was said. */
export function takeReply(step: Step, prompt: TurnPrompt, text: string): void {
  const { phase } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'claude') return;
  const { about } = phase;
  const next = nextQuestion(about);
  if (!next) return;
  const answered = { ...about, answers: { ...about.answers, [next.question]: readOption(text, next.options) } };
  // The tool call takes the answer in, so no result will name this prompt; its thread is owed the result all the same.
  const turn = { ...phase.turn, prompts: [...phase.turn.prompts, { ...prompt, inherited: true }] };
  step.enter({ ...phase, turn, about: answered });
  if (nextQuestion(answered)) {
    askNext(step, answered);
    return;
  }
  if (!answered.isLive) {
    beginAnew(step, turn, answered);
    return;
  }
  step.enter({ name: 'working', since: step.now, turn });
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now } });
  const input = { ...answered.input, answers: answered.answers };
  step.effect({ kind: 'answer-sandbox', id: step.context.newId(), requestId: answered.requestId, input });
  step.effect({ kind: 'index-session' });
}

/** The sandbox is not kept running for an answer that may take days. */
export function park(step: Step): void {
  const { phase } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'claude') return;
  step.enter({ ...phase, about: { ...phase.about, isLive: false } });
  step.record({
    kind: 'notice',
    level: 'info',
    text: 'Nobody has answered yet: the sandbox is let go, the question stands.',
  });
  step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: phase.turn.number });
  step.effect({ kind: 'archive-turn', turn: phase.turn.number });
}

/** The process that asked is gone: the answer will begin a new one. */
export function loseQuestion(step: Step): void {
  const { phase } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'claude') return;
  step.enter({ ...phase, about: { ...phase.about, isLive: false } });
}

/** The tool does not wait any more: what was answered is told as a prompt. */
export function answerUndelivered(step: Step, { effect }: EventOf<'effect-failed'>): void {
  const { phase } = step.state;
  if (effect.kind !== 'answer-sandbox' || phase.name !== 'working') return;
  const answers = z.record(z.string(), z.string()).safeParse(effect.input.answers);
  // The tool may be waiting all the same, and would hold up every prompt after it.
  step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: phase.turn.number, inOrder: true });
  beginAnew(step, phase.turn, { answers: answers.success ? answers.data : {} });
}

/** The turn goes on under a new number: a stop was sent for the old one, under which the prompt would be dropped. */
function beginAnew(step: Step, turn: Turn, answered: Pick<ClaudeQuestion, 'answers'>): void {
  const number = step.state.turns + 1;
  step.set({ turns: number });
  resumeWith(step, { ...turn, number }, laterPrompt(answered));
}

function laterPrompt({ answers }: Pick<ClaudeQuestion, 'answers'>): string {
  const list = Object.entries(answers).map(([question, answer]) => `You asked: ${question}\nThe answer: ${answer}`);
  return `Your process ended while you waited for an answer. Here it is.\n\n${list.join('\n\n')}\n\nGo on where you were.`;
}

function readOption(text: string, options: string[]): string {
  const said = text.trim();
  const number = /^#?(\d{1,3})[.)]?$/.exec(said)?.[1];
  const byNumber = number ? options[Number(number) - 1] : undefined;
  return byNumber ?? options.find((option) => option.toLowerCase() === said.toLowerCase()) ?? said;
}
