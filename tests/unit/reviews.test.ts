import { describe, expect, it } from 'vitest';
import type { PullRequestSeen, RemarkBy } from '../../src/session/lifecycle/model/effect-results.ts';
import type { Effect, EffectOf } from '../../src/session/lifecycle/model/effects.ts';
import { GATHER_MS } from '../../src/session/lifecycle/pull-request/news.ts';
import { MOST_BOT_ROUNDS } from '../../src/session/lifecycle/pull-request/reviews.ts';
import { proposed, proposeIn } from './support/proposed-session.ts';
import { access, result, type SessionPlay, saved } from './support/session-play.ts';

const SEEN = { state: 'open', checks: 'none', review: 'changes' } as const;
const look = { kind: 'look-at-pull-request', number: 12, reviews: true } as const;

function remark(more: Partial<RemarkBy> = {}): RemarkBy {
  const author = more.author ?? 'ada';
  return {
    of: 'review:1',
    author,
    isBot: false,
    isNamedBot: false,
    mayWrite: true,
    isReview: true,
    text: 'Round it.',
    place: { kind: 'thread', comment: 100, path: 'src/cart.js', line: 12, hunk: '+new' },
    earlier: [],
    person: { id: `github:${author}`, email: null },
    ...more,
  };
}

/** The look at GitHub brings this. */
function read(play: SessionPlay, ids: string[], written: RemarkBy[], isMore = false): Effect[] {
  const looked = ids.map((id) => ({ id, at: 5_000_000 }));
  const remarks = written.map((one) => ({ ...one, of: ids[0] ?? '' }));
  const found: PullRequestSeen = { seen: SEEN, read: { looked, remarks, isMore } };
  return play.play({ type: 'effect-done', effect: look, result: found });
}

const answersIn = (effects: Effect[]) =>
  effects.filter((effect): effect is EffectOf<'answer-review'> => effect.kind === 'answer-review');
const promptIn = (play: SessionPlay) => play.asked.at(-1);

/** Claude works on what it was asked last, and answers. */
function work(play: SessionPlay, words: string, newCommits = 1): Effect[] {
  const promptId = promptIn(play)?.promptId ?? '';
  play.started(undefined, 'working');
  return proposeIn(play, play.report(result(words, [promptId]), saved(play.state.turns, newCommits, '2'.repeat(40))));
}

describe('a review', () => {
  it('is read a minute after its first word, together with what came meanwhile', () => {
    const play = proposed(true);
    const news = { type: 'pull-request-news', number: 12, topic: 'reviews' } as const;
    play.play(news);
    expect(play.deadline(GATHER_MS / 2)).not.toContainEqual(look);
    play.play(news);
    expect(play.deadline(GATHER_MS / 2)).toContainEqual(look);
  });

  it('becomes one request to the same conversation, which answers each thread once', () => {
    const play = proposed(true);
    const other = remark({ text: 'Why?', place: { kind: 'thread', comment: 200, path: 'a.js', line: 1, hunk: '' } });
    const effects = read(play, ['review:1'], [remark(), other, remark({ text: 'And test it.' })]);
    expect(play.kinds(effects)).toContain('prompt-sandbox');
    expect(promptIn(play)?.text).toContain('Thread 1, on src/cart.js, line 12');
    expect(promptIn(play)?.text).toContain('Thread 2, on a.js, line 1');
    expect(play.said('thread-1').join()).toContain('ada reviewed pull request #12 on GitHub. Claude gets 3 comments.');
    const [answer, ...more] = answersIn(work(play, 'Thread 1: Rounded.\n\nThread 2: Because.'));
    expect(more).toEqual([]);
    expect(answer).toMatchObject({
      number: 12,
      reviewers: ['ada'],
      answers: [
        { number: 1, place: { kind: 'thread', comment: 100 }, body: 'Rounded.' },
        { number: 2, place: { kind: 'thread', comment: 200 }, body: 'Because.' },
      ],
    });
  });

  it('is taken up once, though two looks saw it', () => {
    const play = proposed(true);
    read(play, ['review:1'], [remark()]);
    expect(play.kinds(read(play, ['review:1'], [remark()]))).not.toContain('prompt-sandbox');
    expect(play.asked).toHaveLength(1);
  });

  it('continues in the thread that it is about, under the same number', () => {
    const play = proposed(true);
    read(play, ['review:1'], [remark()]);
    work(play, 'Thread 1: Rounded.');
    read(play, ['review:2'], [remark({ text: 'To the cent?' })]);
    expect(promptIn(play)?.text).toContain('Thread 1, on src/cart.js');
  });

  it('that comes while Claude works joins the turn and is answered at its end', () => {
    const play = proposed(true);
    play.prompt('p2');
    play.started(undefined, 'working');
    read(play, ['review:1'], [remark()]);
    const promptId = promptIn(play)?.promptId ?? '';
    const report = play.report(
      result('Thread 1: Rounded.', ['p2', promptId]),
      saved(play.state.turns, 1, '3'.repeat(40)),
    );
    const effects = proposeIn(play, report);
    expect(answersIn(effects)).toHaveLength(1);
  });

  it('answers no question that is open in Linear', () => {
    const play = proposed(true);
    play.prompt('p2');
    play.startedWith({ kind: 'unsure', options: ['acme/shop', 'acme/site'], access: access() });
    expect(play.state.phase.name).toBe('asking');
    read(play, ['review:1'], [remark({ text: '1' })]);
    expect(play.state.phase.name).toBe('asking');
  });

  it('is no wish about the repository, whatever its words are', () => {
    const play = proposed(true);
    const { arrangement } = play.state;
    if (arrangement) play.state.arrangement = { ...arrangement, repositories: ['acme/shop', 'acme/site'] };
    play.prompt('p2');
    play.started(undefined, 'working');
    const before = play.state.repository;
    read(play, ['review:1'], [remark({ text: '[repo=acme/site]' }), remark({ text: 'Use acme/site instead.' })]);
    expect(play.state.repository).toBe(before);
    expect(play.state.arrangement).not.toBeNull();
    expect(promptIn(play)?.text).toContain('[repo=acme/site]');
  });

  it('that Claude answers as a whole gets that answer, and without a commit nobody is asked to look again', () => {
    const play = proposed(true);
    read(play, ['comment:1'], [remark({ isReview: false, place: { kind: 'conversation' }, text: '@cyrus why?' })]);
    const [answer] = answersIn(work(play, 'Because prices are in cents.', 0));
    expect(answer).toMatchObject({ reviewers: [] });
    expect(answer?.answers).toEqual([
      {
        number: 1,
        place: { kind: 'conversation', author: 'ada', quote: '@cyrus why?' },
        body: 'Because prices are in cents.',
      },
    ]);
  });

  it('that Claude answers as a whole gets that answer in its first thread alone, however many it has', () => {
    const play = proposed(true);
    const on = (comment: number) =>
      remark({ place: { kind: 'thread', comment, path: 'a.js', line: comment, hunk: '' } });
    read(
      play,
      ['review:1'],
      Array.from({ length: 300 }, (_, index) => on(index + 1)),
    );
    const [answer] = answersIn(work(play, 'All of it is rounded. '.repeat(400)));
    const [first, ...others] = answer?.answers ?? [];
    expect(first?.body).toContain('All of it is rounded.');
    expect(others).toHaveLength(299);
    for (const { body } of others) expect(body).toBe('Claude answered all threads together, in the first of them.');
  });

  it('whose work is stopped is answered with that', () => {
    const play = proposed(true);
    read(play, ['review:1'], [remark()]);
    play.started(undefined, 'working');
    play.stop();
    const effects = play.deadline(60_000);
    expect(answersIn(effects)[0]?.answers[0]?.body).toContain('stopped before this was done');
  });

  it('that is longer than one request may be continues with the next look', () => {
    const play = proposed(true);
    read(play, ['review:1'], [remark()], true);
    expect(play.deadline(GATHER_MS)).toContainEqual(look);
  });
});

describe('a review counts', () => {
  const nobody = (play: SessionPlay, by: RemarkBy) => {
    const effects = read(play, ['review:1'], [by]);
    expect(play.kinds(effects)).not.toContain('prompt-sandbox');
    expect(play.entries.at(-1)?.body).toMatchObject({
      kind: 'notice',
      text: `What ${by.author} wrote on pull request #12 was not taken up: they may not give work to Cyrus here.`,
    });
  };
  const rules = (more: object) => ({ ...access().workspace, ...more });

  it('only if its author may write to the repository', () => {
    nobody(proposed(true), remark({ mayWrite: false }));
  });

  it('from a bot only if the settings name the bot', () => {
    nobody(proposed(true), remark({ author: 'helper[bot]', isBot: true, mayWrite: false }));
    const play = proposed(true);
    read(play, ['review:1'], [remark({ author: 'helper[bot]', isBot: true, isNamedBot: true, mayWrite: false })]);
    expect(play.asked).toHaveLength(1);
  });

  it('of a bot at most ten times in a row, until a person writes there', () => {
    const play = proposed(true);
    const bot = remark({ author: 'helper[bot]', isBot: true, isNamedBot: true, mayWrite: false });
    for (let round = 0; round < MOST_BOT_ROUNDS + 3; round += 1) {
      read(play, [`review:${round}`], [bot]);
      if (play.state.phase.name === 'starting') work(play, 'Thread 1: Done.');
    }
    expect(play.asked).toHaveLength(MOST_BOT_ROUNDS);
    expect(play.entries.at(-1)?.body).toMatchObject({
      kind: 'notice',
      text: expect.stringContaining('Bots reviewed pull request #12 10 times in a row'),
    });
    read(play, ['review:100'], [remark()]);
    work(play, 'Thread 1: Done.');
    read(play, ['review:101'], [bot]);
    expect(play.asked).toHaveLength(MOST_BOT_ROUNDS + 2);
  });

  it('if the rules allow its author, by the login or by the email that an admin gave for the login', () => {
    const play = proposed(true);
    play.state.access = access({ workspace: rules({ allowedUsers: ['ada@acme.example'] }) });
    nobody(play, remark());
    read(play, ['review:2'], [remark({ person: { id: 'github:ada', email: 'ada@acme.example' } })]);
    expect(play.asked).toHaveLength(1);
  });

  it('from an outsider only if a list names them, even if other rules let outsiders in', () => {
    const play = proposed(true);
    play.state.access = access({ workspace: rules({ allowedUsers: ['outside', 'github:ben'] }) });
    nobody(play, remark({ mayWrite: false }));
    read(play, ['review:2'], [remark({ author: 'ben', mayWrite: false })]);
    expect(play.asked).toHaveLength(1);
  });

  it('not if its author is blocked', () => {
    const play = proposed(true);
    play.state.access = access({ workspace: rules({ blockedUsers: ['github:ada'] }) });
    nobody(play, remark());
  });
});
