/** A small program for the engine, in which everything is visible: a courier who is given letters and delivers them. */
import type { Attempt, Failure, RetryPolicy } from '../../../src/kernel/attempt.ts';
import { Engine } from '../../../src/kernel/engine.ts';
import { type CrashPoint, KERNEL_TABLES } from '../../../src/kernel/platform.ts';
import type { Program, Report, Shell, Transition } from '../../../src/kernel/program.ts';
import { toNewest } from '../../../src/kernel/versions.ts';
import { Crash, type Disk, Life, type World } from './life.ts';

export const NOW = 1_800_000_000_000;
export const POLICY: RetryPolicy = { initialMs: 1_000, coefficient: 2, maximumMs: 60_000, attempts: 3 };

/** A letter. `road`: its lane. The rest asks for what the outbox can do. */
export interface Letter {
  kind: 'letter';
  id: string;
  road: string;
  dueAt?: number;
  isPassing?: boolean;
  isAwaited?: boolean;
  /** It travels with others on its road. */
  isGathered?: boolean;
  /** Of such letters the last on the road counts. */
  isNews?: boolean;
  /** It is tried almost without end. */
  isStubborn?: boolean;
  text?: string;
}

export interface Desk {
  version: 1;
  /** What happened to letters, in order, as "delivered a", "lost b", "late c". */
  log: string[];
  /** What was handed in, by the ids of its letters: a sender that got no answer hands it in again. */
  seen: string[];
  /** Until when the desk waits for something. */
  closesAt: number | null;
  updatedAt: number;
}

export type DeskEvent =
  | { type: 'handed-in'; letters: Letter[]; closesAt?: number; cancelled?: string[] }
  | { type: 'happened'; what: string };

/** Most letters that travel together. */
export const MOST_TOGETHER = 3;
/** More letters than these on a road are condensed into one. */
const MOST_ON_ROAD = 20;

export function letter(id: string, more: Partial<Letter> = {}): Letter {
  return { kind: 'letter', id, road: 'north', ...more };
}

/** Everything that was handed in is told by its log. */
const program: Program<Desk, DeskEvent, Letter, Transition<Desk, Letter>> = {
  reduce(desk, event, { now }) {
    const next = { ...desk, updatedAt: now };
    if (event.type === 'happened') {
      const isClosed = event.what === 'closed';
      const log = [...desk.log, event.what];
      return { state: { ...next, log, ...(isClosed && { closesAt: null }) }, effects: [], cancelledLanes: [] };
    }
    const { letters, closesAt = desk.closesAt, cancelled = [] } = event;
    const seen = [...desk.seen, keyOf(letters)];
    return { state: { ...next, closesAt, seen }, effects: letters, cancelledLanes: cancelled };
  },
  nextDeadline: ({ closesAt }) => closesAt,
  clockMove: ({ updatedAt }, now) => (now < updatedAt ? now - updatedAt : 0),
  events: {
    deadline: () => ({ type: 'happened', what: 'closed' }),
    clockMoved: (by) => ({ type: 'happened', what: `moved by ${by}` }),
    delayed: ({ effect, reason }) => ({ type: 'happened', what: `late ${effect.id}: ${reason}` }),
    failed: ({ effect, attempts, error }) => ({
      type: 'happened',
      what: `lost ${effect.id} after ${attempts}: ${error}`,
    }),
  },
  effects: {
    laneOf: ({ road }) => road,
    isSuperseded: ({ isNews }, later) => isNews === true && later.some((other) => other.isNews),
    isCovered: ({ id }, last) => id === last.id,
    retryPolicy: ({ isStubborn }, cause) =>
      cause === 'passing' ? { ...POLICY, ...(isStubborn && { attempts: 1_000 }) } : null,
    dueTime: ({ dueAt }, now) => dueAt ?? now,
    isPassing: ({ isPassing }) => isPassing === true,
    isGathered: ({ isGathered }) => isGathered === true,
    isAwaited: ({ isAwaited }) => isAwaited === true,
    together: (lane) => {
      const apart = lane.findIndex(({ effect, isAlone }) => !effect.isGathered || isAlone);
      return lane.slice(0, apart === -1 ? MOST_TOGETHER : Math.min(MOST_TOGETHER, Math.max(1, apart)));
    },
    condense: (lane) => {
      const [first, ...others] = lane.length > MOST_ON_ROAD ? lane.filter(({ attempts }) => attempts === 0) : [];
      return first ? { first, others, instead: { ...first.effect, text: `and ${others.length} more` } } : null;
    },
    read: (json) => {
      const stored = JSON.parse(json) as { kind: string };
      return stored.kind === 'letter'
        ? { ok: true, value: stored as Letter }
        : { ok: false, why: `there is no effect "${stored.kind}"` };
    },
  },
};

type CourierEngine = Engine<Desk, DeskEvent, Letter, Transition<Desk, Letter>, string[]>;

/** What becomes of an attempt; left out: it is delivered. */
type Answer = (letters: readonly Letter[]) => Failure | undefined;

/** A courier with all its lives. */
export class Courier implements World {
  now = NOW;
  alarmAt: number | null = null;
  life: Life;
  engine: CourierEngine;
  /** Letters of each attempt, with their time since the beginning. */
  readonly attempts: string[][] = [];
  /** Each letter that arrived, also again. */
  readonly arrived: string[] = [];
  /** The log as those who watch were told it. */
  readonly published: string[] = [];
  readonly reports: Report<Letter>[] = [];
  answer: Answer = () => undefined;
  /** Attempts last until then. */
  wait: Promise<void> | null = null;
  isHeld: (letter: Letter) => boolean = () => false;
  /** Where the program ends next; null: nowhere. */
  crashAt: CrashPoint | null = null;
  /** Where a transaction cannot be stored next; null: nowhere. The program goes on. */
  throwAt: CrashPoint | null = null;
  /** Writing fails so often. */
  failWrites = 0;
  lives = 0;
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
    disk.sql.exec(`${KERNEL_TABLES}; CREATE TABLE desk (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL)`);
    [this.life, this.engine] = this.#begin();
  }

  random(): number {
    return 0;
  }

  get log(): string[] {
    return this.engine.state?.log ?? [];
  }

  #begin(): [Life, CourierEngine] {
    this.lives += 1;
    const life = new Life(this.#disk, this, (point) => this.#endsAt(point));
    const engine: CourierEngine = new Engine(life, program, this.#shell(life));
    const [row] = life.sql.exec<{ json: string }>('SELECT json FROM desk').toArray();
    if (!row) return [life, engine];
    const stored = toNewest(JSON.parse(row.json), [], 'the desk');
    if (!stored.ok) throw new Error(stored.why);
    // As `write` stored it.
    engine.resume(stored.value as unknown as Desk);
    return [life, engine];
  }

  #endsAt(point: CrashPoint): boolean {
    if (this.throwAt === point) {
      this.throwAt = null;
      throw new Error('the storage is full');
    }
    if (this.crashAt !== point) return false;
    this.crashAt = null;
    return true;
  }

  #shell(life: Life): Shell<Desk, DeskEvent, Letter, Transition<Desk, Letter>, string[]> {
    const isOver = () => life.endedAt !== null;
    return {
      write: ({ state }) => {
        if (this.failWrites > 0) {
          this.failWrites -= 1;
          throw new Error('the storage is full');
        }
        life.sql.exec(
          'INSERT INTO desk (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json',
          JSON.stringify(state),
        );
        return state.log;
      },
      restore: () => {},
      publish: (_, log) => {
        if (!isOver()) this.published.splice(0, this.published.length, ...log);
      },
      prepare: () => null,
      isHeld: (effect) => this.isHeld(effect),
      perform: async (effects): Promise<Attempt<DeskEvent>> => {
        const ids = effects.map(({ id, text }) => (text?.startsWith('and ') ? `${id} ${text}` : id));
        this.attempts.push(ids);
        if (this.wait) await this.wait;
        const failure = this.answer(effects);
        if (failure) return failure;
        this.arrived.push(...ids);
        return { kind: 'done', event: { type: 'happened', what: `delivered ${ids.join(' ')}` } };
      },
      failureOf: (thrown) => passing(String(thrown)),
      report: (report) => void (isOver() || this.reports.push(report)),
    };
  }

  /** The present life ends, and the next one goes on from what is stored. */
  restart(): void {
    this.life.end();
    this.#wake();
  }

  /** Something asks for the program: if its life is over, the next one begins. */
  #wake(): void {
    while (this.life.endedAt !== null) {
      try {
        [this.life, this.engine] = this.#begin();
      } catch (error) {
        // It ended while it began; nobody else does.
        if (!(error instanceof Crash)) throw error;
      }
    }
  }

  /**
   * Hands letters in, in one event. If the program ends meanwhile, the sender gets no answer and does it again.
   * @returns false: it was handed in before
   */
  async hand(letters: Letter[], more: { closesAt?: number; cancelled?: string[] } = {}): Promise<boolean> {
    for (;;) {
      this.#wake();
      const { engine, life } = this;
      try {
        const isNew = engine.commit(() => {
          const state = engine.state ?? { version: 1, log: [], seen: [], closesAt: null, updatedAt: this.now };
          return state.seen.includes(keyOf(letters)) ? null : { state, event: { type: 'handed-in', letters, ...more } };
        });
        await life.idle();
        return isNew;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      }
    }
  }

  /** Lets time pass, with every alarm in it. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    for (let alarms = 0; alarms < 10_000; alarms += 1) {
      const at = this.alarmAt;
      if (at === null || at > until) {
        this.now = Math.max(this.now, until);
        return;
      }
      this.now = Math.max(this.now, at);
      await this.#goOff();
    }
    throw new Error('the alarm comes without end');
  }

  /** The alarm wakes the program. The platform repeats one whose handler did not end well. */
  async #goOff(): Promise<void> {
    this.alarmAt = null;
    this.#wake();
    const { engine, life } = this;
    try {
      engine.alarm();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.alarmAt = this.now;
    }
    await life.idle();
  }
}

function keyOf(letters: readonly Letter[]): string {
  return letters.map(({ id }) => id).join(' ');
}

/** A failure after which another attempt may succeed. */
export function passing(message: string, more: Partial<Extract<Failure, { kind: 'retryable' }>> = {}): Failure {
  const error = new Error(message);
  return { kind: 'retryable', cause: 'passing', message, hint: null, retryAt: null, error, ...more };
}

/** A failure after which every other attempt would fail. */
export function terminal(message: string): Failure {
  return { kind: 'terminal', message, hint: null, error: new Error(message) };
}
