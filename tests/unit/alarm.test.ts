import { describe, expect, it } from 'vitest';
import { init, permission, question, result, SessionPlay, saved, text, usedUp } from './support/session-play.ts';

const COMMIT = 'c'.repeat(40);

function alarm(play: SessionPlay, commit?: { id: string; pushed: boolean }) {
  return play.play({ type: 'alarm-raised', id: 'alarm', host: 'git.test', ...(commit && { commit }) });
}

function working(): SessionPlay {
  const play = new SessionPlay();
  play.hasPullRequests = true;
  play.prompt('p1');
  play.started();
  play.report(init, text('I look around.'));
  return play;
}

const stoppedNow = (play: SessionPlay) => {
  play.report({
    type: 'cli-exited',
    code: null,
    signal: 'SIGTERM',
    duringTurn: false,
    cause: 'stop',
    turn: play.state.turns,
  });
  play.report(saved(play.state.turns, 0));
};
const told = (play: SessionPlay) => play.closings('thread-1').join('\n');

const ended = (play: SessionPlay) =>
  play.entries.flatMap(({ body }) => (body.kind === 'turn-ended' ? [`${body.outcome}: ${body.reason}`] : []));
const FAILED = 'failed: secret_found';

describe('a decoy credential that was met', () => {
  it('while Claude works: the work is stopped, and the thread is told that the request was not let through', () => {
    const play = working();
    expect(play.kinds(alarm(play))).toContain('stop-sandbox');
    stoppedNow(play);
    expect(told(play)).toContain('Stopped, because something in the sandbox tried to send a credential to git.test');
    expect(ended(play)).toEqual([FAILED]);
    expect(play.state.lastOutcome).toBe('failed');
    const notices = play.entries.map(({ body }) => body).filter((body) => body.kind === 'notice');
    expect(notices).toMatchObject([{ level: 'error', text: expect.stringContaining('was not let through') }]);
  });

  it('is what the thread is told also if the sandbox dies and never confirms that it stopped', () => {
    const play = working();
    alarm(play);
    play.report({ type: 'cli-exited', code: null, signal: 'SIGKILL', duringTurn: true, cause: 'crash', turn: 1 });
    expect(play.state.phase.name).toBe('saving');
    play.deadline(15_000);
    expect(told(play)).toContain('Stopped, because something in the sandbox tried to send a credential to git.test');
    expect(told(play)).toContain('did not confirm in time');
    expect(ended(play)).toEqual([FAILED]);
  });

  it('in what was pushed already: that is what the thread is told, no pull request is opened, and nothing that waits begins', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    play.report(result('All done.', ['p1']));
    expect(play.state.phase.name).toBe('saving');
    alarm(play, { id: COMMIT, pushed: true });
    const effects = play.report(saved(1, 1, COMMIT));
    expect(play.kinds(effects)).not.toContain('open-pull-request');
    expect(told(play)).toMatch(/was pushed to cyrus\/eng-1.*found only after commit cccccccccc was on the git host/s);
    expect(told(play)).toContain('All done.');
    expect(told(play)).not.toContain('was not let through');
    stoppedNow(play);
    expect(ended(play)[0]).toBe(FAILED);
    expect(play.closings('thread-2').join()).toMatch(
      /Stopped, because a credential|Stopped before .* because a credential/,
    );
    expect(play.state.phase.name).toBe('waiting');
    expect(play.state.queue).toEqual([]);
  });

  it('in commits that the host did not take is reported as not pushed', () => {
    const play = working();
    play.report(result('All done.', ['p1']));
    alarm(play, { id: COMMIT, pushed: false });
    play.report({ ...saved(1, 1, COMMIT), pushed: false } as ReturnType<typeof saved>);
    expect(told(play)).toContain('commit cccccccccc was not pushed');
    expect(ended(play)).toEqual([FAILED]);
  });

  it('while the pull request is waited for: it is not waited for any more', () => {
    const play = working();
    play.report(result('All done.', ['p1']), saved(1, 1, COMMIT));
    expect(play.state.phase).toMatchObject({ name: 'saving', proposes: true });
    alarm(play, { id: COMMIT, pushed: true });
    expect(play.cancelledLanes).toContain('pull-request');
    expect(play.state.phase.name).toBe('waiting');
    expect(told(play)).toContain('was pushed');
    expect(ended(play)).toEqual([FAILED]);
  });

  it.each([
    ['a tool asks to be let run', permission('r1')],
    ['Claude asks something', question('r1')],
  ])('while %s: the work is stopped, and the thread is told', (_, asks) => {
    const play = working();
    play.report(asks);
    expect(play.state.phase.name).toBe('asking');
    expect(play.kinds(alarm(play))).toContain('stop-sandbox');
    stoppedNow(play);
    expect(told(play)).toContain('tried to send a credential to git.test');
  });

  it('while the work waits for a limit: the thread is told that, not that it waited', () => {
    const play = working();
    play.report(usedUp(['p1']), saved(1));
    expect(play.state.phase.name).toBe('parked');
    alarm(play);
    expect(told(play)).toContain('tried to send a credential to git.test');
  });

  it('and a sandbox that confirms nothing in time: the turn fails all the same, and the thread is told what was found', () => {
    const play = working();
    alarm(play);
    play.deadline(600_000);
    expect(ended(play)).toEqual([FAILED]);
    expect(told(play)).toMatch(/tried to send a credential to git\.test.*did not confirm in time/s);
  });

  it('again in the next piece of the same: is told once', () => {
    const play = working();
    play.report(result('All done.', ['p1']));
    alarm(play, { id: COMMIT, pushed: false });
    alarm(play, { id: COMMIT, pushed: false });
    play.report(saved(1, 1, COMMIT));
    expect(told(play).split('Stopped, because')).toHaveLength(2);
  });

  it('before Claude began: what is told is that, and nothing that was not', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    alarm(play);
    expect(ended(play)).toEqual([FAILED]);
    expect(told(play)).toContain('tried to send a credential to git.test');
    expect(told(play)).not.toContain('before Claude began');
  });

  it('while a stop is under way: its answer says it, and the turn has failed', () => {
    const play = working();
    play.stop();
    alarm(play);
    stoppedNow(play);
    expect(told(play)).toContain('tried to send a credential to git.test');
  });

  it('when the turn is over: the last thread is told all the same', () => {
    const play = working();
    play.report(result('All done.', ['p1']), saved(1, 0));
    play.play({ type: 'deadline' });
    play.deadline(120_000);
    expect(play.state.phase.name).toBe('waiting');
    alarm(play);
    expect(told(play)).toContain('was not let through');
  });
});
