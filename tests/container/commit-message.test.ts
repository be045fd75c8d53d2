import { describe, expect, test } from 'vitest';
import { harmlessMessage } from '../../container/hooks/commit-message.ts';

describe('a commit message', () => {
  test.each([
    'Fixes #12',
    'feat: x\n\nCloses: acme/shop#3, GH-5 and ENG-8',
    '`fixes #1` in code, which no git host knows in a message',
    'Part of\nhttps://linear.app/acme/issue/ENG-8/x',
    'Resolves https://github.com/acme/shop/issues/7',
    'cc @acme/team and @ada',
  ])('closes and mentions nothing: %s', (message) => {
    const safe = harmlessMessage(message, 'ENG-7');
    expect(safe).not.toMatch(/\b(fixes|closes|resolves|part of)\b/i);
    expect(safe).not.toMatch(/#\d|GH-\d|@[a-z]|(?<!\/)ENG-\d|\/\/github\.com/);
    expect(safe.replaceAll('\u2060', '').replace('redirect.github.com', 'github.com')).toBe(message);
  });

  test('may name its own issue, and keeps those who share in it', () => {
    const message =
      'feat(cart): round (ENG-7)\n\nSigned-off-by: Ada <ada@acme.example>\nCo-authored-by: Bo <bo@acme.example>\n';
    expect(harmlessMessage(message, 'ENG-7')).toBe(message);
  });
});
