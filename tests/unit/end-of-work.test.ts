import { describe, expect, it } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { viewOf } from '../../src/session/viewers/session-view.ts';
import { crashed, init, line, result, SessionPlay, saved, text } from './support/session-play.ts';

function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report({ type: 'ready', branch: 'cyrus/eng-1', baseCommit: 'b', worktree: '/w', resumed: false }, init);
  return play;
}

/** A result after which helpers work on. */
function open(words: string, promptIds: string[]): SandboxEventBody {
  return { ...(result(words, promptIds) as Extract<SandboxEventBody, { type: 'line' }>), goesOn: true };
}

const helperStarts = line({
  type: 'system',
  subtype: 'task_started',
  task_id: 't1',
  tool_use_id: 'u1',
  description: 'Count the mugs',
  task_type: 'local_agent',
  is_backgrounded: true,
});

const running = (turn: number): SandboxEventBody => ({
  ...(saved(turn) as Extract<SandboxEventBody, { type: 'saved' }>),
  background: { commands: ['dev server (npm run dev)'], endAfterMs: 300_000 },
});

const exited = (cause: 'idle' | 'stop'): SandboxEventBody => ({
  type: 'cli-exited',
  code: 0,
  signal: null,
  duringTurn: false,
  cause,
  background: ['dev server (npm run dev)'],
});

describe('a turn in which helpers work', () => {
  it('continues after a result, and is closed once, with the last words and the whole of what was spent', () => {
    const play = working();
    play.report(text('It counts.'), open('It counts.', ['p1']));
    expect(play.state.phase.name).toBe('working');
    expect(play.closings('thread-1')).toEqual([]);
    play.report(init, text('There are 42.'), result('There are 42.', []));
    expect(play.state.phase.name).toBe('saving');
    play.report(saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('There are 42.')]);
    expect(play.said('thread-1')).toContainEqual('thought: It counts.');
    expect(play.state.usage.inputTokens).toBe(20);
    expect(play.state).toMatchObject({ turns: 1, phase: { name: 'waiting' } });
  });

  it('ends with what Claude said last if it has no more to say', () => {
    const play = working();
    play.report(text('It counts.'), open('It counts.', ['p1']), { type: 'work-ended' }, saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('It counts.')]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('answers what was asked meanwhile along with the rest, once in each thread', () => {
    const play = working();
    play.report(open('It counts.', ['p1']));
    play.prompt('p2', 'thread-2');
    play.report(init, open('Still here.', ['p2']), init, text('All done.'), result('All done.', []), saved(1));
    for (const thread of ['thread-1', 'thread-2']) {
      expect(play.closings(thread)).toEqual([expect.stringContaining('All done.')]);
    }
    expect(play.state).toMatchObject({ turns: 1, phase: { name: 'waiting' } });
  });

  it('that began while the work before it is saved ends by itself once they are done, with an answer of its own', () => {
    const play = working();
    play.report(text('First.'), result('First.', ['p1']));
    play.prompt('p2', 'thread-2');
    play.report(init, text('It counts.'), open('It counts.', ['p2']), { type: 'work-ended' });
    play.report(saved(1), saved(2));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('First.')]);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('It counts.')]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('that is stopped ends as stopped, once its helpers have ended', () => {
    const play = working();
    play.report(open('It counts.', ['p1']));
    play.stop();
    expect(play.state.phase.name).toBe('stopping');
    play.report(exited('stop'), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringMatching(/^response: Stopped\./)]);
  });

  it('continues after the process is lost, and Claude is told which helpers will not report', () => {
    const play = working();
    play.report(helperStarts, open('It counts.', ['p1']));
    play.report(crashed);
    expect(play.state.phase.name).toBe('starting');
    const told = play.asked.at(-1)?.text ?? '';
    expect(told).toContain('- Count the mugs');
    expect(told).toContain('they will not report');
  });
});

describe('a command in the background', () => {
  it('is named where its turn ends, with what ends it', () => {
    const play = working();
    play.report(text('It runs.'), result('It runs.', ['p1']), running(1));
    expect(play.closings('thread-1')[0]).toContain('Still running in the background: `dev server (npm run dev)`');
    expect(play.closings('thread-1')[0]).toContain('5 minutes');
  });

  it('is ended by a stop after its turn, and the thread is told when it has ended', () => {
    const play = working();
    play.report(text('It runs.'), result('It runs.', ['p1']), running(1));
    expect(play.kinds(play.stop())).toContain('stop-sandbox');
    expect(play.closings('thread-1')).toHaveLength(1);
    play.report(exited('stop'), saved(2, 0));
    expect(play.closings('thread-1')[1]).toMatch(/^response: Stopped\. .*`dev server \(npm run dev\)`/s);
    expect(play.state).toMatchObject({ phase: { name: 'waiting' }, background: null });
    expect(play.said('thread-1').join()).not.toContain('Nothing is running here.');
  });

  it('is ended by a stop that comes while the work is saved', () => {
    const play = working();
    play.report(text('It runs.'), result('It runs.', ['p1']));
    play.stop();
    expect(play.kinds(play.report(running(1)))).toContain('stop-sandbox');
    play.report(exited('stop'), saved(2, 0));
    expect(play.state).toMatchObject({ phase: { name: 'waiting' }, background: null });
    expect(play.closings('thread-1')).toEqual([expect.not.stringContaining('Still running')]);
    expect(play.entries.at(-1)?.body).toMatchObject({ text: expect.stringContaining('`dev server (npm run dev)`') });
  });

  it('that ends at the idle limit is named on the page, and Claude is told with its next prompt', () => {
    const play = working();
    play.report(text('It runs.'), result('It runs.', ['p1']), running(1));
    play.report(exited('idle'));
    expect(play.entries.at(-1)?.body).toMatchObject({
      kind: 'notice',
      text: expect.stringContaining('dev server (npm run dev)'),
    });
    expect(play.state.context.join()).toContain('dev server (npm run dev)');
    play.stop();
    expect(play.said('thread-1').at(-1)).toBe('response: Nothing is running here.');
  });

  it('can be stopped on the page, which knows of it, until its sandbox is gone', () => {
    const play = working();
    play.report(text('It runs.'), result('It runs.', ['p1']), running(1));
    const view = () => viewOf(play.state, { workspaceName: 'Acme', scriptedModel: false });
    expect(view().background).toEqual(['dev server (npm run dev)']);
    play.play({ type: 'sandbox-ended', generation: play.state.sandbox.generation });
    expect(view().background).toBeUndefined();
  });

  it('that ends by itself after its turn has what came of it told in the thread', () => {
    const play = working();
    play.report(text('The tests run.'), result('The tests run.', ['p1']), running(1));
    play.report(init, text('All pass.'), result('All pass.', []), saved(2, 0));
    expect(play.closings('thread-1')[1]).toContain('All pass.');
  });
});
