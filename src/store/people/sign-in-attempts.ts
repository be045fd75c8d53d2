/** Refused attempts to sign in, counted by where they came from, so that nobody guesses for long. */
import { and, eq, gte, lt, sql } from 'drizzle-orm';
import { toBase64Url } from '../../lib/base64url.ts';
import { type Database, run } from '../database.ts';
import { deriveKey } from '../encryption.ts';
import { signInAttempts } from '../schema.ts';

/** Refused attempts that one source has in the present and the last quarter of an hour. */
export const MOST_REFUSED = 30;
const GROUPS = 8;
const QUARTER_MS = 15 * 60_000;
/** What is older says nothing any more. */
const KEPT_QUARTERS = 8;

/** The name of a source in the table: its address, under a key of this deployment. An IPv6 network of 64 bits is one source. */
export async function sourceOf(db: Database, address: string): Promise<string> {
  const network = address.includes(':') ? networkOf(address) : address;
  const key = await deriveKey(db.encryptionKey, 'sign-in-source', 'sign');
  const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(network));
  return toBase64Url(new Uint8Array(mac).slice(0, 18));
}

/** The first four groups of an IPv6 address, however it is written. */
function networkOf(address: string): string {
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const [first, last] = [groups(head), groups(tail ?? '')];
  const left = tail === undefined ? [] : Array<string>(Math.max(0, GROUPS - first.length - last.length)).fill('0');
  const all = [...first, ...left, ...last].slice(0, GROUPS / 2);
  return all.map((group) => group.replace(/^0+(?=.)/, '')).join(':');
}

/** Whether a source has used up its attempts. @param now ms @throws NotMigratedError, DatabaseError */
export async function isBlocked(db: Database, source: string, now: number): Promise<boolean> {
  const quarter = Math.floor(now / QUARTER_MS);
  const [row] = await run(() =>
    db.orm
      .select({ refused: sql<number>`coalesce(sum(${signInAttempts.refused}), 0)` })
      .from(signInAttempts)
      .where(and(eq(signInAttempts.source, source), gte(signInAttempts.quarter, quarter - 1))),
  );
  return (row?.refused ?? 0) >= MOST_REFUSED;
}

/**
 * Counts an attempt.
 * @returns how many there were of this source in this quarter, and together with those of the last
 * @throws NotMigratedError, DatabaseError
 */
export async function countRefused(
  db: Database,
  source: string,
  now: number,
): Promise<{ inQuarter: number; inBoth: number }> {
  const quarter = Math.floor(now / QUARTER_MS);
  const row = { source, quarter, refused: 1 };
  const [, , counted] = await run(() =>
    db.orm.batch([
      db.orm.delete(signInAttempts).where(lt(signInAttempts.quarter, quarter - KEPT_QUARTERS)),
      db.orm
        .insert(signInAttempts)
        .values(row)
        .onConflictDoUpdate({
          target: [signInAttempts.source, signInAttempts.quarter],
          set: { refused: sql`${signInAttempts.refused} + 1` },
        }),
      db.orm
        .select({ quarter: signInAttempts.quarter, refused: signInAttempts.refused })
        .from(signInAttempts)
        .where(and(eq(signInAttempts.source, source), gte(signInAttempts.quarter, quarter - 1))),
    ]),
  );
  return {
    inQuarter: counted.find((one) => one.quarter === quarter)?.refused ?? 1,
    inBoth: counted.reduce((sum, { refused }) => sum + refused, 0),
  };
}
