import { describe, expect, it } from 'vitest';
import { newsOf } from '../../src/session/inbound/webhook-to-event.ts';
import { type IssueNews, issueOf, withNews } from '../../src/session/lifecycle/issue-news.ts';
import { SessionPlay } from './support/session-play.ts';

const team = { id: 'team-1', key: 'ENG', name: 'Engineering' };
const news = (more: Partial<IssueNews> = {}): IssueNews => ({ id: 'issue', at: 2_000_000, ...more });

/** A session at work, and the effects that the news call for. */
function told(...all: IssueNews[]) {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  const effects = all.flatMap((one) => play.play({ type: 'issue-told', news: one }));
  return { state: play.state, kinds: play.kinds(effects) };
}

describe('what a webhook tells of an issue', () => {
  it('changes what the session knows, and the list of sessions is told of a new title or identifier', () => {
    const { state, kinds } = told(news({ title: 'The basket', url: 'https://linear.app/acme/issue/ENG-1/basket' }));
    expect(state.issue).toMatchObject({ identifier: 'ENG-1', title: 'The basket' });
    expect(kinds).toContain('index-session');
    expect(told(news({ identifier: 'OPS-3' })).kinds).toContain('index-session');
  });

  it('is dropped if it is older than what is known, or about another issue', () => {
    const { state } = told(
      news({ title: 'New' }),
      news({ title: 'Old', at: 1_999_999 }),
      news({ id: 'other', title: 'X' }),
    );
    expect(state.issue?.title).toBe('New');
  });

  it('of the same moment as the last is taken: Linear tells of two changes at once', () => {
    expect(told(news({ title: 'One' }), news({ title: 'Two' })).state.issue?.title).toBe('Two');
  });

  it('that says nothing new changes nothing and costs nothing', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    expect(withNews(play.state, news({ title: play.state.issue?.title ?? '' }))).toBe(play.state);
  });

  it('leaves a team known by its name as it is while only its id is told, and forgets it once the id is another', () => {
    const { state } = told(news({ teamId: 'team-1', team }), news({ teamId: 'team-1', team: null, at: 2_000_001 }));
    expect(state.issue).toMatchObject({ teamId: 'team-1', team });
    const moved = told(news({ teamId: 'team-1', team }), news({ teamId: 'team-2', team: null, at: 2_000_001 }));
    expect(moved.state.issue).toMatchObject({ teamId: 'team-2', team: null });
  });

  it('counts at once for who may ask: rules are about the team in which the issue is now', () => {
    const ops = { id: 'team-2', key: 'OPS', name: 'Operations' };
    expect(told(news({ teamId: ops.id, team: ops })).state.access?.team).toEqual(ops);
  });

  it('is kept only as long as a list can show: texts and labels are cut, an address that is too long is left out', () => {
    const known = issueOf(
      news({
        identifier: 'E'.repeat(200),
        title: 'T'.repeat(5_000),
        url: `https://linear.app/${'u'.repeat(3_000)}`,
        teamId: 'team-1',
        team: { ...team, name: 'N'.repeat(500) },
        labels: Array.from({ length: 150 }, () => 'L'.repeat(300)),
      }),
    );
    expect(known).toMatchObject({ identifier: 'E'.repeat(100), title: 'T'.repeat(1_000), url: '' });
    expect(known.team?.name).toHaveLength(200);
    expect(known.labels).toHaveLength(100);
    expect(known.labels?.[0]).toHaveLength(200);
    const short = issueOf(news({ url: 'https://linear.app/acme/issue/ENG-1' }));
    expect(short).toMatchObject({
      url: 'https://linear.app/acme/issue/ENG-1',
      title: 'An issue in Linear',
      teamId: null,
    });
  });

  it('is read from whatever a webhook names, and holds nothing for what it does not', () => {
    expect(newsOf({ id: 'issue' }, 5)).toEqual({ id: 'issue', at: 5 });
    expect(newsOf({ id: 'issue', title: 'T', teamId: 'team-1' }, 5)).toEqual({
      id: 'issue',
      at: 5,
      title: 'T',
      teamId: 'team-1',
      team: null,
    });
    expect(newsOf({ id: 'issue', team, labels: ['Bug'] } as never, 5)).toMatchObject({ teamId: 'team-1', team });
  });
});

describe('a state of the issue that changed to nobody says what', () => {
  const changed = { type: 'status-changed', id: 'change-1', author: 'Ada' } as const;

  it('is looked up while there is work that it could end, and not if there is none', () => {
    const play = new SessionPlay();
    expect(play.kinds(play.play(changed))).not.toContain('look-at-issue');
    play.prompt('p1');
    expect(play.kinds(play.play(changed))).toContain('look-at-issue');
  });

  it('ends the work if the issue turns out to be done, and only tells what else is new if it is not', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    const [effect] = play.play(changed).filter(({ kind }) => kind === 'look-at-issue');
    if (!effect) throw new Error('the issue is not looked up');
    play.play({
      type: 'effect-done',
      effect,
      result: { kind: 'issue', news: news({ title: 'The basket' }), why: null },
    });
    expect(play.state.phase.name).toBe('starting');
    expect(play.state.issue?.title).toBe('The basket');
    play.play({ type: 'effect-done', effect, result: { kind: 'issue', news: null, why: 'completed' } });
    expect(play.state.phase).toMatchObject({ name: 'stopping', how: 'withdrawn' });
  });
});
