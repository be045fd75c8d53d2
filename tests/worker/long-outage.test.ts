/** A service is away for more than an hour while a request waits to be begun: time passes by the alarms that the object sets for itself. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { getTurnLog } from '../../src/store/logs.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { databaseAway } from './support/database-away.ts';
import { created, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session } from './support/sessions.ts';

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
    const entries = await runInDurableObject(session(thread), (_, { storage }) =>
      Number(storage.sql.exec('SELECT coalesce(max(seq), 0) AS last FROM journal').one().last),
    );
    now = vi.mocked(fetch).mock.calls.length + entries;
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

describe('an hour without a service at a later step', () => {
  /** Claude is at work. */
  async function working(): Promise<{ thread: Thread; reporter: Reporter }> {
    const thread = newThread();
    await send(created(thread));
    await lives(thread, () => expect(outside.commands).toMatchObject([{ type: 'prompt' }]));
    const reporter = new Reporter(thread);
    await reporter.report(init);
    return { thread, reporter };
  }
  const responses = () => outside.said.filter(({ content }) => content.type === 'response');
  const ended = ({ agentSessionId }: Thread) => [result('The sum is right now.', [agentSessionId]), saved(1)] as const;

  it('loses no stop: people are told at once that it is not confirmed, and the sandbox is stopped when it is back', async () => {
    const { thread } = await working();
    const back = failing('/sessions/');
    await send(prompted(thread, '', { signal: 'stop' }));
    await live(thread, 60_000);
    expect(responses().map(({ content }) => content.body)).toEqual([
      expect.stringContaining('did not confirm in time'),
    ]);
    await live(thread, 1.1 * HOUR);
    expect(outside.commands.filter(({ type }) => type === 'stop')).toEqual([]);
    back();
    await lives(thread, () => expect(outside.commands.filter(({ type }) => type === 'stop')).not.toEqual([]));
  });

  it('loses no answer: it is in its thread once, as soon as Linear is back', async () => {
    const { thread, reporter } = await working();
    const back = failing('https://api.linear.app/');
    await reporter.report(...ended(thread));
    await live(thread, 1.1 * HOUR);
    expect(responses()).toEqual([]);
    back();
    await lives(thread, () => expect(responses()).toHaveLength(1));
    await live(thread, 10 * 60_000);
    expect(responses().map(({ content }) => content.body)).toEqual([expect.stringContaining('The sum is right now.')]);
  });

  it('loses nothing of what is listed and archived: the database and the bucket have it when they are back', async () => {
    const { thread, reporter } = await working();
    database = databaseAway('fails');
    const put = vi.spyOn(Object.getPrototypeOf(env.LOGS), 'put').mockRejectedValue(new Error('R2 is away'));
    const multipart = vi
      .spyOn(Object.getPrototypeOf(env.LOGS), 'createMultipartUpload')
      .mockRejectedValue(new Error('R2 is away'));
    await reporter.report(...ended(thread));
    await live(thread, 1.1 * HOUR);
    const id = session(thread).id.toString();
    const row = () => env.DB.prepare('SELECT phase FROM sessions WHERE id = ?').bind(id).first<{ phase: string }>();
    put.mockRestore();
    multipart.mockRestore();
    database.back();
    expect((await row())?.phase).not.toBe('waiting');
    await vi.waitFor(async () => {
      await live(thread, 60_000);
      expect((await row())?.phase).toBe('waiting');
      expect(await getTurnLog(env.LOGS, id, 1)).not.toBeNull();
    }, 60_000);
    expect((await journal(thread)).filter(({ kind }) => kind === 'effect-failed')).toEqual([]);
  });

  it('loses no comment: Claude gets it when its sandbox can be reached again', async () => {
    const { thread } = await working();
    const back = failing('/sessions/');
    await send(prompted(thread, 'And with tests.'));
    await live(thread, 1.1 * HOUR);
    back();
    await lives(thread, () =>
      expect(JSON.stringify(outside.commands.filter(({ type }) => type === 'prompt'))).toContain('And with tests.'),
    );
    expect((await journal(thread)).filter(({ kind }) => kind === 'effect-failed')).toEqual([]);
  });
});

it('an attempt whose database is never heard of again is ended by its limit and retried, without a new life of the object', async () => {
  const real = globalThis.setTimeout;
  // The limits of attempts and of what they ask are many seconds; here they pass at once.
  const clock = vi.spyOn(globalThis, 'setTimeout');
  clock.mockImplementation(((work: () => void, ms = 0) => real(work, ms >= 10_000 ? 0 : ms)) as typeof setTimeout);
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
