import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/read-config.ts';
import {
  noStartLimits,
  type ReachedLimit,
  reachedLimitRemedy,
  reachedLimitWords,
  type StartLimitName,
  type StartLimits,
} from '../../src/protocol/settings/start-limits.ts';
import {
  admit,
  emptyLine,
  join,
  type Line,
  leave,
  limitOf,
  lineSchema,
  nextStartAt,
} from '../../src/queue/fair-queue.ts';
import { addWork, usedNow } from '../../src/queue/sandbox-minutes.ts';
import { valid } from './support/variables.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOON = Date.parse('2026-11-15T12:00:00Z');
const CAP = 100;

/** A workspace's queue whose sessions ask and give back by a clock that tests move. */
class Workspace {
  line: Line = emptyLine;
  now = NOON;
  #limits: StartLimits;

  constructor(limits: Partial<StartLimits>) {
    this.#limits = { ...noStartLimits, ...limits };
  }

  /** @returns whether it may start */
  ask(session: string, owner = 'ada', about: { turn?: number; isNew?: boolean } = {}): boolean {
    const entry = { session, owner, turn: 1, since: this.now, isNew: true, ...about };
    this.line = admit(join(this.line, entry, false), CAP, this.now, this.#limits);
    return this.working.includes(session);
  }

  give(session: string): void {
    this.line = leave(this.line, session, 1_000, this.now);
    this.look();
  }

  look(): void {
    this.line = admit(this.line, CAP, this.now, this.#limits);
  }

  set(limits: Partial<StartLimits>): void {
    this.#limits = { ...this.#limits, ...limits };
    this.look();
  }

  limitOf(session: string): ReachedLimit | null {
    return limitOf(this.line, session, { cap: CAP, limits: this.#limits, now: this.now });
  }

  get nextAt(): number | null {
    return nextStartAt(this.line, CAP, this.#limits, this.now);
  }

  get working(): string[] {
    return this.line.working.map(({ session }) => session);
  }
}

describe('a limit on new sessions', () => {
  it.each([
    ['SESSIONS_A_PERSON_HOUR', HOUR],
    ['SESSIONS_A_PERSON_DAY', DAY],
    ['SESSIONS_A_WORKSPACE_HOUR', HOUR],
    ['SESSIONS_A_WORKSPACE_DAY', DAY],
  ] as const)(
    '%s is exact: the next session begins when the oldest start is as old as the period, and not 1 ms before',
    (name, period) => {
      const workspace = new Workspace({ [name]: 2 });
      expect(workspace.ask('s1')).toBe(true);
      workspace.now += MINUTE;
      expect(workspace.ask('s2')).toBe(true);
      expect(workspace.ask('s3')).toBe(false);
      expect(workspace.limitOf('s3')).toEqual({ name, most: 2, until: NOON + period });
      expect(workspace.nextAt).toBe(NOON + period);
      workspace.now = NOON + period - 1;
      workspace.look();
      expect(workspace.working).not.toContain('s3');
      workspace.now = NOON + period;
      workspace.look();
      expect(workspace.working).toContain('s3');
    },
  );

  it('of a person holds up that person alone, whose other turns continue', () => {
    const workspace = new Workspace({ SESSIONS_A_PERSON_HOUR: 1 });
    workspace.ask('s1');
    expect(workspace.ask('s2')).toBe(false);
    expect(workspace.ask('s3', 'grace')).toBe(true);
    workspace.give('s1');
    expect(workspace.ask('s1', 'ada', { turn: 2, isNew: false })).toBe(true);
    expect(workspace.limitOf('s2')?.name).toBe('SESSIONS_A_PERSON_HOUR');
  });

  it('lets those who wait start as soon as an admin raises it', () => {
    const workspace = new Workspace({ SESSIONS_A_WORKSPACE_DAY: 1 });
    for (const session of ['s1', 's2', 's3']) workspace.ask(session);
    workspace.set({ SESSIONS_A_WORKSPACE_DAY: 2 });
    expect(workspace.working).toEqual(['s1', 's2']);
    workspace.set({ SESSIONS_A_WORKSPACE_DAY: 0 });
    expect(workspace.working).toEqual(['s1', 's2', 's3']);
  });

  it('counts no start that lies ahead of a clock that was set back', () => {
    const workspace = new Workspace({ SESSIONS_A_PERSON_DAY: 1 });
    workspace.ask('s1');
    workspace.now -= 30 * DAY;
    expect(workspace.ask('s2')).toBe(true);
  });

  it('reads a queue that the version before stored, whose first turns count as new sessions', () => {
    const workspace = new Workspace({ SESSIONS_A_PERSON_HOUR: 1 });
    const entry = { owner: 'ada', since: NOON };
    const waiting = [
      { ...entry, session: 'new', turn: 1 },
      { ...entry, session: 'also-new', turn: 1 },
      { ...entry, session: 'known', turn: 2 },
    ];
    workspace.line = lineSchema.parse({ working: [], waiting });
    workspace.look();
    expect(workspace.working).toEqual(['new', 'known']);
  });
});

describe('a budget of sandbox minutes', () => {
  it('that is used up lets no turn start before the next day, interrupts none, and counts those that still work', () => {
    const workspace = new Workspace({ SANDBOX_MINUTES_DAY: 60 });
    workspace.ask('s1');
    workspace.now += 59 * MINUTE;
    expect(workspace.ask('s2')).toBe(true);
    workspace.now += MINUTE / 2;
    expect(workspace.ask('s3')).toBe(false);
    const midnight = Date.parse('2026-11-16T00:00:00Z');
    expect(workspace.limitOf('s3')).toEqual({ name: 'SANDBOX_MINUTES_DAY', most: 60, until: midnight });
    expect(workspace.working).toEqual(['s1', 's2']);
    workspace.give('s1');
    workspace.give('s2');
    expect(workspace.ask('s1', 'ada', { turn: 2, isNew: false })).toBe(false);
    workspace.now = midnight;
    workspace.look();
    expect(workspace.working).toEqual(['s3', 's1']);
  });

  it('of a month outlasts that of a day, and ends with the month', () => {
    const workspace = new Workspace({ SANDBOX_MINUTES_DAY: 1, SANDBOX_MINUTES_MONTH: 1 });
    workspace.ask('s1');
    workspace.now += 2 * MINUTE;
    workspace.ask('s2');
    const until = Date.parse('2026-12-01T00:00:00Z');
    expect(workspace.limitOf('s2')).toEqual({ name: 'SANDBOX_MINUTES_MONTH', most: 1, until });
  });

  it('a session that works past midnight counts in each day with its part of it', () => {
    const midnight = Date.parse('2026-11-16T00:00:00Z');
    const used = usedNow(undefined, [midnight - 10 * MINUTE], midnight + 5 * MINUTE);
    expect(used).toEqual({ day: '2026-11-16', dayMs: 5 * MINUTE, month: '2026-11', monthMs: 15 * MINUTE });
    const later = addWork(used, midnight + 10 * MINUTE, midnight + 11 * MINUTE);
    expect(later).toMatchObject({ dayMs: 6 * MINUTE, monthMs: 16 * MINUTE });
  });

  it('a clock that is set forward by months uses up no more than the longest life of a container', () => {
    const used = addWork(undefined, NOON - 90 * DAY, NOON);
    expect(used.monthMs).toBe(13 * HOUR);
    expect(addWork(undefined, NOON + DAY, NOON).monthMs).toBe(0);
  });
});

describe('the pace of starts', () => {
  it('lets a burst of ten seconds’ worth start at once, and the others one after another', () => {
    const workspace = new Workspace({ STARTS_A_MINUTE: 60 });
    for (let index = 0; index < 30; index += 1) workspace.ask(`s${index}`, `person-${index}`);
    expect(workspace.working).toHaveLength(10);
    expect(workspace.limitOf('s29')).toEqual({ name: 'STARTS_A_MINUTE', most: 60, until: NOON + 1_000 });
    workspace.now += 5_000;
    workspace.look();
    expect(workspace.working).toHaveLength(15);
    workspace.now += HOUR;
    workspace.look();
    expect(workspace.working).toHaveLength(25);
  });

  it('holds up nobody whose sandbox runs already', () => {
    const workspace = new Workspace({ STARTS_A_MINUTE: 1 });
    workspace.ask('s1');
    const entry = { session: 's2', owner: 'ada', turn: 1, since: NOON };
    expect(join(workspace.line, entry, true).working).toHaveLength(2);
  });
});

it('what is told names the limit, when it lets the session start, and the setting that an admin can raise', () => {
  const tell = (name: StartLimitName, until: number) => {
    const limit = { name, most: 5, until };
    return `${reachedLimitWords(limit)}. ${reachedLimitRemedy(limit, NOON)}`;
  };
  expect(tell('SESSIONS_A_PERSON_HOUR', NOON + 90_000)).toBe(
    'Waiting: one person may begin 5 new sessions an hour. This starts by itself at 12:02 UTC at the earliest, or once an admin raises SESSIONS_A_PERSON_HOUR.',
  );
  expect(tell('SANDBOX_MINUTES_MONTH', Date.parse('2026-12-01T00:00:00Z'))).toBe(
    'Waiting: the month’s budget of 5 sandbox minutes is used up. This starts by itself at 2026-12-01 00:00 UTC at the earliest, or once an admin raises SANDBOX_MINUTES_MONTH.',
  );
  expect(tell('STARTS_A_MINUTE', NOON)).toBe(
    'Waiting: many sessions start now, a few at a time. This one starts by itself.',
  );
});

it('a limit that could not be counted exactly is refused, and says how great it may be', () => {
  expect(readConfig({ ...valid, SESSIONS_A_PERSON_DAY: '2000' }).startLimits.SESSIONS_A_PERSON_DAY).toBe(2_000);
  for (const value of ['2001', '-1', '1.5', 'many']) {
    expect(() => readConfig({ ...valid, SESSIONS_A_PERSON_DAY: value })).toThrow(
      /SESSIONS_A_PERSON_DAY: must be a whole number from 0 \(no limit\) to 2000/,
    );
  }
});
