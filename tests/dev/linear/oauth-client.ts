/** An application that uses the simulator's OAuth, as it would Linear's: over HTTP alone. */
import { createHash, randomBytes } from 'node:crypto';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';

export const REDIRECT_URI = 'http://localhost:8787/oauth/callback';
export const CLIENT_SECRET = 'test-client-secret';
export const APPLICATION = { clientSecret: CLIENT_SECRET, redirectUris: [REDIRECT_URI] };
export const AGENT_SCOPE = 'read,write,app:assignable,app:mentionable';

export interface TokenResponse {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test knows whether it asked for tokens or for an error
  body: any;
}

/** @param changes `null` leaves a parameter out */
export function authorizeUrl(linear: LinearSimulator, changes: Record<string, string | null> = {}): string {
  const url = new URL(`${linear.url}/oauth/authorize`);
  const parameters = {
    client_id: linear.oauthClientId,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope: AGENT_SCOPE,
    state: 'state-of-the-browser',
    actor: 'app',
    prompt: 'consent',
    ...changes,
  };
  for (const [name, value] of Object.entries(parameters)) if (value !== null) url.searchParams.set(name, value);
  return url.href;
}

/** A verifier with its S256 challenge. */
export function pkce() {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  return { verifier, parameters: { code_challenge: challenge, code_challenge_method: 'S256' } };
}

/** Opens an address as a browser that follows no redirect. */
export async function open(url: string) {
  const answer = await fetch(url, { redirect: 'manual' });
  return { status: answer.status, location: answer.headers.get('location'), html: await answer.text() };
}

/** Opens the consent page and sends its form, as the browser of the person at the page does. */
export async function answerConsent(url: string, decision: 'allow' | 'deny', workspace = 'example') {
  const page = await open(url);
  const request = /name="request" value="([^"]*)"/.exec(page.html)?.[1];
  if (request === undefined) throw new Error(`there is no form: ${page.status} ${page.location} ${page.html}`);
  const answer = await fetch(new URL('/oauth/authorize', url), {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ request: unescaped(request), workspace, decision }),
  });
  return { status: answer.status, location: answer.headers.get('location'), html: await answer.text() };
}

/** The parameters an application finds in its callback. */
export function answerIn(location: string | null): Record<string, string> {
  return Object.fromEntries(new URL(location ?? 'none:').searchParams);
}

/** POSTs a form to /oauth/token or /oauth/revoke. */
export async function postForm(
  linear: LinearSimulator,
  endpoint: 'token' | 'revoke',
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<TokenResponse> {
  const answer = await fetch(`${linear.url}/oauth/${endpoint}`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(form),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
}

export function basic(clientId: string, clientSecret: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` };
}

export const withSecret = (linear: LinearSimulator) => ({
  client_id: linear.oauthClientId,
  client_secret: CLIENT_SECRET,
});

export function exchangeCode(linear: LinearSimulator, code: string, changes: Record<string, string> = {}) {
  const own = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI };
  return postForm(linear, 'token', { ...own, ...withSecret(linear), ...changes });
}

export function refresh(linear: LinearSimulator, refreshToken: string, changes: Record<string, string> = {}) {
  const own = { grant_type: 'refresh_token', refresh_token: refreshToken };
  return postForm(linear, 'token', { ...own, ...withSecret(linear), ...changes });
}

/** Asks, is allowed, and exchanges: the tokens of an installation. */
export async function install(linear: LinearSimulator, workspace = 'example', changes: Record<string, string> = {}) {
  const { location } = await answerConsent(authorizeUrl(linear, changes), 'allow', workspace);
  const { body } = await exchangeCode(linear, answerIn(location).code ?? '');
  return body as { access_token: string; refresh_token: string; expires_in: number; scope: string };
}

function unescaped(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
