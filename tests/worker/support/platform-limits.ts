/**
 * Limits of the platform's storage that workerd does not have on a developer's machine: a string, a blob or a row has at most
 * 2 MB, a statement 100 KB and 100 parameters (developers.cloudflare.com/durable-objects/platform/limits and …/d1/platform/limits).
 * Here they hold for every object and for D1: what is too large is refused, so that the test that stores it fails.
 */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';

/** Most bytes of one value, and of what one statement is given for a row. */
export const MOST_ROW_BYTES = 2_000_000;
const MOST_STATEMENT_BYTES = 100_000;
const MOST_PARAMETERS = 100;

/** What was stored since `watchStorage` was called. */
export interface Stored {
  /** Bytes of the largest value. */
  largest: number;
  /** The statement, or the key, that stored it. */
  by: string;
  /** Rows written in objects, as the platform counts them. */
  rowsWritten: () => number;
  /** Rows that statements in objects have looked at, as the platform counts them. */
  rowsRead: () => number;
}

/** A value is larger than what the platform takes. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

/** Rows of a statement so far, or of a value under a key. */
interface Counted {
  rowsWritten: number;
  rowsRead: number;
}

const watches = new Set<{ largest: number; by: string; cursors: Counted[] }>();
const isInstalled = new WeakSet<object>();

/** Watches what all objects of this test file store from now on. */
export function watchStorage(): Stored & { end: () => void } {
  const watch = { largest: 0, by: '', cursors: [] as Counted[] };
  watches.add(watch);
  return {
    get largest() {
      return watch.largest;
    },
    get by() {
      return watch.by;
    },
    rowsWritten: () => watch.cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0),
    rowsRead: () => watch.cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0),
    end: () => void watches.delete(watch),
  };
}

/** Has the limits hold for all objects of this isolate, and for D1. */
export async function enforcePlatformLimits(): Promise<void> {
  const stub = env.WORKSPACE_QUEUE.getByName('platform-limits');
  await runInDurableObject(stub, (_object, { storage }) => {
    limitSql(Object.getPrototypeOf(storage.sql));
    limitKeys(Object.getPrototypeOf(storage.kv));
  });
  limitD1(Object.getPrototypeOf(env.DB.prepare('SELECT 1')));
}

function limitSql(prototype: { exec: (query: string, ...values: unknown[]) => Counted }): void {
  if (isInstalled.has(prototype)) return;
  isInstalled.add(prototype);
  const { exec } = prototype;
  prototype.exec = function (query, ...values) {
    check(query, values);
    const cursor = exec.call(this, query, ...values);
    for (const { cursors } of watches) cursors.push(cursor);
    return cursor;
  };
}

function limitKeys(prototype: { put: (key: string, value: unknown) => void }): void {
  if (isInstalled.has(prototype)) return;
  isInstalled.add(prototype);
  const { put } = prototype;
  prototype.put = function (key, value) {
    // As JSON, which is about as long as what the platform makes of it.
    check(`put ${key}`, [JSON.stringify(value) ?? '']);
    // A value under a key is a row of a table that the platform keeps.
    for (const { cursors } of watches) cursors.push({ rowsWritten: 1, rowsRead: 0 });
    return put.call(this, key, value);
  };
}

function limitD1(prototype: { bind: (...values: unknown[]) => unknown }): void {
  if (isInstalled.has(prototype)) return;
  isInstalled.add(prototype);
  const { bind } = prototype;
  prototype.bind = function (...values) {
    check('a statement of D1', values);
    return bind.apply(this, values);
  };
}

function check(query: string, values: unknown[]): void {
  if (bytesOf(query) > MOST_STATEMENT_BYTES) throw new TooLarge(`a statement of ${bytesOf(query)} bytes`);
  if (values.length > MOST_PARAMETERS) throw new TooLarge(`${values.length} parameters: ${query.slice(0, 200)}`);
  const sizes = values.map(bytesOf);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  for (const watch of watches) {
    const largest = Math.max(0, ...sizes);
    if (largest <= watch.largest) continue;
    watch.largest = largest;
    watch.by = query.slice(0, 200);
  }
  if (total > MOST_ROW_BYTES) throw new TooLarge(`${total} bytes in one row: ${query.slice(0, 200)}`);
}

function bytesOf(value: unknown): number {
  if (typeof value === 'string') return new TextEncoder().encode(value).byteLength;
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? value.byteLength : 8;
}
