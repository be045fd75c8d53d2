/** Settings that take effect without a deploy: read, changed and removed by admins. */
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tellAll } from '../../src/routes/admin/changed-settings.ts';
import { openDatabase } from '../../src/store/database.ts';
import { deleteSetting, lastConfig, listSettings, putSetting, settledConfig } from '../../src/store/settings.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { init } from '../unit/support/session-play.ts';
import { databaseAway } from './support/database-away.ts';
import { created, newThread, ORGANIZATION, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { Reporter, registerWorkspace, session } from './support/sessions.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);

beforeEach(registerWorkspace);
afterEach(async () => {
  vi.restoreAllMocks();
  await db.orm.run(sql`DELETE FROM settings`);
  await settledConfig(env, null, true);
  vi.useRealTimers();
});

async function ask(method: string, path: string, body?: unknown) {
  const response = await exports.default.fetch(`http://cyrus.test/api/admin${path}`, {
    method,
    headers: { authorization: `Bearer ${env.ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const json: Record<string, unknown> = await response.json();
  return { status: response.status, json };
}

const put = (name: string, value: string, workspaceId: string | null = null) =>
  putSetting(db, env, { workspaceId, name: name as 'PAUSED', value }, { by: 'admin', now: 1 });

describe('a setting', () => {
  it('takes the place of its variable, that of a workspace before that of the deployment, until it is removed', async () => {
    expect((await settledConfig(env, ORGANIZATION, true)).claude.model).toBe('sonnet');
    await put('CLAUDE_MODEL', 'opus');
    await put('CLAUDE_MODEL', 'haiku', ORGANIZATION);
    expect((await settledConfig(env, null, true)).claude.model).toBe('opus');
    expect((await settledConfig(env, ORGANIZATION)).claude.model).toBe('haiku');
    expect((await settledConfig(env, 'another-workspace')).claude.model).toBe('opus');
    expect(await deleteSetting(db, ORGANIZATION, 'CLAUDE_MODEL')).toBe(true);
    expect((await settledConfig(env, ORGANIZATION, true)).claude.model).toBe('opus');
    expect(await deleteSetting(db, null, 'CLAUDE_MODEL')).toBe(true);
    expect((await settledConfig(env, ORGANIZATION, true)).claude.model).toBe('sonnet');
  });

  it('counts ten seconds after it was stored at the latest, and is not read more often than that', async () => {
    await settledConfig(env, null, true);
    await put('MAX_SESSIONS_AT_ONCE', '3');
    expect((await settledConfig(env, null)).limits.sessionsAtOnce).toBe(10);
    vi.useFakeTimers({ now: Date.now() + 10_000, toFake: ['Date'] });
    expect((await settledConfig(env, null)).limits.sessionsAtOnce).toBe(3);
  });

  it('counts as it was read last while the database is away', async () => {
    await put('MAX_SESSIONS_AT_ONCE', '4');
    expect((await settledConfig(env, null, true)).limits.sessionsAtOnce).toBe(4);
    const log = spyOnLog();
    const away = vi.spyOn(env.DB, 'prepare').mockImplementation(() => {
      throw new Error('D1 is away');
    });
    expect((await settledConfig(env, null, true)).limits.sessionsAtOnce).toBe(4);
    expect(away).toHaveBeenCalled();
    expect(JSON.stringify(log.mock.calls)).toContain('settings.read.failed');
  });

  it('counts as it was read last while the database does not answer, and nothing waits longer than a second', async () => {
    await put('MAX_SESSIONS_AT_ONCE', '4');
    await settledConfig(env, null, true);
    const log = spyOnLog();
    databaseAway('is locked');
    vi.useFakeTimers({ now: Date.now(), toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    const asked = settledConfig(env, null, true);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await asked).limits.sessionsAtOnce).toBe(4);
    expect(JSON.stringify(log.mock.calls)).toContain('no answer within 1 s');
  });

  it('that does not fit the variables any more is passed over, with an alert, and the others count', async () => {
    await put('MAX_SESSIONS_AT_ONCE', '5');
    await db.orm.run(sql`INSERT INTO settings VALUES ('deployment', 'CLAUDE_PLAN', 'golden', 'admin', 1)`);
    const log = spyOnLog();
    expect((await settledConfig(env, null, true)).limits).toMatchObject({ sessionsAtOnce: 5, plan: 'max' });
    expect(JSON.stringify(log.mock.calls)).toContain('alert.settings.misfit');
    expect(lastConfig(env, null).limits.sessionsAtOnce).toBe(5);
    const plan = (await listSettings(db, env, null)).find(({ name }) => name === 'CLAUDE_PLAN');
    expect(plan).toMatchObject({ from: 'variable', value: env.CLAUDE_PLAN });
  });
});

describe('while the database is away', () => {
  it.each(['fails', 'is locked'] as const)(
    'an isolate that has read no setting yet goes by the copy of others (the database %s)',
    async (how) => {
      expect((await ask('PUT', '/settings/MAX_SESSIONS_AT_ONCE', { value: 7 })).status).toBe(200);
      const operations = env.OPERATIONS.getByName('deployment');
      await vi.waitFor(async () =>
        expect(JSON.stringify(await operations.keptSettings())).toContain('MAX_SESSIONS_AT_ONCE'),
      );
      const away = databaseAway(how);
      expect((await settledConfig({ ...env }, null)).limits.sessionsAtOnce).toBe(7);
      away.back();
      // The copy is no more than that: what the database says counts as soon as it answers.
      await deleteSetting(db, null, 'MAX_SESSIONS_AT_ONCE');
      expect((await settledConfig({ ...env }, null)).limits.sessionsAtOnce).toBe(10);
    },
  );

  it('an isolate goes by the variables if there is no copy, or it cannot be had', async () => {
    const OPERATIONS = { getByName: () => ({ keptSettings: () => Promise.reject(new Error('no object')) }) };
    const away = databaseAway('fails');
    const config = await settledConfig({ ...env, OPERATIONS } as unknown as Env, null);
    away.back();
    expect(config.limits.sessionsAtOnce).toBe(10);
  });

  it('telling those who wait fails quietly: they ask by themselves', async () => {
    const away = databaseAway('fails');
    await expect(tellAll(env, db, null)).resolves.toBeUndefined();
    away.back();
  });
});

describe('a setting of a workspace', () => {
  it('counts for a turn whose object begins another life, without waiting for its next start', async () => {
    const outside = new Outside();
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await new Reporter(thread).report(init);
    expect(await session(thread).takeBytes(1)).toBeNull();
    await put('SESSION_MIB_AN_HOUR', '100', ORGANIZATION);
    vi.useFakeTimers({ now: Date.now() + 11_000, toFake: ['Date'] });
    await evictDurableObject(session(thread));
    await runDurableObjectAlarm(session(thread));
    // Long before its silence has the sandbox looked for, which is a start.
    await vi.waitFor(async () => expect(await session(thread).takeBytes(101 * 1024 ** 2)).toMatch(/100 MiB/), 7_000);
  });
});

describe('the admin API', () => {
  it('stores a setting, shows where each value is from, notes who changed it, and removes it', async () => {
    expect(await ask('PUT', '/settings/MAX_SESSIONS_AT_ONCE', { value: 7 })).toMatchObject({
      status: 200,
      json: { name: 'MAX_SESSIONS_AT_ONCE', value: '7', from: 'deployment', updatedBy: 'admin' },
    });
    const { json } = await ask('GET', '/settings');
    expect(json.settings).toContainEqual(expect.objectContaining({ name: 'MAX_SESSIONS_AT_ONCE', value: '7' }));
    expect(json.settings).toContainEqual(expect.objectContaining({ name: 'PAUSED', value: 'false', from: 'variable' }));
    expect(json.settings).toContainEqual(expect.objectContaining({ name: 'SESSION_MIB_AN_HOUR', from: 'default' }));
    const audit = (await ask('GET', '/audit?limit=1')).json;
    expect(audit).toMatchObject({
      entries: [{ action: 'setting.stored', details: { setting: 'MAX_SESSIONS_AT_ONCE', value: '7' } }],
    });
    expect(await ask('DELETE', '/settings/MAX_SESSIONS_AT_ONCE')).toMatchObject({
      status: 200,
      json: { value: '10', from: 'variable' },
    });
    expect((await ask('DELETE', '/settings/MAX_SESSIONS_AT_ONCE')).status).toBe(404);
  });

  it('refuses what the variable would refuse, in the same words, and stores nothing', async () => {
    expect(await ask('PUT', '/settings/PAUSED', { value: 'perhaps' })).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining('PAUSED: ') },
    });
    expect(await ask('PUT', '/settings/ENCRYPTION_KEY', { value: 'x' })).toMatchObject({
      status: 404,
      json: {
        message: expect.stringContaining('ENCRYPTION_KEY cannot be set while the Worker runs. These can: PAUSED'),
      },
    });
    expect((await ask('PUT', `/settings/CLAUDE_PLAN?workspace=${ORGANIZATION}`, { value: 'pro' })).status).toBe(400);
    expect((await ask('PUT', '/settings/PAUSED?workspace=nobody', { value: true })).status).toBe(404);
    const { json } = await ask('GET', `/settings?workspace=${ORGANIZATION}`);
    expect(json.settings).not.toContainEqual(expect.objectContaining({ from: 'deployment' }));
    expect(json.settings).not.toContainEqual(expect.objectContaining({ from: 'workspace' }));
  });
});
