/** Effects on the pull request after it was opened. */
import * as z from 'zod';
import { pullRequestSeen } from '../pull-request/seen.ts';
import { type EffectDefinition, isAnyLater, never, nothing } from './definition.ts';
import { HALF_A_DAY, USUAL_ATTEMPT_LIMIT_MS } from './retry-policies.ts';

export const lookAtPullRequest: EffectDefinition<'look-at-pull-request'> = {
  stored: z.looseObject({ number: z.number() }),
  // A lane of its own: opening does not wait for it.
  lane: () => 'pull-request-look',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: isAnyLater,
  isCovered: never,
  describe: ({ number }) => `Asking GitHub about pull request #${number}`,
  onDone: (step, { number }, seen) => {
    if (seen) pullRequestSeen(step, number, seen);
  },
  onDelayed: nothing,
  // The next news ask again, and so does everybody who opens the page.
  onFailed: nothing,
};
