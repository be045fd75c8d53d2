/** A service is away for more than an hour while a request waits to be begun: time passes by the alarms that the object sets for itself. */
import { runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { databaseAway } from './support/database-away.ts';
import { created, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, registerWorkspace, session } from './support/sessions.ts';

const HOUR = 3_600_000;
/** Alarms may come so much late, in ms: then fewer of them make an hour. */
const LATE_MS = 20_000;
/** Between what an attempt needs and the next look, in real ms. */
const LOOK_MS = 5;

let outside: Outside;
let database: ReturnType<typeof databaseAway> | null = null;

beforeEach(async () => {
  await registerWorkspace();
  outside = new Outside();
});
afterEach(() => {
  vi.useRealTimers();
  database?.back();
  database = null;
});

/** Nothing of the session is under way any more: what is left waits for its time. */
async function settled(thread: Thread): Promise<void> {
  for (let before = -1, now = 0; before !== now; ) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    now = vi.mocked(fetch).mock.calls.length + (await journal(thread)).length;
  }
}

/** Wakes the object whenever its alarm is due, until so much time has passed. */
async function live(thread: Thread, ms: number): Promise<void> {
  const until = Date.now() + ms;
  vi.useFakeTimers({ now: Date.now(), toFake: ['Date'] });
  for (;;) {
    await settled(thread);
    const due = await runInDurableObject(session(thread), (_, { storage }) => storage.getAlarm());
    const next = Math.min(until, Math.max(due ?? until, Date.now() + LATE_MS));
    vi.setSystemTime(next);
    if (next === until) return;
    await runInDurableObject(session(thread), (instance) => instance.alarm());
  }
}

/** Lets time pass until this holds. */
async function lives(thread: Thread, holds: () => void): Promise<void> {
  await vi.waitFor(async () => {
    await live(thread, 60_000);
    holds();
  }, 60_000);
}

const SERVICES: [string, { away: () => () => void; words: RegExp }][] = [
  [
    'the database',
    {
      away: () => {
        database = databaseAway('fails');
        return database.back;
      },
      words: /database \(D1\): it does not answer/,
    },
  ],
  ['Linear', { away: () => failing('https://api.linear.app/'), words: /Linear: it does not answer/ }],
  ['the sandbox server', { away: () => failing('/sessions/'), words: /sandbox: it cannot be reached/ }],
];

/** Nothing at such an address answers. @returns what ends that */
function failing(address: string): () => void {
  outside.interfere = (url) => {
    if (url.includes(address)) throw new TypeError('connection refused');
    return null;
  };
  return () => {
    outside.interfere = () => null;
  };
}

describe.each(SERVICES)('a request outlives an hour without %s', (_, { away, words }) => {
  it('is begun once it is back, and page and thread say what is waited for', async () => {
    const back = away();
    const thread = newThread();
    expect((await send(created(thread))).status).toBe(200);
    await live(thread, 1.1 * HOUR);
    expect((await page(thread))?.session).toMatchObject({ phase: 'starting', reason: expect.stringMatching(words) });
    expect(outside.commands).toEqual([]);
    back();
    await lives(thread, () => expect(outside.commands).toMatchObject([{ type: 'prompt' }]));
    const told = () =>
      outside.said.filter(({ content }) => content.type === 'thought').map(({ content }) => content.body);
    await lives(thread, () => expect(told()).toContainEqual(expect.stringMatching(words)));
    expect((await journal(thread)).filter(({ kind }) => kind === 'effect-failed' || kind === 'turn-ended')).toEqual([]);
  });

  it('a start that waits is stopped at once by a person', async () => {
    const back = away();
    const thread = newThread();
    await send(created(thread));
    await live(thread, 10 * 60_000);
    await send(prompted(thread, '', { signal: 'stop' }));
    await vi.waitFor(async () => {
      await live(thread, 15_000);
      expect((await page(thread))?.session.phase).toBe('waiting');
    }, 60_000);
    expect((await journal(thread)).at(-1)?.kind).not.toBe('turn-started');
    back();
    await live(thread, 10 * 60_000);
    expect(outside.commands.filter(({ type }) => type === 'prompt')).toEqual([]);
    await lives(thread, () => expect(outside.said.some(({ content }) => content.type === 'response')).toBe(true));
  });
});

it('an attempt whose database is never heard of again is ended by its limit and retried, without a new life of the object', async () => {
  const real = globalThis.setTimeout;
  // The limits of attempts are minutes; here they pass at once.
  const clock = vi.spyOn(globalThis, 'setTimeout');
  clock.mockImplementation(((work: () => void, ms = 0) => real(work, ms >= 60_000 ? 0 : ms)) as typeof setTimeout);
  try {
    database = databaseAway('is locked');
    const thread = newThread();
    expect((await send(created(thread))).status).toBe(200);
    await vi.waitFor(() => expect(database?.asked()).toBeGreaterThan(0));
    await live(thread, 60_000);
    expect((await page(thread))?.session).toMatchObject({
      phase: 'starting',
      reason: expect.stringContaining('Cyrus'),
    });
    database.back();
    await lives(thread, () => expect(outside.commands).toMatchObject([{ type: 'prompt' }]));
  } finally {
    clock.mockRestore();
  }
});
