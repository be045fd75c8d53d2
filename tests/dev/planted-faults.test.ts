import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PROJECT } from '../../dev/settings.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-planted-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('npm run check refuses', () => {
  it('a promise of another file that nobody waits for', () => {
    cpSync(join(PROJECT, 'tsconfig.json'), join(folder, 'base.json'));
    file('container/tsconfig.json', JSON.stringify({ extends: '../base.json', include: ['../src', '.'] }));
    file('src/lib/save.ts', 'export const save = async (): Promise<void> => {};\n');
    file(
      'container/turn.ts',
      "import { save } from '../src/lib/save.ts';\nexport const end = async () => await save();\n",
    );
    const check = () =>
      spawnSync(
        join(PROJECT, 'node_modules/.bin/oxlint'),
        ['--type-aware', '--quiet', '--config', join(PROJECT, 'dev/checks/floating-promises.json'), 'container'],
        { cwd: folder, encoding: 'utf8' },
      );
    expect(check()).toMatchObject({ status: 0 });
    file(
      'container/turn.ts',
      "import { save } from '../src/lib/save.ts';\nexport const end = () => {\n  save();\n};\n",
    );
    const { status, stdout } = check();
    expect(stdout).toContain('no-floating-promises');
    expect(status).toBe(1);
  });

  it('an export that nothing imports', () => {
    file('package.json', JSON.stringify({ name: 'planted', private: true, type: 'module' }));
    const settings = JSON.parse(readFileSync(join(PROJECT, 'knip.json'), 'utf8'));
    file('knip.json', JSON.stringify({ ...settings, entry: ['container/server.ts'], ignoreDependencies: [] }));
    file('src/lib/save.ts', 'export const save = 1;\n');
    file('container/server.ts', "import { save } from '../src/lib/save.ts';\nconsole.log(save);\n");
    const check = () =>
      spawnSync(process.execPath, [join(PROJECT, 'node_modules/knip/bin/knip.js')], { cwd: folder, encoding: 'utf8' });
    expect(check()).toMatchObject({ status: 0 });
    file('src/lib/save.ts', 'export const save = 1;\nexport const forgotten = 2;\n');
    const { status, stdout } = check();
    expect(stdout).toContain('forgotten');
    expect(status).toBe(1);
  });
});

function file(name: string, content: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
}
