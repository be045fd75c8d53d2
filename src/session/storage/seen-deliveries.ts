/**
 * What has been accepted already, by its idempotency keys (the delivery's id, and a key made of its content): a delivery is taken in
 * once, however often and in whatever guise it arrives.
 */
import type { Sql } from '../../kernel/platform.ts';
import { fingerprint } from '../../lib/fingerprint.ts';
import { cutWhole } from '../../protocol/text/sendable-text.ts';

/** Longest key that is kept as it is, in UTF-16 code units. */
const LONGEST_KEY = 500;

export class Deliveries {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /**
   * Notes a delivery. Linear repeats deliveries under the same id, and content under another one.
   * @returns false for one that was noted before, by its id or by its content
   */
  note(deliveryId: string, contentKey: string, now: number): boolean {
    // Both keys in one table: a second index would cost every webhook another page on the disk.
    const noted = this.#sql.exec(
      'INSERT INTO deliveries (key, at) VALUES (?1, ?3), (?2, ?3) ON CONFLICT DO NOTHING RETURNING key',
      keyOf(`delivery ${deliveryId}`),
      keyOf(`content ${contentKey}`),
      now,
    );
    return noted.toArray().length === 2;
  }

  /** Whether a delivery with this id was noted. */
  knows(deliveryId: string): boolean {
    return (
      this.#sql.exec('SELECT 1 FROM deliveries WHERE key = ?', keyOf(`delivery ${deliveryId}`)).toArray().length > 0
    );
  }
}

/** Keys come from outside. A long one is known by its beginning, its length and a fingerprint. */
function keyOf(key: string): string {
  return key.length <= LONGEST_KEY ? key : `${cutWhole(key, LONGEST_KEY)} ${key.length} ${fingerprint(key)}`;
}
