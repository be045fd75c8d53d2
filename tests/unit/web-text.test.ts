import { describe, expect, test } from 'vitest';
import { plainOutput } from '../../src/lib/terminal-text.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import type { PullCheck } from '../../src/protocol/pull-request.ts';
import type { SessionRow } from '../../src/protocol/viewer.ts';
import { decodeEntry, decodeFrame } from '../../src/web/live/decode.ts';
import { type Outgoing, shownIn } from '../../src/web/live/outgoing.ts';
import { groupsOf } from '../../src/web/pages/session-pages.ts';
import { routeOf, sessionHref } from '../../src/web/route.ts';
import { ago, bytes, clock, compact, dollars, duration, plural } from '../../src/web/text/format.ts';
import { isCheapMarkdown, webAddress } from '../../src/web/text/markdown-guard.ts';
import { errorLine, firstLines } from '../../src/web/text/output-lines.ts';
import { checkCounts, reviewLines, summaryWords } from '../../src/web/text/pull-words.ts';
import { pageTitle, statusOf } from '../../src/web/text/status.ts';
import { noBlocks, scanBlocks } from '../../src/web/text/stream-blocks.ts';

describe('numbers and times', () => {
  test('are short and readable', () => {
    expect([0, 7_900, 83_000, 3_723_000, -5].map(clock)).toEqual(['0:00', '0:07', '1:23', '1:02:03', '0:00']);
    expect([40, 412, 5_234, 12_400, 83_000, 120_000, 7_500_000, 7_200_000].map(duration)).toEqual([
      ...['40 ms', '0.4 s', '5.2 s', '12 s', '1 min 23 s', '2 min', '2 h 5 min', '2 h'],
    ]);
    expect([0, 999, 1_234, 12_345, 999_900, 3_400_000].map(compact)).toEqual(['0', '999', '1.2k', '12k', '1M', '3.4M']);
    expect([0, 0.004, 0.02, 0.42, 12.3].map(dollars)).toEqual(['$0.00', '$0.004', '$0.02', '$0.42', '$12.30']);
    expect([312, 4_200].map(bytes)).toEqual(['312 B', '4.2 kB']);
    expect([1, 3].map((count) => plural(count, 'file'))).toEqual(['1 file', '3 files']);
    const hour = 3_600_000;
    expect([0, hour / 20, 2 * hour, 100 * hour].map((past) => ago(0, past))).toEqual([
      ...['now', '3 min ago', '2 h ago', '4 days ago'],
    ]);
  });
});

describe('the status', () => {
  test('says in plain words what goes on and why', () => {
    const starting = statusOf({ phase: 'starting', reason: 'Cloning acme/shop', lastOutcome: null });
    expect(starting).toEqual({ word: 'Starting', detail: 'Cloning acme/shop', tone: 'busy', ticking: true });
    expect(pageTitle(starting, 'SHOP-1')).toBe('● Starting · SHOP-1');
  });

  test('shows a stop as an outcome of its own, never as a failure', () => {
    expect(statusOf({ phase: 'waiting', reason: '', lastOutcome: 'stopped' })).toMatchObject({
      word: 'Stopped',
      tone: 'stopped',
      ticking: false,
    });
    expect(statusOf({ phase: 'waiting', reason: '', lastOutcome: 'failed' }).tone).toBe('bad');
    expect(statusOf({ phase: 'waiting', reason: '', lastOutcome: 'completed' }).tone).toBe('good');
    expect(statusOf({ phase: 'waiting', reason: '', lastOutcome: null }).word).toBe('Waiting');
  });

  test('does not say the same twice', () => {
    const detail = (reason: string) => statusOf({ phase: 'working', reason, lastOutcome: null }).detail;
    expect(['', 'Working', 'working…', 'Claude is working', 'Working: on the tests'].map(detail)).toEqual([
      ...['', '', '', '', 'On the tests'],
    ]);
    const done = statusOf({ phase: 'waiting', reason: 'Done; a comment continues it', lastOutcome: 'completed' });
    expect(done.detail).toBe('A comment continues it');
  });
});

describe('output of programs', () => {
  test('loses its colours and what was overwritten, nothing else', () => {
    expect(plainOutput('\u001b[31mred\u001b[0m \u001b]8;;http://a\u0007link\u001b]8;;\u0007')).toBe('red link');
    expect(plainOutput('10 %\r50 %\r100 %\r\nnext\rlast\r')).toBe('100 %\nlast');
    expect(plainOutput('tab\tand — ünïcode')).toBe('tab\tand — ünïcode');
  });

  test('that failed is summed up by the line that says so', () => {
    const output = 'Exit code 1\n✔ fractions of a cent are refused (0.5ms)\n✖ the total counts every piece\nℹ fail 1\n';
    expect(errorLine(output)).toBe('✖ the total counts every piece');
    expect(errorLine('one\n\n  two \n')).toBe('two');
    expect(errorLine('')).toBe('');
  });

  test('is shown from its beginning, with the number of lines left out', () => {
    expect(firstLines('a\nb\nc\nd\n', 2)).toEqual({ shown: 'a\nb', hidden: 2 });
    expect(firstLines('a\nb\n', 2)).toEqual({ shown: 'a\nb\n', hidden: 0 });
    expect(firstLines('', 2)).toEqual({ shown: '', hidden: 0 });
  });

  test('of a hostile kind takes no longer than any other', () => {
    const began = performance.now();
    plainOutput(`${'x'.repeat(200_000)}\r${'\u001b]'.repeat(50_000)}`);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe('Markdown that is being written', () => {
  const pieces = (text: string) => {
    const { cuts } = scanBlocks(noBlocks, text);
    return [0, ...cuts].map((start, index) => text.slice(start, cuts[index]));
  };

  test('is cut where something new certainly begins', () => {
    expect(pieces('One\n\nTwo\n\nThree')).toEqual(['One\n\n', 'Two\n\nThree']);
    expect(pieces('One\n\nTwo\n')).toEqual(['One\n\n', 'Two\n']);
    expect(pieces('- a\n\n- b\n\n  more\n\nEnd\n')).toEqual(['- a\n\n- b\n\n  more\n\n', 'End\n']);
    expect(pieces('1. a\n\n2. b\n')).toEqual(['1. a\n\n2. b\n']);
  });

  test('is never cut inside of code', () => {
    const code = '```ts\na\n\nb\n````\n~~~\n\nc\n```\n';
    expect(pieces(`Look:\n${code}End\n`)).toEqual(['Look:\n', '```ts\na\n\nb\n````\n', '~~~\n\nc\n```\nEnd\n']);
  });

  test('tells where the code of a fence that is still open begins', () => {
    const { fence } = scanBlocks(noBlocks, 'Look:\n```ts\nconst a');
    expect(fence).toEqual({ mark: '```', codeFrom: 12 });
    expect(scanBlocks(noBlocks, '```\na\n```\n').fence).toBeNull();
  });

  test('read in pieces of any size gives the same as read at once', () => {
    const text = 'One\n\n# Two\n\n- a\n- b\n\n```js\nx\n\ny\n```\n\nThree\n\n> q\n\nFour\n~~~\nend\n';
    for (let size = 1; size < text.length; size += 1) {
      let blocks = noBlocks;
      for (let end = size; end < text.length + size; end += size) blocks = scanBlocks(blocks, text.slice(0, end));
      expect(blocks).toEqual(scanBlocks(noBlocks, text));
    }
  });
});

describe('an address in Markdown', () => {
  test('becomes a link only if it is one of the web', () => {
    const addresses = [
      'https://a.b/c',
      'HTTP://a',
      'javascript:alert(1)',
      'data:text/html,x',
      '/api',
      '//a',
      'file:///a',
    ];
    expect(addresses.map((address) => webAddress(address) !== undefined)).toEqual([
      ...[true, true, false, false, false, false, false],
    ]);
    expect(webAddress(null)).toBeUndefined();
  });
});

describe('the address of a page', () => {
  test('is that of the list, of a session, or of nothing', () => {
    expect(routeOf('/')).toEqual({ page: 'list' });
    expect(['/account', '/audit/'].map(routeOf)).toEqual([{ page: 'account' }, { page: 'audit' }]);
    expect(routeOf(sessionHref('a/b c'))).toEqual({ page: 'session', id: 'a/b c' });
    expect(routeOf('/shared/a')).toEqual({ page: 'shared', id: 'a' });
    expect(routeOf('/sessions/%zz')).toEqual({ page: 'none' });
    expect(routeOf('/sessions')).toEqual({ page: 'none' });
  });
});

describe('the list', () => {
  test('puts what needs somebody first, and the latest change first within a group', () => {
    const row = (id: string, change: Partial<SessionRow>): SessionRow => ({
      ...{ id, identifier: id, title: id, url: null, repository: null, phase: 'waiting', reason: '' },
      ...{ lastOutcome: null, turn: 1, createdAt: 0, updatedAt: 0 },
      ...change,
    });
    const groups = groupsOf([
      row('done', { lastOutcome: 'completed' }),
      row('working', { phase: 'working', lastOutcome: 'failed' }),
      row('failed', { lastOutcome: 'failed' }),
      row('stopped', { lastOutcome: 'stopped', updatedAt: 5 }),
    ]);
    expect(groups.map((group) => group.rows.map(({ id }) => id))).toEqual([
      ['failed'],
      ['working'],
      ['stopped', 'done'],
    ]);
    expect(groupsOf([])).toEqual([]);
  });
});

describe('what a newer server sends', () => {
  test('is kept as an unknown entry, and the frame around it stays readable', () => {
    const entry = { seq: 1, at: 2, turn: 3, kind: 'telepathy', thought: 'hm' };
    const unknown = { seq: 1, at: 2, turn: 3, kind: 'unknown', type: 'telepathy', raw: JSON.stringify(entry) };
    expect(decodeEntry(entry)).toEqual(unknown);
    const known: JournalEntry = { seq: 2, at: 2, turn: 3, kind: 'text', text: 'hi' };
    expect(decodeFrame(JSON.stringify({ t: 'entries', entries: [entry, known] }))).toEqual({
      t: 'entries',
      entries: [unknown, known],
    });
  });

  test('is refused if not even its number can be read', () => {
    expect(decodeEntry({ kind: 'text', text: 'hi' })).toBeNull();
    expect(decodeFrame('{"t":"entries","entries":[{"kind":"text"}]}')).toBeNull();
    expect(decodeFrame('nonsense')).toBeNull();
  });

  test('is passed over if it is a frame of another kind', () => {
    expect(decodeFrame('{"t":"telepathy"}')).toBe('unknown');
  });
});

describe('a message written on the page', () => {
  const ids = ['0f8fad5b-d9cb-469f-a165-70867728950e', '7c9e6679-7425-40de-944b-e07fc1f90ae7'] as const;
  const messages: Outgoing[] = ids.map((id) => ({ id, text: id, at: 0, state: 'sending' }));
  const entry = { seq: 1, at: 0, turn: 0, author: null, source: 'page', promptId: ids[0] } as const;

  test('is shown once: it goes when the journal shows it, also as the stop that its words asked for', () => {
    expect(shownIn(messages, [{ ...entry, kind: 'prompt', agentSessionId: null, text: 'hi' }])).toEqual([ids[0]]);
    expect(shownIn(messages, [{ ...entry, kind: 'stop-requested' }])).toEqual([ids[0]]);
    expect(shownIn(messages, [])).toEqual([]);
  });
});

describe('Markdown that is hostile', () => {
  test.each([
    ['delimiters without end', '*a_ '.repeat(16_000)],
    ['strikes without end', '~~a~ '.repeat(1_500)],
    ['markup without end', '<a><!--'.repeat(5_000)],
    ['quotes in quotes', `${'>'.repeat(400)} deep`],
    ['lists in lists', `${'- '.repeat(400)}deep`],
    ['numbers in numbers', `${'1. '.repeat(400)}deep`],
    ['one endless piece', 'word '.repeat(6_000)],
  ])('is shown plain: %s', (_, text) => {
    const began = performance.now();
    expect(isCheapMarkdown(text)).toBe(false);
    expect(performance.now() - began).toBeLessThan(100);
  });

  test('is told apart from what people write', () => {
    const list = '- **bold** and `code_with_underscores`, see [a page](https://example.com) > [x]\n'.repeat(120);
    expect(isCheapMarkdown(list)).toBe(true);
    expect(isCheapMarkdown(`${'-'.repeat(200)}\n> > > quoted\n`)).toBe(true);
    expect(isCheapMarkdown(`|a|b|\n|-|-|\n${'|x|y|\n'.repeat(2_000)}`)).toBe(true);
  });
});

describe('a pull request in words', () => {
  test('is its state with what checks and reviews say, once it is over its end alone', () => {
    expect(summaryWords({ state: 'open', checks: 'running', review: 'none' })).toBe('open, checks run');
    expect(summaryWords({ state: 'draft', checks: 'failed', review: 'changes' })).toBe(
      'draft, checks failed, changes asked for',
    );
    expect(summaryWords({ state: 'merged', checks: 'failed', review: 'approved' })).toBe('merged');
  });

  test('counts its checks, those that failed first', () => {
    const check = (state: PullCheck['state']): PullCheck => ({ name: 'x', state, url: null });
    expect(checkCounts([check('passed'), check('failed'), check('passed')], 20)).toBe(
      '1 failed, 2 passed, and 20 more',
    );
    expect(checkCounts([], 0)).toBe('None');
  });

  test('names who said what of it, and counts those beyond three', () => {
    const said = { approvedBy: ['ada', 'ben'], changesBy: ['c'], waitsFor: ['d', 'e', 'f', 'g', 'h'] };
    expect(reviewLines(said)).toEqual([
      'c asked for changes',
      'ada and ben approved it',
      'Waits for d, e, f and 2 others',
    ]);
    expect(reviewLines({ approvedBy: [], changesBy: [], waitsFor: [] })).toEqual([]);
  });
});
