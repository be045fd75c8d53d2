/**
 * What an engine needs of the place it runs in: SQLite, a clock, one alarm. A Durable Object has all of it
 * (session/storage/object-platform.ts); so does Node with SQLite in memory, where tests run.
 */

/** A value in a row. */
export type SqlValue = ArrayBuffer | string | number | null;

/** Rows that a statement gave, each read once. */
export interface Rows<Row> extends Iterable<Row> {
  toArray(): Row[];
  /** @throws if it is not exactly one */
  one(): Row;
}

/** SQLite, synchronous, as a Durable Object has it: one statement with bindings, or several without. */
export interface Sql {
  exec<Row extends Record<string, SqlValue>>(query: string, ...bindings: unknown[]): Rows<Row>;
}

/** The tables that an engine needs: `outbox` with the lease of each effect, `pieces` for long texts, of effects and others. */
export const KERNEL_TABLES = `
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, effect TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL,
    last_error TEXT) STRICT;
  CREATE TABLE pieces (name TEXT NOT NULL, piece INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (name, piece))
    STRICT, WITHOUT ROWID;
`;

/**
 * Moments at which a program may end, by name; all else lies between two of them.
 * - `before-commit`: an event is written, and its transaction still open
 * - `after-commit`: the transaction is closed, and nobody knows of it
 * - `before-arm`: something new is due, and the alarm is not set for it
 * - `after-lease`: attempts are counted, and none is made
 * - `after-attempt`: an attempt is over, and nothing of its outcome is stored
 * - `before-settle`: effects are removed, and the event that brings their outcome is not taken in yet
 * - `before-retry`: an attempt has failed, and the next one is not planned
 * - `after-retry`: it is planned, and nobody was told of the delay
 * - `on-alarm`: the alarm went off, and nothing was looked at
 */
export const CRASH_POINTS = [
  'before-commit',
  'after-commit',
  'before-arm',
  'after-lease',
  'after-attempt',
  'before-settle',
  'before-retry',
  'after-retry',
  'on-alarm',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

export interface Platform {
  readonly sql: Sql;
  /** Runs `act` in a transaction. @throws what `act` throws, after everything it wrote was rolled back */
  transaction(act: () => void): void;
  /** Milliseconds since the epoch, by a clock that may be set back or forward. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  /** A fresh UUID v4. */
  newId(): string;
  /** Has the engine's `alarm` called at a time in ms since the epoch, also if the program ends before. One alarm: the last one set. */
  setAlarm(at: number): Promise<void>;
  /** Keeps the program running until the promise is settled. */
  waitUntil(work: Promise<unknown>): void;
  /** Called at each crash point, for tests: it may end the program there. */
  reached?(point: CrashPoint): void;
}
