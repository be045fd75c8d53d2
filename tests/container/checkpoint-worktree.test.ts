import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BundleTooLargeError, writeBundle } from '../../container/checkpoints/bundle.ts';
import { type WorktreeSnapshot, WorktreeSnapshots } from '../../container/checkpoints/worktree.ts';
import type { WorkspacePlan } from '../../container/git/workspace-plan.ts';
import { commitLeftovers } from '../../container/save/leftovers.ts';

let folder: string;
let plan: WorkspacePlan;
let snapshots: WorktreeSnapshots;

function git(...args: string[]): string {
  const author = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
  return execFileSync('git', [...author, ...args], { cwd: plan.worktree, encoding: 'utf8' }).trim();
}

async function put(files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(plan.worktree, path, '..'), { recursive: true });
    await writeFile(join(plan.worktree, path), text);
  }
}

/** Paths in a snapshot. */
const paths = ({ commit }: WorktreeSnapshot) =>
  git('ls-tree', '-r', '--name-only', '-z', commit).split('\0').filter(Boolean);
const content = ({ commit }: WorktreeSnapshot, path: string) => git('cat-file', 'blob', `${commit}:${path}`);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cyrus-snapshot-'));
  const worktree = join(folder, 'worktree');
  await mkdir(worktree);
  plan = {
    mirror: join(folder, 'mirror.git'),
    worktree,
    fullName: 'acme/shop',
    identity: null,
    baseBranch: 'main',
    branch: 'cyrus/shop-1',
    bundlePath: join(folder, 'base.bundle'),
    signal: new AbortController().signal,
    remote: {
      url: 'http://127.0.0.1:1/acme/shop.git',
      gatewayUrl: 'http://127.0.0.1:1',
      token: 'token',
      author: { name: 'A', email: 'a@example.com' },
      excludesFile: '/dev/null',
      hooksFolder: '/dev/null',
      proxyUrl: 'http://127.0.0.1:1',
    },
  };
  git('init', '--quiet', '-b', 'cyrus/shop-1');
  await put({ 'README.md': 'read me\n', 'src/a.js': 'a\n', '.gitignore': '*.log\n' });
  git('add', '-A');
  git('commit', '--quiet', '-m', 'Begin');
  snapshots = new WorktreeSnapshots(() => plan, join(folder, 'checkpoint'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a snapshot of the worktree', () => {
  test('has what is new, changed, removed, renamed or a link, each time', async () => {
    await put({ 'new.txt': 'new\n', 'src/a.js': 'changed\n', 'ignored.log': 'x\n' });
    await symlink('new.txt', join(plan.worktree, 'link'));
    const first = await snapshots.take(null);
    expect(paths(first).sort()).toEqual(['.gitignore', 'README.md', 'link', 'new.txt', 'src/a.js']);
    expect(content(first, 'src/a.js')).toBe('changed');
    await rm(join(plan.worktree, 'new.txt'));
    await rm(join(plan.worktree, 'src'), { recursive: true });
    await put({ src: 'a file now\n', 'link/deep.txt': 'x\n' }).catch(() => {});
    const second = await snapshots.take(first);
    expect(paths(second).sort()).toEqual(['.gitignore', 'README.md', 'link', 'src']);
    expect(await snapshots.take(second)).toEqual({ ...second, isSmall: true });
    expect(git('status', '--porcelain')).toContain('src');
    expect(git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/cyrus/shop-1');
  });

  test('sees a change of the same size in the same second, whatever the file says of its age', async () => {
    const file = join(plan.worktree, 'README.md');
    const { atime, mtime } = await stat(file);
    const first = await snapshots.take(null);
    await writeFile(file, 'READ ME\n');
    await utimes(file, atime, mtime);
    expect(content(await snapshots.take(first), 'README.md')).toBe('READ ME');
  });

  test('reads only what has changed since the one before', async () => {
    await put(Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`made/${at % 30}/${at}`, `file ${at}\n`])));
    const first = await snapshots.take(null);
    const objects = () => git('count-objects').split(' ')[0];
    const before = Number(objects());
    await put({ 'made/1/1': 'changed\n' });
    const second = await snapshots.take(first);
    // A blob, three trees and a commit.
    expect(Number(objects()) - before).toBe(5);
    expect(content(second, 'made/1/1')).toBe('changed');
  });

  test.each([
    ['assume unchanged', '--assume-unchanged'],
    ['skip', '--skip-worktree'],
  ])('has a file that Claude told git to %s', async (_, flag) => {
    git('update-index', flag, 'README.md');
    await put({ 'README.md': 'changed all the same\n' });
    expect(content(await snapshots.take(null), 'README.md')).toBe('changed all the same');
  });

  test('has what was added by force though it is ignored, also once snapshots are under way', async () => {
    const first = await snapshots.take(null);
    await put({ 'kept.log': 'kept\n', 'other.log': 'not kept\n' });
    git('add', '--force', 'kept.log');
    const second = await snapshots.take(first);
    expect(paths(second)).toContain('kept.log');
    expect(paths(second)).not.toContain('other.log');
    expect(git('ls-tree', '--name-only', second.index)).toContain('kept.log');
  });

  test('leaves out what the worktree’s own info/exclude names, which a restored one does not have', async () => {
    await put({ 'local.txt': 'mine alone\n', '.git/info/exclude': 'local.txt\n' });
    expect(paths(await snapshots.take(null))).not.toContain('local.txt');
    await put({ '.git/info/exclude': '' });
    expect(paths(await snapshots.take(null))).toContain('local.txt');
  });

  test('leaves out what the repository comes to ignore', async () => {
    await put({ 'made/1': 'x\n' });
    const first = await snapshots.take(null);
    expect(paths(first)).toContain('made/1');
    await put({ '.gitignore': 'made/\n*.log\n' });
    expect(paths(await snapshots.take(first))).not.toContain('made/1');
  });

  test('is made in the middle of a conflict, with the files as they are', async () => {
    git('checkout', '--quiet', '-b', 'other');
    await put({ 'README.md': 'theirs\n' });
    git('commit', '--quiet', '-am', 'Theirs');
    git('checkout', '--quiet', 'cyrus/shop-1');
    await put({ 'README.md': 'ours\n' });
    git('commit', '--quiet', '-am', 'Ours');
    const first = await snapshots.take(null);
    expect(() => git('merge', '--quiet', 'other')).toThrow();
    expect(content(await snapshots.take(first), 'README.md')).toContain('<<<<<<<');
  });

  test('lacks the one file that git cannot take, which is named; the others are there', async () => {
    await put({
      '.gitattributes': '*.rc text working-tree-encoding=UTF-16\n',
      'res.rc': 'plain\n',
      'back\\slash': 'x\n',
    });
    for (let at = 0; at < 20; at += 1) await put({ [`many/${at}`]: 'x\n' });
    const first = await snapshots.take(null);
    expect(first.skipped).toEqual(['res.rc']);
    expect(paths(first)).toEqual(expect.arrayContaining(['back\\slash', 'many/0', 'many/19', '.gitattributes']));
    expect((await snapshots.take(first)).skipped).toEqual(['res.rc']);
  });

  test('has files whose names are no text, or hold a line break', async () => {
    const inBytes = (name: string) => Buffer.concat([Buffer.from(`${plan.worktree}/`), Buffer.from(name, 'latin1')]);
    await mkdir(inBytes('caf\xe9'));
    await writeFile(inBytes('caf\xe9/cr\xe8me'), 'x');
    await put({ 'two\nlines': 'x', ':(top)*': 'x', '"quoted"': 'x' });
    const { commit, skipped } = await snapshots.take(null);
    const held = execFileSync('git', ['ls-tree', '-r', '--name-only', '-z', commit], { cwd: plan.worktree });
    expect(held.toString('latin1').split('\0')).toEqual(
      expect.arrayContaining(['caf\xe9/cr\xe8me', 'two\nlines', ':(top)*', '"quoted"']),
    );
    expect(skipped).toEqual([]);
  });

  test('names what git takes from nobody: a path with a part that could be a repository’s own', async () => {
    await put({ 'deep/.GIT/config': 'x\n', 'other.txt': 'x\n' });
    const { commit, skipped } = await snapshots.take(null);
    expect(skipped).toEqual(['deep/.GIT/config']);
    expect(git('ls-tree', '-r', '--name-only', commit)).toContain('other.txt');
  });

  test.each([
    ['split in two', () => git('update-index', '--split-index')],
    ['damaged', () => writeFile(join(plan.worktree, '.git/index'), 'no index')],
    ['gone', () => rm(join(plan.worktree, '.git/index'))],
    ['locked by a git that was killed', () => writeFile(join(plan.worktree, '.git/index.lock'), '')],
  ])('is taken if Claude’s index is %s, the first as well as a later one', async (_, harm) => {
    const first = await snapshots.take(null);
    await harm();
    await put({ 'README.md': 'changed\n', 'new.txt': 'new\n' });
    const fresh = new WorktreeSnapshots(() => plan, join(folder, 'another'));
    for (const snapshot of [await snapshots.take(first), await fresh.take(null)]) {
      expect(paths(snapshot)).toEqual(['.gitignore', 'README.md', 'new.txt', 'src/a.js']);
      expect(content(snapshot, 'README.md')).toBe('changed');
    }
  });

  test('is taken on a branch that has no commit yet', async () => {
    const head = git('rev-parse', 'HEAD');
    git('checkout', '--quiet', '--orphan', 'fresh');
    await put({ 'new.txt': 'new\n' });
    const snapshot = await snapshots.take(null);
    expect(snapshot).toMatchObject({ head, headRef: 'refs/heads/fresh' });
    expect(paths(snapshot)).toContain('new.txt');
  });

  test('of thousands of new files makes one pack of git’s instead of a file for each', async () => {
    await put(Object.fromEntries(Array.from({ length: 1_500 }, (_, at) => [`made/${at % 10}/${at}`, `file ${at}\n`])));
    expect(paths(await snapshots.take(null))).toHaveLength(1_503);
    expect(Number(git('count-objects').split(' ')[0])).toBeLessThan(100);
  });

  test('runs nothing that the repository’s configuration, attributes or hooks name', async () => {
    const trap = join(folder, 'trapped');
    for (const [name, value] of [
      ['core.fsmonitor', `touch ${trap}`],
      ['filter.trap.clean', `touch ${trap}; cat`],
      ['filter.trap.process', `touch ${trap}`],
      ['core.hooksPath', join(plan.worktree, 'hooks')],
    ] as const)
      git('config', name, value);
    await put({ '.gitattributes': '* filter=trap\n', 'hooks/post-index-change': `#!/bin/sh\ntouch ${trap}\n` });
    await chmod(join(plan.worktree, 'hooks/post-index-change'), 0o755);
    const first = await snapshots.take(null);
    await put({ 'README.md': 'changed\n' });
    expect(content(await snapshots.take(first), 'README.md')).toBe('changed');
    expect(await readdir(folder)).not.toContain('trapped');
  });

  test('is begun from nothing if the objects of the one before are gone', async () => {
    await put({ 'staged.txt': 'staged\n' });
    git('add', 'staged.txt');
    const first = await snapshots.take(null);
    git('rm', '--quiet', '--cached', 'staged.txt');
    await rm(join(plan.worktree, 'staged.txt'));
    git('gc', '--quiet', '--prune=now');
    await put({ 'later.txt': 'later\n' });
    const second = await snapshots.take(first).catch(async () => {
      await snapshots.forget();
      return await snapshots.take(null);
    });
    expect(paths(second)).toContain('later.txt');
  });
});

describe('the commits of HEAD and of the branch', () => {
  test.each([
    ['on the branch', () => {}, 'refs/heads/cyrus/shop-1'],
    ['on another', () => git('checkout', '--quiet', '-b', 'other'), 'refs/heads/other'],
    ['on no branch', () => git('checkout', '--quiet', '--detach'), null],
    ['with the branch removed', () => [git('checkout', '--quiet', '--detach'), git('branch', '-D', plan.branch)], null],
    ['on a branch without a commit', () => git('checkout', '--quiet', '--orphan', 'bare'), 'refs/heads/bare'],
    ['where a tag is called HEAD', () => git('update-ref', 'refs/tags/HEAD', 'HEAD'), 'refs/heads/cyrus/shop-1'],
    ['where a branch is called HEAD', () => git('update-ref', 'refs/heads/HEAD', 'HEAD'), 'refs/heads/cyrus/shop-1'],
    [
      'on a name that leads on',
      () => git('symbolic-ref', 'refs/heads/alias', plan.branch.replace(/^/, 'refs/heads/')),
      'refs/heads/cyrus/shop-1',
    ],
  ])('is known %s', async (_, prepare, headRef) => {
    const before = git('rev-parse', 'HEAD');
    prepare();
    expect(await snapshots.take(null)).toMatchObject({ head: before, headRef, branchHead: before });
  });
});

describe('a bundle of a snapshot', () => {
  test('holds only what the reader lacks', async () => {
    const first = await snapshots.take(null);
    await put({ 'later.txt': 'later\n' });
    const second = await snapshots.take(first);
    const path = join(folder, 'checkpoint.bundle');
    const whole = await writeBundle(plan, second.commit, [], join(folder, 'checkpoint'), path);
    const part = await writeBundle(plan, second.commit, [first.commit], join(folder, 'checkpoint'), path);
    expect(part).toBeLessThan(whole ?? 0);
    expect(await writeBundle(plan, first.commit, [first.commit], join(folder, 'checkpoint'), path)).toBeNull();
  });

  test('is one that git takes, and as small, if little was written since the one before', async () => {
    const first = await snapshots.take(null);
    await put({ 'later.txt': 'later\n', 'src/a.js': 'changed\n' });
    const second = await snapshots.take(first);
    const [usual, small] = [join(folder, 'usual.bundle'), join(folder, 'small.bundle')];
    const write = (path: string, isSmall: boolean) =>
      writeBundle(plan, second.commit, [first.commit], join(folder, 'checkpoint'), path, {
        isSmall,
        objects: second.objects,
      });
    expect(Math.abs(((await write(small, true)) ?? 0) - ((await write(usual, false)) ?? 0))).toBeLessThan(300);
    expect(
      await writeBundle(plan, first.commit, [first.commit], join(folder, 'checkpoint'), small, { isSmall: true }),
    ).toBeNull();

    // Another disk, which has what is presupposed and nothing of the rest.
    await write(small, true);
    const other = join(folder, 'other');
    git('update-ref', 'refs/heads/first', first.commit);
    execFileSync('git', [
      'clone',
      '--quiet',
      '--bare',
      '--no-local',
      '--single-branch',
      '--branch',
      'first',
      plan.worktree,
      other,
    ]);
    const there = (...args: string[]) => execFileSync('git', args, { cwd: other, encoding: 'utf8' }).trim();
    expect(() => there('cat-file', '-e', second.commit)).toThrow();
    there('bundle', 'verify', '--quiet', small);
    expect(there('bundle', 'unbundle', small)).toBe(`${second.commit} HEAD`);
    there('fsck', '--connectivity-only', second.commit);
    expect(there('show', `${second.commit}:src/a.js`)).toBe('changed');
  });

  test('of what no compression brings below the limit is not begun, and the size is said', async () => {
    await put({ noise: randomBytes(3_000_000).toString('base64') });
    const { commit } = await snapshots.take(null);
    const path = join(folder, 'checkpoint.bundle');
    const made = writeBundle(plan, commit, [], join(folder, 'checkpoint'), path, { maxDiskBytes: 2_000_000 });
    await expect(made).rejects.toThrow(/90 MiB that can be saved \(3 MiB\)/);
    expect(await readdir(folder)).not.toContain('checkpoint.bundle');
  });

  test('that grows past the limit is given up, in words that say the limit', async () => {
    await put({ noise: randomBytes(200_000).toString('base64') });
    const { commit } = await snapshots.take(null);
    const path = join(folder, 'checkpoint.bundle');
    const made = writeBundle(plan, commit, [], join(folder, 'checkpoint'), path, { maxBytes: 64 * 1024 });
    await expect(made).rejects.toThrow(BundleTooLargeError);
    await expect(made).rejects.toThrow('more than the 90 MiB that can be saved');
  });
});

test('what Claude left is committed also if a killed git has damaged the index', async () => {
  await put({ 'README.md': 'changed\n', 'new.txt': 'new\n' });
  await writeFile(join(plan.worktree, '.git/index'), 'no index');
  expect(await commitLeftovers(plan, new Map())).toEqual([]);
  expect(git('show', '--name-status', '--format=', 'HEAD')).toBe('M\tREADME.md\nA\tnew.txt');
});

test('a file that vanishes while the leftovers are committed is neither missed nor named; the others are committed', async () => {
  await put({ 'a.txt': 'a\n', 'brief.tmp': 'x\n', 'c.txt': 'c\n' });
  /** Each path is looked up once, after all were listed. */
  class Vanishing extends Map<string, string> {
    override get(path: string): string | undefined {
      if (path === 'brief.tmp') rmSync(join(plan.worktree, path));
      return super.get(path);
    }
  }
  expect(await commitLeftovers(plan, new Vanishing())).toEqual([]);
  expect(git('show', '--name-only', '--format=', 'HEAD')).toBe('a.txt\nc.txt');
});

test('what Claude left is committed, but for what the repository ignores by now, in any folder', async () => {
  await put({ 'node_modules/kept/a.js': 'a\n', 'docs/.gitignore': '*.tmp\n!keep.tmp\n' });
  git('add', '-A');
  git('commit', '--quiet', '-m', 'With a folder that others ignore');
  await put({
    'node_modules/kept/b.js': 'b\n',
    'docs/x.tmp': 'x\n',
    'docs/keep.tmp': 'x\n',
    'src/x.tmp': 'x\n',
    '.gitignore': 'late/\n',
    'late/x': 'x\n',
    'now.log': 'x\n',
    'forced/late/x': 'x\n',
  });
  git('add', '--force', 'forced/late/x');
  expect(await commitLeftovers(plan, new Map(), true)).toEqual([]);
  expect(git('ls-tree', '-r', '--name-only', 'HEAD').split('\n').sort()).toEqual([
    '.gitignore',
    'README.md',
    'docs/.gitignore',
    'docs/keep.tmp',
    'forced/late/x',
    'node_modules/kept/a.js',
    'node_modules/kept/b.js',
    'now.log',
    'src/a.js',
    'src/x.tmp',
  ]);
});
