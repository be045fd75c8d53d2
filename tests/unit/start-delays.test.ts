import { describe, expect, it } from 'vitest';
import { reasonOf } from '../../src/session/lifecycle/session-row.ts';
import { SessionPlay } from './support/session-play.ts';

const start = { kind: 'start-sandbox', generation: 1 } as const;
const reason = 'Waiting for a free container';

/** Thoughts that the thread was told by these effects. */
function thoughts(play: SessionPlay): string[] {
  return play.effects.flatMap((effect) => {
    if (effect.kind !== 'say' || effect.activity.content.type !== 'thought') return [];
    return effect.activity.content.body;
  });
}

describe('A sandbox that cannot be started yet', () => {
  it('shows on the page why, at once', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    const { since } = play.state.phase;
    play.play({ type: 'effect-delayed', effect: start, attempts: 1, reason });
    expect(reasonOf(play.state)).toBe(reason);
    expect(play.state.phase.since).toBe(since);
  });

  it('is told in Linear from the second try on, and again only if the reason is another', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    for (const attempts of [1, 2, 3, 4]) play.play({ type: 'effect-delayed', effect: start, attempts, reason });
    play.play({ type: 'effect-delayed', effect: start, attempts: 5, reason: 'Waiting for the image' });
    const told = thoughts(play).filter((thought) => thought.includes('keeps trying'));
    expect(told).toEqual([`${reason}. Cyrus keeps trying.`, 'Waiting for the image. Cyrus keeps trying.']);
  });

  it('of an earlier life says nothing', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    const before = reasonOf(play.state);
    play.play({ type: 'effect-delayed', effect: { kind: 'start-sandbox', generation: 7 }, attempts: 2, reason });
    expect(reasonOf(play.state)).toBe(before);
  });
});

describe('A sandbox that waits for the git host', () => {
  const waitsFor = 'Waiting for the git host of acme/shop: it does not answer';
  const step = { type: 'step', step: 'mirror', status: 'started' } as const;
  const waiting = () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report({ ...step, detail: 'Fetching acme/shop' });
    play.report({ ...step, detail: `${waitsFor} (HTTP 503)`, waitsFor });
    return play;
  };

  it('says so on the page and once in the thread, and costs no turn', () => {
    const play = waiting();
    expect(reasonOf(play.state)).toBe(waitsFor);
    play.report({ ...step, detail: `${waitsFor} (HTTP 502)`, waitsFor });
    expect(thoughts(play).filter((thought) => thought.includes('git host'))).toEqual([
      `${waitsFor}. Cyrus keeps trying.`,
    ]);
    expect(play.state.phase).toMatchObject({ name: 'starting', turn: { number: 1, losses: 0 } });
    expect(play.entries.map(({ body }) => body)).toContainEqual(
      expect.objectContaining({ kind: 'step', detail: `${waitsFor} (HTTP 503)` }),
    );
  });

  it('is told as that again if nothing else was said for ten minutes', () => {
    const play = waiting();
    for (let beat = 0; beat < 40; beat += 1) {
      play.now += 20_000;
      play.report();
      play.play({ type: 'deadline' });
    }
    expect(thoughts(play).at(-1)).toMatch(
      /^Waiting for the git host of acme\/shop: it does not answer, for 1\d minutes now\.$/,
    );
    expect(play.state.phase.name).toBe('starting');
  });

  it('continues as any other when the host is back, after half a day', () => {
    const play = waiting();
    for (let beat = 0; beat < 2_160; beat += 1) {
      play.now += 20_000;
      play.report();
      play.play({ type: 'deadline' });
    }
    expect(play.state.phase).toMatchObject({ name: 'starting', turn: { number: 1, losses: 0 } });
    play.report({ ...step, detail: 'Fetching acme/shop' });
    expect(reasonOf(play.state)).toBe('Fetching the repository');
  });
});
