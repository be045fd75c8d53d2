import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { mintToken } from '../../src/gateway/token.ts';
import { admin } from '../../src/routes/admin/index.ts';
import { gatewayApp } from '../../src/routes/gateway/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { addUsage, type UsageSum } from '../../src/store/usage.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { ORGANIZATION } from './support/linear-webhook.ts';
import { registerWorkspace } from './support/sessions.ts';
import { AT_WORK } from './support/standing.ts';

const app = new Hono<{ Bindings: Env }>().route('/api/admin', admin);
const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
spyOnLog();

const ask = async (path: string, method = 'GET') => {
  const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}` };
  const response = await app.request(`http://cyrus.test/api/admin${path}`, { method, headers }, env);
  return { status: response.status, json: await response.json<Record<string, unknown>>() };
};

function used(more: Partial<UsageSum>): UsageSum {
  return {
    day: '2026-11-20',
    sessionId: 's1',
    model: 'claude-sonnet-5-5',
    token: 'default',
    workspaceId: 'w',
    repository: 'acme/shop',
    requests: 1,
    refused: 0,
    inputTokens: 10,
    outputTokens: 5,
    cacheReadTokens: 0,
    cacheCreationTokens: 0,
    costUsd: 0.5,
    ...more,
  };
}

const add = (...sums: UsageSum[]) => addUsage(database, { id: crypto.randomUUID(), sums }, 1);

describe('what was used', () => {
  it('is summed up for an admin, by whatever is asked for', async () => {
    await add(used({}), used({ sessionId: 's2', repository: 'acme/site', costUsd: 0.25 }));
    await add(used({}), used({ day: '2026-10-01', costUsd: 9 }));
    const byRepository = await ask('/usage?by=repository&since=2026-11-01');
    expect(byRepository.json).toMatchObject({
      by: 'repository',
      usage: [
        { group: 'acme/shop', requests: 2, inputTokens: 20, costUsd: 1 },
        { group: 'acme/site', requests: 1, costUsd: 0.25 },
      ],
      mode: 'subscription',
      plan: 'max',
    });
    expect((await ask('/usage?by=day&since=2026-01-01')).json.usage).toMatchObject([
      { group: '2026-10-01' },
      { group: '2026-11-20', costUsd: 1.25 },
    ]);
    expect((await ask('/usage?by=nothing')).status).toBe(400);
    expect((await ask('/usage?since=yesterday')).status).toBe(400);
  });

  it('never shows a token, but its name', async () => {
    const { json } = await ask('/claude');
    expect(json.tokens).toMatchObject([{ token: 'default' }]);
    expect(JSON.stringify(json)).not.toContain('real-oauth-token-of-the-test');
    expect((await ask('/claude/probe', 'POST')).status).toBe(200);
  });

  it('shows who works and who waits in a workspace, also if nobody does', async () => {
    await registerWorkspace();
    const queue = (await ask(`/workspaces/${ORGANIZATION}/queue`)).json;
    expect(queue).toMatchObject({ sessionsAtOnce: 10, working: [], waiting: [] });
  });

  it('answers a request for the queue under its old name with the new one', async () => {
    const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}` };
    const old = 'http://cyrus.test/api/admin/workspaces/line/line?x=1';
    const response = await app.request(old, { headers }, env);
    expect(response.status).toBe(308);
    expect(response.headers.get('location')).toBe('http://cyrus.test/api/admin/workspaces/line/queue?x=1');
  });
});

describe("an API key in a sandbox's request", () => {
  const atWork = gatewayApp({ base: '/gateway', standing: async () => AT_WORK });
  const gateway = new Hono<{ Bindings: Env }>().route('/gateway', atWork);
  const post = (headers: Record<string, string>) =>
    gateway.request('http://cyrus.test/gateway/anthropic/v1/messages', { method: 'POST', headers, body: '{}' }, env);

  it('is refused by name while a subscription pays, with a session token beside it or alone', async () => {
    const s = env.ISSUE_SESSION.idFromName('usage-test').toString();
    const claims = { s, w: 'w', r: 'acme/shop', b: 'cyrus/x', g: 1 };
    const authorization = `Bearer ${await mintToken({ encryptionKey: env.ENCRYPTION_KEY }, claims)}`;
    for (const headers of [
      { 'x-api-key': 'sk-ant-api03-x' },
      { authorization, 'x-api-key': 'sk-ant-api03-x' },
    ] as Record<string, string>[]) {
      const response = await post(headers);
      expect(response.status).toBe(403);
      expect(response.headers.get('x-should-retry')).toBe('false');
      expect(await response.text()).toContain('remove ANTHROPIC_API_KEY from the environment of the sandbox');
    }
  });
});
