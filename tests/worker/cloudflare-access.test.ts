import { env } from 'cloudflare:workers';
import { sign } from 'hono/utils/jwt/jwt';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Me } from '../../src/protocol/people.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';
import { FakeLinear } from './support/fake-linear.ts';
import { bindingsOf, installed, person, SECURE_ORIGIN, sessionOf } from './support/people.ts';

const HOUR = 3_600_000;
const AUDIENCE = 'f'.repeat(64);
type Key = JsonWebKey & { kid: string };
let team: string;
let own: { privateKey: Key; publicKey: Key };
let other: { privateKey: Key; publicKey: Key };
let linear: FakeLinear;
let teams = 0;
/** Requests for the team's keys. */
let asked = 0;
let areKeysThere = true;

async function keyPair(kid: string): Promise<{ privateKey: Key; publicKey: Key }> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  };
  const pair = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair;
  const exported = async (key: CryptoKey) => {
    return { ...((await crypto.subtle.exportKey('jwk', key)) as JsonWebKey), alg: 'RS256', kid };
  };
  return { privateKey: await exported(pair.privateKey), publicKey: await exported(pair.publicKey) };
}

beforeAll(async () => {
  [own, other] = await Promise.all([keyPair('own'), keyPair('own')]);
});

beforeEach(async () => {
  spyOnLog();
  // Those of earlier tests are not known to this test's Linear.
  await env.DB.prepare("update workspaces set status = 'revoked'").run();
  teams += 1;
  asked = 0;
  areKeysThere = true;
  team = `https://team-${teams}.cloudflareaccess.com`;
  linear = new FakeLinear();
  linear.interfere = (url) => {
    if (url !== `${team}/cdn-cgi/access/certs`) return null;
    asked += 1;
    return areKeysThere ? Response.json({ keys: [own.publicKey] }) : new Response('', { status: 503 });
  };
});

afterEach(() => vi.useRealTimers());

function later(ms: number): void {
  vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });
}

function bindings(more: Record<string, string> = {}): Env {
  const host = new URL(team).host;
  return bindingsOf({ SIGN_IN: 'access', ACCESS_TEAM_DOMAIN: host, ACCESS_AUDIENCE: AUDIENCE, ...more });
}

/** A token as Access makes them; `claims` that differ. */
function assertion(email: string, claims: Record<string, unknown> = {}, key = own.privateKey): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const usual = {
    aud: [AUDIENCE],
    email,
    exp: now + 3_600,
    iat: now - 1,
    nbf: now - 1,
    iss: team,
    type: 'app',
    sub: 'id',
  };
  return sign({ ...usual, ...claims }, key, 'RS256');
}

function open(path: string, token: string | null, more: Record<string, string> = {}) {
  const headers: Record<string, string> = token === null ? {} : { 'cf-access-jwt-assertion': token };
  return new Browser(bindings(more), headers, SECURE_ORIGIN).open(path);
}

describe('with Cloudflare Access', () => {
  it('a person sees what the workspaces show to the one with their email, and is an owner by OWNERS', async () => {
    const [acme, globex] = [await installed(linear, 'Acme'), await installed(linear, 'Globex')];
    const ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id] });
    person(linear, globex, 'Eve');
    const seen = await sessionOf(acme, acme.open, 'Seen');
    const hidden = await sessionOf(globex, globex.open, 'Hidden');
    const token = await assertion(ada.email.toUpperCase());
    const me: Me = JSON.parse((await open('/api/me', token)).text);
    expect(me).toMatchObject({ kind: 'access', name: 'Ada', email: ada.email, isOwner: false });
    expect(me.workspaces).toMatchObject([{ id: acme.id, role: 'admin' }]);
    expect((await open(`/api/sessions/${seen}`, token)).status).toBe(200);
    expect((await open(`/api/sessions/${hidden}`, token)).status).toBe(404);
    expect((await open(`/api/sessions/${hidden}`, token, { OWNERS: ada.email })).status).toBe(200);
  });

  it('who is in no workspace is let in, and sees nothing', async () => {
    const acme = await installed(linear, 'Acme');
    const id = await sessionOf(acme, acme.open, 'Theirs');
    const token = await assertion('stranger@elsewhere.example');
    expect(JSON.parse((await open('/api/sessions', token)).text).sessions).toEqual([]);
    expect((await open(`/api/sessions/${id}`, token)).status).toBe(404);
  });

  it('everything is closed to a request that did not come through it, whatever else it brings', async () => {
    const basic = {
      authorization: `Basic ${btoa(`x:${bindings().ACCESS_PASSWORD}`)}`,
      'cf-access-authenticated-user-email': 'ada@acme.example',
    };
    for (const path of ['/', '/api/sessions', '/api/me', '/install', '/oauth/authorize', '/sessions/x']) {
      const answer = await new Browser(bindings(), basic, SECURE_ORIGIN).open(path);
      expect([answer.status, JSON.parse(answer.text).error], path).toEqual([401, 'unauthorized']);
    }
  });

  it('a token of another application, another team, another key, out of its time, or without an email opens nothing', async () => {
    const now = Math.floor(Date.now() / 1000);
    const good = await assertion('ada@acme.example');
    const [head = '', body = '', signature = ''] = good.split('.');
    const unsigned = btoa(JSON.stringify({ alg: 'none', kid: 'own', typ: 'JWT' })).replace(/=+$/, '');
    const wrong = {
      audience: await assertion('ada@acme.example', { aud: ['other'] }),
      'no audience': await assertion('ada@acme.example', { aud: undefined }),
      issuer: await assertion('ada@acme.example', { iss: 'https://other.cloudflareaccess.com' }),
      key: await assertion('ada@acme.example', {}, other.privateKey),
      'unknown key': await assertion('ada@acme.example', {}, { ...own.privateKey, kid: 'unknown' }),
      expired: await assertion('ada@acme.example', { exp: now - 1 }),
      'never ends': await assertion('ada@acme.example', { exp: undefined }),
      'too early': await assertion('ada@acme.example', { nbf: now + 600 }),
      'a service': await assertion('', { email: undefined, common_name: 'service' }),
      changed: `${head}.${body.slice(0, -2)}xx.${signature}`,
      unsigned: `${unsigned}.${body}.`,
      secret: await sign({ email: 'ada@acme.example', exp: now + 60, iss: team, aud: AUDIENCE }, 'guessed', 'HS256'),
      text: 'no-token',
      long: `${good}${'x'.repeat(20_000)}`,
    };
    for (const [what, token] of Object.entries(wrong)) expect((await open('/api/me', token)).status, what).toBe(401);
    expect((await open('/api/me', good)).status).toBe(200);
  });

  it('fetches the keys once for many requests, and not again for each made-up key', async () => {
    const good = await assertion('ada@acme.example');
    const madeUp = await assertion('ada@acme.example', {}, { ...own.privateKey, kid: 'made-up' });
    for (let request = 0; request < 5; request += 1) await open('/api/me', good);
    for (let request = 0; request < 5; request += 1) await open('/api/me', madeUp);
    expect(asked).toBeLessThanOrEqual(2);
  });

  it('is closed while the keys cannot be had, and continues with those it has if they cannot be had again', async () => {
    areKeysThere = false;
    const good = await assertion('ada@acme.example');
    expect((await open('/api/me', good)).status).toBe(503);
    areKeysThere = true;
    expect((await open('/api/me', good)).status).toBe(200);
    areKeysThere = false;
    vi.useFakeTimers({ now: Date.now() + 2 * 3_600_000, toFake: ['Date'] });
    try {
      expect((await open('/api/me', await assertion('ada@acme.example'))).status).toBe(200);
    } finally {
      vi.useRealTimers();
    }
  });

  it('an admin installs again in a workspace whose tokens Linear does not take any more', async () => {
    const acme = await installed(linear, `Acme${teams}`);
    const ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id] });
    const ben = person(linear, acme, 'Ben', { teams: [acme.open.id] });
    const id = await sessionOf(acme, acme.open, 'Plans');
    for (const { email } of [ada, ben]) expect((await open('/api/me', await assertion(email))).status).toBe(200);
    await env.DB.prepare("update workspaces set status = 'reinstall-needed' where id = ?").bind(acme.id).run();
    later(2 * HOUR);
    expect((await open('/install', await assertion(ada.email))).status).toBe(200);
    expect((await open(`/api/sessions/${id}`, await assertion(ada.email))).status).toBe(200);
    const refused = await open('/install', await assertion(ben.email));
    expect([refused.status, JSON.parse(refused.text).message]).toEqual([
      403,
      'Only an admin of a workspace, or whom OWNERS names, can install Cyrus.',
    ]);
    later(3 * HOUR);
    // What they may see there nobody says any more.
    expect((await open(`/api/sessions/${id}`, await assertion(ada.email))).status).toBe(404);
    expect((await open('/install', await assertion(ada.email))).status).toBe(200);
  });

  it('a workspace for which Linear does not answer keeps nobody out of the others', async () => {
    const [acme, globex] = [await installed(linear, `Acme${teams}`), await installed(linear, `Globex${teams}`)];
    const ada = person(linear, acme, 'Ada', { teams: [acme.open.id] });
    const id = await sessionOf(acme, acme.secret, 'Secret plans');
    expect((await open('/api/me', await assertion(ada.email))).status).toBe(200);
    linear.silentFor = [globex.id];
    ada.teams.push(acme.secret.id);
    later(HOUR + 1);
    expect((await open(`/api/sessions/${id}`, await assertion(ada.email))).status).toBe(200);
    for (let hour = 0; hour < 6; hour += 1) {
      later(HOUR);
      expect((await open('/api/me', await assertion(ada.email))).status).toBe(200);
    }
  });

  it('what Linear says of one workspace counts, also while it is silent about another of the person', async () => {
    const [acme, globex] = [await installed(linear, `Acme${teams}`), await installed(linear, `Globex${teams}`)];
    const ada = person(linear, acme, 'Ada', { teams: [acme.open.id] });
    person(linear, globex, 'Ada', { email: ada.email });
    const id = await sessionOf(acme, acme.open, 'Their plans');
    expect((await open(`/api/sessions/${id}`, await assertion(ada.email))).status).toBe(200);
    linear.silentFor = [globex.id];
    ada.active = false;
    later(HOUR + 1);
    expect((await open(`/api/sessions/${id}`, await assertion(ada.email))).status).toBe(404);
    const me: Me = JSON.parse((await open('/api/me', await assertion(ada.email))).text);
    expect(me.workspaces.map(({ id: one }) => one)).toEqual([globex.id]);
    later(4 * HOUR);
    expect((await open('/api/me', await assertion(ada.email))).status).toBe(503);
  });

  it('who comes for the first time while Linear is silent about a workspace sees it soon after it answers', async () => {
    const [acme, globex] = [await installed(linear, `Acme${teams}`), await installed(linear, `Globex${teams}`)];
    const ada = person(linear, acme, 'Ada');
    person(linear, globex, 'Ada', { email: ada.email });
    const workspaces = async () => {
      const me: Me = JSON.parse((await open('/api/me', await assertion(ada.email))).text);
      return me.workspaces.length;
    };
    linear.silentFor = [globex.id];
    expect(await workspaces()).toBe(1);
    linear.silentFor = [];
    later(2 * 60_000);
    await workspaces();
    expect(await workspaces()).toBe(2);
  });

  it('who comes for the first time while Linear says nothing at all is told so, and an owner is let in', async () => {
    const acme = await installed(linear, `Acme${teams}`);
    const ada = person(linear, acme, 'Ada');
    linear.silentFor = [acme.id];
    expect((await open('/api/me', await assertion(ada.email))).status).toBe(503);
    const boss = `boss${teams}@acme.example`;
    expect((await open('/install', await assertion(boss), { OWNERS: boss })).status).toBe(200);
    linear.silentFor = [];
    later(2 * 60_000);
    const me: Me = JSON.parse((await open('/api/me', await assertion(ada.email))).text);
    expect(me.workspaces).toHaveLength(1);
  });

  it('is not configured by half', async () => {
    const half = bindingsOf({ SIGN_IN: 'access', ACCESS_TEAM_DOMAIN: 'acme.cloudflareaccess.com' });
    const { status, text } = await new Browser(half, {}, SECURE_ORIGIN).open('/health');
    expect(status).toBe(503);
    expect(text).not.toContain('"ok":true');
  });
});
