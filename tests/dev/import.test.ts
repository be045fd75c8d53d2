import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { PROJECT } from '../../dev/settings.ts';
import { type AdminHost, startAdminHost } from '../unit/support/admin-host.ts';
import { type RunOptions, runCommand } from './repositories-command.ts';

// The platform's own module: what the admin API imports has classes of objects in it, which are not made here.
vi.mock('cloudflare:workers', () => ({ DurableObject: class {}, WorkerEntrypoint: class {}, env: {} }));

const folder = mkdtempSync(join(tmpdir(), 'cyrus-import-'));
const file = join(folder, 'config.json');
const workspace = crypto.randomUUID();
let host: AdminHost;

beforeAll(async () => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  host = await startAdminHost();
  host.addWorkspace(workspace, 'Acme');
  const repository = (name: string) => ({
    id: name,
    name,
    repositoryPath: `/srv/${name}`,
    baseBranch: 'main',
    githubUrl: `https://github.com/acme/${name}`,
    workspaceBaseDir: '/srv',
    teamKeys: ['ENG'],
  });
  writeFileSync(file, JSON.stringify({ repositories: [repository('shop'), repository('site')], ngrokAuthToken: 'x' }));
});
afterAll(async () => {
  await host.close();
  rmSync(folder, { recursive: true });
});

const run = (args: string[], more: RunOptions = {}) => runCommand('import.ts', host, args, more);

it('an import changes nothing until it is applied, adds what is not there, and leaves what is', async () => {
  const shown = await run([file]);
  expect(shown).toMatchObject({
    code: 0,
    out: expect.stringContaining('acme/shop (https://github.com/acme/shop.git, main)'),
  });
  expect(shown.out).toContain('Nothing was changed.');
  expect(host.countRepositories(workspace)).toBe(0);
  expect(await run([file, '--apply'])).toMatchObject({ code: 2, err: expect.stringContaining('say --workspace') });
  const args = [file, '--apply', '--workspace', workspace, '--label', 'cloud'];
  const applied = await run(args, { env: { CYRUS_GIT_SECRET: 'git-secret' } });
  expect(applied).toMatchObject({ code: 0, err: 'acme/shop is added.\nacme/site is added.\n' });
  expect(host.countRepositories(workspace)).toBe(2);
  const added = host.asked.findLast(({ method }) => method === 'PUT')?.body;
  expect(added).toMatchObject({
    cloneUrl: 'https://github.com/acme/site.git',
    credential: { username: 'x-access-token', password: 'git-secret' },
    settings: { labels: ['cloud'], teams: [] },
  });
  expect(applied.out + applied.err).not.toContain('git-secret');
  expect((await run(args)).err).toMatch(/acme\/shop is there already and stays as it is/);
});

it('a file that is none of cyrusagents is refused with what is wrong', () => {
  writeFileSync(join(folder, 'other.json'), '{"repositories": [{"name": "x"}]}');
  const ask = (name: string) =>
    spawnSync(process.execPath, [join(PROJECT, 'dev/import.ts'), join(folder, name)], { encoding: 'utf8' });
  expect(ask('other.json')).toMatchObject({ status: 2, stderr: expect.stringContaining('baseBranch') });
  expect(ask('gone.json')).toMatchObject({ status: 2, stderr: expect.stringContaining('There is no file') });
});
