import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { matching } from '../../container/setup/made-directories.ts';

let root: string;
const LONG = 'a'.repeat(200);
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cyrus-patterns-'));
  for (const path of [
    'node_modules/.bin',
    'packages/one/node_modules/x',
    'packages/two/node_modules',
    'packages/two/src',
    '.venv',
    LONG,
  ]) {
    mkdirSync(join(root, path), { recursive: true });
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

it.each([
  [['node_modules'], ['node_modules']],
  [['packages/*/node_modules'], ['packages/one/node_modules', 'packages/two/node_modules']],
  [['**/node_modules'], ['node_modules', 'packages/one/node_modules', 'packages/two/node_modules']],
  [['packages/t?o'], ['packages/two']],
  [
    ['.v*', 'packages/one'],
    ['.venv', 'packages/one'],
  ],
  [['nothing', 'packages/*/nothing', '*.+(a)'], []],
])('directories that a setup script names as %j are found', async (patterns, found) => {
  expect(await matching(root, patterns)).toEqual(found);
});

it('a pattern of a hostile repository costs the server no more than another one', async () => {
  const since = performance.now();
  expect(await matching(root, [`${'*a'.repeat(30)}*b`, `**/${'*a'.repeat(30)}**/*b`])).toEqual([]);
  expect(performance.now() - since).toBeLessThan(2_000);
});
