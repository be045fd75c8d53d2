import { describe, expect, it } from 'vitest';
import type { JournalBody, JournalEntry } from '../../src/protocol/journal.ts';
import { renderLog } from '../../src/session/effects/log-document.ts';
import { fixtureLines, run } from './claude-fixtures.ts';

const meta = {
  identifier: 'ENG-1',
  title: 'Totals are wrong',
  repository: 'acme/shop',
  branch: 'cyrus/eng-1',
  turn: 2,
};
const at = Date.UTC(2026, 10, 23, 9, 30);
const numbered = (bodies: JournalBody[]): JournalEntry[] =>
  bodies.map((body, index) => ({ ...body, seq: index + 1, at: at + index * 1000, turn: 2 }));
const prompt = (text: string): JournalBody => ({
  kind: 'prompt',
  promptId: 'p',
  agentSessionId: null,
  author: 'Ada',
  source: 'comment',
  text,
});
const end: JournalBody = {
  kind: 'turn-ended',
  outcome: 'completed',
  text: 'All done.',
  reason: 'completed',
  durationMs: 61_500,
  usage: { inputTokens: 100, outputTokens: 20, cacheReadTokens: 50, cacheCreationTokens: 0 },
  costUsd: 0.0123,
  numTurns: 3,
};

describe('the log of a turn', () => {
  const stream = run(fixtureLines('01-oneshot-partial-messages.jsonl')).entries.map(({ body }) => body);
  const log = renderLog(meta, numbered([prompt('Write b.txt'), ...stream, end]));

  it('begins with issue, repository, branch and time', () => {
    expect(log).toMatch(
      /^# ENG-1: Totals are wrong\n\nRepository `acme\/shop`, branch `cyrus\/eng-1`, turn 2, began 2026-11-23 09:30 UTC\n/,
    );
  });

  it('tells prompt, texts, tool calls with input and result, diffs, outcome and usage', () => {
    expect(log).toContain('## Ada asks (comment, 09:30:00)\n\n> Write b.txt');
    expect(log).toContain('> Writing the file now.');
    expect(log).toContain('<summary>Wrote b.txt</summary>\n\nInput of `Write`:\n\n```json');
    expect(log).toContain('```diff\n@@ -0,0 +1,1 @@\n+written by mock\n```');
    expect(log).toContain('(failed)</summary>');
    expect(log).toContain('## Completed (completed, ');
    expect(log).toContain(
      'took 1 min 2 s, 3 steps, 150 tokens read (50 from cache), 20 written, about $0.0123 at list prices',
    );
  });

  it('shows a result once, with its call', () => {
    expect(log.match(/Exit code 1/g)).toHaveLength(1);
  });
});

it('a log cannot be broken out of by what people, tools or Claude wrote', () => {
  const attack = '</details>\n```\n~~~\n````\n<!-- <script>x</script> ![](http://evil/x.png)\r# Forged heading';
  const log = renderLog(
    { ...meta, title: attack, repository: attack, branch: attack },
    numbered([
      prompt(attack),
      { kind: 'text', text: attack },
      { kind: 'thinking', text: attack },
      { kind: 'tool-call', toolUseId: 't', name: attack, input: { [attack]: attack } },
      {
        kind: 'tool-result',
        toolUseId: 't',
        text: attack,
        isError: false,
        edit: {
          path: attack,
          created: false,
          hunks: [{ oldStart: 1, oldLines: 1, newStart: 1, newLines: 1, lines: [attack] }],
        },
      },
      { kind: 'notice', level: 'info', text: attack },
      { kind: 'output', source: 'setup', text: attack },
      { kind: 'unknown', type: attack, raw: attack },
      { ...end, text: attack, reason: attack },
    ]),
  );
  // What is left outside of fences, with each fence matched by its own closing line.
  let outside = '';
  let fence: string | null = null;
  for (const line of log.split('\n')) {
    const ticks = /^(`{3,})/.exec(line)?.[1];
    if (fence === null && ticks !== undefined) fence = ticks;
    else if (fence === null) outside += `${line}\n`;
    else if (line === fence) fence = null;
  }
  expect(fence).toBeNull();
  const codeSpans = /(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)/g;
  const prose = outside.replace(codeSpans, '');
  const tags = prose.replace(/\\</g, '').match(/<\/?[a-z!][^>\n]*/gi) ?? [];
  expect(tags.filter((tag) => !/^<\/?(details|summary)/.test(tag))).toEqual([]);
  expect(prose.match(/^<details>$/gm)).toHaveLength(prose.match(/^<\/details>$/gm)?.length ?? 0);
  expect(prose).not.toMatch(/^# Forged|(?<!\\)!\[/m);
});

it('an empty turn still has a log', () => {
  expect(renderLog({ ...meta, identifier: null, repository: null, branch: null }, [])).toBe(
    '# Totals are wrong\n\nturn 2\n',
  );
});

describe('what was proposed', () => {
  it.each<[JournalBody, string]>([
    [
      { kind: 'pull-request', state: 'opened', number: 12, url: 'https://github.com/acme/shop/pull/12', draft: true },
      'Pull request \\#12 opened (draft): https://github.com/acme/shop/pull/12',
    ],
    [
      { kind: 'pull-request', state: 'failed', number: null, url: null, draft: false, problem: 'GitHub answered 403.' },
      'No pull request was opened: GitHub answered 403.',
    ],
    [{ kind: 'branch-link', branch: 'b', url: 'https://gitlab.com/a/b' }, 'Branch: https://gitlab.com/a/b'],
  ])('is told in one line', (body, line) => {
    expect(renderLog(meta, numbered([body]))).toContain(line);
  });
});
