import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { describe, expect, it, vi } from 'vitest';
import { access } from '../../src/routes/middleware/browser-access.ts';
import { securityHeaders } from '../../src/routes/middleware/security-headers.ts';
import { spyOnLog } from '../support/log-spy.ts';

spyOnLog();

const app = new Hono<{ Bindings: Env }>();
app.use(securityHeaders, access);
app.get('/live', () => {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.send('hello');
  return new Response(null, { status: 101, webSocket: client });
});
app.all('*', (c) => c.text('inside'));

const production: Env = { ...env, ENVIRONMENT: 'production', PUBLIC_URL: '' };
const address = 'https://cyrus.example';
const basic = (password: string) => ({ authorization: `Basic ${btoa(`anyone:${password}`)}` });
const json = { 'content-type': 'application/json' };

async function ask(
  path: string,
  headers: Record<string, string> = {},
  options: { method?: string; bindings?: Env; at?: string } = {},
): Promise<Response> {
  const { method = 'GET', bindings = production, at = address } = options;
  return app.request(`${at}${path}`, { method, headers, body: method === 'POST' ? '{}' : undefined }, bindings);
}

async function cookie(bindings: Env = production): Promise<string> {
  const response = await ask('/', basic(bindings.ACCESS_PASSWORD), { bindings });
  return response.headers.get('set-cookie')?.split(';')[0] ?? '';
}

describe('access in the local environment, which has no password', () => {
  const local: Env = { ...env, ENVIRONMENT: 'local', PUBLIC_URL: 'https://cyrus.example' };
  it.each([
    ['Cloudflare', { 'cf-connecting-ip': '192.0.2.7' }],
    ['a tunnel to this machine', { 'cf-connecting-ip': '2001:db8::1', 'x-forwarded-for': '127.0.0.1' }],
    ['a proxy on this machine', { 'x-forwarded-for': '192.0.2.7, 127.0.0.1' }],
    ['a proxy that names its peer otherwise', { 'x-real-ip': 'unknown' }],
  ])('nobody is let in who comes from elsewhere through %s, whatever the address says', async (_through, headers) => {
    for (const at of ['http://localhost:8787', 'https://cyrus.example', 'http://127.0.0.1']) {
      const response = await ask('/api/sessions', headers, { bindings: local, at });
      expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('not_local')]);
    }
  });

  it('a request from this machine is let in', async () => {
    for (const peer of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      const headers = { 'cf-connecting-ip': peer };
      expect((await ask('/', headers, { bindings: local, at: 'http://localhost:8787' })).status).toBe(200);
    }
  });
});

describe('access in production', () => {
  it('nobody sees anything without the password', async () => {
    for (const headers of [
      {},
      basic('wrong'),
      basic(''),
      basic(`${env.ACCESS_PASSWORD} `),
      { authorization: 'Basic %%%' },
    ] as Record<string, string>[]) {
      const response = await ask('/sessions/x', headers);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain('Basic');
      expect(response.headers.get('set-cookie')).toBeNull();
      expect(await response.text()).not.toContain('inside');
    }
  });

  it('the password lets in, and is remembered by a cookie no script and no other site can use', async () => {
    const response = await ask('/', basic(env.ACCESS_PASSWORD));
    expect(await response.text()).toBe('inside');
    const set = response.headers.get('set-cookie') ?? '';
    expect(set).toMatch(/^__Host-cyrus_access=\d+\.[\w%]{43,}; /);
    for (const part of ['HttpOnly', 'Secure', 'SameSite=Lax', 'Path=/', 'Max-Age=2592000']) expect(set).toContain(part);
    expect((await ask('/', { cookie: await cookie() })).status).toBe(200);
  });

  it('a cookie that was altered, has expired, or is of an earlier password is worth nothing', async () => {
    const good = await cookie();
    const [name = '', value = ''] = good.split('=');
    const [expires = '', signature = ''] = value.split('.');
    for (const bad of [
      `${name}=${Number(expires) + 1}.${signature}`,
      `${name}=${expires}.${signature.replace(/./, (first) => (first === 'A' ? 'B' : 'A'))}`,
      `${name}=${expires}.`,
      `${name}=.${signature}`,
      `${name}=`,
      `cyrus_access=${value}`,
      await cookie({ ...production, ACCESS_PASSWORD: 'an earlier password' }),
    ]) {
      expect((await ask('/', { cookie: bad })).status, bad).toBe(401);
    }
    vi.useFakeTimers({ now: Date.now() + 31 * 24 * 3_600_000, toFake: ['Date'] });
    try {
      expect((await ask('/', { cookie: good })).status).toBe(401);
    } finally {
      vi.useRealTimers();
    }
  });

  it('the cookie opens the live socket, from a page of Cyrus only', async () => {
    const headers = { cookie: await cookie(), upgrade: 'websocket' };
    const opened = await ask('/live', { ...headers, origin: address });
    expect(opened.status).toBe(101);
    expect(opened.webSocket).not.toBeNull();
    opened.webSocket?.accept();
    opened.webSocket?.close();
    expect((await ask('/live', { ...headers, origin: 'https://evil.example' })).status).toBe(403);
    expect((await ask('/live', { upgrade: 'websocket', origin: address })).status).toBe(401);
  });

  it('the password opens the live socket too', async () => {
    const opened = await ask('/live', { ...basic(env.ACCESS_PASSWORD), upgrade: 'websocket' });
    expect(opened.status).toBe(101);
    opened.webSocket?.accept();
    opened.webSocket?.close();
  });

  it('what another site makes a browser send changes nothing', async () => {
    const by = { cookie: await cookie(), ...json };
    const post = (headers: Record<string, string>) => ask('/x', headers, { method: 'POST' });
    expect((await post({ ...by, origin: address, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    expect((await post(by)).status).toBe(200);
    for (const foreign of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `${address}.evil.example` },
      { origin: 'http://cyrus.example' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ] as Record<string, string>[]) {
      expect((await post({ ...by, ...foreign })).status, JSON.stringify(foreign)).toBe(403);
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
      expect((await post({ ...by, origin: address, 'content-type': type })).status, type).toBe(415);
    }
  });

  it('no image, frame or script of another site has services asked or a container started', async () => {
    const by = { cookie: await cookie(), 'sec-fetch-site': 'cross-site' };
    for (const path of ['/install/doctor', '/install/doctor?sandbox=true', '/install?check=credentials']) {
      for (const odd of [
        { 'sec-fetch-dest': 'image' },
        { 'sec-fetch-dest': 'iframe', 'sec-fetch-user': '?1' },
        { 'sec-fetch-dest': 'document' },
        { ...basic(production.ACCESS_PASSWORD), 'sec-fetch-dest': 'empty' },
      ] as Record<string, string>[]) {
        expect((await ask(path, { ...by, ...odd })).status, `${path} ${JSON.stringify(odd)}`).toBe(403);
      }
      // A link that somebody follows, the page itself, and a program.
      expect((await ask(path, { ...by, 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1' })).status).toBe(200);
      expect((await ask(path, { ...by, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
      expect((await ask(path, basic(production.ACCESS_PASSWORD))).status).toBe(200);
    }
  });

  it('a page may be linked to from elsewhere', async () => {
    const headers = { cookie: await cookie(), 'sec-fetch-site': 'cross-site' };
    expect((await ask('/sessions/x', headers)).status).toBe(200);
  });
});

describe('access in the local environment', () => {
  const local = { bindings: { ...env, PUBLIC_URL: '' } satisfies Env };

  it('pages are open on this machine', async () => {
    for (const at of ['http://localhost:8787', 'http://127.0.0.1:1234', 'http://[::1]:1', 'http://cyrus.localhost:1']) {
      const response = await ask('/', {}, { ...local, at });
      expect(response.status, at).toBe(200);
      expect(response.headers.get('set-cookie')).toBeNull();
    }
  });

  it('a name of elsewhere that points at this machine gets nothing, unless it is PUBLIC_URL', async () => {
    for (const at of [
      'http://evil.example',
      'http://127.evil.example',
      'http://localhost.evil.example',
      'http://10.0.0.1',
    ]) {
      expect((await ask('/', {}, { ...local, at })).status, at).toBe(403);
    }
    const named = { bindings: { ...env, PUBLIC_URL: 'http://cyrus.test' } };
    expect((await ask('/', {}, { ...named, at: 'http://cyrus.test' })).status).toBe(200);
  });

  it('other sites can neither change anything nor listen', async () => {
    const at = 'http://localhost:8787';
    const origin = 'https://evil.example';
    expect((await ask('/x', { ...json, origin }, { ...local, at, method: 'POST' })).status).toBe(403);
    expect((await ask('/live', { upgrade: 'websocket', origin }, { ...local, at })).status).toBe(403);
    expect((await ask('/x', { ...json, origin: at }, { ...local, at, method: 'POST' })).status).toBe(200);
  });
});

describe('every page', () => {
  it('may load and reach nothing but Cyrus, and may not be framed', async () => {
    const response = await ask('/', basic(env.ACCESS_PASSWORD));
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'self'");
    expect(policy).toContain("connect-src 'self' wss://cyrus.example");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(response.headers.get('strict-transport-security')).toContain('max-age');
  });

  it('has these headers also when it is a refusal', async () => {
    const response = await ask('/');
    expect(response.status).toBe(401);
    expect(response.headers.get('content-security-policy')).not.toBeNull();
  });
});
