/** The cookie of a person who is signed in: a random token for this host alone, which no script reads. */
import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { readConfig } from '../../config/read-config.ts';

const COOKIE = 'cyrus_session';
/** What `signIn` makes: 32 bytes, base64url. */
const TOKEN = /^[\w-]{43}$/;

/** The token of the request's cookie; null: it has none that could be one. */
export function tokenOf(c: Context): string | null {
  const token = isSecure(c) ? getCookie(c, COOKIE, 'host') : getCookie(c, COOKIE);
  return typeof token === 'string' && TOKEN.test(token) ? token : null;
}

/** @param until ms since the epoch */
export function keepToken(c: Context, token: string, until: number): void {
  setCookie(c, COOKIE, token, {
    path: '/',
    httpOnly: true,
    // Lax: a link in Linear leads here, and the cookie has to come along.
    sameSite: 'Lax',
    maxAge: Math.max(0, Math.round((until - Date.now()) / 1000)),
    ...(isSecure(c) && { secure: true, prefix: 'host' }),
  });
}

/** Has the browser forget the token. */
export function dropToken(c: Context): void {
  deleteCookie(c, COOKIE, { path: '/', ...(isSecure(c) && { secure: true, prefix: 'host' }) });
}

/** A local run has no https; a browser would not keep a secure cookie of it. On the internet there is always https, which a server in front may have ended. */
export function isSecure(c: Context): boolean {
  return new URL(c.req.url).protocol === 'https:' || readConfig(c.env).environment !== 'local';
}
