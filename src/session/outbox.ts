/**
 * The outbox: effects that are due, in the object's SQLite. An effect is written in the transaction of the state that
 * calls for it, leased before it is carried out, and removed in the transaction that takes in its outcome. What a crash
 * interrupts is due again when its lease ends.
 */
import { attemptLimit, type Effect, isSuperseded, laneOf } from './effects.ts';

/** Longest wait between two tries. */
const MAX_BACKOFF_MS = 5 * 60_000;
/** An effect that has not reported back after this long is taken for interrupted. Longer than any effect's own timeout. */
export const LEASE_MS = 60_000;

export interface Pending {
  id: number;
  effect: Effect;
  /** Tries so far, this one included once leased. */
  attempts: number;
  nextAt: number;
  lastError: string | null;
}

interface Row extends Record<string, SqlStorageValue> {
  id: number;
  lane: string;
  effect: string;
  attempts: number;
  next_at: number;
  leased: number;
  last_error: string | null;
}

export class Outbox {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(effect: Effect, now: number): void {
    this.#sql.exec(
      'INSERT INTO outbox (lane, effect, attempts, next_at, leased, last_error) VALUES (?, ?, 0, ?, 0, NULL)',
      laneOf(effect),
      JSON.stringify(effect),
      now,
    );
  }

  /** Removes the effects of a lane that are not being carried out right now. */
  cancel(lane: string): void {
    this.#sql.exec('DELETE FROM outbox WHERE lane = ? AND leased = 0', lane);
  }

  /**
   * Leases what may be carried out now: the first effect of each lane, if it is due. Effects that a later one has made
   * pointless are removed on the way.
   */
  lease(now: number): Pending[] {
    const heads = this.#sql.exec<Row>(
      'SELECT o.* FROM outbox o JOIN (SELECT min(id) AS id FROM outbox GROUP BY lane) head ON head.id = o.id',
    );
    const leased: Pending[] = [];
    for (const head of heads.toArray()) {
      const row = this.#skipSuperseded(head);
      if (row.next_at > now) continue;
      this.#sql.exec(
        'UPDATE outbox SET attempts = attempts + 1, next_at = ?, leased = 1 WHERE id = ?',
        now + LEASE_MS,
        row.id,
      );
      leased.push({ ...toPending(row), attempts: row.attempts + 1, nextAt: now + LEASE_MS });
    }
    return leased;
  }

  #skipSuperseded(head: Row): Row {
    if (head.leased === 1) return head;
    const rows = this.#sql.exec<Row>('SELECT * FROM outbox WHERE lane = ? ORDER BY id LIMIT 50', head.lane).toArray();
    const effects = rows.map((row) => toPending(row).effect);
    const first = effects.findIndex((effect, index) => !isSuperseded(effect, effects.slice(index + 1)));
    for (const row of rows.slice(0, first)) this.remove(row.id);
    return rows[first] ?? head;
  }

  remove(id: number): void {
    this.#sql.exec('DELETE FROM outbox WHERE id = ?', id);
  }

  /** True while the effect is still wanted; false once it was removed. */
  has(id: number): boolean {
    return this.#sql.exec('SELECT 1 FROM outbox WHERE id = ?', id).toArray().length > 0;
  }

  /** Puts an effect back for another try. `notBefore`: a time the other side asked us to wait for. */
  retry(pending: Pending, error: string, now: number, random: number, notBefore: number | null): void {
    const nextAt = Math.max(now + backoff(pending.attempts, random), notBefore ?? 0);
    this.#sql.exec('UPDATE outbox SET next_at = ?, leased = 0, last_error = ? WHERE id = ?', nextAt, error, pending.id);
  }

  /** Frees the leases of an earlier life of the object: nothing of it is being carried out any more. */
  releaseAll(now: number): void {
    this.#sql.exec('UPDATE outbox SET leased = 0, next_at = min(next_at, ?) WHERE leased = 1', now);
  }

  /** When there is next something to do; null for an empty outbox. Times in milliseconds since the epoch. */
  nextAt(): number | null {
    const row = this.#sql
      .exec<{ at: number | null }>(
        'SELECT min(o.next_at) AS at FROM outbox o JOIN (SELECT min(id) AS id FROM outbox GROUP BY lane) head ON head.id = o.id',
      )
      .one();
    return row.at;
  }

  /** What waits, for people who look into a session. */
  list(): Pending[] {
    return this.#sql.exec<Row>('SELECT * FROM outbox ORDER BY id').toArray().map(toPending);
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

function toPending(row: Row): Pending {
  // Written by `add` and nobody else, so its shape is known.
  const effect = JSON.parse(row.effect) as Effect;
  return { id: row.id, effect, attempts: row.attempts, nextAt: row.next_at, lastError: row.last_error };
}
