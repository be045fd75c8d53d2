import { describe, expect, it } from 'vitest';
import { allowedHeaders, rejectedHeaders } from '../../dev/claude/rate-limits.ts';
import { describeResult } from '../../src/claude/words.ts';
import { budgetWords, usedUpBudget } from '../../src/claude-quota/budget.ts';
import { modelFor, overloadModel } from '../../src/claude-quota/model-choice.ts';
import { costOf, expectedCost, priceOf } from '../../src/claude-quota/prices.ts';
import { chooseToken } from '../../src/claude-quota/token-pool.ts';
import { current, leftOf, readWindows, roomAt, type Windows } from '../../src/claude-quota/windows.ts';
import { UsageReader } from '../../src/gateway/claude/usage-reader.ts';
import { admit, emptyLine, join, type Line, leave, orderOf, positionsOf } from '../../src/queue/fair-queue.ts';
import { histories } from '../histories.ts';
import { Random } from './support/random.ts';
import { init, line, result, SessionPlay, saved } from './support/session-play.ts';

const NOW = 1_795_000_000_000;
const HOUR = 3_600_000;

function windows(used: number, more: Partial<Windows> = {}): Windows {
  const window = { name: '5h', utilization: used, resetsAt: NOW + HOUR, status: 'allowed' };
  return { at: NOW, status: 'allowed', resetsAt: NOW + HOUR, windows: [window], ...more };
}

describe("the windows of Claude's limits", () => {
  it('are read from the headers of an answer', () => {
    const read = readWindows(new Headers(allowedHeaders(NOW)), NOW);
    expect(read).toMatchObject({ at: NOW, status: 'allowed' });
    expect(read?.windows).toMatchObject([
      { name: '5h', utilization: 0.12, status: 'allowed' },
      { name: '7d', utilization: 0.05, status: 'allowed' },
    ]);
  });

  it('are not there with an API key', () => {
    expect(readWindows(new Headers({ 'anthropic-ratelimit-requests-limit': '1' }), NOW)).toBeNull();
  });

  it('are usable again at the reset of what is used up', () => {
    const reset = Math.floor(NOW / 1000) + 7_200;
    const read = readWindows(new Headers(rejectedHeaders('seven_day', reset)), NOW);
    expect(roomAt(read, NOW)).toBe(reset * 1000);
    expect(leftOf(read, NOW)).toBe(0);
    expect(roomAt(read, reset * 1000)).toBe(reset * 1000);
  });

  it('count as unused once their reset has passed', () => {
    expect(leftOf(windows(0.9), NOW)).toBeCloseTo(0.1);
    expect(leftOf(windows(0.9), NOW + HOUR)).toBe(1);
    expect(current(windows(0.9), NOW + HOUR)).toMatchObject([{ utilization: 0, resetsAt: null }]);
  });

  it.each(['', 'soon', '-1', '1e99', 'NaN'])('read a reset of "%s" as unknown', (reset) => {
    const headers = { ...rejectedHeaders('five_hour', 0), 'anthropic-ratelimit-unified-reset': reset };
    const read = readWindows(new Headers({ ...headers, 'anthropic-ratelimit-unified-5h-reset': reset }), NOW);
    const until = roomAt(read, NOW);
    expect(until).toBeGreaterThanOrEqual(NOW);
    expect(until).toBeLessThan(NOW + 41 * 24 * HOUR);
  });
});

describe('a window of one model', () => {
  const of = (status: string, opus: number) => {
    const reset = String(Math.floor(NOW / 1000) + 5 * 24 * 3_600);
    const name = (rest: string) => `anthropic-ratelimit-unified-${rest}`;
    return readWindows(
      new Headers({
        [name('status')]: status,
        [name('reset')]: reset,
        [name('representative-claim')]: 'seven_day_opus',
        [name('7d-status')]: 'allowed',
        [name('7d-utilization')]: '0.4',
        [name('5h-status')]: 'allowed',
        [name('5h-utilization')]: '0.1',
        [name('7d_opus-status')]: status,
        [name('7d_opus-reset')]: reset,
        [name('7d_opus-utilization')]: String(opus),
      }),
      NOW,
    );
  };

  it('that is used up leaves the other models their room', () => {
    expect(leftOf(of('rejected', 1), NOW, 'claude-sonnet-5')).toBeCloseTo(0.6);
    expect(leftOf(of('rejected', 1), NOW)).toBeCloseTo(0.6);
    expect(leftOf(of('rejected', 1), NOW, 'opus')).toBe(0);
    expect(roomAt(of('rejected', 1), NOW, 'opus')).toBeGreaterThan(NOW);
    expect(roomAt(of('rejected', 1), NOW, 'sonnet')).toBe(NOW);
  });

  it('that is nearly used up makes that model give way, and no other', () => {
    const limits = { fallBackAt: 0.2, limitFallbacks: { opus: 'sonnet', sonnet: 'haiku' } };
    expect(modelFor('opus', of('allowed', 0.95), limits, NOW).model).toBe('sonnet');
    expect(modelFor('sonnet', of('allowed', 0.95), limits, NOW).model).toBe('sonnet');
  });
});

describe('a token', () => {
  const state = (name: string, more: object = {}) => ({ name, windows: null, isOut: false, sessions: 0, ...more });

  it('stays with a session that has it while it has room', () => {
    const tokens = [state('a', { windows: windows(0.1) }), state('b', { windows: windows(0.8) })];
    expect(chooseToken(tokens, 'b', NOW)).toEqual({ kind: 'token', name: 'b' });
    expect(chooseToken(tokens, null, NOW)).toEqual({ kind: 'token', name: 'a' });
  });

  it('gives way to the one with most room, then to the one with fewest sessions', () => {
    const full = windows(1, { status: 'rejected' });
    const tokens = [state('a', { windows: full }), state('b', { sessions: 3 }), state('c', { sessions: 1 })];
    expect(chooseToken(tokens, 'a', NOW)).toEqual({ kind: 'token', name: 'c' });
  });

  it('that is used up is never chosen; if all are used up, the one with the first reset is', () => {
    const until = (at: number) => windows(1, { status: 'rejected', resetsAt: at, windows: [] });
    const tokens = [
      state('a', { isOut: true }),
      state('b', { windows: until(NOW + 2 * HOUR) }),
      state('c', { windows: until(NOW + HOUR) }),
    ];
    expect(chooseToken(tokens, 'a', NOW)).toEqual({ kind: 'full', name: 'c', until: NOW + HOUR });
    expect(chooseToken(tokens.slice(0, 1), 'a', NOW)).toEqual({ kind: 'out' });
  });
});

describe('the model of a turn', () => {
  const limits = { fallBackAt: 0.2, limitFallbacks: { opus: 'sonnet' } };

  it.each([
    ['opus', 0.79, 'opus'],
    ['opus', 0.8, 'sonnet'],
    ['claude-opus-5-5', 0.95, 'sonnet'],
    ['sonnet', 0.95, 'sonnet'],
  ])('%s with %d used is %s', (wanted, used, model) => {
    expect(modelFor(wanted, windows(used), limits, NOW).model).toBe(model);
  });

  it('is the one wanted if nothing is known or no threshold is set', () => {
    expect(modelFor('opus', null, limits, NOW).model).toBe('opus');
    expect(modelFor('opus', windows(0.99), { ...limits, fallBackAt: 0 }, NOW).model).toBe('opus');
  });

  it('has another for an overload, never itself, which the CLI refuses', () => {
    const overloadFallbacks = { opus: 'sonnet', sonnet: 'haiku' };
    expect(overloadModel('opus', { overloadFallbacks })).toBe('sonnet');
    expect(overloadModel('haiku', { overloadFallbacks })).toBeNull();
    expect(overloadModel('haiku', { overloadFallbacks: { haiku: 'haiku' } })).toBeNull();
  });

  it('that is not the one wanted is told once, in one line', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    const fellBack = { from: 'opus', to: 'sonnet', left: 0.18 };
    play.started(undefined, 'preparing', { fellBack });
    play.started(undefined, 'preparing', { fellBack });
    const told = play.said('thread-1').filter((words) => words.includes('instead of opus'));
    expect(told).toEqual(["thought: 18 % of Claude's limit is left, so this turn uses sonnet instead of opus."]);
  });
});

describe('prices', () => {
  it('follow the model, and an admin may override them', () => {
    const usage = { inputTokens: 1e6, outputTokens: 1e6, cacheReadTokens: 1e6, cacheCreationTokens: 1e6 };
    expect(costOf(usage, 'claude-sonnet-5-5', [])).toBeCloseTo(2 + 10 + 0.2 + 2.5);
    expect(costOf(usage, 'claude-opus-5-5', [])).toBeCloseTo(4 + 20 + 0.4 + 5);
    expect(costOf(usage, 'claude-opus-4-8', [])).toBeCloseTo(5 + 25 + 0.5 + 6.25);
    expect(priceOf('claude-sonnet-5', [])).toMatchObject({ input: 2, output: 10 });
    expect(priceOf('claude-sonnet-5-20260930', [])).toMatchObject({ input: 2, output: 10 });
    expect(priceOf('claude-fable-5', [])).toMatchObject({ input: 10, output: 50 });
    const own = [{ model: 'sonnet', input: 1, output: 1, cacheRead: 1, cacheCreation: 1 }];
    expect(costOf(usage, 'claude-sonnet-5-5', own)).toBeCloseTo(4);
  });

  it('count an hour of cache, long contexts, fast mode and searches of the web', () => {
    const usage = { inputTokens: 1e5, outputTokens: 1e5, cacheReadTokens: 0, cacheCreationTokens: 1e5 };
    const plain = costOf(usage, 'claude-sonnet-4-5', []);
    expect(plain).toBeCloseTo(0.3 + 1.5 + 0.375);
    expect(costOf({ ...usage, hourCacheTokens: 1e5 }, 'claude-sonnet-4-5', [])).toBeCloseTo(0.3 + 1.5 + 0.6);
    expect(costOf({ ...usage, webSearches: 10 }, 'claude-sonnet-4-5', [])).toBeCloseTo(plain + 0.1);
    expect(costOf({ ...usage, inputTokens: 2e5 }, 'claude-sonnet-4-5', [])).toBeCloseTo((0.6 + 0.375) * 2 + 1.5 * 1.5);
    expect(costOf({ ...usage, inputTokens: 2e5 }, 'claude-sonnet-5-5', [])).toBeCloseTo(0.4 + 0.25 + 1);
    expect(costOf({ ...usage, isFast: true }, 'claude-opus-5', [])).toBeCloseTo(2 * costOf(usage, 'claude-opus-5', []));
    expect(costOf({ ...usage, isFast: true }, 'claude-opus-4-6', [])).toBeCloseTo(
      6 * costOf(usage, 'claude-opus-4-6', []),
    );
  });

  it('charge an unknown model at the highest price', () => {
    expect(priceOf('claude-from-the-future', []).output).toBeGreaterThan(priceOf('opus', []).output);
  });

  it('expect a request to cost what writing it to the cache costs, and an answer', () => {
    expect(expectedCost(400_000, 'sonnet', [])).toBeCloseTo((100_000 * 3.75 + 2_000 * 15) / 1e6);
  });
});

describe('a budget', () => {
  const budgets = { session: 1, repositoryPerMonth: 10, month: 100 };

  it('counts as used up if the next request would exceed it', () => {
    const spent = { session: 0.9, repositoryThisMonth: 9, month: 50 };
    expect(usedUpBudget(budgets, spent, 0.1)).toBeNull();
    expect(usedUpBudget(budgets, spent, 0.11)).toMatchObject({ which: 'session' });
    expect(usedUpBudget({ ...budgets, session: null }, spent, 2)).toMatchObject({ which: 'repository' });
    expect(usedUpBudget(budgets, { ...spent, session: 0, month: 100 }, 0.1)).toMatchObject({ which: 'month' });
  });

  it('that is used up ends a turn in words that say what happened and who can raise it', () => {
    const words = budgetWords({ which: 'month', limit: 100, spent: 99.5 });
    const text = `API Error: 402 {"type":"error","error":{"type":"billing_error","message":"${words}"}}`;
    const body = {
      kind: 'result',
      isError: true,
      terminalReason: 'api_error',
      apiError: 'billing_error',
      text,
      promptIds: [],
      durationMs: 1,
      usage: null,
      costUsd: null,
      numTurns: null,
      deniedTools: [],
    } as const;
    const described = describeResult({ ...body, promptIds: [], deniedTools: [] });
    expect(described.text).toContain(words);
    expect(described.text).not.toContain('{');
  });
});

describe('the queue of a workspace', () => {
  const entry = (session: string, owner: string, since: number, turn = 1) => ({ session, owner, since, turn });

  it('goes by turns between people, and of one person by time', () => {
    const line: Line = {
      working: [entry('w', 'ada', 0)],
      waiting: [entry('a1', 'ada', 1), entry('a2', 'ada', 2), entry('b1', 'bob', 3), entry('b2', 'bob', 4)],
    };
    expect(orderOf(line).map(({ session }) => session)).toEqual(['b1', 'a1', 'b2', 'a2']);
    expect(positionsOf(line).get('a2')).toBe(4);
  });

  it('lets in as many as there are slots, and what is under way past that', () => {
    let line = emptyLine;
    for (const name of ['a', 'b', 'c']) line = admit(join(line, entry(name, name, 1), false), 2, 5);
    expect([line.working.length, line.waiting.length]).toEqual([2, 1]);
    line = admit(join(line, entry('d', 'd', 2), true), 2, 6);
    expect([line.working.length, line.waiting.length]).toEqual([3, 1]);
  });

  it('keeps the place of a session that asks again, and of a later turn that an earlier one leaves', () => {
    let line = admit(join(emptyLine, entry('a', 'a', 1), false), 1, 1);
    line = admit(join(line, entry('a', 'a', 9, 2), false), 1, 9);
    expect(line.working).toHaveLength(1);
    expect(leave(line, 'a', 1, 9).working).toHaveLength(1);
    expect(leave(line, 'a', 2, 9).working).toHaveLength(0);
  });

  const queues = histories(500);
  it(`loses nobody and never exceeds the cap, in ${queues} random histories`, () => {
    for (let seed = 1; seed <= queues; seed++) {
      const random = new Random(seed);
      const cap = 1 + random.below(3);
      let line: Line = emptyLine;
      const inside = new Set<string>();
      for (let now = 1; now < 60; now++) {
        const session = `s${random.below(8)}`;
        if (random.chance(0.6)) {
          inside.add(session);
          line = admit(join(line, entry(session, `p${random.below(3)}`, now), false), cap, now);
        } else {
          inside.delete(session);
          line = admit(leave(line, session, 1, now), cap, now);
        }
        const known = [...line.working, ...line.waiting].map((one) => one.session);
        expect(new Set(known)).toEqual(inside);
        expect(known).toHaveLength(inside.size);
        expect(line.working.length).toBe(Math.min(cap, inside.size));
      }
    }
  });
});

describe('the use of an answer', () => {
  const bytes = new TextEncoder();
  const text = [
    'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-opus-5-5","usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":1}}}\n\n',
    'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"{\\"type\\":\\"message_delta\\",\\"usage\\":{\\"output_tokens\\":9}}"}}\n\n',
    'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":77,"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_1h_input_tokens":5},"server_tool_use":{"web_search_requests":2},"speed":"fast"}}\n\n',
  ].join('');

  it('is read however the stream is cut', () => {
    const whole = bytes.encode(text);
    for (const size of [1, 7, 100, whole.length]) {
      const reader = new UsageReader('text/event-stream; charset=utf-8');
      for (let from = 0; from < whole.length; from += size) reader.take(whole.slice(from, from + size));
      expect(reader.end()).toEqual({
        model: 'claude-opus-5-5',
        inputTokens: 10,
        outputTokens: 77,
        cacheReadTokens: 4,
        cacheCreationTokens: 9,
        hourCacheTokens: 5,
        webSearches: 2,
        isFast: true,
      });
    }
  });

  it('is counted by what has passed if the answer breaks off before it says', () => {
    const delta = (length: number) =>
      `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${'x'.repeat(length)}"}}\n\n`;
    const reader = new UsageReader('text/event-stream');
    reader.take(bytes.encode(text.slice(0, text.indexOf('event: content'))));
    for (let piece = 0; piece < 1_000; piece += 1) reader.take(bytes.encode(delta(piece % 2 === 0 ? 4 : 4_000)));
    const { outputTokens, inputTokens } = reader.end();
    expect(reader.isWhole).toBe(false);
    expect(inputTokens).toBe(10);
    expect(outputTokens).toBeGreaterThan(480_000);
    expect(outputTokens).toBeLessThan(520_000);
  });

  it('is whole only if the answer says it at its end', () => {
    const isWhole = (type: string, answer: string) => {
      const reader = new UsageReader(type);
      reader.take(bytes.encode(answer));
      reader.end();
      return reader.isWhole;
    };
    expect(isWhole('text/event-stream', text)).toBe(true);
    expect(isWhole('text/event-stream', text.slice(0, text.indexOf('event: message_delta')))).toBe(false);
    expect(isWhole('text/event-stream', 'event: ping\ndata: {"type": "ping"}\n\n')).toBe(false);
    expect(isWhole('application/json', '{"model":"claude-sonnet-5","usage":{"input_tokens":1}}')).toBe(true);
    expect(isWhole('application/json', '{"model":"claude-sonnet-5"')).toBe(false);
    // However its members are ordered.
    expect(isWhole('text/event-stream', 'data: {"usage":{"output_tokens":5}, "type" : "message_delta"}\n\n')).toBe(
      true,
    );
  });

  it('survives lines without an end and nonsense', () => {
    const reader = new UsageReader('text/event-stream');
    reader.take(bytes.encode(`data: {"type":"message_start"${'x'.repeat(1_000_000)}`));
    reader.take(
      bytes.encode(
        `\ndata: {"type":"message_delta","usage":{"output_tokens":-5}}\n\ndata: {"type":"message_delta","usage":{"output_tokens":5}}\n\n`,
      ),
    );
    expect(reader.end()).toMatchObject({ model: null, outputTokens: 5 });
  });

  it('is counted from what came, also when the answer breaks off, and whatever its lines end with', () => {
    const cut = (piece: string) => {
      const reader = new UsageReader('text/event-stream');
      reader.take(bytes.encode(piece));
      return reader.end().outputTokens;
    };
    const first = 'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":7}}';
    expect(cut(`${first}\n`)).toBe(7);
    expect(cut(first)).toBe(7);
    expect(cut(first.slice(0, -1))).toBe(0);
    expect(cut(`${first}\n\n`.replaceAll('\n', '\r\n'))).toBe(7);
  });
});

describe('trouble with the account', () => {
  it('is shown on the page until a turn has gone well', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.startedWith({ kind: 'blocked', text: 'Run `claude setup-token`.' });
    expect(play.closings('thread-1')).toEqual(['error: Run `claude setup-token`.']);
    expect(play.state.alert).toBe('Run `claude setup-token`.');
    play.prompt('p2');
    play.started();
    play.report(init, result('Done.', ['p2']), saved(play.state.turns));
    expect(play.state.alert).toBeNull();
  });
});

it('shows the windows that Claude Code tells of by the names the headers have', () => {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  const unifiedWindows = { five_hour: { utilization: 0.63, resetsAt: 1_795_000_000, status: 'allowed' } };
  play.report(init, line({ type: 'rate_limit_event', rate_limit_info: { status: 'allowed', unifiedWindows } }));
  expect(play.state.windows).toEqual([
    { name: '5h', utilization: 0.63, resetsAt: 1_795_000_000_000, status: 'allowed' },
  ]);
});
