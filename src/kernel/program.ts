/** What an engine runs: a pure program, and the shell around it that stores, tells and does. */
import type { Attempt, Cause, Failure } from './attempt.ts';
import type { EffectRules } from './effect-rules.ts';

/** What one event brings about. A program's own transitions have more; all of it is stored in one transaction. */
export interface Transition<State, Effect> {
  state: State;
  effects: Effect[];
  /** Lanes of the outbox whose waiting effects have become pointless; emptied before `effects` are added. */
  cancelledLanes: string[];
}

/** What is not the same each time, given to the program so that a history replays exactly. */
export interface StepContext {
  /** Milliseconds since the epoch. */
  now: number;
  /** A fresh UUID v4. */
  newId: () => string;
}

/** Pure: no clock, no randomness, no I/O. */
export interface Program<State, Event, Effect, Change extends Transition<State, Effect>> {
  /** What `event` makes of `state`. Total: every event is defined in every state. */
  reduce(state: State, event: Event, context: StepContext): Change;
  /** When the state waits for time to pass: ms since the epoch; null: it does not. */
  nextDeadline(state: State): number | null;
  /**
   * By how much the clock was set since the state was made, in ms: below 0 it was set back; 0: it was not.
   * @param isDoubted it seemed to be set forward when this was asked last
   */
  clockMove(state: State, now: number, isDoubted: boolean): number;
  readonly effects: EffectRules<Effect>;
  /** The events that the engine itself makes. */
  readonly events: {
    /** A deadline has passed. */
    deadline(): Event;
    /** The clock was set by so much. */
    clockMoved(by: number): Event;
    /** An effect failed for the `attempts`-th time and is tried again. `reason`: what is waited for, as a message. */
    delayed(delay: { effect: Effect; attempts: number; reason: string }): Event;
    /** An effect was given up. */
    failed(failed: { effect: Effect; attempts: number; error: string; hint: string | null }): Event;
  };
}

/** Something that a log should have. */
export type Report<Effect> =
  | { kind: 'clock-moved'; by: number }
  | { kind: 'effect-unknown'; id: number; why: string }
  | { kind: 'effect-failed'; effects: readonly Effect[]; attempts: number; cause: Cause | 'terminal'; error: Error }
  | { kind: 'effects-separated'; effects: readonly Effect[]; reason: string }
  | { kind: 'effect-given-up'; effect: Effect; attempts: number; reason: string }
  | { kind: 'outbox-failed'; error: Error };

/** `Output`: what was written of a transition, as those who watch are told it. */
export interface Shell<State, Event, Effect, Change, Output> {
  /** Stores a transition but for its effects. Called inside of its transaction. */
  write(change: Change): Output;
  /** A transaction was rolled back: what is in memory may be ahead of what is stored. @param isEmpty nothing is stored */
  restore(isEmpty: boolean): void;
  /** A transition is stored: those who watch are told. */
  publish(change: Change, output: Output): void;
  /**
   * Called before effects are leased. @param isNews settings have changed
   * @returns null: nothing has to be waited for
   */
  prepare(isNews: boolean): Promise<void> | null;
  /** Whether an effect has to wait for now, and what comes after it in its lane. */
  isHeld(effect: Effect, state: State | null): boolean;
  /**
   * When the shell itself wants to be woken while the state is this, in ms since the epoch; null: it does not. What it does then, it does
   * before it calls the engine's `alarm`. Left out: never.
   */
  wakeAt?(state: State): number | null;
  /** Carries out effects that were leased together. Never rejects. */
  perform(effects: readonly [Effect, ...Effect[]], state: State): Promise<Attempt<Event>>;
  /** What it means that the outcome of an effect could not be stored. */
  failureOf(thrown: unknown): Failure;
  report(report: Report<Effect>): void;
}
