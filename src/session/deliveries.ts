/** What has been accepted already: a delivery is taken in once, however often and in whatever guise it arrives. */

export class Deliveries {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Notes a delivery. Linear repeats deliveries under the same id, and content under another one.
   * @returns false for one that was noted before, by its id or by its content
   */
  note(deliveryId: string, contentKey: string, now: number): boolean {
    const cursor = this.#sql.exec(
      'INSERT INTO deliveries (delivery_id, content_key, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
      deliveryId,
      contentKey,
      now,
    );
    return cursor.rowsWritten > 0;
  }
}
