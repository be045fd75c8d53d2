/**
 * The numbers of a deployment, from D1, the record of webhooks and the alerts. Isolates have no common memory, so nothing is counted in
 * them. Labels never name a session, an issue or a person.
 */
import { count, sum } from 'drizzle-orm';
import { leftOf } from '../../claude-quota/windows.ts';
import { asError } from '../../lib/error.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { type Database, run } from '../../store/database.ts';
import { claudeUsage, sessions, workspaces } from '../../store/schema.ts';
import { readTokenRecords } from '../../store/usage.ts';
import { operationsOf } from '../operations.ts';
import { readiness } from '../readiness.ts';
import type { Family, Sample } from './families.ts';

const PART_LIMIT_MS = 5_000;
const HOUR_MS = 3_600_000;

type Part = (about: { env: Env; database: Database; now: number }) => Promise<Family[]>;

/** All families. Never rejects: what cannot be read is left out, and `cyrus_metrics_part_up` says so. */
export async function collect(env: Env, database: Database): Promise<Family[]> {
  const about = { env, database, now: Date.now() };
  const up: Sample[] = [];
  const families = await Promise.all(
    Object.entries(PARTS).map(async ([part, read]) => {
      const found = await settledWithin(PART_LIMIT_MS, read(about)).catch((error: unknown) => {
        log('operations.metrics_part.failed', { part, error: asError(error) });
        return 'late' as const;
      });
      up.push({ labels: { part }, value: found === 'late' ? 0 : 1 });
      return found === 'late' ? [] : found;
    }),
  );
  const { id = '', tag = '' } = env.VERSION ?? {};
  return [
    gauge('cyrus_build_info', 'The version that runs.', [{ labels: { version: id, commit: tag }, value: 1 }]),
    gauge('cyrus_metrics_part_up', 'Whether a part of these metrics could be read.', up),
    ...families.flat(),
  ];
}

const PARTS: Record<string, Part> = {
  readiness: async ({ env }) => {
    const checks = await readiness(env);
    const samples = checks.map(({ name, ok }) => ({ labels: { check: name }, value: ok ? 1 : 0 }));
    return [gauge('cyrus_ready', 'Whether a dependency answers, by /ready.', samples)];
  },

  sessions: async ({ database: { orm } }) => {
    const [phases, outcomes, [turns], kinds] = await run(() =>
      orm.batch([
        orm.select({ name: sessions.phase, value: count() }).from(sessions).groupBy(sessions.phase),
        orm.select({ name: sessions.lastOutcome, value: count() }).from(sessions).groupBy(sessions.lastOutcome),
        orm.select({ value: sum(sessions.turn) }).from(sessions),
        orm.select({ name: workspaces.status, value: count() }).from(workspaces).groupBy(workspaces.status),
      ]),
    );
    const ended = outcomes.filter(({ name }) => name !== null);
    return [
      gauge('cyrus_sessions', 'Sessions by phase.', samplesOf('phase', phases)),
      gauge('cyrus_sessions_last_outcome', 'Sessions by how their last turn ended.', samplesOf('outcome', ended)),
      counter('cyrus_turns_total', 'Turns that began.', [{ labels: {}, value: Number(turns?.value ?? 0) }]),
      gauge('cyrus_workspaces', 'Workspaces by status.', samplesOf('status', kinds)),
    ];
  },

  claude: async ({ database, now }) => {
    const { orm } = database;
    const sums = await run(() =>
      orm
        .select({
          model: claudeUsage.model,
          requests: sum(claudeUsage.requests).mapWith(Number),
          refused: sum(claudeUsage.refused).mapWith(Number),
          input: sum(claudeUsage.inputTokens).mapWith(Number),
          output: sum(claudeUsage.outputTokens).mapWith(Number),
          cacheRead: sum(claudeUsage.cacheReadTokens).mapWith(Number),
          cacheCreation: sum(claudeUsage.cacheCreationTokens).mapWith(Number),
          usd: sum(claudeUsage.costUsd).mapWith(Number),
        })
        .from(claudeUsage)
        .groupBy(claudeUsage.model),
    );
    const by = (value: (one: (typeof sums)[number]) => number) =>
      sums.map((one) => ({ labels: { model: one.model }, value: value(one) }));
    const types = [
      ['input', 'input'],
      ['output', 'output'],
      ['cache_read', 'cacheRead'],
      ['cache_creation', 'cacheCreation'],
    ] as const;
    const tokens = sums.flatMap((one) =>
      types.map(([type, key]) => ({ labels: { model: one.model, type }, value: one[key] })),
    );
    const records = await readTokenRecords(database);
    const left = records.map(({ token, windows }) => ({ labels: { name: token }, value: leftOf(windows, now) }));
    const taken = records.map(({ token, problem }) => ({ labels: { name: token }, value: problem === null ? 1 : 0 }));
    return [
      counter(
        'cyrus_claude_requests_total',
        'Requests that Claude’s API answered.',
        by(({ requests }) => requests),
      ),
      counter(
        'cyrus_claude_refused_total',
        'Requests that Claude’s API refused.',
        by(({ refused }) => refused),
      ),
      counter('cyrus_claude_tokens_total', 'Tokens used, by type.', tokens),
      counter(
        'cyrus_claude_cost_dollars_total',
        'Cost by list prices, an estimate.',
        by(({ usd }) => usd),
      ),
      gauge('cyrus_claude_limit_left_ratio', 'Share left of the scarcest limit of a token, 0 to 1.', left),
      gauge('cyrus_claude_token_taken', 'Whether Claude’s API takes the token.', taken),
    ];
  },

  database: async ({ env }) => {
    const { meta } = await env.DB.prepare('SELECT 1').all();
    const value = meta.size_after;
    return [gauge('cyrus_database_bytes', 'Size of D1.', typeof value === 'number' ? [{ labels: {}, value }] : [])];
  },

  webhooks: async ({ env, now }) => {
    const { goodAt, hours } = await operationsOf(env).webhooks();
    const kinds = new Map<string, number>();
    for (const { from, counts } of hours.filter((hour) => hour.from >= now - 24 * HOUR_MS)) {
      if (from > now) continue;
      for (const [name, value] of Object.entries(counts)) {
        const kind = name.split(' ')[0] ?? name;
        kinds.set(kind, (kinds.get(kind) ?? 0) + value);
      }
    }
    const faults = [...kinds].map(([kind, value]) => ({ labels: { kind }, value }));
    const last = goodAt === null ? [] : [{ labels: {}, value: goodAt / 1_000 }];
    return [
      gauge('cyrus_webhook_last_timestamp_seconds', 'When a webhook last matched its secret, within a minute.', last),
      gauge('cyrus_webhook_faults_day', 'Webhooks of the last 24 hours that were refused or did not fit.', faults),
    ];
  },

  alerts: async ({ env }) => {
    const { open, waiting } = await operationsOf(env).alerts();
    const samples = ['warning', 'error', 'critical'].map((severity) => ({
      labels: { severity },
      value: open.filter((alert) => alert.severity === severity).length,
    }));
    return [
      gauge('cyrus_alerts_open', 'Alerts that are open.', samples),
      gauge('cyrus_alerts_waiting', 'Notices that no channel has taken yet.', [{ labels: {}, value: waiting.length }]),
    ];
  },
};

function gauge(name: Family['name'], help: string, samples: readonly Sample[]): Family {
  return { name, type: 'gauge', help, samples };
}

function counter(name: Family['name'], help: string, samples: readonly Sample[]): Family {
  return { name, type: 'counter', help, samples };
}

function samplesOf(label: string, rows: readonly { name: string | null; value: number }[]): Sample[] {
  return rows.map(({ name, value }) => ({ labels: { [label]: name ?? '' }, value }));
}
