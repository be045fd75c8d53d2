/** Errors of the log on their way to Sentry. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import '../../src/index.ts';
import { log } from '../../src/observability/log.ts';
import { reportError } from '../../src/operations/errors/report.ts';
import { spyOnLog } from '../support/log-spy.ts';

const DSN = 'https://0123456789abcdef@o1.ingest.sentry.example/42';
let sent: { url: string; auth: string | null; body: string }[];
let status = 200;
let retryAfter = '120';
let waited: Promise<unknown>[];
/** Each test has hours of its own: what was sent in one minute counts in it. */
let hours = 0;

beforeEach(() => {
  sent = [];
  waited = [];
  status = 200;
  retryAfter = '120';
  vi.useFakeTimers({ now: Date.now() + ++hours * 3_600_000, toFake: ['Date'] });
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    sent.push({
      url: request.url,
      auth: request.headers.get('x-sentry-auth'),
      body: new TextDecoder().decode(await request.arrayBuffer()),
    });
    return new Response('', { status, headers: { 'retry-after': retryAfter } });
  });
  spyOnLog();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function report(event: string, level: string, bindings: object = { SENTRY_DSN: DSN }): Promise<void> {
  const all = { ...env, ...bindings } as unknown as Env;
  reportError(all, (promise) => void waited.push(promise), event, { event, level });
  await Promise.all(waited);
}

it('a line that is an error is sent once to the project, and one that is none is not', async () => {
  await report('session.effect.given_up', 'error');
  await report('linear.call.failed', 'warn');
  await report('session.turn.ended', 'info');
  expect(sent).toEqual([
    {
      url: 'https://o1.ingest.sentry.example/api/42/envelope/',
      auth: expect.stringContaining('sentry_key=0123456789abcdef'),
      body: expect.stringContaining('session.effect.given_up'),
    },
  ]);
});

it('nothing is sent unless SENTRY_DSN is set, and a log that cannot be reported is written all the same', async () => {
  await report('alert.audit.lost', 'error', {});
  await report('alert.audit.lost', 'error', { SENTRY_DSN: DSN, ADMIN_TOKEN: '' });
  expect(() => log('alert.audit.lost', { action: 'x' })).not.toThrow();
  expect(sent).toEqual([]);
});

it('a storm of errors sends thirty a minute, and none for as long as Sentry says after it refused one', async () => {
  for (let number = 0; number < 100; number += 1) await report('alert.audit.lost', 'error');
  expect(sent).toHaveLength(30);
  vi.setSystemTime(Date.now() + 61_000);
  status = 429;
  await report('alert.audit.lost', 'error');
  status = 200;
  vi.setSystemTime(Date.now() + 61_000);
  await report('alert.audit.lost', 'error');
  expect(sent).toHaveLength(31);
  vi.setSystemTime(Date.now() + 61_000);
  await report('alert.audit.lost', 'error');
  expect(sent).toHaveLength(32);
});

it('a rest of more than an hour is kept for an hour', async () => {
  status = 429;
  retryAfter = '86400';
  await report('alert.audit.lost', 'error');
  vi.setSystemTime(Date.now() + 59 * 60_000);
  await report('alert.audit.lost', 'error');
  expect(sent).toHaveLength(1);
  vi.setSystemTime(Date.now() + 2 * 60_000);
  await report('alert.audit.lost', 'error');
  expect(sent).toHaveLength(2);
});
