import { describe, expect, it } from 'vitest';
import { type ContextItem, contextBeside, saidBy } from '../../src/session/lifecycle/issue-context.ts';
import type { SessionEvent } from '../../src/session/lifecycle/model/events.ts';
import {
  aborted,
  access,
  arrangement,
  crashed,
  init,
  line,
  result,
  SessionPlay,
  saved,
  text,
} from './support/session-play.ts';

/** A session in which Claude works on its first prompt. */
function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report({ type: 'ready', branch: 'cyrus/eng-1', baseCommit: 'b', worktree: '/w', resumed: false }, init);
  expect(play.state.phase.name).toBe('working');
  return play;
}

describe('a turn', () => {
  it('begins with a thought, a link to the page, a sandbox and the prompt', () => {
    const play = new SessionPlay();
    const effects = play.prompt('p1');
    expect(play.kinds(effects)).toEqual(['say', 'show', 'start-sandbox', 'prompt-sandbox', 'index-session']);
    expect(play.said('thread-1')).toEqual(['thought: On it. Starting a sandbox for Claude.']);
  });

  it.each(['builder', 'debugger'] as const)(
    'moves the issue to started and takes it over if nobody has it, in the role of %s',
    (role) => {
      const play = new SessionPlay();
      play.prompt('p1');
      const assignment = { ...arrangement().assignment, role };
      const effects = play.started(undefined, undefined, { arrangement: arrangement({ assignment }) });
      expect(effects).toContainEqual({ kind: 'start-issue', issueId: 'issue', delegate: true });
    },
  );

  it.each(['scoper', 'reviewer'] as const)('leaves the issue to whom it belongs in the role of %s', (role) => {
    const play = new SessionPlay();
    play.prompt('p1');
    const assignment = { ...arrangement().assignment, role };
    const effects = play.started(undefined, undefined, { arrangement: arrangement({ assignment }) });
    expect(effects).toContainEqual({ kind: 'start-issue', issueId: 'issue', delegate: false });
  });

  it('that a person asks for in another thread moves the issue to started again', () => {
    const play = working();
    expect(play.kinds(play.prompt('p2', 'thread-2'))).toContain('start-issue');
    expect(play.kinds(play.prompt('p3', 'thread-2'))).not.toContain('start-issue');
  });

  it("leaves the issue's state alone when no person asked", () => {
    const play = new SessionPlay();
    play.prompt('p1', 'thread-1', null);
    expect(play.kinds(play.started())).not.toContain('start-issue');
    expect(play.kinds(play.prompt('p2', 'thread-2', null))).not.toContain('start-issue');
  });

  it('ends with exactly one response, once the work is saved, and is archived', () => {
    const play = working();
    play.report(text('I fixed it.'), result('I fixed it.', ['p1']));
    expect(play.state.phase.name).toBe('saving');
    expect(play.closings('thread-1')).toEqual([]);
    const effects = play.report(saved(1));
    expect(play.state).toMatchObject({
      phase: { name: 'waiting' },
      lastOutcome: 'completed',
      usage: { inputTokens: 10 },
    });
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('response: I fixed it.')]);
    expect(play.kinds(effects)).toContain('archive-turn');
    expect(play.entries.at(-1)?.body).toMatchObject({ kind: 'turn-ended', outcome: 'completed', text: 'I fixed it.' });
  });

  it('ends without waiting forever for the work to be saved, and says what may be missing', () => {
    const play = working();
    play.report(result('Done.', ['p1']));
    play.deadline(200_000);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.said('thread-1')).toContainEqual(expect.stringContaining('may be missing from the branch'));
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('that Claude cannot finish ends in an error that says what to do', () => {
    const play = working();
    play.report(
      result('Credit balance is too low', ['p1'], {
        is_error: true,
        terminal_reason: 'api_error',
        api_error: 'billing_error',
      }),
      saved(1, 0),
    );
    expect(play.closings('thread-1')).toEqual([expect.stringMatching(/^error: .*comment here/s)]);
    expect(play.state.lastOutcome).toBe('failed');
  });
});

describe('a prompt', () => {
  it('that arrives in the middle of a turn is handed on at once and answered by the same result', () => {
    const play = working();
    expect(play.kinds(play.prompt('p2'))).toContain('prompt-sandbox');
    play.report(result('Both done.', ['p1', 'p2']), saved(1));
    expect(play.state.turns).toBe(1);
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('from a second thread of the issue joins the work, and both threads are answered', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    play.report(result('Both done.', ['p1', 'p2']), saved(1));
    expect(play.closings('thread-1')).toEqual(play.closings('thread-2'));
    expect(play.closings('thread-2')).toHaveLength(1);
  });

  it('that came too late for the turn is answered by the next, which is not prompted again', () => {
    const play = working();
    play.prompt('p2');
    play.report(result('First done.', ['p1']));
    const effects = play.report(saved(1));
    expect(play.kinds(effects)).not.toContain('prompt-sandbox');
    expect(play.state).toMatchObject({ turns: 2, phase: { name: 'working' } });
    play.report(init, result('Second done.', ['p2']), saved(2));
    expect(play.closings('thread-1')).toEqual([
      expect.stringContaining('First done.'),
      expect.stringContaining('Second done.'),
    ]);
  });

  it('is answered even if its result overtakes the saving of the turn before', () => {
    const play = working();
    play.prompt('p2');
    play.report(result('First done.', ['p1']), init, result('Second done.', ['p2']), saved(1), saved(2));
    expect(play.closings('thread-1')).toHaveLength(2);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('that arrives while the work is being saved begins the next turn', () => {
    const play = working();
    play.report(result('Done.', ['p1']));
    expect(play.kinds(play.prompt('p2'))).not.toContain('prompt-sandbox');
    const effects = play.report(saved(1));
    expect(play.kinds(effects)).toContain('prompt-sandbox');
    expect(play.state.turns).toBe(2);
  });

  it('weeks later continues the same conversation in a sandbox that is looked for first', () => {
    const play = working();
    play.report(result('Done.', ['p1']), saved(1));
    play.now += 30 * 24 * 3_600_000;
    const effects = play.prompt('p2');
    expect(play.kinds(effects)).toEqual(['say', 'start-sandbox', 'prompt-sandbox', 'index-session']);
    expect(play.state.conversationId).toBe('conversation-1');
  });

  it('from the live page is answered in the latest thread', () => {
    const play = working();
    play.report(result('Done.', ['p1']), saved(1));
    play.prompt('p2', null);
    play.report(init, result('Again.', ['p2']), saved(2));
    expect(play.closings('thread-1')).toHaveLength(2);
  });
});

describe('a stop', () => {
  it('interrupts at once and ends in one response, never in an error', () => {
    const play = working();
    const effects = play.stop();
    expect(play.kinds(effects)).toContain('stop-sandbox');
    expect(play.state.phase.name).toBe('stopping');
    play.report(aborted(['p1']));
    play.report({ ...crashed, cause: 'stop' } as typeof crashed, saved(1, 0));
    expect(play.closings('thread-1')).toEqual([expect.stringMatching(/^response: Stopped/)]);
    expect(play.state.lastOutcome).toBe('stopped');
    expect(JSON.stringify(play.entries)).not.toContain('ede_diagnostic');
  });

  it('before the sandbox was heard of ends at once, and nothing is started any more', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.stop();
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('nothing was changed')]);
  });

  it('that the sandbox does not confirm is final after ten seconds', () => {
    const play = working();
    play.stop();
    play.deadline(9_000);
    expect(play.closings('thread-1')).toEqual([]);
    play.deadline(1_000);
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('did not confirm in time')]);
  });

  it('with nothing running is answered too', () => {
    const play = new SessionPlay();
    play.stop();
    expect(play.closings('thread-1')).toEqual(['response: Nothing is running here.']);
  });

  it('gives up the prompts that waited, and answers their threads', () => {
    const play = working();
    play.report(result('Done.', ['p1']));
    play.prompt('p2', 'thread-2');
    play.stop();
    play.report(saved(1));
    expect(play.state.turns).toBe(1);
    expect(play.closings('thread-2')).toEqual(['response: Stopped before Claude began with this.']);
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('asked for twice is carried out once', () => {
    const play = working();
    play.stop();
    expect(play.kinds(play.stop())).toEqual([]);
  });
});

describe('the sandbox', () => {
  it('may send events again: what is stored already changes nothing', () => {
    const play = working();
    const batch = play.batch(text('once'));
    play.play({ type: 'sandbox-reported', batch });
    const entries = play.entries.length;
    play.play({ type: 'sandbox-reported', batch });
    expect(play.entries).toHaveLength(entries);
  });

  it('is not believed past a gap in its numbers', () => {
    const play = working();
    const first = play.batch(text('one'));
    const second = play.batch(text('two'));
    const { cursor } = play.state.sandbox;
    play.play({ type: 'sandbox-reported', batch: second });
    expect(play.state.sandbox.cursor).toBe(cursor);
    play.play({ type: 'sandbox-reported', batch: first });
    play.play({ type: 'sandbox-reported', batch: second });
    expect(play.state.sandbox.cursor).toBe(cursor + 2);
  });

  it('of another life is refused', () => {
    const play = working();
    const batch = play.batch(text('late'));
    expect(play.isRefused(batch)).toBe(false);
    expect(play.isRefused({ ...batch, generation: 2 })).toBe(true);
    expect(play.isRefused({ ...batch, streamId: crypto.randomUUID() })).toBe(true);
  });

  it('that falls silent in the middle of a turn is looked for', () => {
    const play = working();
    expect(play.kinds(play.deadline(45_000))).toEqual(['start-sandbox']);
    expect(play.kinds(play.deadline(1_000))).toEqual([]);
  });

  it('that is found idle although Claude should work is given the work again', () => {
    const play = working();
    play.deadline(45_000);
    play.started(undefined, 'ready');
    expect(play.asked).toHaveLength(1);
    expect(play.state.phase.name).toBe('starting');
  });

  it('that lost its disk is replaced by a new life, which is asked everything of the turn again', () => {
    const play = working();
    play.prompt('p2');
    const effects = play.started('5b7d9a3e-0000-4000-8000-00000000000f');
    expect(play.state.sandbox).toMatchObject({ generation: 2, cursor: 0, streamId: null });
    expect(play.state.conversationId).not.toBe('conversation-1');
    expect(effects.filter((effect) => effect.kind === 'prompt-sandbox').map((effect) => effect.promptId)).toEqual([
      'p1',
      'p2',
    ]);
  });

  it('whose Claude process dies in a turn is asked to go on, twice; then the turn fails in words', () => {
    const play = working();
    play.report(crashed);
    expect(play.asked).toHaveLength(1);
    expect(play.asked[0]?.text).toContain('ended unexpectedly');
    play.report(init, crashed);
    play.report(init);
    expect(play.closings('thread-1')).toEqual([]);
    play.report(crashed);
    expect(play.closings('thread-1')).toEqual([expect.stringMatching(/^error: .*cyrus\/eng-1/s)]);
  });

  it('whose Claude continues after a crash still answers the prompt it was given before', () => {
    const play = working();
    play.report(crashed);
    const continued = play.asked[0]?.promptId ?? '';
    play.report(init, result('Done after all.', [continued]), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('Done after all.')]);
    expect(play.state).toMatchObject({ phase: { name: 'waiting' }, turns: 1 });
  });

  it('that cannot prepare the workspace ends the turn with its message and hint', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report({
      type: 'failed',
      step: 'mirror',
      message: 'The branch main does not exist.',
      hint: 'Set the base branch.',
    });
    expect(play.closings('thread-1')).toEqual([
      expect.stringMatching(/^error: The branch main does not exist\.\s+Set the base branch\./),
    ]);
  });
});

it.each([
  ['issue', 'The issue names'],
  ['comment', 'A comment names'],
  [undefined, 'The issue, or a comment in it, names'],
] as const)(
  'a branch that does not exist is told as that of who named it (%s), with how to name another',
  (by, words) => {
    const play = new SessionPlay();
    play.prompt('p1');
    const wish = { baseBranch: 'relase', baseWish: 'relase', ...(by && { baseWishBy: by }) };
    play.started(undefined, 'preparing', wish);
    play.report({
      type: 'failed',
      step: 'mirror',
      message: 'acme/shop has no branch relase.',
      hint: 'Correct the base branch of the repository in Cyrus.',
    });
    const [closing] = play.closings('thread-1');
    expect(closing).toContain(`${words} the branch \`relase\``);
    expect(closing).toContain('`[repo=acme/shop#branch]`');
    expect(closing).not.toContain('in Cyrus');
  },
);

describe('an effect that is given up', () => {
  it('shows in the journal, and fails the turn if it is the start of the sandbox', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.play({
      type: 'effect-failed',
      effect: { kind: 'start-sandbox', generation: 1 },
      attempts: 10,
      error: 'the sandbox cannot be reached',
      hint: 'Check that the sandbox runs.',
    });
    expect(play.entries.map((entry) => entry.body.kind)).toContain('effect-failed');
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('Check that the sandbox runs.')]);
    expect(play.state.failedEffects).toBe(1);
  });

  it('of another kind does not disturb the turn', () => {
    const play = working();
    const effect = { kind: 'index-session' } as const;
    play.play({ type: 'effect-failed', effect, attempts: 12, error: 'D1 is down', hint: null });
    expect(play.state.phase.name).toBe('working');
  });
});

describe('Linear', () => {
  it('hears from a long turn every ten minutes, so that it does not call the session stale', () => {
    const play = working();
    const effects = play.deadline(10 * 60_000);
    expect(effects).toContainEqual(
      expect.objectContaining({
        kind: 'say',
        activity: { content: { type: 'thought', body: expect.stringContaining('Still working') }, ephemeral: true },
      }),
    );
  });
});

describe('work whose ground is gone', () => {
  it('stops when the issue is taken away, completed, canceled or removed, and the thread is told why', () => {
    for (const [why, words] of [
      ['unassigned', 'unassigned from Cyrus'],
      ['completed', 'was completed'],
      ['canceled', 'was canceled'],
      ['removed', 'was removed'],
    ] as const) {
      const play = working();
      expect(play.kinds(play.withdraw(why))).toContain('stop-sandbox');
      play.report(aborted(['p1']), saved(1, 0));
      expect(play.closings('thread-1')).toEqual([expect.stringContaining(words)]);
      expect(play.state.lastOutcome).toBe('stopped');
    }
  });

  it('stops when Cyrus loses the team of the issue, and only then', () => {
    const play = working();
    expect(play.withdraw('no-access', ['team-2'])).toEqual([]);
    expect(play.kinds(play.withdraw('no-access', ['team-1']))).toContain('stop-sandbox');
  });

  it('stops without a word to Linear when Cyrus is uninstalled, until somebody asks again', () => {
    const play = working();
    const before = play.said('thread-1').length;
    expect(play.kinds(play.withdraw('uninstalled'))).toContain('stop-sandbox');
    play.report(aborted(['p1']), saved(1, 0));
    expect(play.said('thread-1')).toHaveLength(before);
    play.prompt('p2');
    expect(play.said('thread-1').length).toBeGreaterThan(before);
  });

  it('is over with the issue until somebody asks again', () => {
    const play = working();
    play.withdraw('completed');
    play.report(aborted(['p1']), saved(1, 0));
    expect(play.state.overAt).toEqual(expect.any(Number));
    play.prompt('p2');
    expect(play.state.overAt).toBeNull();
  });

  it('does not disturb a session in which nothing runs', () => {
    const play = new SessionPlay();
    expect(play.withdraw('completed')).toEqual([]);
  });
});

describe('a comment that only says stop', () => {
  it('stops the work like the signal', () => {
    const play = working();
    play.prompt('p2', 'thread-1', 'Ada', '@cyrus stop!');
    expect(play.state.phase.name).toBe('stopping');
  });

  it('begins nothing if nothing runs', () => {
    const play = working();
    play.report(result('Done.', ['p1']), saved(1));
    play.prompt('p2', 'thread-1', 'Ada', 'Stop');
    expect(play.state).toMatchObject({ turns: 1, phase: { name: 'waiting' } });
  });
});

describe('context', () => {
  const edit = (description: string, id = 'c1') =>
    ({ type: 'context-arrived', id, item: { edit: { author: 'Ada', description } }, urgent: true }) as const;
  const change = edit('Round half up.');

  it('that changes the issue in the middle of a turn reaches Claude once it has settled, and owes nobody an answer', () => {
    const play = working();
    expect(play.play(change)).toEqual([]);
    expect(play.deadline(5_000)).toEqual([{ kind: 'prompt-sandbox', promptId: 'c1', turn: 1 }]);
    play.report(result('Done.', ['p1', 'c1']), saved(1));
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('that arrives between turns is kept for the next prompt', () => {
    const play = working();
    play.report(result('Done.', ['p1']), saved(1));
    expect(play.play(change)).toEqual([]);
    expect(play.state.context).toEqual([{ edit: { author: 'Ada', description: 'Round half up.' } }]);
    play.prompt('p2');
    expect(play.state.context).toEqual([]);
  });

  it('of many edits in a row is the newest text, told once', () => {
    const play = working();
    for (let i = 0; i < 20; i++) {
      play.play(edit(`Version ${i}.`, `c${i}`));
      play.deadline(500);
    }
    const told = play.deadline(5_000);
    expect(told.filter(({ kind }) => kind === 'prompt-sandbox')).toHaveLength(1);
    expect(play.asked).toHaveLength(1);
    expect(play.asked[0]?.text).toContain('Version 19.');
    expect(play.asked[0]?.text).not.toContain('Version 18.');
  });

  it('that a prompt of the same comment says already is told once, in either order', () => {
    const beside: SessionEvent = {
      type: 'context-arrived',
      id: 'n1',
      item: { text: 'Ada commented.', comments: ['k1'] },
    };
    const reply = {
      type: 'prompted',
      promptId: 'p2',
      agentSessionId: 'thread-1',
      author: 'Ada',
      person: null,
      source: 'comment',
      text: 'Also the tax.',
      commentId: 'k1',
    } as const;
    const first = working();
    first.play(reply);
    first.play(beside);
    expect(first.state.context).toEqual([]);
    const second = working();
    second.play(beside);
    second.play(reply);
    expect(second.state.context).toEqual([]);
  });
});

describe('a reply that Linear tells of as a prompt which names no comment, and as a notification', () => {
  const ada = { id: 'user-ada', email: null };
  const item = (text: string, by: string | null, id: string): ContextItem => ({
    text: `Ada commented: ${text}`,
    comments: [`of-${id}`],
    said: saidBy(by, text),
  });
  const told = (text: string, by: string | null = 'user-ada', id = 'n1'): SessionEvent => ({
    type: 'context-arrived',
    id,
    item: item(text, by, id),
  });
  const reply = (text: string): SessionEvent => ({
    type: 'prompted',
    promptId: 'p2',
    agentSessionId: 'thread-1',
    author: 'Ada',
    person: ada,
    source: 'comment',
    text,
  });

  it('is told once, in either order, also if one of the two names the agent or knows no person', () => {
    for (const by of ['user-ada', null]) {
      const play = working();
      play.play(reply('@cyrus also the  tax.'));
      play.play(told('Also the tax.', by));
      expect(play.state.context).toEqual([]);
      const prompt = { said: saidBy('user-ada', '@cyrus also the tax.') };
      expect(contextBeside([item('Also the tax.', by, 'n1')], prompt)).toEqual([]);
    }
  });

  it('leaves what others say, and what the same person says once more', () => {
    const play = working();
    play.play(reply('Also the tax.'));
    play.play(told('Also the tax.', 'user-bob', 'n2'));
    play.play(told('And the sum.', 'user-ada', 'n3'));
    play.play(told('Also the tax.'));
    play.play(told('Also the tax.', 'user-ada', 'n4'));
    expect(play.state.context.map((item) => typeof item !== 'string' && 'comments' in item && item.comments)).toEqual([
      ['of-n2'],
      ['of-n3'],
      ['of-n4'],
    ]);
  });
});

describe('a request that only a notification told of', () => {
  const noticed = {
    type: 'thread-expected',
    promptId: 'n1',
    commentId: null,
    author: 'Ada',
    person: null,
    text: 'Fix the cart.',
  } as const;

  it('opens a thread by itself if Linear sends none within 20 s, and begins there', () => {
    const play = new SessionPlay();
    expect(play.play(noticed)).toEqual([]);
    const effects = play.deadline(20_000);
    expect(effects).toEqual([{ kind: 'open-thread', promptId: 'n1', issueId: 'issue', commentId: null }]);
    const [effect] = effects;
    if (effect)
      play.play({
        type: 'effect-done',
        effect,
        result: { kind: 'thread', agentSessionId: 'thread-9', isLinears: false },
      });
    expect(play.said('thread-9')).toEqual([expect.stringContaining('On it.')]);
    expect(play.state.phase.name).toBe('starting');
  });

  it('is not taken for another request if it comes late, long after its thread', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    const sentAt = play.now;
    play.report(result('Done.', ['p1']), saved(1));
    play.now += 60_000;
    play.play({ ...noticed, at: sentAt });
    expect(play.kinds(play.deadline(20_000))).not.toContain('open-thread');
  });

  it('is not asked twice if the thread it found is told of later', () => {
    const play = new SessionPlay();
    play.play(noticed);
    const [effect] = play.deadline(20_000);
    const result = { kind: 'thread', agentSessionId: 'thread-9', isLinears: true } as const;
    if (effect) play.play({ type: 'effect-done', effect, result });
    expect(play.prompt('thread-9', 'thread-9')).toEqual([]);
    expect(play.entries.filter(({ body }) => body.kind === 'prompt')).toHaveLength(1);
  });

  it('is the same request as a comment in a thread that is old, in either order', () => {
    const before = new SessionPlay();
    before.prompt('p1');
    before.report(result('Done.', ['p1']), saved(1));
    before.now += 3_600_000;
    const after = structuredClone(before.state);
    before.play(noticed);
    before.prompt('p2');
    expect(before.kinds(before.deadline(20_000))).not.toContain('open-thread');
    before.state = after;
    before.prompt('p2');
    before.play(noticed);
    expect(before.kinds(before.deadline(20_000))).not.toContain('open-thread');
  });

  it('is asked once if Linear tells of the thread that Cyrus opened, before or after it answers that it is open', () => {
    const echo = {
      type: 'prompted',
      promptId: 'thread-9',
      agentSessionId: 'thread-9',
      author: null,
      person: null,
      source: 'delegation',
      text: 'The cart',
    } as const;
    const opened = { kind: 'thread', agentSessionId: 'thread-9', isLinears: false } as const;
    for (const isFirst of [true, false]) {
      const play = new SessionPlay();
      play.play(noticed);
      const [effect] = play.deadline(20_000);
      if (!effect) throw new Error('no thread was opened');
      if (isFirst) play.play(echo);
      play.play({ type: 'effect-done', effect, result: opened });
      if (!isFirst) play.play(echo);
      const prompts = play.entries.filter(({ body }) => body.kind === 'prompt');
      expect(prompts.map(({ body }) => body)).toMatchObject([{ promptId: 'n1', author: 'Ada', text: 'Fix the cart.' }]);
      expect(play.state.turns).toBe(1);
    }
  });

  it('closes with a message a thread that it opened while Linear sent one of its own', () => {
    const play = new SessionPlay();
    play.play(noticed);
    const [effect] = play.deadline(20_000);
    play.prompt('p1');
    if (effect)
      play.play({
        type: 'effect-done',
        effect,
        result: { kind: 'thread', agentSessionId: 'thread-9', isLinears: false },
      });
    expect(play.said('thread-9')).toEqual(['response: This was answered in another thread.']);
    // Linear tells of that thread as well.
    const { turns } = play.state;
    play.play({
      type: 'prompted',
      promptId: 'thread-9',
      agentSessionId: 'thread-9',
      author: null,
      person: null,
      source: 'delegation',
      text: 'The cart',
    });
    expect(play.entries.filter(({ body }) => body.kind === 'prompt')).toHaveLength(1);
    expect(play.state.turns).toBe(turns);
  });

  it('is the same request as the agent session that arrives beside it, in either order', () => {
    const before = new SessionPlay();
    before.play(noticed);
    before.prompt('p1');
    expect(before.kinds(before.deadline(20_000))).not.toContain('open-thread');
    const after = new SessionPlay();
    after.prompt('p1');
    after.play(noticed);
    expect(after.state.expectedThread).toBeNull();
  });
});

describe('a loop of agents that call each other', () => {
  it('is ended by a cap on the threads of an issue and hour, with words that say so', () => {
    const play = working();
    for (let i = 2; i <= 10; i++) play.prompt(`p${i}`, `thread-${i}`);
    play.prompt('p11', 'thread-11');
    expect(play.closings('thread-11')).toEqual([expect.stringContaining('To prevent a loop')]);
    play.prompt('p12', 'thread-3');
    expect(play.closings('thread-3')).toEqual([]);
    play.now += 3_600_000;
    play.prompt('p13', 'thread-13');
    expect(play.closings('thread-13')).toEqual([]);
  });
});

describe('several repositories', () => {
  /** A session that does not know which repository it is about. */
  function asking(): SessionPlay {
    const play = new SessionPlay();
    play.prompt('p1');
    play.startedWith({ kind: 'unsure', options: ['acme/shop', 'acme/site'], access: access({ repository: null }) });
    return play;
  }

  it('of which none is certain are offered to choose from, and nothing runs for as long as it takes', () => {
    const play = asking();
    expect(play.state.phase.name).toBe('asking');
    const elicitation = play.effects.find((effect) => effect.kind === 'say' && effect.activity.options);
    expect(elicitation).toMatchObject({
      activity: { content: { type: 'elicitation' }, options: [{ value: 'acme/shop' }, { value: 'acme/site' }] },
    });
    expect(play.deadline(7 * 24 * 3_600_000)).toEqual([]);
  });

  it('are chosen by an answer, which is no prompt for Claude', () => {
    const play = asking();
    const effects = play.prompt('answer', 'thread-1', 'Ada', 'acme/site');
    expect(play.state.repository).toBe('acme/site');
    expect(effects.filter((effect) => effect.kind === 'prompt-sandbox').map((effect) => effect.promptId)).toEqual([
      'p1',
    ]);
  });

  it('are asked for again if the answer fits none, and what was said is kept for Claude', () => {
    const play = asking();
    play.prompt('p2', 'thread-1', 'Ada', 'Whatever you think. Mind the rounding.');
    expect(play.said('thread-1').at(-1)).toContain('I did not understand which one.');
    const effects = play.prompt('answer', 'thread-1', 'Ada', '1');
    expect(effects.filter((effect) => effect.kind === 'prompt-sandbox').map((effect) => effect.promptId)).toEqual([
      'p1',
      'p2',
    ]);
  });

  it('are not chosen any more once a person stops', () => {
    const play = asking();
    play.stop();
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('nothing was changed')]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('can be changed until Claude edits a file: the turn starts over, in a sandbox and conversation of its own', () => {
    const play = working();
    const effects = play.prompt('p2', 'thread-1', 'Ada', 'Please use the other repository.');
    expect(play.state).toMatchObject({
      repository: 'acme/site',
      sandbox: { generation: 2 },
      phase: { name: 'starting' },
    });
    expect(play.state.conversationId).not.toBe('conversation-1');
    expect(play.kinds(effects)).toEqual(['say', 'start-sandbox', 'prompt-sandbox', 'prompt-sandbox', 'index-session']);
  });

  it('cannot be changed after that, and the person is told what to do', () => {
    const play = working();
    play.report(toolCall('Edit'));
    const effects = play.prompt('p2', 'thread-1', 'Ada', 'Use acme/site instead.');
    expect(play.kinds(effects)).toContain('prompt-sandbox');
    expect(play.state.repository).toBe('acme/shop');
    expect(play.said('thread-1').at(-1)).toContain('stop it to start in acme/site');
  });

  it('that are merely mentioned change nothing', () => {
    const play = working();
    play.prompt('p2', 'thread-1', 'Ada', 'acme/site has the same fault, but leave that.');
    expect(play.state.repository).toBe('acme/shop');
  });
});

describe('a quiet repository', () => {
  it('is told only how a turn ends', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started(undefined, undefined, { arrangement: arrangement({ verbosity: 'quiet' }) });
    play.report(init, text('Looking.'), toolCall('Read'), result('Done.', ['p1']), saved(1));
    expect(play.said('thread-1')).toEqual([
      'thought: On it. Starting a sandbox for Claude.',
      expect.stringContaining('response: Done.'),
    ]);
  });
});

describe('a verbose repository', () => {
  it("the thread of a verbose repository is told Claude's thinking as well", () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started(undefined, undefined, { arrangement: arrangement({ verbosity: 'verbose' }) });
    const content = [{ type: 'thinking', thinking: 'Quantities are ignored.', signature: 's' }];
    play.report(
      init,
      line({ type: 'assistant', message: { id: 'm', role: 'assistant', content }, parent_tool_use_id: null }),
    );
    expect(play.said('thread-1')).toContain('thought: Quantities are ignored.');
  });
});

function toolCall(name: string) {
  return line({
    type: 'assistant',
    message: {
      id: 'msg-tool',
      role: 'assistant',
      model: 'claude-sonnet-5-5',
      content: [{ type: 'tool_use', id: 'toolu_1', name, input: { file_path: '/workspace/shop/src/cart.js' } }],
    },
    parent_tool_use_id: null,
  });
}

describe('the answer of a turn', () => {
  it('is the only one to a stop that also gives up what the same thread was waiting for', () => {
    const play = working();
    play.play({ type: 'context-arrived', id: 'c1', item: { edit: { author: null, title: 'Sums' } }, urgent: true });
    play.deadline(5_000);
    play.report(result('Done.', ['p1']), saved(1));
    play.prompt('p2');
    play.report(init, result('Read.', ['c1']));
    play.stop();
    play.report(saved(2));
    expect(play.closings('thread-1')).toHaveLength(2);
  });

  it('is told once also if the turn before it failed and is saved only then', () => {
    const play = working();
    play.prompt('p2');
    const overloaded = { is_error: true, terminal_reason: 'api_error', api_error: 'overloaded' };
    play.report(result('', ['p1'], overloaded), init, text('Two.'), result('Two.', ['p2']), saved(1), saved(2));
    expect(play.said('thread-1').filter((said) => said.includes('Two.'))).toHaveLength(1);
  });

  it('is told once, also if Claude continues to the next request before the work is saved', () => {
    const play = working();
    play.prompt('p2');
    play.report(text('One.'), result('One.', ['p1']), init, text('On to the other.'), saved(1));
    play.report(text('Two.'), result('Two.', ['p2']), saved(2));
    const words = play.said('thread-1').filter((said) => /One|other|Two/.test(said));
    expect(words.map((said) => said.split('\n')[0])).toEqual([
      'response: One.',
      'thought: On to the other.',
      'response: Two.',
    ]);
  });
});

describe("a question of Claude's", () => {
  const questions = [
    { question: 'Which colour?', options: [{ label: 'Red' }, { label: 'Blue' }] },
    { question: 'Which size?', options: [{ label: 'Small' }, { label: 'Large' }] },
  ];
  const asks = (asked = questions.slice(0, 1)) =>
    line({
      type: 'control_request',
      request_id: 'r1',
      request: {
        subtype: 'can_use_tool',
        tool_name: 'AskUserQuestion',
        input: { questions: asked },
        tool_use_id: 't1',
      },
    });
  const asked = (...args: Parameters<typeof asks>) => {
    const play = working();
    play.report(asks(...args));
    return play;
  };
  const elicitations = (play: SessionPlay) => play.said('thread-1').filter((said) => said.startsWith('elicitation'));

  it('is told in the thread with its options, and the answer returns to the same tool call', () => {
    const play = asked();
    expect(play.state.phase.name).toBe('asking');
    expect(elicitations(play)).toEqual(['elicitation: Which colour?\n\n1. Red\n2. Blue']);
    const effects = play.prompt('answer', 'thread-1', 'Ada', '2');
    expect(effects).toContainEqual(
      expect.objectContaining({
        kind: 'answer-sandbox',
        requestId: 'r1',
        input: expect.objectContaining({ answers: { 'Which colour?': 'Blue' } }),
      }),
    );
    play.report(result('Blue it is.', ['p1']), saved(1));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.state).toMatchObject({ turns: 1, phase: { name: 'waiting' } });
  });

  it('is asked in the latest thread if no thread asked for the turn, and answered there once', () => {
    const play = working();
    play.play({ type: 'context-arrived', id: 'c1', item: { edit: { author: null, title: 'Sums' } }, urgent: true });
    play.deadline(5_000);
    play.report(result('Done.', ['p1']), saved(1));
    play.report(init, asks());
    expect(elicitations(play)).toHaveLength(1);
    play.prompt('answer', 'thread-1', 'Ada', '2');
    play.report(result('Blue it is.', ['c1']), saved(2));
    expect(play.closings('thread-1')).toHaveLength(2);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('may be answered in free words, and several are asked one after the other', () => {
    const play = asked(questions);
    play.prompt('a1', 'thread-1', 'Ada', 'Green, if you have it.');
    expect(elicitations(play).at(-1)).toContain('Which size?');
    const effects = play.prompt('a2', 'thread-1', 'Ada', 'large');
    const answers = { 'Which colour?': 'Green, if you have it.', 'Which size?': 'Large' };
    expect(effects).toContainEqual(expect.objectContaining({ input: expect.objectContaining({ answers }) }));
  });

  it('a question without an answer shuts the sandbox down after 15 minutes, stays open for days, and its answer resumes the work', () => {
    const play = asked();
    expect(play.kinds(play.deadline(15 * 60_000))).toContain('stop-sandbox');
    play.report(aborted(['p1']), { ...crashed, cause: 'stop' } as typeof crashed, saved(1, 0));
    expect(play.state.phase.name).toBe('asking');
    expect(play.closings('thread-1')).toEqual([]);
    play.now += 3 * 24 * 3_600_000;
    const effects = play.prompt('answer', 'thread-1', 'Ada', 'Red');
    expect(play.kinds(effects)).toEqual(['start-sandbox', 'prompt-sandbox', 'index-session']);
    expect(play.asked.at(-1)?.text).toContain('You asked: Which colour?\nThe answer: Red');
    const promptId = play.asked.at(-1)?.promptId ?? '';
    play.started();
    play.report(init, result('Red it is.', [promptId]), saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('Red it is.')]);
  });

  it('whose answer comes too late for the tool call is answered by a prompt', () => {
    const play = asked();
    const effects = play.prompt('answer', 'thread-1', 'Ada', 'Red');
    const effect = effects.find(({ kind }) => kind === 'answer-sandbox');
    if (!effect) throw new Error('no answer was sent');
    play.play({ type: 'effect-failed', effect, attempts: 1, error: 'not asked', hint: null });
    expect(play.asked.at(-1)?.text).toContain('The answer: Red');
    expect(play.state.phase.name).toBe('starting');
  });

  it('that Claude takes back needs no answer', () => {
    const play = asked();
    play.report(line({ type: 'control_cancel_request', request_id: 'r1' }));
    expect(play.state.phase.name).toBe('working');
  });

  it('is given up by a stop', () => {
    const play = asked();
    play.stop();
    play.report(aborted(['p1']), saved(1, 0));
    expect(play.closings('thread-1')).toEqual([expect.stringMatching(/^response: Stopped/)]);
  });
});

describe("Claude's plan", () => {
  it('is mirrored in the thread, whole with every change, instead of one action for each task', () => {
    const play = working();
    const call = (id: string, name: string, input: object) =>
      line({
        type: 'assistant',
        message: {
          id: `msg-${id}`,
          role: 'assistant',
          model: 'claude-sonnet-5-5',
          content: [{ type: 'tool_use', id, name, input }],
        },
        parent_tool_use_id: null,
      });
    const answer = (id: string, content: string) =>
      line({
        type: 'user',
        message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content }] },
        parent_tool_use_id: null,
      });
    play.report(
      call('t1', 'TaskCreate', { subject: 'Mend it' }),
      answer('t1', 'Task #1 created successfully: Mend it'),
    );
    const effects = play.report(
      call('t2', 'TaskUpdate', { taskId: '1', status: 'completed' }),
      answer('t2', 'Updated task #1 status'),
    );
    expect(effects).toMatchObject([
      { kind: 'show', agentSessionId: 'thread-1', change: { plan: [{ content: 'Mend it', status: 'completed' }] } },
    ]);
  });
});
