import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT } from '../../dev/settings.ts';

const CHECK = join(PROJECT, 'dev/checks/half-done.ts');
const READ = ['src', 'container', 'docs', 'wrangler.toml', 'package.json', 'README.md', 'CONTRIBUTING.md', 'AGENTS.md'];

let folder: string;
const changed = new Map<string, string>();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-half-done-'));
  for (const path of READ) cpSync(join(PROJECT, path), join(folder, path), { recursive: true });
});
afterEach(() => {
  for (const [file, before] of changed) writeFileSync(join(folder, file), before);
  changed.clear();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the check for changes that are half done', () => {
  it('passes the project as it is', () => {
    expect(execFileSync(process.execPath, [CHECK, folder], { encoding: 'utf8' })).toContain('are used');
  });

  it.each([
    [
      'a variable in wrangler.toml that nothing reads',
      'wrangler.toml',
      /^PAUSED = /m,
      'FORGOTTEN = ""\nPAUSED = ',
      'nothing reads FORGOTTEN',
    ],
    [
      'a secret that nothing reads',
      'wrangler.toml',
      /"ADMIN_TOKEN"/,
      '"ADMIN_TOKEN", "FORGOTTEN_TOKEN"',
      'nothing reads FORGOTTEN_TOKEN',
    ],
    [
      'a variable that no document explains',
      'src/config/variables.ts',
      /^ {2}PAUSED: flag/m,
      '  NOVEL: flag,\n  PAUSED: flag',
      'docs/variables.md does not say what NOVEL is',
    ],
    [
      'a variable that is documented and gone',
      'docs/variables.md',
      /`PAUSED` /,
      '`PAUSED`, `GONE_FLAG`',
      'nothing reads GONE_FLAG',
    ],
    [
      'a binding that nothing uses',
      'wrangler.toml',
      /^binding = "LOGS"/m,
      'binding = "SPARE_BUCKET"',
      'nothing in src uses the binding SPARE_BUCKET',
    ],
    [
      'a variable of the sandbox server that is read and comes to nothing',
      'container/config.ts',
      /^ {2}CLAUDE_BIN: /m,
      '  CYRUS_NOVEL: z.string().optional(),\n  CLAUDE_BIN: ',
      'docs/sandboxes.md does not say what CYRUS_NOVEL is\ncontainer/config.ts: nothing is done with CYRUS_NOVEL',
    ],
    [
      'a setting of repositories that is neither documented nor used',
      'src/protocol/settings/repository.ts',
      /^ {2}isDefault: /m,
      '  isNovelSetting: z.boolean().default(false),\n  isDefault: ',
      'no document says what the setting isNovelSetting is\nsrc/protocol/settings: nothing in src uses the setting isNovelSetting',
    ],
    [
      'an effect that nothing calls for or carries out',
      'src/session/lifecycle/model/effects.ts',
      /^ {2}\| \{ kind: 'index-session' \}/m,
      "  | { kind: 'novel-effect' }\n  | { kind: 'index-session' }",
      'nothing in the lifecycle calls for novel-effect',
    ],
    [
      'a route that is not listed',
      'src/routes/admin/usage.ts',
      /^usage\.get\('\/claude'/m,
      "usage.delete('/novel/:name', async (c) => c.json({}));\nusage.get('/claude'",
      'the route `DELETE /api/admin/novel/:name` is not listed',
    ],
    [
      'a route that is listed and gone',
      'docs/routes.md',
      /`GET \/health`/,
      '`GET /healthy`',
      'no route `GET /healthy`',
    ],
    [
      'routes that the Worker does not reach',
      'src/index.ts',
      /^app\.route\('\/oauth', oauth\);$/m,
      '',
      'src/routes/install/oauth.ts: src/index.ts does not reach these routes',
    ],
    [
      'an npm script that no document names',
      'package.json',
      /"fix": /,
      '"novel": "true", "fix": ',
      'no document names `npm run novel`',
    ],
    [
      'a folder whose README names a file which is gone',
      'src/queue/README.md',
      /`fair-queue\.ts`/,
      '`fair-line.ts`',
      'src/queue/README.md: there is no fair-line.ts',
    ],
    [
      'a document that names a script which is gone',
      'CONTRIBUTING.md',
      /`npm run fix`/,
      '`npm run mend` and `npm run fix`',
      'there is no `npm run mend`',
    ],
  ])('refuses %s', (_, file, place, planted, told) => {
    const before = readFileSync(join(folder, file), 'utf8');
    changed.set(file, before);
    expect(before).toMatch(place);
    writeFileSync(join(folder, file), before.replace(place, planted));
    const { status, stderr } = spawnSync(process.execPath, [CHECK, folder], { encoding: 'utf8' });
    expect(stderr).toContain(told);
    expect(status).toBe(1);
  });
});
