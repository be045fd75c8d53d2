/**
 * The tables of an issue session, by version. They are made by its first event, not by its constructor: an object that is
 * merely asked whether it exists stores nothing. What is released is never edited; a change is another migration.
 */
import { KERNEL_TABLES, type Sql } from '../../kernel/platform.ts';
import {
  createSchema,
  type Migration,
  migrate,
  type ObjectStorage,
  type SchemaState,
} from '../../store/object-schema.ts';

const FIRST_TABLES = `
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
  CREATE TABLE prompts (id TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE deliveries (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, turn INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL) STRICT;
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, effect TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL,
    last_error TEXT) STRICT;
`;

/**
 * Where each turn begins in the journal. Entries of a turn follow each other, so one row a turn does what an index with a
 * row an entry would.
 */
const TURNS = `
  CREATE TABLE turns (turn INTEGER PRIMARY KEY, first INTEGER NOT NULL) STRICT;
  INSERT INTO turns (turn, first) SELECT turn, min(seq) FROM journal GROUP BY turn;
`;

/**
 * Long texts in pieces; what has changed since the snapshot of the state, by itself or with the entry that came last. The
 * calls of Claude's tools leave the state: from here on they are read from the journal.
 */
const STATE_IN_ROWS = `
  CREATE TABLE pieces (name TEXT NOT NULL, piece INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (name, piece))
    STRICT, WITHOUT ROWID;
  CREATE TABLE progress (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
  ALTER TABLE journal ADD COLUMN state TEXT;
  INSERT INTO pieces (name, piece, text)
    SELECT 'state calls', 0, json_object(
      'after', (SELECT coalesce(max(seq), 0) FROM journal), 'calls', json(json ->> '$.calls'))
    FROM state WHERE json_valid(json) AND json_type(json, '$.calls') = 'array';
`;

const MIGRATIONS: readonly Migration[] = [
  ({ sql }) => sql.exec(FIRST_TABLES),
  ({ sql }) => sql.exec(TURNS),
  ({ sql }) => sql.exec(STATE_IN_ROWS),
];

/**
 * The tables as all migrations together leave them, for an object that begins: made at once they cost a webhook a third of
 * what the migrations do. A test compares the two.
 */
const TABLES = `
  ${KERNEL_TABLES}
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
  CREATE TABLE prompts (id TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE deliveries (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, turn INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    state TEXT) STRICT;
  CREATE TABLE turns (turn INTEGER PRIMARY KEY, first INTEGER NOT NULL) STRICT;
  CREATE TABLE progress (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
`;

/** Version of an object that has tables and says none. */
const UNVERSIONED = 1;

export function hasTables(sql: Sql): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'state'").toArray().length > 0;
}

/** Brings the tables of an object that has some up to date. Never throws. */
export function updateTables(storage: ObjectStorage): SchemaState {
  return migrate(storage, MIGRATIONS, UNVERSIONED);
}

/** Makes the tables. To be called once, inside of the transaction of the first event. @throws what SQLite throws */
export function createTables(storage: ObjectStorage): void {
  createSchema(storage, ({ sql }) => sql.exec(TABLES), MIGRATIONS.length);
}

/** What keeps a session from going on with its tables, in words; null if nothing does. */
export function problemOf(schema: SchemaState): string | null {
  switch (schema.kind) {
    case 'ready':
      return null;
    case 'newer':
      return `its tables have version ${schema.stored}, and this version of Cyrus knows up to ${schema.known}`;
    case 'failed':
      return `its tables could not be upgraded (${schema.message})`;
  }
}
