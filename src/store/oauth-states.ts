/**
 * Installations and sign-ins under way. What comes back from Linear is believed only if a row here knows its state, the browser that
 * began it asks, in time, for the first time. States are stored hashed.
 */
import { and, eq, gt, isNull, lt } from 'drizzle-orm';
import { toBase64Url } from '../lib/base64url.ts';
import { type Database, run } from './database.ts';
import { decryptText, encryptText } from './encryption.ts';
import { oauthStates } from './schema.ts';

/** How long a state is good for, in ms. */
export const STATE_LIFE_MS = 10 * 60_000;
/** How long a used or expired one is remembered, to say why it is refused. */
const REMEMBERED_MS = 24 * 3_600_000;

/** An installation that was begun, or a sign-in. */
export interface BegunInstallation {
  purpose: 'install' | 'sign-in';
  /** PKCE code verifier. */
  verifier: string;
  /** Where Linear sends the browser back to. */
  redirectUri: string;
  /** Where the browser is sent once all is done; null: it stays here. */
  callback: string | null;
}

/** Why a state is refused. `unknown`: not one of ours, or forgotten; `foreign`: another browser's. */
export type StateProblem = 'unknown' | 'foreign' | 'used' | 'expired';

/**
 * Notes the beginning of an installation or a sign-in.
 * @param browser what the browser's cookie holds
 * @param now ms
 * @throws NotMigratedError, DatabaseError
 */
export async function beginInstallation(
  db: Database,
  state: string,
  browser: string,
  begun: BegunInstallation,
  now: number,
): Promise<void> {
  const stateHash = await hash(state);
  const row = {
    stateHash,
    browserHash: await hash(browser),
    verifier: await encryptText(db.encryptionKey, 'oauth-verifier', [stateHash], begun.verifier),
    redirectUri: begun.redirectUri,
    callback: begun.callback,
    purpose: begun.purpose === 'sign-in' ? begun.purpose : null,
    expiresAt: now + STATE_LIFE_MS,
  };
  await run(() =>
    db.orm.batch([
      db.orm.delete(oauthStates).where(lt(oauthStates.expiresAt, now - REMEMBERED_MS)),
      db.orm.insert(oauthStates).values(row),
    ]),
  );
}

/**
 * Takes a state that came back: this uses it up. Of two that come with the same state at once, one gets it.
 * @param browser what the browser's cookie holds; null: it has none
 * @param now ms
 * @throws NotMigratedError, DatabaseError, DecryptionError
 */
export async function takeState(
  db: Database,
  state: string,
  browser: string | null,
  now: number,
): Promise<BegunInstallation | StateProblem> {
  const stateHash = await hash(state);
  const browserHash = browser === null ? '' : await hash(browser);
  const [taken] = await run(() =>
    db.orm
      .update(oauthStates)
      .set({ usedAt: now })
      .where(
        and(
          eq(oauthStates.stateHash, stateHash),
          eq(oauthStates.browserHash, browserHash),
          isNull(oauthStates.usedAt),
          gt(oauthStates.expiresAt, now),
        ),
      )
      .returning(),
  );
  if (taken) {
    const { redirectUri, callback, purpose } = taken;
    const verifier = await decryptText(db.readKeys, 'oauth-verifier', [stateHash], taken.verifier);
    return { verifier, redirectUri, callback, purpose: purpose ?? 'install' };
  }
  const [known] = await run(() =>
    db.orm.select().from(oauthStates).where(eq(oauthStates.stateHash, stateHash)).limit(1),
  );
  if (!known) return 'unknown';
  if (known.browserHash !== browserHash) return 'foreign';
  return known.usedAt === null ? 'expired' : 'used';
}

async function hash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return toBase64Url(new Uint8Array(digest));
}
