import { describe, expect, test } from 'vitest';
import { slowPatterns } from '../../dev/checks/linear-patterns.ts';
import { withoutBeginning, withoutEnding, withoutSections } from '../../src/lib/linear-time.ts';
import { harmlessMarkdown } from '../../src/protocol/text/harmless-text.ts';
import { splitCode, withoutCode } from '../../src/protocol/text/markdown-code.ts';

describe('reading foreign text', () => {
  test('is checked by pattern too: one that can take longer is refused unless it says what bounds it', () => {
    expect(slowPatterns('const trim = (text) => text.replace(/\\s+$/, "");')).toEqual([
      { line: 1, pattern: '/\\s+$/' },
    ]);
    expect(slowPatterns('export const tag = /<(?=\\s*\\/?\\s*cyrus-)/gi;')).toHaveLength(1);
    expect(slowPatterns('// Bounded: a file name has at most 200 characters.\nconst end = /\\s+$/;')).toEqual([]);
    expect(slowPatterns('const plain = /^\\d+(?:ms|s)$/;')).toEqual([]);
    expect(slowPatterns('const made = new RegExp(words);')).toEqual([{ line: 1, pattern: 'new RegExp(words)' }]);
    expect(slowPatterns('// Bounded: two words.\nconst made = new RegExp(words);')).toEqual([]);
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
