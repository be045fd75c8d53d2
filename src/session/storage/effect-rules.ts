/** What the outbox asks about the effects of a session: their definitions, and what travels together to a thread in Linear. Pure. */
import type { EffectRules } from '../../kernel/effect-rules.ts';
import { isCovered, isSuperseded, laneOf, retryPolicy } from '../lifecycle/effects/index.ts';
import { dueTime, type Effect, isAwaited, isPassing, isThreadEffect } from '../lifecycle/model/effects.ts';
import { condense, together } from './gathering.ts';
import { upgradeEffect } from './upgrade.ts';

export const sessionEffects: EffectRules<Effect> = {
  laneOf,
  isSuperseded,
  isCovered,
  retryPolicy,
  dueTime,
  isPassing,
  isGathered: isThreadEffect,
  isAwaited,
  together,
  condense,
  read: upgradeEffect,
};
