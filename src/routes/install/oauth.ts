/**
 * `/oauth`: an admin of a Linear workspace installs Cyrus there. `/authorize` sends the browser to Linear, `/callback` takes
 * what Linear sends back; whatever is not as it should be gets a page that helps, and changes nothing.
 */
import { type Context, Hono } from 'hono';
import type { Config } from '../../config/config.ts';
import { readConfig } from '../../config/read-config.ts';
import { toBase64Url } from '../../lib/base64url.ts';
import { completeInstallation } from '../../linear/tokens/installation.ts';
import {
  type Credentials,
  challengeOf,
  credentialsOf,
  exchangeCode,
  newVerifier,
  SCOPES,
} from '../../linear/tokens/oauth.ts';
import { log } from '../../observability/log.ts';
import type { Person } from '../../people/person.ts';
import { openDatabase } from '../../store/database.ts';
import { beginInstallation, takeState } from '../../store/oauth-states.ts';
import { listRepositories } from '../../store/workspaces/repositories.ts';
import { needs, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { oauthLimit } from '../middleware/request-limit.ts';
import { noteRefused } from '../middleware/sign-in-limit.ts';
import { finishSignIn } from '../sign-in/finish.ts';
import { refusedPage } from '../sign-in/pages.ts';
import { isAllowedCallback } from './callback-allow-list.ts';
import { installedPage, refusal, refusalPage } from './pages.ts';
import { bindBrowser, boundBrowser } from './state-cookie.ts';

const STATE_BYTES = 16;
const MAX_PARAMETER = 2_000;

export const oauth = new Hono<PeopleEnv>();

oauth.get('/authorize', needs('deployment.install'), oauthLimit, async (c) => {
  const config = readConfig(c.env);
  const { app } = config.linear;
  const credentials = credentialsOf(app);
  if (!credentials) return refusalPage(c, refusal('not-configured'));
  const callback = c.req.query('callback') ?? null;
  if (callback !== null && !isAllowedCallback(callback, app.callbackAllow)) {
    log('oauth.authorize.refused', { reason: 'foreign-callback' });
    return refusalPage(c, refusal('foreign-callback'));
  }
  const state = toBase64Url(crypto.getRandomValues(new Uint8Array(STATE_BYTES)));
  const verifier = newVerifier();
  const redirectUri = redirectUriOf(c, config);
  const browser = await bindBrowser(c, config);
  await beginInstallation(
    database(c, config),
    state,
    browser,
    { purpose: 'install', verifier, redirectUri, callback },
    Date.now(),
  );
  const target = new URL(app.authorizeUrl);
  const parameters = {
    client_id: credentials.clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: SCOPES.join(','),
    state,
    actor: 'app',
    // Without this Linear skips the screen where another workspace can be chosen.
    prompt: 'consent',
    code_challenge: await challengeOf(verifier),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  c.header('cache-control', 'no-store');
  return c.redirect(target.href, 302);
});

oauth.get('/callback', needs('deployment.install'), (c) => returnedFromLinear(c));

/** Takes what Linear sends back, of an installation or of a sign-in: which it is, its state says. */
export async function returnedFromLinear(c: PeopleContext): Promise<Response> {
  const config = readConfig(c.env);
  const credentials = credentialsOf(config.linear.app);
  if (!credentials) return refusalPage(c, refusal('not-configured'));
  const { state = '', code = '', error = '' } = c.req.query();
  // The state first: nothing of what else was sent is believed, or shown, before it is known who sent it.
  const browser = await boundBrowser(c, config);
  const begun = await takeState(database(c, config), state.slice(0, MAX_PARAMETER), browser, Date.now());
  if (typeof begun === 'string') {
    log('oauth.callback.refused', { reason: `state-${begun}` });
    if (config.signIn.kind !== 'linear') return refusalPage(c, refusal(`state-${begun}`));
    // Any page can lead a browser here that has begun nothing, and an office has one address: that keeps nobody out.
    if (browser !== null) await noteRefused(c, `state-${begun}`);
    return refusedPage(c, `state-${begun}`);
  }
  if (begun.purpose === 'sign-in') {
    if (config.signIn.kind !== 'linear') return refusalPage(c, refusal('state-unknown'));
    if (error !== '') return refusedPage(c, 'denied', c.req.query('error_description') ?? error);
    if (code === '' || code.length > MAX_PARAMETER) return refusedPage(c, 'code-refused');
    return finishSignIn(c, credentials, begun, code);
  }
  if (error !== '') {
    log('oauth.callback.refused', { reason: 'refused-at-linear' });
    return refusalPage(
      c,
      refusal(error === 'invalid_scope' ? 'scope' : 'refused-at-linear', c.req.query('error_description') ?? error),
    );
  }
  if (code === '' || code.length > MAX_PARAMETER) return refusalPage(c, refusal('code-refused'));
  return exchange(c, credentials, begun, code);
}

async function exchange(
  c: PeopleContext,
  credentials: Credentials,
  { verifier, redirectUri, callback }: { verifier: string; redirectUri: string; callback: string | null },
  code: string,
): Promise<Response> {
  const outcome = await exchangeCode(credentials, { code, redirectUri, verifier });
  if (outcome.kind !== 'granted') {
    log('oauth.exchange.failed', { reason: outcome.kind, detail: outcome.message });
    const kind = outcome.kind === 'refused' ? 'code-refused' : outcome.kind;
    return refusalPage(c, refusal(kind, outcome.message));
  }
  const installed = await completeInstallation(c.env, outcome.grant, { installedBy: 'oauth', actor: actorOf(c) });
  switch (installed.kind) {
    case 'scope':
      return refusalPage(c, refusal('scope', `missing: ${installed.missing.join(', ')}`));
    case 'person':
      return refusalPage(c, refusal('person'));
    case 'unreachable':
      return refusalPage(c, refusal('unreachable', installed.message));
    case 'installed': {
      if (callback !== null) return c.redirect(withOutcome(callback, installed.workspace.id), 303);
      const repositories = await listRepositories(database(c, readConfig(c.env)), installed.workspace.id);
      return installedPage(c, installed, repositories.length, new URL(redirectUri).origin);
    }
  }
}

/** Where Linear sends the browser back to: it has to be registered with the application, letter by letter. */
export function redirectUriOf(c: Context, config: Config): string {
  return `${config.publicUrl ?? new URL(c.req.url).origin}/oauth/callback`;
}

/** Tells the address which workspace it is about, and nothing more. */
function withOutcome(callback: string, workspaceId: string): string {
  const url = new URL(callback);
  url.searchParams.set('workspace', workspaceId);
  return url.href;
}

/** Who installs; where Linear sends a browser back of which nothing but its state is known: the browser. */
function actorOf(c: PeopleContext): string {
  const person: Person | undefined = c.get('person');
  return person?.key ?? 'browser';
}

function database(c: PeopleContext, config: Config) {
  return openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey);
}
