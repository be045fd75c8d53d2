/**
 * Who may see pages and the sessions API. In production: HTTP basic authentication with ACCESS_PASSWORD, remembered by a signed
 * cookie that also lets the live socket in. In the local environment: everyone who is on this machine.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { getSignedCookie, setSignedCookie } from 'hono/cookie';
import { auth as basicAuth } from 'hono/utils/basic-auth';
import { timingSafeEqual } from 'hono/utils/buffer';
import { type Config, readConfig } from '../../config.ts';
import { isLoopback } from '../../lib/loopback.ts';
import { log } from '../../observability/log.ts';
import type { ApiError } from '../../protocol/api.ts';
import { deriveSecret } from '../../store/encryption.ts';

const COOKIE = 'cyrus_access';
const COOKIE_SECONDS = 30 * 24 * 3_600;

type AccessContext = Context<{ Bindings: Env }>;

/**
 * Lets in who may come in, and refuses what another site makes a browser do: a change, or a live socket, must come from a
 * page of this very address, and a change must be JSON.
 */
export const access: MiddlewareHandler<{ Bindings: Env }> = async (c, next) => {
  const config = readConfig(c.env);
  const foreign = foreignProblem(c, config);
  if (foreign) {
    log('access.origin.refused', { path: c.req.path, method: c.req.method, reason: foreign.error });
    return c.json(foreign, foreign.error === 'not_json' ? 415 : 403);
  }
  if (config.environment === 'local') return next();
  if (await isSignedIn(c, config)) return next();
  const password = basicAuth(c.req.raw)?.password;
  if (password === undefined || !(await timingSafeEqual(password, config.accessPassword))) {
    if (password !== undefined) log('access.password.refused', { path: c.req.path });
    const message = 'Sign in with any user name and the ACCESS_PASSWORD of this deployment.';
    return c.json({ error: 'unauthorized', message } satisfies ApiError, 401, {
      'www-authenticate': 'Basic realm="Cyrus", charset="UTF-8"',
    });
  }
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
};

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
function isCostly(c: AccessContext): boolean {
  return c.req.path === '/install/doctor' || (c.req.path === '/install' && c.req.query('check') !== undefined);
}

/** A link that somebody followed, e.g. in a message, as the browser tells it: no image, frame or script of another site. */
function isOpenedByPerson(headers: Headers): boolean {
  return headers.get('sec-fetch-dest') === 'document' && headers.get('sec-fetch-user') === '?1';
}

/** What is wrong with where a request comes from, or null. */
function foreignProblem(c: AccessContext, config: Config): ApiError | null {
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
async function isSignedIn(c: AccessContext, config: Config): Promise<boolean> {
  const expires = await getSignedCookie(c, await cookieSecret(config), COOKIE, 'host');
  return typeof expires === 'string' && Number(expires) * 1000 > Date.now();
}

/** The password is part of it: a new password ends every cookie. */
async function cookieSecret({ encryptionKey, accessPassword }: Config): Promise<string> {
  return `${await deriveSecret(encryptionKey, 'access-cookie')}${accessPassword}`;
}
