/** Texts at which a reader that looks for the same from every place takes long, and the time that one may take. */
import { expect, inject } from 'vitest';

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

/** Each piece many times over, alone and between others; the quick run tries it alone and in one of the other ways. */
const HOSTILE = PIECES.flatMap((piece, at) => {
  const run = piece.repeat(Math.ceil(LENGTH / piece.length));
  const others = [`<${run}`, `closes${run}`, `${run}x`, `[repo${run}`, `@a ${run}!`];
  return [run, ...(inject('shareOfHistories') === 1 ? others : others.slice(at % 5, (at % 5) + 1))];
});
const COPY =
  cost(() => {
    for (let time = 0; time < 20; time++) [...'x'.repeat(LENGTH)].join('');
  }) / 20;

/** Long enough that as many parts as it has are more than a call takes arguments, or than functions can call themselves. */
const LARGE = ['![`', '`', '[', '{"a":', '\n'].map((piece) => piece.repeat(Math.ceil(400_000 / piece.length)));

/** @param read may refuse a text, but must not break at its size */
export function expectUnbroken(read: (text: string) => unknown): void {
  for (const text of LARGE) {
    try {
      const result = read(text);
      if (result instanceof Promise) result.catch(() => {});
    } catch (error) {
      if (error instanceof RangeError && /call stack|arguments/.test(error.message))
        throw new Error(`${JSON.stringify(text.slice(0, 20))}: ${error.message}`);
    }
  }
}

/** What goes by the square of the length takes hundreds of copies' time. */
export function expectLinear(read: (text: string) => unknown): void {
  const most = Math.max(100_000, 300 * COPY);
  // To ask for the time costs more than most readers take. If all texts together stay below the limit of one, so does each.
  const before = process.cpuUsage();
  for (const text of HOSTILE) read(text);
  const { user, system } = process.cpuUsage(before);
  if (user + system < most) return;
  for (const text of HOSTILE)
    expect(
      cost(() => read(text)),
      JSON.stringify(text.slice(0, 40)),
    ).toBeLessThan(most);
}
