import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { issuePrompt } from '../../src/claude/prompts.ts';
import { askGitHub } from '../../src/github/request.ts';
import { request } from '../../src/linear/api/request.ts';
import { displayName, toClaude } from '../../src/protocol/text/clean-text.ts';
import { harmlessLine, harmlessMarkdown, harmlessPlain } from '../../src/protocol/text/harmless-text.ts';
import { logParts } from '../../src/session/effects/log-document.ts';
import { readPermission } from '../../src/session/lifecycle/questions/permissions.ts';
import { decodeEntry } from '../../src/web/live/decode.ts';

afterEach(() => vi.restoreAllMocks());

/** A text that passed through Linear's API as it was sent. */
async function atLinear(text: string): Promise<string> {
  let body = '';
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (_url, init) => {
    body = String(init?.body);
    return Response.json({ data: {} });
  });
  await request('https://api.linear.app/graphql', 't', { document: 'm', variables: { text }, idempotent: false });
  return JSON.parse(body).variables.text;
}

async function atGitHub(text: string): Promise<string> {
  let body = '';
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (_url, init) => {
    body = String(init?.body);
    return Response.json({});
  });
  const path = '/repos/acme/shop/pulls';
  await askGitHub('https://api.github.com', 't', {
    method: 'POST',
    path,
    what: 'x',
    body: { text },
    answer: z.unknown(),
  });
  return JSON.parse(body).text;
}

function onPage(text: string): string {
  const entry = decodeEntry({ seq: 1, at: 1, turn: 1, kind: 'notice', level: 'info', text });
  return entry?.kind === 'notice' ? entry.text : '(none)';
}

function inLog(text: string): string {
  const entry = { seq: 1, at: 1, turn: 1, kind: 'notice', level: 'info', text } as const;
  const meta = { identifier: null, title: 'T', repository: null, branch: null, turn: 1 };
  return [...logParts(meta, { entries: () => [entry], at: () => null })].join('');
}

/** The command of a permission question. */
function inQuestion(command: string): string {
  const about = readPermission({
    kind: 'question',
    requestId: 'r',
    name: 'Bash',
    input: { command },
    status: 'asked',
    permission: { why: null },
  });
  return about?.shown ?? '(none)';
}

function inPrompt(text: string): string {
  return toClaude(
    issuePrompt({
      identifier: null,
      title: text,
      url: null,
      description: text,
      promptContext: null,
      guidance: [],
      comment: text,
      author: text,
    }),
  );
}

const DESTINATIONS: [name: string, pass: (text: string) => string | Promise<string>][] = [
  ['Claude', inPrompt],
  ['Linear', atLinear],
  ['GitHub', atGitHub],
  ['a commit message', harmlessPlain],
  ['a title', harmlessLine],
  ['a pull request', harmlessMarkdown],
  ['the page', onPage],
  ['the log for people', inLog],
  ['a permission question', inQuestion],
  ['a name', displayName],
];

const HIDDEN: [name: string, characters: string][] = [
  ['zero-width spaces', '\u200b\ufeff'],
  ['joiners between letters that need none', '\u200c\u200d\u200d'],
  ['runs of word joiners', '\u2060\u2060\u2060'],
  ['tags', '\u{e0001}\u{e0069}\u{e0067}\u{e006e}\u{e007f}'],
  ['variation selectors', '\ufe00\ufe0f\ufe01'],
  ['supplementary variation selectors', '\u{e0100}\u{e01ef}'],
  ['embeddings and overrides of direction', '\u202a\u202e\u202c'],
  ['isolates', '\u2066\u2067\u2068\u2069'],
  ['marks of direction', '\u200e\u200f\u061c'],
  ['soft hyphens', '\u00ad'],
  ['invisible operators', '\u2061\u2062\u2063\u2064'],
  ['Hangul fillers', '\u115f\u1160\u3164\uffa0'],
  ['grapheme joiners and vowels that are not written', '\u034f\u17b4\u17b5'],
  ['annotations', '\ufff9\ufffa\ufffb'],
  ['deprecated format characters', '\u206a\u206f'],
  ['control characters', '\0\u0008\u001b\u007f\u009b'],
  ['what is no character', '\ufffe\uffff\ufdd0'],
];

const LEGITIMATE = [
  '👩‍👩‍👧‍👦 ❤️‍🔥 🏳️‍🌈 👍🏽 1️⃣ 🇩🇪 ☺︎',
  '🏴󠁧󠁢󠁥󠁮󠁧󠁿',
  'می‌خواهم',
  'شَهر هـ',
  'שלום עולם',
  'क्‍ष श्‍री',
  'ക്‍',
  'ශ්‍රී',
  'é 日本語 한국어 Tiếng Việt',
];

describe.each(DESTINATIONS)('text on its way to %s', (where, pass) => {
  it.each(HIDDEN)('hides nothing in %s', async (_what, characters) => {
    const passed = await pass(`be${characters}fore ${characters} a${characters}b`);
    for (const character of characters) expect(passed).not.toContain(character);
    expect(passed.replace(/\\u\{[\da-f]+\}/g, '')).toMatch(/be ?fore/);
  });

  it.skipIf(where === 'a permission question').each(LEGITIMATE)('keeps what is written so: %s', async (text) => {
    expect(await pass(text)).toContain(text);
  });
});

describe('a command that people allow', () => {
  it('is shown as it runs: what nobody would see, or take for a space, is written out', () => {
    expect(inQuestion('rm\u00a0-rf \u202e/tmp\u{e0041}\u2800')).toBe('rm\\u{a0}-rf \\u{202e}/tmp\\u{e0041}\\u{2800}');
    const call = {
      seq: 1,
      at: 1,
      turn: 1,
      kind: 'tool-call',
      toolUseId: 't',
      name: 'Bash',
      input: { command: 'a\u200bb' },
    };
    expect(JSON.stringify(decodeEntry(call))).toContain('a\\\\u{200b}b');
  });
});

it('what Cyrus puts between a sign and a name, so that nobody is called, passes to Linear and GitHub', async () => {
  const text = harmlessMarkdown('@ada fixes #1');
  expect(text).toContain('\u2060');
  expect(await atLinear(text)).toBe(text);
  expect(await atGitHub(text)).toBe(text);
});

it('a name is one line, and not long', () => {
  expect(displayName('Ada\u202e\n\nLove\u200blace')).toBe('Ada Lovelace');
  expect(displayName('x'.repeat(100_000)).length).toBeLessThan(300);
});
