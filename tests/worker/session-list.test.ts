import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SessionList } from '../../src/protocol/api.ts';
import { openDatabase } from '../../src/store/database.ts';

const COUNT = 230;
const hexOf = (number: number) => number.toString(16).padStart(64, '0');

beforeEach(async () => {
  await env.DB.prepare('DELETE FROM sessions').run();
  const insert = env.DB.prepare(
    `INSERT INTO sessions (id, workspace_id, title, branch, phase, reason, turn, created_at, updated_at, version)
     VALUES (?, 'org-1', ?, 'cyrus/eng-1', 'waiting', 'Done', 1, 1, ?, 1)`,
  );
  // Several have the same time: the id decides their order.
  const statements = Array.from({ length: COUNT }, (_, number) =>
    insert.bind(hexOf(number), `Session ${number}`, 1_000 + Math.floor(number / 7)),
  );
  await env.DB.batch(statements);
});

function get(query: string): Promise<Response> {
  return exports.default.fetch(`http://cyrus.test/api/sessions${query}`);
}

describe('GET /api/sessions', () => {
  it('leads from page to page to the last session, each once, last changed first', async () => {
    const seen: SessionList['sessions'] = [];
    let query = '';
    for (let pages = 0; ; pages += 1) {
      expect(pages).toBeLessThan(4);
      const page = (await (await get(query)).json()) as SessionList;
      expect(page.sessions.length).toBeLessThanOrEqual(100);
      seen.push(...page.sessions);
      if (page.next === undefined) break;
      query = `?before=${page.next}`;
    }
    expect(new Set(seen.map(({ id }) => id)).size).toBe(COUNT);
    const sorted = seen.toSorted((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1));
    expect(seen).toEqual(sorted);
  });

  it('ends if a page is the last one though it is full', async () => {
    const page = (await (await get(`?limit=10&before=1001-${hexOf(10)}`)).json()) as SessionList;
    expect(page.sessions).toHaveLength(10);
    const after = (await (await get(`?limit=10&before=${page.next}`)).json()) as SessionList;
    expect(after.sessions).toEqual([]);
    expect(after.next).toBeUndefined();
  });

  it.each([
    '1',
    'x-1',
    `1-${'g'.repeat(64)}`,
    `-1-${hexOf(1)}`,
    `${'9'.repeat(30)}-${hexOf(1)}`,
    `1-${hexOf(1)}'--`,
    '',
  ])('refuses %j as a cursor, and says what one is', async (cursor) => {
    const answer = await get(`?before=${encodeURIComponent(cursor)}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({
      error: 'bad_request',
      message: expect.stringContaining('`next` of the previous page'),
    });
  });

  it.each(['-1', '101', 'x', '1.5'])('refuses a limit of %s', async (limit) => {
    expect((await get(`?limit=${limit}`)).status).toBe(400);
  });

  it('is looked up in an index, from the first page to the last, in one workspace and in all', async () => {
    const plans: string[] = [];
    const { prepare } = env.DB;
    const spied = Object.assign(Object.create(env.DB), {
      prepare: (query: string) => {
        const statement = prepare.call(env.DB, query);
        const { bind } = statement;
        statement.bind = (...values: unknown[]) => {
          const explained = prepare.call(env.DB, `EXPLAIN QUERY PLAN ${query}`).bind(...values);
          asked.push(
            explained.all<{ detail: string }>().then(({ results }) => plans.push(...results.map((row) => row.detail))),
          );
          return bind.apply(statement, values);
        };
        return statement;
      },
    });
    const asked: Promise<number>[] = [];
    const database = openDatabase(spied, env.ENCRYPTION_KEY);
    const { listSessions } = await import('../../src/store/session-index.ts');
    const before = { updatedAt: 1_010, id: hexOf(75) };
    for (const query of [{}, { before }, { workspaceId: 'org-1' }, { workspaceId: 'org-1', before }]) {
      await listSessions(database, { limit: 100, ...query });
    }
    await Promise.all(asked);
    expect(plans.length).toBeGreaterThanOrEqual(4);
    for (const detail of plans) expect(detail).toMatch(/USING (COVERING )?INDEX sessions_(workspace_)?updated/);
    expect(plans.filter((detail) => detail.includes('SEARCH')).length).toBeGreaterThanOrEqual(3);
  });
});
