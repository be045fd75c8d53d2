import { expect, it } from 'vitest';
import { initialReaderState, readLine } from '../../src/claude/stream.ts';
import { describeResult } from '../../src/claude/words.ts';
import { type JournalBody, type JournalEntry, journalBodySchema } from '../../src/protocol/journal.ts';
import { renderLog } from '../../src/session/effects/log-document.ts';
import type { Message } from '../../src/session/lifecycle/model/messages.ts';
import { initialNarration } from '../../src/session/lifecycle/model/narration.ts';
import { narrate } from '../../src/session/lifecycle/narration/narrate.ts';
import { MAX_BODY } from '../../src/session/lifecycle/narration/safe-text.ts';
import { fixtureLines, fixtureNames } from './claude-fixtures.ts';

/** mulberry32: small, seeded, the same everywhere; a failure names the seed that repeats it. */
function randomFrom(seed: number) {
  let a = seed;
  return (below: number): number => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
type Random = ReturnType<typeof randomFrom>;

const odd: unknown[] = [
  null,
  true,
  -1,
  1e308,
  0.5,
  '',
  '\u0000',
  '\ud83d',
  '__proto__',
  'constructor',
  '```\n</details>\n<!--',
  '@cyrus https://linear.app/acme/profiles/jo',
  'x'.repeat(70_000),
  [],
  {},
  [[[[]]]],
  { type: 'text', text: 'sneaked in' },
  { toString: null },
];

/** Replaces one value somewhere inside of a structure, removes it, or puts something beside it. */
function mutate(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random(5) === 0) return odd[random(odd.length)];
  if (Array.isArray(value)) {
    if (value.length === 0 || random(4) === 0) return [...value, odd[random(odd.length)]];
    return value.with(random(value.length), mutate(value[random(value.length)], random));
  }
  const keys = Object.keys(value);
  const key = keys[random(keys.length)];
  if (key === undefined) return { [String(odd[random(11)])]: 1 };
  const copy: Record<string, unknown> = { ...value };
  if (random(6) === 0) delete copy[key];
  else copy[key] = mutate(copy[key], random);
  return copy;
}

function mutateLine(line: string, random: Random): string {
  if (random(4) > 0) return JSON.stringify(mutate(JSON.parse(line), random)) ?? '';
  const at = random(line.length);
  const piece = ['', '"', '\\', '{', '\u0000', '\ud800', ',"type":"result"', line][random(8)] ?? '';
  return line.slice(0, at) + piece + line.slice(at + random(20));
}

const corpus = fixtureNames.flatMap((name) => fixtureLines(name)).filter((line) => line.length < 20_000);

it.each([1, 2, 3, 4, 5, 6])(
  'no line, however damaged, breaks the reader, the narration or the log (seed %i)',
  (seed) => {
    const random = randomFrom(seed);
    let state = initialReaderState;
    let narration = initialNarration;
    const entries: JournalEntry[] = [];
    const activities: Message[] = [];
    const tell = (body: JournalBody) => {
      expect(journalBodySchema.safeParse(JSON.parse(JSON.stringify(body))).error).toBeUndefined();
      entries.push({ ...body, seq: entries.length + 1, at: 0, turn: 1 });
      const told = narrate(narration, body);
      narration = told.state;
      activities.push(...told.activities);
    };
    for (let count = 0; count < 2_500; count++) {
      const original = corpus[random(corpus.length)] ?? '';
      const line = random(3) === 0 ? original : mutateLine(original, random);
      const { state: next, read } = readLine(state, line);
      state = next;
      const silent = read.entries.length === 0 && read.live.length === 0;
      expect(silent, line).toBe(read.redundant !== undefined);
      for (const { body } of read.entries) {
        tell(body);
        if (body.kind !== 'result') continue;
        const { durationMs, usage, costUsd, numTurns } = body;
        tell({ kind: 'turn-ended', ...describeResult(body), durationMs, usage, costUsd, numTurns });
      }
    }
    expect(JSON.stringify(state).length).toBeLessThan(150_000);
    expect(JSON.stringify(narration).length).toBeLessThan(150_000);
    for (const { content } of activities) {
      const texts =
        content.type === 'action' ? [content.action, content.parameter, content.result ?? '-'] : [content.body];
      for (const text of texts) {
        expect(text.trim()).not.toBe('');
        expect(text.length).toBeLessThanOrEqual(MAX_BODY);
        expect(text).not.toMatch(/@cyrus\b|linear\.app\/\w+\/profiles/i);
      }
    }
    const log = renderLog({ identifier: 'ENG-1', title: 'x', repository: null, branch: null, turn: 1 }, entries);
    expect(log.match(/^<details>$/gm)?.length).toBe(log.match(/^<\/details>$/gm)?.length);
  },
);
