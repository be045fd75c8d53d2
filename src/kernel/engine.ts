/**
 * The engine under a program: takes events in, one transaction each (state, output, effects), then tells those who watch and
 * carries out effects until nothing is due. It survives its end at any moment: what was not stored did not happen, and what
 * was stored is gone on from.
 */
import { asError } from '../lib/error.ts';
import { type Failure, isGivenUp } from './attempt.ts';
import type { Pending } from './effect-rules.ts';
import { Outbox } from './outbox.ts';
import type { CrashPoint, Platform } from './platform.ts';
import type { Program, Shell, Transition } from './program.ts';

/** How often what is held is looked at again, in ms, in case a notification was lost. */
const HELD_POLL_MS = 60_000;

export class Engine<State, Event, Effect extends object, Change extends Transition<State, Effect>, Output> {
  readonly #platform: Platform;
  readonly #program: Program<State, Event, Effect, Change>;
  readonly #shell: Shell<State, Event, Effect, Change, Output>;
  readonly #outbox: Outbox<Effect>;
  #state: State | null = null;
  #alarmAt: number | null = null;
  #isMoving = false;
  /** The clock seemed to be set forward when it was looked at last. */
  #isDoubted = false;

  constructor(
    platform: Platform,
    program: Program<State, Event, Effect, Change>,
    shell: Shell<State, Event, Effect, Change, Output>,
  ) {
    this.#platform = platform;
    this.#program = program;
    this.#shell = shell;
    this.#outbox = new Outbox(platform.sql, program.effects, (unknown) =>
      shell.report({ kind: 'effect-unknown', ...unknown }),
    );
  }

  /** The state as it is stored; null before the first event. */
  get state(): State | null {
    return this.#state;
  }

  /** Goes on from a state that was stored, with what is in the outbox. To be called first, once. */
  resume(state: State): void {
    this.#outbox.load(this.#platform.now());
    this.#state = state;
    // An alarm set by the last life may have been lost with it; what it left behind is due now.
    this.#arm(true);
  }

  /**
   * Takes in one event in one transaction. Afterwards those who watch are told, and effects set going.
   * @param take runs inside of the transaction, and may store what belongs to the event, or refuse it by returning null
   * @returns false: it was refused. @throws what `take` or the storage throws; nothing has changed then
   */
  commit(take: () => { state: State; event: Event } | null): boolean {
    const isMoved = this.#watchClock();
    const now = this.#platform.now();
    const context = { now, newId: () => this.#platform.newId() };
    let written: { change: Change; output: Output } | null = null;
    try {
      this.#platform.transaction(() => {
        const taken = take();
        if (!taken) return;
        // What the caller read before the clock was noticed is of the state before.
        const before = isMoved && this.#state !== null ? this.#state : taken.state;
        const change = this.#program.reduce(before, taken.event, context);
        written = { change, output: this.#shell.write(change) };
        for (const lane of change.cancelledLanes) this.#outbox.cancel(lane);
        this.#outbox.add(change.effects, now);
        this.#reached('before-commit');
      });
    } catch (error) {
      this.#shell.restore(this.#state === null);
      if (this.#state === null) this.#outbox.clear();
      else this.#outbox.load(this.#platform.now());
      throw error;
    }
    return written === null ? false : this.#follow(written);
  }

  /** What comes after a transaction. */
  #follow({ change, output }: { change: Change; output: Output }): true {
    this.#state = change.state;
    this.#reached('after-commit');
    this.#shell.publish(change, output);
    // Effects run beside the request that caused them; the alarm stands by in case the program ends meanwhile.
    if (change.effects.length > 0) this.#platform.waitUntil(this.carryOut());
    this.#arm();
    return true;
  }

  /** A clock that was set back would have everything wait by as much longer; one set forward, by as much less. */
  #watchClock(): boolean {
    const state = this.#state;
    if (state === null || this.#isMoving) return false;
    const by = this.#program.clockMove(state, this.#platform.now(), this.#isDoubted);
    this.#isDoubted = by > 0;
    if (by === 0) return false;
    this.#shell.report({ kind: 'clock-moved', by });
    this.#isMoving = true;
    try {
      this.commit(() => {
        // What is sent or tried again too early does no harm.
        if (by < 0) this.#outbox.clockMoved(by);
        return { state, event: this.#program.events.clockMoved(by) };
      });
    } finally {
      this.#isMoving = false;
    }
    this.#alarmAt = null;
    this.#arm();
    return true;
  }

  /**
   * Whatever is due: effects to try again, deadlines, what a crash left behind. Effects run beside it, for the next alarm comes
   * only when this one is over, and deadlines do not wait for services.
   */
  alarm(): void {
    this.#alarmAt = null;
    this.#reached('on-alarm');
    this.#watchClock();
    const state = this.#state;
    if (state === null) return;
    const deadline = this.#program.nextDeadline(state);
    if (deadline !== null && deadline <= this.#platform.now()) {
      this.commit(() => ({ state: this.#state ?? state, event: this.#program.events.deadline() }));
    }
    this.#platform.waitUntil(this.carryOut());
    this.#arm();
  }

  /** What the shell waits for may be another time now. */
  rearm(): void {
    this.#arm();
  }

  /** Has lanes that wait after a failure tried now: what they waited for is there again. @param isMeant by an effect of theirs */
  hurry(isMeant: (effect: Effect) => boolean): void {
    this.#outbox.hurry(isMeant, this.#platform.now());
    this.#platform.waitUntil(this.carryOut());
  }

  /** Whether nothing is to be carried out, and nothing is under way. */
  get isIdle(): boolean {
    return this.#outbox.isEmpty;
  }

  /** Whether such an effect is the next of its lane, and not under way. */
  isNext(isMeant: (effect: Effect) => boolean): boolean {
    return this.#outbox.isNext(isMeant);
  }

  /** Carries out what is due, lane by lane, until nothing is. Never rejects. @param isNews settings have changed */
  async carryOut(isNews = false): Promise<void> {
    try {
      const ready = this.#shell.prepare(isNews);
      if (ready) await ready;
      this.#giveUpFatal();
      const leased = this.#outbox.lease(this.#platform.now(), this.#isHeld);
      if (leased.length > 0) {
        this.#reached('after-lease');
        // The attempt is on the disk, and the program is woken again, before it is made.
        this.#arm();
      }
      await Promise.all(leased.map((together) => this.#tryOnce(together)));
    } catch (error) {
      this.#shell.report({ kind: 'outbox-failed', error: asError(error) });
    }
  }

  readonly #isHeld = (effect: Effect): boolean => this.#shell.isHeld(effect, this.#state);

  #giveUpFatal(): void {
    for (const pending of this.#outbox.fatal()) {
      const { effect, attempts } = pending;
      this.#shell.report({ kind: 'effect-given-up', effect, attempts, reason: 'crash' });
      const error = 'Cyrus crashed on every attempt';
      this.#settle([pending], this.#program.events.failed({ effect, attempts, error, hint: null }));
    }
  }

  /** Tries effects that were leased together. */
  async #tryOnce(together: Pending<Effect>[]): Promise<void> {
    const state = this.#state;
    const [first, ...others] = together;
    if (state === null || !first) return;
    const attempt = await this.#shell.perform([first.effect, ...others.map(({ effect }) => effect)], state);
    this.#reached('after-attempt');
    const failure = attempt.kind === 'done' ? this.#takeResult(together, attempt.event) : attempt;
    if (failure) this.#takeFailure(together, failure);
    await this.carryOut();
  }

  /** Takes in what effects brought back. @returns why it could not be, so that they are tried again; null: it was */
  #takeResult(together: Pending<Effect>[], event: Event): Failure | null {
    try {
      this.#settle(together, event);
      return null;
    } catch (error) {
      return this.#shell.failureOf(error);
    }
  }

  #takeFailure(together: Pending<Effect>[], failure: Failure): void {
    const { message, hint, error } = failure;
    const effects = together.map(({ effect }) => effect);
    if (failure.kind === 'terminal' && together.length > 1) {
      // One of them is refused, or was done by an attempt that was cut off: each by itself tells which.
      this.#shell.report({ kind: 'effects-separated', effects, reason: message });
      // What was cancelled meanwhile is pointless now.
      this.#outbox.separate(this.#outbox.dropCancelled(together), message, this.#platform.now());
      return;
    }
    const attempts = Math.max(...together.map((pending) => pending.attempts));
    const cause = failure.kind === 'terminal' ? 'terminal' : failure.cause;
    this.#shell.report({ kind: 'effect-failed', effects, attempts, cause, error });
    this.#reached('before-retry');
    const isOver = (pending: Pending<Effect>) =>
      failure.kind === 'terminal' ||
      isGivenUp(this.#program.effects.retryPolicy(pending.effect, failure.cause), pending.attempts);
    const over = together.filter(isOver);
    const again = together.filter((pending) => !over.includes(pending));
    if (failure.kind === 'retryable') this.#retry(again, failure);
    for (const pending of over) {
      const { effect, attempts: tried } = pending;
      this.#shell.report({ kind: 'effect-given-up', effect, attempts: tried, reason: message });
      this.#settle([pending], this.#program.events.failed({ effect, attempts: tried, error: message, hint }));
    }
    this.#arm();
  }

  #retry(again: Pending<Effect>[], failure: Extract<Failure, { kind: 'retryable' }>): void {
    const { message, cause, reason, retryAt } = failure;
    const failed = { error: message, cause, notBefore: retryAt };
    const wanted = this.#outbox.dropCancelled(again);
    this.#outbox.retry(wanted, failed, this.#platform.now(), this.#platform.random());
    this.#reached('after-retry');
    if (reason === undefined) return;
    for (const { effect, attempts } of wanted) {
      const event = this.#program.events.delayed({ effect, attempts, reason });
      this.commit(() => (this.#state === null ? null : { state: this.#state, event }));
    }
  }

  /** Takes in the outcome of effects, unless they were cancelled meanwhile. */
  #settle(together: Pending<Effect>[], event: Event): void {
    this.commit(() => {
      const known = together.filter((pending) => this.#outbox.has(pending));
      if (this.#state === null || known.length === 0) return null;
      this.#outbox.remove(known);
      this.#reached('before-settle');
      return { state: this.#state, event };
    });
  }

  /**
   * Has the alarm come in time for the next thing that is due. One that comes too early looks and is set again, so it is
   * moved only if something is due before it: most changes cost no write.
   * @param isResuming what the shell waits for is set already, months ahead: that an object is looked at costs no row
   */
  #arm(isResuming = false): void {
    const now = this.#platform.now();
    const effects = this.#outbox.nextAt(now, this.#isHeld);
    const deadline = this.#state === null ? null : this.#program.nextDeadline(this.#state);
    const held = this.#outbox.isNext(this.#isHeld) ? now + HELD_POLL_MS : null;
    const shell = this.#state === null || isResuming ? null : (this.#shell.wakeAt?.(this.#state) ?? null);
    const times = [effects, deadline, held, shell].filter((time) => time !== null);
    if (times.length === 0) return;
    const at = Math.min(...times);
    if (this.#alarmAt !== null && this.#alarmAt > now && this.#alarmAt <= at) return;
    this.#reached('before-arm');
    this.#alarmAt = at;
    this.#platform.waitUntil(this.#platform.setAlarm(Math.max(at, now)));
  }

  #reached(point: CrashPoint): void {
    this.#platform.reached?.(point);
  }
}
