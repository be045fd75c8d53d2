import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { Pending } from '../../src/kernel/effect-rules.ts';
import { Outbox } from '../../src/kernel/outbox.ts';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import type { SessionEvent } from '../../src/session/lifecycle/model/events.ts';
import type { SessionState } from '../../src/session/lifecycle/model/state.ts';
import { reduce } from '../../src/session/lifecycle/reduce.ts';
import { sessionEffects } from '../../src/session/storage/effect-rules.ts';
import { createTables } from '../../src/session/storage/tables.ts';
import { TransitionWriter } from '../../src/session/storage/transition-writer.ts';
import { call, callResult, init, SessionPlay } from '../unit/support/session-play.ts';
import { watchStorage } from './support/platform-limits.ts';

/** A session at work, stored as its object stores it, to which Linear answers at once. */
class Session {
  readonly #play = new SessionPlay();
  readonly #storage: DurableObjectStorage;
  readonly #writer: TransitionWriter;
  readonly #outbox: Outbox<Effect>;
  #state: SessionState;
  #ids = 0;
  /** Activities that Linear was told. */
  told = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.transactionSync(() => createTables(storage));
    this.#writer = new TransitionWriter(storage.sql);
    this.#outbox = new Outbox(storage.sql, sessionEffects);
    this.prompt('p1');
    this.#play.started();
    this.#state = this.#play.state;
    this.report(init);
    this.pass(5_000);
  }

  prompt(promptId: string): void {
    const person = { id: 'ada', email: 'ada@example.com' };
    const asked = { promptId, agentSessionId: 'thread-1', author: 'Ada', person, text: `Do ${promptId}.` } as const;
    this.#step({ type: 'prompted', source: 'comment', ...asked });
  }

  report(...bodies: SandboxEventBody[]): void {
    this.#step({ type: 'sandbox-reported', batch: this.#play.batch(...bodies) });
  }

  /** Lets time pass, and Linear be told what is due. */
  pass(ms: number): void {
    for (const until = this.#play.now + ms; this.#play.now < until; this.#play.now += 500) this.#tell();
  }

  #tell(): void {
    for (const leased of this.#outbox.lease(this.#play.now)) this.#done(leased);
  }

  #done(leased: Pending<Effect>[]): void {
    const [first] = leased;
    if (!first) return;
    this.told += leased.filter(({ effect }) => effect.kind === 'say').length;
    this.#step({ type: 'effect-done', effect: first.effect, result: null }, () => this.#outbox.remove(leased));
  }

  #step(event: SessionEvent, before = () => {}): void {
    this.#play.now += 10;
    const now = this.#play.now;
    const transition = reduce(this.#play.state, event, { now, newId: () => `id-${++this.#ids}` });
    this.#storage.transactionSync(() => {
      before();
      this.#writer.write(transition);
      this.#outbox.add(
        transition.effects.filter(({ kind }) => kind === 'say' || kind === 'show'),
        now,
      );
    });
    this.#play.state = transition.state;
    this.#state = transition.state;
  }

  get phase(): string {
    return this.#state.phase.name;
  }
}

let objects = 0;
function inObject(act: (session: Session) => void): Promise<void> {
  const stub = env.WORKSPACE_QUEUE.getByName(`row-costs-${++objects}`);
  return runInDurableObject(stub, (_object, { storage }) => act(new Session(storage)));
}

const CALLS = 60;

describe('a call of a tool with its result', () => {
  it.each([
    ['every second', 1_000, 0],
    ['every 20 seconds', 20_000, 0],
    ['every five minutes', 300_000, 0],
    ['every 20 seconds, after ten comments', 20_000, 10],
  ])('writes at most four rows, all that Linear is told of it included: %s', (_when, pauseMs, comments) =>
    inObject((session) => {
      for (let number = 0; number < comments; number += 1) session.prompt(`comment-${number}`);
      session.pass(400_000);
      const { told } = session;
      const stored = watchStorage();
      for (let number = 0; number < CALLS; number += 1) {
        session.report(call(`t-${number}`));
        session.pass(pauseMs / 2);
        session.report(callResult(`t-${number}`));
        session.pass(pauseMs / 2);
      }
      session.pass(400_000);
      expect(session.phase).toBe('working');
      expect(session.told - told).toBeGreaterThanOrEqual(CALLS);
      const rows = stored.rowsWritten();
      stored.end();
      // Now and then the snapshot of the state is written again.
      expect(rows).toBeLessThanOrEqual(4 * CALLS + 5);
    }),
  );
});
