import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { repositoryInputSchema } from '../../src/protocol/api.ts';
import {
  branchByTemplate,
  branchNameProblem,
  branchTemplateProblem,
} from '../../src/protocol/settings/branch-template.ts';

const facts = { identifier: 'ENG-12', title: 'Round the cart’s total', branchName: 'ada/eng-12-round-the-carts-total' };

describe('the branch of a session', () => {
  it.each([
    ['cyrus/{identifier}', 'cyrus/eng-12'],
    ['feature/{IDENTIFIER}-{title}', 'feature/ENG-12-round-the-carts-total'],
    ['{branchName}', 'ada/eng-12-round-the-carts-total'],
    ['bots/{team}/{number}', 'bots/eng/12'],
  ])('follows the template of its repository: %s', (template, name) => {
    expect(branchTemplateProblem(template)).toBeNull();
    expect(branchByTemplate(template, facts)).toBe(name);
  });

  it('has a name that git takes, whatever the issue is called', () => {
    for (const title of [
      '',
      '...',
      'a..b~^:?*[\\',
      '.lock',
      'x.lock',
      '@{',
      '-',
      '日本語の題名',
      '🎉',
      'a/b/../c',
      'x'.repeat(500),
      '\u0000\n',
      '--exec=evil',
    ]) {
      for (const template of [
        't/{identifier}-{title}',
        '{title}/{number}',
        '{branchName}',
        '{identifier}/{branchName}',
      ]) {
        const name = branchByTemplate(template, {
          identifier: 'ENG-1',
          title,
          branchName: template.includes('/{b') ? title : null,
        });
        expect(branchNameProblem(name), JSON.stringify([title, template, name])).toBeNull();
        execFileSync('git', ['check-ref-format', '--branch', name]);
      }
    }
  });

  it('has no character that people do not see, whether it is a letter, a mark or none by Unicode', () => {
    const hidden = [
      '\u3164',
      '\u115f',
      '\uffa0',
      '\u034f',
      '\ufe0f',
      '\u{e0101}',
      '\u180b',
      '\u200b',
      '\u202e',
      '\u{e0041}',
    ];
    for (const one of hidden) {
      const facts = { identifier: 'ENG-12', title: `Fix${one}it`, branchName: `ada/eng-12-fix${one}it` };
      for (const template of ['cyrus/{title}', '{branchName}', 'x/{identifier}-{title}']) {
        expect(branchByTemplate(template, facts), template).not.toContain(one);
        expect(branchByTemplate(template, facts)).toMatch(/fix-?it$/);
      }
    }
    // What a script is written with stays.
    expect(branchByTemplate('cyrus/{title}', { identifier: 'A-1', title: 'हिन्दी 修正', branchName: null })).toBe(
      'cyrus/हिन्दी-修正',
    );
  });

  it('is Linear’s suggestion in a shape of its own if Linear gives none', () => {
    expect(branchByTemplate('{branchName}', { ...facts, branchName: null })).toBe('eng-12-round-the-carts-total');
  });
});

describe('a template that cannot be taken is refused with a message', () => {
  it.each([
    ['cyrus/{issue}', '{issue} is not known; a branch name may have {identifier}'],
    ['cyrus/{identifier', 'a brace without its partner'],
    ['cyrus/work', 'all issues would have the same branch'],
    ['cyrus/{title}', 'all issues would have the same branch'],
    ['a b/{identifier}', 'git does not allow " "'],
    ['/{identifier}', 'must not have an empty part'],
    ['{identifier}.lock', '.lock'],
    ['-{identifier}', 'must not begin with a dash'],
    ['refs/heads/{identifier}', 'refs/'],
  ])('%s', (template, words) => {
    expect(branchTemplateProblem(template)).toContain(words);
    const parsed = repositoryInputSchema.safeParse({
      cloneUrl: 'https://git.test/a/b.git',
      settings: { branchTemplate: template },
    });
    expect(parsed.error?.issues[0]).toMatchObject({
      path: ['settings', 'branchTemplate'],
      message: expect.stringContaining(words),
    });
  });
});
