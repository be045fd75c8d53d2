/**
 * Carries out effects: one performer for each kind, beside its definition in the lifecycle (session/lifecycle/effects/). What
 * becomes of an attempt is data; nothing is thrown.
 */
import type { Attempt } from '../../kernel/attempt.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { attemptLimitMs } from '../lifecycle/effects/index.ts';
import type { EffectResult } from '../lifecycle/model/effect-results.ts';
import { type Effect, type EffectKind, isThreadEffect } from '../lifecycle/model/effects.ts';
import type { SessionEvent } from '../lifecycle/model/events.ts';
import { answerReview } from './answer-review.ts';
import type { Perform, Surroundings } from './effect-context.ts';
import { toFailure } from './failure.ts';
import { attachPullRequest, lookAtIssue, openThread, startIssue } from './linear-issue.ts';
import { lookAtPullRequest } from './look-at-pull-request.ts';
import { openPullRequest } from './open-pull-request.ts';
import { postTogether } from './post-to-thread.ts';
import { findRoom, releaseSlot, requestSlot } from './queue-slots.ts';
import {
  answerSandbox,
  decideSandbox,
  promptSandbox,
  purgeSandbox,
  startSandbox,
  stopSandbox,
} from './sandbox-commands.ts';
import { archiveTurn, indexSession } from './session-records.ts';
import { postWebhook, tellWebhooks } from './webhooks.ts';

const performers: { [K in EffectKind]: Perform<K> } = {
  say: (effect, surroundings) => postTogether([effect], surroundings),
  show: (effect, surroundings) => postTogether([effect], surroundings),
  'open-thread': openThread,
  'start-issue': startIssue,
  'look-at-issue': lookAtIssue,
  'start-sandbox': startSandbox,
  'prompt-sandbox': promptSandbox,
  'answer-sandbox': answerSandbox,
  'decide-sandbox': decideSandbox,
  'stop-sandbox': stopSandbox,
  'purge-sandbox': purgeSandbox,
  'find-room': findRoom,
  'request-slot': requestSlot,
  'release-slot': releaseSlot,
  'open-pull-request': openPullRequest,
  'look-at-pull-request': lookAtPullRequest,
  'answer-review': answerReview,
  'attach-pull-request': attachPullRequest,
  'index-session': indexSession,
  'archive-turn': archiveTurn,
  'tell-webhooks': tellWebhooks,
  'post-webhook': postWebhook,
};

function performerOf<K extends EffectKind>(kind: K): Perform<K> {
  return performers[kind];
}

/**
 * Carries out effects that travel together: one, or several of the same thread in Linear. Never rejects.
 * @returns the event that takes in what they brought back, or why they failed; an attempt without an answer within the limit of its kind has failed
 */
export async function attempt(
  effects: readonly [Effect, ...Effect[]],
  surroundings: Surroundings,
): Promise<Attempt<SessionEvent>> {
  try {
    const limitMs = attemptLimitMs(effects);
    const result = await settledWithin(limitMs, perform(effects, surroundings));
    // What it comes to later changes nothing: effects are safe to do twice, and the next attempt tells.
    if (result === 'late') throw new Error(`no answer within ${limitMs / 60_000} minutes`);
    return { kind: 'done', event: { type: 'effect-done', effect: effects[0], result } };
  } catch (error) {
    return toFailure(error);
  }
}

function perform(effects: readonly [Effect, ...Effect[]], surroundings: Surroundings): Promise<EffectResult> {
  const [first] = effects;
  return isThreadEffect(first)
    ? postTogether(effects.filter(isThreadEffect), surroundings)
    : performerOf(first.kind)(first, surroundings);
}
