/** How often an address may try to sign in: what is refused is counted, and after too much of it nothing of that address is looked at for a while. */
import { readConfig } from '../../config/read-config.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { ApiError } from '../../protocol/api.ts';
import { openDatabase } from '../../store/database.ts';
import { countRefused, isBlocked, MOST_REFUSED, sourceOf } from '../../store/people/sign-in-attempts.ts';
import type { PeopleContext } from './needs.ts';

export const TOO_MANY: ApiError = {
  error: 'too_many_attempts',
  message: 'There were too many attempts to sign in from your address. Try again in half an hour.',
};
export const RETRY_AFTER = { 'retry-after': '1800' };

/** Whether an address has used up its attempts. While the database does not answer nobody is kept out. Never rejects. */
export async function isTooOften(c: PeopleContext): Promise<boolean> {
  try {
    const { database, source } = await placeOf(c);
    return await isBlocked(database, source, Date.now());
  } catch (error) {
    log('sign_in.attempts.unknown', { error: asError(error) });
    return false;
  }
}

/** Most sign-ins that one address begins in a quarter of an hour: each is a row until it is forgotten. An office has one address for all. */
const MOST_BEGUN = 300;

/** Counts a sign-in that is begun. @returns whether there were too many of this address. Never rejects. */
export async function beginsTooOften(c: PeopleContext): Promise<boolean> {
  try {
    const { database, source } = await placeOf(c);
    return (await countRefused(database, `begun ${source}`, Date.now())).inQuarter > MOST_BEGUN;
  } catch (error) {
    log('sign_in.attempts.unknown', { error: asError(error) });
    return false;
  }
}

/** Counts a refused attempt. Never rejects. @param why for the log */
export async function noteRefused(c: PeopleContext, why: string): Promise<void> {
  log('sign_in.attempt.refused', { reason: why, path: c.req.path });
  try {
    const { database, source } = await placeOf(c);
    const { inBoth: refused } = await countRefused(database, source, Date.now());
    // The same sum by which an address is kept out, so it is told once, whenever the quarter began.
    if (refused === MOST_REFUSED) log('alert.sign_in.attempts', { source, refused, reason: why });
  } catch (error) {
    log('sign_in.attempts.unknown', { error: asError(error) });
  }
}

async function placeOf(c: PeopleContext) {
  const { encryptionKey } = readConfig(c.env);
  const database = openDatabase(c.env.DB, encryptionKey);
  // Set by Cloudflare, which nobody can change; a local run has none.
  return { database, source: await sourceOf(database, c.req.header('cf-connecting-ip') ?? 'here') };
}
