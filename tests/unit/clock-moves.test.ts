import { describe, expect, it } from 'vitest';
import { afterClockMove, setBack, setForward } from '../../src/session/lifecycle/clock-moves.ts';
import { deadlines, nextDeadline } from '../../src/session/lifecycle/model/deadlines.ts';
import { OPENING } from '../../src/session/lifecycle/model/state.ts';
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

describe('a wall clock that is set forward', () => {
  const working = () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report(init);
    return play;
  };

  it('is told from an alarm that is a little late, as on a busy machine', () => {
    const { state } = working();
    const due = nextDeadline(state) ?? 0;
    expect(setForward(state, due - 1, false)).toBe(0);
    expect(setForward(state, due + 20_000, false)).toBe(0);
    expect(setForward(state, due + HOUR_MS, false)).toBe(due + HOUR_MS - state.updatedAt);
  });

  it('is not found again and again where alarms are always late', () => {
    const { state } = working();
    const due = nextDeadline(state) ?? 0;
    expect(setForward(state, due + 60_000, true)).toBe(0);
    expect(setForward(state, due + HOUR_MS, true)).toBeGreaterThan(0);
  });

  it('leaves every deadline as far off as it was when the object was last awake', () => {
    const play = working();
    for (const phase of ['working', 'stopping']) {
      expect(play.state.phase.name).toBe(phase);
      const now = play.state.updatedAt + HOUR_MS;
      const left = deadlines(play.state).map(({ at }) => at - play.state.updatedAt);
      const by = setForward(play.state, now, false);
      const after = deadlines({ ...play.state, ...afterClockMove(play.state, by) });
      expect(after.map(({ at }) => at - now)).toEqual(left);
      if (phase === 'working') play.stop();
    }
  });

  it('leaves a thread that is being opened what it is', () => {
    const { state } = working();
    const expectedThread = { promptId: 'p', commentId: null, author: null, person: null, text: '', since: OPENING };
    expect({ expectedThread, ...afterClockMove({ ...state, expectedThread }, HOUR_MS) }).toMatchObject({
      expectedThread,
    });
  });
});
