import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { CLOSE_MORE } from '../../src/protocol/viewer.ts';
import { logParts } from '../../src/session/effects/log-document.ts';
import { Journal, TURN_BOUNDS } from '../../src/session/storage/journal.ts';
import { createTables } from '../../src/session/storage/tables.ts';
import { putTurnLog } from '../../src/store/logs.ts';
import { putPieces } from '../../src/store/put-stream.ts';
import { init, question, text } from '../unit/support/session-play.ts';
import { created, newThread, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { watchStorage } from './support/platform-limits.ts';
import { Reporter, registerWorkspace, session, watch } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

/** Text that does not compress well. @param length characters */
function noise(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(Math.min(length, 60_000)));
  return Array.from({ length }, (_, index) => String.fromCharCode(33 + ((bytes[index % 60_000] ?? 0) % 90))).join('');
}

/** Adds entries of 60 KB that do not compress well behind those of the session. */
async function addEntries(thread: Thread, count: number): Promise<void> {
  await runInDurableObject(session(thread), (_object, { storage: { sql } }) => {
    const { head } = sql.exec<{ head: number }>('SELECT max(seq) AS head FROM journal').one();
    for (let number = 1; number <= count; number += 1) {
      const text = noise(60_000);
      const body = JSON.stringify({ kind: 'text', text });
      sql.exec('INSERT INTO journal (seq, at, turn, kind, body) VALUES (?, 1, 1, ?, ?)', head + number, 'text', body);
    }
  });
}

describe('a turn of many megabytes', () => {
  it('is archived in parts, whole and in order, and never as one text', async () => {
    const id = 'c'.repeat(64);
    let alive = 0;
    let most = 0;
    const taken: number[] = [];
    function* entries(): Generator<{ seq: number; text: string }> {
      for (let seq = 1; seq <= 200; seq += 1) {
        alive += 1;
        most = Math.max(most, alive);
        taken.push(seq);
        yield { seq, text: noise(80_000) };
        alive -= 1;
      }
    }
    await putTurnLog(env.LOGS, id, 1, entries(), ['# Turn', ' 1\n']);
    expect(taken).toHaveLength(200);
    expect(most).toBe(1);
    const stored = await env.LOGS.get(`logs/${id}/0001.jsonl.gz`);
    expect(stored?.size).toBeGreaterThan(10 * 1024 * 1024);
    const text = await new Response(stored?.body.pipeThrough(new DecompressionStream('gzip'))).text();
    const seqs = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).seq);
    expect(seqs).toEqual(taken);
  });

  it('leaves nothing in R2 if it breaks off', async () => {
    let sent = 0;
    const breaking = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1;
        if (sent > 120) controller.error(new Error('broke off'));
        else controller.enqueue(new Uint8Array(64 * 1024));
      },
    });
    await expect(putPieces(env.LOGS, 'long-turns/broken', breaking, {})).rejects.toThrow('broke off');
    expect(await env.LOGS.head('long-turns/broken')).toBeNull();
  });

  it('is read a few entries at a time, by the number of its first one', async () => {
    const stub = env.WORKSPACE_QUEUE.getByName('long-turns-journal');
    await runInDurableObject(stub, (_object, { storage }) => {
      storage.transactionSync(() => createTables(storage));
      const journal = new Journal(storage.sql);
      for (let turn = 0; turn < 4; turn += 1) {
        for (let number = 0; number < 700; number += 1) {
          journal.append({ at: number, turn, body: { kind: 'notice', level: 'info', text: `${turn} ${number}` } });
        }
      }
      const read = [...journal.ofTurn(2)];
      expect(read).toHaveLength(700);
      expect(new Set(read.map(({ turn }) => turn))).toEqual(new Set([2]));
      expect([...journal.ofTurn(9)]).toEqual([]);
      const plan = storage.sql.exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${TURN_BOUNDS}`, 2).toArray();
      for (const { detail } of plan.filter(({ detail }) => detail.includes('turns') || detail.includes('later'))) {
        expect(detail).toMatch(/SEARCH .* USING INTEGER PRIMARY KEY/);
      }
    });
  });

  it('is not read again for what happens in it, though nothing in it was saved yet', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands.some(({ type }) => type === 'prompt')).toBe(true));
    const reporter = new Reporter(thread);
    await reporter.report(init);
    await addEntries(thread, 300);
    await reporter.report(text('First.'), question('q1'));
    const watched = watchStorage();
    await reporter.report(text('Second.'));
    expect(watched.rowsRead()).toBeLessThan(100);
    watched.end();
  });

  it('has the same log, piece by piece', () => {
    const entries: JournalEntry[] = [
      { seq: 1, at: 1, turn: 1, kind: 'tool-call', toolUseId: 't1', name: 'Bash', input: { command: 'npm test' } },
      { seq: 2, at: 2, turn: 1, kind: 'tool-result', toolUseId: 't1', isError: false, text: 'all well' },
    ];
    const meta = { identifier: 'ENG-1', title: 'The cart', repository: null, branch: null, turn: 1 };
    const source = { entries: () => entries, at: (seq: number) => entries[seq - 1] ?? null };
    const log = [...logParts(meta, source)].join('');
    expect(log).toContain('npm test');
    expect(log.match(/all well/g)).toHaveLength(1);
  });
});

describe('a viewer that does not read', () => {
  it('is sent a bounded part of a long journal, and told to come back for more', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(async () => expect((await session(thread).turns()) ?? 0).toBeGreaterThan(0));
    await addEntries(thread, 100);
    let after = 0;
    const seen: number[] = [];
    for (let connection = 0; connection < 20; connection += 1) {
      const { frames, socket } = await watch(thread, after);
      const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
      const isOver = await Promise.race([closed, new Promise<null>((resolve) => setTimeout(() => resolve(null), 300))]);
      const entries = frames.flatMap((frame) => (frame.t === 'entries' ? frame.entries : []));
      const length = entries.reduce((sum, entry) => sum + JSON.stringify(entry).length, 0);
      expect(length).toBeLessThan(4 * 1024 * 1024);
      seen.push(...entries.map(({ seq }) => seq));
      after = seen.at(-1) ?? 0;
      if (isOver === null) break;
      expect(isOver).toBe(CLOSE_MORE);
    }
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    expect(seen.length).toBeGreaterThan(100);
  });
});
