import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import {
  atWork,
  crashed,
  init,
  line,
  permission,
  question,
  result,
  type SessionPlay,
  saved,
} from './support/session-play.ts';

/** Somebody allows on the page what is asked. */
function allow(play: SessionPlay, requestId: string): Effect[] {
  return play.play({
    type: 'prompted',
    promptId: `answer-${requestId}`,
    agentSessionId: null,
    author: 'Ada',
    person: null,
    source: 'page',
    text: 'Allow once',
    answers: { question: requestId, options: ['once'] },
  });
}

function undeliverable(play: SessionPlay, effects: Effect[], kind: 'answer-sandbox' | 'decide-sandbox'): void {
  const effect = effects.find((one) => one.kind === kind);
  if (!effect) throw new Error(`no ${kind} among ${play.kinds(effects)}`);
  play.play({ type: 'effect-failed', effect, attempts: 6, error: 'no answer', hint: null });
}

const toldClaude = (play: SessionPlay) => play.asked.map(({ text }) => text).join('\n');

it('a question that cannot be read is denied at once, with what Claude should do, and nobody is asked', () => {
  const play = atWork();
  const request = {
    subtype: 'can_use_tool',
    tool_name: 'AskUserQuestion',
    input: { questions: [] },
    tool_use_id: 'u1',
  };
  const effects = play.report(line({ type: 'control_request', request_id: 'q1', request }));
  expect(effects).toContainEqual(
    expect.objectContaining({
      kind: 'decide-sandbox',
      requestId: 'q1',
      decision: { allowed: false, message: expect.stringContaining('Ask it again') },
    }),
  );
  expect(play.state.phase.name).toBe('working');
});

describe('what people said to a tool that it cannot be delivered to', () => {
  it('is told to Claude if a permission is asked next, which its next process asks for again', () => {
    const play = atWork();
    play.report(question('q1'), permission('q2'));
    const answered = play.prompt('a1', 'thread-1', 'Ada', 'This');
    expect(play.state.phase).toMatchObject({ name: 'asking', about: { kind: 'permission' } });
    undeliverable(play, answered, 'answer-sandbox');
    expect(play.state.phase.name).toBe('starting');
    expect(play.effects, 'the tool that may wait all the same is ended before the prompt comes').toContainEqual(
      expect.objectContaining({ kind: 'stop-sandbox', turn: 1, inOrder: true }),
    );
    expect(toldClaude(play)).toContain('You asked: Which?\nThe answer: This');
  });

  it('is told to Claude with the answer to the question that is asked next', () => {
    const play = atWork();
    play.report(permission('q1'), question('q2'));
    const allowed = allow(play, 'q1');
    expect(play.state.phase).toMatchObject({ name: 'asking', about: { kind: 'claude', isLive: true } });
    undeliverable(play, allowed, 'decide-sandbox');
    expect(play.state.phase).toMatchObject({ name: 'asking', about: { kind: 'claude', isLive: false } });
    play.prompt('a2', 'thread-1', 'Ada', 'That');
    expect(toldClaude(play)).toMatch(/You asked to run a command: npm publish\nIt was allowed[\s\S]*The answer: That/);
    play.started();
    play.report(init, permission('q3'));
    expect(play.state.phase.name, 'it was allowed before').not.toBe('asking');
  });

  it('is told to the process that takes the place of the one that asked', () => {
    const play = atWork();
    play.report(question('q1'));
    const answered = play.prompt('a1', 'thread-1', 'Ada', 'This');
    play.report(crashed);
    expect(play.state.phase.name).toBe('starting');
    undeliverable(play, answered, 'answer-sandbox');
    expect(play.state.phase.name).toBe('starting');
    expect(toldClaude(play)).toContain('You asked: Which?\nThe answer: This');
    const given = play.effects.flatMap((effect) => (effect.kind === 'prompt-sandbox' ? [effect.promptId] : []));
    play.report(init, result('done', given));
    play.report(saved(1));
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('changes nothing once the turn is over', () => {
    const play = atWork();
    play.report(question('q1'));
    const answered = play.prompt('a1', 'thread-1', 'Ada', 'This');
    play.report(result('done', ['p1']));
    play.report(saved(1));
    const asked = play.asked.length;
    undeliverable(play, answered, 'answer-sandbox');
    expect(play.state.phase.name).toBe('waiting');
    expect(play.asked).toHaveLength(asked);
  });
});
