import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT } from '../../dev/settings.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-worker-size-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function check(code: Buffer | string) {
  const file = join(folder, 'index.js');
  writeFileSync(file, code);
  return spawnSync(process.execPath, [join(PROJECT, 'dev/checks/worker-size.ts'), file], { encoding: 'utf8' });
}

describe('the size of the Worker', () => {
  it('may be large as long as it is small when it is compressed', () => {
    const { status, stdout } = check('const a = 1;\n'.repeat(100_000));
    expect(status).toBe(0);
    expect(stdout).toMatch(/^The Worker has \d+\.\d kB gzip/);
  });

  it('fails the rehearsal of a deploy above 450 kB gzip', () => {
    const { status, stderr } = check(randomBytes(450_001));
    expect(status).toBe(1);
    expect(stderr).toContain('the limit is 450.0 kB');
  });
});
