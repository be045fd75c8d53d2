import { describe, expect, it } from 'vitest';
import { nextDeadline } from '../../src/session/lifecycle/model/deadlines.ts';
import { BURST_MS } from '../../src/session/lifecycle/pull-request/news.ts';
import { rowOf } from '../../src/session/lifecycle/session-row.ts';
import { proposed } from './support/proposed-session.ts';
import type { SessionPlay } from './support/session-play.ts';

const MINUTE_MS = 60_000;

function passTo(play: SessionPlay, at: number) {
  play.now = Math.max(play.now, at);
  return play.play({ type: 'deadline' });
}

const looks = (effects: ReturnType<SessionPlay['play']>) =>
  effects.filter(({ kind }) => kind === 'look-at-pull-request');

describe('news of the pull request', () => {
  it('that come close together are asked for once', () => {
    const play = proposed(true);
    const news = { type: 'pull-request-news', number: 12, topic: 'checks' } as const;
    expect(looks([...play.play(news), ...play.play(news)])).toEqual([]);
    expect(nextDeadline(play.state)).toBeLessThanOrEqual(play.now + BURST_MS);
    expect(looks(passTo(play, play.now + BURST_MS))).toEqual([{ kind: 'look-at-pull-request', number: 12 }]);
    expect(looks(passTo(play, play.now + MINUTE_MS))).toEqual([]);
  });

  it('of another pull request say nothing', () => {
    const play = proposed(true);
    play.play({ type: 'pull-request-news', number: 11, topic: 'reviews' });
    expect(looks(passTo(play, play.now + MINUTE_MS))).toEqual([]);
  });

  it('move a session at rest up in no list', () => {
    const play = proposed(true);
    const before = rowOf(play.state).updatedAt;
    play.now += MINUTE_MS;
    play.play({ type: 'pull-request-news', number: 12, topic: 'checks' });
    passTo(play, play.now + BURST_MS);
    expect(rowOf(play.state).updatedAt).toBe(before);
  });

  it('say once that it was merged, on the page and in the list', () => {
    const play = proposed(true);
    const effect = { kind: 'look-at-pull-request', number: 12 } as const;
    const seen = { seen: { state: 'merged', checks: 'passed', review: 'approved' } } as const;
    const effects = play.play({ type: 'effect-done', effect, result: seen });
    expect(effects.map(({ kind }) => kind)).toContain('index-session');
    play.play({ type: 'effect-done', effect, result: seen });
    const notices = play.entries.filter(({ body }) => body.kind === 'notice');
    expect(notices.map(({ body }) => body)).toEqual([
      { kind: 'notice', level: 'info', text: 'Pull request #12 was merged.' },
    ]);
  });
});

describe('GitHub that tells nothing by itself', () => {
  it('is asked every two minutes at first, then ever more rarely, and after two weeks no more', () => {
    const play = proposed(false);
    const begun = play.now;
    let asked = 0;
    const times: number[] = [];
    for (;;) {
      const at = nextDeadline(play.state);
      if (at === null) break;
      const effects = passTo(play, at);
      if (looks(effects).length === 0) break;
      asked += 1;
      times.push(play.now - begun);
    }
    expect(times[0]).toBeLessThanOrEqual(2 * MINUTE_MS + 1_000);
    expect(times.at(-1)).toBeGreaterThanOrEqual(14 * 24 * 60 * MINUTE_MS);
    expect(asked).toBeLessThan(550);
  });

  it('is asked no more once the pull request is closed', () => {
    const play = proposed(false);
    const effect = { kind: 'look-at-pull-request', number: 12 } as const;
    const seen = { seen: { state: 'closed', checks: 'none', review: 'none' } } as const;
    play.play({ type: 'effect-done', effect, result: seen });
    expect(nextDeadline(play.state)).toBeNull();
  });
});
