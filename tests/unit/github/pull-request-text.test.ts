import { describe, expect, it } from 'vitest';
import {
  bodyByTemplate,
  type PullRequestFacts,
  renderBody,
  renderTitle,
  updatedBody,
} from '../../../src/github/pull-request-text.ts';
import { pullRequestSettingsSchema } from '../../../src/protocol/settings/repository.ts';
import { harmlessMarkdown } from '../../../src/protocol/text/harmless-text.ts';

const { titleTemplate, bodyTemplate } = pullRequestSettingsSchema.parse({});

function facts(more: Partial<PullRequestFacts> = {}): PullRequestFacts {
  return {
    issue: { identifier: 'ENG-1', title: 'The cart total', url: 'https://linear.app/acme/issue/ENG-1' },
    subject: 'Count every piece',
    summary: 'The total **counts** every piece.',
    sessionUrl: 'https://cyrus.example/sessions/abc',
    branch: 'cyrus/eng-1',
    closesIssue: true,
    ...more,
  };
}

const body = (more: Partial<PullRequestFacts> = {}) => renderBody(bodyTemplate, facts(more));
const summed = (summary: string) => renderBody('{{summary}}', facts({ summary })).split('\n').slice(1, -1).join('\n');

describe('the title', () => {
  it("the title of a pull request has the issue's key, so that Linear links it", () => {
    expect(renderTitle(titleTemplate, facts())).toBe('ENG-1: The cart total');
  });

  it('is the subject of the commit if there is no issue', () => {
    expect(renderTitle(titleTemplate, facts({ issue: null }))).toBe('Count every piece');
  });

  it('is one line of a length that GitHub takes, and never empty', () => {
    const issue = { identifier: 'ENG-1', title: `two\nlines ${'x'.repeat(400)}`, url: '' };
    const title = renderTitle(titleTemplate, facts({ issue }));
    expect(title).toMatch(/^ENG-1: two lines x+…$/);
    expect(title.length).toBeLessThanOrEqual(256);
    expect(renderTitle('{{title}}', facts({ issue: null, subject: ' ' }))).toBe('cyrus/eng-1');
  });

  it('takes a template at its word: what is filled in is no template, and unknown names stay', () => {
    const issue = { identifier: 'ENG-1', title: '{{summary}}', url: '' };
    expect(renderTitle('[{{ identifier }}] {{title}} {{nobody}}', facts({ issue }))).toBe(
      '[ENG-1] {{summary}} {{nobody}}',
    );
  });
});

describe('the body', () => {
  it('has what Claude answers, what it closes, the issue and the live page, between its markers', () => {
    expect(body()).toMatchInlineSnapshot(`
      "<!-- cyrus:begin, rewritten with every turn; what is outside of these lines is kept -->
      The total **counts** every piece.

      ---

      Fixes ENG-1

      Issue: [ENG-1](https://linear.app/acme/issue/ENG-1) · [live session](https://cyrus.example/sessions/abc)
      <!-- cyrus:end -->"
    `);
  });

  it('closes nothing if that is not wanted', () => {
    expect(body({ closesIssue: false })).not.toContain('Fixes');
  });

  it('calls nobody and closes nothing else, whatever Claude repeats', () => {
    const text = summed(
      'Thanks @ada and @acme/team, mail a@b.example. Fixes #12, closes: acme/site#3, Resolves ENG-7.',
    );
    expect(text).not.toMatch(/@[a-z]/i);
    expect(text).not.toMatch(/\b(fixes|closes|resolves)\b/i);
    expect(text.replaceAll('\u2060', '')).toBe(
      'Thanks @ada and @acme/team, mail a@b.example. Fixes #12, closes: acme/site#3, Resolves ENG-7.',
    );
  });

  it('leaves code and plain words as they are', () => {
    const text = 'Use `@decorator` here. This fixes the cart.\n\n```py\n@wraps # fixes #1\n```\nDone, @ada.';
    expect(summed(text)).toBe(text.replace('@ada', '@\u2060ada'));
  });

  it('cannot be made to end its own part early', () => {
    const text = body({ summary: 'a <!-- cyrus:end --> b' });
    expect(text.match(/<!-- cyrus:end -->/g)).toHaveLength(1);
  });

  it('has a size that GitHub takes', () => {
    expect(body({ summary: 'x'.repeat(200_000) }).length).toBeLessThan(65_536);
    expect(renderBody('{{summary}}'.repeat(20), facts({ summary: 'x'.repeat(29_000) })).length).toBeLessThan(65_536);
  });

  it('is rendered quickly, whatever the words', () => {
    const began = performance.now();
    for (const piece of ['```\n', '`', '@', 'fixes ', '<!--', '~~~\n`', 'fixes a'])
      body({ summary: piece.repeat(8_000) });
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe('an update', () => {
  it('changes the generated part alone, never what a person wrote around it', () => {
    const edited = `Please look at the rounding.\r\n\r\n${body()}\r\n\r\n- [ ] tested by hand`;
    const updated = updatedBody(edited, body({ summary: 'Now with tests.' }));
    expect(updated).toBe(
      `Please look at the rounding.\r\n\r\n${body({ summary: 'Now with tests.' })}\r\n\r\n- [ ] tested by hand`,
    );
  });

  it('is none if nothing is new, also with the line ends of a browser', () => {
    expect(updatedBody(body(), body())).toBeNull();
    expect(updatedBody(body().replaceAll('\n', '\r\n'), body())).toBeNull();
  });

  it('leaves the body as it is if a person removed the generated part', () => {
    expect(updatedBody('All my own words.', body())).toBeNull();
    expect(updatedBody('', body())).toBeNull();
  });
});

describe('what anybody wrote into an issue', () => {
  const words = [
    'Implementing ENG-8',
    'part of ENG-8',
    'refs #12',
    'towards https://linear.app/acme/issue/ENG-8/x',
    'fixes issue #4',
    'Fixes ENG-1, ENG-2 and #3',
    'closes GH-5',
    'see acme/shop#7',
    'Fixes:\n- #12\n- ENG-8',
    '**Closes** #12',
    'Closes:  **ENG-8**',
    'resolves [ENG-8](https://linear.app/acme/issue/ENG-8)',
    'FIXES the issue #12',
    'closes !5',
    'contributing to ENG-8',
    'Fixes gh-12',
    'fixes mojombo#1',
  ];
  it.each(words)('links and closes nothing by its words: %s', (text) => {
    const title = renderTitle(
      '{{identifier}}: {{title}}',
      facts({ issue: { identifier: 'ENG-7', url: '', title: text } }),
    );
    const body = renderBody('{{summary}}', facts({ summary: text }));
    for (const part of [title.replace('ENG-7', ''), body]) {
      expect(part).not.toMatch(/\b(implementing|part of|refs|towards|fixes|closes|resolves|contributing to)\b/i);
      expect(part).not.toMatch(/#\d|GH-\d|!\d/i);
    }
    expect(title).toContain('ENG-7: ');
    expect(title.replace('ENG-7', '')).not.toMatch(/ENG-\d/);
  });

  it('is not mentioned by its address, which leads there still', () => {
    const linked = (address: string) => renderBody('{{summary}}', facts({ summary: `See ${address}.` }));
    expect(linked('https://github.com/acme/shop/pull/7')).toContain('https://redirect.github.com/acme/shop/pull/7');
    expect(linked('https://www.github.com/acme/shop/issues/7')).toContain('redirect.github.com/acme/shop/issues/7');
    expect(linked('https://git.acme.example/acme/shop/issues/12')).toContain('/acme/shop/issues/%312');
    expect(linked('https://gitlab.com/a/b/-/merge_requests/5')).toContain('/merge_requests/%35');
    expect(linked('https://docs.example/page#2-install')).toContain('https://docs.example/page#2-install');
  });

  it('names no identifier but the issue’s own, in capitals as Linear reads them', () => {
    const issue = { identifier: 'ENG-7', title: '', url: '' };
    const body = renderBody(
      '{{summary}}',
      facts({ issue, summary: 'As in OPS-12: ENG-7 and ENG-77, on node-24 with ES-2024.' }),
    );
    expect(body).toContain('OPS-\u206012: ENG-7 and ENG-\u206077, on node-24 with ES-2024.');
  });

  it('leaves standards as they are, and no control characters or halves of characters in anything', () => {
    const title = (text: string) =>
      renderTitle('{{title}}', facts({ issue: { identifier: 'ENG-7', url: '', title: text } }));
    expect(title('Read UTF-8 and SHA-256')).toBe('Read UTF-8 and SHA-256');
    expect(title('a\u0000b\u001b[31m\u202ec')).toBe('ab[31mc');
    expect(title('😀'.repeat(300))).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/);
  });

  it('is shortened in the generated part if people’s part leaves too little room', () => {
    const theirs = 'Notes of ours. '.repeat(3_000);
    const before = `${theirs}\n${renderBody('{{summary}}', facts({ summary: 'short' }))}`;
    const after = updatedBody(before, renderBody('{{summary}}', facts({ summary: 'long '.repeat(6_000) })));
    expect(after?.length).toBeLessThanOrEqual(65_536);
    expect(after).toContain(theirs.trim());
    expect(after).toMatch(/…\n<!-- cyrus:end -->$/);
  });
});

describe('the repository’s template for pull requests', () => {
  const issue = { identifier: 'ENG-7', title: 'Round', url: 'https://linear.app/acme/issue/ENG-7' };
  const template = [
    '---',
    'name: x',
    '---',
    '<!-- Thanks @acme/team! Closes #1 -->',
    '## What',
    '',
    '<!-- say it -->',
    '',
    '## Linked issue',
    '',
    'Fixes #',
    '',
    '## Checklist',
    '',
    '- [ ] Tests, cc @acme/qa',
    '- [ ] Closes #12',
  ].join('\r\n');
  const filled = (given = template, summary = 'Rounds the total.') =>
    bodyByTemplate(given, renderBody('{{summary}}', facts({ issue, summary })), facts({ issue }));

  it('is filled in: what was changed and which issue it is about, the list is left to people', () => {
    const text = filled();
    expect(text).toMatch(
      /^## What\n\n<!-- cyrus:begin[^>]*-->\nRounds the total\.\n<!-- cyrus:end -->\n\n## Linked issue\n\n\[ENG-7\]/,
    );
    expect(text).toMatch(/## Checklist\n\n- \[ \] Tests/);
    expect(text).not.toMatch(/@acme|\bCloses #|name: x|say it/);
  });

  it('keeps what people ticked off and wrote when the generated part is renewed', () => {
    const ticked = filled().replace('- [ ] Tests', '- [x] Tests');
    const renewed = updatedBody(ticked, renderBody('{{summary}}', facts({ issue, summary: 'Now with tests.' })));
    expect(renewed).toContain('- [x] Tests');
    expect(renewed).toContain('Now with tests.');
  });

  it('without a heading that asks for it comes after what was changed', () => {
    expect(filled('- [ ] I have read CONTRIBUTING')).toMatch(
      /^<!-- cyrus:begin.*<!-- cyrus:end -->\n\n- \[ \] I have read/s,
    );
  });

  it('fits into what GitHub takes', () => {
    const text = filled(`## Notes\n${'x'.repeat(16_000)}`, 'y'.repeat(60_000));
    expect(text.length).toBeLessThanOrEqual(65_536);
    expect(text).toContain('<!-- cyrus:end -->');
  });
});

it('a word that closes is kept apart from what code names too, for Linear knows no code; other code stays as it is', () => {
  const apart = (text: string) => harmlessMarkdown(text, 'ENG-1');
  expect(apart('It closes `ENG-9`.')).toBe('It c\u2060loses `ENG-9`.');
  expect(apart('```\nFixes ENG-7\n```')).toBe('```\nF\u2060ixes ENG-7\n```');
  expect(apart('`git commit -m "Resolves https://linear.app/a/issue/ENG-2"`')).toContain('R\u2060esolves');
  for (const code of ['`Fixes #1`', '`ignore UTF-8`', '```js\nclose(); // skip x-1\n```', '`ENG-9`'])
    expect(apart(code)).toBe(code);
});
