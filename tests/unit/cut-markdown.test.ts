import { describe, expect, it } from 'vitest';
import { renderBody, updatedBody } from '../../src/github/pull-request-text.ts';
import { closedMarkdown, cutMarkdown } from '../../src/protocol/text/cut-markdown.ts';
import { openFence, splitCode } from '../../src/protocol/text/markdown-code.ts';
import { addContext, contextText } from '../../src/session/lifecycle/issue-context.ts';
import { safeBody } from '../../src/session/lifecycle/narration/safe-text.ts';
import { Random } from './support/random.ts';

const lines = (count: number) => Array.from({ length: count }, (_, n) => `const line${n} = ${n};`).join('\n');

/** How many folded sections a text leaves open. */
function openFolds(text: string): number {
  const prose = splitCode(text, { nested: false, acrossLines: false }).filter(({ isCode }) => !isCode);
  const tags = prose.flatMap(({ text: part }) => part.match(/<\/?details>/g) ?? []);
  return tags.reduce((open, tag) => (tag === '<details>' ? open + 1 : Math.max(0, open - 1)), 0);
}

describe('Markdown that is cut', () => {
  it('closes the code block in which it is cut, by a fence as long as the one that opened it', () => {
    for (const fence of ['```', '~~~', '`````', '~~~~']) {
      const cut = cutMarkdown(`Before.\n\n${fence}ts\n${lines(100)}\n${fence}\n\nAfter.`, 300);
      expect(cut.length).toBeLessThanOrEqual(300);
      expect(cut.endsWith(`\n${fence}`)).toBe(true);
      expect(openFence(`${cut}\n\nWhat comes after it.`)).toBeNull();
    }
  });

  it('takes no fence with a language for the end of a block, nor a shorter one, nor code in a line for its beginning', () => {
    expect(closedMarkdown('````md\n```js\nx\n```\n')).toBe('````md\n```js\nx\n```\n````');
    expect(closedMarkdown('```\n```js\nx')).toBe('```\n```js\nx\n```');
    expect(closedMarkdown('```npm test``` passes')).toBe('```npm test``` passes');
    expect(closedMarkdown('~~~\nx\n~~~')).toBe('~~~\nx\n~~~');
  });

  it('closes what is folded, unless it is code', () => {
    const cut = cutMarkdown(`<details><summary>Log</summary>\n\n${lines(100)}\n\n</details>\n\nAfter.`, 300);
    expect(cut.length).toBeLessThanOrEqual(300);
    expect(cut.endsWith('\n\n</details>')).toBe(true);
    expect(closedMarkdown('Write `<details>` around it.')).toBe('Write `<details>` around it.');
    // An end without a beginning closes nothing that begins after it.
    expect(closedMarkdown('</details>\n\n<details>\n\nx')).toBe('</details>\n\n<details>\n\nx\n\n</details>');
    expect(closedMarkdown('<DETAILS open>\n\nx</Details >')).toBe('<DETAILS open>\n\nx</Details >');
  });

  it('fits also if the fence is longer than what may be kept', () => {
    const cut = cutMarkdown(`Before.\n${'`'.repeat(500)}\n${lines(9)}`, 600);
    expect(cut.length).toBeLessThanOrEqual(600);
    expect(cut.startsWith('Before.\n')).toBe(true);
    expect(openFence(cut)).toBeNull();
  });

  it('fits, is closed, and is the same when it is cut again, wherever the cut falls', () => {
    const random = new Random(1);
    const pieces = [
      '```\n',
      '```js\n',
      '~~~~\n',
      '`x`',
      '\n\n',
      '<details>\n',
      '</details>\n',
      '> ```\n',
      'words ',
      '😀',
      '- ',
    ];
    for (let n = 0; n < 3_000; n++) {
      const text = Array.from({ length: 40 }, () => random.pick(pieces)).join('');
      const max = 20 + random.below(150);
      const cut = cutMarkdown(text, max);
      expect(cut.length, JSON.stringify(text)).toBeLessThanOrEqual(max);
      expect(openFence(cut), JSON.stringify(cut)).toBeNull();
      expect(openFolds(cut), JSON.stringify(cut)).toBe(0);
      expect(cutMarkdown(cut, max)).toBe(cut);
      expect(cut.isWellFormed()).toBe(true);
    }
  });
});

describe('a text that is cut in a code block', () => {
  const facts = {
    issue: { identifier: 'ENG-1', title: 'The cart', url: 'https://linear.app/acme/issue/ENG-1' },
    subject: 'Fix the cart',
    sessionUrl: 'https://cyrus.example/sessions/1',
    branch: 'cyrus/eng-1',
    closesIssue: true,
  };
  const template = '{{summary}}\n\n{{closes}}\n\n{{session}}';

  it('leaves what a pull request says after it as text: the issue it closes, the page, what people wrote', () => {
    for (const summary of [`\`\`\`ts\n${lines(3_000)}\n\`\`\``, `\`\`\`ts\n${lines(3)}`]) {
      const body = renderBody(template, { ...facts, summary });
      const before = body.slice(0, body.indexOf('Fixes ENG-1'));
      expect(before).toContain('const line2');
      expect(openFence(before)).toBeNull();
    }
  });

  it('leaves the words of people after it as text if these leave little room', () => {
    const generated = renderBody(template, { ...facts, summary: `\`\`\`ts\n${lines(1_000)}\n\`\`\`` });
    const theirs = `${'People write this. '.repeat(2_800)}`;
    const body = updatedBody(`${renderBody(template, { ...facts, summary: 'Old.' })}\n\n${theirs}`, generated);
    const end = body?.indexOf('<!-- cyrus:end -->') ?? 0;
    expect(end).toBeGreaterThan(5_000);
    expect(body?.length).toBeLessThanOrEqual(65_536);
    expect(openFence(body?.slice(0, end) ?? '```')).toBeNull();
  });

  it('leaves the note to Claude that a description continues as text', () => {
    const edit = { author: 'Ada', description: `\`\`\`ts\n${lines(20_000)}` };
    const told = addContext([], { edit }).map(contextText).join('');
    expect(told).toContain('[Cut here: ');
    expect(openFence(told.slice(told.indexOf('```'), told.indexOf('[Cut here: ')))).toBeNull();
  });

  it('leaves the note in Linear that says where the rest is as text', () => {
    const body = safeBody(`\`\`\`\n\`\`\`js\n${lines(3_000)}`);
    expect(openFence(body.slice(0, body.indexOf('_Cut here')))).toBeNull();
  });
});
