/**
 * The definitions of all effects, by kind, and what the outbox and the lifecycle ask of them. How each kind is carried out is
 * beside the pure core, in `src/session/effects/perform.ts`, as exhaustive as this table.
 */
import type * as z from 'zod';
import type { Cause, RetryPolicy } from '../../../kernel/attempt.ts';
import type { Effect, EffectKind } from '../model/effects.ts';
import type { EventOf } from '../model/events.ts';
import type { Step } from '../model/transition.ts';
import { findRoom, releaseSlot, requestSlot } from './capacity.ts';
import type { EffectDefinition } from './definition.ts';
import { attachPullRequest, lookAtIssue, startIssue } from './issue.ts';
import { answerReview, lookAtPullRequest } from './pull-request.ts';
import { archiveTurn, indexSession, openPullRequest } from './records.ts';
import { answerSandbox, decideSandbox, promptSandbox, purgeSandbox, startSandbox, stopSandbox } from './sandbox.ts';
import { openThread, say, show } from './threads.ts';
import { postWebhook, tellWebhooks } from './webhooks.ts';

const definitions: { [K in EffectKind]: EffectDefinition<K> } = {
  say,
  show,
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

/** The definition of a kind; of an effect whose kind the caller does not know, the one that takes it. */
function definitionOf<K extends EffectKind>(kind: K): EffectDefinition<K> {
  return definitions[kind];
}

export function isEffectKind(kind: string): kind is EffectKind {
  return Object.hasOwn(definitions, kind);
}

/** What a stored effect of this kind cannot do without. */
export function storedSchema(kind: EffectKind): z.ZodType {
  return definitions[kind].stored;
}

/** Effects of one lane are carried out one after the other, in their order; lanes do not wait for each other. */
export function laneOf(effect: Effect): string {
  return definitionOf(effect.kind).lane(effect);
}

/** True when a later effect of the lane makes this one pointless, so that it need not be carried out any more. */
export function isSuperseded(effect: Effect, laterInLane: readonly Effect[]): boolean {
  return definitionOf(effect.kind).isSuperseded(effect, laterInLane);
}

/** True when the last effect that waits in its lane does the same, so that this one need not be added. */
export function isCovered(effect: Effect, lastInLane: Effect): boolean {
  return definitionOf(effect.kind).isCovered(effect, lastInLane);
}

/** What an effect is about, as a message. */
export function describeEffect(effect: Effect): string {
  return definitionOf(effect.kind).describe(effect);
}

/** @returns how this effect is retried after a failure of this cause; null: it is not */
export function retryPolicy({ kind }: Effect, cause: Cause): RetryPolicy | null {
  return definitions[kind].retry[cause];
}

/** How long an attempt at these effects together may take, in ms. */
export function attemptLimitMs(effects: readonly Effect[]): number {
  return Math.max(...effects.map(({ kind }) => definitions[kind].retry.attemptLimitMs));
}

/** Takes in what an effect brought back. */
export function effectDone(step: Step, { effect, result }: EventOf<'effect-done'>): void {
  definitionOf(effect.kind).onDone(step, effect, result);
}

/** Takes in that an effect failed and is tried again. */
export function effectDelayed(step: Step, { effect, attempts, reason }: EventOf<'effect-delayed'>): void {
  definitionOf(effect.kind).onDelayed(step, { effect, attempts, reason });
}

/** Takes in that an effect was given up. */
export function effectFailed(step: Step, { effect, attempts, error, hint }: EventOf<'effect-failed'>): void {
  const description = describeEffect(effect);
  definitionOf(effect.kind).onFailed(step, { effect, description, attempts, error, hint });
}
