import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import effects from '../fixtures/released/1/effects.jsonl?raw';
import journalLines from '../fixtures/released/1/journal.jsonl?raw';
import states from '../fixtures/released/1/states.jsonl?raw';
import tables from '../fixtures/released/1/tables.sql?raw';
import { created, newThread, ORGANIZATION, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session, watch } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** An object as the first released version left it. */
async function storedByFirstVersion(thread: Thread, state: object, pending: string[] = []): Promise<void> {
  await runInDurableObject(session(thread), (_object, { storage }) => {
    const { sql } = storage;
    sql.exec(tables);
    sql.exec('INSERT INTO state (id, json) VALUES (1, ?)', JSON.stringify(state));
    for (const [index, line] of lines(journalLines).entries()) {
      const { at, turn, body } = JSON.parse(line);
      const text = JSON.stringify(body);
      sql.exec('INSERT INTO journal VALUES (?, ?, ?, ?, ?)', index + 1, at, turn, body.kind, text);
    }
    for (const effect of pending) {
      sql.exec('INSERT INTO outbox (effect, attempts, next_at) VALUES (?, 0, 1)', effect);
    }
  });
  await evictDurableObject(session(thread));
}

/** The recorded state of a phase, as this thread's session. */
function stateOf(phase: string, thread: Thread, more: object = {}): object {
  const state = lines(states)
    .map((line) => JSON.parse(line))
    .find((candidate) => candidate.phase.name === phase);
  return { ...state, id: session(thread).id.toString(), workspaceId: ORGANIZATION, ...more };
}

describe('a session of the first released version', () => {
  it('has the same tables and columns, once it was opened, as a session that begins today', async () => {
    const columns = (thread: Thread) =>
      runInDurableObject(session(thread), (_object, { storage: { sql } }) =>
        sql
          .exec(
            `SELECT m.name AS tbl, c.name, c.type, c."notnull", c.pk FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY m.name, c.cid`,
          )
          .toArray(),
      );
    const [old, today] = [newThread(), newThread()];
    await storedByFirstVersion(old, stateOf('waiting', old));
    await page(old);
    await send(created(today));
    expect(await columns(today)).toEqual(await columns(old));
  });

  it('is shown with its whole journal, and takes the next comment', async () => {
    const thread = newThread();
    await storedByFirstVersion(thread, stateOf('waiting', thread));
    const count = lines(journalLines).length;
    expect((await page(thread))?.entries).toHaveLength(count);
    await send(prompted(thread, 'And now the cart.'));
    await vi.waitFor(() => expect(outside.starts).not.toHaveLength(0));
    expect((await journal(thread))[count]).toMatchObject({ kind: 'prompt' });
  });

  it('carries out what its outbox held', async () => {
    const thread = newThread();
    const say = lines(effects).find((line) => line.includes('"response"')) ?? '';
    await storedByFirstVersion(thread, stateOf('waiting', thread), [say]);
    await page(thread);
    await runDurableObjectAlarm(session(thread));
    await vi.waitFor(() => expect(outside.said.map(({ content }) => content.type)).toContain('response'));
  });

  it('knows where each of its turns begins', async () => {
    const thread = newThread();
    await storedByFirstVersion(thread, stateOf('waiting', thread));
    await page(thread);
    await runInDurableObject(session(thread), (_object, { storage: { sql } }) => {
      const turns = sql.exec('SELECT turn, first FROM turns ORDER BY turn').toArray();
      expect(turns).toEqual(
        sql.exec('SELECT turn, min(seq) AS first FROM journal GROUP BY turn ORDER BY turn').toArray(),
      );
      expect(turns.length).toBeGreaterThan(0);
    });
  });

  it('is brought up to date once, also if it is evicted in between', async () => {
    const thread = newThread();
    await storedByFirstVersion(thread, stateOf('waiting', thread));
    for (let life = 0; life < 3; life += 1) {
      expect(await page(thread)).not.toBeNull();
      await evictDurableObject(session(thread));
    }
  });
});

it('a session that is merely asked whether it exists stores nothing', async () => {
  const thread = newThread();
  expect(await page(thread)).toBeNull();
  await runInDurableObject(session(thread), (_object, { storage }) => {
    expect([...storage.kv.list()]).toEqual([]);
    expect(
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    ).toEqual([]);
  });
});

describe.each([
  ['state', { version: 9 }, 'version 9'],
  ['phase', { phase: { name: 'reviewing', since: 1 } }, '"reviewing"'],
])('a session whose %s is of a newer version', (_what, change, words) => {
  it('is shown, and says why it does not continue', async () => {
    const thread = newThread();
    await storedByFirstVersion(thread, stateOf('waiting', thread, change));
    const shown = await page(thread);
    expect(shown?.session.readOnly).toContain(words);
    expect(shown?.session.reason).toContain(words);
    expect(shown?.entries).toHaveLength(lines(journalLines).length);
    const viewer = await watch(thread);
    await vi.waitFor(() => expect(viewer.frames[0]).toMatchObject({ t: 'hello' }));
  });

  it('changes nothing, whatever comes: comments, reports, alarms', async () => {
    const thread = newThread();
    await storedByFirstVersion(thread, stateOf('working', thread, change));
    const stored = () =>
      runInDurableObject(session(thread), (_object, { storage: { sql } }) => ({
        state: sql.exec('SELECT * FROM state').toArray(),
        journal: sql.exec('SELECT count(*) AS n FROM journal').one(),
      }));
    await page(thread);
    const before = await stored();
    expect((await send(prompted(thread, 'Go on.'))).status).toBe(200);
    expect(await new Reporter(thread).report({ type: 'notice', text: 'hello' })).toMatchObject({ kind: 'read-only' });
    await runDurableObjectAlarm(session(thread));
    expect(await stored()).toEqual(before);
    await vi.waitFor(() => {
      const told = outside.said.filter(({ agentSessionId }) => agentSessionId === thread.agentSessionId);
      expect(told.map(({ content }) => content.body).join()).toContain(words);
    });
  });

  it('refuses what its page asks in words', async () => {
    const thread = newThread();
    await storedByFirstVersion(thread, stateOf('waiting', thread, change));
    const url = `http://cyrus.test/api/sessions/${session(thread).id.toString()}/prompts`;
    const body = JSON.stringify({ id: crypto.randomUUID(), text: 'Go on.' });
    const headers = { 'content-type': 'application/json' };
    const response = await exports.default.fetch(url, { method: 'POST', body, headers });
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({ error: 'read_only' });
  });

  it('continues as soon as its version is known', async () => {
    const thread = newThread();
    await storedByFirstVersion(thread, stateOf('waiting', thread, change));
    expect((await page(thread))?.session.readOnly).toBeDefined();
    await runInDurableObject(session(thread), (_object, { storage: { sql } }) => {
      sql.exec('UPDATE state SET json = ?', JSON.stringify(stateOf('waiting', thread)));
    });
    await evictDurableObject(session(thread));
    expect((await page(thread))?.session.readOnly).toBeUndefined();
    await send(prompted(thread, 'Go on.'));
    await vi.waitFor(() => expect(outside.starts).not.toHaveLength(0));
  });
});

it('a session whose tables are of a newer version is shown and changes nothing', async () => {
  const thread = newThread();
  await send(created(thread));
  await runInDurableObject(session(thread), (_object, { storage }) => storage.kv.put('schema-version', 99));
  await evictDurableObject(session(thread));
  expect((await page(thread))?.session.readOnly).toContain('version 99');
  expect(await new Reporter(thread).report({ type: 'notice', text: 'hello' })).toMatchObject({ kind: 'read-only' });
});

it('an effect of a newer version is left for that version, and holds up nothing', async () => {
  const thread = newThread();
  const say = lines(effects).find((line) => line.includes('"response"')) ?? '';
  await storedByFirstVersion(thread, stateOf('waiting', thread), ['{"kind":"send-pigeon"}', say]);
  await page(thread);
  await runDurableObjectAlarm(session(thread));
  await vi.waitFor(() => expect(outside.said.map(({ content }) => content.type)).toContain('response'));
  await runInDurableObject(session(thread), (_object, { storage: { sql } }) => {
    expect(sql.exec('SELECT effect FROM outbox').toArray()).toEqual([{ effect: '{"kind":"send-pigeon"}' }]);
  });
});

describe('the other objects', () => {
  it('note the version of what they store, and nothing if nothing is stored', async () => {
    const queue = env.WORKSPACE_QUEUE.getByName('org-of-versions');
    await queue.line();
    await runInDurableObject(queue, (_object, { storage }) => expect([...storage.kv.list()]).toEqual([]));
    await queue.take({ session: session(newThread()).id.toString(), turn: 1, owner: 'ada', isUnderWay: false });
    await evictDurableObject(queue);
    expect((await queue.line()).working).toHaveLength(1);
    await runInDurableObject(queue, (_object, { storage }) => expect(storage.kv.get('schema-version')).toBe(1));
  });
});
