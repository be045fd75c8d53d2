/** What the outbox asks about effects. Each rule is a pure function of effects. */
import type { Cause, RetryPolicy } from './attempt.ts';
import type { Readable } from './versions.ts';

/** An effect that waits. */
export interface Waiting<Effect> {
  effect: Effect;
  /** Attempts so far: it may have been carried out already. */
  attempts: number;
  /** Together with others it was refused, so it is attempted by itself. */
  isAlone?: boolean;
}

/** An effect in the outbox. `attempts` includes the present one once it is leased. */
export interface Pending<Effect> extends Waiting<Effect> {
  id: number;
  nextAt: number;
  /** How often in a row the program ended while this was carried out. */
  interruptions: number;
  /** When the present attempt began. */
  leasedAt?: number;
  /** Its row counts the first attempt already, as of `nextAt`. */
  isCounted?: boolean;
  /** Its JSON lies in rows of their own. */
  isInPieces?: boolean;
  /** It has no row: a crash loses it. */
  isUnstored?: boolean;
  /** Its lane was cancelled while it was carried out: it has no row any more. */
  isCancelled?: boolean;
  /** A person waits for it, and its lane has been tried because of it. */
  hasHurried?: boolean;
}

/** Effects of a lane that one takes the place of. */
export interface Condensed<W extends Waiting<unknown>> {
  /** Gives its place to `instead`. */
  first: W;
  /** Removed. */
  others: readonly W[];
  instead: W['effect'];
}

export interface EffectRules<Effect> {
  /** Effects of one lane are carried out one after the other, in their order; lanes do not wait for each other. */
  laneOf(effect: Effect): string;
  /** True if a later effect of the lane makes this one pointless, so that it need not be carried out any more. */
  isSuperseded(effect: Effect, laterInLane: readonly Effect[]): boolean;
  /** True if the last effect that waits in the lane does the same, so that this one need not be added. */
  isCovered(effect: Effect, lastInLane: Effect): boolean;
  /** How it is retried after a failure of this cause; null: it is not. */
  retryPolicy(effect: Effect, cause: Cause): RetryPolicy | null;
  /** When an effect that was called for at `now` is due, in ms since the epoch. */
  dueTime(effect: Effect, now: number): number;
  /** True if a crash may lose it: it is kept in memory alone. */
  isPassing(effect: Effect): boolean;
  /** True if it travels with others of its lane: what is due first takes along what is before it. */
  isGathered(effect: Effect): boolean;
  /** True if a person waits for it, so that it is worth one attempt at once though its lane waits after a failure. */
  isAwaited(effect: Effect): boolean;
  /** The first effect of a lane, with those after it that travel in the same attempt. */
  together<W extends Waiting<Effect>>(lane: W[]): W[];
  /** What to leave out of a lane that has too much; null: nothing. */
  condense<W extends Waiting<Effect>>(lane: W[]): Condensed<W> | null;
  /** Reads an effect that this or another version stored. */
  read(json: string): Readable<Effect>;
}
