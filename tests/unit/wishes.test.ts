import { describe, expect, it } from 'vitest';
import {
  effortWish,
  isPlainStop,
  modelWish,
  repositoryWish,
  spokenModel,
  typedText,
} from '../../src/session/lifecycle/start/wishes.ts';

describe('a repository is read from a wish', () => {
  it.each([
    ['as it was typed', '[repo=acme/shop]', 'acme/shop', null],
    ['with a branch', 'See [repo=acme/shop#release/2].', 'acme/shop', 'release/2'],
    [
      'with the backslashes that Linear puts before punctuation',
      '\\[repo=acme/my\\_shop\\#release\\-2\\]',
      'acme/my_shop',
      'release-2',
    ],
    [
      'in which Linear made a link of a name like an address',
      '[repo=acme/[shop.io](http://shop.io)]',
      'acme/shop.io',
      null,
    ],
    ['as an address in angle brackets', '[repo=<https://github.com/acme/shop>]', 'acme/shop', null],
    ['as a cloning address', '[repo=git@github.com:acme/shop.git]', 'acme/shop', null],
    ['as the page of a branch', '[repo: https://github.com/acme/shop/tree/release/2]', 'acme/shop', 'release/2'],
    ['of a host with groups', '[repo=group/sub/shop]', 'group/sub/shop', null],
    ['by its short name', '[repository = shop]', 'shop', null],
    ['of several the last', '[repo=acme/site] no, [repo=acme/shop]', 'acme/shop', null],
  ])('%s', (_how, text, name, branch) => {
    expect(repositoryWish(text)).toEqual({ kind: 'named', name, branch });
  });

  it.each([['[repo=]'], ['[repo=the shop, please]'], ['[repo=acme/shop on main]'], ['\\[repo=???\\]']])(
    'and what cannot be read is said to be so: %s',
    (text) => {
      expect(repositoryWish(text)).toMatchObject({ kind: 'unreadable' });
    },
  );

  it.each([
    ['a span of code', 'Write `[repo=acme/shop]` into the issue.'],
    ['a span of code with more backticks', 'Write ``a ` [repo=acme/shop]`` there.'],
    ['a fenced block', 'Like this:\n\n```\n[repo=acme/shop]\n```\n'],
    ['a fenced block of tildes that nobody closed', '~~~md\n[repo=acme/shop]'],
    ['a fenced block in a list', '- Like this:\n- ```\n  [repo=acme/shop]\n  ```'],
  ])('but none is in %s, which quotes it', (_where, text) => {
    expect(repositoryWish(text)).toBeNull();
  });

  it('after code that was closed', () => {
    expect(repositoryWish('```\ncode\n```\n[repo=acme/shop]')).toMatchObject({ name: 'acme/shop' });
  });

  it('in time that grows with the text alone', () => {
    const started = performance.now();
    for (const text of ['['.repeat(200_000), '`'.repeat(100_001), '[repo='.repeat(40_000), '\\['.repeat(100_000)]) {
      repositoryWish(text);
    }
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

it('a model is read from a wish, escaped or not', () => {
  expect(modelWish('\\[model=opus\\]')).toBe('opus');
  expect(modelWish('[model: claude-sonnet-5]')).toBe('claude-sonnet-5');
  expect(modelWish('`[model=opus]`')).toBeNull();
});

it('an effort is read from a wish, escaped or not; of several the last counts', () => {
  expect(effortWish('\\[effort=high\\]')).toBe('high');
  expect(effortWish('[effort: low] no, [Effort = max]')).toBe('max');
  expect(effortWish('> [effort=max]')).toBeNull();
});

it('what was typed is read without escapes, and a backslash that was meant stays', () => {
  expect(typedText('\\# 1\\. \\*no\\* C:\\temp <https://a.example/x_y>')).toBe(
    '# 1. *no* C:\\temp https://a.example/x_y',
  );
});

describe('a comment that only says stop', () => {
  it.each([
    'stop',
    'Stop!',
    '@cyrus stop',
    'please stop now',
    '**stop**',
    '_Stop_',
    '“Stop.”',
    'STOP!!!',
    ' stop\u200b ',
    'ＳＴＯＰ',
    '@cyrus, stop.',
    'Stop @cyrus',
    'Cyrus stop',
    'Hey @cyrus - please stop!',
    'ok, stop',
    'No, stop.',
    'Wait. Stop!',
    'Could you please stop?',
    'can you stop now?',
    'stop working on this issue',
    'Stop what you’re doing',
    'stop the run, thanks',
    'cancel this',
    'Hör auf!',
    'bitte aufhören',
    'arrête tout',
    'Para ahora, por favor',
    'Pare agora',
    'Fermati!',
    'Остановись, пожалуйста',
    'توقف',
    'עצור!',
    '停止してください。',
    '请停止',
    '중지해 주세요',
    '🛑',
    '<user id="1">cyrus</user> stop',
    'STOP IT.',
    'Bitte stopp',
    '停止',
    'стоп',
    'arrête',
  ])('stops: %s', (text) => {
    expect(isPlainStop(text)).toBe(true);
  });

  it.each([
    'stop the timer when the cart is empty',
    'Do not stop',
    "don't stop",
    'Should it stop?',
    'stop?',
    'stop the server',
    'stop caching',
    'cancel button is missing',
    'please stop and use Postgres',
    '`stop`',
    'non-stop',
    'abort controller',
    'para o carrinho',
    'No stopping',
    'stop working around the types',
    'The stop button is broken',
    '',
    'stop using floats',
    'parameter',
  ])('is more than that: %s', (text) => {
    expect(isPlainStop(text)).toBe(false);
  });
});

it.each([
  ['Please use Sonnet then.', 'sonnet'],
  ['use sonnet instead of opus', 'sonnet'],
  ['Utilise plutôt Haiku', 'haiku'],
  ["Please don't use Sonnet", null],
  ['Is this written by Opus or by Sonnet', null],
  ['How does Opus compare?', null],
  ['The codec Opus is what our player decodes, look at its tests and make the build green again.', null],
])('a short comment asks for a model in plain words, and a longer one only speaks of it: %s', (words, model) => {
  expect(spokenModel(words, ['fable', 'opus', 'sonnet', 'haiku'])).toBe(model);
});
