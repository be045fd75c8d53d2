/**
 * The outbox: effects that are due, in the object's SQLite and, as the object is their only reader, in its memory. An
 * effect is written in the transaction of the state that calls for it, leased while it is carried out, and removed in
 * the transaction that takes in its outcome. What a crash interrupts is due in the next life.
 */
import { log } from '../observability/log.ts';
import { attemptLimit, dueTime, type Effect, isAnswer, isSuperseded, isThreadEffect, laneOf } from './effects.ts';
import { upgradeEffect } from './upgrade.ts';

/** Longest wait between two tries. */
const MAX_BACKOFF_MS = 5 * 60_000;
/** When to look after an effect that has not reported back; longer than any effect's own timeout. */
const LEASE_MS = 60_000;
/** Later effects of a lane that are looked at for making an earlier one pointless. */
const LOOK_AHEAD = 50;
/** Most effects of a thread in one request to Linear. */
const MOST_TOGETHER = 20;
/** Effects in one statement: with the longest bodies they stay below the 2 MB that a value may have. */
const EFFECTS_AT_ONCE = 20;

export interface Pending {
  id: number;
  effect: Effect;
  /** Tries so far, this one included once leased. */
  attempts: number;
  nextAt: number;
  /** Together with others it was refused, so that it is sent by itself. */
  isAlone?: boolean;
  /** It was put off to save the workspace's allowance at Linear. */
  isPutOff?: boolean;
}

interface Row extends Record<string, SqlStorageValue> {
  id: number;
  effect: string;
  attempts: number;
  next_at: number;
}

export class Outbox {
  readonly #sql: SqlStorage;
  /** What waits, by lane, oldest first; a lane without effects is not in it. */
  #lanes = new Map<string, Pending[]>();
  /** Ids of what this life of the object is carrying out. */
  readonly #leased = new Set<number>();
  #lastId = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Reads what is stored: at the start of a life, and after a transaction that was rolled back. */
  load(): void {
    this.clear();
    for (const row of this.#sql.exec<Row>('SELECT id, effect, attempts, next_at FROM outbox ORDER BY id')) {
      const effect = upgradeEffect(row.effect);
      // One of a newer version stays where it is, for that version to carry out.
      this.#lastId = Math.max(this.#lastId, row.id);
      if (!effect.ok) log('session.effect.unknown', { id: row.id, why: effect.why });
      else this.#keep({ id: row.id, effect: effect.value, attempts: row.attempts, nextAt: row.next_at });
    }
  }

  /** Forgets what is in memory, where nothing is stored. */
  clear(): void {
    this.#lanes = new Map();
  }

  /** Adds effects in their order. To be called inside of a transaction. */
  add(effects: Effect[], now: number): void {
    for (let from = 0; from < effects.length; from += EFFECTS_AT_ONCE) {
      const added = effects.slice(from, from + EFFECTS_AT_ONCE).map((effect) => {
        this.#lastId += 1;
        return { id: this.#lastId, effect, attempts: 0, nextAt: dueTime(effect, now) };
      });
      for (const pending of added) this.#keep(pending);
      this.#sql.exec(
        `INSERT INTO outbox (id, effect, attempts, next_at)
         SELECT value ->> 0, value ->> 1, 0, value ->> 2 FROM json_each(?)`,
        JSON.stringify(added.map(({ id, effect, nextAt }) => [id, effect, nextAt])),
      );
    }
  }

  #keep(pending: Pending): void {
    const name = laneOf(pending.effect);
    const lane = this.#lanes.get(name);
    if (lane) lane.push(pending);
    else this.#lanes.set(name, [pending]);
    this.#lastId = Math.max(this.#lastId, pending.id);
  }

  /** Removes the effects of a lane that are not being carried out right now. */
  cancel(lane: string): void {
    this.#remove((this.#lanes.get(lane) ?? []).filter((pending) => !this.#leased.has(pending.id)));
  }

  /**
   * Leases what may be carried out now: of each lane that is due and of which nothing is under way, the first effect; of a
   * thread in Linear, all that can be sent together. Effects that a later one has made pointless are removed on the way.
   */
  lease(now: number): Pending[][] {
    const leased: Pending[][] = [];
    for (const lane of [...this.#lanes.values()]) {
      const [head] = lane;
      if (!head || this.#leased.has(head.id)) continue;
      const together = this.#together(this.#withoutSuperseded(lane));
      if (dueOf(together) > now) continue;
      for (const pending of together) {
        this.#leased.add(pending.id);
        pending.attempts += 1;
      }
      leased.push(together);
    }
    if (leased.length > 0) {
      // Counted before it is tried: an effect that takes the object down with it is not tried for ever.
      this.#sql.exec(
        'UPDATE outbox SET attempts = attempts + 1 WHERE id IN (SELECT value FROM json_each(?))',
        JSON.stringify(leased.flat().map((pending) => pending.id)),
      );
    }
    return leased;
  }

  #withoutSuperseded(lane: Pending[]): Pending[] {
    const near = lane.slice(0, LOOK_AHEAD);
    const effects = near.map((pending) => pending.effect);
    const left = near.filter((_, index) => !isSuperseded(effects[index] as Effect, effects.slice(index + 1)));
    this.#remove(near.filter((pending) => !left.includes(pending)));
    return left;
  }

  /** The first effect of a lane, with those after it that travel in the same request. */
  #together(lane: Pending[]): Pending[] {
    const apart = lane.findIndex((pending) => !isThreadEffect(pending.effect) || pending.isAlone);
    return lane.slice(0, apart === -1 ? MOST_TOGETHER : Math.min(MOST_TOGETHER, Math.max(1, apart)));
  }

  /** Removes effects that have an outcome. To be called inside of a transaction. */
  remove(pending: Pending[]): void {
    this.#remove(pending);
  }

  #remove(gone: Pending[]): void {
    if (gone.length === 0) return;
    for (const { id, effect } of gone) {
      const name = laneOf(effect);
      const left = (this.#lanes.get(name) ?? []).filter((pending) => pending.id !== id);
      if (left.length > 0) this.#lanes.set(name, left);
      else this.#lanes.delete(name);
      this.#leased.delete(id);
    }
    this.#sql.exec(
      'DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))',
      JSON.stringify(gone.map((pending) => pending.id)),
    );
  }

  /** True while the effect is still wanted; false once it was removed. */
  has(pending: Pending): boolean {
    return this.#find(pending) !== undefined;
  }

  #find({ id, effect }: Pending): Pending | undefined {
    return this.#lanes.get(laneOf(effect))?.find((pending) => pending.id === id);
  }

  /** Puts effects that were tried together back for another try. `notBefore`: a time the other side asked us to wait for. */
  retry(tried: Pending[], error: string, now: number, random: number, notBefore: number | null): void {
    const attempts = Math.max(...tried.map((pending) => pending.attempts));
    for (const pending of tried) pending.isPutOff = notBefore !== null;
    this.#putBack(tried, error, Math.max(now + backoff(attempts, random), notBefore ?? 0));
  }

  /** Puts effects that were refused together back, to be tried one after the other at once; that was no try of each. */
  separate(tried: Pending[], error: string, now: number): void {
    for (const pending of tried) {
      pending.isAlone = true;
      pending.attempts -= 1;
    }
    this.#putBack(tried, error, now);
    this.#sql.exec(
      'UPDATE outbox SET attempts = attempts - 1 WHERE id IN (SELECT value FROM json_each(?))',
      JSON.stringify(tried.map((pending) => pending.id)),
    );
  }

  #putBack(tried: Pending[], error: string, nextAt: number): void {
    for (const pending of tried) {
      pending.nextAt = nextAt;
      this.#leased.delete(pending.id);
    }
    this.#sql.exec(
      'UPDATE outbox SET next_at = ?, last_error = ? WHERE id IN (SELECT value FROM json_each(?))',
      nextAt,
      error,
      JSON.stringify(tried.map((pending) => pending.id)),
    );
  }

  /** When there is next something to look after; null for an empty outbox. Times in milliseconds since the epoch. */
  nextAt(now: number): number | null {
    let soonest: number | null = null;
    for (const lane of this.#lanes.values()) {
      const [head] = lane;
      if (!head) continue;
      const at = this.#leased.has(head.id) ? now + LEASE_MS : dueOf(this.#together(lane));
      if (soonest === null || at < soonest) soonest = at;
    }
    return soonest;
  }
}

/**
 * When effects that travel together are due: whichever is due first takes the others along. Once the first of them failed, it
 * decides, for it knows how long to wait; but what was put off to save allowance goes along with an answer that is not.
 */
function dueOf(together: Pending[]): number {
  const [head] = together;
  if (!head) return Number.MAX_SAFE_INTEGER;
  const fresh = together.filter(
    (pending) => pending.attempts === 0 && (head.attempts === 0 || (head.isPutOff && isAnswer(pending.effect))),
  );
  return Math.min(head.nextAt, ...fresh.map((pending) => pending.nextAt));
}

/** True when an effect that failed for the `attempts`-th time is given up. */
export function isGivenUp(effect: Effect, attempts: number): boolean {
  return attempts >= attemptLimit(effect);
}

/**
 * Wait before the next try, in milliseconds: 1 s, doubled with each try, at most 5 min, the upper half of it random so
 * that many sessions do not come back at once.
 * @param random in [0, 1)
 */
export function backoff(attempts: number, random: number): number {
  const full = Math.min(MAX_BACKOFF_MS, 1000 * 2 ** (attempts - 1));
  return Math.round(full / 2 + (full / 2) * random);
}
