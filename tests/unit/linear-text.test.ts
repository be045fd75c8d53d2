import { describe, expect, test } from 'vitest';
import { isLookingCommand } from '../../container/claude/read-only-commands.ts';
import { harmlessMessage } from '../../container/hooks/commit-message.ts';
import { importsOf } from '../../container/session/claude-md-imports.ts';
import { slowPatterns } from '../../dev/checks/linear-patterns.ts';
import { withoutInternals } from '../../src/claude/internals.ts';
import { initialPlan, readPlan } from '../../src/claude/plan.ts';
import { materialPrompt, requestIn } from '../../src/claude/prompts.ts';
import { updatedBody } from '../../src/github/pull-request-text.ts';
import { withoutBeginning, withoutEnding, withoutSections } from '../../src/lib/linear-time.ts';
import { fence, headline, inlineCode } from '../../src/lib/markdown.ts';
import { plainOutput } from '../../src/lib/terminal-text.ts';
import { toolWords } from '../../src/linear/tool-words.ts';
import { findUploads } from '../../src/linear/uploads.ts';
import { isPlaceholder } from '../../src/linear/webhooks/mention.ts';
import { redact } from '../../src/observability/log.ts';
import { harmlessLine, harmlessMarkdown, harmlessPlain } from '../../src/protocol/text/harmless-text.ts';
import { splitCode, withoutCode } from '../../src/protocol/text/markdown-code.ts';
import { comparable, spokenWords } from '../../src/session/lifecycle/model/spoken.ts';
import { readChoices, readValue, withoutIds } from '../../src/session/lifecycle/questions/choices.ts';
import { readYesNo } from '../../src/session/lifecycle/questions/yes-no.ts';
import {
  isPlainStop,
  modelWish,
  repositoryWish,
  spokenModel,
  typedText,
} from '../../src/session/lifecycle/start/wishes.ts';
import { errorLine } from '../../src/web/text/output-lines.ts';

/** Everything that reads text of people, of repositories or of tools. */
const READERS: Record<string, (text: string) => unknown> = {
  harmlessMessage,
  importsOf,
  isLookingCommand,
  withoutInternals,
  plan: (text) => readPlan(initialPlan, { kind: 'text', text }),
  materialPrompt,
  requestIn,
  updatedBody: (text) => updatedBody(text, 'new'),
  fence,
  headline,
  inlineCode,
  isPlaceholder,
  toolWords: (text) => toolWords(text, { command: text }, null),
  findUploads: (text) => findUploads(`${text} uploads.linear.app`, 'https://uploads.linear.app'),
  redact,
  harmlessLine,
  harmlessMarkdown,
  harmlessPlain,
  plainOutput,
  readChoices: (text) => readChoices(text, [{ label: 'Red', id: 'red' }]),
  readValue,
  withoutIds,
  comparable,
  spokenWords,
  isPlainStop,
  modelWish,
  repositoryWish,
  spokenModel: (text) => spokenModel(text, ['opus', 'sonnet']),
  typedText,
  readYesNo,
  errorLine,
};

/** What patterns begin with, repeat and look for. */
const PIECES = [
  ...[
    ' ',
    '\n',
    '\r',
    '\t',
    '<',
    '< ',
    '[',
    '](',
    '[a](',
    '![',
    '`',
    '`` `',
    '~~~\n',
    '```\n',
    '<!--',
    '-->',
    '@a ',
    '\\',
    '-',
  ],
  ...[
    '#',
    '1. ',
    '> ',
    '*',
    '_',
    ',',
    '.',
    '/',
    '(',
    '"',
    '@',
    'closes ',
    'closes https://',
    'fixes the ',
    'ENG-1',
    'https://',
  ],
  ...[
    '/profiles/',
    '<user ',
    '[repo',
    '[repo=',
    '&lt;',
    '<cyrus-request>\n',
    '<system-reminder>',
    'eyJ',
    'eyJa.',
    '\u001b]',
  ],
  ...[
    'agentId: ',
    'output_file: /tasks/',
    '/tasks/',
    'Co-authored-by: ',
    '<a@',
    'mcp__',
    '__',
    '<!-- cyrus:begin ',
    '\u001b[1;',
    'ö',
    'e\u0301',
  ],
];
const LENGTH = 20_000;

/** The time of the processor that a task takes at least, in µs. */
function cost(task: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = process.cpuUsage();
    task();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
    if (least < 20_000) break;
  }
  return least;
}

describe('reading foreign text', () => {
  const hostile = PIECES.flatMap((piece) => {
    const run = piece.repeat(Math.ceil(LENGTH / piece.length));
    return [run, `<${run}`, `closes${run}`, `${run}x`, `[repo${run}`, `@a ${run}!`];
  });
  const copy =
    cost(() => {
      for (let time = 0; time < 20; time++) [...'x'.repeat(LENGTH)].join('');
    }) / 20;

  for (const [name, read] of Object.entries(READERS)) {
    test(`takes time in proportion to its length, whatever is in it: ${name}`, () => {
      for (const text of hostile) {
        const taken = cost(() => read(text));
        // What goes by the square of the length takes hundreds of copies' time.
        expect(taken, JSON.stringify(text.slice(0, 40))).toBeLessThan(Math.max(100_000, 300 * copy));
      }
    });
  }

  test('is checked by pattern too: one that can take longer is refused unless it says what bounds it', () => {
    expect(slowPatterns('const trim = (text) => text.replace(/\\s+$/, "");')).toEqual([
      { line: 1, pattern: '/\\s+$/' },
    ]);
    expect(slowPatterns('export const tag = /<(?=\\s*\\/?\\s*cyrus-)/gi;')).toHaveLength(1);
    expect(slowPatterns('// Bounded: a file name has at most 200 characters.\nconst end = /\\s+$/;')).toEqual([]);
    expect(slowPatterns('const plain = /^\\d+(?:ms|s)$/;')).toEqual([]);
  });
});

describe('text without', () => {
  test('its ending, its beginning or its sections keeps the rest', () => {
    expect(withoutEnding('a/b//', '/')).toBe('a/b');
    expect(withoutEnding('///', '/')).toBe('');
    expect(withoutBeginning('..-a-', '.-')).toBe('a-');
    expect(withoutSections('a<!--b-->c<!--d-->e<!--f', '<!--', '-->')).toBe('ace<!--f');
  });
});

describe('code in Markdown', () => {
  const options = { nested: false, acrossLines: false };
  const code = (markdown: string, nested = false) =>
    splitCode(markdown, { ...options, nested })
      .filter(({ isCode }) => isCode)
      .map(({ text }) => text);

  test('is a fenced block up to a fence as long of the same kind, or to the end', () => {
    expect(code('a\n```js\nx\n```\nb')).toEqual(['```js\nx\n```\n']);
    expect(code('~~~\n```\n~~~~ \nb')).toEqual(['~~~\n```\n~~~~ \n']);
    expect(code('````\n```\nx')).toEqual(['````\n```\nx']);
    expect(code('    ```\nx')).toEqual([]);
    expect(code('> ```\n> x\n> ```')).toEqual([]);
    expect(code('> ```\n> x\n> ```', true)).toHaveLength(1);
  });

  test('does not begin with a line of backticks that has others in it', () => {
    expect(code('``` a`b\ncloses #1')).toEqual([]);
  });

  test('is a span between as many backticks, in one line or one paragraph', () => {
    expect(code('a `b` ``c`d`` `e\nf`')).toEqual(['`b`', '``c`d``']);
    expect(withoutCode('a `b\nc` d', { nested: true, acrossLines: true })).toBe('a   d');
    expect(withoutCode('a `b\n\nc` d', { nested: true, acrossLines: true })).toBe('a `b\n\nc` d');
  });

  test('loses no part of the text', () => {
    const text = 'a `b` c\r\n```\r\nd `e`\r\n```\r\n`f\n';
    expect(
      splitCode(text, options)
        .map(({ text: part }) => part)
        .join(''),
    ).toBe(text);
  });

  test('is none in HTML, where a fence is text: what stands there closes nothing', () => {
    const told = harmlessMarkdown('<div>\n```\ncloses #1\n```\n</div>');
    expect(told).not.toContain('closes #1');
    expect(harmlessMarkdown('```html\n<div>\ncloses #1\n```')).toContain('closes #1');
  });
});
