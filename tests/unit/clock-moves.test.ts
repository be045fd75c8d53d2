import { describe, expect, it } from 'vitest';
import { afterClockMove, setBack } from '../../src/session/clock-moves.ts';
import { deadlines } from '../../src/session/deadlines.ts';
import { init, SessionPlay } from './support/session-play.ts';

const HOUR_MS = 3_600_000;

describe('a wall clock that is set', () => {
  it('is noticed where it goes back, and a small difference is none', () => {
    expect(setBack(10 * HOUR_MS, 9 * HOUR_MS)).toBe(-HOUR_MS);
    expect(setBack(10_000, 9_900)).toBe(0);
    expect(setBack(10_000, 99_000)).toBe(0);
  });

  it.each([-HOUR_MS, HOUR_MS])('by %i ms moves every deadline along with it', (by) => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report(init);
    for (const phase of ['working', 'stopping']) {
      expect(play.state.phase.name).toBe(phase);
      const before = deadlines(play.state);
      const after = deadlines({ ...play.state, ...afterClockMove(play.state, by) });
      expect(after.map(({ at }) => at)).toEqual(before.map(({ at }) => at + by));
      if (phase === 'working') play.stop();
    }
  });
});
