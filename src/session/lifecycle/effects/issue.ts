/** Effects on the issue itself in Linear. */
import * as z from 'zod';
import { issueSeen } from '../issue-changes.ts';
import { type EffectDefinition, isAnyLater, never, nothing, recordDeadLetter } from './definition.ts';
import { HALF_A_DAY, USUAL_ATTEMPT_LIMIT_MS } from './retry-policies.ts';

export const startIssue: EffectDefinition<'start-issue'> = {
  stored: z.looseObject({ issueId: z.string() }),
  lane: () => 'issue',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Moving the issue to a started state',
  onDone: nothing,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};

export const lookAtIssue: EffectDefinition<'look-at-issue'> = {
  stored: z.looseObject({ issueId: z.string() }),
  lane: () => 'issue-state',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: isAnyLater,
  isCovered: never,
  describe: () => 'Asking Linear for the state of the issue',
  onDone: issueSeen,
  onDelayed: nothing,
  // The next change of the issue asks again.
  onFailed: nothing,
};

export const attachPullRequest: EffectDefinition<'attach-pull-request'> = {
  stored: z.looseObject({ id: z.string(), issueId: z.string() }),
  lane: () => 'issue',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Linking the pull request in Linear',
  onDone: nothing,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};
