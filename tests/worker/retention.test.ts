/** How long things are kept, by a clock that runs fast: what the settings say is what is left. */
import { createScheduledController, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import type { SettingName } from '../../src/protocol/settings/deployment.ts';
import { SandboxContainer } from '../../src/sandbox/sandbox-container.ts';
import { IssueSession } from '../../src/session/issue-session.ts';
import { audit, listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putPatch } from '../../src/store/logs.ts';
import { listApiTokens, putApiToken } from '../../src/store/people/api-tokens.ts';
import { listSignIns, putSignIn } from '../../src/store/people/sign-ins.ts';
import { indexSession, listSessions } from '../../src/store/session-index.ts';
import { putSetting, settledConfig } from '../../src/store/settings.ts';
import { addUsage, reportUsage } from '../../src/store/usage.ts';
import { histories } from '../histories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { watchStorage } from './support/platform-limits.ts';
import { page, Reporter, registerWorkspace, session } from './support/sessions.ts';

const DAY = 24 * 3_600_000;
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
let outside: Outside;
const begun = Date.now();

beforeEach(async () => {
  outside = new Outside();
  outside.interfere = (_url, _body, { method }) => (method === 'DELETE' ? Response.json({ state: 'closed' }) : null);
  await registerWorkspace();
});
afterEach(async () => {
  vi.useRealTimers();
  for (const table of ['settings', 'sessions', 'claude_usage', 'audit'])
    await db.orm.run(sql.raw(`DELETE FROM ${table}`));
});

const HOUR = 3_600_000;

/** It is so many days after the beginning, and some hours. */
const dayIs = (days: number, hours = 1) =>
  void vi.useFakeTimers({ now: begun + days * DAY + hours * HOUR, toFake: ['Date'] });

/** The session looks at what is due on that day, and again an hour later. */
async function wokenOn(days: number, thread: Thread): Promise<void> {
  for (const hours of [1, 2]) {
    dayIs(days, hours);
    await runDurableObjectAlarm(session(thread));
  }
}

async function set(name: SettingName, value: string): Promise<void> {
  const about = { by: 'admin', now: Date.now() };
  expect(await putSetting(db, env, { workspaceId: null, name, value }, about)).toBeNull();
  // What an isolate has read counts for ten seconds.
  vi.useFakeTimers({ now: Date.now() + 11_000, toFake: ['Date'] });
}

/** A session with a turn that is over, and something of each kind. */
async function finished(): Promise<{ thread: Thread; id: string }> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands.some(({ type }) => type === 'prompt')).toBe(true));
  await new Reporter(thread).report(init, result('Done.', [thread.agentSessionId]), saved(1, 0));
  await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
  const id = session(thread).id.toString();
  await vi.waitFor(async () => expect(await kinds(id)).toEqual(['logs']));
  const patch = new Blob(['diff']);
  await putPatch(env.LOGS, id, 'a'.repeat(40), patch.stream(), patch.size);
  await env.LOGS.put(`checkpoints/${id}/1/worktree-1`, 'bundle');
  await env.LOGS.put(`shared/${id}/${'b'.repeat(64)}`, 'shot');
  const line = { at: Date.now(), host: 'npm.test', method: 'GET', path: '/', status: 200, sent: 1, received: 1 };
  await session(thread).noteEgress([{ ...line, verdict: 'allowed' }]);
  outside.commands.length = 0;
  return { thread, id };
}

/** Kinds of objects that the bucket has of a session. */
async function kinds(id: string): Promise<string[]> {
  const { objects } = await env.LOGS.list();
  return [...new Set(objects.filter(({ key }) => key.includes(id)).map(({ key }) => key.split('/')[0] ?? ''))].sort();
}

const tablesOf = (thread: Thread) =>
  runInDurableObject(session(thread), (_, { storage }) => [
    ...storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
      )
      .toArray()
      .map(({ name }) => name),
    ...[...storage.kv.list()].map(([key]) => key),
  ]);

describe('what a session keeps', () => {
  it('goes part by part as the settings say, by its own alarm, and in the end the session itself, with its row', async () => {
    await set('RETENTION_CHECKPOINT_DAYS', '10');
    await set('RETENTION_EGRESS_DAYS', '20');
    await set('RETENTION_PATCH_DAYS', '30');
    await set('RETENTION_LOG_DAYS', '40');
    await set('RETENTION_SESSION_DAYS', '50');
    const { thread, id } = await finished();
    const left: [number, string[], boolean][] = [
      [9, ['checkpoints', 'logs', 'patches', 'shared'], true],
      [10, ['logs', 'patches', 'shared'], true],
      [29, ['logs', 'patches', 'shared'], false],
      [30, ['logs'], false],
      [39, ['logs'], false],
      [40, [], false],
    ];
    for (const [day, expected, hasEgress] of left) {
      await wokenOn(day, thread);
      expect(await kinds(id), `day ${day}`).toEqual(expected);
      expect((await tablesOf(thread)).includes('egress'), `day ${day}`).toBe(hasEgress);
      expect((await page(thread))?.session.phase, `day ${day}`).toBe('waiting');
    }
    await wokenOn(50, thread);
    expect(await page(thread)).toBeNull();
    expect(await tablesOf(thread)).toEqual([]);
    expect(await listSessions(db, { limit: 10, workspaceId: ORGANIZATION })).toEqual([]);
    await runInDurableObject(session(thread), async (_, { storage }) => expect(await storage.getAlarm()).toBeNull());
    // Somebody comments after all: a session begins as if there had never been one.
    await send(prompted(thread, 'One more thing.'));
    await vi.waitFor(() => expect(outside.commands.map(({ type }) => type)).toContain('prompt'));
    expect((await page(thread))?.session.turn).toBe(1);
  });

  it('stays while a turn runs, and all of it stays for as long again after another turn', async () => {
    await set('RETENTION_SESSION_DAYS', '50');
    const { thread, id } = await finished();
    dayIs(49);
    await send(prompted(thread, 'One more thing.'));
    await vi.waitFor(() => expect(outside.commands.map(({ type }) => type)).toContain('prompt'));
    await wokenOn(60, thread);
    expect((await page(thread))?.session.phase).not.toBe('waiting');
    expect(await kinds(id)).toContain('logs');
  });

  it('continues, without the checkpoint, if somebody comments while all of it is being deleted; nothing more is deleted then', async () => {
    await set('RETENTION_SESSION_DAYS', '50');
    await set('RETENTION_CHECKPOINT_DAYS', '0');
    const { thread, id } = await finished();
    await runInDurableObject(session(thread), (_, { storage }) => {
      storage.kv.put('checkpoint', { generation: 1, sequence: 1 });
    });
    dayIs(51);
    await runDurableObjectAlarm(session(thread));
    dayIs(51, 2);
    await runInDurableObject(session(thread), async (_, state) => {
      let lists = 0;
      const bucket = Object.create(env.LOGS, {
        delete: { value: (keys: string[]) => env.LOGS.delete(keys) },
        list: {
          value: (options: R2ListOptions) => {
            if (lists++ === 0) comment(interrupted, thread);
            return env.LOGS.list(options);
          },
        },
      });
      const interrupted = new IssueSession(state, Object.create(env, { LOGS: { value: bucket } }));
      await interrupted.alarm();
      expect(lists).toBe(2);
      expect(interrupted.turns()).toBe(2);
      expect(state.storage.kv.get('checkpoint')).toBeUndefined();
    });
    expect(await kinds(id)).toEqual(['checkpoints', 'patches', 'shared']);
  });

  it('is not removed while it is not known what is set: it may be meant to be kept for longer', async () => {
    const { thread, id } = await finished();
    dayIs(400);
    const fails = () => {
      throw new Error('it is away');
    };
    // Its own object, so that nothing was read for it before.
    const away = Object.create(env, {
      DB: { value: { prepare: fails, batch: fails } },
      OPERATIONS: { value: { getByName: fails } },
    });
    for (const hours of [1, 2]) {
      dayIs(400, hours);
      await runInDurableObject(session(thread), (_, state) => new IssueSession(state, away).alarm());
    }
    expect(await kinds(id)).toEqual(['checkpoints', 'logs', 'patches', 'shared']);
    await wokenOn(401, thread);
    expect(await kinds(id)).toEqual([]);
  });

  it.each([
    ['was set before the database went away', false],
    ['is set by words that only a newer version knows', true],
  ])('is not removed by a time that %s', async (_, isNewer) => {
    await set('RETENTION_SESSION_DAYS', isNewer ? '0' : '7');
    const { thread, id } = await finished();
    if (isNewer) await db.orm.run(sql.raw("UPDATE settings SET value = 'never' WHERE key = 'RETENTION_SESSION_DAYS'"));
    dayIs(8);
    let isAway = false;
    const DB = Object.create(env.DB, {
      prepare: {
        value: (text: string) => {
          if (isAway) throw new Error('it is away');
          return env.DB.prepare(text);
        },
      },
    });
    const here: Env = Object.create(env, { DB: { value: DB } });
    await settledConfig(here, null);
    isAway = !isNewer;
    for (const hours of [1, 2]) {
      dayIs(isNewer ? 400 : 9, hours);
      await runInDurableObject(session(thread), (_, state) => new IssueSession(state, here).alarm());
    }
    expect(await kinds(id)).toContain('logs');
    expect((await tablesOf(thread)).includes('state')).toBe(true);
  });

  it('is found by one walk after a setting was made shorter, also if no alarm was set, and rows without a session go', async () => {
    const { thread, id } = await finished();
    await runInDurableObject(session(thread), (_, { storage }) => storage.deleteAlarm());
    const row = {
      workspaceId: ORGANIZATION,
      title: 'Gone',
      phase: 'waiting',
      reason: '',
      turn: 1,
      version: 3,
    } as const;
    await indexSession(db, { id: env.ISSUE_SESSION.newUniqueId().toString(), ...row, createdAt: 1, updatedAt: 1 });
    await cron(12);
    expect(await kinds(id)).toEqual(['checkpoints', 'logs', 'patches', 'shared']);
    expect((await listSessions(db, { limit: 10 })).map((one) => one.id)).toContain(id);
    expect((await listSessions(db, { limit: 10 })).map(({ title }) => title)).not.toContain('Gone');
    dayIs(8);
    await set('RETENTION_SESSION_DAYS', '7');
    await cron(12);
    vi.useFakeTimers({ now: Date.now() + HOUR, toFake: ['Date'] });
    await runDurableObjectAlarm(session(thread));
    expect(await kinds(id)).toEqual([]);
    expect(await page(thread)).toBeNull();
  });
});

describe('a clock that is set forward by months', () => {
  const everything = ['checkpoints', 'logs', 'patches', 'shared'];

  it('and put right within the hour removes nothing of a session, neither then nor later', async () => {
    const { thread, id } = await finished();
    dayIs(500);
    await runDurableObjectAlarm(session(thread));
    dayIs(500, 1.9);
    await runDurableObjectAlarm(session(thread));
    for (const days of [0, 1, 20]) await wokenOn(days, thread);
    expect(await kinds(id)).toEqual(everything);
    expect((await page(thread))?.session.phase).toBe('waiting');
    // What was set right is removed in its time all the same.
    await wokenOn(31, thread);
    expect(await kinds(id)).toEqual(['logs', 'patches', 'shared']);
  });

  it('between the first look and the second makes the second one count as the first', async () => {
    const { thread, id } = await finished();
    for (const days of [31, 500]) {
      dayIs(days);
      await runDurableObjectAlarm(session(thread));
      expect(await kinds(id), `day ${days}`).toEqual(everything);
    }
    dayIs(500, 2);
    await runDurableObjectAlarm(session(thread));
    expect(await kinds(id)).toEqual([]);
  });

  it('ends no personal token and no sign-in for good', async () => {
    const memberships = JSON.stringify([]);
    const person = { kind: 'linear', person: 'linear:ada', name: 'Ada', email: '', memberships, checkedAt: 1 } as const;
    const of = (name: string, now: number) => ({
      ...{ id: name, ...person, createdAt: now, expiresAt: now + 30 * DAY, tokenHash: name },
    });
    const token = { label: 'ci', scope: 'read', usedAt: null, minute: 0, requests: 0 } as const;
    const browser = (now: number) => ({ browser: 'Firefox', seenAt: now });
    await putApiToken(db, { ...of('before', begun), ...token });
    await putSignIn(db, { ...of('before', begun), ...browser(begun) });
    dayIs(200);
    await putApiToken(db, { ...of('ahead', Date.now()), ...token });
    await putSignIn(db, { ...of('ahead', Date.now()), ...browser(Date.now()) });
    await cron(3);
    dayIs(0);
    await cron(4);
    expect((await listApiTokens(db, 'linear:ada', begun)).map(({ id }) => id)).toContain('before');
    expect((await listSignIns(db, 'linear:ada', begun)).map(({ id }) => id)).toContain('before');
  });
});

function comment(stub: IssueSession, { agentSessionId }: Thread): void {
  const promptId = crypto.randomUUID();
  const text = 'One more thing.';
  stub.accept({
    ...{ deliveryId: promptId, contentKey: promptId, origin: 'http://cyrus.test', about: null },
    event: { type: 'prompted', promptId, agentSessionId, text, author: null, person: null, source: 'mention' },
    promptText: { followUp: text, first: text },
  });
}

/** The cron trigger, at an hour of this day. */
async function cron(hour: number): Promise<void> {
  const now = Math.floor(Date.now() / DAY) * DAY + hour * HOUR;
  vi.useFakeTimers({ now, toFake: ['Date'] });
  await worker.scheduled(createScheduledController({ scheduledTime: new Date(now) }), env);
}

describe('rows of the database', () => {
  it('are removed once a day, an hour after they were found to be kept long enough, and nothing else is', async () => {
    const sum = {
      sessionId: 's',
      model: 'opus',
      token: 't',
      workspaceId: 'w',
      repository: 'r',
      requests: 1,
      refused: 0,
    };
    const tokens = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheCreationTokens: 0, costUsd: 1 };
    for (const day of ['2020-01-01', new Date().toISOString().slice(0, 10)]) {
      await addUsage(db, { id: crypto.randomUUID(), sums: [{ day, ...sum, ...tokens }] }, Date.now());
    }
    const entry = { actor: 'admin', action: 'thing.done', workspaceId: null, details: {} } as const;
    for (const age of [401, 399]) await audit(db, { ...entry, at: Date.now() - age * DAY, details: { age } });
    await cron(1);
    expect(await reportUsage(db, 'day', '2019-01-01')).toHaveLength(2);
    await cron(3);
    expect(await reportUsage(db, 'day', '2019-01-01')).toHaveLength(2);
    await cron(4);
    expect((await reportUsage(db, 'day', '2019-01-01')).map(({ group }) => group)).toEqual([
      new Date().toISOString().slice(0, 10),
    ]);
    expect((await listAudit(db, 10)).map(({ details }) => details.age)).toEqual([399]);
  });
});

describe('an idle deployment', () => {
  it('writes nothing for a day', async () => {
    const { thread } = await finished();
    await cron(0);
    dayIs(1);
    await cron(0);
    const stored = watchStorage();
    const spies = await runInDurableObject(session(thread), (_, { storage }) => {
      const [kv, whole] = [Object.getPrototypeOf(storage.kv), Object.getPrototypeOf(storage)];
      return [vi.spyOn(kv, 'put'), vi.spyOn(kv, 'delete'), vi.spyOn(whole, 'setAlarm')];
    });
    const bucket = [vi.spyOn(env.LOGS, 'put'), vi.spyOn(env.LOGS, 'delete')];
    const before = await changes();
    const ticks = histories(24 * 12);
    for (let tick = 0; tick < ticks; tick++) {
      const minute = Math.floor((tick * 24 * 60) / ticks);
      vi.useFakeTimers({ now: begun + DAY + 7_200_000 + minute * 60_000, toFake: ['Date'] });
      await worker.scheduled(createScheduledController({ scheduledTime: new Date() }), env);
    }
    expect(await changes()).toBe(before);
    expect(stored.rowsWritten()).toBe(0);
    for (const spy of [...spies, ...bucket]) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    stored.end();
    expect((await page(thread))?.session.phase).toBe('waiting');
  });
});

/** Rows that were ever changed in the database. */
async function changes(): Promise<number> {
  const row = await env.DB.prepare('SELECT total_changes() AS changes').first<{ changes: number }>();
  return row?.changes ?? -1;
}

describe('the object of a container that has ended', () => {
  it('deletes what it stores a day later, once its session knows of the end', async () => {
    const stub = env.WORKSPACE_QUEUE.getByName('stands-in-for-a-container');
    await runInDurableObject(stub, async (_, state) => {
      Object.defineProperty(state, 'container', { value: { running: false } });
      const container = new SandboxContainer(state as DurableObjectState<object>, env);
      await state.storage.sync();
      await container.onStop({ exitCode: 0 });
      expect(state.storage.sql.exec('SELECT callback FROM container_schedules').toArray()).toEqual([
        { callback: 'forget' },
      ]);
      dayIs(2);
      await container.alarm();
      expect(
        state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
      ).toEqual([]);
      expect([...state.storage.kv.list()]).toEqual([]);
    });
  });
});
