import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import type { EventOf } from '../../src/session/lifecycle/model/events.ts';
import { init, line, result, SessionPlay, saved } from './support/session-play.ts';

const ADA = { id: 'ada', email: 'ada@example.com' };
const BOB = { id: 'bob', email: 'bob@example.com' };

/** Ada asked for this in Linear; no agent session comes beside the notification. */
function noticed(at: number, more: Partial<EventOf<'thread-expected'>> = {}): EventOf<'thread-expected'> {
  const asked = { promptId: 'n1', commentId: 'comment-n1', author: 'Ada', person: ADA, text: 'Round half up.' };
  return { type: 'thread-expected', ...asked, at, ...more };
}

/** Somebody writes in a thread that Linear told of. */
function wrote(promptId: string, at: number, more: Partial<EventOf<'prompted'>> = {}): EventOf<'prompted'> {
  const said = { agentSessionId: 'thread-1', author: 'Bob', person: BOB, source: 'comment', text: promptId } as const;
  return { type: 'prompted', promptId, ...said, commentId: `comment-${promptId}`, at, ...more };
}

/** Work that Bob asked for an hour ago, done. */
function rested(): SessionPlay {
  const play = new SessionPlay();
  play.play(wrote('thread-1', play.now, { source: 'mention' }));
  play.started();
  play.report(init, result('Done.', ['thread-1']), saved(1));
  play.now += 3_600_000;
  return play;
}

const isOpening = (effect: Effect) => effect.kind === 'open-thread';

/** The thread is opened once 20 s have passed, and asked for there. @returns whether it was */
function opensThread(play: SessionPlay): boolean {
  const [effect] = play.deadline(20_000).filter(isOpening);
  if (!effect) return false;
  const opened = { kind: 'thread', agentSessionId: 'thread-9', isLinears: false } as const;
  play.play({ type: 'effect-done', effect, result: opened });
  return play.entries.some(({ body }) => body.kind === 'prompt' && body.promptId === 'n1');
}

describe('a request of which a notification alone tells', () => {
  it('is not lost if somebody else writes in another thread before its own is opened', () => {
    const play = rested();
    play.play(noticed(play.now));
    play.now += 3_000;
    play.play(wrote('p2', play.now));
    expect(opensThread(play)).toBe(true);
  });

  it('is not lost if somebody else wrote just before it, or long after it while the notification was late', () => {
    for (const [after, late] of [
      [-3_000, 0],
      [1_800_000, 3_600_000],
    ] as const) {
      const play = rested();
      const asked = play.now;
      play.play(wrote('p2', asked + after));
      play.now += late;
      play.play(noticed(asked));
      expect(opensThread(play)).toBe(true);
    }
  });

  it('is not lost if somebody is turned away, or writes on the live page, before its thread is opened', () => {
    const refused = rested();
    refused.play(wrote('p2', refused.now));
    refused.started();
    refused.play(noticed(refused.now));
    const eve = { id: 'eve', email: null, outside: true } as const;
    refused.play(wrote('p3', refused.now, { agentSessionId: 'thread-3', author: 'Eve', person: eve }));
    expect(refused.closings('thread-3')).toEqual([expect.stringContaining('only members of this workspace')]);
    expect(opensThread(refused)).toBe(true);

    const onPage = rested();
    onPage.play(noticed(onPage.now));
    onPage.play(wrote('p2', onPage.now, { agentSessionId: null, source: 'page', person: null, commentId: undefined }));
    expect(opensThread(onPage)).toBe(true);
  });

  it('is not lost if another one comes before the thread of the first is opened, and each gets its own', () => {
    const play = rested();
    play.play(noticed(play.now));
    play.now += 5_000;
    const second = { promptId: 'n2', commentId: 'comment-n2', author: 'Bob', person: BOB, text: 'Round down.' };
    play.play(noticed(play.now, second));
    // Linear repeats the first one.
    play.play(noticed(play.now - 5_000));
    for (const [promptId, agentSessionId] of [
      ['n1', 'thread-8'],
      ['n2', 'thread-9'],
    ] as const) {
      const [effect] = play.deadline(20_000).filter(isOpening);
      expect(effect).toMatchObject({ promptId, commentId: `comment-${promptId}` });
      if (effect) {
        const opened = { kind: 'thread', agentSessionId, isLinears: false } as const;
        play.play({ type: 'effect-done', effect, result: opened });
      }
      const asked = play.entries.find(({ body }) => body.kind === 'prompt' && body.promptId === promptId);
      expect(asked?.body).toMatchObject({ agentSessionId });
    }
    expect(play.deadline(20_000).filter(isOpening)).toEqual([]);
  });

  it('is asked once if its own thread comes while another one is opened for it, and nobody asks anything in that one', () => {
    const play = rested();
    const asked = play.now;
    play.play(noticed(asked, { commentId: null }));
    const [effect] = play.deadline(20_000).filter(isOpening);
    if (!effect) throw new Error('no thread is opened');
    const delegated = { source: 'delegation', agentSessionId: 'thread-2', text: 'The issue.' } as const;
    play.play(wrote('thread-2', asked, { ...delegated, person: ADA }));
    const page = `${play.state.origin}/sessions/${play.state.id}`;
    const echo = { source: 'delegation', agentSessionId: 'thread-9', text: 'The issue.', person: null } as const;
    play.play(wrote('thread-9', play.now, { ...echo, links: [page] }));
    play.play({
      type: 'effect-done',
      effect,
      result: { kind: 'thread', agentSessionId: 'thread-9', isLinears: false },
    });
    const prompts = play.entries.flatMap(({ body }) => (body.kind === 'prompt' ? [body.promptId] : []));
    expect(prompts.slice(1)).toEqual(['thread-2']);
    const said = play.effects.flatMap((one) =>
      one.kind === 'say' && one.agentSessionId === 'thread-9' && 'body' in one.activity.content
        ? [one.activity.content.body]
        : [],
    );
    expect(said).toEqual(['This was answered in another thread.']);
  });

  it('is asked in any thread that has no page, or that of another session, no matter who opened it', () => {
    for (const links of [[], ['https://cyrus.example/sessions/of-another']]) {
      const play = rested();
      const automated = { source: 'delegation', agentSessionId: 'thread-9', person: null, links } as const;
      play.play(wrote('thread-9', play.now, automated));
      expect(play.entries.at(-1)?.body.kind === 'prompt' || play.state.phase.name !== 'waiting').toBe(true);
    }
  });

  it('is not begun if the issue is taken away before its thread is opened, nor what else was asked by then', () => {
    const play = rested();
    play.play(noticed(play.now));
    play.play(noticed(play.now, { promptId: 'n2', commentId: 'comment-n2', author: 'Bob', person: BOB }));
    play.now += 5_000;
    play.play({ type: 'withdrawn', id: 'w', why: 'unassigned', author: 'Ada', teamIds: [], at: play.now });
    expect(opensThread(play)).toBe(false);
  });

  it('has its thread on the issue if Linear opens none under its comment; if it opens none at all, the journal says so', () => {
    const play = rested();
    play.play(noticed(play.now));
    play.play(noticed(play.now, { promptId: 'n2', commentId: 'comment-n2', author: 'Bob', person: BOB }));
    const [onComment] = play.deadline(20_000).filter(isOpening);
    if (!onComment) throw new Error('no thread is opened');
    const failure = { type: 'effect-failed', attempts: 1, error: 'the comment is a reply', hint: null } as const;
    const [onIssue] = play.play({ ...failure, effect: onComment }).filter(isOpening);
    expect(onIssue).toMatchObject({ promptId: 'n1', commentId: null });
    if (!onIssue) throw new Error('no thread is opened');
    play.play({ ...failure, effect: onIssue });
    const bodies = play.entries.map(({ body }) => body);
    expect(bodies).toContainEqual(expect.objectContaining({ kind: 'prompt', promptId: 'n1', text: 'Round half up.' }));
    expect(bodies).toContainEqual(expect.objectContaining({ kind: 'effect-failed', error: 'the comment is a reply' }));
    expect(play.state.closed).toContainEqual(expect.objectContaining({ id: 'n1', how: 'failed' }));
    expect(play.deadline(0).filter(isOpening)).toMatchObject([{ promptId: 'n2' }]);
  });

  it('is not asked again if its comment came in an old thread, also as a stop or as an answer, in either order', () => {
    const question = { question: 'Which rounding?', options: [{ label: 'Half up' }, { label: 'Half even' }] };
    const request = { subtype: 'can_use_tool', tool_name: 'AskUserQuestion', input: { questions: [question] } };
    for (const text of ['Go on.', 'stop', 'Half up']) {
      for (const isFirst of [true, false]) {
        const play = rested();
        play.play(wrote('p2', play.now));
        play.started();
        play.report(init);
        if (text === 'Half up') {
          const asks = { ...request, tool_use_id: 't1' };
          play.report(line({ type: 'control_request', request_id: 'q1', request: asks }));
        }
        play.now += 60_000;
        const said = wrote('p3', play.now, { author: 'Ada', person: ADA, commentId: 'comment-n1', text });
        if (isFirst) play.play(noticed(play.now));
        play.play(said);
        if (!isFirst) play.play(noticed(play.now));
        expect([text, isFirst, opensThread(play)]).toEqual([text, isFirst, false]);
      }
    }
  });

  it('is not asked again if the event that began its thread names its comment or its person otherwise, or not', () => {
    for (const event of [
      { source: 'mention', author: 'Ada', person: ADA, commentId: undefined },
      { source: 'mention', author: null, person: null, commentId: undefined },
      { source: 'delegation', author: 'Bob', person: BOB, commentId: undefined },
    ] as const) {
      for (const isFirst of [true, false]) {
        const play = rested();
        const notice = noticed(play.now, event.source === 'delegation' ? { commentId: null } : {});
        const began = wrote('thread-2', play.now, { ...event, agentSessionId: 'thread-2' });
        if (isFirst) play.play(notice);
        play.play(began);
        if (!isFirst) play.play(notice);
        expect(opensThread(play)).toBe(false);
      }
    }
  });

  it('is taken to have come in its time if nobody remembers what was asked by then', () => {
    const play = rested();
    const asked = play.now;
    for (let count = 0; count < 12; count += 1) {
      play.now += 60_000;
      play.play(wrote(`later-${count}`, play.now));
    }
    play.play(noticed(asked));
    expect(opensThread(play)).toBe(false);
    const older = rested();
    const { asks: _, asksSince: _since, ...stored } = older.state;
    older.state = stored;
    older.play(noticed((stored.askedAt ?? 0) - 1_000));
    expect(opensThread(older)).toBe(false);
    older.play(noticed(older.now));
    expect(opensThread(older)).toBe(true);
  });
});
