/** Looks at the deployment every five minutes: what it depends on, what is stuck, what was refused or is nearly used up. */
import { and, gte, inArray, lt, sql } from 'drizzle-orm';
import type { Config } from '../config/config.ts';
import { claudeAccount } from '../gateway/claude/account.ts';
import { asError } from '../lib/error.ts';
import { settledWithin, withTimeout } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import { type Database, openDatabase, run } from '../store/database.ts';
import { claudeUsage, sessions } from '../store/schema.ts';
import { lastConfig, settingRows, settledConfig } from '../store/settings.ts';
import { listWorkspaces } from '../store/workspaces/workspaces.ts';
import type { Alert } from './alerts/alert.ts';
import { operationsOf } from './operations.ts';
import { readiness } from './readiness.ts';
import { exportTurns } from './traces/export.ts';
import { verdictOf } from './webhook-record.ts';

const MINUTE_MS = 60_000;
/** A start, a save or a stop takes no longer; a turn ends with its container at the latest. */
const STUCK_MS = 30 * MINUTE_MS;
const LONGEST_TURN_MS = 13 * 60 * MINUTE_MS;
const LONGEST_WAIT_MS = 15 * MINUTE_MS;
/** So many sessions that ended within this time, more than half of them failed, are no chance. */
const FAILED_WITHIN_MS = 60 * MINUTE_MS;
const LEAST_FAILED = 3;
const LEAST_BAD_WEBHOOKS = 3;
const D1_WARN_BYTES = 8_000_000_000;
const LOOK_LIMIT_MS = 20_000;
const HEARTBEAT_LIMIT_MS = 10_000;
const MOST_NAMED = 5;
const MOST_QUEUES = 50;
/** Share of a budget from which people are told of it. */
const WARN_AT = 0.8;
const MOST_STUCK = 500;

/** Looks at everything and tells the object of the deployment, which tells people. Never rejects. */
export async function watch(env: Env): Promise<void> {
  const ready = await readiness(env);
  const missing = ready.filter(({ ok }) => !ok);
  const found: Alert[] = missing.map(({ name, words }) => ({
    key: `ready.${name}`,
    severity: 'critical',
    words,
    remedy: 'Run npm run doctor.',
  }));
  try {
    const config = await settledConfig(env, null);
    // Without the database all the rest would fail by the same.
    const { alerts, unseen } =
      missing.length === 0 ? await conditions(env, config) : { alerts: [], unseen: Object.keys(LOOKS) };
    const operations = operationsOf(env);
    await operations.watched([...found, ...alerts], unseen);
    // A switch that hears nothing tells people; so it hears nothing while something is missing.
    if (missing.length === 0) await ping(config.alerts.heartbeatUrl);
    if (missing.length === 0) {
      const database = openDatabase(env.DB, config.encryptionKey);
      await operations.keepSettings(await settingRows(database));
      await exportTurns(env, config, database);
    }
  } catch (error) {
    log('operations.watch.failed', { error: asError(error) });
  }
}

type Look = (about: { env: Env; config: Config; database: Database; now: number }) => Promise<Alert[]>;

/** What holds now, and what could not be looked at. */
async function conditions(env: Env, config: Config): Promise<{ alerts: Alert[]; unseen: string[] }> {
  const database = openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey);
  const about = { env, config, database, now: Date.now() };
  const alerts: Alert[] = [];
  const unseen: string[] = [];
  await Promise.all(
    Object.entries(LOOKS).map(async ([key, look]) => {
      try {
        const found = await settledWithin(LOOK_LIMIT_MS, look(about));
        if (found !== 'late') alerts.push(...found);
        else throw new Error(`no answer within ${LOOK_LIMIT_MS / 1_000} s`);
      } catch (error) {
        log('operations.watch_look.failed', { look: key, error: asError(error) });
        unseen.push(key);
      }
    }),
  );
  return { alerts, unseen };
}

/** By the beginning of the keys of what they find. */
const LOOKS: Record<string, Look> = {
  'session.stuck': async ({ env, config, database, now }) => {
    const short = and(
      inArray(sessions.phase, ['starting', 'saving', 'stopping']),
      lt(sessions.updatedAt, now - STUCK_MS),
    );
    const long = and(sql`${sessions.phase} = 'working'`, lt(sessions.updatedAt, now - LONGEST_TURN_MS));
    const columns = {
      issue: sessions.issueIdentifier,
      id: sessions.id,
      workspace: sessions.workspaceId,
      phase: sessions.phase,
      since: sessions.updatedAt,
    };
    const old = await run(() =>
      database.orm
        .select(columns)
        .from(sessions)
        .where(sql`(${short}) OR (${long})`)
        .orderBy(sessions.updatedAt)
        .limit(MOST_STUCK),
    );
    // A pause holds starts back for as long as it lasts.
    const isPaused = (workspace: string) => config.paused || lastConfig(env, workspace).paused;
    const rows = old.filter(({ phase, workspace }) => phase !== 'starting' || !isPaused(workspace));
    const nameOf = ({ issue, id, phase, since }: (typeof rows)[number]) =>
      `${issue ?? id.slice(0, 8)} (${phase} since ${timeOf(since)})`;
    const rest = rows.slice(MOST_NAMED);
    const remedy = 'Open the page of the session: it says what it waits for. Stop it there, or comment to try again.';
    // Each by itself, so that people are told of the next one too.
    const alerts = rows.slice(0, MOST_NAMED).map((row): Alert => {
      return { key: `session.stuck:${row.id}`, severity: 'error', words: `A session is stuck: ${nameOf(row)}`, remedy };
    });
    if (rest.length > 0) {
      const words = `${count(rest.length, 'more session is', 'more sessions are')} stuck: ${listOf(rest.map(nameOf))}`;
      alerts.push({ key: 'session.stuck', severity: 'error', words, remedy });
    }
    return alerts;
  },

  'session.error_rate': async ({ database, now }) => {
    const recent = and(gte(sessions.updatedAt, now - FAILED_WITHIN_MS), sql`${sessions.lastOutcome} IS NOT NULL`);
    const columns = { issue: sessions.issueIdentifier, id: sessions.id, outcome: sessions.lastOutcome };
    const rows = await run(() => database.orm.select(columns).from(sessions).where(recent).limit(500));
    const failed = rows.filter(({ outcome }) => outcome === 'failed');
    if (failed.length < LEAST_FAILED || failed.length * 2 <= rows.length) return [];
    const named = listOf(failed.map(({ issue, id }) => issue ?? id.slice(0, 8)));
    return [
      {
        key: 'session.error_rate',
        severity: 'error',
        words: `${failed.length} of the last ${rows.length} sessions failed within the hour: ${named}`,
        remedy: 'Run npm run doctor, and look at the page of one of them.',
      },
    ];
  },

  'queue.wait': async ({ env, database, now }) => {
    const workspaces = await activeWorkspaces(database);
    const found = await Promise.all(
      workspaces.map(async ({ id, name }): Promise<Alert[]> => {
        const { waiting, sessionsAtOnce, reached } = await env.WORKSPACE_QUEUE.getByName(id).line();
        const longest = Math.max(0, ...waiting.map(({ since }) => now - since));
        if (longest < LONGEST_WAIT_MS) return [];
        const words = `In ${name} ${count(waiting.length, 'session waits', 'sessions wait')} for a slot, for ${Math.round(longest / MINUTE_MS)} minutes`;
        const remedy =
          reached === null
            ? `${sessionsAtOnce} may run at once: npm run settings -- set MAX_SESSIONS_AT_ONCE NUMBER`
            : `${reached.name} is ${reached.most} and reached: npm run settings -- set ${reached.name} NUMBER --workspace ${id}`;
        return [{ key: `queue.wait:${id}`, severity: 'warning', words, remedy }];
      }),
    );
    return found.flat();
  },

  'sandbox.budget': async ({ env, database }) => {
    const workspaces = await activeWorkspaces(database);
    const found = await Promise.all(
      workspaces.map(async ({ id, name }) => {
        const { limits, sandboxMinutes } = await env.WORKSPACE_QUEUE.getByName(id).line();
        const budgets = [
          { setting: 'SANDBOX_MINUTES_DAY', of: 'day', used: sandboxMinutes.day },
          { setting: 'SANDBOX_MINUTES_MONTH', of: 'month', used: sandboxMinutes.month },
        ] as const;
        return budgets.flatMap(({ setting, of, used }): Alert[] => {
          const most = limits[setting];
          const share = most === 0 ? 0 : used / most;
          if (share < WARN_AT) return [];
          const words = `In ${name} ${Math.floor(share * 100)} % of the ${of}'s budget of sandboxes is used: ${used} of ${most} minutes`;
          const remedy = `${share >= 1 ? 'Nothing starts' : 'At 100 % nothing starts'} until the next ${of}, unless you raise it: npm run settings -- set ${setting} NUMBER --workspace ${id}`;
          return [{ key: `sandbox.budget:${of}:${id}`, severity: share >= 1 ? 'error' : 'warning', words, remedy }];
        });
      }),
    );
    return found.flat();
  },

  'linear.reinstall_needed': async ({ database }) => {
    const gone = (await listWorkspaces(database)).filter(({ status }) => status === 'reinstall-needed');
    return gone.map(({ id, name }) => ({
      key: `linear.reinstall_needed:${id}`,
      severity: 'error',
      words: `Linear takes the tokens of ${name} no more: Cyrus cannot answer there`,
      remedy: 'Open /install and add Cyrus to the workspace again; repositories and sessions stay.',
    }));
  },

  'linear.webhook_signature': async ({ env }) => {
    const record = await operationsOf(env).webhooks();
    const { kind, words } = verdictOf(record);
    // Anybody may send something that is signed wrong; Linear sends more than one.
    if (kind !== 'bad' || (record.bad?.count ?? 0) < LEAST_BAD_WEBHOOKS) return [];
    const remedy = 'Copy the signing secret of the application in Linear again, see /install.';
    return [{ key: 'linear.webhook_signature', severity: 'critical', words, remedy }];
  },

  'claude.token_refused': async ({ env }) => {
    const refused = (await claudeAccount(env).tokens()).filter(({ problem }) => problem !== null);
    return refused.map(({ token, problem }) => ({
      key: `claude.token_refused:${token}`,
      severity: 'critical',
      words: `Claude’s API does not take the token "${token}": ${problem?.message ?? ''}`.slice(0, 500),
      remedy: 'Store another: npx wrangler secret put CLAUDE_CODE_OAUTH_TOKEN (or ANTHROPIC_API_KEY).',
    }));
  },

  'claude.budget': async ({ config, database, now }) => {
    const most = config.limits.budgets.month;
    if (most === null || config.claude.access.mode !== 'api-key') return [];
    const since = `${new Date(now).toISOString().slice(0, 7)}-01`;
    const sum = { usd: sql<number>`coalesce(sum(${claudeUsage.costUsd}), 0)` };
    const [spent] = await run(() => database.orm.select(sum).from(claudeUsage).where(gte(claudeUsage.day, since)));
    const share = (spent?.usd ?? 0) / most;
    if (share < WARN_AT) return [];
    const words = `${Math.floor(share * 100)} % of the month's budget for Claude is spent: $${(spent?.usd ?? 0).toFixed(2)} of $${most}`;
    const remedy =
      'Raise it (npm run settings -- set CLAUDE_BUDGET_MONTH_USD NUMBER), or let turns wait for the next month.';
    return [{ key: 'claude.budget', severity: share >= 1 ? 'error' : 'warning', words, remedy }];
  },

  'database.size': async ({ env }) => {
    const { meta } = await env.DB.prepare('SELECT 1').all();
    if (typeof meta.size_after !== 'number' || meta.size_after < D1_WARN_BYTES) return [];
    const words = `The database has ${(meta.size_after / 1e9).toFixed(1)} of 10 GB`;
    return [
      {
        key: 'database.size',
        severity: 'error',
        words,
        remedy: 'Make RETENTION_SESSION_DAYS or RETENTION_USAGE_DAYS shorter: npm run settings.',
      },
    ];
  },
};

async function activeWorkspaces(database: Database) {
  return (await listWorkspaces(database)).filter(({ status }) => status === 'active').slice(0, MOST_QUEUES);
}

async function ping(url: string | null): Promise<void> {
  if (url === null) return;
  await withTimeout(HEARTBEAT_LIMIT_MS, async (signal) => {
    const response = await fetch(url, { method: 'POST', redirect: 'manual', signal });
    await response.body?.cancel();
  }).catch(() => log('operations.heartbeat.failed', {}));
}

function listOf(names: readonly string[]): string {
  const rest = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

function timeOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
