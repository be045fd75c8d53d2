import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { passOn } from '../../src/routes/api/event-stream.ts';
import { WATCH_MS } from '../../src/routes/api/live.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';
import { FakeLinear } from './support/fake-linear.ts';
import { bindingsOf, installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';
import { Program, tokenOf } from './support/programs.ts';

const MOST_TEXT = 50_000;
let acme: Awaited<ReturnType<typeof installed>>;
let token: string;

beforeEach(async () => {
  spyOnLog();
  const linear = new FakeLinear();
  acme = await installed(linear, 'Acme');
  const ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id] });
  token = (await tokenOf(await signedIn(linear, ada), 'write')).token;
});
afterEach(() => vi.useRealTimers());

/** A stream of which nothing is read yet. */
async function opened(session: string) {
  const response = await worker.request(
    `${SECURE_ORIGIN}/api/v1/sessions/${session}/events`,
    { headers: { authorization: `Bearer ${token}` } },
    bindingsOf(),
    { waitUntil: () => {}, passThroughOnException: () => {}, props: {} },
  );
  return response.body?.pipeThrough(new TextDecoderStream()).getReader();
}

/** What is read until the stream ends. */
async function rest(reader: Awaited<ReturnType<typeof opened>>): Promise<string> {
  let text = '';
  for (;;) {
    const piece = await reader?.read();
    if (!piece || piece.done) return text;
    text += piece.value;
  }
}

describe('HEAD', () => {
  /** @returns what is answered, once all that the Worker does for it is over */
  async function head(path: string, headers: Record<string, string> = {}): Promise<Response> {
    const context = createExecutionContext();
    const response = await worker.request(
      `${SECURE_ORIGIN}/api/v1${path}`,
      { method: 'HEAD', headers: { authorization: `Bearer ${token}`, ...headers } },
      bindingsOf(),
      context,
    );
    await waitOnExecutionContext(context);
    return response;
  }
  const sockets = (id: string) =>
    runInDurableObject(
      env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(id)),
      (_, state) => state.getWebSockets().length,
    );

  it('on a stream of events says what GET would be answered with, and opens no stream', async () => {
    const id = await sessionOf(acme, acme.open, 'Head');
    const { status, headers, body } = await head(`/sessions/${id}/events`);
    expect([status, headers.get('content-type'), body]).toEqual([200, 'text/event-stream', null]);
    expect(await sockets(id)).toBe(0);
    expect((await head(`/sessions/${'0'.repeat(64)}/events`)).status).toBe(404);
  });

  it('on a log leaves nothing behind that waits for a reader', async () => {
    const id = await sessionOf(acme, acme.open, 'Head of a log');
    expect((await head(`/sessions/${id}/log`)).status).toBe(200);
  });

  it('opens no WebSocket', async () => {
    const id = await sessionOf(acme, acme.open, 'Head of a socket');
    expect((await head(`/sessions/${id}/live`, { upgrade: 'websocket' })).status).toBe(400);
    expect(await sockets(id)).toBe(0);
  });
});

describe('a stream of events', () => {
  it('ends after five minutes, also of a session in which nothing happens', async () => {
    vi.useFakeTimers({ now: Date.now(), toFake: ['Date', 'setInterval', 'clearInterval'] });
    const { 0: client } = new WebSocketPair();
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const session = { page: async () => null } as unknown as Parameters<typeof passOn>[0];
    const passed = passOn(session, client, writable.getWriter(), Date.now() + WATCH_MS);
    const text = new Response(readable).text();
    await vi.advanceTimersByTimeAsync(WATCH_MS + 1);
    await passed;
    expect(await text).toMatch(/^retry: 1000\n\n(: here\n\n)+$/);
  });

  it('gives a program that read nothing for long what came before it was too much, so that it gets on from there', async () => {
    const id = await sessionOf(acme, acme.open, 'Much');
    const reader = await opened(id);
    const program = new Program(token);
    const text = 'x'.repeat(MOST_TEXT);
    for (let sent = 0; sent < 60; sent += 1) await program.ask('POST', `/sessions/${id}/prompts`, { text });
    const told = await rest(reader);
    expect(told.length).toBeGreaterThan(1024 * 1024);
    expect(told.length).toBeLessThan(60 * MOST_TEXT);
    const numbers = [...told.matchAll(/^id: (\d+)$/gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it('is none of a session that there is not, for those who may see everything too', async () => {
    const bindings = bindingsOf({ SIGN_IN: 'password' });
    const headers = { authorization: `Basic ${btoa(`ada:${env.ACCESS_PASSWORD}`)}` };
    const owner = new Program((await tokenOf(new Browser(bindings, headers, SECURE_ORIGIN), 'read')).token, bindings);
    const nothing = env.ISSUE_SESSION.newUniqueId().toString();
    expect((await owner.ask('GET', `/sessions/${nothing}/events`)).json).toMatchObject({ code: 'no_such_session' });
  });
});
