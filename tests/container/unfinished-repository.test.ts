/** The server ends while it makes a session's repository: what is half made is never taken for the session's work. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { withFakeGit } from './fake-git.ts';
import { eventually, run, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

const git = (...args: string[]) => execFileSync('git', args, { cwd: stage.worktree('shop-1'), encoding: 'utf8' });

/**
 * The first git whose command line holds `words` does `before` in its place and hangs until it is killed.
 * @param test gets a function that waits until a git hangs
 */
async function withHangingGit(words: string, before: string, test: (hangs: () => Promise<unknown>) => Promise<void>) {
  const script = (folder: string) => `case "$*" in *"${words}"*)
  if [ ! -e '${folder}/hung' ]; then ${before}; touch '${folder}/hung'; exec sleep 1000; fi;;
esac`;
  await withFakeGit(script, (folder) =>
    test(() => eventually(() => existsSync(join(folder, 'hung')), 'a git that hangs', 60_000)),
  );
}

const READY = 'the session to be ready';
const isReady = async () => (await stage.status('shop-1')).state === 'ready';

test.each([
  ['fetched', 'bundle unbundle'],
  ['staged', 'read-tree'],
])(
  'a repository that is recreated has every commit, though the server ended before its work was %s',
  async (_when, words) => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo one > one; git add one; git commit -qm One'));
    const { head } = await stage.event('saved');
    await eventually(
      () => stage.gateway.checkpoint?.worktree.branchHead === head && stage.gateway.checkpoint.settled === true,
      'the checkpoint',
    );
    await stage.restart();
    await eventually(isReady, READY);
    await writeFile(join(stage.worktree('shop-1'), 'two'), 'two\n');
    await rm(join(stage.worktree('shop-1'), '.git'), { recursive: true });
    await withHangingGit(words, ':', async (hangs) => {
      await stage.restart();
      await hangs();
      await stage.restart();
    });
    await eventually(isReady, READY);
    expect(git('rev-parse', 'HEAD').trim()).toBe(head);
    expect(git('status', '--porcelain')).toBe('?? two\n');
  },
);

test('a first checkout that the end of the server cut off is begun again, and no file counts as removed', async () => {
  stage = await setStage({ config: { shutdownMs: 500 } });
  // Of many files the first are there when it is killed.
  await withHangingGit('reset --quiet --hard', 'echo half > README.md', async (hangs) => {
    await stage.start('shop-1');
    await hangs();
    await stage.restart();
  });
  await stage.prompt('shop-1', run('echo one > one'));
  const saved = await stage.event('saved', undefined, 60_000);
  expect(saved.files.map(({ path }) => path)).toEqual(['one']);
  expect(git('status', '--porcelain')).toBe('');
});

/** A repository `acme/app` with a submodule `lib` of two files. */
async function makeAppWithLib(): Promise<void> {
  const repository = async (name: string, files: Record<string, string>) => {
    const author = { name: 'Ada', email: 'ada@acme.example' };
    const commits = [{ message: `Begin ${name}`, author, at: 1_780_000_000, files }];
    await stage.host.ensureRepository(name, { branch: 'main', commits });
    return (await stage.host.directory(name)) ?? '';
  };
  const lib = await repository('acme/lib', { 'lib.txt': 'lib\n', 'more.txt': 'more\n' });
  const app = await repository('acme/app', { 'README.md': 'app\n' });
  const clone = join(stage.root, 'clone');
  const script = `git clone -q "$1" "$3"; cd "$3"; git -c protocol.file.allow=always submodule --quiet add "$2" lib
    git config -f .gitmodules submodule.lib.url ../lib.git; git -c user.name=P -c user.email=p@example.com commit -qam Lib; git push -q origin HEAD`;
  execFileSync('bash', ['-euc', script, 'bash', app, lib, clone]);
}

test('a checkout that is cut off does not take the place of work that was put aside', async () => {
  stage = await setStage({ config: { shutdownMs: 500 } });
  const worktree = stage.worktree('shop-1');
  await mkdir(worktree, { recursive: true });
  await writeFile(join(worktree, 'work'), 'of a session whose repository is gone');
  await withHangingGit('reset --quiet --hard', 'echo half > README.md', async (hangs) => {
    await stage.start('shop-1');
    await hangs();
    await stage.restart();
  });
  await eventually(isReady, READY);
  expect(await readFile(join(`${worktree}.aside`, 'work'), 'utf8')).toBe('of a session whose repository is gone');
});

test.each([
  ['fetched', '--update-shallow --no-tags http', ':'],
  ['checked out', 'checkout --quiet --detach', 'echo half > lib.txt'],
])('a submodule is whole though the git was killed by which it was %s', async (_when, words, before) => {
  stage = await setStage();
  await makeAppWithLib();
  const script = (folder: string) => `case "$*" in *"${words}"*)
  if [ ! -e '${folder}/killed' ]; then ${before}; touch '${folder}/killed'; kill -9 $$; fi;;
esac`;
  await withFakeGit(script, async (folder) => {
    await stage.start('shop-1', { repository: { fullName: 'acme/app', pushed: null } });
    await stage.event('ready', undefined, 60_000);
    expect(existsSync(join(folder, 'killed'))).toBe(true);
  });
  expect(readFileSync(join(stage.worktree('shop-1'), 'lib', 'lib.txt'), 'utf8')).toBe('lib\n');
  expect(git('status', '--porcelain')).toBe('');
});

test.each([
  ['fetched', '--update-shallow --no-tags http', ':'],
  ['checked out', 'checkout --quiet --detach', 'echo half > lib.txt'],
])('a submodule is whole though the server ended while it was %s', async (_when, words, before) => {
  stage = await setStage({ config: { shutdownMs: 500 } });
  await makeAppWithLib();
  await withHangingGit(words, before, async (hangs) => {
    await stage.start('shop-1', { repository: { fullName: 'acme/app', pushed: null } });
    await hangs();
    await stage.restart();
  });
  await stage.prompt('shop-1', run('cat lib/lib.txt lib/more.txt > copy'));
  const saved = await stage.event('saved', undefined, 60_000);
  expect(saved.files.map(({ path }) => path)).toEqual(['copy']);
  expect(git('show', 'HEAD:copy')).toBe('lib\nmore\n');
});

test('a setup script that the end of the server cut off runs again', async () => {
  stage = await setStage({ config: { shutdownMs: 500 } });
  const mark = join(stage.root, 'setup-began');
  const script = `if [ ! -e '${mark}' ]; then touch '${mark}'; exec sleep 1000; fi; echo done > setup-done.txt`;
  await stage.start('shop-1', { setupScripts: [{ of: 'repository', script }] });
  await eventually(() => existsSync(mark), 'the setup script', 60_000);
  await stage.restart();
  await stage.event('ready');
  expect(existsSync(join(stage.worktree('shop-1'), 'setup-done.txt'))).toBe(true);
});
