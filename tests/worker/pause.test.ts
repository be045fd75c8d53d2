/** PAUSED: nothing begins, what runs is finished, and people are heard. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  await registerWorkspace();
  outside = new Outside();
});
afterEach(async () => {
  await openDatabase(env.DB, env.ENCRYPTION_KEY).orm.run(sql`DELETE FROM settings`);
  await pause(false);
});

async function pause(value: boolean, workspace = ''): Promise<void> {
  const response = await exports.default.fetch(`http://cyrus.test/api/admin/settings/PAUSED${workspace}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${env.ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ value }),
  });
  expect(response.status).toBe(200);
  // By the time that the next session asks, what an object's isolate keeps is the news.
  await env.WORKSPACE_QUEUE.getByName(ORGANIZATION).settingsChanged();
}

const stop = (thread: Thread) => prompted(thread, 'Stop', { signal: 'stop' });
const said = ({ agentSessionId }: Thread) =>
  outside.said.filter((one) => one.agentSessionId === agentSessionId).map(({ content }) => content.body ?? '');
const startsOf = (thread: Thread) =>
  outside.starts.filter(({ sessionId }) => sessionId === session(thread).id.toString());
const commands = (type: string) => outside.commands.filter((command) => command.type === type);

async function held(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(async () =>
    expect((await page(thread))?.session).toMatchObject({
      phase: 'starting',
      reason: 'Waiting: an admin has paused Cyrus',
    }),
  );
  return thread;
}

describe('while Cyrus is paused', () => {
  it('no turn begins, the thread is told why, and both continue by themselves when the pause is taken back', async () => {
    await pause(true);
    const thread = await held();
    await vi.waitFor(() =>
      expect(said(thread)).toContain('Waiting: an admin has paused Cyrus. This starts by itself when the pause ends.'),
    );
    expect(startsOf(thread)).toEqual([]);
    await pause(false);
    await vi.waitFor(() => expect(commands('prompt')).toHaveLength(1));
    expect(startsOf(thread)).toHaveLength(1);
    expect((await journal(thread)).map((entry) => (entry.kind === 'notice' ? entry.text : ''))).toContain(
      'The pause is over; starting the sandbox.',
    );
  });

  it('a workspace that is not paused itself works on', async () => {
    await pause(true, `?workspace=${ORGANIZATION}`);
    const thread = await held();
    await pause(false, `?workspace=${ORGANIZATION}`);
    await vi.waitFor(() => expect(startsOf(thread)).toHaveLength(1));
  });

  it('a turn that runs is finished: comments reach it, its answer is told, and the next turn waits', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(commands('prompt')).toHaveLength(1));
    const reporter = new Reporter(thread);
    await reporter.report(init);
    await pause(true);
    await send(prompted(thread, 'Mind the tax, too.'));
    await vi.waitFor(() => expect(commands('prompt')).toHaveLength(2));
    const asked = commands('prompt').map((command) => ('id' in command ? command.id : ''));
    await session(thread).settingsChanged();
    await reporter.report(result('The cart adds up.', asked), saved(1, 0));
    await vi.waitFor(() => expect(said(thread).join()).toContain('The cart adds up.'));
    await send(prompted(thread, 'And another thing.'));
    await vi.waitFor(async () => expect((await page(thread))?.session.reason).toMatch(/paused/));
    expect(commands('prompt')).toHaveLength(2);
    expect(startsOf(thread)).toHaveLength(1);
    await pause(false);
    await vi.waitFor(() => expect(commands('prompt')).toHaveLength(3));
  });

  it('a start that is under way goes through, and nobody is told that it waits', async () => {
    const thread = newThread();
    const { promise, resolve } = Promise.withResolvers<null>();
    let isAsked = false;
    outside.interfere = (url, _body, request) => {
      if (request.method !== 'PUT' || !url.includes('/sessions/')) return null;
      isAsked = true;
      return promise;
    };
    await send(created(thread));
    await vi.waitFor(() => expect(isAsked).toBe(true));
    await pause(true);
    await session(thread).settingsChanged();
    expect((await page(thread))?.session.reason).not.toMatch(/paused/);
    resolve(null);
    await vi.waitFor(() => expect(commands('prompt')).toHaveLength(1));
    await new Reporter(thread).report(init);
    expect((await page(thread))?.session.phase).toBe('working');
    expect(said(thread).join()).not.toContain('paused');
  });

  it('a stop reaches the sandbox of a turn that runs', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(commands('prompt')).toHaveLength(1));
    await new Reporter(thread).report(init);
    await pause(true);
    await send(stop(thread));
    await vi.waitFor(() => expect(commands('stop')).toHaveLength(1));
  });

  it('a stop of what waits ends it, and nothing begins when the pause is taken back', async () => {
    await pause(true);
    const thread = await held();
    await send(stop(thread));
    await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
    await vi.waitFor(() => expect(said(thread).at(-1)).toMatch(/Stopped/));
    await pause(false);
    await session(thread).settingsChanged();
    expect(startsOf(thread)).toEqual([]);
  });

  it('what waits finds out by itself when nobody tells it that the pause is over', async () => {
    await pause(true);
    const thread = await held();
    const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
    await db.orm.run(sql`DELETE FROM settings`);
    vi.useFakeTimers({ now: Date.now() + 60_000, toFake: ['Date'] });
    try {
      await runDurableObjectAlarm(session(thread));
      await vi.waitFor(() => expect(startsOf(thread)).toHaveLength(1));
    } finally {
      vi.useRealTimers();
    }
  });
});
