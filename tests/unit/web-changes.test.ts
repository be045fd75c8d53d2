import { afterEach, describe, expect, it, vi } from 'vitest';
import { foldersOf } from '../../src/web/changes/folders.ts';
import { readPatch } from '../../src/web/changes/patch.ts';
import { sideBySide } from '../../src/web/changes/side-by-side.ts';
import { diffLines } from '../../src/web/outline/diff.ts';
import { readChanges } from '../../src/web/view/changes/use-changes.ts';

const PATCH = [
  'diff --git a/src/cart.js b/src/cart.js',
  'index 1111111..2222222 100644',
  '--- a/src/cart.js',
  '+++ b/src/cart.js',
  '@@ -1,3 +1,3 @@ function total() {',
  ' one',
  '-two',
  '+TWO',
  ' three',
  '@@ -9 +9,2 @@',
  '-- a/not a head',
  '+++ b/not a head',
  '+diff --git a/x b/x',
  '\\ No newline at end of file',
  'diff --git a/new file.txt b/new file.txt',
  'new file mode 100644',
  'index 0000000..3333333',
  '--- /dev/null',
  '+++ b/new file.txt\t',
  '@@ -0,0 +1 @@',
  '+hello\r',
  'diff --git a/gone.txt b/gone.txt',
  'deleted file mode 100644',
  'index 4444444..0000000',
  '--- a/gone.txt',
  '+++ /dev/null',
  '@@ -1 +0,0 @@',
  '-bye',
  'diff --git a/run.sh b/run.sh',
  'old mode 100644',
  'new mode 100755',
  'diff --git "a/b\\303\\274ro/\\"x\\".png" "b/b\\303\\274ro/\\"x\\".png"',
  'index 5555555..6666666 100644',
  'GIT binary patch',
  'literal 3',
  'KcmZQzWMT#Y01f~L',
  '',
].join('\n');

describe('the changes of a branch', () => {
  const files = readPatch(PATCH);

  it('are all files of the patch, with what became of each', () => {
    expect(
      files.map(({ path, kind, isBinary, mode, added, removed }) => [path, kind, isBinary, mode, added, removed]),
    ).toEqual([
      ['src/cart.js', 'changed', false, null, 3, 2],
      ['new file.txt', 'added', false, null, 1, 0],
      ['gone.txt', 'deleted', false, null, 0, 1],
      ['run.sh', 'changed', false, '100644 → 100755', 0, 0],
      ['büro/"x".png', 'changed', true, null, 0, 0],
    ]);
  });

  it('take nothing that a file holds for the head of another', () => {
    const [first] = files;
    expect(first?.hunks.map(({ oldStart, newStart, lines }) => [oldStart, newStart, lines])).toEqual([
      [1, 1, [' one', '-two', '+TWO', ' three']],
      [9, 9, ['-- a/not a head', '+++ b/not a head', '+diff --git a/x b/x', '\\ No newline at end of file']],
    ]);
  });

  it('name a state of each file, which another change does not have', () => {
    expect(files[0]?.state).toBe('1111111..2222222');
    expect(readPatch(PATCH.replace('2222222', '7777777'))[0]?.state).toBe('1111111..7777777');
    const mode = files.find(({ path }) => path === 'run.sh')?.state;
    expect(readPatch(PATCH.replace('new mode 100755', 'new mode 120000'))[3]?.state).not.toBe(mode);
  });

  it('write out what turns the name of a file around', () => {
    const name = 'invoice\u202efdp.exe';
    expect(readPatch(`diff --git a/${name} b/${name}\nnew file mode 100644`)[0]?.path).toBe('invoice\\u{202e}fdp.exe');
  });

  it('are grouped by folder, and found by words of their paths', () => {
    expect(foldersOf(files).map(({ path, files: within }) => [path, within.length])).toEqual([
      ['', 3],
      ['büro', 1],
      ['src', 1],
    ]);
    expect(foldersOf(files, 'CART src').flatMap((folder) => folder.files.map(({ path }) => path))).toEqual([
      'src/cart.js',
    ]);
    expect(foldersOf(files, 'cart png')).toEqual([]);
  });

  it('of nothing are none', () => {
    expect(readPatch('')).toEqual([]);
    expect(readPatch('this is\nno patch')).toEqual([]);
  });

  it('of a large branch are read in a moment', () => {
    const body = Array.from({ length: 100_000 }, (_, index) => `+line ${index} @@ -1 +1 @@`).join('\n');
    const began = performance.now();
    const [file] = readPatch(
      `diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,100000 @@\n${body}\n`,
    );
    expect(file?.added).toBe(100_000);
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});

it('side by side, what was removed is beside what came in its place', () => {
  const lines = diffLines([
    { oldStart: 1, oldLines: 4, newStart: 1, newLines: 4, lines: [' a', '-b', '-c', '+B', ' d', '+e'] },
    { oldStart: 9, oldLines: 1, newStart: 9, newLines: 0, lines: ['-z'] },
  ]);
  expect(sideBySide(lines).map(({ left, right }) => [left?.text ?? null, right?.text ?? null])).toEqual([
    ['a', 'a'],
    ['b', 'B'],
    ['c', null],
    ['d', 'd'],
    [null, 'e'],
    [null, null],
    ['z', null],
  ]);
});

it('a file is named in full, whatever quotation marks and spaces are in its name', () => {
  expect(readPatch('diff --git "a/run\\" b.sh" "b/run\\" b.sh"').map(({ path }) => path)).toEqual(['run" b.sh']);
  expect(readPatch('diff --git a/one b/two b/one b/two').map(({ path }) => path)).toEqual(['one b/two']);
});

describe('changes that cannot be read', () => {
  afterEach(() => vi.restoreAllMocks());

  it('say why, whatever went wrong', async () => {
    const signal = new AbortController().signal;
    vi.spyOn(globalThis, 'fetch').mockResolvedValueOnce(
      Response.json({ error: 'x', message: 'Nothing yet.' }, { status: 404 }),
    );
    expect(await readChanges('s', signal)).toEqual({ at: 'failed', message: 'Nothing yet.' });
    vi.spyOn(globalThis, 'fetch').mockImplementationOnce(() => {
      throw new Error('the address is none');
    });
    expect(await readChanges('s', signal)).toEqual({
      at: 'failed',
      message: 'The changes could not be read: the address is none',
    });
  });

  it('say nothing once nobody wants them any more', async () => {
    vi.spyOn(globalThis, 'fetch').mockResolvedValue(new Response('late'));
    expect(await readChanges('s', AbortSignal.abort())).toBeNull();
  });
});
