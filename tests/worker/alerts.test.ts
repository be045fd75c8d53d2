/** What people are told of a deployment in which something is wrong: by Slack, PagerDuty and a signed webhook, and by silence. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config/read-config.ts';
import worker from '../../src/index.ts';
import { Deliveries } from '../../src/operations/alerts/deliveries.ts';
import { tellOfLog } from '../../src/operations/alerts/tell.ts';
import { Operations, operationsOf } from '../../src/operations/operations.ts';
import { watch } from '../../src/operations/watch.ts';
import { openDatabase } from '../../src/store/database.ts';
import { indexSession } from '../../src/store/session-index.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const MINUTE = 60_000;
const SLACK = 'https://hooks.slack.com/services/T0/B0/slack-secret';
const KEY = 'pagerduty-integration-key-0123456789';
const SECRET = 'secret-of-the-alert-webhook';
/** Key of the alert that the session of ENG-1 is stuck. */
const STUCK = `session.stuck:${'ENG-1'.padEnd(64, '0')}`;
const channels = {
  ALERT_SLACK_URL: SLACK,
  ALERT_PAGERDUTY_KEY: KEY,
  ALERT_WEBHOOK_URL: 'https://alerts.example/cyrus',
  ALERT_WEBHOOK_SECRET: SECRET,
};

let sent: { url: string; headers: Headers; body: string }[];
let answer: (url: string) => Response | Promise<Response>;
let logged: ReturnType<typeof spyOnLog>;

beforeEach(async () => {
  logged = spyOnLog();
  sent = [];
  answer = () => new Response('ok', { status: 202 });
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    sent.push({ url: request.url, headers: request.headers, body: await request.text() });
    return answer(request.url);
  });
  // The object's own bindings, as a deployment with these channels has them.
  Object.assign(env, channels);
  await runInDurableObject(operationsOf(env), async (_object, { storage }) => {
    await storage.deleteAlarm();
    for (const [key] of [...storage.kv.list()]) storage.kv.delete(key);
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  for (const name of [...Object.keys(channels), 'HEARTBEAT_URL'])
    delete (env as unknown as Record<string, unknown>)[name];
  for (const table of ['sessions', 'workspaces', 'claude_usage']) await db.orm.run(sql.raw(`DELETE FROM ${table}`));
});

/** Sends what is due, as the object's alarm does. */
async function deliver(): Promise<void> {
  await runDurableObjectAlarm(operationsOf(env));
}

const bodies = (part: string) => sent.filter(({ url }) => url.includes(part)).map(({ body }) => JSON.parse(body));

async function stuckSession(issue: string): Promise<void> {
  const at = Date.now() - 45 * MINUTE;
  const row = {
    id: issue.padEnd(64, '0'),
    workspaceId: 'w1',
    issueIdentifier: issue,
    title: 't',
    phase: 'starting' as const,
  };
  await indexSession(db, { ...row, reason: '', turn: 1, version: 1, createdAt: at, updatedAt: at });
}

describe('people', () => {
  it('are told by every channel that a session is stuck, once, and that it is over', async () => {
    await stuckSession('ENG-1');
    for (let times = 0; times < 3; times++) await watch(env);
    await deliver();
    const words = expect.stringMatching(/^A session is stuck: ENG-1 \(starting since .* UTC\)$/);
    expect(bodies('hooks.slack.com')).toEqual([
      { text: expect.stringContaining(':rotating_light: *Cyrus*: A session is stuck') },
    ]);
    expect(bodies('pagerduty')).toMatchObject([
      {
        routing_key: KEY,
        event_action: 'trigger',
        dedup_key: `cyrus:http://cyrus.test:${STUCK}`,
        payload: { summary: words, source: 'http://cyrus.test', severity: 'error', class: 'session.stuck' },
      },
    ]);
    const runbook = 'docs/runbook.md#sessionstuck';
    expect(bodies('alerts.example')).toMatchObject([{ what: 'raised', key: STUCK, words, runbook }]);
    await db.orm.run(sql`DELETE FROM sessions`);
    await watch(env);
    await deliver();
    expect(bodies('pagerduty')[1]).toEqual({
      routing_key: KEY,
      event_action: 'resolve',
      dedup_key: `cyrus:http://cyrus.test:${STUCK}`,
    });
    expect(bodies('hooks.slack.com')[1]?.text).toContain(':white_check_mark: Over');
  });

  it('can tell by the signature that a webhook is Cyrus’s', async () => {
    await operationsOf(env).raise({ key: 'k', severity: 'error', words: 'something', remedy: null });
    await deliver();
    const [request] = sent.filter(({ url }) => url.includes('alerts.example'));
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(SECRET), algorithm, false, ['sign']);
    const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(request?.body ?? '')));
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    expect(request?.headers.get('x-cyrus-signature')).toBe(`sha256=${hex}`);
  });

  it('are told later if a channel is away or refuses them, as it does while its key is wrong', async () => {
    answer = (url) => {
      if (url.includes('slack')) return new Response('down', { status: 503 });
      return url.includes('pagerduty') ? new Response('bad key', { status: 400 }) : new Response('ok');
    };
    await operationsOf(env).raise({ key: 'k', severity: 'error', words: 'something', remedy: null });
    await deliver();
    const { waiting } = await operationsOf(env).alerts();
    expect(waiting).toMatchObject([
      { channel: 'slack', tries: 1, problem: 'it answered 503' },
      { channel: 'pagerduty', tries: 1, problem: 'it answered 400' },
    ]);
    answer = () => new Response('ok');
    vi.setSystemTime(Date.now() + 2 * MINUTE);
    await deliver();
    expect((await operationsOf(env).alerts()).waiting).toEqual([]);
    expect(bodies('slack')).toHaveLength(2);
    expect(bodies('pagerduty')).toHaveLength(2);
  });

  it('are told by one channel however much waits for another', async () => {
    answer = (url) => new Response('', { status: url.includes('slack') ? 503 : 202 });
    const told = async (number: number) => {
      const step = { what: 'raised', severity: 'error', words: 'w', remedy: null, since: 1 } as const;
      await runInDurableObject(operationsOf(env), async (_object, { storage }) => {
        const deliveries = new Deliveries(storage.kv);
        for (let key = 0; key < number; key++) deliveries.add(config, [{ ...step, key: `k${key}` }], Date.now());
        await deliveries.send(config, '', Date.now());
      });
    };
    const config = readConfig(env).alerts;
    await told(200);
    await told(1);
    expect((await operationsOf(env).alerts()).waiting).toHaveLength(200);
    expect(bodies('pagerduty')).toHaveLength(201);
  });

  it('are told by the next try of what could not be noted the first time', async () => {
    const alert = { key: 'k', severity: 'error', words: 'something', remedy: null } as const;
    await runInDurableObject(operationsOf(env), async (_object, state) => {
      const broken = new Operations(state, { ...env, MAX_SESSIONS_AT_ONCE: 'many' } as unknown as Env);
      await expect(broken.raise(alert)).rejects.toThrow('MAX_SESSIONS');
    });
    await operationsOf(env).raise(alert);
    await deliver();
    expect(bodies('slack')).toHaveLength(1);
  });

  it('are told that something began before they are told that it is over, however late', async () => {
    answer = () => new Response('down', { status: 503 });
    await stuckSession('ENG-1');
    await watch(env);
    await deliver();
    await db.orm.run(sql`DELETE FROM sessions`);
    await watch(env);
    answer = () => new Response('ok');
    await deliver();
    expect(bodies('alerts.example').map(({ what }) => what)).toEqual(['raised']);
    // The object sleeps until the first is due again.
    const next = await runInDurableObject(operationsOf(env), (_object, { storage }) => storage.getAlarm());
    expect(next).toBeGreaterThan(Date.now() + 10_000);
    vi.setSystemTime(Date.now() + 2 * MINUTE);
    await deliver();
    expect(bodies('alerts.example').map(({ what }) => what)).toEqual(['raised', 'raised', 'resolved']);
  });

  it('are told at once of what the log says, and no secret leaves in the log or with it', async () => {
    const raised: Promise<unknown>[] = [];
    const waitUntil = (promise: Promise<unknown>) => void raised.push(promise);
    tellOfLog(env, waitUntil, 'alert.gateway.decoy_caught', { session: 's1', host: 'evil.example' });
    tellOfLog(env, waitUntil, 'linear.webhook.accepted', {});
    await Promise.all(raised);
    await deliver();
    expect(raised).toHaveLength(1);
    expect(bodies('slack')[0]?.text).toContain('a secret to evil.example: the session was stopped');
    answer = () => Promise.reject(new TypeError(`cannot reach ${SLACK}`));
    await operationsOf(env).raise({ key: 'k2', severity: 'error', words: 'something', remedy: null });
    await deliver();
    const lines = JSON.stringify(logged.mock.calls);
    for (const secret of ['slack-secret', KEY, SECRET]) expect(lines).not.toContain(secret);
  });

  it('can try the channels by a command, once a minute', async () => {
    const ask = async () =>
      worker.request(
        'https://cyrus.example/api/admin/alerts/test',
        { method: 'POST', headers: { authorization: `Bearer ${env.ADMIN_TOKEN}` } },
        env,
      );
    expect(await (await ask()).json()).toEqual({ channels: ['slack', 'pagerduty', 'webhook'] });
    expect((await ask()).status).toBe(429);
    await deliver();
    expect(bodies('slack')[0]?.text).toContain('This is a test of alerts, asked for by an admin');
    expect(bodies('pagerduty').map(({ event_action: action }) => action)).toEqual(['trigger', 'resolve']);
  });
});

describe('the look at the deployment', () => {
  /** The words of what is open. */
  const open = async () => (await operationsOf(env).alerts()).open.map(({ words }) => words);

  it('tells of each session that is stuck, of many together, and of none whose start a pause holds back', async () => {
    for (const number of [1, 2, 3, 4, 5, 6, 7]) {
      await stuckSession(`ENG-${number}`);
      await watch(env);
    }
    await deliver();
    const raised = bodies('alerts.example').filter(({ what }) => what === 'raised');
    expect(raised.map(({ words }) => words.slice(0, 25))).toEqual([
      ...[1, 2, 3, 4, 5].map((number) => `A session is stuck: ENG-${number}`),
      '1 more session is stuck: ',
    ]);
    expect(await open()).toContainEqual(expect.stringMatching(/^2 more sessions are stuck: ENG-6 .*, ENG-7 /));
    await db.orm.run(sql`UPDATE sessions SET phase = 'saving' WHERE issue_identifier = 'ENG-1'`);
    await watch({ ...env, PAUSED: 'true' } as unknown as Env);
    expect(await open()).toEqual([expect.stringMatching(/^A session is stuck: ENG-1 \(saving /)]);
  });

  it('finds a workspace to be installed again, and an hour in which most work failed', async () => {
    await upsertWorkspace(db, 'w1', { name: 'Acme', urlKey: 'acme', appUserId: 'a', accessToken: 'lin_x' }, 1);
    await db.orm.run(sql`UPDATE workspaces SET status = 'reinstall-needed'`);
    for (const number of [1, 2, 3, 4]) {
      const id = String(number).padEnd(64, '0');
      const row = { id, workspaceId: 'w1', issueIdentifier: `ENG-${number}`, title: 't', phase: 'waiting' as const };
      const lastOutcome = number === 4 ? ('completed' as const) : ('failed' as const);
      const times = { createdAt: Date.now(), updatedAt: Date.now() };
      await indexSession(db, { ...row, reason: '', lastOutcome, turn: 1, version: 1, ...times });
    }
    await watch(env);
    const words = await open();
    expect(words).toContain('Linear takes the tokens of Acme no more: Cyrus cannot answer there');
    expect(words).toContainEqual(
      expect.stringMatching(/^3 of the last 4 sessions failed within the hour: ENG-\d, ENG-\d, ENG-\d$/),
    );
  });

  it('finds a budget that is nearly spent, a full database, a long queue, a refused token and webhooks that do not match', async () => {
    await upsertWorkspace(db, 'w1', { name: 'Acme', urlKey: 'acme', appUserId: 'a', accessToken: 'lin_x' }, 1);
    const day = new Date().toISOString().slice(0, 10);
    await db.orm.run(sql`INSERT INTO claude_usage (day, session_id, model, token, workspace_id, repository, requests, refused,
      input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_usd, updated_at)
      VALUES (${day}, 's', 'opus', 'api-key', 'w1', 'acme/shop', 1, 0, 1, 1, 0, 0, 85, 1)`);
    const prepare = (query: string) =>
      query === 'SELECT 1' ? { all: async () => ({ meta: { size_after: 9_000_000_000 } }) } : env.DB.prepare(query);
    const line = {
      working: [],
      waiting: [{ since: Date.now() - 20 * MINUTE }],
      sessionsAtOnce: 2,
      reached: null,
      limits: { SANDBOX_MINUTES_DAY: 100, SANDBOX_MINUTES_MONTH: 1_000 },
      sandboxMinutes: { day: 100, month: 799 },
    };
    const problem = { message: 'it was revoked' };
    const bad = { count: 9, since: 1, at: 1 };
    const watched = vi.fn<(found: { key: string; words: string }[], unseen: string[]) => Promise<void>>(async () => {});
    const others = {
      DB: { prepare, batch: env.DB.batch.bind(env.DB) },
      CLAUDE_CREDENTIAL: 'api-key',
      CLAUDE_CODE_OAUTH_TOKEN: undefined,
      ANTHROPIC_API_KEY: 'sk-ant-api03-of-the-test',
      CLAUDE_BUDGET_MONTH_USD: '100',
      WORKSPACE_QUEUE: { getByName: () => ({ line: async () => line }) },
      CLAUDE_ACCOUNT: { getByName: () => ({ tokens: async () => [{ token: 'api-key', problem }] }) },
      OPERATIONS: { getByName: () => ({ webhooks: async () => ({ goodAt: null, bad, hours: [] }), watched }) },
    };
    await watch({ ...env, ...others } as unknown as Env);
    const [found, unseen] = watched.mock.lastCall ?? [[], ['nothing was told']];
    expect(unseen).toEqual([]);
    expect(Object.fromEntries(found.map(({ key, words }) => [key, words]))).toEqual({
      'claude.budget': "85 % of the month's budget for Claude is spent: $85.00 of $100",
      'database.size': 'The database has 9.0 of 10 GB',
      'sandbox.budget:day:w1': "In Acme 100 % of the day's budget of sandboxes is used: 100 of 100 minutes",
      'queue.wait:w1': 'In Acme 1 session waits for a slot, for 20 minutes',
      'claude.token_refused:api-key': 'Claude’s API does not take the token "api-key": it was revoked',
      'linear.webhook_signature': expect.stringContaining('does not match LINEAR_WEBHOOK_SECRET'),
    });
  });

  it('pings a dead man’s switch while all is well, and is silent while something is missing', async () => {
    Object.assign(env, { HEARTBEAT_URL: 'https://heartbeat.example/ping' });
    const pings = () => sent.filter(({ url }) => url.includes('heartbeat')).length;
    await worker.scheduled({} as ScheduledController, { ...env });
    expect(pings()).toBe(1);
    const LOGS = { head: async () => Promise.reject(new Error('R2 is away')) } as unknown as R2Bucket;
    await watch({ ...env, LOGS });
    expect(pings()).toBe(1);
    expect(await open()).toEqual(['The bucket (R2) does not answer']);
    await watch({ ...env });
    expect(await open()).toEqual([]);
  });

  it('does not say that something is over while the database is away', async () => {
    await stuckSession('ENG-9');
    await watch({ ...env });
    const DB = {
      prepare: () => {
        throw new Error('D1 is away');
      },
    } as unknown as D1Database;
    await watch({ ...env, DB });
    const found = await open();
    expect(found).toContain('The database (D1) does not answer');
    expect(found).toContainEqual(expect.stringContaining('ENG-9'));
  });

  it('writes nothing while nothing is wrong, but once an hour that it looked, if webhooks come', async () => {
    await watch({ ...env });
    const stored = () =>
      runInDurableObject(operationsOf(env), (_object, { storage }) => JSON.stringify([...storage.kv.list()]));
    const before = await stored();
    for (let times = 0; times < 10; times++) {
      vi.setSystemTime(Date.now() + 60 * MINUTE);
      await watch({ ...env });
    }
    expect(await stored()).toBe(before);
    await operationsOf(env).noteWebhooks({ goodAt: Date.now(), faults: [] });
    await watch({ ...env });
    const after = await stored();
    expect(after).not.toBe(before);
    vi.setSystemTime(Date.now() + 50 * MINUTE);
    await watch({ ...env });
    expect(await stored()).toBe(after);
  });

  it('is missed by the webhooks that come: people are told that nothing looks any more', async () => {
    await watch({ ...env });
    // A night without a webhook is none that nothing looked in.
    vi.setSystemTime(Date.now() + 12 * 60 * MINUTE);
    await operationsOf(env).noteWebhooks({ goodAt: Date.now(), faults: [] });
    expect(await open()).toEqual([]);
    vi.setSystemTime(Date.now() + 2 * 60 * MINUTE);
    await operationsOf(env).noteWebhooks({ goodAt: Date.now(), faults: [] });
    expect(await open()).toEqual([expect.stringMatching(/^Nothing has looked at this deployment since /)]);
  });
});
