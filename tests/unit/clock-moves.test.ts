import { beforeEach, describe, expect, it } from 'vitest';
import { afterClockMove, setBack, setForward } from '../../src/session/lifecycle/clock-moves.ts';
import { deadlines, nextDeadline } from '../../src/session/lifecycle/model/deadlines.ts';
import { OPENING } from '../../src/session/lifecycle/model/state.ts';
import { standingQuestion } from '../../src/session/lifecycle/questions/open-question.ts';
import { proposed } from './support/proposed-session.ts';
import { access, init, permission, question, SessionPlay, usedUp } from './support/session-play.ts';

const HOUR_MS = 3_600_000;

describe('a wall clock that is set', () => {
  it('is noticed if it goes back; a small difference is ignored', () => {
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

  it('is not told from the files of a session at rest, whose turn to be deleted was late', () => {
    const play = working();
    const { arrangement } = play.state;
    const arranged = arrangement && { ...arrangement, placement: { kind: 'deployment' as const } };
    const state = {
      ...play.state,
      arrangement: arranged,
      phase: { name: 'waiting' as const, since: play.state.updatedAt },
    };
    const [purge, ...others] = deadlines(state);
    expect(purge?.name).toBe('purge');
    expect(others).toEqual([]);
    expect(setForward(state, (purge?.at ?? 0) + HOUR_MS, false)).toBe(0);
  });

  it('is not told from a question to GitHub that was late, while nothing else is waited for', () => {
    const { state } = proposed(false);
    const [look, ...others] = deadlines(state);
    expect([look?.name, others]).toEqual(['pull-request', []]);
    expect(setForward(state, (look?.at ?? 0) + HOUR_MS, false)).toBe(0);
  });

  it('takes the first look at files that are to be deleted along when it is put right', () => {
    const { state } = working();
    const by = -500 * 24 * HOUR_MS;
    const looked = state.updatedAt - by;
    expect(afterClockMove({ ...state, purgeDueAt: looked }, by)).toMatchObject({ purgeDueAt: state.updatedAt });
  });

  it('leaves the beginning of a rest before it when it is put right, so that nothing seems to have been kept for longer', () => {
    const play = working();
    const ended = play.state.updatedAt;
    const ahead = ended + 500 * 24 * HOUR_MS;
    const state = { ...play.state, phase: { name: 'waiting' as const, since: ended }, overAt: ended, updatedAt: ahead };
    const by = setBack(ahead, ended + HOUR_MS);
    expect(afterClockMove(state, by)).toMatchObject({ phase: { since: ended }, overAt: ended });
  });

  it('is not found again and again if alarms are always late', () => {
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

describe.each([-HOUR_MS, HOUR_MS])('a wall clock that is set by %i ms', (by) => {
  /** At work, with a clock that is right after it is set. */
  const working = () => {
    const play = new SessionPlay();
    play.now += HOUR_MS;
    play.prompt('p1');
    play.started();
    play.report(init);
    return play;
  };
  /** Nobody sets Linear's clock. */
  let linearAhead = 0;
  beforeEach(() => {
    linearAhead = 0;
  });
  const set = (play: SessionPlay) => {
    play.now += by;
    linearAhead -= by;
    play.play({ type: 'clock-moved', by });
  };
  const says = (play: SessionPlay, text: string) =>
    play.play({
      type: 'prompted',
      promptId: `said ${text}`,
      agentSessionId: 'thread-1',
      author: 'Ada',
      person: { id: 'ada', email: null },
      source: 'comment',
      text,
      at: play.now + linearAhead,
    });

  it('leaves a question open to words in its thread', () => {
    const play = working();
    says(play, 'With tests, please');
    says(play, 'And without a semicolon');
    play.report(question());
    set(play);
    play.now += 10_000;
    expect(play.kinds(says(play, 'This'))).toContain('answer-sandbox');
  });

  it('lets people allow what is asked after another question was closed', () => {
    const play = working();
    play.report(permission('q1', 'npm test'));
    says(play, 'no');
    play.now += 10_000;
    set(play);
    play.report(permission('q2', 'npm publish'));
    play.now += 60_000;
    expect(play.kinds(says(play, 'yes'))).toContain('decide-sandbox');
  });

  it('leaves the question which repository it is the same, with the same id', () => {
    const play = new SessionPlay();
    play.now += HOUR_MS;
    play.prompt('p1');
    play.startedWith({ kind: 'unsure', options: ['acme/shop', 'acme/site'], access: access({ repository: null }) });
    const asked = standingQuestion(play.state)?.id;
    set(play);
    expect(standingQuestion(play.state)?.id).toBe(asked);
    expect(play.state.closedQuestions ?? []).toEqual([]);
  });

  it('has a limit without a known reset waited for as long as before, and a known reset until its time', () => {
    const play = working();
    play.report(usedUp(['p1']));
    const { phase } = play.state;
    if (phase.name !== 'parked') throw new Error(phase.name);
    const before = play.now;
    set(play);
    expect(play.state.phase).toMatchObject({ until: phase.until + play.now - 10 - before });
    const { waits: _, ...reset } = phase;
    expect(afterClockMove({ ...play.state, phase: reset }, by).phase).toMatchObject({ until: phase.until });
  });

  it('lets a stop in Linear end what the page asked for before', () => {
    const play = working();
    play.play({
      type: 'prompted',
      promptId: 'page',
      agentSessionId: null,
      author: null,
      person: null,
      source: 'page',
      text: 'do more',
    });
    set(play);
    play.now += 10_000;
    play.play({
      type: 'stop-requested',
      id: 'stop',
      agentSessionId: 'thread-1',
      author: 'Ada',
      source: 'comment',
      at: play.now,
    });
    expect(play.state.phase.name).toBe('stopping');
    expect(play.state.queue.map(({ promptId }) => promptId)).not.toContain('page');
  });
});

it('a clock that is behind Linear’s lets no stop from before end what the page asked for', () => {
  const play = new SessionPlay();
  const linear = () => play.now + HOUR_MS;
  const ada = { author: 'Ada', person: { id: 'ada', email: null } };
  const asked = {
    type: 'prompted',
    promptId: 'p1',
    agentSessionId: 'thread-1',
    source: 'comment',
    text: 'do it',
  } as const;
  play.play({ ...asked, ...ada, at: linear() });
  play.started();
  const before = linear() - 1_000;
  play.play({ ...asked, ...ada, promptId: 'p2', at: linear() });
  play.play({
    ...asked,
    promptId: 'page',
    agentSessionId: null,
    author: null,
    person: null,
    source: 'page',
    text: 'more',
  });
  const stop = {
    type: 'stop-requested',
    id: 'stop',
    agentSessionId: 'thread-1',
    author: 'Ada',
    source: 'comment',
  } as const;
  play.play({ ...stop, at: before });
  expect(play.state.phase.name).not.toBe('stopping');
});
