/** How requests are closed: in the ledger, and with words in their threads. */
import { currentTurn, type Halt, type StopKind, threadsOf } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { answerReviews } from '../pull-request/answer.ts';
import { type Closing, type Request, withClosed } from '../requests.ts';

/**
 * The requests are closed in the ledger, and those that came from a review are answered there; telling threads in Linear is the caller's part.
 * @param answer what Claude said to them; left out: nothing
 */
export function close(step: Step, requests: readonly Request[], how: Closing, answer: string | null = null): void {
  answerReviews(step, requests, how, answer);
  step.set({ closed: withClosed(step.state.closed ?? [], requests, how, step.now) });
}

/** Requests that were called off. A thread that is owed an answer for something else gets that, later. */
export function drop(step: Step, requests: readonly Request[], how: StopKind, body: string): void {
  close(step, requests, how === 'alarm' ? 'stopped' : how);
  const turn = currentTurn(step.state);
  const owed = new Set([
    ...(turn ? threadsOf(turn) : []),
    ...step.state.queue.map(({ agentSessionId }) => agentSessionId),
  ]);
  for (const thread of new Set(requests.map(({ agentSessionId }) => agentSessionId))) {
    if (thread === null) continue;
    if (owed.has(thread)) step.think(thread, body);
    else step.say(thread, { type: 'response', body });
  }
}

/** What was stopped of the turn after this one is closed: it has ended, or its process is ended for another reason too. */
export function dropHalted(step: Step, { how, words }: Halt): void {
  const { queue } = step.state;
  step.set({ queue: queue.filter((request) => !request.halted) });
  drop(
    step,
    queue.filter((request) => request.halted),
    how,
    words,
  );
}
