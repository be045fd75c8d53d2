/**
 * When a turn is over: when Claude, its helpers, and what they are still to tell Claude are done. A command in the background is
 * waited for only as long as it is young, since a development server never ends. Everything has a bound. Times are monotonic.
 */
import { after, steadyNow } from '../clock.ts';
import type { BackgroundTask } from './background.ts';
import type { TurnTracker } from './turn-tracker.ts';

/** Milliseconds. */
export interface WorkLimits {
  /** Helpers that work for longer after Claude's own last word are ended. */
  helperMs: number;
  /** A command in the background holds the end of a turn until it is so old. */
  commandMs: number;
}

/** Claude, who has nothing else to do, is told within this time that something is done (measured: 0.1 s). */
const TELLING_MS = 5_000;
/** Something ended while Claude was at work: it was told then, or is told in a request that follows at once. */
const MAYBE_TELLING_MS = 1_000;
/** Helpers that were told to end have this long, and Claude to answer for them. */
const ENDING_MS = 60_000;

export interface WorkEvents {
  /** All of it is done, and no result is to come that would say so. */
  ended: () => void;
  /** These helpers have worked for too long. */
  overdue: (helpers: BackgroundTask[]) => void;
  /** What was overdue did not end either. */
  stuck: () => void;
}

export class EndOfWork {
  readonly #tracker: TurnTracker;
  readonly #limits: WorkLimits;
  readonly #events: WorkEvents;
  /** When Claude's first result came that did not end the turn, since somebody last asked; null: none did. */
  #heldSince: number | null = null;
  #overdueSince: number | null = null;
  /** Claude continues by itself, as the last result said. */
  #queuedSince: number | null = null;
  #cancelTimer = () => {};

  constructor(tracker: TurnTracker, limits: WorkLimits, events: WorkEvents) {
    this.#tracker = tracker;
    this.#limits = limits;
    this.#events = events;
  }

  /** True while a turn continues although Claude gave a result. */
  get isHeld(): boolean {
    return this.#heldSince !== null;
  }

  /** A person asked for something: what works beside it has its whole time again. */
  asked(): void {
    if (this.#heldSince !== null) this.#heldSince = steadyNow();
  }

  /** Claude gave a result, after the tracker has read it. @returns whether the turn continues all the same */
  holdsAfterResult(queued: boolean): boolean {
    this.#queuedSince = queued ? steadyNow() : null;
    if (this.#waitsUntil() === null) {
      this.forget();
      return false;
    }
    this.#heldSince ??= steadyNow();
    this.look();
    return true;
  }

  /** Something may have changed: a line was read, or time has passed. */
  look(): void {
    this.#stopTimer();
    if (this.#heldSince === null) return;
    if (this.#tracker.running) {
      // Its result decides.
      this.#queuedSince = null;
      return;
    }
    const until = this.#waitsUntil();
    if (until === null) {
      this.forget();
      this.#events.ended();
      return;
    }
    const left = until - steadyNow();
    if (left > 0) {
      this.#cancelTimer = after(Math.min(left + 1, 60_000), () => this.look());
      return;
    }
    if (this.#overdueSince === null) {
      this.#overdueSince = steadyNow();
      this.#events.overdue(this.#tracker.background.helpers);
      this.look();
    } else {
      this.#overdueSince = steadyNow();
      this.#events.stuck();
    }
  }

  /** The turn is over another way, or its CLI is gone. */
  forget(): void {
    this.#stopTimer();
    this.#heldSince = null;
    this.#overdueSince = null;
    this.#queuedSince = null;
  }

  /** Until when the end is waited for, on the monotonic clock; null: it is here. */
  #waitsUntil(): number | null {
    const { background } = this.#tracker;
    const now = steadyNow();
    if (background.helpers.length > 0) {
      if (this.#overdueSince !== null) return this.#overdueSince + ENDING_MS;
      return (this.#heldSince ?? now) + this.#limits.helperMs;
    }
    const { unreported } = background;
    const waits = [
      unreported === null ? 0 : unreported.since + (unreported.whileRunning ? MAYBE_TELLING_MS : TELLING_MS),
      this.#queuedSince === null ? 0 : this.#queuedSince + TELLING_MS,
      ...background.commands.map(({ since }) => since + this.#limits.commandMs),
    ];
    const last = Math.max(...waits);
    return last > now ? last : null;
  }

  #stopTimer(): void {
    this.#cancelTimer();
  }
}
