// Goes around a bundled Worker: counts what it stores, and gives it a clock that the benchmark sets, from the first time it does.
import * as worker from './index.js';

const realNow = Date.now.bind(Date);
let now = null;
Date.now = () => now ?? realNow();
const counts = {
  posts: 0,
  statements: 0,
  rowsRead: 0,
  rowsWritten: 0,
  stateBytes: 0,
  kvWrites: 0,
  alarms: 0,
  d1: { statements: 0, rowsRead: 0, rowsWritten: 0 },
  r2: {},
  byTable: {},
};
const cursors = [];
const bytesOf = (text) => new TextEncoder().encode(text).length;

function settle() {
  for (const { cursor, table } of cursors.splice(0)) {
    counts.rowsRead += cursor.rowsRead;
    counts.rowsWritten += cursor.rowsWritten;
    if (cursor.rowsWritten > 0) counts.byTable[table] = (counts.byTable[table] ?? 0) + cursor.rowsWritten;
  }
}

function instrument(storage) {
  const { sql, kv } = storage;
  const exec = sql.exec.bind(sql);
  sql.exec = (query, ...values) => {
    counts.statements += 1;
    const table = /(?:INTO|UPDATE|DELETE FROM)\s+(\w+)/i.exec(query)?.[1] ?? 'other';
    if (/^(state|progress|pieces)$/.test(table))
      for (const value of values) counts.stateBytes += bytesOf(String(value));
    if (table === 'journal' && values.length > 5) counts.stateBytes += bytesOf(String(values[5] ?? ''));
    const cursor = exec(query, ...values);
    cursors.push({ cursor, table });
    return cursor;
  };
  const put = kv.put.bind(kv);
  kv.put = (...args) => {
    counts.kvWrites += 1;
    return put(...args);
  };
}

const counted = new WeakSet();
function countEnv(env) {
  if (env.LOGS && !counted.has(env.LOGS)) countR2(env.LOGS);
  if (env.DB && !counted.has(env.DB)) countD1(env.DB);
}

function countR2(bucket) {
  counted.add(bucket);
  for (const name of ['put', 'get', 'head', 'list', 'delete', 'createMultipartUpload']) {
    const call = bucket[name].bind(bucket);
    bucket[name] = (...args) => {
      counts.r2[name] = (counts.r2[name] ?? 0) + 1;
      return call(...args);
    };
  }
}

function countD1(database) {
  counted.add(database);
  const { prepare } = database;
  database.prepare = (query) => countStatement(prepare.call(database, query), query);
}

function countStatement(statement, query) {
  const { bind, all, run, raw } = statement;
  const take = ({ meta }) => {
    counts.d1.rowsRead += meta?.rows_read ?? 0;
    counts.d1.rowsWritten += meta?.rows_written ?? 0;
  };
  const counting = (call) => async () => {
    counts.d1.statements += 1;
    const result = await call.call(statement);
    take(result);
    return result;
  };
  statement.bind = (...values) => countStatement(bind.apply(statement, values), query);
  statement.all = counting(all);
  statement.run = counting(run);
  statement.raw = async (...args) => {
    counts.d1.statements += 1;
    // Rows without names come without counts: what only reads is asked once more for them.
    if (/^\s*select/i.test(query)) {
      take(await all.call(statement));
      return raw.apply(statement, args);
    }
    const rows = await raw.apply(statement, args);
    counts.d1.rowsWritten += rows.length;
    return rows;
  };
  return statement;
}

export class IssueSession extends worker.IssueSession {
  #due = null;
  constructor(ctx, env) {
    instrument(ctx.storage);
    countEnv(env);
    let due = null;
    const setAlarm = ctx.storage.setAlarm.bind(ctx.storage);
    ctx.storage.setAlarm = async (at) => {
      counts.alarms += 1;
      // Under the clock that the benchmark sets, it says itself when it is time.
      if (now === null) await setAlarm(at);
      else due = Number(at);
    };
    super(ctx, env);
    this.#due = () => {
      const is = due !== null && due <= Date.now();
      if (is) due = null;
      return is;
    };
  }
  async fetch(request) {
    if (new URL(request.url).pathname !== '/bench/tick') return super.fetch(request);
    if (this.#due()) await this.alarm();
    return new Response('done');
  }
}
export class LinearWorkspace extends worker.LinearWorkspace {
  constructor(ctx, env) {
    countEnv(env);
    super(ctx, env);
  }
}
export const { SandboxContainer, ClaudeAccount, WorkspaceQueue } = worker;

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const at = request.headers.get('x-bench-now');
    if (at !== null) now = Number(at);
    countEnv(env);
    if (url.pathname.endsWith('/events')) counts.posts += 1;
    if (url.pathname === '/bench/counts') {
      settle();
      return Response.json(counts);
    }
    if (url.pathname === '/bench/tick') {
      const id = env.ISSUE_SESSION.idFromString(url.searchParams.get('session'));
      return env.ISSUE_SESSION.get(id).fetch(request.url);
    }
    return worker.default.fetch(request, env, ctx);
  },
};
