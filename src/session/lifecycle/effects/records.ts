/** Effects that keep records of the session: its pull request, its row in the list, the logs of its turns. */
import * as z from 'zod';
import { PULL_REQUEST_LANE } from '../model/effects.ts';
import { notProposed, proposed } from '../turn/pull-request.ts';
import { type EffectDefinition, isAnyLater, never, nothing, recordDeadLetter } from './definition.ts';
import { HALF_A_DAY, LONG_ATTEMPT_LIMIT_MS, USUAL_ATTEMPT_LIMIT_MS } from './retry-policies.ts';

export const openPullRequest: EffectDefinition<'open-pull-request'> = {
  stored: z.looseObject({ turn: z.number(), head: z.string() }),
  lane: () => PULL_REQUEST_LANE,
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: isAnyLater,
  isCovered: never,
  describe: () => 'Opening the pull request',
  onDone: proposed,
  onDelayed: nothing,
  onFailed: notProposed,
};

export const indexSession: EffectDefinition<'index-session'> = {
  stored: z.looseObject({}),
  lane: () => 'index',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: isAnyLater,
  isCovered: never,
  describe: () => 'Updating the list of sessions',
  onDone: nothing,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};

export const archiveTurn: EffectDefinition<'archive-turn'> = {
  stored: z.looseObject({ turn: z.number() }),
  lane: () => 'archive',
  // A turn's log is written once R2 is there again.
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: LONG_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: ({ turn }) => `Archiving turn ${turn}`,
  onDone: nothing,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};
