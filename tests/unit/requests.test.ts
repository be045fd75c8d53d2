import { describe, expect, it } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { type Effect, SANDBOX_LANE } from '../../src/session/lifecycle/model/effects.ts';
import { aborted, init, line, result, SessionPlay, STREAM_ID, saved, text } from './support/session-play.ts';

/** The CLI has a prompt, or has begun to read it (as CLI 2.1.330 tells it). */
const lifecycle = (id: string, state: 'queued' | 'started') =>
  line({ type: 'command_lifecycle', command_uuid: id, state, uuid: `${id}-${state}`, session_id: 'conversation-1' });
const begun = (...ids: string[]): SandboxEventBody[] =>
  [
    ...ids.map((id) => lifecycle(id, 'started')),
    {
      ...init,
      line: JSON.stringify({ ...JSON.parse(init.type === 'line' ? init.line : ''), user_message_uuids: ids }),
    },
  ] as SandboxEventBody[];
/** Claude begins by itself: nothing is named. */
const begunUnasked = init;

function exited(
  read: string[],
  unread: string[],
  more: Partial<Extract<SandboxEventBody, { type: 'cli-exited' }>> = {},
): SandboxEventBody {
  return {
    type: 'cli-exited',
    code: null,
    signal: 'SIGKILL',
    duringTurn: true,
    cause: 'crash',
    prompts: { read, unread },
    ...more,
  };
}

function handed(effects: Effect[]): string[] {
  return effects.flatMap((effect) => (effect.kind === 'prompt-sandbox' ? [effect.promptId] : []));
}

function stops(effects: Effect[]): Effect[] {
  return effects.filter((effect) => effect.kind === 'stop-sandbox');
}

/** The id under which a prompt was handed over last. */
function idOf(play: SessionPlay, promptId: string): string {
  return play.copied.filter(({ of }) => of === promptId).at(-1)?.promptId ?? promptId;
}

function how(play: SessionPlay): Record<string, string> {
  return Object.fromEntries((play.state.closed ?? []).map((closed) => [closed.id, closed.how]));
}

/** Claude works on p1, of thread-1. */
function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(lifecycle('p1', 'queued'), ...begun('p1'));
  return play;
}

/** The result of p1 is there and its work is being saved; p2, of thread-2, waits in the CLI for its own turn. */
function savingWithNext(): SessionPlay {
  const play = working();
  play.prompt('p2', 'thread-2');
  play.report(lifecycle('p2', 'queued'), result('one', ['p1']));
  return play;
}

describe('a process of Claude’s that dies', () => {
  it('has not read a comment that waited in it: that is handed over again, under another id', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    const effects = play.report(lifecycle('p2', 'queued'), exited(['p1'], ['p2']));
    const again = idOf(play, 'p2');
    expect(again).not.toBe('p2');
    expect(handed(effects)).toEqual([expect.any(String), again]);
    play.report(...begun(handed(effects)[0] ?? ''), result('both', handed(effects)), saved(1));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('both')]);
    expect(how(play)).toEqual({ p1: 'answered', p2: 'answered' });
  });

  it('may have died before the very first prompt was in its conversation, which is asked once more and not "gone on" with', () => {
    const play = working();
    const effects = play.report(exited([], ['p1']));
    expect(handed(effects)).toEqual([idOf(play, 'p1')]);
    expect(play.asked).toEqual([]);
    play.report(...begun(idOf(play, 'p1')), result('done', [idOf(play, 'p1')]), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('done')]);
  });

  it('leaves alone what still waits in the sandbox for the next process', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    const effects = play.report(exited(['p1'], []));
    expect(handed(effects)).toHaveLength(1);
    expect(play.copied).toEqual([]);
    play.report(...begun(...handed(effects), 'p2'), result('both', [...handed(effects), 'p2']), saved(1));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('both')]);
  });

  it('is believed by its lines if its sandbox does not say what was read', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    const { prompts: _, ...older } = exited([], []) as Extract<SandboxEventBody, { type: 'cli-exited' }>;
    const effects = play.report(lifecycle('p2', 'queued'), older);
    expect(handed(effects)).toEqual([expect.any(String), idOf(play, 'p2')]);
    expect(idOf(play, 'p2')).not.toBe('p2');
  });

  it('while the work is saved has what it had not read handed over with the next turn', () => {
    const play = savingWithNext();
    play.report(exited([], ['p2']));
    expect(play.state.phase.name).toBe('saving');
    const effects = play.report(saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('one')]);
    expect(handed(effects)).toEqual([idOf(play, 'p2')]);
    play.report(...begun(idOf(play, 'p2')), result('two', [idOf(play, 'p2')]), saved(2));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
  });

  it('that was itself to continue with lost work gives that to the next one once, under the prompt that is on its way already', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    // The first process read p1 and p2 and dies; a later one answers p3 and dies, before it was told to go on.
    play.report(...begun('p2'));
    play.prompt('p3', 'thread-3');
    const resumption = handed(play.report(exited(['p1', 'p2'], [])))[0] ?? '';
    play.report(...begun('p3'), result('three', ['p3']), exited([], []));
    expect(handed(play.report(saved(1)))).toEqual([]);
    play.report(...begun(resumption), result('one and two', [resumption]), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('one and two')]);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('one and two')]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('leaves what it had read to the answer of the prompt that continues with it, not to one that came before that', () => {
    const play = working();
    for (const id of ['p2', 'p3', 'p4']) play.prompt(id, `thread-${id.slice(1)}`);
    const resumption = handed(play.report(exited(['p1'], [])))[0] ?? '';
    // Each is answered by itself while the work of the first is saved.
    play.report(...['p2', 'p3', 'p4', resumption].flatMap((id) => [...begun(id), result(`about ${id}`, [id])]));
    play.report(saved(1), saved(1), saved(1), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining(`about ${resumption}`)]);
    expect(play.closings('thread-4')).toEqual([expect.stringContaining('about p4')]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('while the work is saved continues with what it had begun of the next turn', () => {
    const play = savingWithNext();
    play.report(...begun('p2'), text('I begin'), exited(['p2'], []));
    const effects = play.report(saved(1));
    const [resumption] = handed(effects);
    expect(play.asked.at(-1)?.text).toContain('Your process ended unexpectedly');
    expect(handed(effects)).toHaveLength(1);
    play.report(...begun(resumption ?? ''), result('two', [resumption ?? '']), saved(2));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
  });

  it('during a question keeps what it had not read for when the question is answered', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    play.report(
      lifecycle('p2', 'queued'),
      line({
        type: 'control_request',
        request_id: 'q',
        request: {
          subtype: 'can_use_tool',
          tool_name: 'AskUserQuestion',
          input: { questions: [{ question: 'Which?', options: [{ label: 'This' }] }] },
          tool_use_id: 'toolu_q',
        },
      }),
    );
    play.report(exited(['p1'], ['p2']));
    const effects = play.prompt('p3', 'thread-1', 'Ada', 'This');
    expect(handed(effects)).toContain(idOf(play, 'p2'));
    expect(idOf(play, 'p2')).not.toBe('p2');
  });
});

describe('a sandbox that is lost while the work is saved', () => {
  it('has what Claude had of the next turn asked again in the next sandbox', () => {
    const play = savingWithNext();
    play.play({
      type: 'checkpointed',
      checkpoint: {
        generation: 1,
        sequence: 1,
        at: play.now,
        eventSeq: play.state.sandbox.cursor,
        prompts: ['p1'],
      },
    });
    play.deadline(50_000);
    play.startedWith({ kind: 'lost', generation: 1 });
    play.restartNumbers();
    play.started('5b7d9a3e-0000-4000-8000-000000000009');
    const effects = play.report(saved(1));
    expect(handed(effects)).toEqual(['p2']);
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('one')]);
  });
});

describe('a sandbox that is lost at work', () => {
  it('that is found idle is asked everything once: what waits for its way there does not go as well', () => {
    const play = working();
    const effects = play.prompt('p2');
    expect(handed(effects)).toEqual(['p2']);
    // The sandbox is looked for before that is carried out, and does nothing.
    play.deadline(50_000);
    const again = play.started(STREAM_ID, 'ready');
    expect(play.cancelledLanes).toContain('sandbox');
    // What goes on with the first request, and the second under another id.
    expect(handed(again)).toHaveLength(2);
    const [resumption = '', copy = ''] = handed(again);
    play.report(...begun(resumption), ...begun(copy), result('both', [resumption, copy]), saved(1));
    expect(how(play)).toEqual({ p1: 'answered', p2: 'answered' });
  });

  it('does not take what Claude says unasked in the next one for an answer to what it has not read there', () => {
    const play = working();
    play.play({ type: 'sandbox-ended', generation: 1 });
    play.restartNumbers();
    play.started('5b7d9a3e-0000-4000-8000-000000000009');
    play.report(begunUnasked, result('A command of before has ended.', []));
    expect(play.closings('thread-1')).toEqual([]);
    play.report(...begun('p1'), result('done', ['p1']), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('done')]);
    expect(how(play)).toEqual({ p1: 'answered' });
  });
});

describe('a stop while the work is saved', () => {
  it('stops what Claude already has of the next turn, and tells its thread once that is confirmed', () => {
    const play = savingWithNext();
    const effects = play.stop('thread-2');
    expect(stops(effects)).toHaveLength(1);
    expect(play.closings('thread-2')).toEqual([]);
    play.report(aborted(['p2']), exited([], ['p2'], { cause: 'stop' }));
    const after = play.report(saved(1), saved(1));
    expect(handed(after)).toEqual([]);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('one')]);
    expect(play.closings('thread-2')).toHaveLength(1);
    expect(how(play)).toEqual({ p1: 'answered', p2: 'stopped' });
  });

  it('calls back what is still on its way to Claude, so that it cannot run behind the stop', () => {
    const play = savingWithNext();
    play.stop('thread-2');
    expect(play.cancelledLanes).toContain(SANDBOX_LANE);
  });

  it('that is not confirmed before the save is waited for, and nobody is told that nothing runs', () => {
    const play = savingWithNext();
    play.stop(null);
    play.report(saved(1));
    expect(play.state.phase.name).toBe('stopping');
    expect(play.closings('thread-2')).toEqual([]);
    play.report(exited([], ['p2'], { cause: 'stop' }), saved(1));
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('Stopped')]);
  });

  it('stops what Claude began unasked', () => {
    const play = working();
    play.report(result('one', ['p1']), begunUnasked, text('A test has ended'));
    expect(stops(play.stop())).toHaveLength(1);
    play.report(exited([], [], { cause: 'stop', duringTurn: true }), saved(1), saved(1));
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('leaves what is asked after it for the next turn', () => {
    const play = savingWithNext();
    play.stop(null);
    play.prompt('p3', 'thread-3');
    play.report(exited([], ['p2'], { cause: 'stop' }));
    const effects = play.report(saved(1));
    expect(handed(effects)).toEqual(['p3']);
  });

  it('by a withdrawal holds for what Claude has as well', () => {
    const play = savingWithNext();
    expect(stops(play.withdraw('unassigned'))).toHaveLength(1);
    play.report(exited([], ['p2'], { cause: 'stop' }), saved(1));
    expect(how(play)).toEqual({ p1: 'answered', p2: 'withdrawn' });
  });
});

describe('a stop that is not confirmed yet', () => {
  /** p1 was stopped; p2, which was asked after that, was delivered before the stop, and may run in the same process. */
  function stoppedWithLater(): SessionPlay {
    const play = working();
    const at = play.now;
    const asked = { author: 'Ada', person: { id: 'ada', email: null }, source: 'comment', text: 'more' } as const;
    play.play({ type: 'prompted', promptId: 'p2', agentSessionId: 'thread-2', ...asked, at: at + 100 });
    play.play({ type: 'stop-requested', id: 's', agentSessionId: null, author: 'Ada', source: 'comment', at: at + 50 });
    play.report(result('', ['p1'], { is_error: true, subtype: 'error_during_execution' }));
    expect(play.state.phase.name).toBe('saving');
    return play;
  }

  it('lets a second one hold for what was asked in between, which is closed when it has ended, not before', () => {
    const play = stoppedWithLater();
    const at = play.now + 1_000;
    const effects = play.play({ type: 'withdrawn', id: 'w', why: 'unassigned', author: 'Ada', teamIds: [], at });
    expect(stops(effects)).toHaveLength(1);
    expect(how(play)).toEqual({});
    play.report(exited([], ['p2'], { cause: 'stop', turn: 1 }), saved(1), saved(1));
    expect(how(play)).toEqual({ p1: 'stopped', p2: 'withdrawn' });
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('unassigned')]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('does not keep the answer from what was asked after it', () => {
    const play = savingWithNext();
    play.stop('thread-2');
    play.prompt('p3', 'thread-3');
    // The first save is done: the next turn is the one that is being stopped, and what was asked since is handed over.
    expect(handed(play.report(...begun('p2'), result('two', ['p2']), saved(1)))).toEqual([]);
    expect(play.state.phase.name).toBe('stopping');
    play.state = { ...play.state, queue: play.state.queue.map((one) => ({ ...one, stage: 'handed-over', turn: 3 })) };
    play.report(...begun('p3'), result('three', ['p3']));
    play.report(exited([], [], { cause: 'stop', turn: 2 }), saved(2), saved(3));
    expect(play.closings('thread-3')).toEqual([expect.stringContaining('three')]);
    expect(how(play)).toEqual({ p1: 'answered', p2: 'stopped', p3: 'answered' });
    expect(play.state.phase.name).toBe('waiting');
  });
});

describe('work that Claude begins unasked', () => {
  it('while the work is saved shows as a turn of its own after it, and can be stopped', () => {
    const play = working();
    play.report(result('one', ['p1']), begunUnasked, saved(1));
    expect(play.state.phase.name).toBe('working');
    expect(stops(play.stop())).toHaveLength(1);
    expect(play.state.phase.name).toBe('stopping');
  });

  it('does not answer a comment that comes meanwhile: that gets its own answer', () => {
    const play = working();
    play.report(result('one', ['p1']), saved(1), begunUnasked, text('A test has ended'));
    play.prompt('p2', 'thread-2');
    play.report(lifecycle('p2', 'queued'), result('The test is green.', []), saved(1));
    expect(play.closings('thread-2')).toEqual([]);
    play.report(...begun('p2'), result('two', ['p2']), saved(2));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
  });

  it('answers a comment that Claude reads meanwhile', () => {
    const play = working();
    play.report(result('one', ['p1']), saved(1), begunUnasked);
    play.prompt('p2', 'thread-2');
    play.report(lifecycle('p2', 'queued'), lifecycle('p2', 'started'), result('both', ['p2']), saved(2));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('both')]);
    expect(play.state.phase.name).toBe('waiting');
  });
});

describe('what is late', () => {
  it('a save of an earlier turn ends no later one', () => {
    const play = working();
    play.report(result('one', ['p1']));
    play.deadline(200_000);
    expect(play.closings('thread-1')).toHaveLength(1);
    play.prompt('p2', 'thread-2');
    play.started();
    play.report(...begun('p2'), result('two', ['p2']), saved(1));
    expect(play.state.phase.name).toBe('saving');
    play.report(saved(2));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
  });

  it('the end of a process that was stopped before is no loss of the next turn', () => {
    const play = working();
    play.stop();
    play.deadline(11_000);
    play.prompt('p2', 'thread-2');
    play.started();
    play.report(aborted(['p1']), exited([], [], { cause: 'stop', turn: 1 }), saved(1));
    expect(play.state.phase).toMatchObject({ name: 'starting', turn: { losses: 0 } });
    play.report(...begun('p2'), result('two', ['p2']), saved(2));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
  });

  it('a prompt that could not be delivered to an earlier turn does not fail this one', () => {
    const play = working();
    const effect: Effect = { kind: 'prompt-sandbox', promptId: 'p0', turn: 1 };
    play.play({ type: 'effect-failed', effect, attempts: 10, error: 'unreachable', hint: null });
    expect(play.state.phase.name).toBe('working');
  });

  const asked = (play: SessionPlay, promptId: string, thread: string, at: number) =>
    play.play({
      type: 'prompted',
      promptId,
      agentSessionId: thread,
      author: 'Ada',
      person: { id: 'ada', email: null },
      source: 'comment',
      text: promptId,
      at,
    });
  const stopped = (play: SessionPlay, thread: string, at: number) =>
    play.play({
      type: 'stop-requested',
      id: `stop-${at}`,
      agentSessionId: thread,
      author: 'Ada',
      source: 'comment',
      at,
    });

  /** Claude works on what was asked at 10,000. */
  function newerWork(): SessionPlay {
    const play = new SessionPlay();
    asked(play, 'p1', 'thread-1', 10_000);
    play.started();
    play.report(...begun('p1'));
    return play;
  }

  it('a stop does not act on what was asked after it, and says so', () => {
    const play = newerWork();
    expect(stops(stopped(play, 'thread-1', 9_000))).toEqual([]);
    expect(play.state.phase.name).toBe('working');
    expect(play.closings('thread-1')).toEqual([]);
    expect(play.said('thread-1').join()).toContain('Requests made after it continue.');
  });

  it('an unassignment does not act on what was asked after it', () => {
    const play = newerWork();
    play.play({ type: 'withdrawn', id: 'w', why: 'unassigned', author: 'Ada', teamIds: [], at: 9_000 });
    expect(play.state.phase.name).toBe('working');
    play.play({ type: 'withdrawn', id: 'w2', why: 'uninstalled', author: 'Ada', teamIds: [], at: 9_500 });
    expect(play.state).toMatchObject({ phase: { name: 'working' }, isMuted: false });
  });

  it('a stop ends what was asked before it, and what was asked after it continues in the next turn', () => {
    const play = newerWork();
    asked(play, 'p2', 'thread-2', 30_000);
    expect(stops(stopped(play, 'thread-1', 20_000))).toHaveLength(1);
    const effects = play.report(aborted(['p1']), exited(['p1'], ['p2'], { cause: 'stop' }), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('Stopped')]);
    expect(play.closings('thread-2')).toEqual([]);
    expect(handed(effects)).toEqual([idOf(play, 'p2')]);
    expect(idOf(play, 'p2')).not.toBe('p2');
  });

  it('a request that a stop has overtaken is not begun, and its thread is told', () => {
    const play = newerWork();
    stopped(play, 'thread-1', 20_000);
    play.report(aborted(['p1']), saved(1));
    expect(handed(asked(play, 'p2', 'thread-2', 15_000))).toEqual([]);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('before the work was stopped')]);
    expect(handed(asked(play, 'p3', 'thread-2', 25_000))).toEqual(['p3']);
  });

  it('a request that only a notification told of, and that a stop has overtaken, is begun in no thread, and told so in one', () => {
    const play = newerWork();
    const asked = { promptId: 'n1', commentId: null, author: 'Ada', person: null, text: 'The cart' };
    play.play({ type: 'thread-expected', ...asked, at: 60_000 });
    stopped(play, 'thread-1', 70_000);
    play.report(aborted(['p1']), saved(1));
    play.now += 60_000;
    const [effect] = play.play({ type: 'deadline' }).filter(({ kind }) => kind === 'open-thread');
    if (!effect) throw new Error('no thread is opened');
    const opened = { kind: 'thread', agentSessionId: 'thread-9', isLinears: false } as const;
    expect(handed(play.play({ type: 'effect-done', effect, result: opened }))).toEqual([]);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.state.expectedThread).toBeNull();
    expect(play.closings('thread-9')).toEqual([expect.stringContaining('before the work was stopped')]);
    expect(how(play).n1).toBe('stopped');
  });

  it('a delegation from before the issue was taken away opens nothing', () => {
    const play = newerWork();
    play.play({ type: 'withdrawn', id: 'w', why: 'unassigned', author: 'Ada', teamIds: [], at: 20_000 });
    play.play({
      type: 'thread-expected',
      promptId: 'n1',
      commentId: null,
      author: 'Ada',
      person: null,
      text: 'The cart',
      at: 15_000,
    });
    expect(play.state.expectedThread).toBeNull();
  });
});

describe('an issue that is taken away and given back within a second', () => {
  const PHASES: [string, () => SessionPlay][] = [
    [
      'starts',
      () => {
        const play = new SessionPlay();
        play.prompt('p1');
        return play;
      },
    ],
    ['works', working],
    [
      'saves',
      () => {
        const play = working();
        play.report(result('one', ['p1']));
        return play;
      },
    ],
    [
      'is being stopped',
      () => {
        const play = working();
        play.stop();
        return play;
      },
    ],
  ];

  it.each(
    PHASES.flatMap(([phase, begin]) => [[phase, 'in order', begin] as const, [phase, 'out of order', begin] as const]),
  )('while Cyrus %s, told %s, is worked on for what was asked last alone', (phase, order, begin) => {
    const play = begin();
    const at = play.now + 1_000;
    play.now = at + 2_000;
    const takeAway = () => play.play({ type: 'withdrawn', id: 'w', why: 'unassigned', author: 'Ada', teamIds: [], at });
    const giveBack = () => {
      const person = { id: 'ada', email: null };
      const asked = { promptId: 'p2', agentSessionId: 'thread-2', author: 'Ada', person, text: 'again' } as const;
      play.play({ type: 'prompted', source: 'delegation', ...asked, at: at + 500 });
    };
    for (const event of order === 'in order' ? [takeAway, giveBack] : [giveBack, takeAway]) event();
    expect(play.state.phase.name).not.toBe('waiting');
    // Whatever was under way ends, and then only the newer request is Claude's.
    if (phase === 'saves') play.report(saved(1));
    else play.report(aborted(['p1']), exited(['p1'], ['p2'], { cause: 'stop' }), saved(1));
    play.started();
    play.report(...begun(idOf(play, 'p2')), result('two', [idOf(play, 'p2')]), saved(2));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
    expect(how(play)).toMatchObject({ p2: 'answered' });
    expect(play.state.phase.name).toBe('waiting');
  });
});

describe('a second stop', () => {
  it('holds for what was asked since the first, while that is carried out', () => {
    const play = working();
    play.stop();
    play.prompt('p2', 'thread-2');
    play.stop('thread-2');
    const effects = play.report(aborted(['p1']), saved(1));
    expect(handed(effects)).toEqual([]);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-2')).toHaveLength(1);
    expect(how(play)).toEqual({ p1: 'stopped', p2: 'stopped' });
  });

  it('of another thread is answered there as well, once the first is carried out', () => {
    const play = working();
    play.stop();
    play.stop('thread-2');
    play.report(aborted(['p1']), saved(1));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.closings('thread-2')).toHaveLength(1);
  });

  it('that is a withdrawal ends what was asked since the first', () => {
    const play = working();
    play.stop();
    play.prompt('p2', 'thread-2');
    play.withdraw('completed');
    expect(handed(play.report(aborted(['p1']), saved(1)))).toEqual([]);
    expect(play.closings('thread-2')).toHaveLength(1);
  });
});

describe('a save that takes long', () => {
  it('leaves the turn that Claude begins meanwhile to the request that it has read for it, whether or not it names it again', () => {
    for (const first of [begun('p2'), [lifecycle('p2', 'started'), begunUnasked]]) {
      const play = working();
      play.prompt('p2', 'thread-2');
      play.report(lifecycle('p2', 'queued'), result('Done.', ['p1']), ...first, text('On to the second.'), saved(1));
      const started = play.entries.flatMap(({ body }) => (body.kind === 'turn-started' ? [body.promptIds] : []));
      expect(started).toEqual([['p1'], ['p2']]);
      expect(play.state.phase).toMatchObject({ name: 'working', turn: { prompts: [{ promptId: 'p2' }] } });
      play.report(result('Both.', ['p2']), saved(2));
      expect(play.closings('thread-2')).toEqual([expect.stringContaining('Both.')]);
      expect(how(play)).toEqual({ p1: 'answered', p2: 'answered' });
    }
  });

  it('gives each of the turns that Claude ends meanwhile its own answer', () => {
    const play = savingWithNext();
    play.state = {
      ...play.state,
      queue: [...play.state.queue, { promptId: 'p3', agentSessionId: 'thread-3', stage: 'handed-over', turn: 1 }],
    };
    play.report(...begun('p2'), result('two', ['p2']), ...begun('p3'), result('three', ['p3']));
    play.report(saved(1), saved(1), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('one')]);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
    expect(play.closings('thread-3')).toEqual([expect.stringContaining('three')]);
    expect(play.state.phase.name).toBe('waiting');
  });
});

describe('state of an older version', () => {
  it('is read: what was delivered is at Claude, what was not is handed over', () => {
    const play = savingWithNext();
    const queue = [
      { promptId: 'p2', agentSessionId: 'thread-2', delivered: true },
      { promptId: 'p3', agentSessionId: 'thread-3', delivered: false },
    ];
    const { phase } = play.state;
    if (phase.name !== 'saving') throw new Error('not saving');
    const prompts = phase.turn.prompts.map(({ promptId, agentSessionId }) => ({ promptId, agentSessionId }));
    play.state = { ...play.state, queue, phase: { ...phase, turn: { ...phase.turn, prompts } } };
    expect(handed(play.report(saved(1)))).toEqual(['p3']);
    play.report(result('both', ['p2', 'p3']), saved(2));
    expect(play.closings('thread-2')).toHaveLength(1);
    expect(play.closings('thread-3')).toHaveLength(1);
  });
});
