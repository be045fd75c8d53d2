/** A workspace that is deleted: nothing of it is found in the database, in the bucket or in any object. */
import { runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { claudeAccount } from '../../src/gateway/claude/account.ts';
import { operationsOf } from '../../src/operations/operations.ts';
import { audit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putSignIn } from '../../src/store/people/sign-ins.ts';
import { apiAnswers, apiTokens } from '../../src/store/schema.ts';
import { putSetting } from '../../src/store/settings.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace, session } from './support/sessions.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const OTHER = 'another-organization';

function ask(path: string, body?: object): Promise<Response> {
  const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}`, 'content-type': 'application/json' };
  const init = { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) };
  return exports.default.fetch(`http://cyrus.test/api/admin${path}`, init);
}

const erase = (confirm = ORGANIZATION) => ask(`/workspaces/${ORGANIZATION}/erase`, { confirm });

/** All rows of all tables of the database, as text. */
async function wholeDatabase(): Promise<string> {
  const { results } = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  ).all<{ name: string }>();
  const tables = await Promise.all(results.map(({ name }) => env.DB.prepare(`SELECT * FROM "${name}"`).all()));
  return JSON.stringify(tables.map((table) => table.results));
}

/** All that an object stores, as text. */
async function wholeObject(stub: DurableObjectStub<never>): Promise<string> {
  return runInDurableObject(stub, (_, { storage: { sql, kv } }) => {
    const names = sql.exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
    );
    const tables = names.toArray().map(({ name }) => [name, sql.exec(`SELECT * FROM "${name}"`).toArray()]);
    return JSON.stringify([tables, [...kv.list()]]);
  });
}

const objects = (threads: Thread[]) =>
  [
    ...threads.map(session),
    env.WORKSPACE_QUEUE.getByName(ORGANIZATION),
    env.LINEAR_WORKSPACE.getByName(ORGANIZATION),
    claudeAccount(env),
    operationsOf(env),
  ] as unknown as DurableObjectStub<never>[];

it('leaves no row, no object of the bucket and no value in any object, and touches no other workspace', async () => {
  const outside = new Outside();
  outside.interfere = (_url, _body, { method }) => (method === 'DELETE' ? Response.json({ state: 'closed' }) : null);
  await registerWorkspace();
  const other = { name: 'Globex', urlKey: 'globex', appUserId: 'app-user-2', accessToken: 'lin_oauth_other' };
  await upsertWorkspace(db, OTHER, other, 1);
  const repository = { cloneUrl: 'https://git.test/globex/site.git', baseBranch: 'main' };
  await upsertRepository(db, OTHER, 'globex/site', repository, 1);
  // One session that is done, and one at work.
  const threads = [newThread(), newThread()];
  for (const thread of threads) await send(created(thread));
  await vi.waitFor(() => expect(outside.commands.filter(({ type }) => type === 'prompt')).toHaveLength(2));
  const [done] = threads as [Thread, Thread];
  await new Reporter(done).report(init, result('Done.', [done.agentSessionId]), saved(1, 0));
  await vi.waitFor(async () => expect((await page(done))?.session.phase).toBe('waiting'));
  const ids = threads.map((thread) => session(thread).id.toString());
  await vi.waitFor(async () => expect((await env.LOGS.list({ prefix: `logs/${ids[0]}/` })).objects).toHaveLength(2));
  await env.LOGS.put(`checkpoints/${ids[1]}/1/bundle`, 'bundle');
  await env.LOGS.put(`sessions/${ids[1]}/patch/x.patch`, 'of an earlier version');
  await env.LOGS.put(`repositories/${ORGANIZATION}/acme%2Fshop/cache/x/base-1.json`, '{}');
  await env.LOGS.put(`repositories/${OTHER}/globex%2Fsite/cache/x/base-1.json`, '{}');
  await putSetting(db, env, { workspaceId: ORGANIZATION, name: 'PAUSED', value: 'false' }, { by: 'admin', now: 1 });
  await audit(db, { at: 1, actor: 'admin', action: 'thing.done', workspaceId: ORGANIZATION, details: {} });
  const fault = { kind: 'misfit', workspace: ORGANIZATION, count: 1 } as const;
  await operationsOf(env).noteWebhooks({ goodAt: 1, faults: [fault] });
  await env.LINEAR_WORKSPACE.getByName(ORGANIZATION).countIgnored('teams_added');
  const member = (workspaceId: string) => ({ workspaceId, role: 'member', teams: [] });
  const signIn = {
    kind: 'linear',
    person: 'linear-user:1',
    name: 'Ada',
    email: 'ada@acme.test',
    browser: null,
  } as const;
  const times = { createdAt: 1, seenAt: 1, expiresAt: 9e15, checkedAt: 1 };
  for (const [tokenHash, all] of [
    ['both', [ORGANIZATION, OTHER]],
    ['one', [ORGANIZATION]],
  ] as const) {
    await putSignIn(db, {
      tokenHash,
      id: tokenHash,
      ...signIn,
      ...times,
      memberships: JSON.stringify(all.map(member)),
    });
  }

  const token = {
    label: 'CI',
    scope: 'read',
    kind: 'linear',
    person: 'linear-user:1',
    name: 'Ada',
    email: 'ada@acme.test',
  };
  await db.orm.insert(apiTokens).values({
    ...{ tokenHash: 'programs', id: 'programs', ...token, createdAt: 1, expiresAt: 9e15, checkedAt: 1 },
    memberships: JSON.stringify([ORGANIZATION, OTHER].map(member)),
  } as typeof apiTokens.$inferInsert);
  const answer = { tokenId: 'programs', key: 'k', request: 'r', status: 200, createdAt: 1 };
  await db.orm.insert(apiAnswers).values({ ...answer, body: JSON.stringify({ id: ids[0] }) });

  expect((await erase()).status).toBe(409);
  await env.DB.prepare("UPDATE workspaces SET status = 'revoked' WHERE id = ?").bind(ORGANIZATION).run();
  expect((await erase('another')).status).toBe(400);
  const traces = [ORGANIZATION, ...ids, 'acme/shop', 'ENG-7', 'cart total'];
  const whole = async () => [
    await wholeDatabase(),
    ...(await Promise.all(objects(threads).map(wholeObject))),
    JSON.stringify((await env.LOGS.list()).objects.map(({ key }) => key)),
  ];
  const before = (await whole()).join('\n');
  for (const trace of traces) expect(before).toContain(trace);

  for (let steps = 0; ; steps += 1) {
    expect(steps).toBeLessThan(5);
    const { isDone } = await (await erase()).json<{ isDone: boolean }>();
    if (isDone) break;
  }
  for (const [index, text] of (await whole()).entries()) {
    for (const trace of traces) expect(text, `${trace} in place ${index}`).not.toContain(trace);
  }
  const after = await wholeDatabase();
  expect(after).toContain('Globex');
  expect(after).toContain('globex/site');
  expect(after).toContain('workspace.erased');
  const { results } = await env.DB.prepare('SELECT id FROM sign_ins').all();
  expect(results).toEqual([{ id: 'both' }]);
  expect((await env.LOGS.list({ prefix: 'repositories/' })).objects).toHaveLength(1);
});
