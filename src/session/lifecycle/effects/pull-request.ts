/** Effects on the pull request after it was opened. */
import * as z from 'zod';
import { checksRead } from '../pull-request/checks.ts';
import { readLater } from '../pull-request/news.ts';
import { remarksRead } from '../pull-request/reviews.ts';
import { pullRequestSeen } from '../pull-request/seen.ts';
import { type EffectDefinition, never, nothing, recordDeadLetter } from './definition.ts';
import { HALF_A_DAY, USUAL_ATTEMPT_LIMIT_MS } from './retry-policies.ts';

export const lookAtPullRequest: EffectDefinition<'look-at-pull-request'> = {
  stored: z.looseObject({ number: z.number() }),
  // A lane of its own: opening does not wait for it.
  lane: () => 'pull-request-look',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: ({ reviews }, later) =>
    later.some((one) => one.kind === 'look-at-pull-request' && (one.reviews === true || !reviews)),
  isCovered: never,
  describe: ({ number }) => `Asking GitHub about pull request #${number}`,
  onDone: (step, { number }, result) => {
    if (!result) return;
    pullRequestSeen(step, number, result.seen);
    // Before what people ask, which begins a turn.
    if (result.checks) checksRead(step, number, result.checks);
    if (result.read) remarksRead(step, number, result.read);
  },
  onDelayed: nothing,
  // The next news ask again, and so does everybody who opens the page. What people wrote is not left unread.
  onFailed: (step, { effect }) => {
    if (effect.reviews) readLater(step, effect.number);
  },
};

export const answerReview: EffectDefinition<'answer-review'> = {
  stored: z.looseObject({ id: z.string(), number: z.number(), answers: z.array(z.unknown()) }),
  // A lane of its own, so that answers come in the order of their turns.
  lane: () => 'review-answers',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: ({ number }) => `Answering the review of pull request #${number}`,
  onDone: nothing,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};
