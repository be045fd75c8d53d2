/** The numbers of a deployment, as monitoring reads them. */
import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { type Family, prometheusText } from '../../src/operations/metrics/families.ts';
import { openDatabase } from '../../src/store/database.ts';
import { indexSession } from '../../src/store/session-index.ts';
import { addUsage } from '../../src/store/usage.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const METRICS_TOKEN = 'metrics-token-0123456789';

beforeEach(() => void spyOnLog());
afterEach(() => void vi.restoreAllMocks());

async function ask(path: string, token: string, bindings: Record<string, unknown> = {}) {
  const headers = { authorization: `Bearer ${token}` };
  const all = { ...env, METRICS_TOKEN, ...bindings } as unknown as Env;
  return worker.request(`https://cyrus.example${path}`, { headers }, all);
}

/** A line of the format: a name, labels in it, a number (prometheus.io/docs/instrumenting/exposition_formats). */
const SAMPLE =
  /^cyrus_[a-z_]+(?:\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? (?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)$/;

describe('metrics', () => {
  it('count sessions, turns, use of Claude and what is ready, in Prometheus’s text', async () => {
    await upsertWorkspace(db, 'w1', { name: 'Acme', urlKey: 'acme', appUserId: 'a', accessToken: 'lin_x' }, 1);
    for (const [number, phase] of (['working', 'working', 'queued'] as const).entries()) {
      const row = { id: String(number).padEnd(64, '0'), workspaceId: 'w1', title: 'secret plan', phase, reason: '' };
      await indexSession(db, { ...row, issueIdentifier: 'ENG-1', turn: 3, version: 1, createdAt: 1, updatedAt: 1 });
    }
    const whose = { day: '2026-11-29', sessionId: 's', model: 'claude-opus-5-5', token: 'default', workspaceId: 'w1' };
    const tokens = { inputTokens: 10, outputTokens: 20, cacheReadTokens: 30, cacheCreationTokens: 40 };
    const used = { ...whose, repository: 'acme/shop', requests: 4, refused: 1, ...tokens, costUsd: 1.5 };
    await addUsage(db, { id: 'batch-1', sums: [used] }, 1);
    const response = await ask('/metrics', METRICS_TOKEN);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    const lines = text.split('\n');
    for (const line of [
      'cyrus_sessions{phase="working"} 2',
      'cyrus_sessions{phase="queued"} 1',
      'cyrus_turns_total 9',
      'cyrus_workspaces{status="active"} 1',
      'cyrus_claude_requests_total{model="claude-opus-5-5"} 4',
      'cyrus_claude_tokens_total{model="claude-opus-5-5",type="cache_read"} 30',
      'cyrus_claude_cost_dollars_total{model="claude-opus-5-5"} 1.5',
      'cyrus_ready{check="database"} 1',
      'cyrus_alerts_open{severity="critical"} 0',
      '# TYPE cyrus_turns_total counter',
    ]) {
      expect(lines).toContain(line);
    }
    // Each family is told once, with its type before its numbers.
    const types = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
    expect(new Set(types).size).toBe(types.length);
    expect(text.endsWith('\n')).toBe(true);
    for (const line of lines.filter((each) => each !== '' && !each.startsWith('#'))) expect(line).toMatch(SAMPLE);
    for (const secret of ['ENG-1', 'secret plan', 'acme', METRICS_TOKEN]) expect(text).not.toContain(secret);
    const json = (await (await ask('/api/v1/metrics', env.ADMIN_TOKEN)).json()) as { metrics: Family[] };
    const turns = json.metrics.find(({ name }) => name === 'cyrus_turns_total');
    expect(turns).toMatchObject({ type: 'counter', samples: [{ labels: {}, value: 9 }] });
    await db.orm.run(sql`DELETE FROM sessions`);
  });

  it('are read by nobody without a token for them, which opens nothing else', async () => {
    expect((await ask('/metrics', '')).status).toBe(401);
    expect((await ask('/metrics', 'another-token-0123456789')).status).toBe(401);
    expect((await ask('/metrics', '', { METRICS_TOKEN: '' })).status).toBe(401);
    expect((await ask('/metrics', env.ADMIN_TOKEN, { METRICS_TOKEN: undefined })).status).toBe(200);
    expect((await ask('/api/admin/workspaces', METRICS_TOKEN)).status).toBe(401);
  });

  it('say what could not be read, and tell the rest', async () => {
    const prepare = () => {
      throw new Error('away');
    };
    const DB = { prepare };
    const text = await (await ask('/metrics', METRICS_TOKEN, { DB })).text();
    expect(text).toContain('cyrus_metrics_part_up{part="sessions"} 0');
    expect(text).toContain('cyrus_metrics_part_up{part="webhooks"} 1');
    expect(text).toContain('cyrus_ready{check="database"} 0');
  });
});

it('what has quotation marks, backslashes or lines in it breaks no line of Prometheus’s text', () => {
  const samples = [{ labels: { name: 'a"b\\c\nd' }, value: Number.POSITIVE_INFINITY }];
  expect(prometheusText([{ name: 'cyrus_x', type: 'gauge', help: 'two\nlines \\', samples }])).toBe(
    '# HELP cyrus_x two\\nlines \\\\\n# TYPE cyrus_x gauge\ncyrus_x{name="a\\"b\\\\c\\nd"} +Inf\n',
  );
  expect(prometheusText([{ name: 'cyrus_x', type: 'gauge', help: '', samples: [] }])).toBe('');
});
