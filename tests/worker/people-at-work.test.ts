import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CLOSE_MORE } from '../../src/protocol/viewer.ts';
import { pageOfAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { spyOnLog } from '../support/log-spy.ts';
import type { Browser } from './support/browser.ts';
import { FakeLinear, type FakePerson } from './support/fake-linear.ts';
import { installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';

const json = { 'content-type': 'application/json', origin: SECURE_ORIGIN };
let acme: Awaited<ReturnType<typeof installed>>;
let ben: FakePerson;
let browser: Browser;
let id: string;

beforeEach(async () => {
  spyOnLog();
  const linear = new FakeLinear();
  acme = await installed(linear, 'Acme');
  ben = person(linear, acme, 'Ben', { teams: [acme.open.id] });
  browser = await signedIn(linear, ben);
  id = await sessionOf(acme, acme.open, crypto.randomUUID());
});
afterEach(() => vi.useRealTimers());

function say(text: string): Promise<{ status: number }> {
  const body = JSON.stringify({ id: crypto.randomUUID(), text });
  return browser.open(`/api/sessions/${id}/prompts`, { method: 'POST', body, headers: json });
}

describe('what a person does on the page', () => {
  it('has their name in the journal and in the audit log', async () => {
    expect((await say('Also add a test')).status).toBe(202);
    const body = JSON.stringify({ id: crypto.randomUUID() });
    const stop = await browser.open(`/api/sessions/${id}/stop`, { method: 'POST', body, headers: json });
    expect(stop.status).toBe(202);
    const { entries } = JSON.parse((await browser.open(`/api/sessions/${id}`)).text);
    const said = entries.filter(({ source }: { source?: string }) => source === 'page');
    expect(said).toMatchObject([
      { kind: 'prompt', author: 'Ben', text: 'Also add a test' },
      { kind: 'stop-requested', author: 'Ben' },
    ]);
    const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
    await vi.waitFor(async () => {
      const page = await pageOfAudit(database, { workspaceId: acme.id, limit: 10, action: 'session.' });
      expect(page).toMatchObject(
        ['session.stopped', 'session.prompted'].map((action) => ({
          ...{ action, actor: `linear-user:${ben.id}` },
          details: { session: id, name: 'Ben' },
        })),
      );
    });
  });
});

describe('the live socket of a person', () => {
  async function watch() {
    const { webSocket: socket } = await browser.open(`/api/sessions/${id}/live`, {
      headers: { upgrade: 'websocket', origin: SECURE_ORIGIN },
    });
    if (!socket) throw new Error('there is no socket');
    const told: string[] = [];
    let closed: number | null = null;
    socket.addEventListener('message', ({ data }) => void told.push(String(data)));
    socket.addEventListener('close', ({ code }) => {
      closed = code;
    });
    socket.accept();
    return { socket, told, closed: () => closed };
  }

  it('is told nothing more after five minutes until it connects again, as somebody who may', async () => {
    const first = await watch();
    await say('Within five minutes');
    await vi.waitFor(() => expect(first.told.join()).toContain('Within five minutes'));
    vi.useFakeTimers({ now: Date.now() + 5 * 60_000 + 1, toFake: ['Date'] });
    await say('After five minutes');
    await vi.waitFor(() => expect(first.closed()).toBe(CLOSE_MORE));
    expect(first.told.join()).not.toContain('After five minutes');
    const second = await watch();
    await vi.waitFor(() => expect(second.told.join()).toContain('After five minutes'));
    second.socket.close();
  });
});
