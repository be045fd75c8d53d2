import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imageTypeOf, readBinary } from '../../src/web/changes/binary-patch.ts';
import { readPatch } from '../../src/web/changes/patch.ts';
import { Random } from './support/random.ts';

/** Bytes that look like a PNG and do not compress, the same each time. */
function noise(length: number, seed: number): Buffer {
  const random = new Random(seed);
  const bytes = Buffer.from(Array.from({ length }, () => random.below(256)));
  Buffer.from('\x89PNG\r\n\x1a\n', 'latin1').copy(bytes);
  return bytes;
}

const before = noise(5_000, 1);
/** Most of it as before, so that git writes a delta. */
const after = Buffer.concat([before.subarray(0, 3_000), noise(100, 2), before.subarray(2_500)]);
const other = noise(70_001, 3);
let folder: string;
let patch: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-binary-'));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@example.com', ...args], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 16 * 1024 * 1024,
    });
  const write = (name: string, content: Buffer | string) => writeFileSync(join(folder, name), content);
  git('init', '-q');
  write('changed.png', before);
  write('gone.png', other);
  write('replaced.png', before);
  git('add', '.');
  git('commit', '-qm', 'before');
  write('changed.png', after);
  rmSync(join(folder, 'gone.png'));
  write('replaced.png', other);
  write('new.png', other);
  write('text.txt', 'diff --git a/x b/x\n');
  git('add', '.');
  patch = git('diff', '--cached', '--full-index', '--binary', '--no-renames');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const linesOf = (path: string) => readPatch(patch).find((each) => each.path === path)?.binary ?? [];

/** The two blocks that git writes of a file. */
function blocksOf(path: string): string[][] {
  const lines = linesOf(path).filter((line) => line !== '');
  const second = lines.findIndex((line, at) => at > 0 && /^(delta|literal) /.test(line));
  return [lines.slice(0, second), lines.slice(second)];
}

async function contents(path: string) {
  const change = await readBinary(linesOf(path));
  return change && { before: Buffer.from(change.before), after: Buffer.from(change.after) };
}

describe('a binary file in a patch that git made', () => {
  const nothing = Buffer.alloc(0);

  test('is read as it was before and as it is after the changes', async () => {
    expect(await contents('new.png')).toEqual({ before: nothing, after: other });
    expect(await contents('gone.png')).toEqual({ before: other, after: nothing });
    expect(await contents('replaced.png')).toEqual({ before, after: other });
  });

  test('is read if git wrote a delta in one direction, and not shown if both directions are deltas', async () => {
    const [forward, backward] = blocksOf('changed.png');
    const [, whole] = blocksOf('replaced.png');
    expect([forward?.[0], backward?.[0], whole?.[0]]).toEqual([
      expect.stringMatching(/^delta/),
      expect.stringMatching(/^delta/),
      `literal ${before.length}`,
    ]);
    const told = await readBinary([...(forward ?? []), '', ...(whole ?? [])]);
    expect(told && Buffer.from(told.after)).toEqual(after);
    const turned = await readBinary([...(whole ?? []), '', ...(forward ?? [])]);
    expect(turned && Buffer.from(turned.before)).toEqual(after);
    expect(await contents('changed.png')).toBeNull();
  });

  test('hides no other file', () => {
    const files = readPatch(patch).map(({ path }) => path);
    expect(files).toEqual(['changed.png', 'gone.png', 'new.png', 'replaced.png', 'text.txt']);
  });

  test('that is damaged, or says another size than it has, gives nothing', async () => {
    const lines = [...linesOf('new.png')];
    const damaged = [
      lines.toSpliced(3, 1),
      lines.with(2, `z${'~'.repeat(65)}`),
      lines.map((line) => line.replace(/^literal 70001$/, 'literal 70000')),
      lines.map((line) => line.replace(/^literal 70001$/, 'literal 9999999999')),
      lines.map((line) => line.replace(/^literal/, 'delta')),
      [],
    ];
    for (const each of damaged) expect(await readBinary(each)).toBeNull();
  });
});

test('an image is known by how it begins, and nothing else is taken for one', () => {
  expect(imageTypeOf(before)).toBe('image/png');
  expect(imageTypeOf(Buffer.from('\xff\xd8\xff\xe0', 'latin1'))).toBe('image/jpeg');
  expect(imageTypeOf(Buffer.from('GIF89a'))).toBe('image/gif');
  expect(imageTypeOf(Buffer.from('RIFF1234WEBP'))).toBe('image/webp');
  for (const text of ['<svg onload="alert(1)">', '', 'GIF', '%PDF-1.7'])
    expect(imageTypeOf(Buffer.from(text))).toBeNull();
});
