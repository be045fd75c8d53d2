import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { startWithReceiver } from './api.ts';
import {
  APPLICATION,
  answerConsent,
  answerIn,
  authorizeUrl,
  exchangeCode,
  install,
  open,
  pkce,
  REDIRECT_URI,
} from './oauth-client.ts';

let linear: LinearSimulator;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, stop } = await startWithReceiver({ webhookUrl: null, installed: false, application: APPLICATION }));
});
afterEach(() => stop());

describe('The consent page', () => {
  it('says who asks, what for, and for which workspaces', async () => {
    const { status, html } = await open(authorizeUrl(linear));
    expect(status).toBe(200);
    expect(html).toContain('Install Cyrus?');
    for (const scope of ['read', 'write', 'app:assignable', 'app:mentionable'])
      expect(html).toContain(`<code>${scope}</code>`);
    expect(html).toContain('Example Workspace');
    expect(html).toContain('Second Workspace');
  });

  it('sends back to the application with a code and its state, when allowed', async () => {
    const { status, location } = await answerConsent(authorizeUrl(linear, { state: 'a&b=c d' }), 'allow');
    expect(status).toBe(302);
    expect(location?.startsWith(`${REDIRECT_URI}?`)).toBe(true);
    expect(answerIn(location)).toEqual({ code: expect.stringMatching(/^[0-9a-f]{40}$/), state: 'a&b=c d' });
    expect(linear.state().installed).toMatchObject({ clientId: linear.oauthClientId, name: 'Cyrus' });
  });

  it('sends back with access_denied, when denied, and installs nothing', async () => {
    const { location } = await answerConsent(authorizeUrl(linear), 'deny');
    expect(answerIn(location)).toMatchObject({ error: 'access_denied', state: 'state-of-the-browser' });
    expect(linear.state().installed).toBeNull();
  });

  it('lets only an admin install an application; a person may be used by one without', async () => {
    linear.setAdmin(false);
    const { html } = await open(authorizeUrl(linear));
    expect(html).toContain('You must be an admin of Example Workspace to install Cyrus.');
    const forced = await answerConsent(authorizeUrl(linear), 'allow');
    expect(forced).toMatchObject({ status: 403, location: null });
    expect(linear.state().installed).toBeNull();
    const asUser = await answerConsent(authorizeUrl(linear, { actor: 'user', scope: 'read,write' }), 'allow');
    expect(answerIn(asUser.location)).toHaveProperty('code');
  });

  it('offers a private application to its own workspace alone', async () => {
    linear.oauth.changeApplication({ distribution: 'private' });
    expect((await open(authorizeUrl(linear))).html).toContain('Cyrus is private to another workspace.');
    expect(await answerConsent(authorizeUrl(linear), 'allow', 'second')).toMatchObject({ status: 403, location: null });
    expect((await answerConsent(authorizeUrl(linear), 'allow', 'example')).status).toBe(302);
  });

  it('is skipped for what was allowed before, unless the application asks for it', async () => {
    await install(linear);
    const again = await open(authorizeUrl(linear, { prompt: null }));
    expect(answerIn(again.location)).toMatchObject({ code: expect.any(String), state: 'state-of-the-browser' });
    expect((await open(authorizeUrl(linear))).status).toBe(200);
    expect((await open(authorizeUrl(linear, { prompt: null, scope: 'read,issues:create' }))).status).toBe(200);
  });

  it('takes no answer from a page of another site', async () => {
    const answer = await fetch(`${linear.url}/oauth/authorize`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'sec-fetch-site': 'cross-site' },
      body: new URLSearchParams({
        request: new URL(authorizeUrl(linear)).search,
        workspace: 'example',
        decision: 'allow',
      }),
    });
    expect(answer.status).toBe(403);
    expect(linear.state().installed).toBeNull();
  });

  it('shows names of applications as text', async () => {
    linear.oauth.changeApplication({ name: '<img src=x onerror=alert(1)>' });
    const { html } = await open(authorizeUrl(linear));
    expect(html).not.toContain('<img');
  });
});

describe('A request for authorization', () => {
  it.each<[string, Record<string, string | null>, string]>([
    ['an unknown client', { client_id: 'nobody' }, 'no application with the client_id &#34;nobody&#34;'],
    ['no client', { client_id: null }, 'no application'],
    ['another address', { redirect_uri: 'https://evil.example/' }, 'is not one that Cyrus registered'],
    ['the address with another port', { redirect_uri: 'http://localhost:8788/oauth/callback' }, 'is not one'],
    ['the address with something behind it', { redirect_uri: `${REDIRECT_URI}?x=1` }, 'is not one'],
    ['no address', { redirect_uri: null }, 'is not one'],
  ])('with %s is told to the person, never to the address', async (_, changes, message) => {
    const { status, location, html } = await open(authorizeUrl(linear, changes));
    expect({ status, location }).toEqual({ status: 400, location: null });
    expect(html).toContain(message);
  });

  it.each<[string, Record<string, string | null>, string, string]>([
    ['another response_type', { response_type: 'token' }, 'unsupported_response_type', 'response_type must be code'],
    ['no response_type', { response_type: null }, 'unsupported_response_type', 'response_type must be code'],
    ['an unknown scope', { scope: 'read,everything' }, 'invalid_scope', 'there is no scope "everything"'],
    ['scopes separated by spaces', { scope: 'read write' }, 'invalid_scope', 'there is no scope "read write"'],
    ['admin for an app', { scope: 'read,admin' }, 'invalid_scope', 'the scope admin cannot be had with actor=app'],
    ['an app scope for a user', { actor: 'user' }, 'invalid_scope', 'the scope app:assignable needs actor=app'],
    ['an unknown actor', { actor: 'robot' }, 'invalid_request', 'actor must be user or app'],
    ['a short challenge', { code_challenge: 'abc', code_challenge_method: 'S256' }, 'invalid_request', '43 characters'],
    ['an unknown method', { ...pkce().parameters, code_challenge_method: 'S512' }, 'invalid_request', 'S256 or plain'],
    ['a method alone', { code_challenge_method: 'S256' }, 'invalid_request', 'needs a code_challenge'],
  ])('with %s is refused to the application, with its state', async (_, changes, error, description) => {
    const { status, location } = await open(authorizeUrl(linear, changes));
    expect(status).toBe(302);
    expect(answerIn(location)).toEqual({
      error,
      error_description: expect.stringContaining(description),
      state: 'state-of-the-browser',
    });
  });

  it('may leave out the scope, and has read then; may use the old name of actor=app', async () => {
    const { location } = await answerConsent(authorizeUrl(linear, { scope: null, actor: 'application' }), 'allow');
    expect((await exchangeCode(linear, answerIn(location).code ?? '')).body.scope).toBe('read');
    expect(linear.state().installed?.scopes).toEqual(['read']);
  });

  it('can be answered by a test in one call, as a person would', async () => {
    expect(answerIn(linear.oauth.approve(authorizeUrl(linear)))).toHaveProperty('code');
    expect(answerIn(linear.oauth.approve(authorizeUrl(linear), { decision: 'deny' })).error).toBe('access_denied');
    expect(answerIn(linear.oauth.approve(authorizeUrl(linear), { workspace: 'second' }))).toHaveProperty('code');
    expect(() => linear.oauth.approve(authorizeUrl(linear, { client_id: 'x' }))).toThrow('no application');
    expect(() => linear.oauth.approve(authorizeUrl(linear), { workspace: 'third' })).toThrow('no workspace "third"');
  });

  it('can be refused its scopes, or fail, on demand', async () => {
    linear.setFaults({ oauth: [{ fault: 'refuse-scope', times: 1 }] });
    expect(answerIn((await open(authorizeUrl(linear))).location)).toMatchObject({ error: 'invalid_scope' });
    linear.setFaults({ oauth: [{ fault: 'http-error', endpoint: 'authorize', times: 1 }] });
    expect((await open(authorizeUrl(linear))).status).toBe(503);
    expect((await open(authorizeUrl(linear))).status).toBe(200);
  });
});
