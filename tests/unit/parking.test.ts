import { describe, expect, it } from 'vitest';
import { isCovered } from '../../src/session/lifecycle/effects/index.ts';
import { aborted, init, line, result, SessionPlay, saved, text, usedUp } from './support/session-play.ts';

const HOUR = 3_600_000;

/** The CLI's word that a limit is used up until then, in ms since the epoch (measured with CLI 2.1.330). */
function rejected(resetsAt: number | null, limit = 'five_hour') {
  return line({
    type: 'rate_limit_event',
    rate_limit_info: {
      status: 'rejected',
      rateLimitType: limit,
      ...(resetsAt !== null && { resetsAt: Math.floor(resetsAt / 1000) }),
    },
    uuid: 'rl',
    session_id: 'conversation-1',
  });
}

function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(init, text('I look around.'));
  return play;
}

/** Parked because of a limit that resets in an hour. */
function parked(): SessionPlay {
  const play = working();
  play.report(rejected(play.now + HOUR), usedUp(['p1']));
  play.report(saved(1));
  return play;
}

function phaseOf(play: SessionPlay) {
  const { phase } = play.state;
  if (phase.name !== 'parked') throw new Error(`the session is ${phase.name}`);
  return phase;
}

describe('a limit of Claude', () => {
  it('a used-up limit makes the turn wait for its reset: said once, nothing closed, the sandbox shut down', () => {
    const play = working();
    const resetsAt = play.now + HOUR;
    const effects = play.report(rejected(resetsAt), usedUp(['p1']));
    const { until, why } = phaseOf(play);
    expect(why).toBe('5-hour limit');
    expect(until).toBeGreaterThanOrEqual(Math.floor(resetsAt / 1000) * 1000);
    expect(until).toBeLessThan(resetsAt + 60_000);
    expect(play.kinds(effects)).toEqual(expect.arrayContaining(['stop-sandbox', 'find-room', 'release-slot']));
    expect(play.closings('thread-1')).toEqual([]);
    const said = play.said('thread-1').filter((words) => words.includes('5-hour limit'));
    expect(said).toEqual([expect.stringMatching(/continues by itself at \d\d:\d\d UTC/)]);
    expect(play.state.usage.inputTokens).toBe(10);
  });

  it("is told in Cyrus's words, and what Claude Code says of it is not told beside them when the work continues", () => {
    const play = working();
    const said = "You've hit your 5-hour limit · resets 1:19am (UTC)";
    const message = { id: 'm-limit', role: 'assistant', model: '<synthetic>', content: [{ type: 'text', text: said }] };
    play.report(line({ type: 'assistant', message, error: 'rate_limit', is_api_error_message: true }));
    play.report(rejected(play.now + HOUR), usedUp(['p1']), saved(1));
    play.deadline(HOUR + 60_000);
    play.started();
    play.report(init, text('I go on.'), result('Done.', [play.asked.at(-1)?.promptId ?? '']), saved(2));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.said('thread-1').join()).not.toContain(said);
  });

  it('is asked about once at a time, however long nobody answers', () => {
    const play = parked();
    const asked = [...play.effects, ...play.deadline(HOUR / 2)].filter(({ kind }) => kind === 'find-room');
    expect(asked.length).toBeGreaterThan(1);
    const [first, ...others] = asked;
    expect(first && others.every((other) => isCovered(other, first))).toBe(true);
    expect(isCovered({ kind: 'find-room' }, { kind: 'request-slot', turn: 1 })).toBe(false);
  });

  it('says who stopped the work while it waited, and that it did', () => {
    const play = parked();
    play.play({ type: 'stop-requested', id: 's', agentSessionId: null, author: 'Ada', source: 'page' });
    expect(play.closings('thread-1')).toEqual([
      expect.stringContaining("Stopped by Ada on the page while it waited for Claude's limit."),
    ]);
    const inThread = parked();
    inThread.stop();
    expect(inThread.closings('thread-1')).toEqual([
      expect.stringContaining("Stopped while it waited for Claude's limit."),
    ]);
  });

  it("of one model's own does not put the work off: it continues with another, and waits only if it meets the limit again", () => {
    const play = working();
    const resetsAt = play.now + 5 * 24 * HOUR;
    play.report(rejected(resetsAt, 'seven_day_opus'), usedUp(['p1']), saved(1));
    expect(phaseOf(play).until - play.now).toBeLessThan(60_000);
    play.play({ type: 'effect-done', effect: { kind: 'find-room' }, result: { kind: 'room', at: resetsAt } });
    play.deadline(60_000);
    expect(play.state.phase.name).toBe('starting');
    const asked = play.asked.at(-1)?.promptId ?? '';
    play.started();
    play.report(init, rejected(resetsAt, 'seven_day_opus'), usedUp([asked]), saved(2));
    expect(phaseOf(play).until).toBeGreaterThan(play.now + 4 * 24 * HOUR);
  });

  it("of one model's own is not waited for if a comment asks for another model, in whatever words", () => {
    for (const words of [
      'Please use Sonnet then.',
      '@cyrus \\[model=sonnet\\]',
      'Nimm bitte Sonnet',
      'Sonnetで続けて',
      'Sonnet',
    ]) {
      const play = working();
      const resetsAt = play.now + 5 * 24 * HOUR;
      play.report(rejected(resetsAt, 'seven_day_opus'), usedUp(['p1']));
      play.report(saved(1));
      play.deadline(30_000);
      play.started();
      play.report(init, rejected(resetsAt, 'seven_day_opus'), usedUp([play.asked.at(-1)?.promptId ?? '']));
      play.report(saved(2));
      expect(phaseOf(play).until).toBeGreaterThan(play.now + 24 * HOUR);
      play.prompt('p2', 'thread-1', 'Ada', words);
      expect(phaseOf(play).until, words).toBeLessThan(play.now + 60_000);
      expect(play.deadline(60_000).map(({ kind }) => kind)).toContain('start-sandbox');
    }
  });

  it('stays if a comment names no other model, says not to use it, or the limit is of all models', () => {
    for (const [limit, words] of [
      ['seven_day_opus', 'Opus is fine, I wait.'],
      ['seven_day_opus', "Please don't use Sonnet."],
      ['seven_day_opus', 'Would Sonnet do?'],
      ['five_hour', 'Please use Sonnet then.'],
    ] as const) {
      const play = working();
      play.report(rejected(play.now + 4 * HOUR, limit), usedUp(['p1']));
      play.report(saved(1));
      const { until } = phaseOf(play);
      play.prompt('p2', 'thread-1', 'Ada', words);
      expect(phaseOf(play).until, words).toBe(until);
    }
  });

  it('of which there is room earlier is waited for a moment longer, as long by any clock', () => {
    const play = parked();
    play.play({ type: 'effect-done', effect: { kind: 'find-room' }, result: { kind: 'room', at: play.now } });
    const { until } = phaseOf(play);
    expect(until - play.now).toBeLessThan(60_000);
    play.play({ type: 'clock-moved', by: -HOUR });
    expect(phaseOf(play).until).toBe(until - HOUR);
  });

  it('is waited for whatever the sandbox still reports', () => {
    const play = parked();
    play.report({ type: 'cli-exited', code: null, signal: 'SIGTERM', duringTurn: false, cause: 'stop' });
    play.report(saved(1, 0));
    expect(phaseOf(play).name).toBe('parked');
  });

  it('lets the turn continue by itself at the reset, with the same conversation, and the answer closes it', () => {
    const play = parked();
    const conversation = play.state.conversationId;
    play.deadline(phaseOf(play).until - play.now - 1_000);
    expect(play.state.phase.name).toBe('parked');
    const effects = play.deadline(1_000);
    expect(play.state.phase.name).toBe('starting');
    expect(play.kinds(effects)).toEqual(expect.arrayContaining(['start-sandbox', 'prompt-sandbox']));
    expect(play.state.conversationId).toBe(conversation);
    const asked = play.asked.at(-1)?.promptId ?? '';
    play.started();
    play.report(init, result('I fixed it.', [asked]), saved(2));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('I fixed it.')]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('that is still used up after its reset parks the turn again, and each time for longer if no reset is known', () => {
    const play = parked();
    const waits: number[] = [];
    for (let i = 0; i < 7; i++) {
      play.deadline(phaseOf(play).until - play.now);
      const asked = play.asked.at(-1)?.promptId ?? '';
      play.started();
      play.report(init, rejected(null), usedUp([asked]));
      waits.push(phaseOf(play).until - play.now);
    }
    const [first = 0] = waits;
    expect(first).toBeGreaterThanOrEqual(5 * 60_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(HOUR);
    expect(waits.at(-1)).toBeLessThan(HOUR + 61_000);
    expect(play.closings('thread-1')).toEqual([]);
  });

  it.each([
    ['in the past', -HOUR],
    ['in a hundred years', 100 * 365 * 24 * HOUR],
  ])('with a reset %s is tried again after a while', (_, offset) => {
    const play = working();
    play.report(rejected(Math.max(1_000, play.now + offset)), usedUp(['p1']));
    const wait = phaseOf(play).until - play.now;
    expect(wait).toBeGreaterThanOrEqual(5 * 60_000);
    expect(wait).toBeLessThan(7 * 60_000);
  });

  it('may be met three times and more without the turn being given up as lost', () => {
    const play = parked();
    for (let i = 0; i < 5; i++) {
      play.deadline(phaseOf(play).until - play.now);
      // The disk of the sandbox went with the container.
      play.restartNumbers();
      play.started(`5b7d9a3e-0000-4000-8000-00000000010${i}`);
      play.started(`5b7d9a3e-0000-4000-8000-00000000020${i}`);
      const asked = play.asked.at(-1)?.promptId ?? '';
      play.report(init, rejected(play.now + HOUR), usedUp([asked]));
    }
    expect(phaseOf(play).turn.parks).toBe(6);
  });

  it('holds back no comment: it is confirmed at once, and Claude is asked when it continues', () => {
    const play = parked();
    const effects = play.prompt('p2', 'thread-2');
    expect(play.kinds(effects)).not.toContain('prompt-sandbox');
    expect(play.said('thread-2').join()).toMatch(/5-hour limit is used up.*continues at \d\d:\d\d UTC/);
    const resumed = play.deadline(2 * HOUR).filter((effect) => effect.kind === 'prompt-sandbox');
    expect(resumed.map((effect) => effect.promptId)).toEqual([play.asked.at(-1)?.promptId, 'p2']);
    play.started();
    play.report(init, result('Both.', [play.asked.at(-1)?.promptId ?? '', 'p2']), saved(2));
    expect(play.closings('thread-1')).toHaveLength(1);
    expect(play.closings('thread-2')).toHaveLength(1);
  });

  it('asks a prompt again that Claude did not come to, under another id', () => {
    const play = working();
    play.prompt('p2', 'thread-2');
    play.report(rejected(play.now + HOUR), usedUp(['p1']));
    expect(phaseOf(play).left).toEqual(['p2']);
    play.report(aborted(['p2']), saved(1, 0));
    const resumed = play.deadline(2 * HOUR).filter((effect) => effect.kind === 'prompt-sandbox');
    expect(play.copied).toEqual([{ promptId: resumed[1]?.promptId, of: 'p2' }]);
    play.started();
    play.report(init, result('First.', [resumed[0]?.promptId ?? '']), saved(2));
    play.report(init, result('Second.', [resumed[1]?.promptId ?? '']), saved(3));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('First.')]);
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('Second.')]);
  });

  it('ends with a stop, once and in words', () => {
    const play = parked();
    play.prompt('p2', 'thread-2');
    const effects = play.stop('thread-1');
    expect(play.kinds(effects)).not.toContain('stop-sandbox');
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')).toEqual([expect.stringContaining("waited for Claude's limit")]);
    expect(play.closings('thread-2')).toHaveLength(1);
    expect(play.deadline(10 * HOUR)).toEqual([]);
  });

  it('ends if the issue is taken away', () => {
    const play = parked();
    play.withdraw('unassigned');
    expect(play.state.phase.name).toBe('waiting');
    expect(play.closings('thread-1')).toHaveLength(1);
  });

  it('is over as soon as another account has room', () => {
    const play = parked();
    play.play({ type: 'effect-done', effect: { kind: 'find-room' }, result: { kind: 'room', at: play.now } });
    expect(phaseOf(play).until).toBeLessThan(play.now + 16_000);
    play.deadline(16_000);
    expect(play.state.phase.name).toBe('starting');
  });

  it('is asked after every ten minutes, in case room comes early', () => {
    const play = parked();
    expect(play.kinds(play.deadline(10 * 60_000))).toContain('find-room');
    expect(play.kinds(play.deadline(60_000))).not.toContain('find-room');
  });

  it('keeps the thread from being taken for dead', () => {
    const play = working();
    play.report(rejected(play.now + 20 * HOUR), usedUp(['p1']));
    const effects = play.deadline(21 * 60_000);
    expect(effects.filter((effect) => effect.kind === 'say')).toMatchObject([{ activity: { ephemeral: true } }]);
  });
});
