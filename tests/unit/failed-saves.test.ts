import { describe, expect, it } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { access, atWork, question, result, SessionPlay, saved, usedUp } from './support/session-play.ts';

/** Claude has answered, and the sandbox is gone before it saved: another one restores the work to save it. */
function savedElsewhere(): SessionPlay {
  const play = atWork();
  const checkpoint = { generation: 1, sequence: 1, at: play.now, eventSeq: 1, prompts: ['p1'] };
  play.play({ type: 'checkpointed', checkpoint });
  play.report(result('the answer', ['p1']));
  play.play({ type: 'sandbox-ended', generation: 1 });
  play.restartNumbers();
  expect(play.state.phase.name).toBe('saving');
  return play;
}

const unreadable = (of: string): SandboxEventBody => ({ type: 'unreadable', of, raw: '{}', why: 'no such field' });

describe('an answer of Claude’s whose work cannot be saved', () => {
  it.each<[string, (play: SessionPlay) => void]>([
    ['the account refuses its sandbox', (play) => play.startedWith({ kind: 'blocked', text: 'No token is left.' })],
    [
      'its sandbox cannot be prepared',
      (play) => play.report({ type: 'failed', step: 'mirror', message: 'The host is gone.', hint: 'Look.' }),
    ],
    [
      'the rules were changed meanwhile',
      (play) => play.startedWith({ kind: 'refused', text: 'Sorry, you may not.', access: access() }),
    ],
    ['what the sandbox says of it cannot be read', (play) => play.report(unreadable('failed'))],
  ])('is told all the same, once, where %s', (_, fails) => {
    const play = savedElsewhere();
    fails(play);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('the answer')]);
    const notices = play.entries.flatMap(({ body }) => (body.kind === 'notice' ? [body.text] : []));
    expect(notices.at(-1)).toContain('may be missing from the branch');
  });
});

describe('the end of Claude’s process that cannot be read', () => {
  it('while the work is saved leaves the answer what it is', () => {
    const play = atWork();
    play.report(result('the answer', ['p1']), unreadable('cli-exited'), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('the answer')]);
  });

  it('ends no turn that waits for a limit, or for a person with nothing running', () => {
    const parked = atWork();
    parked.report(usedUp(['p1']), unreadable('cli-exited'));
    expect(parked.state.phase.name).toBe('parked');
    const asking = atWork();
    asking.report(question());
    asking.deadline(16 * 60_000);
    asking.report(unreadable('cli-exited'));
    expect(asking.state.phase.name).toBe('asking');
  });

  it('ends a turn in which Claude works with a message', () => {
    const play = atWork();
    play.report(unreadable('cli-exited'));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('could not be read')]);
  });
});

describe('a stop', () => {
  it.each<[string, (play: SessionPlay) => void]>([
    [
      'the preparations fail',
      (play) => play.report({ type: 'failed', step: 'mirror', message: 'The host is gone.', hint: 'Look.' }),
    ],
    ['the account refuses', (play) => play.startedWith({ kind: 'blocked', text: 'No token is left.' })],
    [
      'the person may not ask for work',
      (play) => play.startedWith({ kind: 'refused', text: 'Sorry, you may not.', access: access() }),
    ],
    ['what the sandbox says cannot be read', (play) => play.report(unreadable('cli-exited'))],
  ])('is answered as a stop, and never by an error, where %s meanwhile', (_, fails) => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.stop();
    expect(play.state.phase.name).toBe('stopping');
    fails(play);
    expect(play.closings('thread-1')).toEqual([expect.stringMatching(/^response: Stopped\./)]);
  });
});
