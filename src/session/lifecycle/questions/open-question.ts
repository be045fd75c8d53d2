/** The open question, those that were open before, and which of them a prompt answers (pure). */
import type { EventOf, SessionEvent } from '../model/events.ts';
import { ownTimeOf } from '../model/linear-clock.ts';
import { currentTurn, threadsOf } from '../model/phases.ts';
import type { ClaudeQuestion, ClosedQuestion } from '../model/questions.ts';
import type { SessionState } from '../model/state.ts';
import { type Choice, questionTag, readChoice, readValue } from './choices.ts';
import { permissionChoices } from './permissions.ts';

/** Closed questions that are remembered: of the last hours, in which Linear may still repeat what it could not deliver. */
const MAX_CLOSED = 10;
const CLOSED_FOR_MS = 12 * 3_600_000;

/** A question as people answer it. `since`: when it was asked, in ms since the epoch. */
export interface Standing {
  id: string;
  since: number;
  choices: Choice[];
  multiSelect: boolean;
}

/** What people said to the open question. */
export interface Reply {
  text: string;
  author: string | null;
  /** When it was written, in ms since the epoch. */
  at: number;
  /** Options it names by their ids; null: it has to be read. */
  chosen: Choice[] | null;
  /** It names the question itself; otherwise the time alone tells which one was meant. */
  isNamed: boolean;
  isFromPage: boolean;
}

/** What a prompt is to the questions: an answer, an answer that comes too late, or none. */
export type Meaning = { kind: 'answer'; reply: Reply } | { kind: 'late'; words: string } | { kind: 'none' };

/** The open question; null if nobody is asked anything. */
export function standingQuestion({ phase }: Pick<SessionState, 'phase'>): Standing | null {
  if (phase.name !== 'asking') return null;
  const { about, since } = phase;
  switch (about.kind) {
    case 'repository': {
      const choices = about.options.map((option) => ({ id: option, label: option }));
      return { id: about.id ?? `repository:${since}`, since, choices, multiSelect: false };
    }
    case 'claude': {
      const index = nextIndex(about);
      const next = about.questions[index];
      if (!next) return null;
      const id = `${about.requestId}:${index}`;
      return { id, since: about.askedAt ?? since, choices: choicesOf(next), multiSelect: next.multiSelect === true };
    }
    case 'permission':
      return { id: about.requestId, since, choices: permissionChoices(about), multiSelect: false };
  }
}

/** Index of the first question of the call that has no answer; past the end where all have. */
export function nextIndex({ questions, replies, answers }: ClaudeQuestion): number {
  const isOpen = ({ question }: { question: string }, index: number) =>
    replies ? (replies[index] ?? null) === null : !Object.hasOwn(answers, question);
  const index = questions.findIndex(isOpen);
  return index < 0 ? questions.length : index;
}

function choicesOf({ options, descriptions }: ClaudeQuestion['questions'][number]): Choice[] {
  return options.map((label, index) => ({
    id: `o${index + 1}`,
    label,
    ...(descriptions?.[index] && { description: descriptions[index] }),
  }));
}

/**
 * What a prompt answers. The page names the question, and so does an option that was chosen in Linear; other words in a thread
 * answer what was asked there when they were written.
 * @param thread where it was said
 * @param now in ms since the epoch
 */
export function meaningOf(
  state: SessionState,
  event: Pick<EventOf<'prompted'>, 'answers' | 'at' | 'author' | 'source' | 'text'>,
  thread: string | null,
  now: number,
): Meaning {
  const { answers, author, source, text } = event;
  if (answers === null) return { kind: 'none' };
  const at = event.at === undefined ? now : ownTimeOf(state, event.at);
  const standing = standingQuestion(state);
  const reply = { text, author, at, isFromPage: source === 'page' };
  const named = answers ?? namedInText(state, standing, text);
  if (named) {
    if (standing === null || named.question !== standing.id) return late(state, named.question);
    const chosen = named.options.map((id) => chosenBy(id, standing.choices));
    const isKnown = chosen.length > 0 && chosen.every((choice) => choice !== null);
    return { kind: 'answer', reply: { ...reply, isNamed: true, chosen: isKnown ? chosen : null } };
  }
  // Who begins a thread asks for something.
  if (source !== 'comment' && source !== 'page') return { kind: 'none' };
  const turn = currentTurn(state);
  const isAskedThere = thread === null || (turn !== null && threadsOf(turn).includes(thread));
  if (standing && isAskedThere && at >= standing.since) {
    return { kind: 'answer', reply: { ...reply, isNamed: false, chosen: null } };
  }
  if (event.at === undefined || thread === null) return { kind: 'none' };
  const closed = state.closedQuestions?.find(
    ({ askedAt, closedAt, threads }) => askedAt <= at && at < closedAt && threads.includes(thread),
  );
  return closed ? late(state, closed.id) : { kind: 'none' };
}

/** An option's id; a page of an earlier version has its label alone. */
function chosenBy(id: string, choices: Choice[]): Choice | null {
  return choices.find((choice) => choice.id === id) ?? readChoice(id, choices);
}

function namedInText(state: SessionState, standing: Standing | null, text: string) {
  const value = readValue(text);
  if (!value) return null;
  const known = [standing?.id, ...(state.closedQuestions ?? []).map(({ id }) => id)];
  const question = known.find((id) => id !== undefined && questionTag(id) === value.tag) ?? value.tag;
  return { question, options: [value.optionId] };
}

function late(state: SessionState, id: string): Meaning {
  const by = state.closedQuestions?.findLast((closed) => closed.id === id)?.by ?? null;
  const why = by === null ? 'That question is no longer open' : `That question was answered before, by ${by}`;
  return { kind: 'late', words: `${why}, so this changed nothing. If you meant something else, write it again.` };
}

/** Why an answer of the page, which names its question, comes too late; null for everything else. The page tells it. */
export function closedAnswer(state: SessionState, event: SessionEvent): string | null {
  if (event.type !== 'prompted' || !event.answers) return null;
  const meaning = meaningOf(state, event, event.agentSessionId, 0);
  return meaning.kind === 'late' ? meaning.words : null;
}

/**
 * Whether something was answered or closed just before this was written, so that it may be about that: two people answer one
 * question, and nobody reads the next one so fast.
 * @param ms what counts as just before
 */
export function closedWithin({ closedQuestions = [] }: SessionState, at: number, ms: number): ClosedQuestion | null {
  return closedQuestions.findLast(({ closedAt }) => at - closedAt < ms) ?? null;
}

/** Remembers the question that was open before an event and is closed after it. @returns null if there is none */
export function closedBy(
  before: SessionState,
  after: SessionState,
  by: string | null,
  now: number,
): ClosedQuestion[] | null {
  const stood = standingQuestion(before);
  const turn = currentTurn(before);
  if (!stood || !turn || standingQuestion(after)?.id === stood.id) return null;
  const threads = threadsOf(turn);
  const closed = { id: stood.id, askedAt: stood.since, closedAt: now, by, threads };
  const known = (before.closedQuestions ?? []).filter(({ closedAt }) => now - closedAt < CLOSED_FOR_MS);
  return [...known, closed].slice(-MAX_CLOSED);
}
