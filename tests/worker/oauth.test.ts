import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { readTokens } from '../../src/store/workspaces/installations.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { findWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser, ORIGIN } from './support/browser.ts';
import { FakeLinear, type FakeWorkspace } from './support/fake-linear.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
/** Everything logged in this file, and every secret there was. */
const logged: string[] = [];
const secrets: string[] = [];
let linear: FakeLinear;
let browser: Browser;

beforeEach(() => {
  spyOnLog().mockImplementation((...line) => void logged.push(JSON.stringify(line)));
  linear = new FakeLinear();
  browser = new Browser();
});
afterEach(() => void secrets.push(...linear.secrets));

afterEach(() => vi.useRealTimers());

function newWorkspace(name = 'Acme'): FakeWorkspace {
  return { id: crypto.randomUUID(), name, urlKey: name.toLowerCase(), appUserId: crypto.randomUUID() };
}

async function authorize(query = ''): Promise<string> {
  const { status, location } = await browser.open(`/oauth/authorize${query}`);
  expect(status).toBe(302);
  return location;
}

/** An installation up to the moment when Linear sends the browser back. */
async function consented(workspace: FakeWorkspace, options?: Parameters<FakeLinear['consent']>[2]): Promise<URL> {
  return linear.consent(await authorize(), workspace, options);
}

/** Everything the database holds about installations, to see that nothing was added. */
async function stored(): Promise<unknown> {
  const [workspaces, audit] = await env.DB.batch([
    env.DB.prepare('select * from workspaces order by id'),
    env.DB.prepare('select * from audit order by id'),
  ]);
  return [workspaces?.results, audit?.results];
}

describe('an installation', () => {
  it('asks Linear for an app with what it needs, by PKCE and a state of 128 bits', async () => {
    const url = new URL(await authorize());
    expect(`${url.origin}${url.pathname}`).toBe('https://linear.app/oauth/authorize');
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      client_id: env.LINEAR_CLIENT_ID,
      redirect_uri: `${ORIGIN}/oauth/callback`,
      response_type: 'code',
      actor: 'app',
      scope: 'read,write,app:assignable,app:mentionable',
      prompt: 'consent',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      // 16 bytes in base64url.
      state: expect.stringMatching(/^[\w-]{22}$/),
    });
    expect(new URL(await authorize()).searchParams.get('state')).not.toBe(url.searchParams.get('state'));
  });

  it('keeps neither state nor verifier readable, neither here nor in the browser', async () => {
    const state = new URL(await authorize()).searchParams.get('state') ?? '';
    const { results } = await env.DB.prepare('select * from oauth_states').all();
    expect(JSON.stringify(results)).not.toContain(state);
    expect(JSON.stringify([...browser.cookies])).not.toContain(state);
    expect(results.every((row) => String(row.verifier).startsWith('v1.'))).toBe(true);
  });

  it('stores the workspace with its tokens encrypted, notes who did it, and says what comes next', async () => {
    const workspace = newWorkspace();
    const { status, text } = await browser.open(await consented(workspace));
    expect(status).toBe(200);
    expect(text).toContain('Cyrus is installed in Acme');
    expect(text).toContain('Add a repository');
    const { id, name, urlKey, appUserId } = workspace;
    expect(await findWorkspace(db, id)).toMatchObject({
      ...{ name, urlKey, appUserId, status: 'active', installedBy: 'oauth' },
      scope: 'read write app:assignable app:mentionable',
    });
    const tokens = await readTokens(db, id);
    expect(tokens).toMatchObject({
      accessToken: expect.stringMatching(/^lin_oauth/),
      refreshToken: expect.stringMatching(/^lin_refresh/),
    });
    const row = await env.DB.prepare('select * from workspaces where id = ?').bind(id).first();
    for (const secret of linear.secrets) expect(JSON.stringify(row)).not.toContain(secret);
    const [entry] = await listAudit(db, 1);
    expect(entry).toMatchObject({ actor: 'browser', action: 'workspace.installed', workspaceId: id });
    for (const secret of linear.secrets) expect(JSON.stringify(entry)).not.toContain(secret);
  });

  it('names in the audit log who had signed in to do it', async () => {
    const production: Env = { ...env, ENVIRONMENT: 'production' };
    browser = new Browser(production, { authorization: `Basic ${btoa(`ada:${env.ACCESS_PASSWORD}`)}` });
    await browser.open(await consented(newWorkspace()));
    expect((await listAudit(db, 1))[0]).toMatchObject({ actor: 'browser:ada', action: 'workspace.installed' });
  });

  it('again replaces the tokens and keeps repositories', async () => {
    const workspace = newWorkspace();
    await browser.open(await consented(workspace));
    const before = await readTokens(db, workspace.id);
    await upsertRepository(
      db,
      workspace.id,
      'acme/shop',
      { cloneUrl: 'https://git.test/s.git', baseBranch: 'main' },
      1,
    );
    const { text } = await browser.open(await consented({ ...workspace, name: 'Acme Inc' }));
    expect(text).toContain('installed again in Acme Inc');
    expect(text).not.toContain('Add a repository');
    expect(await readTokens(db, workspace.id)).not.toEqual(before);
    expect((await listAudit(db, 1))[0]?.action).toBe('workspace.reinstalled');
  });

  it('may continue in two workspaces, also from two tabs of a browser at once', async () => {
    const [acme, globex] = [newWorkspace(), newWorkspace('Globex')];
    const backs = [await consented(acme), await consented(globex)];
    for (const back of backs) expect((await browser.open(back)).status).toBe(200);
    expect(await findWorkspace(db, acme.id)).toMatchObject({ name: 'Acme', status: 'active' });
    expect(await findWorkspace(db, globex.id)).toMatchObject({ name: 'Globex', status: 'active' });
  });

  it('sends the browser on to a listed address, with the workspace and no secret', async () => {
    const workspace = newWorkspace();
    const callback = encodeURIComponent('https://pr-7.cyrus.example.workers.dev/after?x=1');
    const back = await linear.consent(await authorize(`?callback=${callback}`), workspace);
    const { status, location } = await browser.open(back);
    expect(status).toBe(303);
    expect(location).toBe(`https://pr-7.cyrus.example.workers.dev/after?x=1&workspace=${workspace.id}`);
  });

  it('gives the browser a cookie that no script reads and that ends with the state', async () => {
    const { headers } = await browser.open('/oauth/authorize');
    expect(headers.getSetCookie().join()).toMatch(/^cyrus_oauth=.*Max-Age=600.*HttpOnly.*SameSite=Lax/);
    const secure = await new Browser().open('https://cyrus.test/oauth/authorize');
    expect(secure.headers.getSetCookie().join()).toMatch(/^__Host-cyrus_oauth=.*Secure/);
  });
});

describe('an installation is refused with a page that helps, and nothing stored,', () => {
  let before: unknown;
  beforeEach(async () => {
    before = await stored();
  });
  afterEach(async () => {
    expect(await stored()).toEqual(before);
  });

  /** A refusal in words, with a way on. */
  async function refusedWith(address: string | URL, status: number, words: string, by = browser): Promise<void> {
    const answer = await by.open(address);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(answer.text).toContain(words);
    expect(answer.text).toContain('href="/install"');
    for (const secret of linear.secrets) expect(answer.text).not.toContain(secret);
  }

  it('when the state is not one of ours', async () => {
    const back = await consented(newWorkspace());
    back.searchParams.set('state', 'AAAAAAAAAAAAAAAAAAAAAA');
    await refusedWith(back, 400, 'This link is not valid');
    back.searchParams.delete('state');
    await refusedWith(back, 400, 'This link is not valid');
    expect(linear.tokenRequests).toEqual([]);
  });

  it('when the state belongs to another browser, which can still finish', async () => {
    const workspace = newWorkspace();
    const back = await consented(workspace);
    const stranger = new Browser();
    await refusedWith(back, 403, 'Started in another browser', stranger);
    await stranger.open('/oauth/authorize');
    await refusedWith(back, 403, 'Started in another browser', stranger);
    stranger.cookies.set('cyrus_oauth', `${stranger.cookies.get('cyrus_oauth')}x`);
    await refusedWith(back, 403, 'Started in another browser', stranger);
    expect(linear.tokenRequests).toEqual([]);
    expect((await browser.open(back)).status).toBe(200);
    before = await stored();
  });

  it('when the state was used before', async () => {
    const back = await consented(newWorkspace());
    expect((await browser.open(back)).status).toBe(200);
    before = await stored();
    await refusedWith(back, 400, 'Already used');
    expect(linear.tokenRequests).toHaveLength(1);
  });

  it('when two answers with the same state come at once: one is taken', async () => {
    const back = await consented(newWorkspace());
    const answers = await Promise.all(Array.from({ length: 5 }, () => browser.open(back)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400]);
    before = await stored();
  });

  it('when it took longer than ten minutes', async () => {
    const back = await consented(newWorkspace());
    await env.DB.prepare('update oauth_states set expires_at = ?')
      .bind(Date.now() - 1)
      .run();
    await refusedWith(back, 400, 'within ten minutes');
    vi.useFakeTimers({ now: Date.now() + 10 * 60_000 + 1_000, toFake: ['Date'] });
    await refusedWith(back, 403, 'Started in another browser');
  });

  it('when the person says no, with what Linear says about it harmless on the page', async () => {
    const back = await consented(newWorkspace());
    back.searchParams.delete('code');
    back.searchParams.set('error', 'access_denied');
    back.searchParams.set('error_description', '<script>alert(1)</script>');
    const { status, text } = await browser.open(back);
    expect(status).toBe(403);
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toContain('<script>');
    await refusedWith(back, 400, 'Already used');
  });

  it('when Linear does not allow a scope, or grants less than asked', async () => {
    const back = await consented(newWorkspace());
    back.searchParams.delete('code');
    back.searchParams.set('error', 'invalid_scope');
    await refusedWith(back, 403, 'Some permissions are missing');
    await refusedWith(await consented(newWorkspace(), { scope: 'read write' }), 403, 'app:assignable, app:mentionable');
    // What is not kept is given back.
    expect(linear.revoked).toHaveLength(2);
    for (const token of linear.revoked) expect(linear.isLive(token)).toBe(false);
  });

  it('when the tokens act for a person', async () => {
    await refusedWith(await consented(newWorkspace(), { isApp: false }), 403, 'Not installed as an app');
    expect(linear.revoked).toHaveLength(2);
  });

  it('when Linear does not accept the code', async () => {
    const back = await consented(newWorkspace());
    back.searchParams.set('code', 'made-up');
    await refusedWith(back, 400, 'does not accept its code');
    const none = await consented(newWorkspace());
    none.searchParams.delete('code');
    await refusedWith(none, 400, 'does not accept its code');
  });

  it('when a code of somebody else is put in its place: the verifier does not fit', async () => {
    const [mine, theirs] = [await consented(newWorkspace()), await consented(newWorkspace())];
    mine.searchParams.set('code', theirs.searchParams.get('code') ?? '');
    await refusedWith(mine, 400, 'does not accept its code');
  });

  it.each([
    ['is down', () => new Response('down', { status: 503 })],
    ['answers with something else', () => Response.json({ hello: 'world' })],
    ['cannot be reached', () => Promise.reject(new TypeError('no route'))],
  ])('when the token endpoint %s', async (_what, answer) => {
    linear.interfere = (url) => (url.endsWith('/oauth/token') ? answer() : null);
    await refusedWith(await consented(newWorkspace()), 502, 'Linear does not answer');
  });

  it('when Linear does not say whose the tokens are', async () => {
    linear.interfere = (url) => (url.endsWith('/graphql') ? new Response('down', { status: 503 }) : null);
    await refusedWith(await consented(newWorkspace()), 502, 'Linear does not answer');
    expect(linear.revoked).toHaveLength(2);
  });

  it('when Linear does not know the application', async () => {
    linear.interfere = (url) =>
      url.endsWith('/token') ? Response.json({ error: 'invalid_client' }, { status: 401 }) : null;
    await refusedWith(await consented(newWorkspace()), 502, 'does not know this application');
  });

  it.each([
    'https://evil.example/',
    'https://cyrus.example/elsewhere',
    'http://cyrus.example/done',
    'https://cyrus.example:444/done',
    'https://cyrus.example@evil.example/done',
    'https://cyrus.example.evil.example/done',
    'https://a.b.cyrus.example.workers.dev/',
    'https://cyrus.example.workers.dev/',
    'https://evil.example/.cyrus.example.workers.dev/',
    'https://evil.example#.cyrus.example.workers.dev/',
    'https://x.cyrus.example.workers.dev\\@evil.example/',
    'https://pr 1.cyrus.example.workers.dev/',
    'javascript:alert(1)//https://cyrus.example/done',
    '//evil.example',
    '/relative',
    '',
  ])('when it is to end at %j, which is not listed', async (callback) => {
    await refusedWith(`/oauth/authorize?callback=${encodeURIComponent(callback)}`, 400, 'This address is not allowed');
    expect(browser.cookies.size).toBe(0);
  });

  it('when the application is not configured', async () => {
    const { LINEAR_CLIENT_SECRET: _, ...rest } = env;
    const bare = new Browser(rest as Env);
    await refusedWith('/oauth/authorize', 503, 'LINEAR_CLIENT_ID or LINEAR_CLIENT_SECRET is not set', bare);
    await refusedWith('/oauth/callback?code=x&state=y', 503, 'is not set', bare);
  });
});

describe('the pages of an installation', () => {
  it('ask for the password in production', async () => {
    const stranger = new Browser({ ...env, ENVIRONMENT: 'production' });
    for (const path of ['/install', '/oauth/authorize', '/oauth/callback?code=x&state=y']) {
      expect((await stranger.open(path)).status, path).toBe(401);
    }
  });

  it('are not framed, not kept, and load nothing from elsewhere', async () => {
    for (const path of ['/install', '/oauth/callback?state=x']) {
      const { headers, text } = await browser.open(path);
      expect(headers.get('content-security-policy')).toContain("default-src 'self'");
      expect(headers.get('cache-control')).toBe('no-store');
      expect(text).not.toMatch(/<script|<style|style=|src="http/);
    }
  });
});

it('no code, token, secret, state or verifier is ever in the log', () => {
  const text = logged.join('\n');
  for (const event of ['linear.workspace.installed', 'oauth.exchange.failed', 'oauth.callback.refused']) {
    expect(text).toContain(event);
  }
  expect(secrets.length).toBeGreaterThan(50);
  for (const secret of secrets) expect(text).not.toContain(secret);
  expect(text).not.toMatch(/lin_(oauth|refresh)_|code_verifier|v1\./);
});
