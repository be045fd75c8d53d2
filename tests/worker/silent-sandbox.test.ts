/** A sandbox server that ends in the middle of a turn: the session asks it, because nobody else tells. */
import { runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { created, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside, STREAM_ID } from './support/outside.ts';
import { journal, Reporter, registerWorkspace, session } from './support/sessions.ts';

const init = JSON.stringify({ type: 'system', subtype: 'init', session_id: 'c', model: 'claude-sonnet-5', tools: [] });

let outside: Outside;
/** How the sandbox answers when it is asked for its status; null: not at all. */
let answer: (() => Response) | null;
let asked: number;
/** Starts, with those that failed. */
let looked: number;

beforeEach(async () => {
  await registerWorkspace();
  outside = new Outside();
  asked = 0;
  looked = 0;
  answer = () => Response.json({ sessionId: 's', generation: 1, streamId: STREAM_ID, state: 'working', lastSeq: 1 });
  outside.interfere = (url, _body, request) => {
    if (!url.includes('/sessions/') || url.includes('/files')) return null;
    if (request.method === 'GET') asked += 1;
    else if (request.method === 'PUT') looked += 1;
    if (!answer) throw new TypeError('connection refused');
    return request.method === 'GET' ? answer() : null;
  };
});
afterEach(() => void vi.useRealTimers());

async function working(): Promise<{ thread: Thread; reporter: Reporter }> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const reporter = new Reporter(thread);
  await reporter.report({ type: 'line', line: init });
  return { thread, reporter };
}

/** Nothing is heard for so long. */
const silentFor = (ms: number) => void vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });
const look = (thread: Thread) => session(thread).lookAfterSandbox();

const notices = async (thread: Thread) =>
  (await journal(thread)).flatMap((entry) => (entry.kind === 'notice' ? [entry.text] : []));
const GONE = 'The sandbox has stopped answering. Checking on it.';

describe('a sandbox server that was silent for five seconds in the middle of a turn', () => {
  it('and does not answer is looked for, and the page says so, once', async () => {
    const { thread } = await working();
    answer = null;
    silentFor(5_000);
    expect(await Promise.all([look(thread), look(thread)])).toEqual([null, null]);
    expect(asked).toBe(2);
    await vi.waitFor(() => expect(looked).toBeGreaterThanOrEqual(2));
    expect((await notices(thread)).filter((text) => text === GONE)).toHaveLength(1);
  });

  it('and answers that it knows nothing of the session is looked for', async () => {
    const { thread } = await working();
    answer = () => Response.json({ error: 'no-session', message: 'There is no such session here.' }, { status: 404 });
    silentFor(5_000);
    expect(await look(thread)).toBeNull();
    expect(await notices(thread)).toContain(GONE);
  });

  it.each([
    ['its status', () => Response.json({ state: 'working' })],
    ['that it does not know who asks', () => Response.json({ error: 'unauthorized', message: 'no' }, { status: 401 })],
    ['that it fails', () => new Response('busy', { status: 500 })],
  ])('and answers %s is there, and is asked again after as long', async (_, said) => {
    const { thread } = await working();
    answer = said;
    silentFor(5_000);
    expect(await look(thread)).toBe(5_000);
    expect(asked).toBe(1);
    expect(await notices(thread)).not.toContain(GONE);
  });

  it('and missed one question, as one that restarts, is there', async () => {
    const { thread } = await working();
    answer = () => {
      if (asked === 1) throw new TypeError('connection refused');
      return Response.json({ state: 'working' });
    };
    silentFor(5_000);
    expect(await look(thread)).toBe(5_000);
    expect(await notices(thread)).not.toContain(GONE);
  });

  it('and posts while it is asked is there', async () => {
    const { thread, reporter } = await working();
    silentFor(5_000);
    let answers = 0;
    outside.interfere = async (url, _body, request) => {
      if (request.method !== 'GET' || !url.includes('/sessions/')) return null;
      answers += 1;
      if (answers === 2) await reporter.report();
      throw new TypeError('connection refused');
    };
    vi.setSystemTime(Date.now() + 10);
    expect(await look(thread)).toBe(5_000);
    expect(await notices(thread)).not.toContain(GONE);
  });
});

describe('a sandbox server that need not be asked', () => {
  it('has posted a moment ago, by another way than who wants to know', async () => {
    const { thread, reporter } = await working();
    silentFor(20_000);
    await reporter.report();
    vi.setSystemTime(Date.now() + 1_000);
    expect(await look(thread)).toBe(4_000);
    expect(asked).toBe(0);
  });

  it('has nothing to do, is being stopped, or was not started yet', async () => {
    const { thread } = await working();
    await send(prompted(thread, '', { signal: 'stop' }));
    silentFor(9_000);
    expect(await look(thread)).toBeNull();
    expect(asked).toBe(0);
  });
});

it('being asked whether it exists stores nothing', async () => {
  const { thread } = await working();
  const written = () =>
    runInDurableObject(session(thread), (_, { storage }) => storage.sql.exec('SELECT total_changes() AS n').one().n);
  const before = await written();
  silentFor(5_000);
  await look(thread);
  expect(await written()).toBe(before);
});
