import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Tokens } from '../../src/protocol/people.ts';
import { MOST_REQUESTS } from '../../src/routes/middleware/token-access.ts';
import { listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';
import { FakeLinear, type FakePerson } from './support/fake-linear.ts';
import { bindingsOf, installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';
import { Program, tokenOf } from './support/programs.ts';

const HOUR = 3_600_000;
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const json = { 'content-type': 'application/json', origin: SECURE_ORIGIN };
const logged: string[] = [];
let linear: FakeLinear;
let acme: Awaited<ReturnType<typeof installed>>;
let ada: FakePerson;
let browser: Browser;

beforeEach(async () => {
  logged.length = 0;
  spyOnLog().mockImplementation((...line) => void logged.push(JSON.stringify(line)));
  linear = new FakeLinear();
  acme = await installed(linear, 'Acme');
  ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id] });
  browser = await signedIn(linear, ada);
});
afterEach(() => vi.useRealTimers());

function later(ms: number): void {
  vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });
}

async function listed(): Promise<Tokens['tokens']> {
  return JSON.parse((await browser.open('/api/me/tokens')).text).tokens;
}

describe('a personal token', () => {
  it('is shown once, and is in no table, list, log or audit entry', async () => {
    const { token, name, scope } = await tokenOf(browser, 'read', { name: 'The nightly report' });
    expect(token).toMatch(/^cyrus_pat_[\w-]{43}$/);
    expect([name, scope]).toEqual(['The nightly report', 'read']);
    await new Program(token).ask('GET', '/me');
    const tables = await env.DB.batch(['api_tokens', 'audit'].map((table) => env.DB.prepare(`select * from ${table}`)));
    const list = (await browser.open('/api/me/tokens')).text;
    expect(list).toContain('The nightly report');
    expect(JSON.stringify(tables) + list + logged.join()).not.toContain(token);
  });

  it('says for whom it acts and with which scope, and notes that it was used', async () => {
    const { token, id } = await tokenOf(browser, 'write');
    expect((await listed()).find((one) => one.id === id)?.usedAt).toBeNull();
    const { status, json: caller } = await new Program(token).ask('GET', '/me');
    expect([status, caller]).toEqual([
      200,
      {
        ...{ name: 'Ada', email: 'ada@acme.example', isOwner: false },
        workspaces: [{ id: acme.id, name: 'Acme', role: 'admin' }],
        token: { id, scope: 'write' },
      },
    ]);
    expect((await listed()).find((one) => one.id === id)?.usedAt).toBeGreaterThan(0);
  });

  it('ends at its time, when it is revoked, and for a text that is none', async () => {
    const short = new Program((await tokenOf(browser, 'read', { days: 1 })).token);
    const { token, id } = await tokenOf(browser, 'read');
    const revoked = new Program(token);
    expect((await browser.open(`/api/me/tokens/${id}`, { method: 'DELETE', headers: json })).status).toBe(204);
    expect((await browser.open(`/api/me/tokens/${id}`, { method: 'DELETE', headers: json })).status).toBe(404);
    expect((await short.ask('GET', '/me')).status).toBe(200);
    later(25 * HOUR);
    for (const program of [short, revoked, new Program('cyrus_pat_x'), new Program('x')]) {
      const { status, headers, json: problem } = await program.ask('GET', '/me');
      expect([status, problem]).toMatchObject([401, { code: 'invalid_token', status: 401 }]);
      expect(headers.get('www-authenticate')).toContain('invalid_token');
      expect(headers.get('content-type')).toBe('application/problem+json');
    }
  });

  it('is revoked by its owner alone', async () => {
    const { token, id } = await tokenOf(browser, 'read');
    const ben = await signedIn(linear, person(linear, acme, 'Ben', { teams: [acme.open.id] }));
    expect((await ben.open(`/api/me/tokens/${id}`, { method: 'DELETE', headers: json })).status).toBe(404);
    expect(JSON.parse((await ben.open('/api/me/tokens')).text).tokens).toEqual([]);
    expect((await new Program(token).ask('GET', '/me')).status).toBe(200);
  });

  it('reaches the API for programs alone: no page, no settings of people, and no other token', async () => {
    const { token } = await tokenOf(browser, 'admin');
    const program = new Browser(bindingsOf(), { authorization: `Bearer ${token}` }, SECURE_ORIGIN);
    for (const path of [
      '/api/me',
      '/api/me/tokens',
      '/api/sessions',
      `/api/audit/${acme.id}`,
      '/api/admin/workspaces',
    ]) {
      expect((await program.open(path)).status, path).toBe(401);
    }
  });

  it('is made for a year at most, with a name, and fifty of one person are enough', async () => {
    const post = (body: object) =>
      browser.open('/api/me/tokens', { method: 'POST', body: JSON.stringify(body), headers: json });
    for (const body of [
      { name: 'x', scope: 'all' },
      { name: ' ', scope: 'read' },
      { name: 'x', scope: 'read', days: 367 },
    ]) {
      expect((await post(body)).status).toBe(400);
    }
    for (let made = 0; made < 50; made += 1) await tokenOf(browser, 'read');
    expect((await post({ name: 'x', scope: 'read' })).status).toBe(409);
  });

  it('leaves in the audit log who made and revoked it', async () => {
    const { id } = await tokenOf(browser, 'read');
    await browser.open(`/api/me/tokens/${id}`, { method: 'DELETE', headers: json });
    const entries = (await listAudit(db, 10)).filter(({ details }) => details.token === id);
    expect(entries.map(({ actor, action, workspaceId }) => [actor, action, workspaceId])).toEqual([
      [`linear-user:${ada.id}`, 'token.revoked', acme.id],
      [`linear-user:${ada.id}`, 'token.created', acme.id],
    ]);
  });
});

describe('what a token may do', () => {
  it('is what its person may do now: who was made a viewer, left a team or was removed has no more by it', async () => {
    const program = new Program((await tokenOf(browser, 'write')).token);
    const id = await sessionOf(acme, acme.open, 'Mend it');
    const prompt = () => program.ask('POST', `/sessions/${id}/prompts`, { text: 'Go on' });
    expect((await prompt()).status).toBe(202);
    ada.admin = false;
    ada.guest = true;
    ada.teams = [];
    later(2 * HOUR);
    expect((await prompt()).json).toMatchObject({ status: 404, code: 'no_such_session' });
    ada.active = false;
    later(2 * HOUR);
    expect((await program.ask('GET', '/me')).status).toBe(401);
    expect(
      await env.DB.prepare('select count(*) as n from api_tokens where person = ?')
        .bind(`linear-user:${ada.id}`)
        .first('n'),
    ).toBe(0);
  });

  it('is never more than its scope, and of a session that its person does not see it tells nothing', async () => {
    const read = new Program((await tokenOf(browser, 'read')).token);
    const id = await sessionOf(acme, acme.open, 'Mend it');
    const hidden = await sessionOf(acme, acme.secret, 'Hidden');
    const beyond = await read.ask('POST', `/sessions/${id}/prompts`, { text: 'Go on' });
    expect([beyond.status, beyond.json]).toMatchObject([403, { code: 'insufficient_scope' }]);
    expect(beyond.headers.get('www-authenticate')).toContain('scope="write"');
    expect((await read.ask('POST', `/sessions/${hidden}/prompts`, { text: 'Go on' })).status).toBe(404);
    expect((await read.ask('GET', `/workspaces/${acme.id}/settings`)).status).toBe(403);
    const admin = new Program((await tokenOf(browser, 'admin')).token);
    expect((await admin.ask('GET', `/workspaces/${acme.id}/settings`)).status).toBe(200);
    expect((await admin.ask('GET', '/settings')).json).toMatchObject({ status: 403, code: 'not_allowed' });
  });

  it('with a password is what the deployment’s owner may do, within the scope, and ends with that way to sign in', async () => {
    const bindings = bindingsOf({ SIGN_IN: 'password' });
    const owner = new Browser(
      bindings,
      { authorization: `Basic ${btoa(`ada:${env.ACCESS_PASSWORD}`)}` },
      SECURE_ORIGIN,
    );
    const { token } = await tokenOf(owner, 'read');
    const program = new Program(token, bindings);
    const id = await sessionOf(acme, acme.secret, 'Anything');
    expect((await program.ask('GET', '/me')).json).toMatchObject({ name: null, isOwner: true });
    expect((await program.ask('GET', `/sessions/${id}`)).status).toBe(200);
    expect((await program.ask('POST', `/sessions/${id}/stop`)).json).toMatchObject({ code: 'insufficient_scope' });
    expect((await program.ask('GET', '/settings')).json).toMatchObject({ code: 'insufficient_scope' });
    expect((await new Program(token).ask('GET', '/me')).status).toBe(401);
  });

  it('made with a password ends with that password, and is in no list of those who have the next one', async () => {
    const withPassword = (password: string) => {
      const bindings = bindingsOf({ SIGN_IN: 'password', ACCESS_PASSWORD: password });
      const headers = { authorization: `Basic ${btoa(`ada:${password}`)}` };
      return { bindings, owner: new Browser(bindings, headers, SECURE_ORIGIN) };
    };
    const [before, after] = [withPassword('the-first-password-of-all'), withPassword('the-second-password-of-all')];
    const { token, id } = await tokenOf(before.owner, 'admin');
    expect((await new Program(token, before.bindings).ask('GET', '/me')).status).toBe(200);
    expect((await new Program(token, after.bindings).ask('GET', '/me')).json).toMatchObject({ code: 'invalid_token' });
    expect((await after.owner.open('/api/me/tokens')).text).not.toContain(id);
  });

  it('is no more than its person may do by all tokens together in a minute', async () => {
    later(60_000 - (Date.now() % 60_000));
    const [first, second] = [await tokenOf(browser, 'read'), await tokenOf(browser, 'read')];
    const bindings = bindingsOf({ SIGN_IN: 'linear', API_REQUESTS_A_MINUTE: '3' });
    const [one, other] = [new Program(first.token, bindings), new Program(second.token, bindings)];
    const ask = async (program: Program) => (await program.ask('GET', '/me')).status;
    expect([await ask(one), await ask(one), await ask(other), await ask(other)]).toEqual([200, 200, 200, 429]);
    const over = await one.ask('GET', '/me');
    expect(over.json).toMatchObject({ detail: expect.stringContaining('tokens of this person made 3 requests') });
    expect(over.headers.get('ratelimit')).toContain('r=0');
    later(60_000);
    expect(await ask(other)).toBe(200);
  });

  it('made while Linear is away is believed as long as the sign-in that made it, and no longer', async () => {
    linear.interfere = () => new Response('away', { status: 503 });
    later(3 * HOUR);
    const { token } = await tokenOf(browser, 'read');
    const program = new Program(token);
    expect((await program.ask('GET', '/me')).status).toBe(200);
    later(1.1 * HOUR);
    expect((await program.ask('GET', '/me')).json).toMatchObject({ status: 503, code: 'linear_unreachable' });
  });

  it('is 300 requests a minute, of which every answer tells what is left', async () => {
    later(60_000 - (Date.now() % 60_000));
    const { token, id } = await tokenOf(browser, 'read');
    const program = new Program(token);
    const first = await program.ask('GET', '/me');
    expect(first.headers.get('ratelimit-policy')).toBe(`"token";q=${MOST_REQUESTS};w=60`);
    expect(first.headers.get('ratelimit')).toMatch(/^"token";r=299;t=\d+$/);
    await env.DB.prepare('update api_tokens set requests = ? where id = ?').bind(MOST_REQUESTS, id).run();
    const over = await program.ask('GET', '/me');
    expect([over.status, over.json]).toMatchObject([429, { code: 'too_many_requests' }]);
    expect(over.headers.get('ratelimit')).toContain('r=0');
    expect(Number(over.headers.get('retry-after'))).toBeGreaterThan(0);
    later(60_000);
    expect((await program.ask('GET', '/me')).status).toBe(200);
  });
});
