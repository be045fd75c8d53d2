/** Each thread of a review is answered once: by Claude's words on it, or by what kept it from being done. */
import { answersByThread, replyText } from '../../../claude/review-prompt.ts';
import type { Step } from '../model/transition.ts';
import { type Closing, idOf, type Request } from '../requests.ts';

/** What people are told in a thread that Claude did not come to. */
const UNDONE: Record<Exclude<Closing, 'answered'>, string> = {
  stopped: 'The work was stopped before this was done. Write here again to have it done.',
  withdrawn: 'The issue was closed or taken away from Cyrus, so this was not done.',
  refused: 'This was not taken up: an admin of Cyrus decides who may give it work here.',
  failed: 'The work on this failed; the live session says why. Write here again to have it tried again.',
};

/**
 * Requests are closed: where one is a review, its threads are answered.
 * @param answer what Claude said at the end; null: nothing
 */
export function answerReviews(step: Step, requests: readonly Request[], how: Closing, answer: string | null): void {
  const { following, issue, turns } = step.state;
  const open = following?.reviews?.open ?? [];
  const ids = new Set(requests.map(idOf));
  const closed = open.filter(({ promptId }) => ids.has(promptId));
  if (!following?.reviews || closed.length === 0) return;
  const left = open.filter((one) => !closed.includes(one));
  step.set({ following: { ...following, reviews: { ...following.reviews, open: left } } });
  const own = issue?.identifier ?? null;
  const said = how === 'answered' ? answersByThread(answer ?? '', own) : new Map<number, string>();
  const threads = [...new Set(closed.flatMap(({ places }) => places).map(({ number }) => number))];
  const whole = said.size === 0 && answer !== null && answer.trim() !== '' ? replyText(answer, own) : null;
  const bodyOf = (thread: number) =>
    how === 'answered' ? (said.get(thread) ?? unnamed(whole, thread === threads[0], threads.length)) : UNDONE[how];
  // One that was merged meanwhile is answered all the same.
  for (const number of new Set(closed.map((one) => one.pullRequest ?? following.number))) {
    const here = closed.filter((one) => (one.pullRequest ?? following.number) === number);
    // Two requests may have been about one thread.
    const places = new Map(here.flatMap((one) => one.places).map((one) => [one.number, one.place]));
    step.effect({
      kind: 'answer-review',
      id: step.context.newId(),
      number,
      turn: turns,
      answers: [...places].map(([thread, place]) => ({ number: thread, place, body: bodyOf(thread) })),
      reviewers: how === 'answered' ? [...new Set(here.flatMap(({ reviewers }) => reviewers))] : [],
    });
  }
}

/**
 * The answer for a thread that Claude did not name. What it answered as a whole is posted once, however many threads there are.
 * @param whole null: it named others, or said nothing
 */
function unnamed(whole: string | null, isFirst: boolean, count: number): string {
  if (whole === null) return 'Claude did not answer this thread separately; its summary is in the live session.';
  if (count === 1) return whole;
  return isFirst
    ? `Claude answered all threads together:\n\n${whole}`
    : 'Claude answered all threads together, in the first of them.';
}
