import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { link, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type WorktreeSnapshot, WorktreeSnapshots } from '../../container/checkpoints/worktree.ts';
import type { WorkspacePlan } from '../../container/git/workspace-plan.ts';

let folder: string;
let plan: WorkspacePlan;
let watched: WorktreeSnapshots;

function git(...args: string[]): string {
  const author = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
  return execFileSync('git', [...author, ...args], { cwd: plan.worktree, encoding: 'utf8' }).trim();
}

const at = (path: string) => Buffer.from(join(plan.worktree, path), 'latin1');
async function put(path: string, text: string): Promise<void> {
  await mkdir(at(join(path, '..')), { recursive: true });
  await writeFile(at(path), text);
}

/** The tree of everything in a snapshot, as names of blobs. */
const tree = ({ commit }: WorktreeSnapshot) => git('ls-tree', '-r', commit);

/** What a snapshot has to hold: one that knows nothing and looks at every file. */
async function everything(): Promise<string> {
  await rm(join(folder, 'other'), { recursive: true, force: true });
  return tree(await new WorktreeSnapshots(() => plan, join(folder, 'other')).take(null));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cyrus-watch-'));
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
  await put('.gitignore', '*.log\nbuilt/\n');
  for (let file = 0; file < 60; file += 1) await put(`part-${file % 6}/deep-${file % 4}/${file}.txt`, `file ${file}\n`);
  git('add', '-A');
  git('commit', '--quiet', '-m', 'Begin');
  watched = new WorktreeSnapshots(() => plan, join(folder, 'checkpoint'), {
    fromBytes: 0,
    maxEvents: 400,
    echoPatienceMs: 60_000,
  });
});
afterEach(async () => {
  watched.close();
  await rm(folder, { recursive: true, force: true });
});

/** A step of work; each may meet what an earlier one left. */
type Step = (random: (below: number) => number) => Promise<unknown>;
const somewhere = (random: (below: number) => number) => `part-${random(8)}/deep-${random(5)}`;
const steps: Record<string, Step> = {
  edit: (random) => put(`${somewhere(random)}/${random(60)}.txt`, `edit ${random(1e6)}\n`),
  add: (random) => put(`${somewhere(random)}/new-${random(9)}/${random(9)}.txt`, `new ${random(1e6)}\n`),
  bytes: (random) => put(`part-1/caf\xe9-${random(3)}/${random(9)}.txt`, `bytes ${random(1e6)}\n`),
  ignored: (random) => put(`built/${random(9)}/${random(9)}.txt`, 'built\n'),
  log: (random) => put(`part-${random(6)}/${random(9)}.log`, 'line\n'),
  remove: (random) => rm(at(`part-${random(6)}/deep-${random(4)}`), { recursive: true, force: true }),
  move: (random) => rename(at(`part-${random(6)}`), at(`part-${random(8)}`)),
  moveDeep: (random) => rename(at(somewhere(random)), at(`moved-${random(5)}`)),
  link: async (random) => {
    await rm(at(`part-${random(6)}`), { recursive: true, force: true });
    await symlink('/nowhere', at(`part-${random(6)}`));
  },
  empty: (random) => mkdir(at(`empty-${random(4)}/deep`), { recursive: true }),
  intoEmpty: (random) => writeFile(at(`empty-${random(4)}/deep/file`), `${random(1e6)}`),
  nested: async (random) => execFileSync('git', ['init', '--quiet', `nested-${random(2)}`], { cwd: plan.worktree }),
  intoNested: (random) => writeFile(at(`nested-${random(2)}/file`), 'x'),
  ignore: (random) => put('.gitignore', ['*.log\nbuilt/\n', 'built/\n', '*.log\nmoved-*/\n'][random(3)] ?? ''),
  reset: async () => git('checkout', '--quiet', '-f', 'HEAD', '--', '.'),
  stage: async () => git('add', '-A', '--', ':!*nested*'),
};

describe('a watched worktree', () => {
  test.each([1, 2])(
    'gives the same snapshots as one where every file is looked at, whatever is done (%i)',
    async (seed) => {
      let state = seed * 7919;
      const random = (below: number) => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
      };
      const names = Object.keys(steps);
      const history: string[] = [];
      let before = await watched.take(null);
      for (let round = 0; round < 8; round += 1) {
        for (let step = random(4); step >= 0; step -= 1) {
          const name = names[random(names.length)] ?? 'edit';
          history.push(name);
          await steps[name]?.(random).catch(() => {});
        }
        before = await watched.take(before, false);
        expect(tree(before), `after ${history.join(', ')}`).toBe(await everything());
      }
    },
  );

  test('is looked at as far as it was touched; what no kernel tells is found when everything is looked at', async () => {
    // Written through another link to the file.
    await link(at('part-0/deep-0/0.txt'), join(folder, 'outside'));
    const first = await watched.take(null);
    expect(watched.isWatched).toBe(true);
    await writeFile(join(folder, 'outside'), 'through the other link\n');
    await put('part-1/deep-1/1.txt', 'changed\n');
    const second = await watched.take(first, false);
    expect(git('show', `${second.commit}:part-1/deep-1/1.txt`)).toBe('changed');
    expect(git('show', `${second.commit}:part-0/deep-0/0.txt`)).toBe('file 0');
    expect(tree(await watched.take(second, true))).toBe(await everything());
  });

  test('is looked at as a whole after more changes than are told one by one, and watched again when it is quiet', async () => {
    let before = await watched.take(null);
    for (let file = 0; file < 500; file += 1) writeFileSync(at(`part-${file % 6}/many-${file}`), `${file}`);
    before = await watched.take(before, false);
    expect(watched.isWatched).toBe(false);
    expect(tree(before)).toBe(await everything());
    for (let round = 0; round < 5; round += 1) {
      await put('part-0/again', `${round}`);
      before = await watched.take(before, false);
      expect(git('show', `${before.commit}:part-0/again`)).toBe(`${round}`);
    }
    expect(watched.isWatched).toBe(true);
  });
});
