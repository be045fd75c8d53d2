/** The repository in the worktree is damaged, by Claude or what it ran, in all the ways in which that is done. */
import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { withFakeGit } from './fake-git.ts';
import { eventually, run, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

const WAYS: [what: string, command: string][] = [
  ['HEAD is empty', ': > .git/HEAD'],
  ['HEAD holds something else', 'echo nonsense > .git/HEAD'],
  ['HEAD is gone', 'rm .git/HEAD'],
  ['HEAD is a folder', 'rm .git/HEAD; mkdir .git/HEAD'],
  ['the objects are gone', 'rm -rf .git/objects'],
  ['the configuration cannot be read', "echo '[broken' >> .git/config"],
  ['all branches are gone', 'rm -rf .git/refs .git/packed-refs'],
  [
    'the branch names no commit',
    'for f in $(find .git/refs/heads -type f); do echo deadbeef > $f; done; rm -f .git/packed-refs',
  ],
  ['it is a file', 'rm -rf .git; echo x > .git'],
  ['it is a link to elsewhere', 'mv .git ../elsewhere.git; ln -s ../elsewhere.git .git; rm -rf ../elsewhere.git/refs'],
  ['it is another one', 'rm -rf .git; git init -q .'],
  [
    'a commit cannot be read',
    'o=$(git rev-parse HEAD); f=.git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-); chmod u+w $f; : > $f',
  ],
  [
    'a tree is gone',
    'o=$(git rev-parse HEAD^{tree}); f=.git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-); rm -f $f',
  ],
  [
    'a folder’s tree is cut short',
    'o=$(git rev-parse HEAD:deep); f=.git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-); chmod u+w $f; truncate -s 5 $f',
  ],
  [
    'a file’s content is gone',
    'o=$(git rev-parse HEAD:deep/one); f=.git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-); rm -f $f',
  ],
  ['the index cannot be read', 'echo nonsense > .git/index'],
  ['git left its locks', 'touch .git/index.lock .git/HEAD.lock .git/config.lock'],
];

/** A session after a turn in which Claude ran a command: its work is saved, and in the checkpoint. */
async function firstTurn(command: string) {
  stage = await setStage({ config: { shutdownMs: 500 } });
  await stage.start('shop-1');
  await stage.prompt('shop-1', run(command), 1);
  const first = await stage.event('saved', ({ turn }) => turn === 1, 60_000);
  await eventually(
    () => stage.gateway.checkpoint?.worktree.branchHead === first.head && stage.gateway.checkpoint.settled === true,
    'the checkpoint',
  );
  return first;
}

test.each(WAYS)('what Claude did is saved, before and after, though %s', async (_what, command) => {
  await firstTurn('mkdir deep; echo one > deep/one; git add .; git commit -qm One');
  await stage.prompt('shop-1', run(command, 'echo two > two'), 2);
  const saved = await stage.event('saved', ({ turn }) => turn === 2, 60_000);
  const said = JSON.stringify({ problem: saved.problem, notices: stage.eventsOf('notice').map(({ text }) => text) });
  expect(saved.pushed, said).toBe(true);
  expect(saved.files.map(({ path }) => path).sort(), said).toEqual(['deep/one', 'two']);
  const git = (...args: string[]) => execFileSync('git', args, { cwd: stage.worktree('shop-1'), encoding: 'utf8' });
  expect(git('ls-tree', '-r', '--name-only', 'HEAD')).toContain('deep/one');
  expect(git('status', '--porcelain')).toBe('');
});

/** The server's git looks at the worktree's HEAD and comes to nothing, as often as is said in a file. */
async function withFailingGit(how: string, test: (failures: (count: number) => Promise<void>) => Promise<void>) {
  const script = (folder: string) => `case "$*" in *"rev-parse --verify"*" HEAD^{commit}"*)
  n=$(cat '${folder}/left' 2>/dev/null || echo 0)
  if [ "$n" -gt 0 ]; then echo $((n - 1)) > '${folder}/left'; ${how}; fi;;
esac`;
  await withFakeGit(script, (folder) => test((count) => writeFile(join(folder, 'left'), String(count))));
}

test.each([
  ['is killed', 'kill -9 $$'],
  ['has no memory', 'echo "fatal: Out of memory, malloc failed" >&2; exit 128'],
])('a repository is kept with all its branches though the git that looks at it %s', async (_what, how) => {
  await withFailingGit(how, async (failures) => {
    const first = await firstTurn('echo one > one; git add .; git commit -qm One; git branch mine');
    await failures(1_000);
    await stage.prompt('shop-1', run('echo two > two'), 2);
    await stage.event('saved', ({ turn }) => turn === 2, 60_000);
    await failures(0);
    await stage.prompt('shop-1', run('echo three > three'), 3);
    const saved = await stage.event('saved', ({ turn }) => turn === 3, 60_000);
    expect(saved.pushed).toBe(true);
    expect(stage.eventsOf('notice').map(({ text }) => text)).not.toContainEqual(expect.stringContaining('recreated'));
    const git = (...args: string[]) => execFileSync('git', args, { cwd: stage.worktree('shop-1'), encoding: 'utf8' });
    expect(git('rev-parse', 'mine').trim()).toBe(first.head);
    expect(git('ls-tree', '-r', '--name-only', 'HEAD')).toMatch(/^one$[\s\S]*^three$[\s\S]*^two$/m);
  });
});

test('a server that starts again continues from the repository that is there, though the git that looks at it is killed', async () => {
  await withFailingGit('kill -9 $$', async (failures) => {
    const first = await firstTurn('echo one > one; git add .; git commit -qm One; git branch mine');
    const prepared = stage.eventsOf('ready').length;
    await failures(1_000);
    await stage.restart();
    await stage.start('shop-1');
    await eventually(() => stage.eventsOf('ready').length > prepared, 'the preparation');
    await failures(0);
    await stage.prompt('shop-1', run('echo two > two'), 2);
    const saved = await stage.event('saved', ({ turn }) => turn === 2, 60_000);
    expect(saved.pushed).toBe(true);
    const git = (...args: string[]) => execFileSync('git', args, { cwd: stage.worktree('shop-1'), encoding: 'utf8' });
    expect(git('rev-parse', 'mine').trim()).toBe(first.head);
  });
});

/** Runs while the server's git cannot take in a checkpoint's bundle, until the file `away` in the folder is removed. */
async function withoutBundles(how: (folder: string) => string, test: (folder: string) => Promise<void>) {
  const script = (folder: string) => `if [ -e '${folder}/away' ]; then case "$*" in
  *"bundle unbundle"*) ${how(folder)};;
  *"fetch"*${'1'.repeat(40)}*) echo "fatal: unable to access 'x': Could not resolve host: x" >&2; exit 128;;
  esac; fi`;
  await withFakeGit(script, test);
}

/** Every commit and every file is there. */
function isWhole(first: { head: string }): void {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: stage.worktree('shop-1'), encoding: 'utf8' });
  expect(git('rev-list', 'HEAD')).toContain(first.head);
  expect(git('ls-tree', '-r', '--name-only', 'HEAD')).toMatch(/^one$[\s\S]*^two$/m);
}

test('a repository that cannot be recreated while the git host is away is recreated later, and nothing half made is taken for the work', async () => {
  const lacks = `echo "error: Repository lacks these prerequisite commits:" >&2; echo "error: ${'1'.repeat(40)}" >&2; exit 1`;
  await withoutBundles(
    () => lacks,
    async (folder) => {
      const first = await firstTurn('echo one > one; git add .; git commit -qm One');
      await writeFile(join(folder, 'away'), '');
      await stage.prompt('shop-1', run('rm -rf .git', 'echo two > two'), 2);
      const second = await stage.event('saved', ({ turn }) => turn === 2, 60_000);
      expect(second.problem).toContain('could not be saved');
      expect(stage.gateway.checkpoint?.worktree.branchHead).toBe(first.head);
      await rm(join(folder, 'away'));
      await stage.prompt('shop-1', run('echo three > three'), 3);
      const saved = await stage.event('saved', ({ turn }) => turn === 3, 60_000);
      expect(saved.pushed).toBe(true);
      isWhole(first);
    },
  );
});

test('a repository is recreated once more if a git was killed over it', async () => {
  const once = (folder: string) => `rm '${folder}/away'; kill -9 $$`;
  await withoutBundles(once, async (folder) => {
    const first = await firstTurn('echo one > one; git add .; git commit -qm One');
    await writeFile(join(folder, 'away'), '');
    await stage.prompt('shop-1', run('rm -rf .git', 'echo two > two'), 2);
    const saved = await stage.event('saved', ({ turn }) => turn === 2, 60_000);
    expect(saved.pushed).toBe(true);
    isWhole(first);
  });
});

test('a server that starts again loses no file though a git was killed over the repository that it recreates', async () => {
  const once = (folder: string) => `rm '${folder}/away'; kill -9 $$`;
  await withoutBundles(once, async (folder) => {
    const first = await firstTurn('echo one > one; git add .; git commit -qm One');
    await stage.restart();
    await writeFile(join(stage.worktree('shop-1'), 'two'), 'two\n');
    await rm(join(stage.worktree('shop-1'), '.git'), { recursive: true });
    await writeFile(join(folder, 'away'), '');
    await stage.restart();
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo three > three'), 2);
    const saved = await stage.event('saved', ({ turn }) => turn === 2, 60_000);
    expect(saved.pushed).toBe(true);
    isWhole(first);
  });
});
