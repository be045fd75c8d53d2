import { describe, expect, it } from 'vitest';
import { readEventBatch } from '../../src/protocol/sandbox/batches.ts';
import { init, SessionPlay } from './support/session-play.ts';

const bootId = '6a3f1c22-0000-4000-8000-000000000001';
const head = { generation: 1, bootId, streamId: bootId };
const notice = (seq: number) => ({ type: 'notice', seq, at: 5, text: `n${seq}` });

describe('a batch of events', () => {
  it.each([
    ['of a type that is not known here', { type: 'mood', seq: 2, at: 5, mood: 'good' }, 'mood'],
    [
      'whose duration is negative',
      { type: 'step', step: 'save', status: 'done', seq: 2, at: 5, durationMs: -3 },
      'step',
    ],
    ['without a time', { type: 'notice', seq: 2, text: 'hm' }, 'notice'],
    ['without a type', { seq: 2, at: 5 }, 'unknown'],
    ['that lacks what its type needs', { type: 'saved', seq: 2, at: 5 }, 'saved'],
  ])('with an event %s is taken with the others, and keeps that one', (_, event, of) => {
    const read = readEventBatch({ ...head, events: [notice(1), event, notice(3)] });
    expect(read).toMatchObject({
      ok: true,
      batch: { events: [notice(1), { type: 'unreadable', seq: 2, of }, notice(3)] },
    });
  });

  it('is refused if an event has no number, or it is no batch', () => {
    expect(readEventBatch({ ...head, events: [notice(1), { type: 'notice' }] })).toMatchObject({ ok: false });
    expect(readEventBatch({ ...head, events: 'none' })).toMatchObject({ ok: false });
    expect(readEventBatch(null)).toMatchObject({ ok: false });
  });
});

describe('an event that cannot be read', () => {
  const unreadable = (of: string, raw = '{}') => ({ type: 'unreadable' as const, of, raw, why: 'it is odd' });

  it('is in the journal as it came, and the turn continues', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report(init, unreadable('mood'));
    expect(play.state.phase.name).toBe('working');
    expect(play.entries.at(-1)?.body).toMatchObject({ kind: 'unknown', type: 'sandbox: mood' });
  });

  it.each([
    ['cli-exited', '{}'],
    ['work-ended', '{}'],
    ['line', JSON.stringify({ line: JSON.stringify({ type: 'result' }) })],
  ])('ends the turn with a message if it would have ended it (%s)', (of, raw) => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report(init, unreadable(of, raw));
    expect(play.state.phase.name).toBe('waiting');
    expect(play.entries.map(({ body }) => body)).toContainEqual(
      expect.objectContaining({ kind: 'turn-ended', reason: 'event_unreadable' }),
    );
  });
});
