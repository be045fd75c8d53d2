import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { unifiedDiff } from '../../src/lib/line-diff.ts';
import { diffLines } from '../../src/web/text/diff-lines.ts';
import { Random } from './support/random.ts';

const folder = mkdtempSync(join(tmpdir(), 'cyrus-diff-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The text that `git apply` makes of one by a diff. */
function patched(before: string, diff: string): string {
  const path = join(folder, 'file');
  writeFileSync(path, before);
  execFileSync('git', ['apply'], { cwd: folder, input: `--- a/file\n+++ b/file\n${diff}\n` });
  return readFileSync(path, 'utf8');
}

it('a diff leads from the one text to the other, whatever they are', () => {
  const random = new Random(7);
  const text = (lines: number) => Array.from({ length: lines }, () => `${random.below(4)}\n`).join('');
  const ending = () => (random.below(3) === 0 ? '' : '\n');
  for (let round = 0; round < 60; round++) {
    const [before, after] = [`${text(random.below(30))}x${ending()}`, `${text(random.below(30))}x${ending()}`];
    const diff = unifiedDiff(before, after);
    if (before === after) expect(diff).toBe('');
    else expect(patched(before, diff)).toBe(after);
  }
});

it('a last line without its end is another line than one with it', () => {
  const marked = '@@ -1,1 +1,1 @@\n-a\n+a\n\\ No newline at end of file';
  expect(unifiedDiff('a\n', 'a')).toBe(marked);
  expect(diffLines(`${marked}\n--- a/z`).map(({ kind }) => kind)).toEqual(['hunk', 'removed', 'added', 'same', 'file']);
  expect(unifiedDiff('', 'a\n')).toBe('@@ -0,0 +1,1 @@\n+a');
  expect(unifiedDiff('a\n', '')).toBe('@@ -1,1 +0,0 @@\n-a');
  expect(unifiedDiff('a\n', 'a\n')).toBe('');
});

it('texts that have too little in common are shown as the one for the other, in bounded time', () => {
  const text = (name: string) => Array.from({ length: 20_000 }, (_, at) => `${name} ${at}\n`).join('');
  const [before, after] = [text('old'), `${text('new')}end`];
  const diff = unifiedDiff(before, after);
  expect(diff).toMatch(/^@@ -1,20000 \+1,20001 @@\n-old 0\n/);
  expect(patched(before, diff)).toBe(after);
});

it('a line that looks like the head of another file is shown as what it is', () => {
  const diff = `--- a/x\n+++ b/x\n${unifiedDiff('-- a/y\nkept\n', '++ b/y\nkept\n@@ -1,1 +1,1 @@\n')}\n--- a/z\n+++ b/z`;
  expect(
    diffLines(diff)
      .map(({ kind }) => kind)
      .join(' '),
  ).toBe('file file hunk removed added same added file file');
  expect(
    diffLines(diff)
      .map(({ line }) => line)
      .join('\n'),
  ).toBe(diff);
});
