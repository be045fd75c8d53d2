import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT } from '../../dev/settings.ts';

const CHECK = join(PROJECT, 'dev/checks/runbook.ts');
let folder: string;
const changed = new Map<string, string>();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-runbook-'));
  for (const path of ['src', 'docs']) cpSync(join(PROJECT, path), join(folder, path), { recursive: true });
});
afterEach(() => {
  for (const [file, before] of changed) writeFileSync(join(folder, file), before);
  changed.clear();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the check of the runbook', () => {
  it('passes the project as it is', () => {
    expect(execFileSync(process.execPath, [CHECK, folder], { encoding: 'utf8' })).toContain('has its entry');
  });

  it.each([
    [
      'an alert without an entry',
      'docs/runbook.md',
      '### `queue.wait`',
      '### Queue',
      'the alert queue.wait has no entry',
    ],
    [
      'an entry without an alert',
      'docs/runbook.md',
      '### `queue.wait`',
      '### `queue.gone`',
      'there is no alert queue.gone',
    ],
    ['a second entry', 'docs/runbook.md', '### `queue.wait`', '### `queue.wait`\n\n### `queue.wait`', 'two entries'],
    [
      'a new condition',
      'src/operations/watch.ts',
      "  'queue.wait': async",
      "  'queue.novel': async () => [],\n\n  'queue.wait': async",
      'the alert queue.novel has no entry',
    ],
    [
      'a line of the log that nobody is told of',
      'src/linear/tokens/token-keeper.ts',
      "log('alert.linear.reinstall_needed'",
      "log('alert.linear.novel'",
      'nobody is told of alert.linear.novel',
    ],
  ])('refuses %s', (_, file, before, after, problem) => {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text).toContain(before);
    changed.set(file, text);
    writeFileSync(
      join(folder, file),
      text.replace(before, () => after),
    );
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(stderr).toContain(problem);
    expect(status).toBe(1);
  });
});
