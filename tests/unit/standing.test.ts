import { describe, expect, it } from 'vitest';
import { closedFor, LATE_SAVE_MS, RIGHTS, UPKEEP_MS } from '../../src/gateway/openings.ts';
import { standingOf } from '../../src/session/lifecycle/model/standing.ts';
import { init, question, result, SessionPlay, saved, text, usedUp } from './support/session-play.ts';

function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(init, text('I look around.'));
  return play;
}

const savedWith = (more: object) => ({ ...saved(1, 0), ...more }) as ReturnType<typeof saved>;
const standing = (play: SessionPlay, after = 0) =>
  standingOf(play.state, play.state.sandbox.generation, play.now + after);
const stage = (play: SessionPlay, after = 0) => standing(play, after).stage;
const opens = (play: SessionPlay, ask: 'claude' | 'push' | 'tools' | 'read-git' | 'report', after = 0) =>
  closedFor(ask, standing(play, after), RIGHTS) === null;

describe('the state of a session', () => {
  it('is in a turn from the request until its work is saved, and at rest after that', () => {
    const play = new SessionPlay();
    expect(stage(play)).toBe('rest');
    play.prompt('p1');
    expect(stage(play)).toBe('turn');
    play.started();
    play.report(init, text('I look around.'));
    expect([stage(play), standing(play).isFresh]).toEqual(['turn', true]);
    play.report({ type: 'cli-started', pid: 1, resumed: false });
    expect(standing(play).isFresh).toBe(false);
    play.report(result('Done.', ['p1']));
    expect([play.state.phase.name, stage(play)]).toEqual(['saving', 'turn']);
    play.report(saved(1, 1));
    expect([play.state.phase.name, stage(play)]).toEqual(['waiting', 'rest']);
    expect(['claude', 'push', 'tools', 'read-git', 'report'].map((ask) => opens(play, ask as 'push'))).toEqual([
      ...[false, false, false, true, true],
    ]);
    expect([standing(play).isJustOver, standing(play, UPKEEP_MS).isJustOver]).toEqual([true, false]);
    play.prompt('p2');
    expect(opens(play, 'push')).toBe(true);
  });

  it('closes all but the save with a stop, and the save once it is confirmed', () => {
    const play = working();
    play.stop();
    expect([stage(play), opens(play, 'claude'), opens(play, 'tools'), opens(play, 'push')]).toEqual([
      ...['ending', false, false, true],
    ]);
    const exit = {
      type: 'cli-exited',
      code: null,
      signal: 'SIGTERM',
      duringTurn: false,
      cause: 'stop',
      turn: 1,
    } as const;
    play.report(exit);
    expect(stage(play)).toBe('ending');
    play.report(saved(1, 0));
    expect([stage(play), opens(play, 'push')]).toEqual(['rest', false]);
  });

  it('lets a save be finished or repeated that the sandbox has not confirmed, for a while', () => {
    const play = working();
    play.stop();
    play.deadline(11_000);
    expect([play.state.phase.name, stage(play), opens(play, 'push'), opens(play, 'claude')]).toEqual([
      ...['waiting', 'late-save', true, false],
    ]);
    expect(stage(play, LATE_SAVE_MS)).toBe('rest');
    const failed = savedWith({ pushed: false, problem: 'the git host is away' });
    play.report(failed);
    expect(stage(play)).toBe('late-save');
    play.report(savedWith({ again: true }));
    expect(stage(play)).toBe('rest');
  });

  it('is closed to pushes by an alarm, until the next turn', () => {
    const play = working();
    play.play({ type: 'alarm-raised', id: 'alarm', host: 'evil.example' });
    expect([stage(play), opens(play, 'push'), opens(play, 'claude'), opens(play, 'report')]).toEqual([
      ...['alarm', false, false, true],
    ]);
    play.report(saved(1, 0));
    play.deadline(11_000);
    expect(stage(play)).toBe('alarm');
    play.prompt('p2');
    expect(stage(play)).toBe('turn');
  });

  it('is withdrawn once Cyrus was removed from the workspace, and nothing but reports are taken', () => {
    const play = working();
    play.withdraw('uninstalled');
    expect([stage(play), opens(play, 'claude')]).toEqual(['ending', false]);
    play.deadline(11_000);
    expect([stage(play, LATE_SAVE_MS), opens(play, 'read-git', LATE_SAVE_MS), opens(play, 'report')]).toEqual([
      ...['withdrawn', false, true],
    ]);
  });

  it('keeps a turn open while Claude asks, and closes it while the turn waits for a limit', () => {
    const asking = working();
    asking.report(question('q1'));
    expect([asking.state.phase.name, stage(asking)]).toEqual(['asking', 'turn']);
    const parked = working();
    parked.report(usedUp(['p1']));
    expect([parked.state.phase.name, opens(parked, 'claude'), opens(parked, 'push')]).toEqual([
      ...['parked', false, true],
    ]);
  });

  it('opens Claude’s API for a command that runs on and may wake Claude', () => {
    const play = working();
    play.report(result('Done.', ['p1']));
    play.report(savedWith({ background: { commands: ['npm run dev'], endAfterMs: 60_000 } }));
    expect([stage(play), opens(play, 'claude'), opens(play, 'push')]).toEqual(['rest', true, false]);
  });

  it('is another life’s to every token but that of the life that counts, and nobody’s if there is no session', () => {
    const play = working();
    expect(standingOf(play.state, 2, play.now).stage).toBe('other-life');
    expect(standingOf(play.state, 0, play.now).words).toContain('is in generation 1, not 0');
    expect(standingOf(null, 1, play.now).stage).toBe('unknown');
  });
});
