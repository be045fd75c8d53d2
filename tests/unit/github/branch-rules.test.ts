import { describe, expect, test } from 'vitest';
import { follows } from '../../../src/github/branch-rules.ts';

const regex = (pattern: string, negate = false) => ({ operator: 'regex', pattern, negate });

describe('a pattern of GitHub’s for names of branches', () => {
  test.each([
    ['starts_with', 'feature/', 'feature/cyrus-eng-1', true],
    ['starts_with', 'feature/', 'cyrus/eng-1', false],
    ['ends_with', '-bot', 'cyrus/eng-1-bot', true],
    ['ends_with', '-bot', 'cyrus/bot-eng-1', false],
    ['contains', 'ENG-', 'cyrus/ENG-1', true],
    ['contains', 'ENG-', 'cyrus/eng-1', false],
    ['regex', '^(feature|fix)/[a-z0-9._-]+$', 'feature/cyrus-eng-1', true],
    ['regex', '^(feature|fix)/[a-z0-9._-]+$', 'cyrus/eng-1', false],
    ['regex', '\\A(?:feat|fix)\\/[A-Z]+\\-\\d+\\z', 'feat/ENG-1', true],
    ['regex', '\\A(?:feat|fix)\\/[A-Z]+\\-\\d+\\z', 'feat/ENG-1-more', false],
    ['regex', '(?i)eng-[0-9]{1,6}', 'cyrus/ENG-1', true],
  ])('%s %s: %s', (operator, pattern, name, expected) => {
    expect(follows(name, { operator, pattern, negate: false })).toBe(expected);
    expect(follows(name, { operator, pattern, negate: true })).toBe(!expected);
  });

  test('a pattern that means something else here, could take forever, or is of an unknown kind, decides nothing', () => {
    const name = `${'a'.repeat(200)}!`;
    const patterns = [
      '(a+)+$',
      '(a|a)*$',
      '((a{1,9}){1,9})+$',
      'a*a*a*a*a*$',
      '[]?(a+)+[b]',
      '[]?(a+)+[b]',
      '(?P<x>a)',
      '[[:alpha:]]+',
      '(?s:a)(',
      '\\pZZ',
    ];
    for (const pattern of patterns) expect([pattern, follows(name, regex(pattern))]).toEqual([pattern, null]);
    expect(follows(name, { operator: 'sounds_like', pattern: 'a', negate: true })).toBe(null);
  });
});
