import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { call, OPERATIONS, type Receiver, startWithReceiver, TOKEN } from './api.ts';
import {
  APPLICATION,
  answerConsent,
  answerIn,
  authorizeUrl,
  basic,
  CLIENT_SECRET,
  exchangeCode,
  install,
  pkce,
  postForm,
  REDIRECT_URI,
  refresh,
  withSecret,
} from './oauth-client.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let linear: LinearSimulator;
let receiver: Receiver;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, receiver, stop } = await startWithReceiver({ installed: false, application: APPLICATION }));
  linear.setClockSpeed(0);
});
afterEach(() => stop());

const identity = async (token: string) => (await call(linear, OPERATIONS.Identity, {}, token)).data?.viewer;
const status = async (token: string) => (await call(linear, OPERATIONS.Identity, {}, token)).status;
async function newCode(changes: Record<string, string> = {}): Promise<string> {
  return answerIn((await answerConsent(authorizeUrl(linear, changes), 'allow')).location).code ?? '';
}

describe('A code', () => {
  it('is exchanged for tokens of the workspace in which the person allowed it', async () => {
    const { status: httpStatus, headers, body } = await exchangeCode(linear, await newCode());
    expect(httpStatus).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      access_token: expect.stringMatching(/^lin_oauth_/),
      token_type: 'Bearer',
      expires_in: 86_399,
      scope: 'read write app:assignable app:mentionable',
      refresh_token: expect.stringMatching(/^lin_refresh_/),
    });
    expect(await identity(body.access_token)).toMatchObject({
      id: linear.appUserId,
      app: true,
      organization: linear.workspace,
    });
  });

  it('is good for one exchange, and for ten minutes', async () => {
    const code = await newCode();
    expect((await exchangeCode(linear, code)).status).toBe(200);
    expect(await exchangeCode(linear, code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const late = await newCode();
    await linear.advance(10 * MINUTE);
    expect(await exchangeCode(linear, late)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  it.each(['S256', 'plain'])('with PKCE (%s) needs the verifier, and no secret', async (method) => {
    const { verifier, parameters } = pkce();
    const challenge = method === 'plain' ? { code_challenge: verifier, code_challenge_method: 'plain' } : parameters;
    const form = { grant_type: 'authorization_code', redirect_uri: REDIRECT_URI, client_id: linear.oauthClientId };
    const wrong = { ...form, code: await newCode(challenge), code_verifier: pkce().verifier };
    expect(await postForm(linear, 'token', wrong)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const missing = { ...form, code: await newCode(challenge) };
    expect(await postForm(linear, 'token', missing)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const right = await postForm(linear, 'token', { ...form, code: await newCode(challenge), code_verifier: verifier });
    expect(right.status).toBe(200);
    const withoutSecret = { grant_type: 'refresh_token', client_id: linear.oauthClientId };
    const refreshed = await postForm(linear, 'token', { ...withoutSecret, refresh_token: right.body.refresh_token });
    expect(refreshed.status).toBe(200);
  });

  it.each<[string, Record<string, string>, number, string]>([
    ['a wrong secret', { client_secret: 'wrong' }, 401, 'invalid_client'],
    ['an unknown client', { client_id: 'nobody' }, 401, 'invalid_client'],
    ['another address', { redirect_uri: 'http://localhost:8787/' }, 400, 'invalid_grant'],
    ['a verifier nobody asked for', { code_verifier: pkce().verifier }, 400, 'invalid_grant'],
    ['an unknown code', { code: 'unknown' }, 400, 'invalid_grant'],
    ['an unknown grant', { grant_type: 'password' }, 400, 'unsupported_grant_type'],
    ['no code', { code: '' }, 400, 'invalid_request'],
  ])('is refused with %s', async (_, changes, expected, error) => {
    const answer = await exchangeCode(linear, await newCode(), changes);
    expect(answer).toMatchObject({ status: expected, body: { error, error_description: expect.any(String) } });
    expect(linear.oauth.tokens()).toEqual([]);
  });

  it('is refused without a secret when it was asked for without PKCE', async () => {
    const form = { grant_type: 'authorization_code', redirect_uri: REDIRECT_URI, client_id: linear.oauthClientId };
    const answer = await postForm(linear, 'token', { ...form, code: await newCode() });
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });

  it('may be brought with HTTP Basic; only as a form', async () => {
    const form = { grant_type: 'authorization_code', code: await newCode(), redirect_uri: REDIRECT_URI };
    const json = await fetch(`${linear.url}/oauth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...form, ...withSecret(linear) }),
    });
    expect(json.status).toBe(400);
    expect(await json.json()).toMatchObject({ error: 'invalid_request' });
    const wrong = await postForm(linear, 'token', form, basic(linear.oauthClientId, 'wrong'));
    expect(wrong.status).toBe(401);
    expect((await postForm(linear, 'token', form, basic(linear.oauthClientId, CLIENT_SECRET))).status).toBe(200);
  });

  it('of a person acts as that person', async () => {
    const { body } = await exchangeCode(linear, await newCode({ actor: 'user', scope: 'read,write' }));
    expect(await identity(body.access_token)).toMatchObject({ name: 'Ada Example', app: false });
    expect(linear.state().installed).toBeNull();
  });
});

describe('An access token', () => {
  it('expires after a day', async () => {
    const { access_token } = await install(linear);
    await linear.advance(24 * HOUR - 1);
    expect(await status(access_token)).toBe(200);
    await linear.advance(1);
    expect(await call(linear, OPERATIONS.Identity, {}, access_token)).toMatchObject({
      status: 401,
      errors: [{ extensions: { code: 'AUTHENTICATION_ERROR' } }],
    });
  });

  it('can be made to expire; the refresh token stays good', async () => {
    const { access_token, refresh_token } = await install(linear);
    expect(linear.oauth.expireAccessTokens()).toBe(1);
    expect(await status(access_token)).toBe(401);
    const { body } = await refresh(linear, refresh_token);
    expect(await status(body.access_token)).toBe(200);
  });

  it('without the scope write changes nothing', async () => {
    const { access_token } = await install(linear, 'example', { scope: 'read' });
    const variables = { id: 'ENG-1', input: { title: 'Changed' } };
    const { data, errors } = await call(linear, OPERATIONS.IssueUpdate, variables, access_token);
    expect(data).toBeNull();
    expect(errors?.[0]).toMatchObject({
      message: 'Invalid scope: `write` required',
      extensions: { type: 'forbidden' },
    });
  });

  it('that is fixed is not there unless the application is installed from the start', async () => {
    expect(await status(TOKEN)).toBe(401);
  });
});

describe('A refresh token', () => {
  it('is exchanged for a new pair', async () => {
    const first = await install(linear);
    const { status: httpStatus, body } = await refresh(linear, first.refresh_token);
    expect(httpStatus).toBe(200);
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 86_399, scope: first.scope });
    expect(body.access_token).not.toBe(first.access_token);
    expect(body.refresh_token).not.toBe(first.refresh_token);
    expect(await status(body.access_token)).toBe(200);
    expect(await status(first.access_token)).toBe(200);
  });

  it('answers with the same pair again for 30 minutes, should the answer have been lost', async () => {
    const { refresh_token } = await install(linear);
    linear.setFaults({ oauth: [{ fault: 'timeout-after-commit', grant: 'refresh_token', times: 1, ms: 20 }] });
    await expect(refresh(linear, refresh_token)).rejects.toThrow();
    const [lost] = linear.oauth.tokens().slice(-1);
    await linear.advance(30 * MINUTE);
    const replayed = await refresh(linear, refresh_token);
    expect(replayed.body).toMatchObject({ access_token: lost?.accessToken, refresh_token: lost?.refreshToken });
    expect(replayed.body.expires_in).toBe(86_399 - 30 * 60);
    await linear.advance(1);
    expect(await refresh(linear, refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  it('answers no more once the new one was used', async () => {
    const { refresh_token } = await install(linear);
    const { body } = await refresh(linear, refresh_token);
    expect((await refresh(linear, body.refresh_token)).status).toBe(200);
    expect(await refresh(linear, refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  it('needs the secret, and its own client', async () => {
    const { refresh_token } = await install(linear);
    const form = { grant_type: 'refresh_token', refresh_token, client_id: linear.oauthClientId };
    expect(await postForm(linear, 'token', form)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect((await refresh(linear, refresh_token, { client_secret: 'wrong' })).status).toBe(401);
    expect((await refresh(linear, 'unknown')).body.error).toBe('invalid_grant');
    expect((await refresh(linear, refresh_token)).status).toBe(200);
  });
});

describe('Revoking', () => {
  it.each(['access_token', 'refresh_token'] as const)(
    'an %s ends both; a second time there is nothing to revoke',
    async (kind) => {
      const tokens = await install(linear);
      const form = { token: tokens[kind], token_type_hint: kind };
      expect((await postForm(linear, 'revoke', form)).status).toBe(200);
      expect(await status(tokens.access_token)).toBe(401);
      expect((await refresh(linear, tokens.refresh_token)).body.error).toBe('invalid_grant');
      expect((await postForm(linear, 'revoke', form)).status).toBe(400);
    },
  );

  it('needs a token, and the right secret if one is given', async () => {
    const { access_token } = await install(linear);
    expect((await postForm(linear, 'revoke', {})).status).toBe(401);
    const wrong = { token: access_token, client_id: linear.oauthClientId, client_secret: 'wrong' };
    expect((await postForm(linear, 'revoke', wrong)).status).toBe(401);
    expect(await status(access_token)).toBe(200);
    const bearer = { authorization: `Bearer ${access_token}` };
    expect((await postForm(linear, 'revoke', {}, bearer)).status).toBe(200);
    expect(await status(access_token)).toBe(401);
  });
});

describe('Client credentials', () => {
  const ask = (changes: Record<string, string> = {}) =>
    postForm(linear, 'token', {
      grant_type: 'client_credentials',
      scope: 'read,write',
      ...withSecret(linear),
      ...changes,
    });

  it('are refused unless switched on', async () => {
    expect(await ask()).toMatchObject({
      status: 400,
      body: { error: 'Error', error_description: 'Client does not support the client_credentials grant type' },
    });
  });

  it('give a token of 30 days without a refresh token, for the workspace that owns the application', async () => {
    linear.oauth.changeApplication({ grantTypes: ['authorization_code', 'client_credentials'] });
    const { status: httpStatus, body } = await ask();
    expect(httpStatus).toBe(200);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 2_591_999,
      scope: 'read write',
    });
    expect(await identity(body.access_token)).toMatchObject({ app: true, organization: linear.workspace });
    expect(linear.state().installed).toMatchObject({ clientId: linear.oauthClientId });
    await linear.advance(30 * 24 * HOUR);
    expect(await status(body.access_token)).toBe(401);
  });

  it('keep tokens of equal scopes, and end those of others', async () => {
    linear.oauth.changeApplication({ grantTypes: ['client_credentials'] });
    const first = (await ask()).body.access_token;
    const second = (await ask()).body.access_token;
    expect(await status(first)).toBe(200);
    const third = (await ask({ scope: 'read,write,app:assignable' })).body.access_token;
    expect([await status(first), await status(second), await status(third)]).toEqual([401, 401, 200]);
    linear.oauth.rotateClientSecret();
    expect(await status(third)).toBe(401);
    expect((await ask()).status).toBe(401);
  });
});

describe('Several workspaces', () => {
  it('have tokens, users and issues of their own, under the same identifiers', async () => {
    const one = await install(linear, 'example');
    const other = await install(linear, 'second');
    const [first, second] = [await identity(one.access_token), await identity(other.access_token)];
    expect(first.organization).toMatchObject({ urlKey: 'example' });
    expect(second.organization).toMatchObject({ urlKey: 'second' });
    expect(first.id).not.toBe(second.id);
    const title = async (token: string) =>
      (await call(linear, OPERATIONS.IssueContext, { id: 'ENG-1' }, token)).data.issue.title;
    expect(await title(one.access_token)).toBe('The cart total ignores quantities');
    expect(await title(other.access_token)).toBe('Prices are shown without a currency');
    const foreign = linear.in('second').issues()[0]?.id;
    const { errors } = await call(linear, OPERATIONS.IssueContext, { id: foreign }, one.access_token);
    expect(errors?.[0]?.message).toBe('Entity not found: Issue');
  });

  it('send events with their own ids, and only if the application is installed', async () => {
    linear.in('second').createIssue({ title: 'Before' });
    await install(linear, 'second');
    const second = linear.in('second');
    second.delegate('ENG-1');
    expect(() => linear.delegate('ENG-1')).toThrow('Cyrus cannot be given issues in Example Workspace');
    await linear.webhooksSettled();
    const [created] = receiver.of('AgentSessionEvent created');
    const { workspace, appUser } = second.state();
    expect(created?.payload).toMatchObject({
      organizationId: workspace.id,
      appUserId: appUser.id,
      oauthClientId: linear.oauthClientId,
    });
    expect(receiver.received.every(({ payload }) => payload.organizationId === workspace.id)).toBe(true);
    expect(second.deliveries()).toHaveLength(3);
    expect(linear.deliveries()).toHaveLength(0);
  });

  it('can be made, and reached over the control API', async () => {
    linear.createWorkspace('Third', 'third');
    expect(linear.workspaces().map(({ urlKey }) => urlKey)).toEqual(['example', 'second', 'third']);
    const control = async (path: string) => (await fetch(`${linear.url}/control/workspaces/${path}`)).json();
    expect(await control('third/state')).toMatchObject({ workspace: { urlKey: 'third' }, installed: null });
    expect(await control('second/issues')).toMatchObject([{ title: 'Prices are shown without a currency' }]);
    expect(await control('fourth/state')).toEqual({ error: 'there is no workspace fourth' });
    expect(() => linear.createWorkspace('Again', 'third')).toThrow('there is a workspace third already');
  });
});

describe('Taking the application out of a workspace', () => {
  it('tells it with OAuthApp revoked, ends its tokens there, and sends nothing more', async () => {
    const one = await install(linear, 'example');
    const other = await install(linear, 'second');
    linear.uninstall();
    linear.createIssue({ title: 'Unheard' });
    await linear.webhooksSettled();
    expect(receiver.received.map(({ payload }) => payload)).toMatchObject([
      { type: 'OAuthApp', action: 'revoked', organizationId: linear.workspace.id, oauthClientId: linear.oauthClientId },
    ]);
    expect([await status(one.access_token), await status(other.access_token)]).toEqual([401, 200]);
    expect((await refresh(linear, one.refresh_token)).body.error).toBe('invalid_grant');
    expect(() => linear.uninstall()).toThrow('no application is installed in Example Workspace');
  });

  it('can be followed by installing it again', async () => {
    await install(linear);
    linear.uninstall();
    const { access_token } = await install(linear);
    expect(await identity(access_token)).toMatchObject({ id: linear.appUserId });
    linear.delegate('ENG-1');
    await linear.webhooksSettled();
    expect(receiver.of('AgentSessionEvent created')).toHaveLength(1);
  });
});

describe('Trouble with tokens on demand', () => {
  it('is an endpoint that is down, or slow', async () => {
    const code = await newCode();
    linear.setFaults({ oauth: [{ fault: 'http-error', endpoint: 'token', status: 502, times: 1 }] });
    expect(await exchangeCode(linear, code)).toMatchObject({ status: 502, body: expect.stringContaining('502') });
    linear.setFaults({ oauth: [{ fault: 'slow', ms: 60 }] });
    const started = performance.now();
    expect((await exchangeCode(linear, code)).status).toBe(200);
    expect(performance.now() - started).toBeGreaterThanOrEqual(58);
  });

  it('is a code that is refused, or a scope', async () => {
    const code = await newCode();
    linear.setFaults({ oauth: [{ fault: 'refuse-grant', grant: 'authorization_code', times: 1 }] });
    expect(await exchangeCode(linear, code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    linear.setFaults({ oauth: [{ fault: 'narrow-scope', times: 1 }] });
    expect((await exchangeCode(linear, code)).body.scope).toBe('read');
  });

  it('is an answer that never comes after a code was exchanged', async () => {
    const code = await newCode();
    linear.setFaults({ oauth: [{ fault: 'timeout-after-commit', times: 1, ms: 20 }] });
    await expect(exchangeCode(linear, code)).rejects.toThrow();
    expect(await exchangeCode(linear, code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(linear.oauth.tokens()).toHaveLength(1);
  });
});
