import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { workspaceSettingsSchema } from '../../src/protocol/settings/access-rules.ts';
import { WorkspaceQueue } from '../../src/queue/workspace-queue.ts';
import { IssueSession } from '../../src/session/issue-session.ts';
import { openDatabase } from '../../src/store/database.ts';
import { writeWorkspaceSettings } from '../../src/store/workspaces/workspace-settings.ts';
import { init, line, result, saved, usedUp } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { watchStorage } from './support/platform-limits.ts';
import { page, Reporter, registerWorkspace, session } from './support/sessions.ts';

/** As many as MAX_SESSIONS_AT_ONCE allows by default. */
const CAP = 10;
let queues = 0;
let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

/** @param isTold as an admin does it, by the API, which tells the queue */
async function setLimit(sessionsAtOnce: number | undefined, isTold = false): Promise<void> {
  const settings = workspaceSettingsSchema.parse({ ...(sessionsAtOnce !== undefined && { sessionsAtOnce }) });
  if (!isTold) {
    await writeWorkspaceSettings(openDatabase(env.DB, env.ENCRYPTION_KEY), ORGANIZATION, settings, 1);
    return;
  }
  const response = await exports.default.fetch(`http://cyrus.test/api/admin/workspaces/${ORGANIZATION}/settings`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${env.ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(settings),
  });
  expect(response.status).toBe(200);
}

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
    const queue = env.WORKSPACE_QUEUE.getByName(ORGANIZATION);
    const ids = Array.from({ length: 4 }, newId);
    const take = (index: number) => queue.take(asking(ids[index] ?? ''));
    await setLimit(2);
    await queue.settingsChanged();
    expect([await take(0), await take(1), await take(2), await take(3)]).toEqual([0, 0, 1, 2]);
    await setLimit(undefined);
    await queue.settingsChanged();
    expect(await queue.line()).toMatchObject({ sessionsAtOnce: CAP, working: { length: 4 } });
  });

  it.each([
    ['once an admin has stored it', async () => await setLimit(4, true)],
    [
      'within a minute if nobody tells the queue of it: those who wait ask again',
      async (queue: DurableObjectStub<WorkspaceQueue>) => {
        await setLimit(4);
        const [first] = (await queue.line()).waiting;
        vi.useFakeTimers({ now: Date.now() + 61_000, toFake: ['Date'] });
        await runDurableObjectAlarm(env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(first?.session ?? '')));
        await vi.waitFor(async () => expect((await queue.line()).waiting).toEqual([]));
        vi.useRealTimers();
      },
    ],
  ])('a limit that is raised gives slots to those who wait, and is shown: %s', async (_, raise) => {
    const queue = env.WORKSPACE_QUEUE.getByName(ORGANIZATION);
    await setLimit(1);
    await queue.settingsChanged();
    const threads = Array.from({ length: 4 }, () => newThread());
    for (const thread of threads) await send(created(thread));
    await vi.waitFor(async () => expect((await queue.line()).waiting).toHaveLength(3));
    expect((await queue.line()).sessionsAtOnce).toBe(1);
    await raise(queue);
    expect(await queue.line()).toMatchObject({ sessionsAtOnce: 4, waiting: [], working: { length: 4 } });
    await vi.waitFor(() => expect(outside.commands.filter(({ type }) => type === 'prompt')).toHaveLength(4));
    await setLimit(undefined);
    await queue.settingsChanged();
  });

  it('tells those alone that get a slot, and a session that asks again and continues waiting costs no row and no read of D1', async () => {
    const queue = newQueue();
    const ids = Array.from({ length: CAP + 200 }, newId);
    for (const id of ids) await queue.take(asking(id));
    const told: string[] = [];
    const spy = vi.spyOn(IssueSession.prototype, 'queueMoved').mockImplementation(function (
      this: IssueSession,
      position,
    ) {
      told.push(`${this.ctx.id.toString()} ${position}`);
    });
    const stored = watchStorage();
    await queue.give(ids[0] ?? '', 1);
    await vi.waitFor(() => expect(told).toEqual([`${ids[CAP]} 0`]));
    spy.mockRestore();
    // What is given back and what is given out are one value, written once.
    const given = stored.rowsWritten();
    expect(given).toBe(1);
    const reads = vi.spyOn(env.DB, 'prepare');
    try {
      expect(await queue.take(asking(ids.at(-1) ?? ''))).toBe(199);
      expect(await queue.take(asking(ids.at(-2) ?? ''))).toBe(198);
      expect(stored.rowsWritten() - given).toBe(0);
      expect(reads).not.toHaveBeenCalled();
    } finally {
      reads.mockRestore();
      stored.end();
    }
  });

  it('a queue of the version before reaches sessions by the names that it knows', async () => {
    const told: number[] = [];
    const moved = vi
      .spyOn(IssueSession.prototype, 'queueMoved')
      .mockImplementation((position) => void told.push(position));
    const needs = vi.spyOn(IssueSession.prototype, 'needsSlot').mockReturnValue(true);
    const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.newUniqueId());
    await session.placeChanged(2);
    expect(told).toEqual([2]);
    expect(await session.needsPlace()).toBe(true);
    moved.mockRestore();
    needs.mockRestore();
  });

  it('while sessions wait the queue wakes every five minutes, not more often', async () => {
    const queue = newQueue();
    for (const id of Array.from({ length: CAP + 1 }, newId)) await queue.take(asking(id));
    await runInDurableObject(queue, async (_, state) => {
      const alarm = (await state.storage.getAlarm()) ?? 0;
      expect(alarm - Date.now()).toBeGreaterThan(4 * 60_000);
    });
  });

  it('the queue of a workspace outlives its object', async () => {
    const queue = newQueue();
    const id = newId();
    await queue.take(asking(id));
    await runInDurableObject(queue, async (_, state) => {
      const next = new WorkspaceQueue(state, env);
      expect((await next.line()).working).toMatchObject([{ session: id }]);
    });
  });

  it('releases the slots of sessions that no longer need them, even if they never said so', async () => {
    const queue = newQueue();
    // A session to which nothing ever happened needs no place.
    await queue.take(asking(newId()));
    expect(await runDurableObjectAlarm(queue)).toBe(true);
    expect(await queue.line()).toMatchObject({ sessionsAtOnce: CAP, working: [], waiting: [] });
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

  it('for which no slot is free says its queue position, and begins when one is given back', async () => {
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

  it('that met a limit gives its slot back, is woken at the reset, and takes a slot again', async () => {
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
