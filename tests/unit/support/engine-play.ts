/**
 * Plays events to a session as it is stored and carried out: the engine with its outbox, the journal, the state, what was seen,
 * over SQLite in memory. It may end at any crash point, and what wakes it then is as on the platform: somebody who got no
 * answer and asks again, or the alarm. Now and then a transaction cannot be stored.
 */
import type { Attempt } from '../../../src/kernel/attempt.ts';
import type { CrashPoint } from '../../../src/kernel/platform.ts';
import type { Delivery } from '../../../src/session/inbound/delivery.ts';
import { takeBatch } from '../../../src/session/inbound/take-batch.ts';
import { takeDelivery } from '../../../src/session/inbound/take-delivery.ts';
import type { EffectResult } from '../../../src/session/lifecycle/model/effect-results.ts';
import { type Effect, isThreadEffect } from '../../../src/session/lifecycle/model/effects.ts';
import type { SessionEvent } from '../../../src/session/lifecycle/model/events.ts';
import { standingOf } from '../../../src/session/lifecycle/model/standing.ts';
import type { SessionState } from '../../../src/session/lifecycle/model/state.ts';
import type { Transition } from '../../../src/session/lifecycle/model/transition.ts';
import { loadSession } from '../../../src/session/storage/load-session.ts';
import { Deliveries } from '../../../src/session/storage/seen-deliveries.ts';
import { type SessionEngine, sessionEngine } from '../../../src/session/storage/session-engine.ts';
import { createTables } from '../../../src/session/storage/tables.ts';
import { TransitionWriter, type Written } from '../../../src/session/storage/transition-writer.ts';
import { Crash, Life } from '../../support/engine/life.ts';
import { MemoryDisk } from '../../support/engine/memory-disk.ts';
import type { Random } from './random.ts';
import { SessionPlay } from './session-play.ts';
import type { Carrier } from './world.ts';

interface UnderWay {
  effect: Effect;
  answer: (attempt: Attempt<SessionEvent>) => void;
}

/** Keeps what it wrote last, for those who look on. */
class NotingWriter extends TransitionWriter {
  last: Transition | null = null;

  override write(change: Transition): Written[] {
    this.last = change;
    return super.write(change);
  }
}

/** A transaction cannot be stored. The program goes on, and nothing has changed. */
class StorageFull extends Error {
  override readonly name = 'StorageFull';
}

const BORN = 1_800_000_000_000;

export class EnginePlay extends SessionPlay implements Carrier {
  alarmAt: number | null = null;
  /** How often each crash point ended a life. */
  readonly crashes = new Map<CrashPoint, number>();
  /** How often a transaction was rolled back, and the program went on. */
  rollbacks = 0;
  /** Ids of the activities of each thread, as Linear has them. */
  readonly linear = new Map<string, string[]>();
  /** Carried out as if by a life that ended before the answer. */
  onUnheard: (effect: Effect) => void = () => {};
  /** No crash, no failure any more. */
  isCalm = false;
  readonly #random: Random;
  readonly #crashShare: number;
  readonly #disk = new MemoryDisk();
  readonly #born: SessionState;
  #underWay: UnderWay[] = [];
  #deliveries = 0;
  #refusedAt = -1;
  #life!: Life;
  #engine!: SessionEngine;
  #writer!: NotingWriter;

  /** @param crashShare of crash points that end the program */
  constructor(random: Random, crashShare: number) {
    super();
    this.now = BORN;
    this.#born = { ...this.state, createdAt: BORN, updatedAt: BORN, phase: { name: 'waiting', since: BORN } };
    this.#random = random;
    this.#crashShare = crashShare;
    this.#begin();
  }

  random(): number {
    return this.#random.next();
  }

  // --- Lives ---

  #begin(): void {
    const isDead = () => this.#life !== life;
    const life: Life = new Life(this.#disk, this, (point) => this.#endsAt(point));
    this.#life = life;
    this.#writer = new NotingWriter(life.sql);
    this.#engine = sessionEngine(life, this.#writer, {
      publish: () => {},
      prepare: () => null,
      isHeld: () => false,
      perform: (effects) => (isDead() ? new Promise(() => {}) : this.#perform(effects)),
      failureOf: (thrown) => away(String(thrown)),
      report: () => {},
    });
    const loaded = loadSession(this.#disk, this.#writer.states, (state) => this.#engine.resume(state));
    if (loaded.kind === 'unreadable' && life.endedAt === null) throw new Error(loaded.why);
    if (loaded.kind === 'session') this.state = this.#engine.state ?? this.state;
  }

  /** The next life, if this one is over. */
  #wake(): void {
    while (this.#life.endedAt !== null) {
      const lost = this.#underWay.splice(0);
      // What was asked may have arrived, or not.
      for (const { effect } of lost) if (this.#random.chance(0.5)) this.onUnheard(effect);
      this.#begin();
    }
  }

  #endsAt(point: CrashPoint): boolean {
    const { last } = this.#writer;
    if (point === 'after-commit' && last) {
      this.#writer.last = null;
      this.note(last, this.state, this.#engine.state ?? last.state);
    }
    if (this.isCalm) return false;
    // Once for each event: a batch that cannot be stored at all is a loss of its own.
    if (point === 'before-commit' && this.#refusedAt !== this.#deliveries && this.#random.chance(this.#crashShare)) {
      this.#refusedAt = this.#deliveries;
      this.rollbacks += 1;
      throw new StorageFull('the storage is full');
    }
    if (!this.#random.chance(this.#crashShare)) return false;
    this.crashes.set(point, (this.crashes.get(point) ?? 0) + 1);
    return true;
  }

  // --- What comes in ---

  /** Plays one event, again until it is answered. */
  override play(event: SessionEvent): Effect[] {
    this.now += 10;
    const from = this.effects.length;
    this.#deliveries += 1;
    const id = `delivery-${this.#deliveries}`;
    for (;;) {
      this.#wake();
      try {
        this.#take(event, id);
        return this.effects.slice(from);
      } catch (error) {
        if (!(error instanceof Crash || error instanceof StorageFull)) throw error;
      }
    }
  }

  #take(event: SessionEvent, id: string): void {
    const engine = this.#engine;
    const { states } = this.#writer;
    const deliveries = new Deliveries(this.#life.sql);
    switch (event.type) {
      case 'prompted':
      case 'stop-requested':
      case 'withdrawn': {
        const { id: _, issue, workspaceId } = this.#born;
        const about = { workspaceId, issue, fallbackName: 'x' };
        const text = 'text' in event ? { promptText: { first: event.text, followUp: event.text } } : {};
        const delivery: Delivery = { deliveryId: id, contentKey: id, origin: 'x', about, event, ...text };
        const begin = () => this.#born;
        const taker = { engine, deliveries, states, begin, createTables: () => createTables(this.#disk) };
        takeDelivery(taker, delivery, this.now);
        return;
      }
      case 'sandbox-reported': {
        const standing = standingOf(engine.state, event.batch.generation, this.now);
        takeBatch({ engine, standing, counted: { mostBytes: 1e9 }, isWatched: false, log: () => {} }, event.batch);
        return;
      }
      default:
        if (!engine.state) return;
        engine.commit(() => {
          const { state } = engine;
          return state && deliveries.note(id, id, this.now) ? { state, event } : null;
        });
    }
  }

  /** Lets time pass, with every alarm in it. */
  override deadline(later: number): Effect[] {
    const from = this.effects.length;
    const until = this.now + later;
    for (let alarms = 0; this.alarmAt !== null && this.alarmAt <= until; alarms += 1) {
      if (alarms > 1_000) throw new Error('the alarm comes without end');
      this.now = Math.max(this.now, this.alarmAt);
      this.goOff();
    }
    this.now = Math.max(this.now, until);
    return this.effects.slice(from);
  }

  override rest(most: number): void {
    this.now = Math.min(this.now + most, Math.max(this.now, this.alarmAt ?? Number.POSITIVE_INFINITY));
    if (this.alarmAt !== null && this.alarmAt <= this.now) this.goOff();
  }

  /** The alarm wakes the session. The platform repeats one whose handler did not end well. */
  goOff(): void {
    this.alarmAt = null;
    this.#wake();
    try {
      this.#engine.alarm();
    } catch (error) {
      if (!(error instanceof Crash || error instanceof StorageFull)) throw error;
      this.alarmAt = this.now;
    }
  }

  /** What was answered meanwhile is taken in. */
  async tick(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.alarmAt !== null && this.alarmAt <= this.now) this.goOff();
  }

  // --- What is carried out ---

  #perform(effects: readonly [Effect, ...Effect[]]): Promise<Attempt<SessionEvent>> {
    const [effect] = effects;
    if (isThreadEffect(effect)) return Promise.resolve(this.#tellLinear(effects));
    if (effect.kind.endsWith('-sandbox')) {
      return new Promise((answer) => {
        this.#underWay.push({ effect, answer });
      });
    }
    return Promise.resolve(done(effect, resultOf(effect)));
  }

  /** Linear takes each id once, and fails at times: before it has carried anything out, or after. */
  #tellLinear(effects: readonly [Effect, ...Effect[]]): Attempt<SessionEvent> {
    const isAway = !this.isCalm && this.#random.chance(0.1);
    if (isAway && this.#random.chance(0.5)) return away('HTTP 502');
    for (const effect of effects) {
      if (effect.kind !== 'say') continue;
      const known = this.linear.get(effect.agentSessionId) ?? [];
      if (!known.includes(effect.id)) this.linear.set(effect.agentSessionId, [...known, effect.id]);
    }
    return isAway ? away('the connection was lost') : done(effects[0], null);
  }

  get waiting(): readonly Effect[] {
    return this.#life.endedAt === null ? this.#underWay.map(({ effect }) => effect) : [];
  }

  settle(effect: Effect, result: EffectResult): void {
    this.#answer(effect, done(effect, result));
  }

  refuse(effect: Effect, error: string): void {
    this.#answer(effect, { kind: 'terminal', message: error, hint: null, error: new Error(error) });
  }

  #answer(effect: Effect, attempt: Attempt<SessionEvent>): void {
    const underWay = this.#underWay.find((one) => one.effect === effect);
    this.#underWay = this.#underWay.filter((one) => one !== underWay);
    underWay?.answer(attempt);
  }

  // --- What is left of it ---

  /** Effects that are stored and not done. */
  stored(): string[] {
    return [...this.#disk.sql.exec<{ effect: string }>('SELECT effect FROM outbox')].map(({ effect }) => effect);
  }

  /** The state as another life would read it. */
  reread(): SessionState {
    const loaded = new TransitionWriter(this.#disk.sql).states.load();
    if (!loaded?.state.ok) throw new Error(loaded === null ? 'nothing is stored' : 'it cannot be read');
    return loaded.state.value;
  }

  close(): void {
    this.#disk.close();
  }
}

function done(effect: Effect, result: EffectResult): Attempt<SessionEvent> {
  return { kind: 'done', event: { type: 'effect-done', effect, result } };
}

function away(message: string): Attempt<SessionEvent> & { kind: 'retryable' } {
  const error = new Error(message);
  return { kind: 'retryable', cause: 'passing', message, hint: null, retryAt: null, error };
}

/** What services answer that are always there. */
function resultOf({ kind }: Effect): EffectResult {
  switch (kind) {
    case 'request-slot':
      return { kind: 'queued', position: 0 };
    case 'find-room':
      return { kind: 'room', at: null };
    case 'tell-webhooks':
      return { webhooks: ['webhook'], body: '{}' };
    default:
      return null;
  }
}
