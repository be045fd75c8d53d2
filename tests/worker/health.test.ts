/** What a monitor is told of a deployment. */
import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { spyOnLog } from '../support/log-spy.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
let logged: ReturnType<typeof spyOnLog>;

beforeEach(() => {
  logged = spyOnLog();
});
afterEach(() => void vi.restoreAllMocks());

/** @param bindings with others in the place of some; a fresh set, so that nothing kept counts */
async function ask(path: string, bindings: Partial<Env> = {}): Promise<{ status: number; json: unknown }> {
  const response = await worker.request(`https://cyrus.example${path}`, {}, { ...env, ...bindings });
  return { status: response.status, json: await response.json() };
}

const databaseWith = (prepare: () => never | Promise<never>) => ({ prepare }) as unknown as D1Database;

describe('a deployment', () => {
  it('that has all it needs is healthy and ready, and every dependency is named', async () => {
    expect(await ask('/health')).toEqual({ status: 200, json: { ok: true, paused: false, scriptedModel: false } });
    const checks = ['configuration', 'database', 'bucket', 'objects'].map((name) => ({
      name,
      ok: true,
      words: 'ready',
    }));
    expect(await ask('/ready')).toEqual({ status: 200, json: { ok: true, checks } });
  });

  it('whose database is behind the code says so on both addresses, and what to do', async () => {
    await db.orm.run(sql`ALTER TABLE settings RENAME COLUMN updated_by TO former`);
    try {
      const words = expect.stringMatching(/^The database is behind this version of Cyrus: run `npm run deploy`/);
      expect(await ask('/health')).toMatchObject({
        status: 503,
        json: { ok: false, error: 'database', message: words },
      });
      const { status, json } = await ask('/ready');
      expect(status).toBe(503);
      expect(json).toMatchObject({ checks: expect.arrayContaining([{ name: 'database', ok: false, words }]) });
      expect(JSON.stringify(logged.mock.calls)).toContain('settings.updated_by');
    } finally {
      await db.orm.run(sql`ALTER TABLE settings RENAME COLUMN former TO updated_by`);
    }
  });

  it('whose database does not answer is not ready after two seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const never = { all: () => new Promise(() => {}), raw: () => new Promise(() => {}), bind: () => never };
      const asked = ask('/ready', { DB: { prepare: () => never } as unknown as D1Database });
      await vi.advanceTimersByTimeAsync(2_000);
      expect(await asked).toMatchObject({
        status: 503,
        json: {
          checks: expect.arrayContaining([
            { name: 'database', ok: false, words: 'The database (D1) does not answer within 2 s' },
          ]),
        },
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it('whose database fails, or has a wrong secret, is not ready, and tells strangers nothing more', async () => {
    const failing = databaseWith(() => {
      throw new Error('D1_ERROR: internal detail');
    });
    const answers = [await ask('/ready', { DB: failing }), await ask('/ready', { ADMIN_TOKEN: 'short' })];
    expect(answers.map(({ status }) => status)).toEqual([503, 503]);
    expect(JSON.stringify(answers)).toContain('The database (D1) does not answer');
    expect(JSON.stringify(answers)).toContain('A variable or secret is missing or wrong');
    expect(JSON.stringify(answers)).not.toMatch(/internal detail|ADMIN_TOKEN|short/);
  });
});

describe('an address whose object of Durable Objects', () => {
  const id = 'a'.repeat(64);
  const failing = (error: Error) => {
    const away = () => Promise.reject(error);
    return { ISSUE_SESSION: { idFromString: () => id, get: () => ({ whose: away, page: away, egress: away }) } };
  };
  const statusOf = async (error: Error) => {
    const bindings = { ...env, ...failing(error) };
    return (await worker.request(`http://cyrus.test/api/sessions/${id}`, {}, bindings)).status;
  };

  it.each([
    ['is away', { retryable: true }],
    ['is asked too much', { overloaded: true }],
  ])('%s is a 503', async (_, how) => {
    const error = Object.assign(new Error('Network connection lost.'), { remote: true, ...how });
    expect(await statusOf(error)).toBe(503);
  });

  it('fails in any other way is a 500', async () => {
    expect(await statusOf(Object.assign(new Error('oops'), { remote: true }))).toBe(500);
  });
});
