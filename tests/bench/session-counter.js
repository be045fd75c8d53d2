// Goes around a bundled Worker: counts what its issue sessions store, and gives it a clock that the benchmark sets.
import * as worker from './index.js';

let now = Date.now();
Date.now = () => now;
const counts = { statements: 0, rowsRead: 0, rowsWritten: 0, stateBytes: 0, r2: 0, kvWrites: 0, byTable: {} };
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
function countR2(env) {
  if (!env.LOGS || counted.has(env)) return;
  counted.add(env);
  for (const name of ['put', 'get', 'head', 'list', 'delete', 'createMultipartUpload']) {
    const call = env.LOGS[name].bind(env.LOGS);
    env.LOGS[name] = (...args) => {
      counts.r2 += 1;
      return call(...args);
    };
  }
}

export class IssueSession extends worker.IssueSession {
  #due = null;
  constructor(ctx, env) {
    instrument(ctx.storage);
    countR2(env);
    let due = null;
    ctx.storage.setAlarm = async (at) => {
      due = Number(at);
    };
    super(ctx, env);
    this.#due = () => {
      const is = due !== null && due <= now;
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
export const { SandboxContainer, LinearWorkspace, ClaudeAccount, WorkspaceQueue } = worker;

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const at = request.headers.get('x-bench-now');
    if (at !== null) now = Number(at);
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
