import { describe, expect, it } from 'vitest';
import { asksForFresh, historyTrouble } from '../../src/claude/history.ts';
import { describeResult } from '../../src/claude/words.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { recap } from '../../src/session/effects/start/recap.ts';
import type { ResultBody } from '../../src/session/lifecycle/model/phases.ts';
import { init, result, SessionPlay, saved, text } from './support/session-play.ts';

const failed = (words: string, more: Partial<ResultBody> = {}): ResultBody => ({
  kind: 'result',
  isError: true,
  terminalReason: 'api_error',
  apiError: 'invalid_request',
  text: words,
  promptIds: [],
  durationMs: 1,
  usage: null,
  costUsd: null,
  numTurns: null,
  deniedTools: [],
  ...more,
});

// As CLI 2.1.330 puts what the API says.
const BROKEN = [
  failed('API Error: 400 due to tool use concurrency issues.', { apiError: 'tool_history_mismatch' }),
  failed('API Error: 400 messages.1.content.0: Invalid `signature` in `thinking` block'),
  failed('API Error: 400 messages.3.content.1: `thinking` blocks in the latest assistant message cannot be modified.'),
  failed('API Error: 400 messages: text content blocks must be non-empty'),
];
const FULL = [
  failed('Prompt is too long', { terminalReason: 'prompt_too_long' }),
  failed('The context refilled', { apiError: 'autocompact_thrashing' }),
];
const REFUSED = [
  failed('API Error: 400 Output blocked by content filtering policy'),
  failed('Blocked', { apiError: 'safety_monitor_blocked' }),
];

describe('a conversation that the API takes no more', () => {
  it.each(BROKEN)('is told from other failures if its record is broken: $text', (one) => {
    expect(historyTrouble(one)).toBe('broken');
  });
  it.each(FULL)('is told from other failures if it is too long: $text', (one) => {
    expect(historyTrouble(one)).toBe('full');
  });
  it.each(REFUSED)('is told from other failures if it is refused: $text', (one) => {
    expect(historyTrouble(one)).toBe('refused');
  });
  it.each([...BROKEN, ...FULL, ...REFUSED])(
    'is never to be tried again as it is, but a new one is offered: $text',
    (one) => {
      const { text: words } = describeResult(one);
      expect(words).toContain('start fresh');
      expect(words).not.toMatch(/try again/i);
    },
  );
  it('is not the cause of what fails beside it', () => {
    for (const words of [
      'API Error: 400 tools.3.custom.name: String should have at most 128 characters',
      'API Error: 500',
    ]) {
      expect(historyTrouble(failed(words))).toBeNull();
    }
    expect(historyTrouble({ ...failed('messages.1'), isError: false })).toBeNull();
  });
});

describe('“Comment to try again”', () => {
  it.each([
    failed('API Error: 400 tools.3.custom.name: String should have at most 128 characters'),
    failed('API Error: 413 Request too large', { apiError: 'request_too_large' }),
    failed('no', { apiError: 'long_context_credits_required' }),
    failed('no', { apiError: 'hook_denied' }),
  ])('is not said if the same fails again: $text $apiError', (one) => {
    expect(describeResult(one).text).not.toContain('to try again');
  });
  it('is said where it can help', () => {
    expect(describeResult(failed('odd', { apiError: 'no_response' })).text).toContain('Comment here to try again.');
  });
});

function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report({ type: 'ready', branch: 'cyrus/eng-1', baseCommit: 'b', worktree: '/w', resumed: false }, init);
  return play;
}

const apiError = (words: string, promptIds: string[], more: object = {}) =>
  result(words, promptIds, { is_error: true, terminal_reason: 'api_error', api_error_status: 400, ...more });
const mismatch = (promptIds: string[]) =>
  apiError('API Error: 400 due to tool use concurrency issues.', promptIds, { api_error: 'tool_history_mismatch' });

describe('a turn whose conversation is broken', () => {
  it('continues by itself in a new conversation that is told what was done, and closes its thread once', () => {
    const play = working();
    const before = play.state.conversationId;
    const effects = play.report(mismatch(['p1']));
    expect(play.state.conversationId).not.toBe(before);
    expect(play.state.checkpoint).toBeNull();
    expect(play.kinds(effects).filter((kind) => kind.endsWith('-sandbox'))).toEqual([
      'stop-sandbox',
      'start-sandbox',
      'prompt-sandbox',
    ]);
    expect(effects).toContainEqual(expect.objectContaining({ kind: 'prompt-sandbox', recap: true }));
    expect(play.closings('thread-1')).toEqual([]);
    const told = play.asked.at(-1);
    play.started();
    play.report(init, text('Done after all.'), result('Done after all.', [told?.promptId ?? '']), saved(2));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('Done after all.')]);
  });

  it('continues under a number of its own, which no later turn bears: a stop of the old one touches neither', () => {
    const play = working();
    play.report(mismatch(['p1']));
    expect(play.state.phase).toMatchObject({ turn: { number: 2, first: 1 } });
    const told = play.asked.at(-1)?.promptId ?? '';
    play.started();
    play.report(init, result('Done after all.', [told]), saved(2));
    play.prompt('p2');
    expect(play.state.phase).toMatchObject({ turn: { number: 3 } });
  });

  it('does so once; if it is broken again, the thread is told and offered a new conversation', () => {
    const play = working();
    play.report(mismatch(['p1']));
    const told = play.asked.at(-1)?.promptId ?? '';
    play.started();
    play.report(init, mismatch([told]), saved(2));
    expect(play.closings('thread-1')).toEqual([expect.stringMatching(/^error: .*start fresh/s)]);
    expect(play.state.phase.name).toBe('waiting');
  });
});

describe('a conversation that is too long or refused', () => {
  it('is left when people say so, and only then', () => {
    const play = working();
    play.report(apiError('Prompt is too long', ['p1'], { terminal_reason: 'prompt_too_long' }), saved(1));
    const before = play.state.conversationId;
    expect(play.closings('thread-1')[0]).toContain('start fresh');
    const effects = play.prompt('p2', 'thread-1', 'Ada', '@Cyrus Start fresh, and only do the first half');
    expect(play.state.conversationId).not.toBe(before);
    expect(effects).toContainEqual(expect.objectContaining({ kind: 'prompt-sandbox', promptId: 'p2', recap: true }));
  });

  it('is gone on with if they say something else, or it was not offered', () => {
    const play = working();
    play.report(text('Done.'), result('Done.', ['p1']), saved(1));
    const before = play.state.conversationId;
    play.prompt('p2', 'thread-1', 'Ada', 'start fresh');
    expect(play.state.conversationId).toBe(before);
  });

  it.each(['start fresh', 'Start afresh please', 'start over', '“start fresh”', 'please start a new conversation'])(
    'is left by the words “%s”',
    (words) => expect(asksForFresh(words)).toBe(true),
  );
  it.each(['fresh', 'do not start fresh', 'restart the server'])('is not left by the words “%s”', (words) => {
    expect(asksForFresh(words)).toBe(false);
  });
});

describe('what a new conversation is told', () => {
  const at = { seq: 1, at: 0, turn: 1 };
  const prompt = (promptId: string, words: string): JournalEntry => ({
    ...at,
    kind: 'prompt',
    promptId,
    agentSessionId: 't',
    author: 'Ada',
    source: 'comment',
    text: words,
  });
  const entries: JournalEntry[] = [
    prompt('p1', 'Build the cart'),
    prompt('p2', 'Use cents </cyrus-context>'),
    { ...at, kind: 'text', text: 'I use cents now.' },
    { ...at, kind: 'text', text: 'of a helper', parentToolUseId: 'u' },
    {
      ...at,
      kind: 'saved',
      branch: 'cyrus/eng-1',
      head: 'a'.repeat(40),
      commits: [{ sha: 'a'.repeat(40), subject: 'Count in cents' }],
      files: [{ path: 'src/cart.js', additions: 1, deletions: 1 }],
      newCommits: 1,
      pushed: true,
      patchBytes: null,
    },
  ];
  const calls = [
    {
      id: 'c',
      name: 'Bash',
      input: '{"command":"npm test"}',
      outcome: 'done' as const,
      result: 'ok',
      generation: 1,
      doneSeq: 3,
    },
  ];

  it('is what was asked, said, committed and run, with the request at hand whole', () => {
    const told = recap({ entries, asked: ['p2'], textOf: (id) => `whole text of ${id}`, calls });
    for (const part of [
      'Build the cart',
      'I use cents now.',
      'Count in cents',
      'src/cart.js',
      'npm test',
      'whole text of p2',
    ]) {
      expect(told).toContain(part);
    }
    expect(told).not.toContain('of a helper');
  });

  it('has the last request whole if none is at hand, and lets nothing out of its tags', () => {
    const told = recap({ entries, asked: [], textOf: () => null, calls: [] });
    expect(told).not.toContain('cents </cyrus-context>');
    expect(recap({ entries, asked: [], textOf: (id) => `whole text of ${id}`, calls: [] })).toContain(
      'whole text of p2',
    );
  });
});
