/**
 * A request of which only a notification told so far (pure). Linear tells of a request twice, by an event in its thread and by a
 * notification, in any order; in older workspaces by the notification alone, and Cyrus opens the thread. Which of the events that
 * come in between is the same request is told by what proves it, for another's request must not take its place.
 */
import { cutWhole } from '../../protocol/text/sendable-text.ts';
import { THREAD_LIMIT_MS } from './model/deadlines.ts';
import type { EffectOf } from './model/effects.ts';
import type { EventOf, PromptSource } from './model/events.ts';
import { type Ask, type ExpectedThread, OPENING, type SessionState, threadKnown } from './model/state.ts';
import type { Step } from './model/transition.ts';
import { close } from './turn/closing.ts';
import { isStoppedBefore } from './turn/stops.ts';

/** Requests whose threads are waited for at once. */
const MOST_EXPECTED = 10;
/** Most of a request's words that the journal shows; Claude is given all of them. In UTF-16 code units. */
const MOST_TEXT = 16_000;
/** Requests in threads that are remembered: of the last hours, in which Linear may still repeat a notification. */
const MOST_ASKS = 10;

/** Linear sends an agent session beside the notification, except in older workspaces. */
export function threadExpected(step: Step, event: EventOf<'thread-expected'>): void {
  const { type: _type, at = step.now, ...expected } = event;
  if (isStoppedBefore(step, event.at)) return;
  // A notification that comes late, as Linear's repeats do, is about a thread that came in its time.
  // A mention may go on in a thread that is old.
  const isRepeat = expectedIn(step.state).some(({ promptId }) => promptId === event.promptId);
  if (isRepeat || hasArrived(step.state, { ...expected, at })) return;
  const more: ExpectedThread = { ...expected, text: cutWhole(event.text, MOST_TEXT), since: step.now, at };
  // One act may be told of by several notifications, of which the last counts.
  const others = expectedIn(step.state).filter((one) => isSame(withTime(one, at), askIn(more)) === false);
  expect(step, [...others, more].slice(0, MOST_EXPECTED));
}

/** Requests whose thread has not arrived yet, oldest first; a thread is opened for one at a time. */
function expectedIn({ expectedThread, alsoExpected = [] }: SessionState): ExpectedThread[] {
  return expectedThread ? [expectedThread, ...alsoExpected] : alsoExpected;
}

/** Keeps these expectations and no others. */
function expect(step: Step, [next, ...later]: ExpectedThread[]): void {
  step.set({ expectedThread: next ?? null });
  if (later.length > 0 || step.state.alsoExpected) step.set({ alsoExpected: later });
}

/**
 * Linear lets no thread be opened under some requests, such as a comment that is a reply: it is opened on the issue. Where that
 * cannot be either, the request fails, in the journal alone, for no thread can tell of it.
 */
export function threadNotOpened(step: Step, { promptId, commentId }: EffectOf<'open-thread'>): void {
  const { expectedThread, issue } = step.state;
  if (expectedThread?.promptId !== promptId) return;
  if (commentId !== null && issue) {
    step.effect({ kind: 'open-thread', promptId, issueId: issue.id, commentId: null });
    return;
  }
  const { author, text, person, at } = expectedThread;
  const source = expectedThread.commentId === null ? 'delegation' : 'mention';
  step.record({ kind: 'prompt', promptId, agentSessionId: null, author, source, text });
  const askedAt = at ?? step.now;
  close(step, [{ promptId, agentSessionId: null, ...(person && { person }), askedAt, stage: 'received' }], 'failed');
  expect(step, step.state.alsoExpected ?? []);
}

/** Notes who asked what when, so that a notification that comes later is known for the same or for another's. */
export function noteAsk(step: Step, event: EventOf<'prompted'>, at: number): void {
  if (event.agentSessionId === null) return;
  const { asks, askedAt = 0 } = step.state;
  const all = [...(asks ?? []), askOf(event, at)].toSorted((one, other) => one.at - other.at);
  const forgotten = all.slice(0, -MOST_ASKS).at(-1)?.at ?? forgottenIn(step.state);
  step.set({
    askedAt: Math.max(askedAt, at),
    asks: all.slice(-MOST_ASKS),
    ...(forgotten !== undefined && { asksSince: forgotten }),
  });
}

/** @param isProven an expectation ends only where this is the same request for certain; else unless it is another one for certain */
export function endExpectation(step: Step, event: EventOf<'prompted'>, isProven: boolean): void {
  const all = expectedIn(step.state);
  const left = all.filter((one) => {
    const relation = relationOf(one, event);
    return relation === 'other' || (relation === 'unsure' && isProven);
  });
  if (left.length < all.length) expect(step, left);
}

/**
 * Linear tells of the thread that Cyrus is about to open for a request, before it answers that it is open: nobody created that
 * thread, and what is asked in it is the request. @returns the request in that thread; null for any other prompt
 */
export function ownEcho(state: SessionState, event: EventOf<'prompted'>) {
  const { expectedThread } = state;
  const { agentSessionId, promptId, person } = event;
  const isOpening = expectedThread?.since === OPENING;
  if (!expectedThread || !isOpening || person !== null || promptId !== agentSessionId) return null;
  if (threadKnown(state, agentSessionId)) return null;
  const { since: _, commentId, ...asked } = expectedThread;
  const source: PromptSource = commentId === null ? 'delegation' : 'mention';
  return { type: 'prompted' as const, agentSessionId, source, ...asked, ...(commentId !== null && { commentId }) };
}

/**
 * Linear tells of a thread that Cyrus opened for a request whose own thread came meanwhile, or which was withdrawn: it bears the
 * session's page from its beginning, and nobody asks anything in it. The outcome of its opening tells it so.
 */
export function isOpenedTwice(
  state: SessionState,
  { agentSessionId, promptId, links = [] }: EventOf<'prompted'>,
): boolean {
  if (agentSessionId === null || promptId !== agentSessionId || threadKnown(state, agentSessionId)) return false;
  return links.includes(`${state.origin}/sessions/${state.id}`);
}

/** A thread was looked up for a notification: Linear's late event about it is the same request. */
export function expectEvent(step: Step, thread: string): void {
  const known = threadKnown(step.state, thread);
  if (known) step.set({ agentSessions: { ...step.state.agentSessions, [thread]: { ...known, isExpected: true } } });
}

type Expected = Pick<ExpectedThread, 'commentId' | 'person'> & { at: number };

/** Whether what a notification tells of was asked in a thread already. Of what is forgotten, it is taken to have been. */
function hasArrived(state: SessionState, expected: Expected): boolean {
  const { asks = [], heard = [] } = state;
  if (expected.commentId !== null && heard.includes(expected.commentId)) return true;
  const forgotten = forgottenIn(state);
  if (forgotten !== undefined && forgotten > expected.at - THREAD_LIMIT_MS) return true;
  return asks.some((ask) => isSame(expected, ask) !== false);
}

/** Up to when nobody remembers who asked what; an older version kept the latest time alone. */
function forgottenIn({ asks, asksSince, askedAt }: SessionState): number | undefined {
  return asks === undefined ? askedAt : asksSince;
}

/** An issue is delegated by whom Linear says, a person or an automation of theirs, which its notification may name otherwise. */
function askOf({ commentId, person, source }: EventOf<'prompted'>, at: number): Ask {
  const isByPerson = person !== null && source !== 'delegation';
  return { at, ...(commentId !== undefined && { commentId }), ...(isByPerson && { personId: person.id }) };
}

function relationOf(expected: ExpectedThread, event: EventOf<'prompted'>): 'same' | 'other' | 'unsure' {
  if (event.promptId === expected.promptId) return 'same';
  if (event.source === 'page') return 'other';
  const at = event.at ?? expected.at ?? expected.since;
  const isOne = isSame(withTime(expected, at), askOf(event, at));
  return isOne === null ? 'unsure' : isOne ? 'same' : 'other';
}

function withTime(expected: ExpectedThread, at: number): ExpectedThread & { at: number } {
  return { ...expected, at: expected.at ?? at };
}

/** An expected request as what it was asked by. */
function askIn({ at, since, commentId, person }: ExpectedThread): Ask {
  if (commentId === null) return { at: at ?? since };
  return { at: at ?? since, commentId, ...(person && { personId: person.id }) };
}

/** @returns null if nothing tells */
function isSame(expected: Expected, { at, commentId, personId }: Ask): boolean | null {
  if (expected.commentId !== null && commentId !== undefined) return expected.commentId === commentId;
  if (expected.person && personId !== undefined && expected.person.id !== personId) return false;
  return Math.abs(at - expected.at) > THREAD_LIMIT_MS ? false : null;
}
