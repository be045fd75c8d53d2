/** What is known of one kind of effect, in one place. The compiler asks for every part. Pure. */
import type * as z from 'zod';
import type { EffectResults } from '../model/effect-results.ts';
import type { Effect, EffectKind, EffectOf } from '../model/effects.ts';
import type { Step } from '../model/transition.ts';
import type { Retry } from './retry-policies.ts';

/** What is told of an effect that was given up. */
export interface DeadLetter {
  /** What the effect was about, as a message. */
  description: string;
  attempts: number;
  error: string;
  /** What a person can do, if it is known. */
  hint: string | null;
}

/** An effect that was given up. */
export interface Failed<K extends EffectKind> extends DeadLetter {
  effect: EffectOf<K>;
}

/** An effect that failed and is tried again. */
interface Delayed<K extends EffectKind> {
  effect: EffectOf<K>;
  /** Failed so far. */
  attempts: number;
  /** What is waited for, as a message. */
  reason: string;
}

export interface EffectDefinition<K extends EffectKind> {
  /** What the effect cannot do without, checked when an effect is read that an earlier version may have stored. */
  stored: z.ZodType;
  /** Effects of one lane are carried out one after the other, in their order; lanes do not wait for each other. */
  lane(effect: EffectOf<K>): string;
  retry: Retry;
  /** True when a later effect of the lane makes this one pointless, so that it need not be carried out any more. */
  isSuperseded(effect: EffectOf<K>, laterInLane: readonly Effect[]): boolean;
  /** True when the last effect that waits in the lane does the same, so that this one need not be added. */
  isCovered(effect: EffectOf<K>, lastInLane: Effect): boolean;
  /** What the effect is about, as a message: for the journal, the page's dead letters and Linear. */
  describe(effect: EffectOf<K>): string;
  /** What its outcome changes. */
  onDone(step: Step, effect: EffectOf<K>, result: EffectResults[K]): void;
  /** What a failure that is retried changes. */
  onDelayed(step: Step, delayed: Delayed<K>): void;
  /** What changes when it is given up. */
  onFailed(step: Step, failed: Failed<K>): void;
}

/** A part of a definition: this changes nothing. */
export function nothing(): void {}

/** A part of a definition: this is never so. */
export function never(): boolean {
  return false;
}

/** A part of a definition: of such effects the last one counts. */
export function isAnyLater(_effect: Effect, laterInLane: readonly Effect[]): boolean {
  return laterInLane.length > 0;
}

/** Writes a dead letter: the page shows what was given up, and why. */
export function recordDeadLetter(step: Step, { description, attempts, error }: DeadLetter): void {
  step.record({ kind: 'effect-failed', effect: description, attempts, error });
  step.set({ failedEffects: step.state.failedEffects + 1 });
}
