/** What sandbox servers keep of sessions, and what becomes of it. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, issueUpdate, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace, session } from './support/sessions.ts';

const HOUR = 3_600_000;
/** By so much an alarm comes after its time. */
const LATE = 10_000;
let outside: Outside;
/** What was deleted, by address. */
let deleted: string[];
/** How the server answers a deletion. */
let answer: () => Response;

beforeEach(async () => {
  await registerWorkspace();
  outside = new Outside();
  deleted = [];
  answer = () => Response.json({ state: 'closed' });
  outside.interfere = (url, _body, request) => {
    if (request.method !== 'DELETE') return null;
    deleted.push(url);
    return answer();
  };
});
afterEach(() => void vi.useRealTimers());

const passes = (ms: number) => void vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });
const prompts = () => outside.commands.filter(({ type }) => type === 'prompt');

async function done(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(prompts()).toHaveLength(1));
  await new Reporter(thread).report(init, result('Done.', [thread.agentSessionId]), saved(1, 0));
  await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
  return thread;
}

const complete = (thread: Thread) =>
  send(issueUpdate(thread, { stateId: 'before' }, { state: { id: 's', name: 'Done', type: 'completed' } }));
const addressOf = (thread: Thread) =>
  `http://127.0.0.1:1/sessions/${session(thread).id.toString()}?purge=true&generation=1`;

describe('the files of a session on a sandbox server', () => {
  it('are due an hour after its issue was completed, and deleted an hour later, not before', async () => {
    const thread = await done();
    await complete(thread);
    for (const hours of [0.9, 0.1, 0.9]) {
      passes(hours * HOUR + LATE);
      await runDurableObjectAlarm(session(thread));
      expect(deleted).toEqual([]);
    }
    passes(0.1 * HOUR);
    await runDurableObjectAlarm(session(thread));
    await vi.waitFor(() => expect(deleted).toEqual([addressOf(thread)]));
  });

  it('of an issue that stays open are deleted two weeks after its last turn, and its next turn begins elsewhere', async () => {
    const thread = await done();
    for (const hours of [14 * 24, 1]) {
      passes(hours * HOUR + LATE);
      await runDurableObjectAlarm(session(thread));
    }
    await vi.waitFor(() => expect(deleted).toEqual([addressOf(thread)]));
    await send(prompted(thread, 'One more thing.'));
    await vi.waitFor(() => expect(prompts()).toHaveLength(2));
    expect(outside.starts.map(({ body }) => body.generation)).toEqual([1, 2]);
    expect(outside.starts[1]?.body).not.toHaveProperty('knows');
    // Nothing of the conversation was stored elsewhere.
    const [before, after] = outside.starts.map(({ body }) => body.claude.conversationId);
    expect(after).not.toBe(before);
  });

  it('are kept by a clock that is set forward by months and put right within the hour', async () => {
    const thread = await done();
    const begun = Date.now();
    passes(100 * 24 * HOUR);
    await runDurableObjectAlarm(session(thread));
    vi.useFakeTimers({ now: begun + HOUR, toFake: ['Date'] });
    for (const hours of [0, 2, 24]) {
      passes(hours * HOUR);
      await runDurableObjectAlarm(session(thread));
    }
    expect(deleted).toEqual([]);
    expect(outside.starts.map(({ body }) => body.generation)).toEqual([1]);
  });

  it('are deleted later if the server does not answer, and not at all once the session is at work again', async () => {
    const thread = await done();
    await complete(thread);
    answer = () => Response.json({ error: 'internal', message: 'no' }, { status: 500 });
    for (const look of ['first', 'second']) {
      expect(deleted, look).toEqual([]);
      passes(HOUR + LATE);
      await runDurableObjectAlarm(session(thread));
    }
    await vi.waitFor(() => expect(deleted).toHaveLength(1));
    await send(prompted(thread, 'Not yet, please.'));
    await vi.waitFor(() => expect(prompts()).toHaveLength(2));
    passes(20_000);
    await runDurableObjectAlarm(session(thread));
    expect(deleted).toHaveLength(1);
  });
});

describe('a sandbox server whose disk is full', () => {
  it('is named as that in the thread and on the page, with what to do, and the work begins once there is space', async () => {
    let isFull = true;
    outside.interfere = (url, _body, request) =>
      isFull && request.method === 'PUT' && url.includes('/sessions/')
        ? Response.json(
            { error: 'disk-full', message: '12 of 9000 MiB are free, and a session needs 256.' },
            { status: 507 },
          )
        : null;
    const thread = newThread();
    await send(created(thread));
    const words =
      'Waiting for the sandbox: the disk of its server is full. 12 of 9000 MiB are free, and a session needs 256.';
    await vi.waitFor(async () => expect((await page(thread))?.session.reason).toBe(words));
    isFull = false;
    passes(60_000);
    await runDurableObjectAlarm(session(thread));
    await vi.waitFor(() => expect(prompts()).toHaveLength(1));
  });
});
