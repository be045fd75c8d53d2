/** D1: how it is opened, how a statement is run, and what a statement that fails throws. Tables have files of their own. */
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1';
import { isNamed, messageOf } from '../lib/error.ts';

/** A database and the key for what is encrypted in it. */
export interface Database {
  orm: DrizzleD1Database;
  /** Encrypts. */
  encryptionKey: string;
  /** Decrypt: the one above, and the one before it if there is one. */
  readKeys: readonly string[];
}

/** The database has no tables yet, or is behind this version. */
export class NotMigratedError extends Error {
  override readonly name = 'NotMigratedError';
  constructor(cause: unknown) {
    super(
      'The database lacks what this version of Cyrus needs: run `npm run deploy`, or `wrangler d1 migrations apply DB --remote` (`--local` for a local run)',
      { cause },
    );
  }
}

/** D1 refused or failed. The cause is D1's own error; the statement's parameters are left out on purpose. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
}

/** Whether D1 refused or failed, here or in the object that was called. */
export function isDatabaseError(thrown: unknown): boolean {
  return isNamed(thrown, 'DatabaseError');
}

/**
 * Opens the database. Costs nothing; make one for each request or object.
 * @param oldEncryptionKey the key before, while something is still encrypted with it
 */
export function openDatabase(d1: D1Database, encryptionKey: string, oldEncryptionKey: string | null = null): Database {
  const readKeys = oldEncryptionKey === null ? [encryptionKey] : [encryptionKey, oldEncryptionKey];
  return { orm: drizzle(d1), encryptionKey, readKeys };
}

/**
 * Runs a statement. Drizzle's errors quote it with its parameters; the errors thrown here do not.
 * @throws NotMigratedError, DatabaseError
 */
export async function run<T>(query: () => PromiseLike<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const message = messageOf(cause);
    if (/no such (table|column)|has no column named/i.test(message)) throw new NotMigratedError(cause);
    throw new DatabaseError(`The database refused a statement: ${message}`, { cause });
  }
}
