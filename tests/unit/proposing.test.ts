import { describe, expect, it } from 'vitest';
import type { EffectResult } from '../../src/session/lifecycle/model/effect-results.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { reasonOf } from '../../src/session/lifecycle/session-row.ts';
import { aborted, init, result, SessionPlay, saved, text } from './support/session-play.ts';

const URL = 'https://github.test/acme/shop/pull/12';
const opened = { kind: 'pull-request', state: 'opened', number: 12, url: URL, draft: false, hears: true } as const;
const head = (digit: string) => digit.repeat(40);

/** A session whose first turn is saved and waits for its pull request. */
function proposing(more: Partial<Effect> = {}): { play: SessionPlay; effect: Effect } {
  const play = new SessionPlay();
  play.hasPullRequests = true;
  play.prompt('p1');
  play.started();
  const effects = play.report(init, text('Mended.'), result('Mended.', ['p1']), saved(1, 1, head('1')));
  return { play, effect: { ...proposalIn(effects), ...more } as Effect };
}

function proposalIn(effects: Effect[]): Effect {
  const effect = effects.find(({ kind }) => kind === 'open-pull-request');
  if (!effect) throw new Error('no pull request is asked for');
  return effect;
}

/** A turn that begins and ends after the one before has. */
function nextTurn(play: SessionPlay, prompt: string, commit: string, newCommits = 1): Effect[] {
  play.prompt(prompt);
  play.started(undefined, 'working');
  return play.report(init, text('More.'), result('More.', [prompt]), saved(play.state.turns, newCommits, commit));
}

const done = (play: SessionPlay, effect: Effect, result: EffectResult = opened) =>
  play.play({ type: 'effect-done', effect, result });
const failed = (play: SessionPlay, effect: Effect) =>
  play.play({
    type: 'effect-failed',
    effect,
    attempts: 1,
    error: 'GitHub answered 403',
    hint: 'Ask an admin to give the app write access.',
  });
const links = (effects: Effect[]) =>
  effects.flatMap((effect) => (effect.kind === 'show' ? (effect.change.urls ?? []) : []));
const proposals = (play: SessionPlay) =>
  play.entries.map(({ body }) => body).filter((body) => body.kind === 'pull-request');

describe('a turn that changed something', () => {
  it('waits for its pull request, so that the answer can name it', () => {
    const { play, effect } = proposing();
    expect(effect).toMatchObject({
      turn: 1,
      head: head('1'),
      subject: 'Fix the cart',
      summary: 'Mended.',
      threads: ['thread-1'],
    });
    expect(play.closings('thread-1')).toEqual([]);
    expect(reasonOf(play.state)).toBe('Opening the pull request');
    done(play, effect);
    expect(play.closings('thread-1')).toEqual([
      `response: Mended.\n\n[Pull request #12](${URL}): branch \`cyrus/eng-1\`, 1 commit.`,
    ]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it("hands on the repository's own template for pull requests, if it has one", () => {
    const play = new SessionPlay();
    play.hasPullRequests = true;
    play.prompt('p1');
    play.started();
    const work = { ...saved(1), pullRequestTemplate: '## What was changed' };
    const effects = play.report(init, text('Mended.'), result('Mended.', ['p1']), work);
    expect(proposalIn(effects)).toMatchObject({ template: '## What was changed' });
    expect(proposing().effect).not.toHaveProperty('template');
  });

  it('links the pull request in the thread before the answer, and once on the issue', () => {
    const { play, effect } = proposing();
    const effects = done(play, effect);
    expect(play.kinds(effects).slice(0, 3)).toEqual(['show', 'attach-pull-request', 'say']);
    expect(links(effects)).toEqual([{ label: 'Pull request #12', url: URL }]);
    expect(effects).toContainEqual({
      kind: 'attach-pull-request',
      id: expect.any(String),
      issueId: 'issue',
      number: 12,
      url: URL,
    });
    const again = done(play, proposalIn(nextTurn(play, 'p2', head('2'))), { ...opened, state: 'updated' });
    expect(links(again)).toEqual([]);
    expect(play.kinds(again)).not.toContain('attach-pull-request');
    expect(proposals(play).map(({ state }) => state)).toEqual(['opened', 'updated']);
  });

  it('links it in every thread that asked', () => {
    const play = new SessionPlay();
    play.hasPullRequests = true;
    play.prompt('p1');
    play.started();
    play.report(init);
    play.prompt('p2', 'thread-2');
    const effect = proposalIn(play.report(result('Both.', ['p1', 'p2']), saved(1, 1, head('1'))));
    expect(links(done(play, effect))).toHaveLength(2);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('#12')]);
  });

  it('says that it is a draft', () => {
    const { play, effect } = proposing();
    done(play, effect, { ...opened, draft: true });
    expect(play.closings('thread-1')[0]).toContain(`[Pull request #12](${URL}) (draft): branch`);
  });

  it('gives the branch instead if the host has no pull requests', () => {
    const { play, effect } = proposing();
    done(play, effect, { kind: 'branch', url: 'https://gitlab.com/acme/shop/-/tree/cyrus/eng-1' });
    expect(play.closings('thread-1')).toEqual([
      'response: Mended.\n\nBranch [`cyrus/eng-1`](https://gitlab.com/acme/shop/-/tree/cyrus/eng-1), 1 commit.',
    ]);
    const other = proposing();
    done(other.play, other.effect, { kind: 'branch', url: null });
    expect(other.play.closings('thread-1')).toEqual(['response: Mended.\n\nBranch `cyrus/eng-1`, 1 commit.']);
  });

  it('does not fail with its pull request: the answer says what went wrong and what to do', () => {
    const { play, effect } = proposing();
    failed(play, effect);
    expect(play.closings('thread-1')).toEqual([
      'response: Mended.\n\nBranch `cyrus/eng-1`, 1 commit. No pull request was opened: GitHub answered 403. Ask an admin to give the app write access.',
    ]);
    expect(play.state).toMatchObject({ lastOutcome: 'completed', failedEffects: 1 });
  });

  it('has its pull request asked for again by the next turn, after a failure, even if that changes nothing', () => {
    const { play, effect } = proposing();
    failed(play, effect);
    const again = proposalIn(nextTurn(play, 'p2', head('1'), 0));
    done(play, again);
    expect(play.closings('thread-1')[1]).toContain('[Pull request #12]');
  });

  it('waits a minute at most; the link follows as soon as there is one', () => {
    const { play, effect } = proposing();
    play.deadline(59_000);
    expect(play.closings('thread-1')).toEqual([]);
    play.deadline(2_000);
    expect(play.closings('thread-1')).toEqual([
      'response: Mended.\n\nBranch `cyrus/eng-1`, 1 commit. The pull request is not open yet; it will be linked here as soon as it is.',
    ]);
    expect(links(done(play, effect))).toEqual([{ label: 'Pull request #12', url: URL }]);
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.state.proposal?.pullRequest).toMatchObject({ number: 12 });
    nextTurn(play, 'p2', head('1'), 0);
    expect(play.closings('thread-1')[1]).toContain('[Pull request #12]');
  });

  it('waits no longer once Claude is at work on the next', () => {
    const { play, effect } = proposing();
    play.report(init);
    expect(play.closings('thread-1')).toHaveLength(1);
    done(play, effect);
    expect(proposals(play).map(({ state }) => state)).toEqual(['pending', 'opened']);
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('is ended once, whatever comes late or twice', () => {
    const { play, effect } = proposing();
    done(play, effect);
    done(play, effect);
    failed(play, effect);
    play.deadline(120_000);
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('that a person stops while it waits keeps its answer', () => {
    const { play, effect } = proposing();
    play.stop();
    expect(play.kinds(play.effects)).not.toContain('stop-sandbox');
    done(play, effect);
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('#12')]);
  });

  it('says nothing in Linear after Cyrus was uninstalled', () => {
    const { play, effect } = proposing();
    play.withdraw('uninstalled');
    const kinds = play.kinds(done(play, effect));
    for (const kind of ['say', 'show', 'attach-pull-request']) expect(kinds).not.toContain(kind);
  });
});

describe('no pull request is asked for', () => {
  it('if nothing was changed, and the answer says so', () => {
    const play = new SessionPlay();
    play.hasPullRequests = true;
    play.prompt('p1');
    play.started();
    const nothing = { ...saved(1, 0, head('0')), commits: [], files: [] };
    const effects = play.report(init, result('It is 4.', ['p1']), nothing);
    expect(play.kinds(effects)).not.toContain('open-pull-request');
    expect(play.closings('thread-1')).toEqual(['response: It is 4.\n\nNothing was changed.']);
  });

  it('where the branch is where it was proposed before', () => {
    const { play, effect } = proposing();
    done(play, effect);
    const effects = nextTurn(play, 'p2', head('1'), 0);
    expect(play.kinds(effects)).not.toContain('open-pull-request');
    expect(play.closings('thread-1')[1]).toContain('[Pull request #12]');
  });

  it('if the push was refused', () => {
    const play = new SessionPlay();
    play.hasPullRequests = true;
    play.prompt('p1');
    play.started();
    const refused = { ...saved(1), pushed: false, problem: 'Refused.' };
    const effects = play.report(init, result('Mended.', ['p1']), refused);
    expect(play.kinds(effects)).not.toContain('open-pull-request');
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('for work that was stopped, until a turn completes', () => {
    const play = new SessionPlay();
    play.hasPullRequests = true;
    play.prompt('p1');
    play.started();
    play.report(init);
    play.stop();
    const stopped = play.report(aborted(['p1']), saved(1, 1, head('1')));
    expect(play.kinds(stopped)).not.toContain('open-pull-request');
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(proposalIn(nextTurn(play, 'p2', head('1'), 0))).toMatchObject({ turn: 2 });
  });
});
