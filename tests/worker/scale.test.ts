/**
 * `npm run simulate:scale`: a thousand sessions at the same time, by a clock that runs fast, on the real queue, the real account of Claude's use
 * and the real governor of calls to Linear. It prints what docs/scale.md has, and holds it to the limits of the platform. The quick run of tests
 * plays a tenth of them.
 */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, expect, it, vi } from 'vitest';
import { claudeAccount } from '../../src/gateway/claude/account.ts';
import { Governor } from '../../src/linear/api/governor.ts';
import { unknownAllowance } from '../../src/linear/api/rate-limit.ts';
import { IssueSession } from '../../src/session/issue-session.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putSetting } from '../../src/store/settings.ts';
import { histories } from '../histories.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SESSIONS = histories(1_000);
const WORKSPACES = 10;
const ARRIVALS_MS = 10 * MINUTE;
const TURN_MS = 20 * MINUTE;
/** Of a session at work (docs/architecture.md and the facts it rests on). */
const LINEAR_CALLS_AN_HOUR = 35;
const LINEAR_ALLOWANCE = 5_000;
/** Of the requests to Claude's API the account hears some; every five seconds it writes one sum for each session that had any. */
const RECORD_EVERY_MS = 5 * MINUTE;
const FLUSH_S = 5;
/** Statements that one database of D1 carries out in a second, in the order of. */
const D1_WRITES_A_SECOND = 1_000;

interface Simulated {
  id: string;
  workspace: number;
  arrivedAt: number;
  askAt: number;
  startedAt: number | null;
  endsAt: number;
  recordAt: number;
  callAt: number;
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it.each([
  ['that wait, ten at work in each workspace', 10],
  ['that are all at work', 1_000 / WORKSPACES],
])(
  'a thousand sessions %s, stay within Linear’s allowance and what one database writes',
  async (_, slots) => {
    const setting = { workspaceId: null, name: 'MAX_SESSIONS_AT_ONCE', value: String(slots) } as const;
    expect(
      await putSetting(openDatabase(env.DB, env.ENCRYPTION_KEY), env, setting, { by: 'admin', now: 1 }),
    ).toBeNull();
    // What an isolate has read of settings counts for ten seconds.
    const begun = (Math.ceil(Date.now() / HOUR) + slots) * HOUR;
    const counts = { asked: 0, told: 0, gave: 0, values: 0, recorded: 0, callsHeld: 0 };
    const sessions = Array.from({ length: SESSIONS }, (_, index): Simulated => {
      const arrivedAt = begun + Math.floor((index / SESSIONS) * ARRIVALS_MS);
      const id = env.ISSUE_SESSION.idFromName(`scale-${slots}-${index}`).toString();
      const never = Number.POSITIVE_INFINITY;
      const later = { startedAt: null, endsAt: never, recordAt: never, callAt: never };
      return { id, workspace: index % WORKSPACES, arrivedAt, askAt: arrivedAt, ...later };
    });
    const byId = new Map(sessions.map((session) => [session.id, session]));
    const queueOf = ({ workspace }: Simulated) =>
      env.WORKSPACE_QUEUE.getByName(`scale-workspace-${slots}-${workspace}`);
    const start = (session: Simulated) => {
      if (session.startedAt !== null) return;
      const now = Date.now();
      Object.assign(session, {
        startedAt: now,
        endsAt: now + TURN_MS,
        recordAt: now,
        callAt: now,
        askAt: Number.POSITIVE_INFINITY,
      });
    };
    // Sessions are played here; what the queue says to them is real.
    vi.spyOn(IssueSession.prototype, 'queueMoved').mockImplementation(function (this: IssueSession, place) {
      counts.told += 1;
      const session = byId.get(this.ctx.id.toString());
      if (place === 0 && session) start(session);
    });
    vi.spyOn(IssueSession.prototype, 'needsSlot').mockImplementation(function (this: IssueSession) {
      const session = byId.get(this.ctx.id.toString());
      return session !== undefined && session.endsAt >= Date.now();
    });
    await runInDurableObject(env.WORKSPACE_QUEUE.getByName('scale-spy'), (_, { storage }) => {
      const prototype = Object.getPrototypeOf(storage.kv);
      const { put } = prototype;
      vi.spyOn(prototype, 'put').mockImplementation(function (this: unknown, ...about: unknown[]) {
        counts.values += 1;
        return put.apply(this, about);
      });
    });
    const governors = Array.from({ length: WORKSPACES }, () => new Governor(unknownAllowance));
    const calls = new Map<string, number>();
    const linearCall = async ({ workspace }: Simulated) => {
      const governor = governors[workspace];
      const hour = `${workspace} ${Math.floor(Date.now() / HOUR)}`;
      const made = calls.get(hour) ?? 0;
      const passage = await governor?.pass('action', Date.now() + MINUTE, async () => {
        calls.set(hour, made + 1);
        governor.hear({ ok: true, json: '{}' }, allowanceHeaders(made + 1));
      });
      if (passage?.kind !== 'done') counts.callsHeld += 1;
    };
    const changed = async () =>
      (await env.DB.prepare('SELECT total_changes() AS rows').first<{ rows: number }>())?.rows ?? 0;
    const rowsBefore = await changed();
    const waits: number[] = [];
    let mostAtWork = 0;
    let done = 0;
    let nextQueueAlarm = begun + 5 * MINUTE;
    for (let now = begun; done < SESSIONS; now += 5_000) {
      vi.useFakeTimers({ now, toFake: ['Date'] });
      for (const session of sessions) {
        if (session.askAt <= now) {
          counts.asked += 1;
          session.askAt = now + MINUTE;
          const place = await queueOf(session).take({
            session: session.id,
            owner: session.id,
            turn: 1,
            isUnderWay: false,
          });
          if (place === 0) start(session);
        }
        if (session.callAt <= now) {
          session.callAt = now + HOUR / LINEAR_CALLS_AN_HOUR;
          await linearCall(session);
        }
        if (session.recordAt <= now) {
          session.recordAt = now + RECORD_EVERY_MS;
          counts.recorded += 1;
          await claudeAccount(env).record(answered(session));
        }
        if (session.endsAt <= now) {
          waits.push((session.startedAt ?? now) - session.arrivedAt);
          Object.assign(session, {
            endsAt: Number.POSITIVE_INFINITY,
            recordAt: Number.POSITIVE_INFINITY,
            callAt: Number.POSITIVE_INFINITY,
          });
          counts.gave += 1;
          done += 1;
          await queueOf(session).give(session.id, 1);
        }
      }
      if (now >= nextQueueAlarm) {
        nextQueueAlarm = now + 5 * MINUTE;
        for (const session of sessions.slice(0, WORKSPACES)) await runDurableObjectAlarm(queueOf(session));
      }
      if ((now - begun) % MINUTE === 0) {
        await runDurableObjectAlarm(claudeAccount(env));
        mostAtWork = Math.max(mostAtWork, sessions.filter(({ endsAt }) => Number.isFinite(endsAt)).length);
      }
      expect(now - begun).toBeLessThan(24 * HOUR);
    }
    waits.sort((a, b) => a - b);
    const minutes = (ms: number) => Math.round(ms / MINUTE);
    const most = Math.max(...calls.values());
    const rows = (await changed()) - rowsBefore;
    // As if each of them had been answered between two writes.
    const perSecond = Math.ceil(((rows / counts.recorded) * mostAtWork) / FLUSH_S);
    console.log(
      JSON.stringify({
        sessions: SESSIONS,
        workspaces: WORKSPACES,
        slots,
        mostAtWork,
        waitMinutes: { median: minutes(waits[Math.floor(waits.length / 2)] ?? 0), longest: minutes(waits.at(-1) ?? 0) },
        queue: { asked: counts.asked, told: counts.told, gave: counts.gave, values: counts.values },
        linear: { mostCallsAnHour: most, allowance: LINEAR_ALLOWANCE, held: counts.callsHeld },
        d1: { rowsForASum: Math.round((rows / counts.recorded) * 10) / 10, mostWritesASecond: perSecond },
      }),
    );
    expect(waits).toHaveLength(SESSIONS);
    // One word for each that waited, however long the queue was.
    expect(counts.told).toBeLessThanOrEqual(SESSIONS);
    expect(most).toBeLessThan(LINEAR_ALLOWANCE);
    expect(counts.callsHeld).toBe(0);
    expect(perSecond).toBeLessThan(D1_WRITES_A_SECOND);
  },
  600_000,
);

function answered({ id, workspace }: Simulated): Parameters<ReturnType<typeof claudeAccount>['record']>[0] {
  const use = {
    model: 'claude-sonnet-5-5',
    inputTokens: 1_000,
    outputTokens: 500,
    cacheReadTokens: 20_000,
    cacheCreationTokens: 500,
  };
  return {
    asker: { session: id, workspace: `scale-workspace-${workspace}`, repository: 'acme/shop' },
    ...{ token: 'default', use, refused: false, windows: null, reservation: null, unfinished: null },
  } as unknown as Parameters<ReturnType<typeof claudeAccount>['record']>[0];
}

/** What Linear says with an answer of what is left of the hour. */
function allowanceHeaders(made: number): Headers {
  const reset = String((Math.floor(Date.now() / HOUR) + 1) * HOUR);
  return new Headers({
    'x-ratelimit-requests-limit': String(LINEAR_ALLOWANCE),
    'x-ratelimit-requests-remaining': String(LINEAR_ALLOWANCE - made),
    'x-ratelimit-requests-reset': reset,
    'x-ratelimit-complexity-limit': '2000000',
    'x-ratelimit-complexity-remaining': '2000000',
    'x-ratelimit-complexity-reset': reset,
  });
}
