import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Me, SignIns } from '../../src/protocol/people.ts';
import { defaultWorkspaceSettings } from '../../src/protocol/settings/access-rules.ts';
import { listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { writeWorkspaceSettings } from '../../src/store/workspaces/workspace-settings.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';
import { FakeLinear, type FakePerson } from './support/fake-linear.ts';
import { bindingsOf, broughtBack, installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';

const HOUR = 3_600_000;
const json = { 'content-type': 'application/json', origin: SECURE_ORIGIN };
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const logged: string[] = [];
let linear: FakeLinear;
let acme: Awaited<ReturnType<typeof installed>>;
let ada: FakePerson;
let ben: FakePerson;

beforeEach(async () => {
  logged.length = 0;
  spyOnLog().mockImplementation((...line) => void logged.push(JSON.stringify(line)));
  await env.DB.prepare('delete from sign_in_attempts').run();
  linear = new FakeLinear();
  acme = await installed(linear, 'Acme');
  ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id, acme.secret.id] });
  ben = person(linear, acme, 'Ben', { teams: [acme.open.id] });
});
afterEach(() => vi.useRealTimers());

function later(ms: number): void {
  vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });
}

function newBrowser(): Browser {
  return new Browser(bindingsOf(), {}, SECURE_ORIGIN);
}

async function me(browser: Browser): Promise<Me> {
  const { status, text } = await browser.open('/api/me');
  expect(status).toBe(200);
  return JSON.parse(text);
}

describe('signing in with Linear', () => {
  it('leads a browser that opens a page to the button, and back to the page', async () => {
    const browser = newBrowser();
    const page = await browser.open('/sessions/abc?x=1', { headers: { accept: 'text/html' } });
    expect([page.status, page.location]).toEqual([302, '/sign-in?to=%2Fsessions%2Fabc%3Fx%3D1']);
    const { text } = await browser.open(page.location);
    expect(text).toContain('Sign in with Linear');
    const back = await broughtBack(linear, ben, browser, '/sessions/abc?x=1');
    expect((await browser.open(back)).location).toBe('/sessions/abc?x=1');
  });

  it('asks Linear for no more than to read, as the person, by PKCE and a state bound to the browser', async () => {
    const { location } = await newBrowser().open('/oauth/sign-in');
    const asked = Object.fromEntries(new URL(location).searchParams);
    expect(asked).toMatchObject({ actor: 'user', scope: 'read', code_challenge_method: 'S256', response_type: 'code' });
    const stolen = await broughtBack(linear, ben, newBrowser());
    const { status, text } = await newBrowser().open(stolen);
    expect(status).toBe(403);
    expect(text).toContain('Started in another browser');
  });

  it('says who it is, with what they may do', async () => {
    const browser = await signedIn(linear, ada);
    expect(await me(browser)).toMatchObject({
      ...{ kind: 'linear', name: 'Ada', email: 'ada@acme.example', isOwner: false },
      workspaces: [{ id: acme.id, name: 'Acme', userId: ada.id, role: 'admin' }],
    });
    expect((await me(await signedIn(linear, ben))).workspaces).toMatchObject([{ role: 'member' }]);
  });

  it('keeps a token for this host alone that no script reads, and nothing of it in the database', async () => {
    const browser = newBrowser();
    const { headers } = await browser.open(await broughtBack(linear, ben, browser));
    const cookie = headers.getSetCookie().find((line) => line.includes('cyrus_session')) ?? '';
    expect(cookie).toMatch(/^__Host-cyrus_session=[\w-]{43}; /);
    for (const part of ['HttpOnly', 'Secure', 'SameSite=Lax', 'Path=/', 'Max-Age=43']) expect(cookie).toContain(part);
    const token = browser.cookies.get('__Host-cyrus_session') ?? '';
    const { results } = await env.DB.prepare('select * from sign_ins').all();
    expect(results.length).toBeGreaterThan(0);
    expect(JSON.stringify(results)).not.toContain(token);
  });

  it('revokes both tokens of the person at once, stores neither, and logs neither', async () => {
    await signedIn(linear, ben);
    const given = linear.secrets.filter((secret) => linear.revoked.includes(secret));
    expect(given.map((secret) => secret.split('_')[1]).toSorted()).toEqual(['oauth', 'refresh']);
    for (const secret of given) expect(linear.isLive(secret)).toBe(false);
    const tables = await env.DB.batch(
      ['sign_ins', 'audit', 'oauth_states'].map((table) => env.DB.prepare(`select * from ${table}`)),
    );
    for (const secret of given) expect(JSON.stringify(tables) + logged.join()).not.toContain(secret);
  });

  it('revokes them too when Linear does not say who it is', async () => {
    linear.interfere = (url, body) =>
      url.endsWith('/graphql') && body.includes('SignedInPerson') ? new Response('', { status: 500 }) : null;
    const browser = newBrowser();
    const { status } = await browser.open(await broughtBack(linear, ben, browser));
    expect(status).toBe(502);
    expect(linear.revoked).toHaveLength(2);
    expect(browser.cookies.has('__Host-cyrus_session')).toBe(false);
  });

  it('refuses people of a workspace that has not installed Cyrus, the suspended, and applications', async () => {
    const other = { id: crypto.randomUUID(), name: 'Globex', urlKey: 'globex', appUserId: crypto.randomUUID() };
    const stranger = person(linear, other, 'Eve');
    const suspended = person(linear, acme, 'Sam', { active: false });
    for (const [who, words] of [
      [stranger, 'not installed in this workspace'],
      [suspended, 'Not a person'],
    ] as const) {
      const browser = newBrowser();
      const { status, text } = await browser.open(await broughtBack(linear, who, browser));
      expect([status, text]).toEqual([403, expect.stringContaining(words)]);
      expect(browser.cookies.has('__Host-cyrus_session')).toBe(false);
    }
  });

  it('sends the browser nowhere but to pages of this deployment', async () => {
    for (const to of [
      'https://evil.example/',
      '//evil.example',
      '/\\evil.example',
      '/oauth/authorize',
      '/api/sessions',
      'x',
    ]) {
      const browser = newBrowser();
      expect((await browser.open(await broughtBack(linear, ben, browser, to))).location, to).toBe('/');
    }
  });

  it('notes in the audit log who signed in and out', async () => {
    const browser = await signedIn(linear, ben);
    await browser.open('/api/me/sign-out', { method: 'POST', body: '{}', headers: json });
    const [out, inn] = await listAudit(db, 2);
    expect(inn).toMatchObject({ actor: `linear-user:${ben.id}`, action: 'person.signed-in', workspaceId: acme.id });
    expect(out).toMatchObject({ actor: `linear-user:${ben.id}`, action: 'person.signed-out' });
  });
});

describe('a person who is signed in', () => {
  it('sees their browsers, and ends one, or all of them', async () => {
    const [first, second, third] = [
      await signedIn(linear, ben),
      await signedIn(linear, ben),
      await signedIn(linear, ben),
    ];
    const { signIns }: SignIns = JSON.parse((await first.open('/api/me/sign-ins')).text);
    expect(signIns).toHaveLength(3);
    expect(signIns.filter(({ isThis }) => isThis)).toHaveLength(1);
    expect(signIns[0]?.browser).toBe('A browser of the tests');
    const { signIn } = await me(second);
    const ended = await first.open(`/api/me/sign-ins/${signIn}`, {
      method: 'DELETE',
      headers: { origin: SECURE_ORIGIN },
    });
    expect(ended.status).toBe(204);
    expect((await second.open('/api/me')).status).toBe(401);
    const kept = third.cookies.get('__Host-cyrus_session') ?? '';
    const out = await third.open('/api/me/sign-out', { method: 'POST', body: '{"everywhere":true}', headers: json });
    expect(JSON.parse(out.text)).toEqual({ ended: 2 });
    expect(third.cookies.has('__Host-cyrus_session')).toBe(false);
    third.cookies.set('__Host-cyrus_session', kept);
    for (const browser of [first, third]) expect((await browser.open('/api/me')).status).toBe(401);
  });

  it('cannot end the sign-in of somebody else', async () => {
    const { signIn } = await me(await signedIn(linear, ada));
    const browser = await signedIn(linear, ben);
    const answer = await browser.open(`/api/me/sign-ins/${signIn}`, {
      method: 'DELETE',
      headers: { origin: SECURE_ORIGIN },
    });
    expect(answer.status).toBe(404);
  });

  it('stays so for twelve hours after the last use, and for a month at most', async () => {
    const browser = await signedIn(linear, ben);
    later(11 * HOUR);
    const { headers } = await browser.open('/api/me');
    expect(headers.getSetCookie().join()).toMatch(/__Host-cyrus_session=.*Max-Age=43\d{3}/);
    later(11 * HOUR);
    expect((await browser.open('/api/me')).status).toBe(200);
    later(13 * HOUR);
    expect((await browser.open('/api/me')).status).toBe(401);
    const busy = await signedIn(linear, ben);
    for (let day = 0; day < 62; day += 1) {
      later(11.9 * HOUR);
      if ((await busy.open('/api/me')).status === 401) break;
    }
    expect((await busy.open('/api/me')).status).toBe(401);
  });

  it('is asked for at Linear again after an hour: what they may do there now is what they may do here', async () => {
    const browser = await signedIn(linear, ben);
    const id = await sessionOf(acme, acme.secret, 'Secret plans');
    expect((await browser.open(`/api/sessions/${id}`)).status).toBe(404);
    ben.teams.push(acme.secret.id);
    ben.admin = true;
    expect((await me(browser)).workspaces[0]?.role).toBe('member');
    later(HOUR + 1);
    expect((await me(browser)).workspaces[0]?.role).toBe('admin');
    expect((await browser.open(`/api/sessions/${id}`)).status).toBe(200);
  });

  it('is nobody any more within an hour of being suspended, or removed from the workspace', async () => {
    const [browser, other] = [await signedIn(linear, ben), await signedIn(linear, ada)];
    ben.active = false;
    linear.people.splice(linear.people.indexOf(ada), 1);
    later(HOUR + 1);
    for (const one of [browser, other]) expect((await one.open('/api/me')).status).toBe(401);
    ben.active = true;
    expect((await browser.open('/api/me')).status).toBe(401);
  });

  it('is believed for four hours while Linear does not answer, and asked for again as soon as it does', async () => {
    const browser = await signedIn(linear, ben);
    linear.interfere = (url) => (url.endsWith('/graphql') ? new Response('', { status: 503 }) : null);
    later(HOUR + 1);
    expect((await browser.open('/api/me')).status).toBe(200);
    later(3 * HOUR);
    expect((await browser.open('/api/me')).status).toBe(503);
    linear.interfere = () => null;
    later(2 * 60_000);
    expect((await browser.open('/api/me')).status).toBe(200);
  });

  it('whose workspace has to install Cyrus again signs in again after four hours, so that an admin can do it', async () => {
    const browser = await signedIn(linear, ada);
    await env.DB.prepare("update workspaces set status = 'reinstall-needed' where id = ?").bind(acme.id).run();
    later(2 * HOUR);
    expect((await browser.open('/install')).status).toBe(200);
    later(3 * HOUR);
    const page = await browser.open('/', { headers: { accept: 'text/html' } });
    expect([page.status, page.location]).toEqual([302, '/sign-in?to=%2F']);
    await browser.open(await broughtBack(linear, ada, browser));
    expect((await browser.open('/install')).status).toBe(200);
  });

  it('may sign in again, or out, while Linear does not say who is a member', async () => {
    const browser = await signedIn(linear, ben);
    linear.interfere = (url) => (url.endsWith('/graphql') ? new Response('', { status: 503 }) : null);
    later(5 * HOUR);
    const page = await browser.open('/', { headers: { accept: 'text/html' } });
    expect([page.status, page.location]).toEqual([302, '/sign-in?to=%2F']);
    expect((await browser.open('/api/sessions')).status).toBe(503);
    const out = await browser.open('/api/me/sign-out', { method: 'POST', body: '{}', headers: json });
    expect([out.status, JSON.parse(out.text)]).toEqual([200, { ended: 1 }]);
    expect((await browser.open('/api/me')).status).toBe(401);
  });

  it('is asked for at Linear once by many requests at the same time', async () => {
    const browser = await signedIn(linear, ben);
    later(HOUR + 1);
    linear.calls.length = 0;
    const answers = await Promise.all(Array.from({ length: 20 }, () => browser.open('/api/me')));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(linear.calls.filter(({ operation }) => operation === 'PersonById')).toHaveLength(1);
  });

  it('keeps their cookie to https if another server ends it', async () => {
    const bindings = bindingsOf({ SIGN_IN: 'linear', PUBLIC_URL: 'http://cyrus.test' });
    const browser = new Browser(bindings, {}, 'http://cyrus.test');
    const { headers } = await browser.open('/oauth/sign-in');
    expect(headers.getSetCookie().join()).toMatch(/__Host-cyrus_oauth=.*; Secure/);
    const back = await browser.open(await broughtBack(linear, ben, browser));
    expect(back.headers.getSetCookie().join()).toMatch(/__Host-cyrus_session=.*; Secure/);
    expect((await browser.open('/api/me')).status).toBe(200);
  });

  it('is nobody in a workspace that removed Cyrus', async () => {
    const browser = await signedIn(linear, ben);
    await env.DB.prepare("update workspaces set status = 'revoked' where id = ?").bind(acme.id).run();
    expect((await browser.open('/api/me')).status).toBe(401);
  });

  it('looks on only, if the workspace says so', async () => {
    const id = await sessionOf(acme, acme.open, 'Open plans');
    const browser = await signedIn(linear, ben);
    await writeWorkspaceSettings(db, acme.id, { ...defaultWorkspaceSettings, viewers: ['ben@acme.example'] }, 1);
    expect((await me(browser)).workspaces[0]?.role).toBe('viewer');
    expect((await browser.open(`/api/sessions/${id}`)).status).toBe(200);
    const body = JSON.stringify({ id: crypto.randomUUID(), text: 'Do it' });
    const answer = await browser.open(`/api/sessions/${id}/prompts`, { method: 'POST', body, headers: json });
    expect([answer.status, JSON.parse(answer.text).error]).toEqual([403, 'not_allowed']);
  });

  it('may do everything if OWNERS names them by their Linear id, and not by an email that a workspace chose', async () => {
    const bindings = bindingsOf({ SIGN_IN: 'linear', OWNERS: `${ben.id}, ada@acme.example` });
    expect((await me(await signedIn(linear, ben, bindings))).isOwner).toBe(true);
    expect((await me(await signedIn(linear, ada, bindings))).isOwner).toBe(false);
  });
});

describe('before anybody can sign in', () => {
  const basic = { authorization: `Basic ${btoa(`ops:${env.ACCESS_PASSWORD}`)}` };

  it('the password opens the installation, and nothing else', async () => {
    const browser = new Browser(bindingsOf(), basic, SECURE_ORIGIN);
    expect((await browser.open('/install')).status).toBe(200);
    expect((await browser.open('/oauth/authorize')).location).toContain('actor=app');
    for (const path of ['/api/sessions', '/api/me', '/api/audit'])
      expect((await browser.open(path)).status, path).toBe(401);
    expect((await newBrowser().open('/install')).headers.get('www-authenticate')).toContain('Basic');
  });

  it('an admin of a workspace may install too, and sees no other workspace there', async () => {
    const globex = await installed(linear, 'Globex Corporation');
    const { status, text } = await (await signedIn(linear, ada)).open('/install');
    expect([status, text]).toEqual([200, expect.stringContaining('Acme')]);
    expect(text).not.toContain(globex.name);
    expect((await (await signedIn(linear, ben)).open('/install')).status).toBe(401);
  });
});

describe('attempts to sign in', () => {
  /** Asks for the sessions by a password. @param from the caller's address */
  const open = (password: string, from: string) =>
    new Browser(
      bindingsOf({ SIGN_IN: 'password' }),
      { authorization: `Basic ${btoa(`x:${password}`)}`, 'cf-connecting-ip': from },
      SECURE_ORIGIN,
    ).open('/api/sessions');

  it('are refused after thirty wrong passwords from one address, also with the right one; other addresses are not', async () => {
    for (let attempt = 0; attempt < 30; attempt += 1)
      expect((await open(`wrong-${attempt}`, '192.0.2.1')).status).toBe(401);
    const blocked = await open(env.ACCESS_PASSWORD, '192.0.2.1');
    expect([blocked.status, blocked.headers.get('retry-after')]).toEqual([429, '1800']);
    expect((await open(env.ACCESS_PASSWORD, '192.0.2.2')).status).toBe(200);
    expect(logged.join()).toContain('alert.sign_in.attempts');
    later(31 * 60_000);
    expect((await open(env.ACCESS_PASSWORD, '192.0.2.1')).status).toBe(200);
    const { results } = await env.DB.prepare('select * from sign_in_attempts').all();
    expect(JSON.stringify(results)).not.toContain('192.0.2');
  });

  it('are begun so often from one address, and no more', async () => {
    // They are counted by the quarter of an hour; within a minute fewer are begun, see request-limits.test.ts.
    const quarter = 15 * 60_000;
    vi.useFakeTimers({ now: Math.ceil(Date.now() / quarter) * quarter, toFake: ['Date'] });
    const bindings = Object.assign(Object.create(bindingsOf()), { OAUTH_REQUESTS_A_MINUTE: '0' });
    const browser = new Browser(bindings, { 'cf-connecting-ip': '192.0.2.30' }, SECURE_ORIGIN);
    for (let begun = 0; begun < 300; begun += 1) expect((await browser.open('/oauth/sign-in')).status).toBe(302);
    expect((await browser.open('/oauth/sign-in')).status).toBe(429);
    const other = new Browser(bindings, { 'cf-connecting-ip': '192.0.2.31' }, SECURE_ORIGIN);
    expect((await other.open('/oauth/sign-in')).status).toBe(302);
  });

  it('with made-up answers of Linear are counted too', async () => {
    const from = { 'cf-connecting-ip': '192.0.2.9' };
    const browser = new Browser(bindingsOf(), from, SECURE_ORIGIN);
    expect((await browser.open('/oauth/sign-in')).status).toBe(302);
    for (let attempt = 0; attempt < 30; attempt += 1)
      await browser.open(`/oauth/callback?state=made-up-${attempt}&code=x`);
    expect((await browser.open('/oauth/sign-in')).status).toBe(429);
  });

  it('are not used up by a page elsewhere that has the browsers of an office load these addresses', async () => {
    const office = { 'cf-connecting-ip': '192.0.2.40' };
    for (let image = 0; image < 310; image += 1) {
      const browser = new Browser(bindingsOf(), { ...office, 'sec-fetch-dest': 'image' }, SECURE_ORIGIN);
      const path = image < 305 ? '/oauth/sign-in' : '/oauth/callback?state=made-up&code=x';
      expect((await browser.open(path)).status).toBe(403);
    }
    for (let opened = 0; opened < 31; opened += 1) {
      const browser = new Browser(bindingsOf(), { ...office, 'sec-fetch-dest': 'document' }, SECURE_ORIGIN);
      expect((await browser.open('/oauth/callback?state=made-up&code=x')).status).toBe(400);
    }
    expect((await new Browser(bindingsOf(), office, SECURE_ORIGIN).open('/oauth/sign-in')).status).toBe(302);
  });

  it('are counted together for a network of IPv6, however its addresses are written', async () => {
    const written = ['2600:3c00::f03c:91ff:fe24:1', '2600:3c00::2', '2600:3C00:0:0:1:2:3:4', '2600:3c00:0000::5'];
    for (let attempt = 0; attempt < 30; attempt += 1) await open('wrong', written[attempt % 4] ?? '');
    expect((await open(env.ACCESS_PASSWORD, '2600:3c00::9')).status).toBe(429);
    expect((await open(env.ACCESS_PASSWORD, '2600:3c00:0:1::9')).status).toBe(200);
  });

  it('raise the alert also if they are spread over two quarters of an hour', async () => {
    vi.useFakeTimers({ now: Math.ceil(Date.now() / 900_000) * 900_000 + 890_000, toFake: ['Date'] });
    const headers = { authorization: `Basic ${btoa('x:wrong')}`, 'cf-connecting-ip': '192.0.2.50' };
    const browser = new Browser(bindingsOf({ SIGN_IN: 'password' }), headers, SECURE_ORIGIN);
    for (let attempt = 0; attempt < 30; attempt += 1) {
      if (attempt === 15) later(20_000);
      expect((await browser.open('/api/sessions')).status).toBe(401);
    }
    expect((await browser.open('/api/sessions')).status).toBe(429);
    expect(logged.filter((line) => line.includes('alert.sign_in.attempts'))).toHaveLength(1);
  });
});
