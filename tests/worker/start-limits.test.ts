/** Limits on starts, as people of a workspace meet them and as admins change them. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { emptyLine } from '../../src/queue/fair-queue.ts';
import { takeSlot } from '../../src/session/effects/queue-slots.ts';
import { SessionPlay } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, registerWorkspace, session } from './support/sessions.ts';

const MINUTE = 60_000;
let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
  // What earlier tests began counts no more.
  await queue().erase();
});
afterEach(async () => {
  vi.useRealTimers();
  for (const name of ['SESSIONS_A_PERSON_HOUR', 'SANDBOX_MINUTES_DAY', 'STARTS_A_MINUTE']) await set(name, null);
});

const queue = () => env.WORKSPACE_QUEUE.getByName(ORGANIZATION);

/** As an admin does it, by the API. @param value null: the stored one is removed */
async function set(name: string, value: string | null): Promise<Response> {
  return exports.default.fetch(`http://cyrus.test/api/admin/settings/${name}?workspace=${ORGANIZATION}`, {
    method: value === null ? 'DELETE' : 'PUT',
    headers: { authorization: `Bearer ${env.ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(value !== null && { body: JSON.stringify({ value }) }),
  });
}

it('a person’s session beyond the limit waits, says why on the page and in Linear, and starts as soon as an admin raises the limit', async () => {
  expect((await set('SESSIONS_A_PERSON_HOUR', '1')).status).toBe(200);
  const [first, second] = [newThread(), newThread()];
  await send(created(first));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  await send(created(second));
  await vi.waitFor(async () =>
    expect((await page(second))?.session).toMatchObject({
      phase: 'queued',
      reason: 'Waiting: one person may begin 1 new session an hour',
    }),
  );
  await vi.waitFor(() =>
    expect(outside.said.map(({ content }) => content.body).join()).toMatch(
      /one person may begin 1 new session an hour\. This starts by itself at .*UTC at the earliest, or once an admin raises SESSIONS_A_PERSON_HOUR\./,
    ),
  );
  expect(outside.starts.filter(({ sessionId }) => sessionId === session(second).id.toString())).toEqual([]);
  await set('SESSIONS_A_PERSON_HOUR', '2');
  await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
});

it('a session that waits for a limit starts when its period is over, woken by the queue', async () => {
  await set('SESSIONS_A_PERSON_HOUR', '1');
  const threads = [newThread(), newThread()] as const;
  for (const thread of threads) await send(created(thread));
  await vi.waitFor(async () => expect((await queue().line()).waiting).toHaveLength(1));
  expect((await queue().line()).reached?.name).toBe('SESSIONS_A_PERSON_HOUR');
  const { reached } = await queue().line();
  vi.useFakeTimers({ now: (reached?.until ?? 0) + 1, toFake: ['Date'] });
  await runDurableObjectAlarm(queue());
  await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
});

it('a budget of sandbox minutes that is used up is shown to admins with what is used, and holds up every start until it is raised', async () => {
  const now = Date.now();
  await runInDurableObject(queue(), (_object, { storage }) => {
    const [day, month] = [new Date(now).toISOString().slice(0, 10), new Date(now).toISOString().slice(0, 7)];
    storage.kv.put('line', { ...emptyLine, used: { day, dayMs: 90 * MINUTE, month, monthMs: 90 * MINUTE } });
  });
  await runInDurableObject(queue(), (_object, state) => state.abort('it is read again')).catch(() => {});
  await set('SANDBOX_MINUTES_DAY', '60');
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(async () =>
    expect((await page(thread))?.session.reason).toBe('Waiting: the day’s budget of 60 sandbox minutes is used up'),
  );
  expect(await queue().line()).toMatchObject({
    sandboxMinutes: { day: 90, month: 90 },
    limits: { SANDBOX_MINUTES_DAY: 60 },
    reached: { name: 'SANDBOX_MINUTES_DAY', most: 60 },
    working: [],
  });
  await set('SANDBOX_MINUTES_DAY', '120');
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
});

it('many starts at the same time follow one another, and the queue wakes within seconds for the next', async () => {
  await set('STARTS_A_MINUTE', '12');
  // Queues are told after the answer.
  await queue().settingsChanged();
  const ids = Array.from({ length: 8 }, () => env.ISSUE_SESSION.newUniqueId().toString());
  const answers = [];
  for (const id of ids) answers.push(await queue().ask({ session: id, owner: id, turn: 1, isUnderWay: false }));
  expect(answers.map(({ position }) => position)).toEqual([0, 0, 1, 2, 3, 4, 5, 6]);
  expect(answers.at(-1)?.limit).toMatchObject({ name: 'STARTS_A_MINUTE', most: 12 });
  await runInDurableObject(queue(), async (_object, { storage }) => {
    expect(((await storage.getAlarm()) ?? 0) - Date.now()).toBeLessThan(6_000);
  });
});

it('a session asks a queue of the version before by the call that it knows, and starts where no queue answers', async () => {
  const { state } = new SessionPlay();
  const askingOf = async (queueOfThen: object) => {
    const WORKSPACE_QUEUE = { getByName: () => queueOfThen };
    return await takeSlot({ env: { ...env, WORKSPACE_QUEUE } as unknown as Env, state });
  };
  const missing = async () => Promise.reject(new TypeError('The RPC receiver does not implement the method "ask".'));
  expect(await askingOf({ ask: missing, take: async () => 2 })).toEqual({ position: 2, limit: null });
  expect(await askingOf({ ask: missing, take: missing })).toEqual({ position: 0, limit: null });
});

it('a session of the version before is told its position alone', async () => {
  await set('SESSIONS_A_PERSON_HOUR', '1');
  await queue().settingsChanged();
  const ids = [0, 1].map(() => env.ISSUE_SESSION.newUniqueId().toString());
  const take = (id: string) => queue().take({ session: id, owner: 'ada', turn: 1, isUnderWay: false });
  expect([await take(ids[0] ?? ''), await take(ids[1] ?? '')]).toEqual([0, 1]);
});
