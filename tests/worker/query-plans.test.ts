/** What SQLite does for each statement that a session and its pages run: it looks things up, and walks through no table that grows. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { call, callResult, init, result, saved, text } from '../unit/support/session-play.ts';
import { created, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace, session, watch } from './support/sessions.ts';

/** Steps of SQLite's plan for each statement that was run, by its text. */
const plans = new Map<string, string[]>();
const READS_ROWS = /^\s*(?:SELECT|UPDATE|DELETE|WITH|INSERT[^;]*\bSELECT)\b/i;

type Exec = (
  this: unknown,
  query: string,
  ...values: unknown[]
) => { toArray: () => { detail: string }[]; rowsWritten: number };

let outside: Outside;
let restore: () => void = () => {};

beforeEach(async () => {
  await registerWorkspace();
  outside = new Outside();
  plans.clear();
  const stub = env.WORKSPACE_QUEUE.getByName('query-plans');
  const objects = await runInDurableObject(stub, (_object, { storage }) =>
    explained(Object.getPrototypeOf(storage.sql)),
  );
  const database = explainedD1(Object.getPrototypeOf(env.DB));
  restore = () => {
    objects();
    database();
  };
});
afterEach(() => restore());

function explained(prototype: { exec: Exec }): () => void {
  const { exec } = prototype;
  prototype.exec = function (query, ...values) {
    if (READS_ROWS.test(query) && !plans.has(query)) {
      const steps = exec.call(this, `EXPLAIN QUERY PLAN ${query}`, ...values).toArray();
      plans.set(
        query,
        steps.map(({ detail }) => detail),
      );
    }
    return exec.call(this, query, ...values);
  };
  return () => {
    prototype.exec = exec;
  };
}

/** D1 answers later: its plans are asked for at the end, with what each statement was given first. */
const asked = new Map<string, unknown[]>();

function explainedD1(prototype: { prepare: (query: string) => D1PreparedStatement }): () => void {
  const { prepare } = prototype;
  asked.clear();
  prototype.prepare = function (query) {
    const statement = prepare.call(this, query);
    if (!READS_ROWS.test(query)) return statement;
    const { bind } = statement;
    statement.bind = (...values) => {
      if (!asked.has(query)) asked.set(query, values);
      return bind.apply(statement, values);
    };
    if (!query.includes('?')) asked.set(query, []);
    return statement;
  };
  return () => {
    prototype.prepare = prepare;
  };
}

async function plansOfD1(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const [query, values] of [...asked]) {
    const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${query}`)
      .bind(...values)
      .all<{ detail: string }>();
    found.set(
      query,
      results.map(({ detail }) => detail),
    );
  }
  return found;
}

const get = async (path: string): Promise<Response> => {
  const response = await exports.default.fetch(`http://cyrus.test${path}`);
  await response.text();
  return response;
};

/** Two turns with all that people do meanwhile: comments, a stop, pages, a search, the end of the object in between. */
async function life(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.starts).not.toHaveLength(0));
  const reporter = new Reporter(thread);
  await reporter.report(init, text('I look at the cart.'), call('t1'), callResult('t1'));
  const viewer = await watch(thread);
  await vi.waitFor(() => expect(viewer.frames).not.toHaveLength(0));
  await send(prompted(thread, 'With tests, please.'));
  await evictDurableObject(session(thread));
  await reporter.report(call('t2'), callResult('t2'), result('Done.', [thread.agentSessionId]), saved(1));
  await vi.waitFor(async () => {
    await runDurableObjectAlarm(session(thread));
    expect((await page(thread))?.session.phase).not.toBe('saving');
  });
  await send(prompted(thread, '', { signal: 'stop' }));
  const id = session(thread).id.toString();
  const paths = ['?before=5&limit=2', '?after=2', '/find?q=cart', '/turns/1/log.jsonl', '/turns/1/log.md', '/patch'];
  for (const path of paths) await get(`/api/sessions/${id}${path}`);
  await runDurableObjectAlarm(session(thread));
  return thread;
}

/** Statements that are meant to walk, and why that is no more than what is wanted of it. */
const MEANT: [RegExp, string][] = [
  [/^SCAN (?:state|progress|CONSTANT ROW|sqlite_master)\b/, 'holds one row, or a handful'],
  [/^SCAN json_each\b/, 'what the statement was given'],
  [
    /^SCAN (?:prompts: SELECT (?:id|1) FROM prompts|outbox: SELECT id, .* FROM outbox ORDER BY id)/,
    'wanted whole, once a life of the object',
  ],
  [/^SCAN journal: SELECT state AS json FROM journal ORDER BY seq DESC LIMIT 1$/, 'the last row'],
  [
    /^SCAN journal: SELECT .* WHERE kind = (?:'saved'|\?) ORDER BY seq DESC LIMIT/,
    'back from the end to the newest of a kind; none comes after it',
  ],
];

it('an object of a session walks through no table that grows with it', async () => {
  await life();
  expect(plans.size).toBeGreaterThan(15);
  expect([...plans.keys()].join()).toMatch(/journal[\s\S]*outbox|outbox[\s\S]*journal/);
  const scans = [...plans].flatMap(([query, steps]) =>
    steps.filter((step) => step.startsWith('SCAN')).map((step) => `${step}: ${query}`),
  );
  expect(scans.filter((scan) => MEANT.every(([pattern]) => !pattern.test(scan)))).toEqual([]);
});

it('the pages of sessions and what a session asks of D1 are looked up by an index', async () => {
  const thread = await life();
  const workspace = '?workspace=org-1';
  const cursor = btoa(JSON.stringify([Date.now(), session(thread).id.toString()]));
  for (const query of ['', workspace, `?before=${encodeURIComponent(cursor)}`]) await get(`/api/sessions${query}`);
  const found = await plansOfD1();
  expect(found.size).toBeGreaterThan(4);
  const scans = [...found].flatMap(([query, steps]) =>
    steps.filter((step) => step.startsWith('SCAN') && !step.includes('INDEX')).map((step) => `${step}: ${query}`),
  );
  // Of workspaces there are a few.
  expect(scans.filter((scan) => !scan.startsWith('SCAN workspaces:'))).toEqual([]);
});
