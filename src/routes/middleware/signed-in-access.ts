/** People who signed in with Linear, or by Cloudflare Access. Closed if nothing says who it is. */
import type { Next } from 'hono';
import type { Config } from '../../config/config.ts';
import { log } from '../../observability/log.ts';
import { ACCESS_HEADER, readAssertion } from '../../people/access-assertion.ts';
import { installer } from '../../people/person.ts';
import type { People } from '../../people/present-person.ts';
import { DEPLOYMENT, mayDo } from '../../people/rights.ts';
import { leaverOfCookie, personOfCookie, personOfEmail } from '../../people/sign-in.ts';
import type { ApiError } from '../../protocol/api.ts';
import type { SignIn } from '../../protocol/settings/sign-in.ts';
import { openDatabase } from '../../store/database.ts';
import type { PeopleContext } from './needs.ts';
import { hasPassword } from './password.ts';
import { dropToken, keepToken, tokenOf } from './sign-in-cookie.ts';

/** Before the first installation there is nobody who could sign in with Linear: ACCESS_PASSWORD opens these, and nothing else. */
const SETUP = /^\/(install|oauth)(\/|$)/;

/** A person who wants to leave is let out, also while it is not known what they may see. */
const SIGN_OUT = '/api/me/sign-out';

/** The person of the cookie; without one a browser is led to /sign-in. */
export async function byLinear(c: PeopleContext, config: Config, next: Next): Promise<Response | undefined> {
  const token = tokenOf(c);
  const people = peopleOf(c, config);
  const signedIn = token === null ? null : await personOfCookie(people, token, Date.now());
  const person = signedIn === 'unsure' ? null : (signedIn?.person ?? null);
  const needed = c.req.path.startsWith('/install/') ? 'deployment.examine' : 'deployment.install';
  if (SETUP.test(c.req.path) && !mayDo(person, needed, DEPLOYMENT)) {
    if (config.environment !== 'local') {
      const refusal = await hasPassword(c, config);
      if (refusal) return refusal;
    }
    c.set('person', installer());
    return void (await next());
  }
  if (signedIn === 'unsure') {
    const leaver = token !== null && c.req.path === SIGN_OUT ? await leaverOfCookie(people, token, Date.now()) : null;
    if (leaver === null) return isPage(c) ? toSignIn(c) : unsure(c);
    c.set('person', leaver);
    return void (await next());
  }
  if (person === null) return notSignedIn(c, token !== null);
  c.set('person', person);
  await next();
  // The answer that opens a socket cannot be changed.
  if (c.res.status === 101 || token === null || signedIn === null || signedIn.renewedUntil === null) return;
  // A route that signed the person out has said so.
  if (!c.res.headers.has('set-cookie')) keepToken(c, token, signedIn.renewedUntil);
}

function notSignedIn(c: PeopleContext, hadToken: boolean): Response {
  if (hadToken) dropToken(c);
  if (isPage(c)) return toSignIn(c);
  return c.json({ error: 'unauthorized', message: 'Sign in at /sign-in.' } satisfies ApiError, 401);
}

function isPage(c: PeopleContext): boolean {
  return c.req.method === 'GET' && (c.req.header('accept') ?? '').includes('text/html');
}

/** A person who signs in again says themselves what they may see. */
function toSignIn(c: PeopleContext): Response {
  const { pathname, search } = new URL(c.req.url);
  return c.redirect(`/sign-in?to=${encodeURIComponent(pathname + search)}`, 302);
}

/** The sign-in stays: as soon as Linear answers, it counts again. */
function unsure(c: PeopleContext): Response {
  const message =
    'Linear has not said for four hours whether you are still a member, so nothing is shown. Try again in a minute.';
  return c.json({ error: 'linear_unreachable', message } satisfies ApiError, 503, { 'retry-after': '60' });
}

/** The person whom Cloudflare Access names. A request past it is refused: it would be anybody's. */
export async function byCloudflareAccess(
  c: PeopleContext,
  config: Config,
  signIn: Extract<SignIn, { kind: 'access' }>,
  next: Next,
): Promise<Response | undefined> {
  const assertion = await readAssertion(c.req.header(ACCESS_HEADER), signIn);
  if (typeof assertion === 'string') return refused(c, assertion);
  const browser = c.req.header('user-agent') ?? null;
  const person = await personOfEmail(peopleOf(c, config), assertion.email, browser, Date.now());
  if (person === 'unsure') return unsure(c);
  c.set('person', person);
  return void (await next());
}

function refused(c: PeopleContext, why: 'none' | 'invalid' | 'unreachable'): Response {
  if (why === 'unreachable') {
    const message = 'The keys of Cloudflare Access cannot be fetched, so nobody can be let in. Try again in a minute.';
    return c.json({ error: 'access_unreachable', message } satisfies ApiError, 503, { 'retry-after': '60' });
  }
  log(why === 'none' ? 'alert.access.bypassed' : 'access.assertion.refused', { path: c.req.path, reason: why });
  const message =
    why === 'none'
      ? 'Cloudflare Access has not said who you are. SIGN_IN is "access", so this address has to be behind an Access application.'
      : 'What Cloudflare Access says about you is not valid for this deployment: sign in again, or compare ACCESS_TEAM_DOMAIN and ACCESS_AUDIENCE with the Access application.';
  return c.json({ error: 'unauthorized', message } satisfies ApiError, 401);
}

function peopleOf(c: PeopleContext, config: Config): People {
  return { env: c.env, config, database: openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey) };
}
