/**
 * The outbox: effects that are due, in SQLite and, as the engine is their only reader, in memory. An effect is written in the
 * transaction of the state that calls for it, leased while it is carried out, and removed in the transaction that takes in
 * its outcome. What a crash interrupts is due in the next life.
 *
 * A row written is what the platform charges for: what a later effect replaces anyway is kept in memory alone.
 */
import { backoff } from '../lib/backoff.ts';
import { type Cause, INTERRUPTION_LIMIT, isGivenUp } from './attempt.ts';
import type { EffectRules, Pending } from './effect-rules.ts';
import { OutboxRows } from './outbox-rows.ts';
import type { Sql } from './platform.ts';

/**
 * When to look after an effect that is being carried out, in ms: soon after it began, then every few seconds. If the program
 * ends meanwhile, that is when it comes back.
 */
const FIRST_LOOK_MS = 2_000;
const LOOK_EVERY_MS = 5_000;
/** Later effects of a lane that are looked at for making an earlier one pointless. */
const LOOK_AHEAD = 50;
/** No effect waits longer than this, in ms: a time further off was set on another clock. */
const LONGEST_WAIT_MS = 2 * 3_600_000;
/** Told of an effect that is left where it is, for a version that knows it. */
export type OnUnknown = (unknown: { id: number; why: string }) => void;

export class Outbox<Effect extends object> {
  readonly #rows: OutboxRows<Effect>;
  readonly #rules: EffectRules<Effect>;
  readonly #onUnknown: OnUnknown;
  /** What waits, by lane, oldest first; a lane without effects is not in it. */
  #lanes = new Map<string, Pending<Effect>[]>();
  /** Ids of what this life is carrying out. */
  readonly #leased = new Set<number>();
  #lastId = 0;

  /** @param sql has the tables of `KERNEL_TABLES`, at the latest at the first call */
  constructor(sql: Sql, rules: EffectRules<Effect>, onUnknown: OnUnknown = () => {}) {
    this.#rows = new OutboxRows(sql);
    this.#rules = rules;
    this.#onUnknown = onUnknown;
  }

  /**
   * Reads what is stored: at the start of a life, and after a transaction that was rolled back. What the last life had
   * under way is due after a short wait, which grows if the program ended each time.
   */
  load(now: number): void {
    const stored = this.#rows.all();
    const cancelled = this.#cancelledUnderWay(new Set(stored.map(({ id }) => id)));
    this.clear();
    // They were asked for before anything that is in their lanes now.
    for (const pending of cancelled) this.#keep(pending);
    for (const { id, json, isInPieces, attempts, nextAt: due, interruptions } of stored) {
      // One of a newer version stays where it is, for that version to carry out.
      this.#lastId = Math.max(this.#lastId, id);
      const effect = this.#rules.read(json);
      if (!effect.ok) {
        this.#onUnknown({ id, why: effect.why });
        continue;
      }
      const nextAt = due - now > LONGEST_WAIT_MS ? now : due;
      // Counted when it was written, and not due yet: nobody has tried it.
      const isUntried = attempts === 1 && interruptions === 1 && nextAt > now;
      const tried = isUntried ? { attempts: 0, interruptions: 0, isCounted: true } : { attempts, interruptions };
      const known = { id, effect: effect.value, nextAt, isAlone: interruptions > 1, isInPieces };
      this.#keep({ ...known, ...tried });
    }
  }

  /** What is carried out though it was cancelled. The cancellation of what has a row was rolled back. */
  #cancelledUnderWay(stored: ReadonlySet<number>): Pending<Effect>[] {
    const isMeant = ({ id, isCancelled, isUnstored }: Pending<Effect>) =>
      isCancelled === true && !isUnstored && this.#leased.has(id) && !stored.has(id);
    return [...this.#lanes.values()].flatMap((lane) => lane.filter(isMeant));
  }

  /** Forgets what is in memory, if nothing is stored. */
  clear(): void {
    this.#lanes = new Map();
  }

  /** Adds effects in their order. To be called inside of a transaction. */
  add(all: Effect[], now: number): void {
    const effects = all.filter((effect) => !this.#isWaiting(effect));
    const stored: Pending<Effect>[] = [];
    for (const effect of effects) {
      this.#lastId += 1;
      const pending: Pending<Effect> = {
        id: this.#lastId,
        effect,
        attempts: 0,
        nextAt: this.#rules.dueTime(effect, now),
        interruptions: 0,
      };
      this.#keep(pending);
      if (this.#rules.isPassing(effect)) {
        pending.isUnstored = true;
        continue;
      }
      pending.isCounted = true;
      stored.push(pending);
    }
    this.#rows.insert(stored);
  }

  /** True when what waits last in its lane does the same, and is not cancelled. */
  #isWaiting(effect: Effect): boolean {
    const last = this.#lanes.get(this.#rules.laneOf(effect))?.at(-1);
    return last !== undefined && !last.isCancelled && this.#rules.isCovered(effect, last.effect);
  }

  #keep(pending: Pending<Effect>): void {
    const name = this.#rules.laneOf(pending.effect);
    const lane = this.#lanes.get(name);
    if (lane) lane.push(pending);
    else this.#lanes.set(name, [pending]);
    this.#lastId = Math.max(this.#lastId, pending.id);
  }

  /**
   * Removes the effects of a lane. What is being carried out right now has an outcome all the same, but no other attempt, neither
   * in this life nor in the next one; until then what is added to the lane waits. Refused together with others, it has no outcome:
   * which of them was meant is found out by another attempt. To be called inside of a transaction.
   */
  cancel(lane: string): void {
    const all = this.#lanes.get(lane) ?? [];
    const underWay = all.filter((pending) => this.#leased.has(pending.id));
    this.#remove(all.filter((pending) => !underWay.includes(pending)));
    for (const pending of underWay) pending.isCancelled = true;
    this.#rows.remove(underWay);
  }

  /**
   * Leases what may be carried out now: of each lane that is due and of which nothing is under way, the first effect, with
   * those that travel with it. Effects that a later one has made pointless are removed on the way, and what is too much for
   * one attempt is condensed. The attempt is counted, and the next one put off, before it is
   * made: an effect that takes the program down with it is not tried without end. Its row counts the first from the beginning.
   * @param isHeld whether an effect must wait for now, and its lane with it
   */
  lease(now: number, isHeld: (effect: Effect) => boolean = () => false): Pending<Effect>[][] {
    const leased: Pending<Effect>[][] = [];
    const uncounted: Pending<Effect>[] = [];
    for (const [name, lane] of this.#lanes) {
      const [head] = lane;
      if (!head || this.#leased.has(head.id)) continue;
      this.#remove(this.#superseded(lane));
      if (isHeld(head.effect)) continue;
      if (this.#dueOf(this.#lanes.get(name) ?? []) > now) continue;
      this.#shorten(this.#lanes.get(name) ?? []);
      const chosen = this.#rules.together(this.#lanes.get(name) ?? []);
      for (const pending of this.#lanes.get(name) ?? []) pending.hasHurried = true;
      for (const pending of chosen) {
        this.#leased.add(pending.id);
        // Before its time, its row would say that nobody has tried it.
        if (!pending.isUnstored && !(pending.isCounted && pending.nextAt <= now)) uncounted.push(pending);
        pending.isCounted = false;
        pending.attempts += 1;
        pending.interruptions += 1;
        pending.leasedAt = now;
      }
      leased.push(chosen);
    }
    this.#rows.countAttempt(uncounted, now);
    return leased;
  }

  /** What is not tried again, because the program ended each time it was. */
  fatal(): Pending<Effect>[] {
    const isFatal = ({ effect, attempts, interruptions }: Pending<Effect>) =>
      interruptions >= INTERRUPTION_LIMIT ||
      (interruptions > 0 && isGivenUp(this.#rules.retryPolicy(effect, 'passing'), attempts));
    return [...this.#lanes.values()].flatMap((lane) =>
      lane.filter((pending) => !this.#leased.has(pending.id) && isFatal(pending)),
    );
  }

  #shorten(lane: Pending<Effect>[]): void {
    const condensed = this.#rules.condense(lane);
    if (!condensed) return;
    const { first, others, instead } = condensed;
    first.effect = instead;
    this.#rows.replace(first.id, instead);
    this.#remove(others);
  }

  /** Removes effects that have an outcome. To be called inside of a transaction. */
  remove(pending: Pending<Effect>[]): void {
    this.#remove(pending);
  }

  #remove(gone: readonly Pending<Effect>[]): void {
    if (gone.length === 0) return;
    for (const { id, effect } of gone) {
      const name = this.#rules.laneOf(effect);
      const left = (this.#lanes.get(name) ?? []).filter((pending) => pending.id !== id);
      if (left.length > 0) this.#lanes.set(name, left);
      else this.#lanes.delete(name);
      this.#leased.delete(id);
    }
    this.#rows.remove(gone);
  }

  /** True while the effect is still wanted; false once it was removed. */
  has(pending: Pending<Effect>): boolean {
    return this.#find(pending) !== undefined;
  }

  /** Removes what was cancelled while it was carried out. @returns the rest, which is to be tried again */
  dropCancelled(tried: Pending<Effect>[]): Pending<Effect>[] {
    const wanted = tried.filter((pending) => !this.#isCancelled(pending));
    this.#remove(tried.filter((pending) => !wanted.includes(pending)));
    return wanted;
  }

  /** As it is in memory now: a cancellation may have been rolled back, and what was read again is another object. */
  #isCancelled(pending: Pending<Effect>): boolean {
    const known = this.#find(pending);
    return known === undefined || known.isCancelled === true;
  }

  #find({ id, effect }: Pending<Effect>): Pending<Effect> | undefined {
    return this.#lanes.get(this.#rules.laneOf(effect))?.find((pending) => pending.id === id);
  }

  /**
   * Puts effects that were tried together back for another attempt.
   * @param notBefore a time the other side asked us to wait for
   */
  retry(
    tried: Pending<Effect>[],
    failed: { error: string; cause: Cause; notBefore: number | null },
    now: number,
    random: number,
  ): void {
    const [first] = tried;
    if (!first) return;
    const attempts = Math.max(...tried.map((pending) => pending.attempts));
    const policy = this.#rules.retryPolicy(first.effect, failed.cause);
    const wait = policy ? backoff(policy, attempts, random) : 0;
    this.#putBack(tried, failed.error, Math.max(now + wait, failed.notBefore ?? 0));
  }

  /** Puts effects that were refused together back, to be tried one after the other at once; that was no attempt of each. */
  separate(tried: Pending<Effect>[], error: string, now: number): void {
    for (const pending of this.#current(tried)) {
      pending.isAlone = true;
      pending.attempts -= 1;
    }
    this.#putBack(tried, error, now);
    this.#rows.uncountAttempt(tried);
  }

  /** The same effects as they are in memory now: they may have been read again meanwhile. */
  #current(tried: Pending<Effect>[]): Pending<Effect>[] {
    return tried.map((pending) => this.#find(pending)).filter((pending) => pending !== undefined);
  }

  #putBack(tried: Pending<Effect>[], error: string, nextAt: number): void {
    for (const { id } of tried) this.#leased.delete(id);
    for (const pending of this.#current(tried)) {
      pending.nextAt = nextAt;
      pending.interruptions = 0;
    }
    this.#rows.putBack(tried, error, nextAt);
  }

  /** Has lanes that wait after a failure tried now: what they waited for is there again. @param isMeant by an effect of theirs */
  hurry(isMeant: (effect: Effect) => boolean, now: number): void {
    for (const [head] of this.#lanes.values()) {
      if (head && isMeant(head.effect) && !this.#leased.has(head.id) && head.attempts > 0) head.nextAt = now;
    }
  }

  /** The wall clock was set: what waits goes on waiting as long as before. @param by ms, forward or back */
  clockMoved(by: number): void {
    for (const lane of this.#lanes.values()) {
      for (const pending of lane) {
        pending.nextAt += by;
        if (pending.leasedAt !== undefined) pending.leasedAt += by;
      }
    }
    this.#rows.moveTimes(by);
  }

  /** Whether nothing waits and nothing is under way. */
  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  /** Whether such an effect is the next of its lane, and not under way. */
  isNext(isMeant: (effect: Effect) => boolean): boolean {
    return [...this.#lanes.values()].some(
      ([head]) => head !== undefined && !this.#leased.has(head.id) && isMeant(head.effect),
    );
  }

  /**
   * When there is next something to look after, in milliseconds since the epoch; null if nothing is.
   * @param isHeld as for `lease`
   */
  nextAt(now: number, isHeld: (effect: Effect) => boolean = () => false): number | null {
    let soonest: number | null = null;
    for (const lane of this.#lanes.values()) {
      const [head] = lane;
      if (!head || (isHeld(head.effect) && !this.#leased.has(head.id))) continue;
      const at = this.#leased.has(head.id) ? lookAfter(head, now) : this.#dueOf(lane);
      if (soonest === null || at < soonest) soonest = at;
    }
    return soonest;
  }

  /** Effects near the head of a lane that a later one has made pointless. */
  #superseded(lane: Pending<Effect>[]): Pending<Effect>[] {
    const near = lane.slice(0, LOOK_AHEAD);
    const effects = near.map((pending) => pending.effect);
    return near.filter(({ effect }, index) => this.#rules.isSuperseded(effect, effects.slice(index + 1)));
  }

  /**
   * When a lane is due: whatever of a gathered lane is due first takes along what is before it. Once its first effect failed, that
   * knows how long to wait; but what a person waits for is worth one attempt at once.
   */
  #dueOf(lane: Pending<Effect>[]): number {
    const [head] = lane;
    if (!head) return Number.MAX_SAFE_INTEGER;
    if (!this.#rules.isGathered(head.effect)) return head.nextAt;
    const fresh = lane.filter(
      (pending) =>
        pending.attempts === 0 &&
        (head.attempts === 0 || (this.#rules.isAwaited(pending.effect) && !pending.hasHurried)),
    );
    return Math.min(head.nextAt, ...fresh.map((pending) => pending.nextAt));
  }
}

function lookAfter({ leasedAt = 0 }: { leasedAt?: number }, now: number): number {
  const since = Math.max(0, now - leasedAt);
  return since < FIRST_LOOK_MS ? leasedAt + FIRST_LOOK_MS : now + LOOK_EVERY_MS;
}
