/**
 * Binds an installation to the browser that began it: a random value in a signed cookie no script can read. A callback that
 * somebody else's browser was made to open does not have it.
 */
import type { Context } from 'hono';
import { getSignedCookie, setSignedCookie } from 'hono/cookie';
import type { Config } from '../../config/config.ts';
import { toBase64Url } from '../../lib/base64url.ts';
import { deriveSecret } from '../../store/encryption.ts';
import { STATE_LIFE_MS } from '../../store/oauth-states.ts';
import { isSecure } from '../middleware/sign-in-cookie.ts';

const COOKIE = 'cyrus_oauth';
const NONCE_BYTES = 16;

/** The browser's value, or null if its cookie is missing, forged or expired. */
export async function boundBrowser(c: Context, config: Config): Promise<string | null> {
  const secret = await deriveSecret(config.encryptionKey, 'oauth-cookie');
  const cookie = await (isSecure(c) ? getSignedCookie(c, secret, COOKIE, 'host') : getSignedCookie(c, secret, COOKIE));
  if (typeof cookie !== 'string') return null;
  const [nonce = '', expires = ''] = cookie.split('.');
  return Number(expires) * 1000 > Date.now() ? nonce : null;
}

/** Gives the browser a value for as long as a state lives; one it has already is kept, so that two tabs may install at once. */
export async function bindBrowser(c: Context, config: Config): Promise<string> {
  const nonce = (await boundBrowser(c, config)) ?? toBase64Url(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
  const expires = String(Math.ceil((Date.now() + STATE_LIFE_MS) / 1000));
  await setSignedCookie(c, COOKIE, `${nonce}.${expires}`, await deriveSecret(config.encryptionKey, 'oauth-cookie'), {
    path: '/',
    httpOnly: true,
    // Lax: Linear sends the browser back here by a link, and the cookie has to come along.
    sameSite: 'Lax',
    maxAge: STATE_LIFE_MS / 1000,
    ...(isSecure(c) && { secure: true, prefix: 'host' }),
  });
  return nonce;
}
