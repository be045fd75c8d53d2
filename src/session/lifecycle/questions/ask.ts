/**
 * What Claude's process asks people, one after the other: questions by its tool AskUserQuestion, and permissions (see
 * answer.ts). A question is told as an elicitation, and answered by an option or in free words. The answer returns to
 * the same tool call while its sandbox runs; later it resumes the work, as a prompt.
 */
import * as z from 'zod';
import { cutText } from '../../../lib/markdown.ts';
import { HELD_PUSH_TOOL } from '../../../protocol/held-push.ts';
import type { JournalBody } from '../../../protocol/journal.ts';
import type { Decision } from '../../../protocol/sandbox/commands.ts';
import { byPhase, onlyIn } from '../model/by-phase.ts';
import type { EffectOf } from '../model/effects.ts';
import {
  type Asking,
  currentTurn,
  isAsking,
  type PhaseOf,
  type PhaseState,
  type Turn,
  type TurnPrompt,
  threadsOf,
} from '../model/phases.ts';
import { type ClaudeQuestion, isLive, type OpenQuestion, type PermissionQuestion } from '../model/questions.ts';
import { spokenWords } from '../model/spoken.ts';
import type { SessionState } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { safeMarkdown } from '../narration/safe-text.ts';
import { restartElsewhereWith, restartWith, tellBesides } from '../turn/restart.ts';
import { askPermission, decideAsBefore, keepDecision, repeatPermission, withdrawPermission } from './answer.ts';
import { choiceValue, listWords, readChoice, readChoices, withoutIds } from './choices.ts';
import { closedWithin, nextIndex, type Reply, type Standing, standingQuestion } from './open-question.ts';
import { PUSH_UNKNOWN, readPermission, TOO_LONG, TOO_MANY, TURN_OVER } from './permissions.ts';

/** Input of AskUserQuestion, and how it wants the answers (measured with CLI 2.1.330; its tool description says the same). */
const inputSchema = z.looseObject({
  questions: z
    .array(
      z.looseObject({
        question: z.string().min(1),
        multiSelect: z.boolean().optional().catch(undefined),
        options: z
          .array(z.looseObject({ label: z.string(), description: z.string().optional().catch(undefined) }))
          .default([]),
      }),
    )
    .min(1),
});

type QuestionEntry = Extract<JournalBody, { kind: 'question' }>;

/** Claude's process asks, or takes back what it asked. What several calls ask at once is asked one after the other. */
export function takeQuestion(step: Step, entry: QuestionEntry): void {
  if (entry.status === 'withdrawn') {
    withdraw(step, entry.requestId);
    return;
  }
  takeOpenQuestion(step, entry);
}

const takeOpenQuestion = byPhase<[entry: QuestionEntry]>(
  {
    waiting: (step, _phase, entry) => refuseUnasked(step, entry, TURN_OVER),
    asking: (step, phase, entry) => {
      if (isLive(phase.about)) holdQuestion(step, phase, entry);
    },
  },
  holdQuestion,
);

/** Keeps what a process asks until it can be asked, if people have to be asked at all. */
function holdQuestion(step: Step, _phase: PhaseState, entry: QuestionEntry): void {
  const { openQuestions = [], sandbox } = step.state;
  const about = entry.permission ? permissionOf(step, entry) : claudeQuestionOf(step, entry);
  if (!about) return;
  if (openQuestions.length < MAX_WAITING) {
    step.set({ openQuestions: [...openQuestions, { generation: sandbox.generation, about }] });
  } else refuseUnasked(step, entry, TOO_MANY);
}

const MAX_WAITING = 50;
/** Most characters of what an option means that are shown. */
const MAX_DESCRIPTION = 1_000;

/** @returns null if nobody need be asked */
function permissionOf(step: Step, entry: QuestionEntry): PermissionQuestion | null {
  const about = readPermission(entry);
  if (!about) refuseUnasked(step, entry, entry.name === HELD_PUSH_TOOL ? PUSH_UNKNOWN : TOO_LONG);
  return about && !decideAsBefore(step, about) ? about : null;
}

/** @returns null for what is no question to people: the sandbox answers it */
function claudeQuestionOf(step: Step, entry: QuestionEntry): ClaudeQuestion | null {
  if (entry.name !== 'AskUserQuestion') return null;
  const input = inputSchema.safeParse(entry.input);
  if (!input.success) {
    const message = 'This question could not be read. Ask it again: one or more questions, each with its text.';
    refuseUnasked(step, entry, { allowed: false, message });
    return null;
  }
  return {
    kind: 'claude',
    requestId: entry.requestId,
    input: input.data,
    questions: input.data.questions.map(({ question, options, multiSelect }) => ({
      question,
      options: options.map(({ label }) => label),
      ...(options.some(({ description }) => description) && {
        descriptions: options.map(({ description }) => (description ? cutText(description, MAX_DESCRIPTION) : null)),
      }),
      ...(multiSelect && { multiSelect }),
    })),
    answers: {},
    replies: input.data.questions.map(() => null),
    isLive: true,
  };
}

/** Left unanswered, the call would hold Claude up forever. */
function refuseUnasked(
  step: Step,
  { requestId, name }: Pick<QuestionEntry, 'requestId' | 'name'>,
  decision: Decision,
): void {
  step.record({ kind: 'notice', level: 'info', text: `Denied without asking anybody: ${name}` });
  const id = step.context.newId();
  step.effect({ kind: 'decide-sandbox', id, requestId, call: `use ${name}`, key: null, decision });
}

function withdraw(step: Step, requestId: string): void {
  const { openQuestions = [] } = step.state;
  step.set({ openQuestions: openQuestions.filter(({ about }) => about.requestId !== requestId) });
  withdrawAsked(step, requestId);
}

const withdrawAsked = onlyIn<[requestId: string]>({
  asking: (step, phase, requestId) => {
    if (phase.about.kind === 'repository' || phase.about.requestId !== requestId) return;
    if (isAsking(phase, 'permission')) withdrawPermission(step, phase, 'Claude no longer asks to');
    else step.enter({ name: 'working', since: step.now, turn: phase.turn });
  },
});

/** Asks the next of what waits, if nothing else is asked. Done after every event. */
export function askWhatWaits(step: Step): void {
  if ((step.state.openQuestions ?? []).length > 0) askNextWaiting(step);
}

/** In the phases that are left out a process may ask, but nobody is asked yet: what asks is for a turn that goes on later. */
const askNextWaiting = onlyIn({
  waiting: (step) => endQuestions(step),
  asking: (step) => step.set({ openQuestions: openQuestionsNow(step) }),
  starting: askFirst,
  working: askFirst,
});

/** What the present process asked, oldest first: what an earlier one asked died with it. */
function openQuestionsNow({
  state: { openQuestions = [], sandbox },
}: Step): NonNullable<SessionState['openQuestions']> {
  return openQuestions.filter(({ generation }) => generation === sandbox.generation);
}

function askFirst(step: Step, phase: PhaseOf<'starting' | 'working'>): void {
  const [next, ...rest] = openQuestionsNow(step);
  step.set({ openQuestions: rest });
  if (!next) return;
  const { about } = next;
  if (about.kind === 'permission' && decideAsBefore(step, about)) {
    askWhatWaits(step);
    return;
  }
  const turn = withSomebodyToAsk(step, phase.turn, about);
  const asked = about.kind === 'claude' ? { ...about, askedAt: step.now } : about;
  step.enter({ name: 'asking', since: step.now, turn, about: asked });
  if (about.kind === 'permission') askPermission(step, turn, about);
  else askNext(step, turn, about);
}

/**
 * Claude gave its result. What still asks is a helper in the background. It is denied, because otherwise it would wait
 * forever and keep the sandbox from coming to rest.
 */
export const endQuestions = byPhase(
  {
    // They end with the process, or are asked where it goes on.
    stopping: () => {},
    asking: (step, { about }) => denyAll(step, about.kind !== 'repository' && isLive(about) ? [about] : []),
  },
  (step) => denyAll(step, []),
);

/** @param asked what people are asked right now */
function denyAll(step: Step, asked: readonly OpenQuestion[]): void {
  const waiting = openQuestionsNow(step).map(({ about }) => about);
  forgetWaiting(step);
  for (const { requestId, ...about } of [...asked, ...waiting]) {
    const name = about.kind === 'permission' ? about.title : 'ask a question';
    refuseUnasked(step, { requestId, name }, TURN_OVER);
  }
}

/** Forgets what waits to be asked: the process that asked is gone. */
function forgetWaiting(step: Step): void {
  if (step.state.openQuestions) step.set({ openQuestions: [] });
}

/**
 * A turn that no thread asked for, such as one about a change of the issue, asks in the latest thread, and answers there:
 * a question that nobody sees would hold the session up forever. A permission is denied after a while.
 */
function withSomebodyToAsk(step: Step, turn: Turn, about: ClaudeQuestion | PermissionQuestion): Turn {
  const thread = Object.keys(step.state.agentSessions).at(-1);
  if (about.kind !== 'claude' || thread === undefined || threadsOf(turn).length > 0) return turn;
  const prompt = { promptId: step.context.newId(), agentSessionId: thread, inherited: true, aside: true };
  return { ...turn, prompts: [...turn.prompts, prompt] };
}

function askNext(step: Step, turn: Turn, about: ClaudeQuestion): void {
  for (const thread of threadsOf(turn)) elicit(step, thread, about, '');
}

/** Asks a thread again, after something else was said there. */
export function repeatClaudeQuestion(step: Step, about: OpenQuestion, thread: string, preface: string): void {
  if (about.kind === 'claude') elicit(step, thread, about, `${preface}\n\n`);
  else repeatPermission(step, thread, about, preface);
}

function elicit(step: Step, thread: string, about: ClaudeQuestion, preface: string): void {
  const standing = standingQuestion(step.state);
  const next = about.questions[nextIndex(about)];
  if (!standing || !next) return;
  const { choices, id, multiSelect } = standing;
  const list = [next.question, listWords(choices), multiSelect && choices.length > 0 ? SEVERAL : ''];
  const body = list.filter((part) => part !== '').join('\n\n');
  // A button chooses one and sends it at once: of several nobody could choose a second.
  const options = multiSelect ? [] : choices.map((choice) => ({ label: choice.label, value: choiceValue(id, choice) }));
  step.elicit(thread, safeMarkdown(`${preface}${body}`), options);
}

const SEVERAL = 'You can choose several: list them separated by commas, or answer in your own words.';

/** A prompt that answers what Claude asks: options by id, name or place in the list, or whatever was said. */
export function takeReply(step: Step, phase: Asking<'claude'>, prompt: TurnPrompt, reply: Reply): void {
  const standing = standingQuestion(step.state);
  if (!standing) return;
  if (!reply.isNamed && isForTheLast(step.state, reply)) {
    const why = 'That came too soon after the previous answer to be meant for this.';
    if (prompt.agentSessionId !== null) repeatClaudeQuestion(step, phase.about, prompt.agentSessionId, why);
    return;
  }
  const index = nextIndex(phase.about);
  const replies = repliesOf(phase.about).map((given, at) => (at === index ? answerWords(reply, standing) : given));
  const answered = { ...phase.about, replies, askedAt: step.now };
  // The tool call takes the answer in, so no result will name this prompt; its thread is owed the result all the same.
  const turn = { ...phase.turn, prompts: [...phase.turn.prompts, { ...prompt, inherited: true, aside: true }] };
  step.enter({ ...phase, turn, about: answered });
  if (nextIndex(answered) < answered.questions.length) {
    askNext(step, turn, answered);
    return;
  }
  const answers = answersOf(answered);
  if (!answered.isLive) {
    const told = answersInWords(answers);
    restartWith(step, turn, answered.before === undefined ? told : `${answered.before}\n\n${told}`);
    return;
  }
  step.enter({ name: 'working', since: step.now, turn });
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now } });
  const input = { ...answered.input, answers: Object.fromEntries(answers) };
  step.effect({ kind: 'answer-sandbox', id: step.context.newId(), requestId: answered.requestId, input });
}

/** Another person answered the question before this one a moment ago: so did this answer, probably. */
function isForTheLast(state: SessionState, { at, author }: Reply): boolean {
  const last = closedWithin(state, at, HASTE_MS);
  return last !== null && last.by !== null && last.by !== author;
}

const HASTE_MS = 2_000;

/** The answer as the CLI wants it: the label; of several the labels, separated by commas; or what was said. */
function answerWords({ text, chosen }: Reply, { choices, multiSelect }: Standing): string {
  const said = spokenWords(withoutIds(text));
  const one = () => {
    const choice = readChoice(said, choices);
    return choice && [choice];
  };
  const read = chosen ?? (multiSelect ? readChoices(said, choices) : one());
  return read ? read.map(({ label }) => label).join(', ') : said;
}

function repliesOf({ questions, replies, answers }: ClaudeQuestion): (string | null)[] {
  return (
    replies ?? questions.map(({ question }) => (Object.hasOwn(answers, question) ? answers[question] : null) ?? null)
  );
}

/** Each question with its answer. The CLI knows them by their texts, so those of one text share their answers. */
function answersOf(about: ClaudeQuestion): [question: string, answer: string][] {
  const answers = new Map<string, string>();
  for (const [index, answer] of repliesOf(about).entries()) {
    const question = about.questions[index]?.question;
    if (question === undefined || answer === null) continue;
    const before = answers.get(question);
    answers.set(question, before === undefined ? answer : `${before}, ${answer}`);
  }
  return [...answers];
}

/** The sandbox is not kept running for an answer that may take days. */
export function park(step: Step, phase: Asking<'claude'>): void {
  forgetWaiting(step);
  step.enter({ ...phase, about: { ...phase.about, isLive: false } });
  step.record({
    kind: 'notice',
    level: 'info',
    text: 'Nobody has answered yet: the sandbox is shut down, and the question stays open.',
  });
  step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: phase.turn.number });
  step.effect({ kind: 'archive-turn', turn: phase.turn.number });
}

/** The process that asked is gone: an answer will begin a new one, and what asked to be let run asks again. */
export function loseQuestions(step: Step): void {
  const { phase } = step.state;
  forgetWaiting(step);
  if (isAsking(phase, 'claude')) step.enter({ ...phase, about: { ...phase.about, isLive: false } });
  if (isAsking(phase, 'permission')) withdrawPermission(step, phase, "Claude's process ended while it asked to");
}

/** What people said did not reach the tool that waited for it: Claude is told as a prompt. `told`: what it was, for Claude. */
const tellUndelivered = onlyIn<[told: string]>({
  working: (step, phase, told) => restartElsewhereWith(step, phase.turn, told),
  // Its process is gone, and another one on its way.
  starting: tellBesides,
  asking: tellWhileAsking,
});

function tellWhileAsking(step: Step, phase: PhaseOf<'asking'>, told: string): void {
  const { about, turn } = phase;
  if (about.kind === 'repository') return;
  if (about.kind === 'permission') {
    // The same process asks, and cannot be reached either: it asks again in the next one.
    loseQuestions(step);
    tellUndelivered(step, told);
    return;
  }
  // It may wait there all the same. The answer to what is asked now begins another process, which is told of both.
  if (about.isLive) step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: turn.number, inOrder: true });
  forgetWaiting(step);
  const before = about.before === undefined ? told : `${about.before}\n\n${told}`;
  step.enter({ ...phase, about: { ...about, isLive: false, before } });
}

/** The tool does not wait any more: what was answered is told as a prompt. */
export function answerUndelivered(step: Step, { input }: EffectOf<'answer-sandbox'>): void {
  const given = input.answers;
  const answers = Object.entries(typeof given === 'object' && given !== null ? given : {});
  tellUndelivered(step, answersInWords(answers.map(([question, answer]) => [question, String(answer)])));
}

/** The tool does not wait any more: what was decided is told as a prompt, and counts when Claude asks again. */
export function decisionUndelivered(step: Step, effect: EffectOf<'decide-sandbox'>): void {
  if (!currentTurn(step.state)) return;
  tellUndelivered(step, keepDecision(step, effect));
}

function answersInWords(answers: [question: string, answer: string][]): string {
  return answers.map(([question, answer]) => `You asked: ${question}\nThe answer: ${answer}`).join('\n\n');
}
