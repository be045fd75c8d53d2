/** Services that are told of a workspace's sessions: who sets that, what they get, and what becomes of those that do not answer. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { signedHeaders } from '../../src/outgoing-webhooks/sign.ts';
import type {
  NewWebhook,
  NewWebhookSecret,
  WebhookMessage,
  WebhookTest,
  WebhookView,
} from '../../src/protocol/v1/webhooks.ts';
import { stubOf } from '../../src/routes/middleware/needs.ts';
import { listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { FakeLinear } from './support/fake-linear.ts';
import { installed, person, sessionOf, signedIn } from './support/people.ts';
import { Program, tokenOf } from './support/programs.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const URL_ = 'https://hooks.acme.dev/cyrus';
const HOUR_MS = 3_600_000;
const BOTH = ['session.finished', 'session.needs_you'] as const;

interface Received {
  id: string;
  timestamp: string;
  signature: string;
  text: string;
  message: WebhookMessage;
}

let linear: FakeLinear;
let acme: Awaited<ReturnType<typeof installed>>;
let admin: Program;
let member: Program;
let logged: ReturnType<typeof spyOnLog>;
let received: Received[];
let answer: () => Response;

beforeEach(async () => {
  logged = spyOnLog();
  linear = new FakeLinear();
  acme = await installed(linear, 'Acme');
  const ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id] });
  const ben = person(linear, acme, 'Ben', { teams: [acme.open.id] });
  admin = new Program((await tokenOf(await signedIn(linear, ada), 'admin')).token);
  member = new Program((await tokenOf(await signedIn(linear, ben), 'admin')).token);
  received = [];
  answer = () => new Response(null, { status: 204 });
  linear.interfere = (url, text, request) => {
    if (!url.startsWith('https://hooks.acme.dev/')) return null;
    const header = (name: string) => request.headers.get(`webhook-${name}`) ?? '';
    const message: WebhookMessage = JSON.parse(text);
    received.push({ id: header('id'), timestamp: header('timestamp'), signature: header('signature'), text, message });
    return answer();
  };
});
afterEach(() => vi.useRealTimers());

const of = (id = '') => `/workspaces/${acme.id}/webhooks${id && `/${id}`}`;

async function created(events: readonly string[] = BOTH, url = URL_): Promise<NewWebhook> {
  const { status, json, text } = await admin.ask('POST', of(), { url, events });
  expect(status, text).toBe(201);
  return json as NewWebhook;
}

/** Lines of the log of which people are told. */
function alerts() {
  return logged.mock.calls.flatMap(([line]) => (line.event === 'alert.webhook.disabled' ? [line] : []));
}

async function listed(): Promise<WebhookView[]> {
  return ((await admin.ask('GET', of())).json as { data: WebhookView[] }).data;
}

/** A session that a person stops, so that it has finished. @returns its id */
async function finished(title: string): Promise<string> {
  const id = await sessionOf(acme, acme.open, title);
  expect((await admin.ask('POST', `/sessions/${id}/stop`)).status).toBe(202);
  return id;
}

/** The session tries what is due after this time. */
async function later(session: string, ms: number): Promise<void> {
  vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });
  const stub = stubOf(env, session);
  if (stub === null) throw new Error('no session');
  const before = received.length;
  await vi.waitFor(async () => {
    await runDurableObjectAlarm(stub);
    expect(received.length).toBeGreaterThan(before);
  });
}

describe('an admin of a workspace', () => {
  it('has a service told, and sees the secret once', async () => {
    const webhook = await created();
    expect(webhook).toMatchObject({
      url: URL_,
      events: [...BOTH],
      enabled: true,
      failingSince: null,
      deliveredAt: null,
    });
    expect(webhook.secret).toMatch(/^whsec_[\w+/]{43}=$/);
    const { text } = await admin.ask('GET', of());
    expect(text).toContain(webhook.id);
    expect(text).not.toContain('secret');
    const stored = await env.DB.prepare('SELECT * FROM outgoing_webhooks WHERE id = ?').bind(webhook.id).first();
    expect(JSON.stringify(stored)).not.toContain(webhook.secret.slice(6));
  });

  it('is given the same webhook for a repeat with the same Idempotency-Key, whose secret is stored encrypted', async () => {
    const key = { 'idempotency-key': crypto.randomUUID() };
    const body = { url: URL_, events: BOTH };
    const first = await admin.ask('POST', of(), body, key);
    const again = await admin.ask('POST', of(), body, key);
    expect([again.status, again.json]).toEqual([201, first.json]);
    expect(await listed()).toHaveLength(1);
    const { results } = await env.DB.prepare('SELECT body FROM api_answers').all();
    expect(JSON.stringify(results)).not.toContain((first.json as NewWebhook).secret.slice(6));
  });

  it('deletes one, and a repeat of that is answered the same', async () => {
    const { id } = await created();
    const key = { 'idempotency-key': crypto.randomUUID() };
    for (const _ of ['first', 'again']) expect((await admin.ask('DELETE', of(id), undefined, key)).status).toBe(204);
    expect((await admin.ask('DELETE', of(id))).json).toMatchObject({ status: 404, code: 'no_such_webhook' });
    expect(await listed()).toEqual([]);
  });

  it.each([
    'http://hooks.acme.dev/',
    'https://10.0.0.7/',
    'https://[::1]/',
    'https://cyrus.test/x',
    'https://db.internal/',
  ])('cannot have %s told', async (url) => {
    const { json } = await admin.ask('POST', of(), { url, events: BOTH });
    expect(json).toMatchObject({ status: 400, errors: [{ in: 'body', pointer: '/url' }] });
    const { id } = await created();
    expect((await admin.ask('PUT', of(id), { url, events: BOTH })).status).toBe(400);
  });

  it('has at most ten, and each change is in the audit log without the path of the address', async () => {
    for (let number = 0; number < 10; number += 1) await created(BOTH, `${URL_}-${number}`);
    const { json } = await admin.ask('POST', of(), { url: URL_, events: BOTH });
    expect(json).toMatchObject({ status: 409, code: 'too_many_webhooks' });
    const entries = (await listAudit(db, 100)).filter(({ workspaceId }) => workspaceId === acme.id);
    const made = entries.filter(({ action }) => action === 'webhook.created');
    expect(made).toHaveLength(10);
    expect(made[0]?.details).toMatchObject({ host: 'hooks.acme.dev', name: 'Ada' });
    expect(JSON.stringify(made)).not.toContain('/cyrus');
  });

  it('alone may: a member is refused, and for people of other workspaces there is nothing', async () => {
    const { id } = await created();
    const globex = await installed(linear, 'Globex');
    const eve = person(linear, globex, 'Eve', { admin: true, teams: [globex.open.id] });
    const other = new Program((await tokenOf(await signedIn(linear, eve), 'admin')).token);
    for (const [method, path, body] of [
      ['GET', of()],
      ['POST', of(), { url: URL_, events: BOTH }],
      ['PUT', of(id), { url: URL_, events: BOTH }],
      ['DELETE', of(id)],
      ['POST', `${of(id)}/secret`],
      ['POST', `${of(id)}/test`],
    ] as const) {
      expect((await member.ask(method, path, body)).status, `${method} ${path}`).toBe(403);
      expect((await other.ask(method, path, body)).status, `${method} ${path}`).toBe(404);
    }
    const theirs = `/workspaces/${globex.id}/webhooks/${id}`;
    expect((await other.ask('DELETE', theirs)).status).toBe(404);
    expect((await other.ask('POST', `${theirs}/secret`)).status).toBe(404);
    expect(received).toEqual([]);
  });

  it('tries one, and is told what the service answered', async () => {
    const { id, secret } = await created();
    expect((await admin.ask('POST', `${of(id)}/test`)).json).toEqual({ delivered: true, status: 204, problem: null });
    const [{ id: message, timestamp, text, signature }] = received as [Received];
    expect(JSON.parse(text)).toMatchObject({ type: 'test', version: 1, workspace: acme.id, data: { webhook: id } });
    const signed = await signedHeaders([secret], { id: message, at: Number(timestamp) * 1_000, body: text });
    expect(signature).toBe(signed['webhook-signature']);
    answer = () => new Response(null, { status: 302, headers: { location: 'http://169.254.169.254/' } });
    const refused = (await admin.ask('POST', `${of(id)}/test`)).json as WebhookTest;
    expect(refused).toMatchObject({ delivered: false, status: 302, problem: expect.stringContaining('not followed') });
    expect(await listed()).toMatchObject([{ failingSince: null }]);
  });

  it('changes the secret, and for a day both sign', async () => {
    const { id, secret } = await created();
    const { secret: next, previousUntil } = (await admin.ask('POST', `${of(id)}/secret`)).json as NewWebhookSecret;
    expect(next).not.toBe(secret);
    const signatures = async () => {
      await admin.ask('POST', `${of(id)}/test`);
      return received.at(-1)?.signature.split(' ').length;
    };
    expect(await signatures()).toBe(2);
    vi.useFakeTimers({ now: previousUntil + 1, toFake: ['Date'] });
    expect(await signatures()).toBe(1);
  });
});

describe('a service', () => {
  it('is told once that a session has finished, by ids and an outcome alone', async () => {
    const { secret } = await created();
    const id = await finished('Secret plans');
    await vi.waitFor(() => expect(received).toHaveLength(1));
    const [one] = received as [Received];
    expect(one.message).toEqual({
      ...{ type: 'session.finished', version: 1, at: expect.any(Number), workspace: acme.id },
      data: { session: id, url: expect.stringContaining(`/sessions/${id}`), turn: 1, outcome: 'stopped' },
    });
    expect(one.text).not.toMatch(/Secret plans|ENG-1/);
    const signed = await signedHeaders([secret], { id: one.id, at: Number(one.timestamp) * 1_000, body: one.text });
    expect(one.signature).toBe(signed['webhook-signature']);
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ deliveredAt: expect.any(Number) }]));
  });

  it('is told of what it wants to hear of, and nothing while it is disabled', async () => {
    await created(['session.needs_you'], `${URL_}/asks`);
    const { id } = await created(['session.finished']);
    await admin.ask('PUT', of(id), { url: URL_, events: BOTH, enabled: false });
    await finished('Quiet');
    const { id: other } = await created(['session.finished'], `${URL_}/ends`);
    await finished('Loud');
    await vi.waitFor(() => expect(received).toHaveLength(1));
    await vi.waitFor(async () =>
      expect((await listed()).filter(({ deliveredAt }) => deliveredAt !== null).map((one) => one.id)).toEqual([other]),
    );
  });

  it('that fails is tried again with the same id, and its admins see since when it fails', async () => {
    await created();
    answer = () => new Response('no', { status: 500 });
    const session = await finished('Again');
    await vi.waitFor(async () =>
      expect(await listed()).toMatchObject([{ failingSince: expect.any(Number), problem: 'It answered 500' }]),
    );
    answer = () => new Response(null, { status: 200 });
    await later(session, 30_000);
    expect(new Set(received.map(({ id }) => id)).size).toBe(1);
    expect(new Set(received.map(({ text }) => text)).size).toBe(1);
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ failingSince: null, problem: null }]));
  });

  it.each([
    ['without end', '1e400'],
    ['for many years', '99999999999'],
    ['for a part of a millisecond', '0.00001'],
    ['until a date that is none', 'tomorrow'],
  ])('that asks to be left alone %s is tried again within a day', async (_case, retryAfter) => {
    await created();
    answer = () => new Response('no', { status: 503, headers: { 'retry-after': retryAfter } });
    const session = await finished('Busy');
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ problem: 'It answered 503' }]));
    answer = () => new Response(null, { status: 200 });
    await later(session, 25 * HOUR_MS);
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ failingSince: null, problem: null }]));
  });

  it('that asks to be left alone until a date is not asked before', async () => {
    await created();
    const date = new Date(Date.now() + 10 * HOUR_MS).toUTCString();
    answer = () => new Response('no', { status: 503, headers: { 'retry-after': date } });
    const session = await finished('Busy until then');
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ problem: 'It answered 503' }]));
    answer = () => new Response(null, { status: 200 });
    vi.useFakeTimers({ now: Date.now() + 9 * HOUR_MS, toFake: ['Date'] });
    const stub = stubOf(env, session);
    if (stub !== null) await runDurableObjectAlarm(stub);
    expect(received).toHaveLength(1);
    await later(session, 2 * HOUR_MS);
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ failingSince: null, problem: null }]));
  });

  it('that fails for three days is disabled, and people are told', async () => {
    const { id } = await created();
    answer = () => new Response('no', { status: 500 });
    const session = await finished('Broken');
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ problem: 'It answered 500' }]));
    await later(session, 73 * HOUR_MS);
    await vi.waitFor(async () => expect(await listed()).toMatchObject([{ enabled: false }]));
    expect((await listed())[0]?.disabledBecause).toContain('three days');
    expect(alerts()).toMatchObject([{ host: 'hooks.acme.dev' }]);
    const entries = await listAudit(db, 20);
    expect(entries.find(({ action }) => action === 'webhook.disabled')).toMatchObject({
      actor: 'cyrus',
      workspaceId: acme.id,
    });
    const { json } = await admin.ask('PUT', of(id), { url: URL_, events: BOTH });
    expect(json).toMatchObject({ enabled: true, failingSince: null, problem: null, disabledBecause: null });
  });

  it('that says it is gone for good is disabled at once', async () => {
    await created();
    answer = () => new Response(null, { status: 410 });
    await finished('Gone');
    await vi.waitFor(async () =>
      expect(await listed()).toMatchObject([{ enabled: false, disabledBecause: 'It answered 410' }]),
    );
  });
});
