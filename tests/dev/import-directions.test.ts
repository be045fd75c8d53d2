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
  file('src/session/lifecycle.ts', "import { step } from './step.ts';\nstep();\n");
  file('src/session/step.ts', 'export const step = () => 1;\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the check of imports', () => {
  it('passes where pure files import pure files', () => {
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
    file('src/session/step.ts', `${step}\nexport const step = () => 1;\n`);
    file('src/session/send.ts', send);
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('src/session/lifecycle.ts → src/session/step.ts → src/session/send.ts');
  });

  it('lets a pure file import the types of one that is not', () => {
    file('src/session/step.ts', "import type { Sent } from './send.ts';\nexport const step = (): Sent => 1;\n");
    file('src/session/send.ts', 'export type Sent = number;\nexport const sent = () => Date.now();\n');
    expect(spawnSync(process.execPath, [CHECK, folder]).status).toBe(0);
  });

  it('refuses a folder that imports one to its left, and imports that run in a circle', () => {
    file('src/store/rows.ts', "import { step } from '../session/step.ts';\nstep();\n");
    file('src/session/step.ts', "import './lifecycle.ts';\nexport const step = () => 1;\n");
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('src/store does not import src/session');
    expect(stderr).toContain('imports run in a circle');
  });
});

function file(name: string, content: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
}
