/**
 * Who asks for pages and their API. SIGN_IN says how that is known: by ACCESS_PASSWORD (HTTP basic authentication, remembered by a
 * signed cookie that also lets the live socket in), or by a person's sign-in (signed-in-access.ts). In the local environment with
 * "password": everyone who is on this machine. What they may do each route asks by itself (needs.ts).
 */
import type { MiddlewareHandler, Next } from 'hono';
import { getSignedCookie, setSignedCookie } from 'hono/cookie';
import { auth as basicAuth } from 'hono/utils/basic-auth';
import type { Config } from '../../config/config.ts';
import { readConfig } from '../../config/read-config.ts';
import { isLoopback } from '../../lib/loopback.ts';
import { log } from '../../observability/log.ts';
import { nameless } from '../../people/person.ts';
import type { ApiError } from '../../protocol/api.ts';
import { deriveSecret } from '../../store/encryption.ts';
import type { PeopleContext, PeopleEnv } from './needs.ts';
import { hasPassword } from './password.ts';
import { byCloudflareAccess, byLinear } from './signed-in-access.ts';

const COOKIE = 'cyrus_access';
const COOKIE_SECONDS = 30 * 24 * 3_600;

/**
 * Refuses what another site makes a browser do: a change, or a live socket, must come from a page of this very address, and a
 * change must be JSON. A local Cyrus answers this machine alone.
 */
export const ownPagesOnly: MiddlewareHandler<PeopleEnv> = async (c, next) => {
  return foreignRefusal(c, readConfig(c.env)) ?? next();
};

/** Lets in who may come in, from Cyrus's own pages alone, and tells the routes who it is. */
export const access: MiddlewareHandler<PeopleEnv> = async (c, next) => {
  const config = readConfig(c.env);
  const refusal = foreignRefusal(c, config);
  if (refusal) return refusal;
  switch (config.signIn.kind) {
    case 'password':
      return byPassword(c, config, next);
    case 'linear':
      return byLinear(c, config, next);
    case 'access':
      return byCloudflareAccess(c, config, config.signIn, next);
  }
};

async function byPassword(c: PeopleContext, config: Config, next: Next): Promise<Response | undefined> {
  if (config.environment === 'local') {
    c.set('person', nameless('local'));
    return void (await next());
  }
  const named = basicAuth(c.req.raw)?.username.slice(0, 100);
  // The name proves nothing but which password holder says it is.
  c.set('person', nameless('password', named ? `browser:${named}` : 'browser'));
  if (await isSignedIn(c, config)) return void (await next());
  const refusal = await hasPassword(c, config);
  if (refusal) return refusal;
  await next();
  // The answer that opens a socket cannot be changed.
  if (c.res.status === 101) return;
  const expires = Math.floor(Date.now() / 1000) + COOKIE_SECONDS;
  await setSignedCookie(c, COOKIE, String(expires), await cookieSecret(config), {
    prefix: 'host',
    path: '/',
    secure: true,
    httpOnly: true,
    sameSite: 'Lax',
    maxAge: COOKIE_SECONDS,
  });
}

function foreignRefusal(c: PeopleContext, config: Config): Response | null {
  const foreign = foreignProblem(c, config);
  if (!foreign) return null;
  log('access.origin.refused', { path: c.req.path, method: c.req.method, reason: foreign.error });
  return c.json(foreign, foreign.error === 'not_json' ? 415 : 403);
}

/** Headers by which the platform, or a proxy in front of it, says whose request it is. */
const PEER_HEADERS = ['cf-connecting-ip', 'x-real-ip', 'x-forwarded-for'];

/**
 * Whether a request was made on this machine, as far as is told. Cloudflare tells the peer of every request and nobody can change
 * that, so a deployment that was left "local" by mistake answers nobody; a tunnel or a proxy on this machine tells it too.
 */
function comesFromHere(headers: Headers): boolean {
  const told = PEER_HEADERS.flatMap((name) => (headers.get(name) ?? '').split(',')).map((one) => one.trim());
  return told.every((one) => one === '' || /^(::1|(::ffff:)?127(\.\d{1,3}){3})$/i.test(one));
}

/** Looking that has something done: services are asked with the deployment's credentials, a container is started. */
function isCostly(c: PeopleContext): boolean {
  return c.req.path === '/install/doctor' || (c.req.path === '/install' && c.req.query('check') !== undefined);
}

/** A link that somebody followed, e.g. in a message, as the browser tells it: no image, frame or script of another site. */
function isOpenedByPerson(headers: Headers): boolean {
  return headers.get('sec-fetch-dest') === 'document' && headers.get('sec-fetch-user') === '?1';
}

/** What is wrong with where a request comes from, or null. */
function foreignProblem(c: PeopleContext, config: Config): ApiError | null {
  const { origin, hostname, host } = new URL(c.req.url);
  const publicUrl = config.publicUrl === null ? null : new URL(config.publicUrl);
  if (config.environment === 'local') {
    // Without a password, a page elsewhere whose name is made to point at this machine would get everything.
    if (!isLoopback(hostname) && host !== publicUrl?.host) {
      const message = 'A local Cyrus answers at localhost only; for another address set PUBLIC_URL to it.';
      return { error: 'not_local', message };
    }
    if (!comesFromHere(c.req.raw.headers)) {
      const message =
        'A local Cyrus has no password, so it answers this machine alone: deploy it with ENVIRONMENT = "production".';
      return { error: 'not_local', message };
    }
  }
  const isChange = !['GET', 'HEAD', 'OPTIONS'].includes(c.req.method);
  const isSocket = c.req.header('upgrade')?.toLowerCase() === 'websocket';
  if (!isChange && !isSocket && !(isCostly(c) && !isOpenedByPerson(c.req.raw.headers))) return null;
  const from = c.req.header('origin');
  const site = c.req.header('sec-fetch-site');
  if (
    (from !== undefined && from !== origin && from !== publicUrl?.origin) ||
    (from === undefined && site !== undefined && site !== 'same-origin' && site !== 'none')
  ) {
    return { error: 'foreign_origin', message: "This is accepted only from Cyrus's own pages." };
  }
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (['POST', 'PUT', 'PATCH'].includes(c.req.method) && type !== 'application/json') {
    return { error: 'not_json', message: 'Send JSON, with the content type application/json.' };
  }
  return null;
}

/** Whether a cookie with a genuine signature says that the password was given, and is not over. */
async function isSignedIn(c: PeopleContext, config: Config): Promise<boolean> {
  const expires = await getSignedCookie(c, await cookieSecret(config), COOKIE, 'host');
  return typeof expires === 'string' && Number(expires) * 1000 > Date.now();
}

/** The password is part of it: a new password ends every cookie. */
async function cookieSecret({ encryptionKey, accessPassword }: Config): Promise<string> {
  return `${await deriveSecret(encryptionKey, 'access-cookie')}${accessPassword}`;
}
