/**
 * The schema version of a Durable Object's storage, and the migrations that bring an older one up to date. An object lives
 * for weeks, so it meets every later version of this code; after a rollback it may meet an earlier one.
 */
import type { Sql } from '../kernel/platform.ts';
import { asError } from '../lib/error.ts';
import { log } from '../observability/log.ts';

/** The storage of an object, as far as its schema concerns it. */
export interface ObjectStorage {
  readonly sql: Sql;
  readonly kv: {
    get(key: string): unknown;
    put(key: string, value: unknown): void;
    delete(key: string): unknown;
    list(options: { limit: number }): Iterable<unknown>;
  };
  transactionSync(act: () => void): void;
}

/** Key of the version in the object's key-value storage. An object without it was made before versions were kept. */
const VERSION = 'schema-version';

/** Brings the storage from the version before to this one. It only adds: an earlier version may have to read it again. */
export type Migration = (storage: ObjectStorage) => void;

/** What became of the storage. `newer`: a later version of Cyrus wrote it. `failed`: a migration did not succeed; nothing changed. */
export type SchemaState =
  | { kind: 'ready' }
  | { kind: 'newer'; stored: number; known: number }
  | { kind: 'failed'; message: string };

/**
 * Brings the storage up to date: all migrations that it has not seen, in one transaction. Never throws, so that an object
 * with a broken migration can still say what is wrong.
 * @param migrations the nth leads from version n to n + 1; an object without anything stored has version 0
 * @param unversioned version of what was stored before versions were kept
 */
export function migrate(storage: ObjectStorage, migrations: readonly Migration[], unversioned: number): SchemaState {
  const known = migrations.length;
  try {
    const stored = storage.kv.get(VERSION);
    const version = typeof stored === 'number' ? stored : unversioned;
    if (version > known) return { kind: 'newer', stored: version, known };
    if (stored === known) return { kind: 'ready' };
    storage.transactionSync(() => {
      for (const step of migrations.slice(version)) step(storage);
      storage.kv.put(VERSION, known);
    });
    return { kind: 'ready' };
  } catch (error) {
    log('storage.migration.failed', { error: asError(error) });
    return { kind: 'failed', message: asError(error).message };
  }
}

/**
 * Makes the storage of an object that begins as this version has it, in the transaction of its first event.
 * @param create makes what all migrations together lead to
 * @param version how many migrations there are
 * @throws what the storage throws
 */
export function createSchema(storage: ObjectStorage, create: Migration, version: number): void {
  create(storage);
  storage.kv.put(VERSION, version);
}

/**
 * Migrates an object that keeps values of a shape of its own under keys, and has no tables. One that nothing was stored
 * in stays empty. Values of a newer version are read as far as they fit.
 * @param name of the class, for the log
 */
export function migrateValues(storage: ObjectStorage, name: string, migrations: readonly Migration[]): void {
  const [first] = storage.kv.list({ limit: 1 });
  if (first === undefined) return;
  const state = migrate(storage, migrations, 1);
  if (state.kind === 'newer') log('storage.version.newer', { object: name, stored: state.stored, known: state.known });
}

/** The first version of an object that keeps values under keys: nothing has to be made for it. */
export const firstValues: Migration = () => {};
