/** Submodules of the session's repository, from checkout to push. */
import { execFile } from 'node:child_process';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { run, type Stage, setStage } from './stage.ts';

// Whole turns of Claude's, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 });

const execute = promisify(execFile);
const BRANCH = 'cyrus/shop-1';
const author = { name: 'Ada', email: 'ada@acme.example' };
const NOWHERE = '1'.repeat(40);

let stage: Stage;
let turn = 0;

beforeEach(async () => {
  turn = 0;
  stage = await setStage();
});
afterEach(async () => await stage.close());

async function repository(name: string, files: Record<string, string>): Promise<string> {
  const commits = [{ message: `Begin ${name}`, author, at: 1_780_000_000, files }];
  await stage.host.ensureRepository(name, { branch: 'main', commits });
  return (await stage.host.directory(name)) ?? '';
}

/** What a person does in a clone of a bare repository, and pushes. */
async function person(bare: string, script: string, branch = 'main'): Promise<void> {
  const clone = await mkdtemp(join(stage.root, '..', 'person-'));
  const env = {
    PATH: process.env.PATH,
    HOME: clone,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'P',
    GIT_AUTHOR_EMAIL: 'p@example.com',
    GIT_COMMITTER_NAME: 'P',
    GIT_COMMITTER_EMAIL: 'p@example.com',
  };
  const all = `git clone -q -b ${branch} "$1" r; cd r; ${script}; git push -q origin HEAD`;
  await execute('bash', ['-euc', all, 'bash', bare], { cwd: clone, env });
  await rm(clone, { recursive: true, force: true });
}

async function tipOf(bare: string, branch = 'main'): Promise<string> {
  return (await execute('git', ['--git-dir', bare, 'rev-parse', branch])).stdout.trim();
}

async function linkAt(bare: string, path: string): Promise<string> {
  const { stdout } = await execute('git', ['--git-dir', bare, 'ls-tree', BRANCH, path]);
  return stdout.split(/\s/)[2] ?? '';
}

async function claude(...commands: string[]) {
  turn += 1;
  const mine = turn;
  await stage.prompt('m-1', run(...commands), mine);
  return await stage.event('saved', (saved) => saved.turn === mine, 120_000);
}

async function begin(fullName: string): Promise<void> {
  await stage.start('m-1', { repository: { fullName, pushed: null } });
  await stage.event('ready');
}

const inWorktree = (path: string) => join(stage.worktree('m-1'), path);
const told = () =>
  stage
    .eventsOf('notice')
    .map(({ text }) => text)
    .join('\n');

test('submodules of the same host are there; others stay empty, are named, and run nothing', async () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 5\n`;
  const lib = await repository('acme/lib', {
    'lib.txt': 'lib\n',
    'art/.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
    'art/a.bin': pointer,
  });
  const own = await repository('acme/own', { 'cyrus-setup.sh': 'cat libs/one/lib.txt\n' });
  const commit = await tipOf(lib);
  const gitlink = (id: string, path: string) => `git update-index --add --cacheinfo 160000,${id},${path}`;
  const modules = [
    ['libs/one', '../lib.git', commit],
    ['gone', '../lib.git', NOWHERE],
    ['far', 'https://elsewhere.example/x/y.git', NOWHERE],
    ['evil', 'ext::sh -c "touch% submodule-ran"', NOWHERE],
    ['option', '--upload-pack=touch', NOWHERE],
  ];
  const file = modules.map(([path, url]) => `[submodule "${path}"]\\n path = ${path}\\n url = ${url}\\n`).join('');
  const odd = '[submodule "../../x"]\\n path = odd\\n url = ../lib.git\\n update = !touch update-ran\\n';
  await person(
    own,
    `printf '%s' "$(printf '${file}${odd}')" > .gitmodules; git add .gitmodules; ${modules.map(([path, , id]) => gitlink(id ?? '', path ?? '')).join('; ')}; ${gitlink(commit, 'odd')}; git commit -qm Modules`,
  );
  await begin('acme/own');
  expect(await readFile(inWorktree('libs/one/lib.txt'), 'utf8')).toBe('lib\n');
  expect(stage.eventsOf('setup-output').map(({ text }) => text)).toContain('lib\n');
  expect(told()).toMatch(/The submodule gone is empty: its commit 1111111111 is nowhere at \.\.\/lib\.git/);
  for (const path of ['far', 'evil', 'option']) {
    expect(told()).toMatch(new RegExp(`The submodule ${path} is empty: .*not fetched`));
  }
  expect(told()).toMatch(/The submodule libs\/one keeps files in Git LFS, which stay pointers/);
  expect(await readFile(inWorktree('libs/one/art/a.bin'), 'utf8')).toBe(pointer);
  expect(told()).toMatch(/The submodule odd is empty: its name/);
  const saved = await claude('git -C libs/one log --oneline; git submodule status; git status --porcelain > s.txt');
  expect(saved.problem).toBeUndefined();
  expect(saved.files.map(({ path }) => path)).toEqual(['s.txt']);
  for (const name of ['submodule-ran', 'update-ran']) {
    await expect(access(inWorktree(name))).rejects.toThrow();
  }
});

test('a submodule that others moved follows, and is not moved back by a save', async () => {
  const lib = await repository('acme/lib', { 'lib.txt': 'old\n' });
  const own = await repository('acme/own', { 'a.txt': 'a\n' });
  const link = async () => `git update-index --add --cacheinfo 160000,${await tipOf(lib)},lib`;
  await person(
    own,
    `printf '[submodule "lib"]\\n path = lib\\n url = ../lib.git\\n' > .gitmodules; git add .gitmodules; ${await link()}; git commit -qm Modules`,
  );
  await begin('acme/own');
  await claude('echo 1 > 1.txt');
  await person(lib, 'echo new > lib.txt; git commit -qam New');
  await person(own, `${await link()}; git commit -qm Moved`, BRANCH);
  const saved = await claude('cat lib/lib.txt > seen.txt');
  expect(saved.problem).toBeUndefined();
  expect(await stage.host.readFile('acme/own', BRANCH, 'seen.txt')).toBe('new\n');
  expect(await linkAt(own, 'lib')).toBe(await tipOf(lib));
});

test('a submodule that Claude moved to a commit that is nowhere is left out and named, and one that others can have goes along', async () => {
  const lib = await repository('acme/lib', { 'lib.txt': 'old\n' });
  const own = await repository('acme/own', { 'a.txt': 'a\n' });
  const before = await tipOf(lib);
  await person(lib, 'git checkout -qb next; echo next > lib.txt; git commit -qam Next');
  const next = await tipOf(lib, 'next');
  await person(
    own,
    `printf '[submodule "lib"]\\n path = lib\\n url = ../lib.git\\n' > .gitmodules; git add .gitmodules; git update-index --add --cacheinfo 160000,${before},lib; git commit -qm Modules`,
  );
  await begin('acme/own');
  const saved = await claude('cd lib; echo mine > lib.txt; git commit -qam Mine; cd ..; echo y > y.txt');
  expect(saved.problem).toMatch(/lib was not committed: the submodule is at a commit that is on no remote branch/);
  expect(await linkAt(own, 'lib')).toBe(before);
  // Its remote is read only.
  const pushed = await claude('cd lib; git push -q origin HEAD:refs/heads/mine; git checkout -q origin/next');
  expect(pushed.pushed).toBe(true);
  expect(await linkAt(own, 'lib')).toBe(next);
  await expect(tipOf(lib, 'mine')).rejects.toThrow();
});
