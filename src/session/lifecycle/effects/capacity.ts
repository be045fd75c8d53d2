/** Effects that ask for room to work: within Claude's limits, and among the workspace's sessions. */
import * as z from 'zod';
import { queueMoved } from '../start/queue-slot.ts';
import { roomFound } from '../turn/resumption.ts';
import { type EffectDefinition, never, nothing } from './definition.ts';
import { HALF_A_DAY, type Retry, USUAL_ATTEMPT_LIMIT_MS } from './retry-policies.ts';

const retry: Retry = { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS };

export const findRoom: EffectDefinition<'find-room'> = {
  stored: z.looseObject({}),
  lane: () => 'room',
  retry,
  isSuperseded: never,
  // While nobody answers it is asked for again and again; one that is asked already tells the same.
  isCovered: (_effect, last) => last.kind === 'find-room',
  describe: () => "Checking Claude's limits",
  onDone: (step, _effect, { at }) => roomFound(step, at),
  onDelayed: nothing,
  // It is asked for again before long.
  onFailed: nothing,
};

export const requestSlot: EffectDefinition<'request-slot'> = {
  stored: z.looseObject({ turn: z.number() }),
  lane: () => 'slot',
  retry,
  isSuperseded: never,
  isCovered: never,
  describe: () => "Requesting a slot in the workspace's queue",
  onDone: (step, _effect, { position, limit }) => queueMoved(step, position, limit),
  onDelayed: nothing,
  // It is asked for again before long.
  onFailed: nothing,
};

export const releaseSlot: EffectDefinition<'release-slot'> = {
  stored: z.looseObject({ turn: z.number() }),
  lane: () => 'slot',
  retry,
  isSuperseded: never,
  isCovered: never,
  describe: () => "Releasing the slot in the workspace's queue",
  onDone: nothing,
  onDelayed: nothing,
  // The workspace's queue asks the session every few minutes.
  onFailed: nothing,
};
