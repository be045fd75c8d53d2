import { describe, expect, it } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { crashed, init, line, result, SessionPlay, saved, text } from './support/session-play.ts';

function call(id: string, command: string): SandboxEventBody {
  const content = [{ type: 'tool_use', id, name: 'Bash', input: { command } }];
  return line({
    type: 'assistant',
    message: { id: `msg-${id}`, role: 'assistant', model: 'claude-sonnet-5-5', content },
    parent_tool_use_id: null,
    uuid: `call-${id}`,
  });
}

function outcome(id: string, words: string): SandboxEventBody {
  const content = [{ type: 'tool_result', tool_use_id: id, content: words, is_error: false }];
  return line({ type: 'user', message: { role: 'user', content }, parent_tool_use_id: null, uuid: `result-${id}` });
}

/** Claude at work on a prompt. */
function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(init);
  return play;
}

/** A checkpoint of everything so far. */
function keep(play: SessionPlay, prompts = ['p1']): void {
  const { generation, cursor } = play.state.sandbox;
  const sequence = (play.state.checkpoint?.sequence ?? 0) + 1;
  play.play({
    type: 'checkpointed',
    checkpoint: { generation, sequence, at: play.now, eventSeq: cursor, prompts },
  });
}

/** The sandbox is looked for, and has nothing of the session. */
function vanish(play: SessionPlay): Effect[] {
  play.deadline(50_000);
  const effects = play.startedWith({ kind: 'lost', generation: play.state.sandbox.generation });
  play.restartNumbers();
  return effects;
}

function prompts(effects: Effect[]): { promptId: string; preface?: string }[] {
  return effects.filter((effect) => effect.kind === 'prompt-sandbox');
}

const lastAsked = (play: SessionPlay) => play.asked.at(-1)?.text ?? '';

describe('a sandbox that is gone with its disk', () => {
  it('is replaced by one that continues from the checkpoint, in the same conversation, and the journal says so in one line', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    const { conversationId } = play.state;
    const effects = vanish(play);
    expect(play.state.conversationId).toBe(conversationId);
    expect(effects).toContainEqual({ kind: 'start-sandbox', generation: 2 });
    expect(prompts(effects)).toHaveLength(1);
    expect(lastAsked(play)).toContain('restored from a checkpoint');
    expect(lastAsked(play)).not.toContain('make one');
    const notices = play.entries.filter(({ body }) => body.kind === 'notice');
    expect(notices.map(({ body }) => body.kind === 'notice' && body.text)).toEqual([
      expect.stringContaining('restores the work as of'),
    ]);
    const continued = prompts(effects)[0]?.promptId ?? '';
    play.started('5b7d9a3e-0000-4000-8000-000000000009');
    play.report(init, result('done', [continued]), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('done')]);
  });

  it('has Claude told what it did after the checkpoint, and of what the outcome is not known', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    play.report(call('b', 'send mail'), outcome('b', 'sent'), call('c', 'make three'));
    vanish(play);
    expect(lastAsked(play)).toContain('- Bash {"command":"send mail"}: succeeded: sent');
    expect(lastAsked(play)).toContain('- Bash {"command":"make three"}: outcome unknown');
    expect(lastAsked(play)).not.toContain('make one');
  });

  it('has asked again what came after the checkpoint', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    play.prompt('p2');
    const asked = prompts(vanish(play)).map(({ promptId }) => promptId);
    expect(asked).toHaveLength(2);
    expect(asked[1]).toBe('p2');
  });

  it('without any checkpoint begins from the branch: everything is asked again, with what is known of the attempt', () => {
    const play = working();
    const { conversationId } = play.state;
    play.report(call('a', 'send mail'), outcome('a', 'sent'));
    const effects = vanish(play);
    expect(play.state.conversationId).not.toBe(conversationId);
    expect(prompts(effects)).toEqual([
      expect.objectContaining({ promptId: 'p1', preface: expect.stringContaining('send mail') }),
    ]);
  });

  it('between turns is no loss: the next turn continues from the checkpoint without a word of warning', () => {
    const play = working();
    play.report(result('one', ['p1']), saved(1));
    keep(play);
    play.prompt('p2');
    const effects = play.startedWith({ kind: 'lost', generation: 1 });
    expect(prompts(effects)).toEqual([{ kind: 'prompt-sandbox', promptId: 'p2', turn: 2 }]);
    expect(play.entries.filter(({ body }) => body.kind === 'notice' && body.level === 'warning')).toEqual([]);
    expect(play.state.phase).toMatchObject({ name: 'starting', turn: { losses: 0 } });
  });

  it('while the work is saved is replaced by one that saves it', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    play.report(result('done', ['p1']));
    play.deadline(50_000);
    const effects = play.startedWith({ kind: 'lost', generation: 1 });
    expect(effects).toContainEqual({ kind: 'start-sandbox', generation: 2 });
    expect(play.state.phase.name).toBe('saving');
    play.restartNumbers();
    play.started('5b7d9a3e-0000-4000-8000-000000000009');
    play.report(saved(1));
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('three times in a row ends the turn, and says where the work is', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    vanish(play);
    vanish(play);
    expect(play.state.phase.name).toBe('starting');
    vanish(play);
    expect(play.state.phase.name).toBe('waiting');
    const [closing] = play.closings('thread-1');
    expect(closing).toContain('3 times in a row');
    expect(closing).toContain('`cyrus/eng-1`');
    expect(closing).toContain('the rest is in the checkpoint of');
    play.prompt('p2');
    expect(play.state.conversationId).toBe('conversation-1');
  });

  it('many times with progress in between does not end the turn', () => {
    const play = working();
    for (let round = 1; round <= 10; round++) {
      play.report(call(`a${round}`, `make ${round}`), outcome(`a${round}`, 'made'));
      keep(play);
      vanish(play);
      play.started(`5b7d9a3e-0000-4000-8000-0000000001${round + 10}`);
      play.report(init);
    }
    expect(play.state.phase.name).toBe('working');
  });

  it('three times during the same call ends the turn, whatever else succeeds in between', () => {
    const play = working();
    for (let round = 1; round <= 3; round++) {
      play.report(call(`look${round}`, 'git status'), outcome(`look${round}`, 'clean'));
      keep(play);
      play.report(call(`boom${round}`, 'use all memory'));
      vanish(play);
      if (round === 3) break;
      play.started(`5b7d9a3e-0000-4000-8000-0000000001${round + 10}`);
      play.report(init);
    }
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')[0]).toContain('use all memory');
  });

  it('whose checkpoint cannot be used is replaced by one that begins from the branch', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    vanish(play);
    play.started('5b7d9a3e-0000-4000-8000-000000000009');
    const effects = play.report({ type: 'failed', step: 'restore', message: 'It is damaged.', hint: '' });
    expect(effects).toContainEqual({ kind: 'start-sandbox', generation: 3 });
    expect(prompts(effects).map(({ promptId }) => promptId)).toEqual(['p1']);
    expect(play.state.checkpoint).toBeNull();
    expect(play.state.conversationId).not.toBe('conversation-1');
  });

  it('is noticed by a prompt that finds nothing there, before the silence is', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    play.prompt('p2');
    const effect: Effect = { kind: 'prompt-sandbox', promptId: 'p2', turn: 1 };
    const effects = play.play({ type: 'effect-done', effect, result: { kind: 'lost', generation: 1 } });
    expect(effects).toContainEqual({ kind: 'start-sandbox', generation: 2 });
  });

  it('is replaced at once when the platform says that it has ended', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    expect(play.play({ type: 'sandbox-ended', generation: 7 })).toEqual([]);
    expect(play.play({ type: 'sandbox-ended', generation: 1 })).toContainEqual({
      kind: 'start-sandbox',
      generation: 2,
    });
  });

  it('and ended between turns is not started only to find that it is empty', () => {
    const play = working();
    play.report(result('one', ['p1']), saved(1));
    keep(play);
    play.play({ type: 'sandbox-ended', generation: 1 });
    expect(play.prompt('p2')).toContainEqual({ kind: 'start-sandbox', generation: 2 });
    expect(play.state.conversationId).toBe('conversation-1');
  });
});

describe('a process that is gone while its disk is there', () => {
  it('has Claude told that its last call had finished', () => {
    const play = working();
    play.report(call('a', 'send mail'), outcome('a', 'sent'), crashed);
    expect(lastAsked(play)).toContain('do not repeat it');
    expect(lastAsked(play)).toContain('send mail');
  });

  it('has Claude told of which call the outcome is unknown', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'), call('b', 'send mail'), crashed);
    expect(lastAsked(play)).toContain('- Bash {"command":"send mail"}: outcome unknown');
    expect(lastAsked(play)).toContain('look before you repeat it');
    expect(lastAsked(play)).not.toContain('do not repeat it');
    expect(lastAsked(play)).not.toContain('make one');
  });

  it('that had nothing of the turn at work is no loss of that turn', () => {
    const play = working();
    play.report(result('Done.', ['p1']), saved(1));
    play.prompt('p2');
    play.started(undefined, 'working');
    play.report({ ...crashed, prompts: { read: ['p1'], unread: [] } } as SandboxEventBody);
    expect(play.state.phase).toMatchObject({ turn: { number: 2, losses: 0 } });
    expect(play.said('thread-1').join()).not.toContain('ended unexpectedly');
  });

  it('that ended by a stop of which nothing is known any more is no loss, also if an older sandbox does not name the turn', () => {
    const play = working();
    play.report({ ...crashed, signal: 'SIGTERM', cause: 'stop' } as SandboxEventBody);
    expect(play.state.phase).toMatchObject({ turn: { losses: 0 } });
  });

  it('that ended by the stop that the session waits for is followed by the save, also if an older sandbox does not name the turn', () => {
    const play = working();
    play.stop();
    play.report({ ...crashed, signal: 'SIGTERM', cause: 'stop' } as SandboxEventBody);
    expect(play.state.phase).toMatchObject({ name: 'saving', ending: { outcome: 'stopped' } });
  });

  it('together with its sandbox is one loss, not two', () => {
    const play = working();
    play.report(call('a', 'make one'), outcome('a', 'made'));
    keep(play);
    play.report(crashed);
    play.startedWith({ kind: 'lost', generation: 1 });
    expect(play.state.phase).toMatchObject({ name: 'starting', turn: { losses: 1 } });
  });
});

it('a save that is repeated ends no turn', () => {
  const play = working();
  play.report(result('one', ['p1']), saved(1));
  play.prompt('p2');
  play.report(init, text('at work'), result('two', ['p2']));
  play.report({ ...saved(1), again: true } as SandboxEventBody);
  expect(play.state.phase.name).toBe('saving');
  play.report(saved(2));
  expect(play.state.phase.name).toBe('waiting');
});
