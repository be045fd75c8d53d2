import { describe, expect, it } from 'vitest';
import { accessRulesSchema } from '../../src/protocol/settings/access-rules.ts';
import { access, init, result, SessionPlay, saved } from './support/session-play.ts';

const noEve = access({ workspace: accessRulesSchema.parse({ blockedUsers: ['eve@example.com'] }) });

/** Claude works for Ada, where Eve is blocked. */
function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started(undefined, undefined, { access: noEve });
  play.report(init);
  return play;
}

const prompts = (play: SessionPlay) =>
  play.effects.flatMap((effect) => (effect.kind === 'prompt-sandbox' ? effect.promptId : []));

describe('a person who may not ask', () => {
  it('is told so kindly, once, and nothing is started: no issue moved, no prompt handed over', () => {
    const play = new SessionPlay();
    play.prompt('p1', 'thread-1', 'Eve');
    const effects = play.startedWith({ kind: 'refused', text: 'Sorry.', access: noEve });
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('Sorry.')]);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.cancelledLanes).toContain('sandbox');
    expect(play.kinds(play.effects)).not.toContain('start-issue');
    expect(play.kinds(effects)).not.toContain('start-sandbox');
  });

  it('asks again later and is judged by the rules as they are then, without being told that work begins', () => {
    const play = new SessionPlay();
    play.prompt('p1', 'thread-1', 'Eve');
    play.startedWith({ kind: 'refused', text: 'Sorry.', access: noEve });
    const before = play.said('thread-1').length;
    expect(play.kinds(play.prompt('p2', 'thread-1', 'Eve'))).toContain('start-sandbox');
    expect(play.said('thread-1')).toHaveLength(before);
    play.started(undefined, undefined, { access: access() });
    play.report(init);
    expect(play.state.phase.name).toBe('working');
  });

  it('cannot steer the work of others, in a thread of their own or in that of the work, which stays open', () => {
    const play = working();
    play.prompt('p2', 'thread-2', 'Eve');
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('Sorry')]);
    play.prompt('p3', 'thread-1', 'Eve');
    expect(play.said('thread-1').at(-1)).toMatch(/^thought: Sorry/);
    expect(play.closings('thread-1')).toEqual([]);
    expect(prompts(play)).toEqual(['p1']);
    expect(play.kinds(play.prompt('p4', 'thread-1', 'Ada'))).toContain('prompt-sandbox');
  });

  it('cannot stop the work of others by the word, which those who may ask can', () => {
    const play = working();
    play.prompt('p2', 'thread-1', 'Eve', '@cyrus stop');
    expect(play.state.phase.name).toBe('working');
    expect(play.said('thread-1').at(-1)).toMatch(/^thought: Sorry/);
    expect(play.kinds(play.prompt('p3', 'thread-1', 'Grace', '@cyrus stop'))).toContain('stop-sandbox');
  });

  it('cannot join the queue either', () => {
    const play = working();
    play.report(result('Done.', ['p1']));
    play.prompt('p2', 'thread-2', 'Eve');
    play.prompt('p3', 'thread-3', 'Grace');
    play.report(saved(1));
    expect(prompts(play)).toEqual(['p1', 'p3']);
    expect(play.closings('thread-2')).toHaveLength(1);
  });

  it('cannot say which repository it is; the question stays open', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.startedWith({ kind: 'unsure', options: ['acme/shop', 'acme/site'], access: { ...noEve, repository: null } });
    play.prompt('answer', 'thread-1', 'Eve', 'acme/site');
    expect(play.state).toMatchObject({ phase: { name: 'asking' }, repository: null });
    expect(play.said('thread-1').at(-1)).toMatch(/^elicitation: Sorry, .*Which repository is this about\?/s);
    play.prompt('answer-2', 'thread-1', 'Ada', 'acme/site');
    expect(play.state.repository).toBe('acme/site');
  });

  it('cannot answer what Claude asks; the question stays open', () => {
    const play = working();
    play.report({
      type: 'line',
      line: JSON.stringify({
        type: 'control_request',
        request_id: 'q1',
        request: {
          subtype: 'can_use_tool',
          tool_name: 'AskUserQuestion',
          tool_use_id: 'tool-1',
          input: { questions: [{ question: 'Red or blue?', options: [{ label: 'Red' }, { label: 'Blue' }] }] },
        },
      }),
    });
    expect(play.state.phase.name).toBe('asking');
    play.prompt('answer', 'thread-1', 'Eve', 'Blue');
    expect(play.state.phase.name).toBe('asking');
    expect(play.said('thread-1').at(-1)).toMatch(/^elicitation: Sorry, .*Red or blue\?/s);
    expect(play.kinds(play.prompt('answer-2', 'thread-1', 'Ada', 'Red'))).toContain('answer-sandbox');
  });

  it('who joined before the rules were known is taken out before Claude is given anything', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.prompt('p2', 'thread-2', 'Eve');
    const effects = play.started(undefined, undefined, { access: noEve });
    expect(play.cancelledLanes).toContain('sandbox');
    expect(effects.flatMap((effect) => (effect.kind === 'prompt-sandbox' ? effect.promptId : []))).toEqual(['p1']);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('Sorry')]);
    play.report(init, result('Done.', ['p1']), saved(1));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.closings('thread-2')).toHaveLength(1);
  });

  it('may stop the work: stopping is safe, and open to everyone who can comment', () => {
    const play = working();
    play.play({ type: 'stop-requested', id: 's', agentSessionId: 'thread-1', author: 'Eve', source: 'comment' });
    expect(play.state.phase.name).toBe('stopping');
  });
});

it('a person with the password of the live page may steer, even if people are blocked in Linear', () => {
  const play = working();
  const [page, agentSessionId] = [{ author: null, person: null, source: 'page' as const }, null];
  expect(play.kinds(play.play({ type: 'prompted', promptId: 'p2', agentSessionId, text: 'x', ...page }))).toContain(
    'prompt-sandbox',
  );
});

it('an automation starts work that no person is needed for, and leaves the state of the issue', () => {
  const play = new SessionPlay();
  play.prompt('p1', 'thread-1', null);
  expect(play.kinds(play.started())).not.toContain('start-issue');
  play.report(init);
  expect(play.state.phase.name).toBe('working');
});
