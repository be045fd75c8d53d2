/** Traces of turns on their way to a collector. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config/read-config.ts';
import { operationsOf } from '../../src/operations/operations.ts';
import { exportTurns } from '../../src/operations/traces/export.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putTurnLog } from '../../src/store/logs.ts';
import { indexSession } from '../../src/store/session-index.ts';
import { spyOnLog } from '../support/log-spy.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const MINUTE = 60_000;
const session = 'ab'.repeat(32);
let sent: { url: string; key: string | null; body: string }[];
let status: number;

beforeEach(() => {
  spyOnLog();
  sent = [];
  status = 200;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    sent.push({ url: request.url, key: request.headers.get('x-honeycomb-team'), body: await request.text() });
    return new Response('{}', { status });
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const bindings = {
  ...env,
  OTLP_ENDPOINT: 'https://otlp.example',
  OTLP_HEADERS: 'x-honeycomb-team=a%20key',
} as unknown as Env;
const send = () => exportTurns(bindings, readConfig(bindings), db);

async function archive(turn: number): Promise<void> {
  const at = Date.now();
  const entries = [
    { seq: 1, at, turn, kind: 'turn-started', promptIds: [] },
    { seq: 2, at: at + 1_000, turn, kind: 'notice', level: 'info', text: 'words' },
  ];
  await putTurnLog(env.LOGS, session, turn, entries, ['# log']);
  const row = { id: session, workspaceId: 'w1', issueIdentifier: 'ENG-7', title: 't', phase: 'waiting' as const };
  await indexSession(db, { ...row, reason: '', turn, version: turn, createdAt: at, updatedAt: at });
}

it('each turn that is archived is sent once, also if the collector was away, and none of before', async () => {
  await archive(1);
  // From the first look on: what is older is nobody's question.
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await send()).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await archive(2);
  await archive(3);
  const real = Date.now();
  vi.useFakeTimers({ now: real + 2 * MINUTE, toFake: ['Date'] });
  status = 503;
  expect(await send()).toBe(0);
  status = 200;
  expect(await send()).toBe(2);
  expect(await send()).toBe(0);
  expect(sent.map(({ url }) => url)).toEqual(Array(3).fill('https://otlp.example/v1/traces'));
  expect(sent[0]?.key).toBe('a key');
  const ids = sent.map(({ body }) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans[0].traceId);
  // What was tried again is the same trace.
  expect(ids[0]).toBe(ids[1]);
  expect(ids[2]).not.toBe(ids[1]);
  expect(sent[1]?.body).toContain('ENG-7');
  expect(sent[1]?.body).not.toContain('words');
});

it('a collector that refuses the credential gets the traces once it is put right, for a day', async () => {
  await archive(4);
  const real = Date.now();
  vi.useFakeTimers({ now: real + 2 * MINUTE, toFake: ['Date'] });
  status = 401;
  expect(await send()).toBe(0);
  vi.setSystemTime(real + 30 * 60 * MINUTE);
  status = 200;
  expect(await send()).toBe(0);
  expect(await operationsOf(env).tracedUntil(Date.now(), MINUTE)).toBeGreaterThan(real);
});

it('an archive that cannot be read keeps none from being sent that was stored after it', async () => {
  await operationsOf(env).noteTraced(Date.now());
  await new Promise((resolve) => setTimeout(resolve, 5));
  await archive(5);
  const { objects } = await env.LOGS.list({ prefix: `logs/${session}/` });
  const broken = objects.find(({ key }) => /0*5\.jsonl/.test(key));
  await env.LOGS.put(broken?.key ?? '', 'no archive');
  await new Promise((resolve) => setTimeout(resolve, 5));
  await archive(6);
  vi.useFakeTimers({ now: Date.now() + 2 * MINUTE, toFake: ['Date'] });
  await send();
  expect(sent).toHaveLength(1);
  sent = [];
  expect(await send()).toBe(0);
});

it('turns that were archived in the same millisecond are all sent, also if the collector goes away between them', async () => {
  await operationsOf(env).noteTraced(Date.now());
  await new Promise((resolve) => setTimeout(resolve, 5));
  for (const turn of [7, 8, 9]) await archive(turn);
  const uploaded = new Date();
  const LOGS = {
    get: env.LOGS.get.bind(env.LOGS),
    list: async (options: R2ListOptions) => {
      const { objects } = await env.LOGS.list(options);
      return { objects: objects.filter(({ key }) => /0*[789]\./.test(key)).map(({ key }) => ({ key, uploaded })) };
    },
  } as unknown as R2Bucket;
  vi.useFakeTimers({ now: Date.now() + 2 * MINUTE, toFake: ['Date'] });
  const statuses = [200, 503, 200, 200, 200];
  vi.mocked(fetch).mockImplementation(async () => new Response('{}', { status: statuses.shift() ?? 200 }));
  const same = { ...bindings, LOGS } as Env;
  expect(await exportTurns(same, readConfig(same), db)).toBe(1);
  expect(await exportTurns(same, readConfig(same), db)).toBe(3);
  expect(await exportTurns(same, readConfig(same), db)).toBe(0);
});

it('nothing is stored while a collector is away for longer than traces are kept', async () => {
  const now = Date.now() + 90 * 60 * MINUTE;
  const stored = () =>
    runInDurableObject(operationsOf(env), (_object, { storage }) => JSON.stringify([...storage.kv.list()]));
  await operationsOf(env).tracedUntil(Date.now(), MINUTE);
  const before = await stored();
  expect(await operationsOf(env).tracedUntil(now, MINUTE)).toBe(now - MINUTE);
  expect(await stored()).toBe(before);
});

it('nothing is looked for if there is no collector', async () => {
  const list = vi.spyOn(env.LOGS, 'list');
  expect(await exportTurns(env, readConfig(env), db)).toBe(0);
  expect(list).not.toHaveBeenCalled();
});
