/** `/sign-in` and `/oauth/sign-in`: people sign in with Linear. Open to everyone; what comes back from Linear is believed by its state. */
import { Hono, type MiddlewareHandler } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { toBase64Url } from '../../lib/base64url.ts';
import { challengeOf, credentialsOf, newVerifier } from '../../linear/tokens/oauth.ts';
import { log } from '../../observability/log.ts';
import { personOfCookie } from '../../people/sign-in.ts';
import type { ApiError } from '../../protocol/api.ts';
import { openDatabase } from '../../store/database.ts';
import { beginInstallation } from '../../store/oauth-states.ts';
import { redirectUriOf, returnedFromLinear } from '../install/oauth.ts';
import { bindBrowser } from '../install/state-cookie.ts';
import { ownPagesOnly } from '../middleware/browser-access.ts';
import { type PeopleEnv, servesOthers } from '../middleware/needs.ts';
import { oauthLimit } from '../middleware/request-limit.ts';
import { tokenOf } from '../middleware/sign-in-cookie.ts';
import { beginsTooOften, isTooOften } from '../middleware/sign-in-limit.ts';
import { refusedPage, signInPage } from './pages.ts';
import { returnPath } from './return-path.ts';

const STATE_BYTES = 16;

export const signInRoutes = new Hono<PeopleEnv>();

/** Refuses what a browser loads for another page, e.g. as an image: a person opens these as pages. Nothing is counted of it. */
const openedAsPage: MiddlewareHandler<PeopleEnv> = async (c, next) => {
  const loadedAs = c.req.header('sec-fetch-dest');
  if (loadedAs === undefined || loadedAs === 'document') return next();
  log('access.origin.refused', { path: c.req.path, method: c.req.method, reason: 'not_a_page' });
  return c.json({ error: 'not_a_page', message: 'Open this address as a page of its own.' } satisfies ApiError, 403);
};

signInRoutes.get('/sign-in', ownPagesOnly, servesOthers('who signs in'), (c) => {
  const { signIn, linear } = readConfig(c.env);
  const to = returnPath(c.req.query('to'), new URL(c.req.url).origin);
  if (signIn.kind !== 'linear') return c.redirect(to, 302);
  return credentialsOf(linear.app) ? signInPage(c, to) : refusedPage(c, 'not-configured');
});

/** `?to=PATH`: where to go then. `?choose=1`: Linear asks which workspace it is. */
signInRoutes.get('/oauth/sign-in', ownPagesOnly, openedAsPage, servesOthers('who signs in'), oauthLimit, async (c) => {
  const config = readConfig(c.env);
  const to = returnPath(c.req.query('to'), new URL(c.req.url).origin);
  if (config.signIn.kind !== 'linear') return c.redirect(to, 302);
  const credentials = credentialsOf(config.linear.app);
  if (!credentials) return refusedPage(c, 'not-configured');
  if ((await isTooOften(c)) || (await beginsTooOften(c))) return refusedPage(c, 'too-many');
  const state = toBase64Url(crypto.getRandomValues(new Uint8Array(STATE_BYTES)));
  const verifier = newVerifier();
  const redirectUri = redirectUriOf(c, config);
  const browser = await bindBrowser(c, config);
  const database = openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey);
  const begun = { purpose: 'sign-in', verifier, redirectUri, callback: to } as const;
  await beginInstallation(database, state, browser, begun, Date.now());
  const target = new URL(config.linear.app.authorizeUrl);
  const parameters = {
    client_id: credentials.clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'read',
    state,
    actor: 'user',
    ...(c.req.query('choose') === '1' && { prompt: 'consent' }),
    code_challenge: await challengeOf(verifier),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  c.header('cache-control', 'no-store');
  return c.redirect(target.href, 302);
});

/** Nobody is signed in yet who comes back from signing in; what else comes here is behind the guard of install/oauth.ts. */
signInRoutes.get('/oauth/callback', ownPagesOnly, openedAsPage, servesOthers('who signs in'), async (c, next) => {
  const config = readConfig(c.env);
  if (config.signIn.kind !== 'linear') return next();
  const token = tokenOf(c);
  const database = openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey);
  const known = token === null ? null : await personOfCookie({ env: c.env, config, database }, token, Date.now());
  if (known && known !== 'unsure') c.set('person', known.person);
  return returnedFromLinear(c);
});
