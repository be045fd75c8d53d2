import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config/read-config.ts';
import { ClaudeAccount } from '../../src/gateway/claude/account.ts';
import { type ClaudeWay, forwardToClaude } from '../../src/gateway/claude/anthropic.ts';
import type { Asker } from '../../src/gateway/claude/spending.ts';
import { listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { readTokenRecords, reportUsage } from '../../src/store/usage.ts';
import { spyOnLog } from '../support/log-spy.ts';

const POOL = {
  ...env,
  CLAUDE_CODE_OAUTH_TOKEN: 'token-one-of-the-test',
  CLAUDE_CODE_OAUTH_TOKENS: 'spare=token-two-of-the-test',
};
const API = {
  ...env,
  CLAUDE_CREDENTIAL: 'api-key',
  CLAUDE_CODE_OAUTH_TOKEN: '',
  ANTHROPIC_API_KEY: 'api-key-of-the-test',
};
const IMPATIENT = { ...env, CLAUDE_ANSWER_SECONDS: '1', CLAUDE_STALL_SECONDS: '1' };
const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
const logged = spyOnLog();
const HOUR = 3_600_000;
const EVENTS = { headers: { 'content-type': 'text/event-stream' } };
const BODY = '{"model":"claude-sonnet-5-5","messages":[]}';

let upstream: (request: Request) => Response | Promise<Response>;
let sent: Request[];
let asker: Asker;
let names = 0;

beforeEach(() => {
  sent = [];
  logged.mockClear();
  asker = { session: crypto.randomUUID(), workspace: 'workspace', repository: 'acme/shop' };
  upstream = () => stream(1_000, 50);
});

/** An answer as the API streams it. */
function stream(input: number, output: number, headers: Record<string, string> = {}): Response {
  const events = [
    {
      type: 'message_start',
      message: { model: 'claude-sonnet-5-5', usage: { input_tokens: input, output_tokens: 1 } },
    },
    { type: 'content_block_delta', delta: { type: 'text_delta', text: 'data: {"type":"message_delta","usage":{}}' } },
    { type: 'message_delta', usage: { output_tokens: output } },
    { type: 'message_stop' },
  ];
  const text = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
  return new Response(text, { headers: { 'content-type': 'text/event-stream', ...headers } });
}

function windows(status: string, used: number, resetsAt: number): Record<string, string> {
  return {
    'anthropic-ratelimit-unified-status': status,
    'anthropic-ratelimit-unified-reset': String(resetsAt / 1000),
    'anthropic-ratelimit-unified-5h-status': status,
    'anthropic-ratelimit-unified-5h-utilization': String(used),
    'anthropic-ratelimit-unified-5h-reset': String(resetsAt / 1000),
  };
}

const inAnHour = () => Math.ceil(Date.now() / 1000) * 1000 + HOUR;
const usedUp = () =>
  new Response('{"type":"error","error":{"type":"rate_limit_error","message":"limit"}}', {
    status: 429,
    headers: windows('rejected', 1, inAnHour()),
  });
const refusedToken = () =>
  new Response('{"type":"error","error":{"type":"authentication_error","message":"OAuth token has expired"}}', {
    status: 401,
  });

/** A request of so many bytes. */
function bodyOf(bytes: number, model = 'claude-sonnet-5-5'): string {
  const body = JSON.stringify({ model, messages: [], system: '' });
  return body.replace('"system":""', `"system":"${'x'.repeat(Math.max(0, bytes - body.length))}"`);
}

/** An account object with a configuration of the test's own, and the way through it. */
async function withAccount(
  bindings: object,
  test: (account: ClaudeAccount, ask: (init?: RequestInit) => Promise<Response>, state: DurableObjectState) => unknown,
  name = `account-${++names}`,
): Promise<void> {
  await runInDurableObject(env.CLAUDE_ACCOUNT.getByName(name), async (_, state) => {
    const account = new ClaudeAccount(state, bindings as Env);
    // What its constructor begins is done before it is called, as the platform has it.
    await state.blockConcurrencyWhile(async () => {});
    const config = readConfig(bindings);
    const later: Promise<unknown>[] = [];
    const way: ClaudeWay = {
      asker,
      account,
      fetcher: async (request) => {
        sent.push(request);
        return upstream(request);
      },
      later: (work) => void later.push(work),
    };
    const ask = async (init: RequestInit = {}) => {
      const request = new Request('http://gateway/v1/messages', { method: 'POST', body: BODY, ...init });
      return forwardToClaude(request, '/v1/messages', config, { ...way, asker });
    };
    await test(
      account,
      async (init) => {
        const response = await ask(init);
        const text = await response.text();
        await Promise.all(later);
        return new Response(text, response);
      },
      state,
    );
  });
}

const bearer = (request: Request | undefined) => request?.headers.get('authorization');

describe('what is used', () => {
  it('is read from streamed answers, summed up, and written to the database every few seconds', async () => {
    upstream = () => stream(1_000, 50, windows('allowed', 0.63, inAnHour()));
    await withAccount(env, async (account, ask, state) => {
      await ask();
      await ask();
      expect(await reportUsage(database, 'session', '2026-01-01')).not.toContainEqual(
        expect.objectContaining({ group: asker.session }),
      );
      const due = (await state.storage.getAlarm()) ?? 0;
      expect(due - Date.now()).toBeLessThanOrEqual(5_000);
      await account.alarm();
      expect(await reportUsage(database, 'session', '2026-01-01')).toContainEqual({
        group: asker.session,
        requests: 2,
        refused: 0,
        inputTokens: 2_000,
        outputTokens: 100,
        cacheReadTokens: 0,
        cacheCreationTokens: 0,
        costUsd: expect.closeTo((2_000 * 3 + 100 * 15) / 1e6),
      });
      expect(await readTokenRecords(database)).toMatchObject([{ token: 'default', windows: { status: 'allowed' } }]);
      expect(account.tokens()).toMatchObject([
        { token: 'default', left: expect.closeTo(0.37), windows: { windows: [{ name: '5h', utilization: 0.63 }] } },
      ]);
    });
  });

  it('is read from an answer that is not streamed', async () => {
    upstream = () =>
      Response.json({ type: 'message', model: 'claude-opus-5-5', usage: { input_tokens: 7, output_tokens: 3 } });
    await withAccount(env, async (account, ask) => {
      await ask();
      await account.alarm();
      const sums = await reportUsage(database, 'session', '2026-01-01');
      expect(sums.find(({ group }) => group === asker.session)).toMatchObject({ inputTokens: 7, outputTokens: 3 });
    });
  });

  it('outlives the object that counted it if the database fails meanwhile, and is written once', async () => {
    const down = () => {
      throw new Error('down');
    };
    const name = `account-${++names}`;
    await withAccount(
      { ...env, DB: { prepare: down, batch: down } },
      async (account, ask) => {
        await ask();
        await ask();
        await account.alarm();
      },
      name,
    );
    const written = async () =>
      (await reportUsage(database, 'session', '2026-01-01')).find(({ group }) => group === asker.session)?.requests ??
      0;
    const before = await written();
    // Two more lives: what the first has written, the second does not write again.
    for (const life of [1, 2]) {
      await withAccount(
        env,
        async (account, _, state) => {
          if (life === 1) await vi.waitFor(async () => expect(await state.storage.getAlarm()).not.toBeNull());
          await account.alarm();
          expect(await written()).toBe(before + 2);
        },
        name,
      );
    }
  });

  it('counts once if the database took it and its answer was lost, also to the next life of the object', async () => {
    /** Carries out what it is told, and its answer never arrives. */
    const deaf = new Proxy(env.DB, {
      get: (real, name: keyof D1Database) => {
        if (name === 'batch') {
          return async (statements: D1PreparedStatement[]) => {
            await real.batch(statements);
            throw new Error('D1_ERROR: Network connection lost.');
          };
        }
        const value = real[name];
        return typeof value === 'function' ? value.bind(real) : value;
      },
    });
    const name = `account-${++names}`;
    const written = async () =>
      (await reportUsage(database, 'session', '2026-01-01')).find(({ group }) => group === asker.session)?.requests ??
      0;
    for (const [life, expected] of [
      [1, 1],
      [2, 2],
    ] as const) {
      await withAccount(
        { ...env, DB: deaf },
        async (account, ask) => {
          // The second life has taken over what the first does not know to be written, and uses more.
          if (life === 2) await account.alarm();
          await ask();
          await account.alarm();
          await account.alarm();
          expect(await written()).toBe(expected);
        },
        name,
      );
    }
    await withAccount(
      env,
      async (account, ask) => {
        await ask();
        await account.alarm();
        expect(await written()).toBe(3);
        await account.alarm();
        expect(await written()).toBe(3);
      },
      name,
    );
  });

  it('is kept for the next try if the database fails', async () => {
    await withAccount(
      {
        ...env,
        DB: {
          prepare: () => {
            throw new Error('down');
          },
          batch: () => {
            throw new Error('down');
          },
        },
      },
      async (account, ask, state) => {
        await ask();
        await account.alarm();
        await account.alarm();
        expect((await state.storage.getAlarm()) ?? 0).toBeGreaterThan(Date.now() + 20_000);
      },
    );
  });
});

describe('a token that Claude does not take', () => {
  it('ends the try at once, is told to the admin once, and fails the next turn fast until it is replaced', async () => {
    upstream = refusedToken;
    const name = `account-${++names}`;
    await withAccount(
      env,
      async (account, ask) => {
        const response = await ask();
        expect(response.status).toBe(401);
        expect(response.headers.get('x-should-retry')).toBe('false');
        await ask();
        expect((await account.readiness(asker.session)).problem).toMatch(
          /`claude setup-token`.*CLAUDE_CODE_OAUTH_TOKEN/,
        );
        await account.alarm();
      },
      name,
    );
    const alerts = logged.mock.calls.filter(([line]) => line.event === 'alert.claude.token_refused');
    expect(alerts).toHaveLength(1);
    const entries = (await listAudit(database, 50)).filter(({ action }) => action === 'claude.token-refused');
    expect(entries).toHaveLength(1);
    await withAccount(
      env,
      async (account) => expect((await account.readiness(asker.session)).problem).not.toBeNull(),
      name,
    );
    await withAccount(
      { ...env, CLAUDE_CODE_OAUTH_TOKEN: 'a-new-token-of-the-test' },
      async (account) => expect((await account.readiness(asker.session)).problem).toBeNull(),
      name,
    );
  });

  it('is asked for again by an admin, and taken up if the API accepts it', async () => {
    upstream = refusedToken;
    const probed = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response('{}', { status: 401 }));
    await withAccount(env, async (account, ask) => {
      await ask();
      await account.probe(0);
      expect(account.problem()).not.toBeNull();
      probed.mockImplementation(async () => Response.json({ data: [] }));
      await account.probe(0);
      expect(account.problem()).toBeNull();
    });
    probed.mockRestore();
  });

  it('is not blamed for what is forbidden to the request alone', async () => {
    upstream = () =>
      Response.json(
        { type: 'error', error: { type: 'permission_error', message: 'no such model for you' } },
        { status: 403 },
      );
    await withAccount(env, async (account, ask) => {
      expect((await ask()).status).toBe(403);
      expect(account.problem()).toBeNull();
    });
  });
});

describe('several tokens', () => {
  it('are spread over sessions, and each session stays with its own', async () => {
    await withAccount(POOL, async (_, ask) => {
      await ask();
      await ask();
      asker = { ...asker, session: crypto.randomUUID() };
      await ask();
      expect(sent.map(bearer)).toEqual([
        'Bearer token-one-of-the-test',
        'Bearer token-one-of-the-test',
        'Bearer token-two-of-the-test',
      ]);
    });
  });

  it('take over from each other at a limit, without the session noticing more than a repeated request', async () => {
    upstream = (request) => (bearer(request)?.includes('one') ? usedUp() : stream(1, 1));
    await withAccount(POOL, async (account, ask) => {
      const first = await ask();
      expect(first.status).toBe(503);
      expect(first.headers.get('x-should-retry')).toBe('true');
      expect((await ask()).status).toBe(200);
      expect(bearer(sent[1])).toBe('Bearer token-two-of-the-test');
      expect(account.room(asker.session)).toBeLessThanOrEqual(Date.now());
    });
  });

  it('that are all used up let the API itself say until when, and the earliest reset is known', async () => {
    upstream = usedUp;
    await withAccount(POOL, async (account, ask) => {
      await ask();
      const last = await ask();
      expect(last.status).toBe(429);
      expect(last.headers.get('anthropic-ratelimit-unified-status')).toBe('rejected');
      expect(account.room(asker.session)).toBeGreaterThan(Date.now() + HOUR - 5_000);
    });
  });

  it('continue with the others if one is revoked', async () => {
    upstream = (request) => (bearer(request)?.includes('one') ? refusedToken() : stream(1, 1));
    await withAccount(POOL, async (account, ask) => {
      expect((await ask()).status).toBe(503);
      expect((await ask()).status).toBe(200);
      expect((await account.readiness(asker.session)).problem).toBeNull();
      expect(account.tokens()).toMatchObject([
        { problem: { message: expect.stringContaining('“default”') } },
        { problem: null },
      ]);
    });
  });
});

describe('an answer beyond the plan', () => {
  const beyond = () =>
    stream(1_000_000, 0, {
      ...windows('rejected', 1, inAnHour()),
      'anthropic-ratelimit-unified-overage-status': 'allowed',
    });

  it('is the last one: the next request is not sent, and ends the turn as at a limit; the admin is told once', async () => {
    upstream = beyond;
    await withAccount({ ...env, CLAUDE_CODE_OAUTH_TOKEN: 'token-of-beyond-1' }, async (account, ask) => {
      expect((await ask()).status).toBe(200);
      asker = { ...asker, session: crypto.randomUUID() };
      for (let i = 0; i < 3; i++) {
        const next = await ask();
        expect(next.status).toBe(429);
        expect(next.headers.get('x-should-retry')).toBe('false');
        expect(next.headers.get('anthropic-ratelimit-unified-status')).toBe('rejected');
        expect(next.headers.get('anthropic-ratelimit-unified-overage-status')).toBe('rejected');
        expect(await next.text()).toContain('CLAUDE_OVERAGE_USD');
      }
      expect(sent).toHaveLength(1);
      expect(account.room(asker.session)).toBeGreaterThan(Date.now() + HOUR - 60_000);
      expect(
        logged.mock.calls.filter(([line]) => JSON.stringify(line).includes('alert.claude.plan_exceeded')),
      ).toHaveLength(1);
    });
  });

  it.each<[string, 'allowed' | 'rejected', Record<string, string>]>([
    ['that warns', 'rejected', { 'overage-status': 'allowed_warning' }],
    ['that says it is in use', 'allowed', { 'overage-in-use': 'true' }],
    ['that was decided on by it', 'allowed', { 'representative-claim': 'overage' }],
  ])('is known by each of the headers that tell of it: one %s', async (_how, status, more) => {
    const headers = Object.entries(more).map(([name, value]) => [`anthropic-ratelimit-unified-${name}`, value]);
    upstream = () => stream(1, 0, { ...windows(status, 1, inAnHour()), ...Object.fromEntries(headers) });
    const token = `token-of-beyond-${crypto.randomUUID()}`;
    await withAccount({ ...env, CLAUDE_CODE_OAUTH_TOKEN: token }, async (_, ask) => {
      expect((await ask()).status).toBe(200);
      expect((await ask()).status).toBe(429);
      expect(sent).toHaveLength(1);
    });
  });

  it('makes a session continue with another token, if one has room', async () => {
    upstream = (request) => (bearer(request)?.includes('one') ? beyond() : stream(1, 1));
    await withAccount(POOL, async (_, ask) => {
      expect((await ask()).status).toBe(200);
      expect((await ask()).status).toBe(200);
      expect(bearer(sent[1])).toBe('Bearer token-two-of-the-test');
    });
  });

  it('of every token is the last one of all', async () => {
    upstream = beyond;
    await withAccount(POOL, async (_, ask) => {
      for (let i = 0; i < 4; i++) await ask();
      expect(sent).toHaveLength(2);
    });
  });

  it('is paid for up to the sum that is allowed for the month, and no further', async () => {
    upstream = beyond;
    const bindings = { ...env, CLAUDE_CODE_OAUTH_TOKEN: 'token-of-beyond-2', CLAUDE_OVERAGE_USD: '3.5' };
    await withAccount(bindings, async (_, ask) => {
      // Each costs 2 dollars by list prices.
      expect((await ask()).status).toBe(200);
      expect((await ask()).status).toBe(200);
      for (let i = 0; i < 3; i++) expect((await ask()).status).toBe(429);
      expect(sent).toHaveLength(2);
    });
  });
});

describe('a budget', () => {
  const budget = (dollars: string) => ({ ...API, CLAUDE_BUDGET_SESSION_USD: dollars });

  it('stops the next request before it is overdrawn, in words that say who can raise it', async () => {
    // $2.50 for what is used, of a budget of $2.60.
    upstream = () => stream(1_000_000, 50_000);
    await withAccount(budget('2.6'), async (_, ask) => {
      expect((await ask()).status).toBe(200);
      const response = await ask({ body: bodyOf(400_000), headers: { 'content-length': '400000' } });
      expect(response.status).toBe(402);
      expect(response.headers.get('x-should-retry')).toBe('false');
      expect(await response.text()).toMatch(
        /Cyrus's budget of this session.*\$2\.50 of \$2\.60.*CLAUDE_BUDGET_SESSION_USD/,
      );
      expect(sent).toHaveLength(1);
    });
  });

  it('measures a request whose length no header says, and refuses one that is too long to be held', async () => {
    await withAccount(budget('0.2'), async (_, ask) => {
      expect((await ask({ body: bodyOf(1_000_000) })).status).toBe(402);
      const response = await ask({ body: bodyOf(9_000_000) });
      expect(response.status).toBe(403);
      expect(await response.text()).toContain('Content-Length');
      expect(sent).toHaveLength(0);
    });
  });

  it('is judged by the model that the request asks for, not by the one before', async () => {
    await withAccount(budget('0.21'), async (_, ask) => {
      expect((await ask()).status).toBe(200);
      // 20 cents for Sonnet, and a dollar for Fable.
      expect((await ask({ body: bodyOf(300_000, 'claude-fable-5-1') })).status).toBe(402);
      expect((await ask({ body: bodyOf(250_000) })).status).toBe(200);
    });
  });

  it('refuses a model without a price, and says how an admin names it', async () => {
    const bindings = { ...budget('5'), CLAUDE_API_ALLOW: 'model:claude-novel-1' };
    await withAccount(bindings, async (_, ask) => {
      const response = await ask({ body: bodyOf(100, 'claude-novel-1') });
      expect(response.status).toBe(402);
      expect(await response.text()).toMatch(/claude-novel-1, whose price is not known.*CLAUDE_PRICES/);
      expect(sent).toHaveLength(0);
    });
    const priced = { ...bindings, CLAUDE_PRICES: '{"novel": {"input": 1, "output": 1}}' };
    await withAccount(priced, async (_, ask) => {
      expect((await ask({ body: bodyOf(100, 'claude-novel-1') })).status).toBe(200);
    });
  });

  it('refuses a request that hides its model behind its messages', async () => {
    await withAccount(budget('5'), async (_, ask) => {
      const response = await ask({
        body: `{"messages":[],"system":"${'x'.repeat(200_000)}","model":"claude-sonnet-5-5"}`,
      });
      expect(response.status).toBe(403);
      expect(await response.text()).toContain('does not name its model');
      expect(sent).toHaveLength(0);
    });
  });

  it('charges an answer that breaks off what the request was expected to cost', async () => {
    upstream = () => {
      const start = `event: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-5-5","usage":{"input_tokens":1,"output_tokens":1}}}\n\n`;
      const broken = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode(start)),
        pull: (controller) => controller.error(new Error('the connection is gone')),
      });
      return new Response(broken, { headers: { 'content-type': 'text/event-stream' } });
    };
    await withAccount(budget('0.3'), async (_, ask) => {
      // Each is expected to cost 27 cents.
      await expect(ask({ body: bodyOf(400_000) })).rejects.toThrow();
      await vi.waitFor(async () => expect((await ask({ body: bodyOf(400_000) })).status).toBe(402));
    });
  });

  it('charges an answer that ends without saying what it used what the request was expected to cost', async () => {
    upstream = () => new Response('event: ping\ndata: {"type": "ping"}\n\n', EVENTS);
    await withAccount(budget('0.3'), async (_, ask) => {
      expect((await ask({ body: bodyOf(400_000) })).status).toBe(200);
      await vi.waitFor(async () => expect((await ask({ body: bodyOf(400_000) })).status).toBe(402));
    });
  });

  it('charges a long answer that is broken off before it says what it used by what has passed of it', async () => {
    const delta = `data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"${'x'.repeat(200_000)}"}}\n\n`;
    const start = `data: {"type":"message_start","message":{"model":"claude-sonnet-5-5","usage":{"input_tokens":1,"output_tokens":1}}}\n\n`;
    upstream = () => new Response(start + delta, EVENTS);
    await withAccount(budget('0.4'), async (_, ask) => {
      expect((await ask()).status).toBe(200);
      await vi.waitFor(async () => expect((await ask()).status).toBe(402));
    });
  });

  it('counts what is under way', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream = () => promise.then(() => stream(1, 1));
    await withAccount(budget('0.03'), async (_, ask) => {
      const first = ask();
      await vi.waitFor(() => expect(sent).toHaveLength(1));
      expect((await ask()).status).toBe(402);
      resolve();
      expect((await first).status).toBe(200);
      expect((await ask()).status).toBe(200);
    });
  });

  it('of a repository and of the month counts all sessions, and outlives the object', async () => {
    upstream = () => stream(1_000_000, 0);
    const name = `account-${++names}`;
    const bindings = { ...API, CLAUDE_BUDGET_REPOSITORY_USD: '2.01' };
    asker = { ...asker, repository: 'acme/dear' };
    await withAccount(
      bindings,
      async (account, ask) => {
        await ask();
        await account.alarm();
      },
      name,
    );
    asker = { ...asker, session: crypto.randomUUID() };
    await withAccount(bindings, async (_, ask) => expect((await ask()).status).toBe(402), name);
    asker = { ...asker, repository: 'acme/other' };
    await withAccount(bindings, async (_, ask) => expect((await ask()).status).toBe(200), name);
  });
});

describe('an API', () => {
  it('that never answers is noticed in the configured time, so that the CLI asks again', async () => {
    upstream = () => new Promise(() => {});
    await withAccount(IMPATIENT, async (_, ask) => {
      const since = Date.now();
      const response = await ask();
      expect(response.status).toBe(504);
      expect(response.headers.get('x-should-retry')).toBe('true');
      expect(Date.now() - since).toBeLessThan(3_000);
    });
  });

  it('whose stream stalls is broken off, so that the CLI asks again', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    upstream = () => new Response(readable, { headers: { 'content-type': 'text/event-stream' } });
    void writable.getWriter().write(new TextEncoder().encode('event: ping\n\n'));
    await withAccount(IMPATIENT, async (_, ask) => {
      await expect(ask()).rejects.toThrow('stalled for 1 s');
    });
  });
});

it('the account of Claude’s use writes its sums by an alarm of its own', async () => {
  const account = env.CLAUDE_ACCOUNT.getByName(`account-${++names}`);
  const counts = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheCreationTokens: 0 };
  const use = { model: 'm', ...counts, hourCacheTokens: 0, webSearches: 0, isFast: false };
  const ended = { refused: false, windows: null, reservation: null, unfinished: null };
  await account.record({ asker, token: 'default', use, ...ended });
  expect(await runDurableObjectAlarm(account)).toBe(true);
  expect(await reportUsage(database, 'session', '2026-01-01')).toContainEqual(
    expect.objectContaining({ group: asker.session, requests: 1 }),
  );
});
