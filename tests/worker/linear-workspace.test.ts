import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CallResult, Priority } from '../../src/linear/api/call.ts';
import { MOST_AT_ONCE } from '../../src/linear/api/governor.ts';
import { LinearWorkspace, uninstall } from '../../src/linear/workspace.ts';
import { sessionListSchema } from '../../src/protocol/api.ts';
import { listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { readTokens } from '../../src/store/workspaces/installations.ts';
import { findWorkspace, upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { databaseAway } from './support/database-away.ts';
import { allowanceHeaders, FakeLinear, type FakeWorkspace, rateLimited } from './support/fake-linear.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const DAY = 24 * 3_600_000;
/** Everything logged in this file, and every secret there was. */
const logged: string[] = [];
const secrets: string[] = [];
let linear: FakeLinear;

beforeEach(() => {
  for (const level of ['log', 'warn', 'error', 'info', 'debug'] as const) {
    vi.spyOn(console, level).mockImplementation((...line) => void logged.push(JSON.stringify(line)));
  }
  linear = new FakeLinear();
});
afterEach(() => void secrets.push(...linear.secrets));

interface Installed extends FakeWorkspace {
  access: string;
  refresh: string;
}

/** A workspace with the app installed. @param endsIn ms until the access token ends */
async function installed({ endsIn = DAY }: { endsIn?: number } = {}): Promise<Installed> {
  const workspace = { id: crypto.randomUUID(), name: 'Acme', urlKey: 'acme', appUserId: crypto.randomUUID() };
  const pair = linear.grant(workspace);
  await object(workspace.id).install({
    ...workspace,
    accessToken: pair.access,
    refreshToken: pair.refresh,
    expiresAt: Date.now() + endsIn,
    installedBy: 'oauth',
  });
  return { ...workspace, ...pair };
}

/** Puts the end of the stored token elsewhere, as if time had passed, and lets the object forget what it holds. */
async function passTime({ id }: Installed, endsIn: number): Promise<void> {
  await env.DB.prepare('update workspaces set expires_at = ? where id = ?')
    .bind(Date.now() + endsIn, id)
    .run();
  await evictDurableObject(object(id));
}

function object(id: string) {
  return env.LINEAR_WORKSPACE.getByName(id);
}

function say({ id }: { id: string }, priority: Priority = 'answer', label = ''): Promise<CallResult> {
  const document =
    'mutation CreateActivity($input: AgentActivityCreateInput!) { agentActivityCreate(input: $input) { success } }';
  return object(id).call({ document, variables: { input: { label } }, priority, idempotent: true });
}

const labels = () => linear.calls.map(({ variables }) => (variables.input as { label: string }).label);
const stored = (id: string) => readTokens(db, id);

describe("a workspace's tokens", () => {
  it('are renewed once for twenty calls at once, five minutes before they end, and stored before they are used', async () => {
    const workspace = await installed();
    await passTime(workspace, 4 * 60_000);
    const atUse: unknown[] = [];
    linear.interfere = async (url) => {
      if (url.endsWith('/graphql')) atUse.push(await stored(workspace.id));
      return null;
    };
    const results = await Promise.all(Array.from({ length: 20 }, () => say(workspace)));
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(linear.refreshes).toBe(1);
    const tokens = new Set(linear.calls.map(({ token }) => token));
    expect([...tokens]).toHaveLength(1);
    expect(tokens.has(workspace.access)).toBe(false);
    for (const pair of atUse) expect(pair).toMatchObject({ accessToken: [...tokens][0] });
    expect(await stored(workspace.id)).not.toMatchObject({ refreshToken: workspace.refresh });
  });

  it('are not renewed before that', async () => {
    const workspace = await installed();
    await passTime(workspace, 6 * 60_000);
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(linear.refreshes).toBe(0);
  });

  it('are renewed by an alarm, so that no call has to wait for it', async () => {
    const workspace = await installed({ endsIn: DAY });
    const alarm = () => runInDurableObject(object(workspace.id), (_, state) => state.storage.getAlarm());
    await vi.waitFor(async () => expect(await alarm()).toBeGreaterThan(Date.now() + DAY - 6 * 60_000));
    await passTime(workspace, 60_000);
    await runDurableObjectAlarm(object(workspace.id));
    expect(linear.refreshes).toBe(1);
    expect(await stored(workspace.id)).toMatchObject({ status: 'active', expiresAt: expect.any(Number) });
    await vi.waitFor(async () => expect(await alarm()).toBeGreaterThan(Date.now() + DAY - 6 * 60_000));
  });

  it('are renewed once when Linear refuses them, for all calls that meet it, which are then repeated once', async () => {
    const workspace = await installed();
    await say(workspace);
    linear.expireAccess();
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, index) => say(workspace, 'answer', `call ${index}`)),
    );
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(linear.refreshes).toBe(1);
    const answered = linear.calls.slice(1).filter(({ token }) => linear.isLive(token));
    expect(answered).toHaveLength(10);
  });

  it('that are refused again after a renewal are a failure, not a loop', async () => {
    const workspace = await installed();
    const unauthorized = { errors: [{ message: 'no', extensions: { code: 'AUTHENTICATION_ERROR' } }] };
    linear.interfere = (url) => (url.endsWith('/graphql') ? Response.json(unauthorized, { status: 401 }) : null);
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unauthorized' });
    expect(linear.refreshes).toBe(1);
  });

  it('survive a lost answer of the token endpoint: the same refresh token is shown again', async () => {
    const workspace = await installed();
    await passTime(workspace, 60_000);
    let losses = 1;
    linear.loseAnswer = (url) => url.endsWith('/token') && losses-- > 0;
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(linear.tokenRequests.map((form) => form.get('refresh_token'))).toEqual([
      workspace.refresh,
      workspace.refresh,
    ]);
  });

  it('survive the loss of the object between the rotation and its storing', async () => {
    const workspace = await installed();
    await passTime(workspace, -1_000);
    // The database is gone in just that moment.
    const rename = (from: string, to: string) => env.DB.prepare(`alter table ${from} rename to ${to}`).run();
    linear.interfere = async (url) => {
      if (url.endsWith('/token')) await rename('workspaces', 'gone');
      return null;
    };
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unreachable' });
    linear.interfere = () => null;
    expect(linear.refreshes).toBe(1);
    expect(linear.calls).toEqual([]);
    await rename('gone', 'workspaces');
    expect(await stored(workspace.id)).toMatchObject({ refreshToken: workspace.refresh });
    await evictDurableObject(object(workspace.id));
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(linear.refreshes).toBe(2);
    expect(await stored(workspace.id)).not.toMatchObject({ refreshToken: workspace.refresh });
    linear.endGrace();
    linear.expireAccess();
    expect(await say(workspace)).toMatchObject({ ok: true });
  });

  it('that could not be stored are stored first thing by the next call, without asking Linear again', async () => {
    const workspace = await installed();
    await passTime(workspace, -1_000);
    const rename = (from: string, to: string) => env.DB.prepare(`alter table ${from} rename to ${to}`).run();
    linear.interfere = async (url) => {
      if (url.endsWith('/token')) await rename('workspaces', 'gone');
      return null;
    };
    expect(await say(workspace)).toMatchObject({ ok: false });
    linear.interfere = () => null;
    await rename('gone', 'workspaces');
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(linear.refreshes).toBe(1);
  });

  it('are used as long as they last while they cannot be renewed', async () => {
    const workspace = await installed();
    await passTime(workspace, 60_000);
    let asked = 0;
    linear.interfere = (url) => {
      if (!url.endsWith('/token')) return null;
      asked += 1;
      return new Response('down', { status: 503 });
    };
    for (let i = 0; i < 5; i++) expect(await say(workspace)).toMatchObject({ ok: true });
    // Asked once and once again: nobody waits for an endpoint that is down.
    expect(asked).toBe(2);
    await passTime(workspace, -1);
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unreachable' });
  });

  it('that cannot be renewed any more are told once; every later call fails at once, with words', async () => {
    const workspace = await installed();
    await passTime(workspace, 60_000);
    linear.forgetAll();
    const before = logged.length;
    const results = await Promise.all(Array.from({ length: 5 }, () => say(workspace)));
    for (const result of results) {
      expect(result).toMatchObject({
        ok: false,
        kind: 'unauthorized',
        message: expect.stringContaining('install Cyrus again'),
      });
    }
    const asked = linear.tokenRequests.length;
    await evictDurableObject(object(workspace.id));
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unauthorized' });
    expect(linear.tokenRequests).toHaveLength(asked);
    expect(linear.calls).toEqual([]);
    expect(await findWorkspace(db, workspace.id)).toMatchObject({ status: 'reinstall-needed' });
    const told = logged.slice(before).filter((line) => line.includes('alert.linear.reinstall_needed'));
    expect(told).toHaveLength(1);
    const entries = (await listAudit(db, 50)).filter((entry) => entry.workspaceId === workspace.id);
    expect(entries.map(({ action }) => action)).toEqual(['workspace.reinstall-needed']);
  });

  it('renewed with fewer scopes than Cyrus needs mark the workspace, and say which are missing', async () => {
    const workspace = await installed();
    await passTime(workspace, 60_000);
    linear.renewedScope = 'read write';
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unauthorized' });
    expect(await findWorkspace(db, workspace.id)).toMatchObject({ status: 'reinstall-needed' });
    const entries = (await listAudit(db, 50)).filter((entry) => entry.workspaceId === workspace.id);
    expect(JSON.stringify(entries)).toContain('app:mentionable');
  });

  it('work again after a new installation', async () => {
    const workspace = await installed();
    linear.forgetAll();
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unauthorized' });
    const { access, refresh } = linear.grant(workspace);
    await object(workspace.id).install({
      ...workspace,
      accessToken: access,
      refreshToken: refresh,
      installedBy: 'oauth',
    });
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(await findWorkspace(db, workspace.id)).toMatchObject({ status: 'active' });
  });

  it('that Linear takes no more are shown on the pages, until the app is installed again', async () => {
    const workspace = { ...(await installed()), name: 'Shut out' };
    const { access, refresh, ...input } = workspace;
    const tokens = { accessToken: access, refreshToken: refresh, installedBy: 'oauth' as const };
    await object(workspace.id).install({ ...input, ...tokens });
    const shown = async () => {
      const response = await exports.default.fetch('http://cyrus.test/api/sessions?limit=0');
      return sessionListSchema.parse(await response.json());
    };
    expect((await shown()).reinstallNeeded).not.toContain('Shut out');
    linear.forgetAll();
    await say(workspace);
    expect(await shown()).toMatchObject({ sessions: [], reinstallNeeded: expect.arrayContaining(['Shut out']) });
    const granted = linear.grant(workspace);
    const renewed = { accessToken: granted.access, refreshToken: granted.refresh, installedBy: 'oauth' as const };
    await object(workspace.id).install({ ...input, ...renewed });
    expect((await shown()).reinstallNeeded).not.toContain('Shut out');
  });

  it('are not given up because the secret of the application is wrong', async () => {
    const workspace = await installed();
    await passTime(workspace, -1);
    linear.interfere = (url) =>
      url.endsWith('/token') ? Response.json({ error: 'invalid_client' }, { status: 401 }) : null;
    expect(await say(workspace)).toMatchObject({ ok: false, message: expect.stringContaining('LINEAR_CLIENT_SECRET') });
    expect(await findWorkspace(db, workspace.id)).toMatchObject({ status: 'active' });
    linear.interfere = () => null;
    expect(await say(workspace)).toMatchObject({ ok: true });
  });

  it('installed while they are being renewed are not overwritten by what the renewal brings', async () => {
    const workspace = await installed();
    await passTime(workspace, 60_000);
    const fresh = linear.grant(workspace);
    let installation: Promise<void> | undefined;
    linear.interfere = (url) => {
      const input = {
        ...workspace,
        accessToken: fresh.access,
        refreshToken: fresh.refresh,
        installedBy: 'oauth',
      } as const;
      if (url.endsWith('/token')) installation ??= object(workspace.id).install(input);
      return null;
    };
    await say(workspace);
    await installation;
    expect(await stored(workspace.id)).toMatchObject({ accessToken: fresh.access, refreshToken: fresh.refresh });
    await say(workspace);
    expect(linear.calls.at(-1)?.token).toBe(fresh.access);
  });

  it('stored by hand are tried as they are; refused ones are told once and used again once they work', async () => {
    const workspace = { id: crypto.randomUUID(), name: 'Acme', urlKey: 'acme', appUserId: 'app-1' };
    const { access } = linear.grant(workspace);
    await object(workspace.id).install({ ...workspace, accessToken: access, installedBy: 'admin' });
    const unauthorized = { errors: [{ message: 'no', extensions: { code: 'AUTHENTICATION_ERROR' } }] };
    linear.interfere = () => Response.json(unauthorized, { status: 401 });
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unauthorized' });
    expect(await findWorkspace(db, workspace.id)).toMatchObject({ status: 'reinstall-needed' });
    expect(linear.tokenRequests).toEqual([]);
    linear.interfere = () => null;
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(await findWorkspace(db, workspace.id)).toMatchObject({ status: 'active' });
  });

  it('tokens of the application itself are fetched again when they end, if that is switched on', async () => {
    const workspace = { id: crypto.randomUUID(), name: 'Acme', urlKey: 'acme', appUserId: 'app-1' };
    linear.ownWorkspace = workspace;
    const { access } = linear.grant(workspace);
    await runInDurableObject(object(workspace.id), async (_, state) => {
      const own = new LinearWorkspace(state, { ...env, LINEAR_CLIENT_CREDENTIALS: 'true' });
      await own.install({
        ...workspace,
        accessToken: access,
        expiresAt: Date.now() + DAY,
        installedBy: 'client-credentials',
      });
      linear.expireAccess();
      const call = {
        document: 'query Teams { teams { nodes { id } } }',
        variables: {},
        priority: 'action',
        idempotent: false,
      } as const;
      expect(await own.call(call)).toMatchObject({ ok: true });
      expect(linear.tokenRequests.map((form) => form.get('grant_type'))).toEqual(['client_credentials']);
      // One that was stored by hand may be of another workspace: it is not exchanged.
      await own.install({ ...workspace, accessToken: 'lin_oauth_by_hand', installedBy: 'admin' });
      expect(await own.call(call)).toMatchObject({ ok: false, kind: 'unauthorized' });
      expect(linear.tokenRequests).toHaveLength(1);
    });
  });

  it('encrypted with the old key are read, and re-encrypted on command', async () => {
    const workspace = { id: crypto.randomUUID(), name: 'Acme', urlKey: 'acme', appUserId: 'app-1' };
    const { access, refresh } = linear.grant(workspace);
    const old = openDatabase(env.DB, env.ENCRYPTION_KEY_OLD);
    await upsertWorkspace(old, workspace.id, { ...workspace, accessToken: access, refreshToken: refresh }, 1);
    await expect(stored(workspace.id)).rejects.toThrow('ENCRYPTION_KEY_OLD');
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(await object(workspace.id).reencrypt()).toEqual({ moved: 2, unreadable: [] });
    expect(await stored(workspace.id)).toMatchObject({ accessToken: access, refreshToken: refresh });
    expect(await object(workspace.id).reencrypt()).toEqual({ moved: 0, unreadable: [] });
    expect(await say(workspace)).toMatchObject({ ok: true });
    linear.expireAccess();
    expect(await say(workspace)).toMatchObject({ ok: true });
  });

  it('encrypted with a key that is gone are a failure that says what to do', async () => {
    const workspace = { id: crypto.randomUUID(), name: 'Acme', urlKey: 'acme', appUserId: 'app-1' };
    const lost = openDatabase(env.DB, btoa('another key of exactly 32 bytes.'));
    await upsertWorkspace(lost, workspace.id, { ...workspace, accessToken: 'lin_oauth_x' }, 1);
    expect(await say(workspace)).toMatchObject({ ok: false, message: expect.stringContaining('ENCRYPTION_KEY_OLD') });
    expect((await object(workspace.id).reencrypt()).unreadable).toEqual([`tokens of workspace ${workspace.id}`]);
  });
});

describe.each(['fails', 'is locked'] as const)('while the database %s', (how) => {
  let database: ReturnType<typeof databaseAway> | null = null;
  afterEach(() => {
    database?.back();
    vi.useRealTimers();
  });

  /** Its token ends in four minutes, and nothing has renewed it yet. */
  async function ending(): Promise<Installed> {
    const workspace = await installed({ endsIn: 10 * 60_000 });
    expect(await say(workspace)).toMatchObject({ ok: true });
    vi.useFakeTimers({ now: Date.now() + 6 * 60_000, toFake: ['Date'] });
    database = databaseAway(how);
    return workspace;
  }

  it('calls go out, also of an object that was evicted, and a token that ends is renewed and used', async () => {
    const workspace = await ending();
    await evictDurableObject(object(workspace.id));
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(linear.refreshes).toBe(1);
    const renewed = linear.calls.at(-1)?.token;
    expect(renewed).not.toBe(workspace.access);
    // What was renewed is kept by the object: Linear takes the old refresh token no more.
    linear.endGrace();
    await evictDurableObject(object(workspace.id));
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(linear.calls.at(-1)?.token).toBe(renewed);
    expect(linear.refreshes).toBe(1);
    database?.back();
    expect(await stored(workspace.id)).toMatchObject({ accessToken: workspace.access });
    await evictDurableObject(object(workspace.id));
    expect(await say(workspace)).toMatchObject({ ok: true });
    // The copy follows, without anybody having to wait for it.
    await runDurableObjectAlarm(object(workspace.id));
    expect(await stored(workspace.id)).toMatchObject({ accessToken: renewed });
    expect(linear.refreshes).toBe(1);
  });

  it('what is installed afterwards counts, and not what was renewed before', async () => {
    const workspace = await ending();
    expect(await say(workspace)).toMatchObject({ ok: true });
    database?.back();
    const pair = linear.grant(workspace);
    await object(workspace.id).install({ ...workspace, accessToken: pair.access, installedBy: 'oauth' });
    await evictDurableObject(object(workspace.id));
    await runDurableObjectAlarm(object(workspace.id));
    expect(await say(workspace)).toMatchObject({ ok: true });
    expect(linear.calls.at(-1)?.token).toBe(pair.access);
    expect(await stored(workspace.id)).toMatchObject({ accessToken: pair.access });
  });
});

describe('an uninstallation', () => {
  it('wipes the tokens; every later call fails at once, and says what to do', async () => {
    const workspace = await installed();
    await say(workspace);
    expect(await uninstall(env, workspace.id, Date.now() + 1)).toBe('revoked');
    const row = await env.DB.prepare('select * from workspaces where id = ?').bind(workspace.id).first();
    expect(row).toMatchObject({ access_token: '', refresh_token: null, status: 'revoked' });
    expect(await say(workspace)).toMatchObject({
      ok: false,
      kind: 'unauthorized',
      message: expect.stringContaining('install it again'),
    });
    expect(linear.calls).toHaveLength(1);
    expect(await runInDurableObject(object(workspace.id), (_, state) => state.storage.getAlarm())).toBeNull();
    expect(await uninstall(env, workspace.id, Date.now() + 2)).toBe('revoked');
    const entries = (await listAudit(db, 50)).filter((entry) => entry.workspaceId === workspace.id);
    expect(entries.map(({ action }) => action)).toEqual(['workspace.uninstalled']);
  });

  it('that is told late does not undo an installation that followed it', async () => {
    const before = Date.now() - 1_000;
    const workspace = await installed();
    expect(await uninstall(env, workspace.id, before)).toBe('installed-since');
    expect(await say(workspace)).toMatchObject({ ok: true });
  });

  it('counts also if the clock here is ahead of Linear’s, so that it seems to be from before the installation', async () => {
    const workspace = await installed();
    linear.forgetAll();
    expect(await uninstall(env, workspace.id, Date.now() - 300_000)).toBe('revoked');
    expect(await stored(workspace.id)).toBe('revoked');
  });

  it('in the middle of a renewal is not undone by it', async () => {
    const workspace = await installed();
    await passTime(workspace, 60_000);
    let removal: Promise<unknown> | undefined;
    linear.interfere = (url) => {
      if (url.endsWith('/token')) removal ??= uninstall(env, workspace.id, Date.now() + 1);
      return null;
    };
    await say(workspace);
    await removal;
    expect(await stored(workspace.id)).toBe('revoked');
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'unauthorized' });
  });

  it('of a workspace nobody knows is nothing', async () => {
    expect(await uninstall(env, crypto.randomUUID(), Date.now())).toBe('unknown');
    expect(await say({ id: 'nobody' })).toMatchObject({
      ok: false,
      message: expect.stringContaining('is not known here'),
    });
  });
});

describe('the governor', () => {
  /** Holds every call to the API until it is released. */
  function hold(): { release: () => void } {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    linear.interfere = async (url) => {
      if (url.endsWith('/graphql')) await held;
      return null;
    };
    return { release: () => release() };
  }

  it('has few calls under way at once, and lets answers go before actions before thoughts', async () => {
    const workspace = await installed();
    const { release } = hold();
    const first = Array.from({ length: MOST_AT_ONCE }, () => say(workspace, 'thought', 'first'));
    const waits = () => object(workspace.id).allowance();
    await vi.waitFor(async () => expect((await waits()).underway).toBe(MOST_AT_ONCE));
    const later: Promise<CallResult>[] = [];
    for (const priority of ['ephemeral', 'thought', 'action', 'answer', 'thought', 'answer'] as const) {
      later.push(say(workspace, priority, priority));
      await vi.waitFor(async () => expect((await waits()).waiting).toBe(later.length));
    }
    release();
    await Promise.all([...first, ...later]);
    expect(labels().slice(MOST_AT_ONCE)).toEqual(['answer', 'answer', 'action', 'thought', 'thought', 'ephemeral']);
    expect(await waits()).toMatchObject({ underway: 0, waiting: 0 });
  });

  it('waits for the reset when Linear says RATELIMITED, and tells until when', async () => {
    const workspace = await installed();
    const resetAt = Date.now() + 900;
    linear.interfere = () => rateLimited(resetAt);
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'rate-limited', retryAt: resetAt });
    linear.interfere = () => null;
    expect(await say(workspace)).toMatchObject({ ok: false, kind: 'rate-limited', retryAt: resetAt });
    expect(await say(workspace, 'ephemeral')).toEqual({ ok: true, json: 'null' });
    expect(linear.calls).toEqual([]);
    await vi.waitFor(async () => expect(await say(workspace)).toMatchObject({ ok: true }), 3_000);
    expect(Date.now()).toBeGreaterThanOrEqual(resetAt);
    expect(linear.calls).toHaveLength(1);
  });

  it('leaves out what is ephemeral when the allowance is low, and puts off thoughts when it is scarce', async () => {
    const workspace = await installed();
    linear.headers = allowanceHeaders(0.2);
    await say(workspace);
    expect(await say(workspace, 'ephemeral')).toEqual({ ok: true, json: 'null' });
    expect(await say(workspace, 'thought')).toMatchObject({ ok: true });
    linear.headers = allowanceHeaders(0.05);
    await say(workspace);
    expect(await say(workspace, 'thought')).toMatchObject({ ok: true });
    expect(await say(workspace, 'thought')).toMatchObject({
      ok: false,
      kind: 'rate-limited',
      retryAt: expect.any(Number),
    });
    expect(await say(workspace, 'action')).toMatchObject({ ok: true });
    expect(await say(workspace, 'answer')).toMatchObject({ ok: true });
    expect(await object(workspace.id).allowance()).toMatchObject({ dropped: 1, delayed: 1 });
  });

  it('shows what is left, also after the object was evicted', async () => {
    const workspace = await installed();
    linear.headers = allowanceHeaders(0.5);
    await say(workspace);
    const seen = { requests: { limit: 5_000, remaining: 2_500 }, blockedUntil: null };
    expect(await object(workspace.id).allowance()).toMatchObject(seen);
    await evictDurableObject(object(workspace.id));
    expect(await object(workspace.id).allowance()).toMatchObject(seen);
  });

  it.each([
    ['a lost connection', () => Promise.reject(new TypeError('lost')), 'unreachable'],
    ['HTTP 503', () => new Response('down', { status: 503 }), 'unreachable'],
    ['a lock timeout', () => error(200, { type: 'lock timeout' }), 'unreachable'],
    ['success: false', () => Response.json({ data: { agentActivityCreate: { success: false } } }), 'unreachable'],
    ['a page that is no JSON', () => new Response('<html>'), 'unreachable'],
    ['a refusal', () => error(400, { type: 'invalid input', code: 'INPUT_ERROR' }), 'refused'],
    ['a query it does not understand', () => error(400, { code: 'GRAPHQL_VALIDATION_FAILED' }), 'refused'],
    ['forbidden', () => error(403, { type: 'forbidden' }), 'refused'],
  ])('tells %s apart and does not repeat it by itself', async (_what, answer, kind) => {
    const workspace = await installed();
    let asked = 0;
    linear.interfere = () => {
      asked += 1;
      return answer();
    };
    expect(await say(workspace)).toMatchObject({ ok: false, kind, retryAt: null });
    expect(asked).toBe(1);
  });

  it('takes a conflict for success only if the caller chose the id', async () => {
    const workspace = await installed();
    linear.interfere = () => error(200, { code: 'INPUT_ERROR' }, 'conflict on insert of AgentActivity');
    expect(await say(workspace)).toEqual({ ok: true, json: 'null' });
    const call = {
      document: 'mutation X { x { success } }',
      variables: {},
      priority: 'action',
      idempotent: false,
    } as const;
    expect(await object(workspace.id).call(call)).toMatchObject({ ok: false, kind: 'refused' });
  });

  it('adds next to nothing to a call', async () => {
    const workspace = await installed();
    await say(workspace);
    const times: number[] = [];
    for (let i = 0; i < 50; i++) {
      const before = performance.now();
      await say(workspace);
      times.push(performance.now() - before);
    }
    times.sort((a, b) => a - b);
    expect(times[25]).toBeLessThan(20);
  });

  function error(status: number, extensions: object, message = 'no'): Response {
    return Response.json({ data: null, errors: [{ message, extensions }] }, { status });
  }
});

it('no token is ever in the log', () => {
  const text = logged.join('\n');
  for (const event of ['linear.token_renewal.done', 'linear.token_renewal.failed', 'linear.token_store.failed']) {
    expect(text).toContain(event);
  }
  expect(secrets.length).toBeGreaterThan(50);
  for (const secret of secrets) expect(text).not.toContain(secret);
  expect(text).not.toMatch(/lin_(oauth|refresh)_|v1\./);
});
