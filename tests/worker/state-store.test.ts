import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { SessionEvent } from '../../src/session/lifecycle/model/events.ts';
import type { SessionState } from '../../src/session/lifecycle/model/state.ts';
import { reduce } from '../../src/session/lifecycle/reduce.ts';
import { StateStore } from '../../src/session/storage/state-store.ts';
import { createTables } from '../../src/session/storage/tables.ts';
import { TransitionWriter } from '../../src/session/storage/transition-writer.ts';
import { Random } from '../unit/support/random.ts';
import {
  call,
  callResult,
  init,
  line,
  permission,
  question,
  result,
  SessionPlay,
  saved,
  text,
} from '../unit/support/session-play.ts';

/** A session whose steps are stored as the object stores them, with what each step costs. */
class Stored {
  readonly play = new SessionPlay();
  state: SessionState;
  readonly #storage: DurableObjectStorage;
  #writer: TransitionWriter;
  #ids = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.transactionSync(() => createTables(storage));
    this.#writer = new TransitionWriter(storage.sql);
    this.state = this.play.state;
  }

  /** One step. @returns rows written, and bytes of JSON in rows of the state */
  step(event: SessionEvent): { rows: number } {
    this.play.now += 10;
    const transition = reduce(this.state, event, { now: this.play.now, newId: () => `id-${++this.#ids}` });
    const counted = countRows(this.#storage.sql, () =>
      this.#storage.transactionSync(() => void this.#writer.write(transition)),
    );
    this.state = transition.state;
    this.play.state = transition.state;
    return { rows: counted };
  }

  report(...bodies: Parameters<SessionPlay['batch']>): { rows: number } {
    return this.step({ type: 'sandbox-reported', batch: this.play.batch(...bodies) });
  }

  /** The state as another life of the object would read it. */
  loaded(): SessionState {
    const { state } = new StateStore(this.#storage.sql).load() ?? {};
    if (!state?.ok) throw new Error(state?.why ?? 'nothing is stored');
    return state.value;
  }

  /** Another life of the object goes on. */
  crash(): void {
    this.#writer = new TransitionWriter(this.#storage.sql);
    const { state } = this.#writer.states.load() ?? {};
    if (!state?.ok) throw new Error(state?.why ?? 'nothing is stored');
    this.state = state.value;
    this.play.state = state.value;
  }

  get sql(): SqlStorage {
    return this.#storage.sql;
  }
}

/** Rows that were written meanwhile. */
function countRows(sql: SqlStorage, act: () => void): number {
  const { exec } = sql;
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  sql.exec = ((...args: Parameters<typeof exec>) => {
    const cursor = exec.apply(sql, args);
    cursors.push(cursor);
    return cursor;
  }) as typeof exec;
  try {
    act();
  } finally {
    sql.exec = exec;
  }
  return cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
}

let objects = 0;
function inObject(act: (stored: Stored) => void): Promise<void> {
  const stub = env.WORKSPACE_QUEUE.getByName(`state-store-${++objects}`);
  return runInDurableObject(stub, (_object, { storage }) => act(new Stored(storage)));
}

/**
 * What has to be the same. The calls of Claude's tools are told after a loss; the number of the event that brought a result may
 * be a later one. When the sandbox was heard of last may be 20 s old.
 */
function comparable({ calls = [], revision: _, updatedAt: __, ...state }: SessionState) {
  const sandbox = { ...state.sandbox, heardAt: 0 };
  return JSON.parse(JSON.stringify({ ...state, sandbox, calls: calls.map(({ id, outcome }) => [id, outcome]) }));
}

const delta = (words: string) =>
  line({
    type: 'stream_event',
    event: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: words } },
    parent_tool_use_id: null,
    api_message_id: 'msg-1',
  });
const open = [
  line({
    type: 'stream_event',
    event: { type: 'message_start', message: { id: 'msg-1', usage: { input_tokens: 3 } } },
    parent_tool_use_id: null,
  }),
  line({
    type: 'stream_event',
    event: { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    parent_tool_use_id: null,
    api_message_id: 'msg-1',
  }),
];
function begin(stored: Stored): void {
  stored.step({
    type: 'prompted',
    promptId: 'p1',
    agentSessionId: 'thread-1',
    author: 'Ada',
    person: null,
    source: 'comment',
    text: 'Do it.',
  });
  stored.play.state = stored.state;
  const { generation } = stored.state.sandbox;
  const started = new SessionPlay();
  started.state = stored.state;
  started.started();
  stored.state = started.state;
  stored.play.state = stored.state;
  stored.report(init);
  expect(stored.state.phase.name).toBe('working');
  expect(generation).toBe(1);
}

describe('the state as it is stored', () => {
  it('is what it was, after a crash behind any of 3,000 random steps', () =>
    inObject((stored) => {
      begin(stored);
      const random = new Random(7);
      const ids: string[] = [];
      for (let number = 0; number < 3_000; number += 1) {
        const id = `toolu_${number}`;
        const known = random.chance(0.5) ? (ids.at(-1) ?? id) : (ids[random.below(ids.length || 1)] ?? id);
        const { generation, cursor } = stored.state.sandbox;
        const act = random.pick([
          () => stored.report(...open, delta('Hel')),
          () => stored.report(delta('lo ')),
          () => stored.report(),
          () => stored.report(text(`words ${number} ${'ü'.repeat(random.below(4_000))}`)),
          () => {
            ids.push(id);
            return random.chance(0.5) ? stored.report(call(id)) : stored.report(call(id), callResult(id));
          },
          () => stored.report(callResult(known)),
          () => stored.report(permission(`r-${number}`, `npm run ${'x'.repeat(random.below(3_000))}`)),
          () => stored.report(question(`q-${number}`)),
          () => stored.step({ type: 'deadline' }),
          () =>
            stored.step({
              type: 'checkpointed',
              checkpoint: { generation, sequence: number, at: number, eventSeq: cursor, prompts: ['p1'] },
            }),
          () =>
            stored.step({
              type: 'context-arrived',
              id: `c-${number}`,
              item: `The description is now ${'語'.repeat(random.below(3_000))}`,
              urgent: random.chance(0.2),
            }),
          () => stored.report(result('Done.', ['p1']), saved(stored.state.turns)),
          () =>
            stored.step({
              type: 'prompted',
              promptId: `p-${number}`,
              agentSessionId: `thread-${random.below(3)}`,
              author: 'Ada',
              person: null,
              source: 'comment',
              text: 'Go on.',
            }),
        ]);
        act();
        if (random.chance(0.1)) {
          const before = comparable(stored.state);
          stored.crash();
          expect(comparable(stored.state)).toEqual(before);
        }
      }
      expect(comparable(stored.loaded())).toEqual(comparable(stored.state));
    }));

  it('costs a piece of streamed text one small row, also after 30 calls', () =>
    inObject((stored) => {
      begin(stored);
      for (let number = 0; number < 30; number += 1) stored.report(call(`t-${number}`), callResult(`t-${number}`));
      stored.report(...open);
      for (let number = 0; number < 50; number += 1) expect(stored.report(delta('more ')).rows).toBeLessThanOrEqual(1);
      const { longest } = stored.sql
        .exec<{ longest: number }>(
          'SELECT max(length(json)) AS longest FROM (SELECT json FROM progress UNION SELECT json FROM state)',
        )
        .one();
      expect(longest).toBeLessThan(6_000);
      expect(stored.sql.exec<{ n: number }>('SELECT length(json) AS n FROM progress').one().n).toBeLessThan(3_500);
    }));

  it('costs a sign of life nothing, and is not taken for silence after a crash', () =>
    inObject((stored) => {
      begin(stored);
      stored.report();
      let rows = 0;
      for (let number = 0; number < 60; number += 1) {
        stored.play.now += 10_000;
        rows += stored.report().rows;
        expect(stored.state.sandbox.heardAt - stored.loaded().sandbox.heardAt).toBeLessThanOrEqual(20_000);
      }
      expect(rows).toBeLessThanOrEqual(31);
    }));

  it('costs a call of a tool and its result at most four rows, the journal included', () =>
    inObject((stored) => {
      begin(stored);
      for (let number = 0; number < 40; number += 1) {
        const apart = stored.report(call(`t-${number}`)).rows + stored.report(callResult(`t-${number}`)).rows;
        expect(apart).toBeLessThanOrEqual(4);
      }
    }));

  it('keeps every row below 1 MB, with 5 MB of Japanese as context and as a prompt', () =>
    inObject((stored) => {
      begin(stored);
      const japanese = 'カートの合計が間違っています。'.repeat(120_000);
      expect(new TextEncoder().encode(japanese).length).toBeGreaterThan(5_000_000);
      stored.step({ type: 'context-arrived', id: 'c', item: japanese });
      const store = new StateStore(stored.sql);
      store.keepPrompt('p-long', japanese);
      store.copyPrompt('p-again', 'p-long');
      expect(store.promptText('p-again')).toBe(japanese);
      expect(store.promptsWith('間違って').length).toBeGreaterThanOrEqual(2);
      stored.report(
        callResult('none'),
        line({
          type: 'assistant',
          message: { id: 'm', role: 'assistant', model: 'c', content: [{ type: 'text', text: japanese }] },
          parent_tool_use_id: null,
        }),
      );
      expect(comparable(stored.loaded())).toEqual(comparable(stored.state));
      for (const [table, column] of [
        ['pieces', 'text'],
        ['journal', 'body'],
        ['journal', 'state'],
        ['state', 'json'],
        ['progress', 'json'],
      ]) {
        const { bytes } = stored.sql
          .exec<{ bytes: number | null }>(`SELECT max(length(CAST(${column} AS BLOB))) AS bytes FROM ${table}`)
          .one();
        expect(bytes ?? 0, `${table}.${column}`).toBeLessThan(1_000_000);
      }
    }));
});
