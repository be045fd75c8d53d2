import { describe, expect, it } from 'vitest';
import { readEventBatch } from '../../src/protocol/sandbox/batches.ts';
import type { SandboxEvent } from '../../src/protocol/sandbox/events.ts';
import { type Intake, intakeAt, refusalOfIntake, withEnd } from '../../src/session/lifecycle/intake.ts';
import { plausibleTime } from '../../src/session/lifecycle/model/clock-time.ts';
import { reduce } from '../../src/session/lifecycle/reduce.ts';
import { init, SessionPlay, text } from './support/session-play.ts';

const HOUR = 3_600_000;

describe('what a session brings in', () => {
  it('is counted by hours of the clock, and refused with limit, setting and the time from which there is room', () => {
    const now = 100 * HOUR + 59 * 60_000;
    const full = { hour: 100, events: 0, stored: 1_000 };
    expect(refusalOfIntake(intakeAt(full, now), 'stored', 1, 1_000)).toMatch(
      /continue at 05:00 UTC.*SESSION_MIB_AN_HOUR/,
    );
    expect(refusalOfIntake(intakeAt(full, now), 'stored', 0, 1_000)).toBeNull();
    expect(refusalOfIntake(intakeAt(full, now + 60_000), 'stored', 1_000, 1_000)).toBeNull();
    expect(refusalOfIntake(intakeAt(undefined, now), 'events', 126, 1_000)).not.toBeNull();
  });

  it('ends the turn with a message if its events are too many, and what ends things still gets through', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report(init);
    const {
      streamId = '',
      generation,
      cursor,
    } = { ...play.state.sandbox, streamId: play.state.sandbox.streamId ?? '' };
    const flood = { ...text('x'.repeat(10_000)), seq: cursor + 1, at: play.state.updatedAt } as never;
    const batch = { protocol: 3, generation, bootId: streamId, streamId, events: [flood] } as never;
    const event = { type: 'sandbox-reported', batch, mostBytes: 8_000 } as const;
    const context = { now: play.state.updatedAt, newId: () => crypto.randomUUID() };
    const { state, effects } = reduce(play.state, event, context);
    expect(state.phase.name).toBe('waiting');
    expect(JSON.stringify(effects)).toContain('SESSION_MIB_AN_HOUR');
    expect(effects.some(({ kind }) => kind === 'stop-sandbox')).toBe(true);
    expect(state.sandbox.cursor).toBe(cursor + 1);
  });

  it('has an end too if it is said to end again and again: what is forged does not fill the journal', () => {
    const event = { type: 'saved', seq: 1, at: 1, subject: 'x'.repeat(1_000) } as unknown as SandboxEvent;
    let intake: Intake | null = intakeAt(undefined, HOUR);
    let taken = 0;
    for (; intake !== null && taken < 1_000; taken += 1) intake = withEnd(intake, event, 80_000);
    expect(taken).toBeGreaterThan(10);
    expect(taken).toBeLessThan(25);
    // Events that are counted have left as much room for it.
    expect(withEnd({ hour: 1, events: 10_000, stored: 0 }, event, 80_000)).not.toBeNull();
  });
});

it('a time that cannot be is the time at which it was told', () => {
  const now = 1_800_000_000_000;
  for (const at of [8.64e15, now + 2 * 86_400_000, 0, 1]) expect(plausibleTime(at, now)).toBe(now);
  for (const at of [now, now - 30 * 86_400_000, now + 60_000]) expect(plausibleTime(at, now)).toBe(at);
});

it('texts for people are cut where they enter, and the rest of the event gets through', () => {
  const huge = 'é'.repeat(300_000);
  const common = { protocol: 3, generation: 1, bootId: crypto.randomUUID(), streamId: crypto.randomUUID() };
  const events = [
    { type: 'notice', seq: 1, at: 1, text: huge },
    { type: 'failed', seq: 2, at: 1, step: 'setup', message: huge, hint: huge },
    { type: 'stderr', seq: 3, at: 1, text: huge },
  ];
  const read = readEventBatch({ ...common, events });
  expect(read.ok && read.batch.events.map(({ type }) => type)).toEqual(['notice', 'failed', 'stderr']);
  expect(JSON.stringify(read).length).toBeLessThan(330_000);
});
