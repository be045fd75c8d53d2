/**
 * A request of which only a notification told so far (pure). Linear tells of a request twice, by an event in its thread and by a
 * notification, in any order; in older workspaces by the notification alone, and Cyrus opens the thread. Which of the events that
 * come in between is the same request is told by what proves it, for another's request must not take its place.
 */
import { THREAD_LIMIT_MS } from './deadlines.ts';
import type { EventOf, PromptSource } from './events.ts';
import { type Ask, type ExpectedThread, OPENING, type SessionState } from './state.ts';
import type { Step } from './step.ts';
import { isStoppedBefore } from './stops.ts';

/** Requests in threads that are remembered: of the last hours, in which Linear may still repeat a notification. */
const MOST_ASKS = 10;

/** Linear sends an agent session beside the notification, except in older workspaces. */
export function threadExpected(step: Step, event: EventOf<'thread-expected'>): void {
  const { type: _type, at = step.now, ...expected } = event;
  if (isStoppedBefore(step, event.at)) return;
  // A notification that comes late, as Linear's repeats do, is about a thread that came in its time.
  // A mention may go on in a thread that is old.
  if (!hasArrived(step.state, { ...expected, at })) {
    step.set({ expectedThread: { ...expected, since: step.now, at } });
  }
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

/** @param isProven the expectation ends only where this is the same request for certain; else unless it is another one for certain */
export function endExpectation(step: Step, event: EventOf<'prompted'>, isProven: boolean): void {
  const { expectedThread } = step.state;
  if (!expectedThread) return;
  const relation = relationOf(expectedThread, event);
  if (relation === 'same' || (relation === 'unsure' && !isProven)) step.set({ expectedThread: null });
}

/**
 * Linear tells of the thread that Cyrus is about to open for a request, before it answers that it is open: nobody created that
 * thread, and what is asked in it is the request. @returns the request in that thread; null for any other prompt
 */
export function ownEcho({ expectedThread, agentSessions }: SessionState, event: EventOf<'prompted'>) {
  const { agentSessionId, promptId, person } = event;
  const isOpening = expectedThread?.since === OPENING;
  if (!expectedThread || !isOpening || person !== null || promptId !== agentSessionId) return null;
  if (agentSessionId in agentSessions) return null;
  const { since: _, commentId, ...asked } = expectedThread;
  const source: PromptSource = commentId === null ? 'delegation' : 'mention';
  return { type: 'prompted' as const, agentSessionId, source, ...asked, ...(commentId !== null && { commentId }) };
}

/** A thread was looked up for a notification: Linear's late event about it is the same request. */
export function expectEvent(step: Step, thread: string): void {
  const known = step.state.agentSessions[thread];
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
  const isOne = isSame({ ...expected, at: expected.at ?? at }, askOf(event, at));
  return isOne === null ? 'unsure' : isOne ? 'same' : 'other';
}

/** @returns null where nothing tells */
function isSame(expected: Expected, { at, commentId, personId }: Ask): boolean | null {
  if (expected.commentId !== null && commentId !== undefined) return expected.commentId === commentId;
  if (expected.person && personId !== undefined && expected.person.id !== personId) return false;
  return Math.abs(at - expected.at) > THREAD_LIMIT_MS ? false : null;
}
