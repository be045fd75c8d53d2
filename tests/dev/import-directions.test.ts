import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PROJECT } from '../../dev/settings.ts';

const CHECK = join(PROJECT, 'dev/checks/import-directions.ts');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-imports-'));
  file('container/server.ts', '');
  file('src/session/lifecycle/reduce.ts', "import { step } from './model/transition.ts';\nstep();\n");
  file('src/session/lifecycle/model/transition.ts', 'export const step = () => 1;\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the check of imports', () => {
  it('passes if pure files import pure files', () => {
    expect(execFileSync(process.execPath, [CHECK, folder], { encoding: 'utf8' })).toContain('point the right way');
  });

  it.each([
    ['calls a clock', "import { sent } from './send.ts';\nsent();", 'export const sent = () => Date.now();'],
    ['calls the network', "export * from './send.ts';", "export const sent = () => fetch('https://example.com');"],
    [
      'imports the platform',
      "import { sent } from './send.ts';\nsent();",
      "import { waitUntil } from 'cloudflare:workers';\nexport const sent = waitUntil;",
    ],
    ['is loaded later', "export const later = () => import('./send.ts');", 'export const sent = () => Math.random();'],
  ])('refuses a file of the lifecycle that reaches one beside it which %s', (_, step, send) => {
    file('src/session/lifecycle/model/transition.ts', `${step}\nexport const step = () => 1;\n`);
    file('src/session/lifecycle/model/send.ts', send);
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain(
      'src/session/lifecycle/reduce.ts → src/session/lifecycle/model/transition.ts → src/session/lifecycle/model/send.ts',
    );
  });

  it('refuses a file of the lifecycle that knows Linear, be it by a type', () => {
    file('src/linear/client.ts', 'export type Activity = number;\n');
    file(
      'src/session/lifecycle/model/transition.ts',
      "import type { Activity } from '../../../linear/client.ts';\nexport const step = (): Activity => 1;\n",
    );
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('src/session/lifecycle/ knows no Linear');
  });

  it('lets a pure file import the types of one that is not', () => {
    file(
      'src/session/lifecycle/model/transition.ts',
      "import type { Sent } from '../../../store/send.ts';\nexport const step = (): Sent => 1;\n",
    );
    file('src/store/send.ts', 'export type Sent = number;\nexport const sent = () => Date.now();\n');
    expect(spawnSync(process.execPath, [CHECK, folder]).status).toBe(0);
  });

  it('refuses a room of the session that imports one to its left, and a folder with more than 20 files', () => {
    file('src/session/effects/perform.ts', 'export const perform = () => 1;\n');
    file('src/session/storage/journal.ts', "export * from '../effects/perform.ts';\n");
    for (let number = 0; number < 21; number++) file(`src/store/table-${number}.ts`, 'export {};\n');
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('src/session/storage does not import src/session/effects');
    expect(stderr).toContain('src/store has 21 files beside each other');
  });

  it.each(['src/session/lifecycle/model', 'container'])(
    'refuses the folder %s with code and without a README',
    (room) => {
      rmSync(join(folder, room, 'README.md'));
      const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
      expect(status).toBe(1);
      expect(stderr).toContain(`${room} has no README.md`);
    },
  );

  it('refuses a folder that imports one to its left, and imports that run in a circle', () => {
    file('src/store/rows.ts', "import { step } from '../session/lifecycle/reduce.ts';\nstep();\n");
    file('src/session/lifecycle/model/transition.ts', "import '../reduce.ts';\nexport const step = () => 1;\n");
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('src/store does not import src/session');
    expect(stderr).toContain('imports run in a circle');
  });
});

/** Writes a file, and a README beside it. */
function file(name: string, content: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, dirname(name), 'README.md'), 'What is here.\n');
}
