import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { WorkspaceQueue } from '../../src/queue/workspace-queue.ts';
import { init, line, result, saved, usedUp } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace, session } from './support/sessions.ts';

/** As many as MAX_SESSIONS_AT_ONCE allows by default. */
const CAP = 10;
let queues = 0;
let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

const newQueue = () => env.WORKSPACE_QUEUE.getByName(`queue-${++queues}`);
const asking = (session: string, turn = 1) => ({ session, owner: session, turn, isUnderWay: false });
const newId = () => env.ISSUE_SESSION.newUniqueId().toString();

describe('the queue of a workspace', () => {
  it('gives out slots up to the concurrency limit, then queue positions, and the same to a session that asks again', async () => {
    const queue = newQueue();
    const ids = Array.from({ length: CAP + 2 }, newId);
    const places = [];
    for (const id of ids) places.push(await queue.take(asking(id)));
    expect(places).toEqual([...Array(CAP).fill(0), 1, 2]);
    expect(await queue.take(asking(ids.at(-1) ?? ''))).toBe(2);
    await queue.give(ids[0] ?? '', 1);
    expect(await queue.take(asking(ids.at(-1) ?? ''))).toBe(1);
    expect(await queue.take(asking(ids.at(-2) ?? ''))).toBe(0);
  });

  it('the concurrency limit follows what the workspace sets, and the deployment once that is removed', async () => {
    const queue = newQueue();
    const ids = Array.from({ length: 4 }, newId);
    const take = (index: number, cap?: number | null) =>
      queue.take({ ...asking(ids[index] ?? ''), ...(cap !== undefined && { cap }) });
    expect([await take(0, 2), await take(1, 2), await take(2, 2), await take(3)]).toEqual([0, 0, 1, 2]);
    await take(0, null);
    expect((await queue.line()).working).toHaveLength(4);
  });

  it('the queue of a workspace outlives its object', async () => {
    const queue = newQueue();
    const id = newId();
    await queue.take(asking(id));
    await runInDurableObject(queue, async (_, state) => {
      const next = new WorkspaceQueue(state, env);
      expect(next.line().working).toMatchObject([{ session: id }]);
    });
  });

  it('releases the slots of sessions that no longer need them, even if they never said so', async () => {
    const queue = newQueue();
    // A session to which nothing ever happened needs no place.
    await queue.take(asking(newId()));
    expect(await runDurableObjectAlarm(queue)).toBe(true);
    expect(await queue.line()).toEqual({ working: [], waiting: [] });
    expect(await runDurableObjectAlarm(queue)).toBe(false);
  });
});

describe('a session', () => {
  /** The workspace's queue, with as many strangers at work as there are places. */
  async function crowded(): Promise<{ queue: DurableObjectStub<WorkspaceQueue>; strangers: string[] }> {
    const queue = env.WORKSPACE_QUEUE.getByName(ORGANIZATION);
    const strangers = Array.from({ length: CAP }, newId);
    for (const id of strangers) await queue.take(asking(id));
    return { queue, strangers };
  }

  it('for which there is no place says where it stands, and begins when one is given back', async () => {
    const thread = newThread();
    const { queue, strangers } = await crowded();
    await send(created(thread));
    await vi.waitFor(async () =>
      expect((await page(thread))?.session).toMatchObject({ phase: 'queued', reason: 'Next in the queue' }),
    );
    expect(outside.starts.filter(({ sessionId }) => sessionId === session(thread).id.toString())).toEqual([]);
    for (const id of strangers) await queue.give(id, 1);
    await vi.waitFor(() => expect(outside.commands.map(({ type }) => type)).toContain('prompt'));
    expect((await page(thread))?.session.phase).toBe('starting');
    const reporter = new Reporter(thread);
    await reporter.report(init, result('Done.', [thread.agentSessionId]), saved(1, 0));
    await vi.waitFor(async () => expect((await queue.line()).working).toEqual([]));
  });

  it('that met a limit gives its place back, is woken at the reset, and takes a place again', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const reporter = new Reporter(thread);
    const resetsAt = Math.floor(Date.now() / 1000) + 3_600;
    const rejected = { status: 'rejected', rateLimitType: 'five_hour', resetsAt };
    await reporter.report(
      init,
      line({ type: 'rate_limit_event', rate_limit_info: rejected }),
      usedUp([thread.agentSessionId]),
    );
    const view = (await page(thread))?.session;
    expect(view).toMatchObject({
      phase: 'parked',
      reason: expect.stringMatching(/5-hour limit is used up; continues at/),
    });
    const queue = env.WORKSPACE_QUEUE.getByName(ORGANIZATION);
    const isAtWork = async () =>
      (await queue.line()).working.some((entry) => entry.session === session(thread).id.toString());
    await vi.waitFor(async () => expect(await isAtWork()).toBe(false));
    await runInDurableObject(session(thread), async (_, state) => {
      const alarm = (await state.storage.getAlarm()) ?? 0;
      // It looks for room before, and is woken at the reset at the latest.
      expect(alarm).toBeGreaterThan(Date.now());
      expect(alarm).toBeLessThanOrEqual(resetsAt * 1000 + 60_000);
    });
    await send(prompted(thread, 'And the tests, please.'));
    await vi.waitFor(() =>
      expect(outside.said.map(({ content }) => content.body).join()).toMatch(/this starts when the work continues/),
    );
    vi.setSystemTime(resetsAt * 1000 + 60_000);
    try {
      await runDurableObjectAlarm(session(thread));
      await vi.waitFor(() => expect(outside.commands.filter(({ type }) => type === 'prompt')).toHaveLength(3));
      expect(await isAtWork()).toBe(true);
      expect((await page(thread))?.session.phase).toBe('starting');
    } finally {
      vi.useRealTimers();
    }
  });
});
