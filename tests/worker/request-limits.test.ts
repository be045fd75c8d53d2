/** How often somebody may ask, of the Worker as it runs in production, by a clock that stands still unless it is moved. */
import {
  createExecutionContext,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { limiterOf } from '../../src/operations/limits/rate-limiter.ts';
import { requestLimitVariables } from '../../src/protocol/settings/request-limits.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { created, newThread, sign } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { registerWorkspace } from './support/sessions.ts';

const MINUTE = 60_000;
const begun = Date.now();
let bindings: Env;

beforeEach(async () => {
  new Outside();
  await registerWorkspace();
  at(0);
});
afterEach(() => void vi.useRealTimers());

/** So many ms after the beginning. */
const at = (ms: number) => void vi.useFakeTimers({ now: begun + ms, toFake: ['Date'] });

/** The bindings of a deployment with these variables; each call is another isolate. */
function deployed(variables: Record<string, string | object>): Env {
  const all = { ENVIRONMENT: 'production', PUBLIC_URL: 'https://cyrus.test', ...variables };
  const own = Object.entries(all).map(([name, value]) => [name, { value, enumerable: true }] as const);
  return Object.create(env, Object.fromEntries(own));
}

async function ask(path: string, init: RequestInit = {}, ip = '192.0.2.1'): Promise<Response> {
  const context = createExecutionContext();
  const headers = new Headers(init.headers);
  headers.set('cf-connecting-ip', ip);
  const response = await worker.fetch(
    new Request(`https://cyrus.test${path}`, { ...init, headers }),
    bindings,
    context,
  );
  await waitOnExecutionContext(context);
  return response;
}

const asAdmin = () => ask('/api/admin/alerts', { headers: { authorization: `Bearer ${env.ADMIN_TOKEN}` } });

it('the API says in headers what is left of a minute, refuses the next request, and lets one in when the first is a minute ago', async () => {
  bindings = deployed({ API_REQUESTS_A_MINUTE: '3' });
  const first = await asAdmin();
  expect(first.status).toBe(200);
  expect(Object.fromEntries(first.headers)).toMatchObject({
    ratelimit: '"api";r=2;t=60',
    'ratelimit-policy': '"api";q=3;w=60',
    'x-ratelimit-limit': '3',
    'x-ratelimit-remaining': '2',
    'x-ratelimit-reset': String(Math.ceil((begun + MINUTE) / 1_000)),
  });
  at(10_000);
  expect((await asAdmin()).headers.get('ratelimit')).toBe('"api";r=1;t=50');
  await asAdmin();
  const refused = await asAdmin();
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toBe('50');
  expect(await refused.json()).toMatchObject({ error: 'too_many_requests' });
  at(MINUTE - 1);
  expect((await asAdmin()).status).toBe(429);
  at(MINUTE);
  expect((await asAdmin()).status).toBe(200);
  expect((await asAdmin()).status).toBe(429);
  const limiter = limiterOf(env, 'api', 'admin');
  at(10 * MINUTE);
  await runDurableObjectAlarm(limiter);
  await runInDurableObject(limiter, (_, { storage }) => expect([...storage.kv.list()]).toEqual([]));
});

it('a limiter at the highest limit that can be set still counts each request', async () => {
  const limit = requestLimitVariables.API_REQUESTS_A_MINUTE.parse('10000');
  const stub = limiterOf(env, 'api', 'busy');
  const times = Array.from({ length: limit - 1 }, (_, index) => begun + index / limit);
  await runInDurableObject(stub, (_, { storage }) => storage.kv.put('times', times));
  at(1);
  expect(await stub.take({ limit, windowMs: MINUTE })).toMatchObject({ allowed: true, remaining: 0 });
  expect(await stub.take({ limit, windowMs: MINUTE })).toMatchObject({ allowed: false });
});

it('an address begins to sign in or to install ten times a minute, another one is not held up by that, and nobody does while the limiter is away', async () => {
  bindings = deployed({});
  const statuses = [];
  const authorization = `Basic ${btoa(`ada:${env.ACCESS_PASSWORD}`)}`;
  const authorize = async (ip: string) => (await ask('/oauth/authorize', { headers: { authorization } }, ip)).status;
  for (let times = 0; times < 12; times += 1) statuses.push(await authorize('192.0.2.1'));
  expect(statuses).toEqual([...Array(10).fill(302), 429, 429]);
  expect(await authorize('192.0.2.2')).toBe(302);
  bindings = deployed({ RATE_LIMITER: { getByName: () => ({ take: () => Promise.reject(new Error('away')) }) } });
  expect(await authorize('192.0.2.3')).toBe(503);
});

async function webhook(): Promise<Response> {
  const body = JSON.stringify({ ...created(newThread()), webhookTimestamp: Date.now() });
  const headers = { 'content-type': 'application/json', 'linear-delivery': crypto.randomUUID() };
  return ask('/webhooks/linear', {
    method: 'POST',
    body,
    headers: { ...headers, 'linear-signature': await sign(body) },
  });
}

it('a workspace sends a burst of webhooks, then so many a minute; what is refused may come back, and none is limited by its address', async () => {
  bindings = deployed({ WEBHOOK_BURST: '30', WEBHOOKS_A_MINUTE: '6', PAUSED: 'true' });
  const accepted = async (count: number) => {
    let passed = 0;
    for (let times = 0; times < count; times += 1) passed += Number((await webhook()).status === 200);
    return passed;
  };
  expect(await accepted(40)).toBe(30);
  expect((await webhook()).headers.get('retry-after')).toBe('10');
  at(9_999);
  expect(await accepted(1)).toBe(0);
  at(10_000);
  expect(await accepted(3)).toBe(1);
  at(10_000 + MINUTE);
  expect(await accepted(10)).toBe(6);
});

it('webhooks that are signed are taken in while the limiter is away', async () => {
  const logged = spyOnLog();
  bindings = deployed({
    RATE_LIMITER: { getByName: () => ({ draw: () => Promise.reject(new Error('away')) }) },
    PAUSED: 'true',
  });
  expect((await webhook()).status).toBe(200);
  expect(JSON.stringify(logged.mock.calls)).toContain('webhooks.limiter.unreachable');
});

it('what comes with a wrong token or signature is refused by address, after a look at the platform’s own count', async () => {
  const keys: string[] = [];
  let success = true;
  const limit = async ({ key }: { key: string }) => {
    keys.push(key);
    return { success };
  };
  bindings = deployed({ PUBLIC_LIMIT: { limit }, WEBHOOK_BURST: '0' });
  const wrong = { authorization: 'Bearer of-nothing' };
  expect((await ask('/api/admin/alerts', { headers: wrong })).status).toBe(401);
  const unsigned = { method: 'POST', body: '{}', headers: { 'linear-signature': '00' } };
  expect((await ask('/webhooks/linear', unsigned)).status).toBe(401);
  const made = { authorization: `Bearer cyrus_pat_${'x'.repeat(43)}` };
  expect((await ask('/api/v1/me', { headers: made })).status).toBe(401);
  success = false;
  const refused = await ask('/api/v1/me', { headers: made });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
  expect((await ask('/api/admin/alerts', { headers: wrong })).status).toBe(429);
  expect((await ask('/webhooks/linear', unsigned)).status).toBe(429);
  expect((await asAdmin()).status).toBe(200);
  expect((await webhook()).status).toBe(200);
  expect(keys.map((key) => key.split(':')[0])).toEqual([
    ...['admin', 'webhook', 'personal-token'],
    ...['personal-token', 'admin', 'webhook'],
  ]);
  expect(keys.join()).not.toContain('192.0.2');
});

it('a local run has no limits', async () => {
  bindings = deployed({ ENVIRONMENT: 'local', PUBLIC_URL: 'http://cyrus.test', API_REQUESTS_A_MINUTE: '1' });
  for (let times = 0; times < 3; times += 1) expect((await asAdmin()).status).toBe(200);
});
