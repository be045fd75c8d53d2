/**
 * The outbox: effects that are due, in the object's SQLite and, as the object is their only reader, in its memory. An
 * effect is written in the transaction of the state that calls for it, leased while it is carried out, and removed in
 * the transaction that takes in its outcome. What a crash interrupts is due in the next life.
 */
import { attemptLimit, type Effect, isSuperseded, laneOf } from './effects.ts';

/** Longest wait between two tries. */
const MAX_BACKOFF_MS = 5 * 60_000;
/** When to look after an effect that has not reported back; longer than any effect's own timeout. */
const LEASE_MS = 60_000;
/** Later effects of a lane that are looked at for making an earlier one pointless. */
const LOOK_AHEAD = 50;
/** Effects in one statement: with the longest bodies they stay below the 2 MB that a value may have. */
const EFFECTS_AT_ONCE = 20;

export interface Pending {
  id: number;
  effect: Effect;
  /** Tries so far, this one included once leased. */
  attempts: number;
  nextAt: number;
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
      // Written by `add` and nobody else, so its shape is known.
      const effect = JSON.parse(row.effect) as Effect;
      this.#keep({ id: row.id, effect, attempts: row.attempts, nextAt: row.next_at });
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
        return { id: this.#lastId, effect, attempts: 0, nextAt: now };
      });
      for (const pending of added) this.#keep(pending);
      this.#sql.exec(
        `INSERT INTO outbox (id, effect, attempts, next_at)
         SELECT value ->> 0, value ->> 1, 0, ? FROM json_each(?)`,
        now,
        JSON.stringify(added.map(({ id, effect }) => [id, effect])),
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
   * Leases what may be carried out now: the first effect of each lane, if it is due and not under way. Effects that a
   * later one has made pointless are removed on the way.
   */
  lease(now: number): Pending[] {
    const leased: Pending[] = [];
    for (const lane of [...this.#lanes.values()]) {
      const [head] = lane;
      if (!head || this.#leased.has(head.id)) continue;
      const pending = this.#skipSuperseded(lane) ?? head;
      if (pending.nextAt > now) continue;
      this.#leased.add(pending.id);
      pending.attempts += 1;
      leased.push(pending);
    }
    if (leased.length > 0) {
      // Counted before it is tried: an effect that takes the object down with it is not tried for ever.
      this.#sql.exec(
        'UPDATE outbox SET attempts = attempts + 1 WHERE id IN (SELECT value FROM json_each(?))',
        JSON.stringify(leased.map((pending) => pending.id)),
      );
    }
    return leased;
  }

  #skipSuperseded(lane: Pending[]): Pending | undefined {
    const effects = lane.slice(0, LOOK_AHEAD).map((pending) => pending.effect);
    const first = effects.findIndex((effect, index) => !isSuperseded(effect, effects.slice(index + 1)));
    const pending = lane[first];
    if (first > 0) this.#remove(lane.slice(0, first));
    return pending;
  }

  /** Removes an effect that has an outcome. To be called inside of a transaction. */
  remove(pending: Pending): void {
    this.#remove([pending]);
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

  /** Puts an effect back for another try. `notBefore`: a time the other side asked us to wait for. */
  retry(tried: Pending, error: string, now: number, random: number, notBefore: number | null): void {
    const nextAt = Math.max(now + backoff(tried.attempts, random), notBefore ?? 0);
    const pending = this.#find(tried);
    if (pending) pending.nextAt = nextAt;
    this.#leased.delete(tried.id);
    this.#sql.exec('UPDATE outbox SET next_at = ?, last_error = ? WHERE id = ?', nextAt, error, tried.id);
  }

  /** When there is next something to look after; null for an empty outbox. Times in milliseconds since the epoch. */
  nextAt(now: number): number | null {
    let soonest: number | null = null;
    for (const [head] of this.#lanes.values()) {
      if (!head) continue;
      const at = this.#leased.has(head.id) ? now + LEASE_MS : head.nextAt;
      if (soonest === null || at < soonest) soonest = at;
    }
    return soonest;
  }
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
