import { describe, expect, it } from 'vitest';
import { rowOf } from '../../src/session/lifecycle/session-row.ts';
import { histories, written } from '../histories.ts';
import { Random } from './support/random.ts';
import { call, callResult, init, result, SessionPlay, saved, text } from './support/session-play.ts';

/** What the list shows, but for the time of the last change. */
function shown(play: SessionPlay): string {
  return JSON.stringify({ ...rowOf(play.state), updatedAt: 0 });
}

/** One thing that may happen to a session. */
function happen(play: SessionPlay, random: Random, number: number): string[] {
  const before = play.effects.length;
  const what = random.pick<() => unknown>([
    () => play.prompt(`p${number}`),
    () => play.started(),
    () => play.report(init),
    () => play.report(text('Looking.')),
    () => play.report(call(`c${number}`), callResult(`c${number}`)),
    () => play.report(result('Done.', [`p${number - 1}`])),
    () => play.report(saved(play.state.turns)),
    () => play.stop(),
    () => play.deadline(60_000),
    () => play.startedWith({ kind: 'queued', position: 1 + random.below(3) }),
    () => play.play({ type: 'queue-moved', position: random.below(3) }),
    () => play.withdraw('canceled'),
  ]);
  what();
  return play.effects.slice(before).map(({ kind }) => kind);
}

describe('the time of a session in the list', () => {
  const rested = () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report(init, result('Done.', ['p1']), saved(1));
    expect(play.state.phase.name).toBe('waiting');
    return play;
  };

  it('is that of the last thing that people or Claude did, although people looked at it and something was removed since', () => {
    const play = rested();
    const { updatedAt } = rowOf(play.state);
    play.now += 3_600_000;
    play.play({ type: 'pull-request-seen', number: 12, seen: { state: 'merged', checks: 'passed', review: 'none' } });
    play.play({ type: 'checkpoint-removed' });
    play.deadline(60_000);
    expect(play.state.updatedAt).toBeGreaterThan(updatedAt);
    expect(rowOf(play.state).updatedAt).toBe(updatedAt);
    play.prompt('p2');
    expect(rowOf(play.state).updatedAt).toBe(play.now);
  });

  it('is not ahead of a clock that was set back', () => {
    const play = rested();
    play.now -= 3_600_000;
    play.play({ type: 'clock-moved', by: -3_600_000 });
    expect(rowOf(play.state).updatedAt).toBe(play.now);
  });
});

describe('the row of a session in the list', () => {
  const count = histories(500);
  it(`is written once whenever it has changed, and only then, in ${written(count)} random histories`, () => {
    for (let seed = 1; seed <= count; seed++) {
      const random = new Random(seed);
      const play = new SessionPlay();
      play.hasPullRequests = true;
      for (let number = 1; number <= 30; number++) {
        const before = shown(play);
        const writes = happen(play, random, number).filter((kind) => kind === 'index-session');
        expect(writes, `seed ${seed}, event ${number}: ${before} became ${shown(play)}`).toHaveLength(
          shown(play) === before ? 0 : 1,
        );
      }
    }
  });
});
