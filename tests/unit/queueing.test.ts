import { describe, expect, it } from 'vitest';
import type { ReachedLimit } from '../../src/protocol/settings/start-limits.ts';
import { reasonOf } from '../../src/session/lifecycle/session-row.ts';
import { queuePositionWords } from '../../src/session/lifecycle/start/queue-slot.ts';
import { init, result, SessionPlay, saved } from './support/session-play.ts';

/** A session that waits in the queue with its first prompt. */
function inLine(place = 3): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.startedWith({ kind: 'queued', position: place });
  return play;
}

describe('a session for which no slot is free', () => {
  it('a session in the queue says its position, and hands nothing to a sandbox', () => {
    const play = inLine();
    expect(play.state.phase).toMatchObject({ name: 'queued', position: 3 });
    expect(play.cancelledLanes).toEqual(['sandbox']);
    expect(play.said('thread-1').join()).toContain('3rd in the queue');
    expect(play.closings('thread-1')).toEqual([]);
  });

  it('says so when the line moves, and only then', () => {
    const play = inLine();
    const moved = play.play({ type: 'queue-moved', position: 2 });
    expect(moved.filter((effect) => effect.kind === 'say')).toMatchObject([
      { activity: { ephemeral: true, content: { body: '2nd in the queue.' } } },
    ]);
    expect(play.play({ type: 'queue-moved', position: 2 })).toEqual([]);
  });

  it('begins when a slot is free, with all that was asked meanwhile', () => {
    const play = inLine();
    play.prompt('p2', 'thread-2');
    const effects = play.play({ type: 'queue-moved', position: 0 });
    expect(play.kinds(effects)).toEqual(['start-sandbox', 'prompt-sandbox', 'prompt-sandbox', 'index-session']);
    play.started();
    play.report(init, result('Both.', ['p1', 'p2']), saved(1));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.closings('thread-2')).toHaveLength(1);
  });

  it('a queued session polls its position, in case a notification was lost', () => {
    const play = inLine();
    expect(play.kinds(play.deadline(60_000))).toEqual(['request-slot']);
    play.play({
      type: 'effect-done',
      effect: { kind: 'request-slot', turn: 1 },
      result: { kind: 'queued', position: 0 },
    });
    expect(play.state.phase.name).toBe('starting');
  });

  it('says which limit it waits for, when that ends and who can raise it, and again only if it is another', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    const limit = { name: 'SESSIONS_A_PERSON_HOUR', most: 5, until: Date.now() + 60_000 } as const;
    play.startedWith({ kind: 'queued', position: 1, limit });
    expect(reasonOf(play.state)).toBe('Waiting: one person may begin 5 new sessions an hour');
    expect(play.said('thread-1').join()).toContain('or once an admin raises SESSIONS_A_PERSON_HOUR.');
    const asked = { kind: 'request-slot', turn: 1 } as const;
    const hear = (other: ReachedLimit | null) =>
      play.play({ type: 'effect-done', effect: asked, result: { kind: 'queued', position: 1, limit: other } });
    expect(hear({ ...limit, until: limit.until + 1 })).toEqual([]);
    hear({ name: 'SANDBOX_MINUTES_DAY', most: 60, until: limit.until });
    expect(reasonOf(play.state)).toBe('Waiting: the day’s budget of 60 sandbox minutes is used up');
    hear(null);
    expect(reasonOf(play.state)).toBe('Next in the queue');
  });

  it('says a pace that comes and goes in passing, not for good', () => {
    const play = inLine(1);
    const asked = { kind: 'request-slot', turn: 1 } as const;
    const entries = play.entries.length;
    const said = play.said('thread-1').length;
    const pace = { name: 'STARTS_A_MINUTE', most: 120, until: Date.now() + 500 } as const;
    for (const limit of [pace, null, pace]) {
      play.play({ type: 'effect-done', effect: asked, result: { kind: 'queued', position: 1, limit } });
    }
    expect(reasonOf(play.state)).toBe('Waiting: many sessions start now, a few at a time');
    expect(play.entries).toHaveLength(entries);
    expect(play.said('thread-1')).toHaveLength(said);
  });

  it('leaves the line when it is stopped, with one answer', () => {
    const play = inLine();
    expect(play.kinds(play.stop())).toContain('release-slot');
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('waited in the queue')]);
    expect(play.play({ type: 'queue-moved', position: 0 })).toEqual([]);
  });
});

describe('a slot', () => {
  it('is given back once when the turn has ended, and kept while a next one follows', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.started();
    play.report(init, result('Done.', ['p1']));
    play.prompt('p2');
    expect(play.kinds(play.report(saved(1)))).not.toContain('release-slot');
    play.started();
    play.report(init, result('Done too.', ['p2']));
    expect(play.report(saved(2)).filter((effect) => effect.kind === 'release-slot')).toEqual([
      { kind: 'release-slot', turn: 2 },
    ]);
  });
});

it('a queue position is named as people do', () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 111].map(queuePositionWords)).toEqual([
    'Next in the queue',
    '2nd in the queue',
    '3rd in the queue',
    '4th in the queue',
    '11th in the queue',
    '12th in the queue',
    '13th in the queue',
    '21st in the queue',
    '22nd in the queue',
    '111th in the queue',
  ]);
});
