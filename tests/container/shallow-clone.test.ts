/** A session's clone that was cut off from its history, next to a mirror that has all of it. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeClone, syncClone } from '../../container/git/clone.ts';
import type { WorkspacePlan } from '../../container/git/workspace-plan.ts';

let folder: string;
const path = process.env.PATH;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cyrus-shallow-'));
});
afterEach(async () => {
  process.env.PATH = path;
  await rm(folder, { recursive: true, force: true });
});

const gitIn = (cwd: string, ...args: string[]) => execFileSync('git', args, { cwd, encoding: 'utf8' }).trim();

/** A mirror with one commit, and a session's clone of it. */
async function cloned(): Promise<{ plan: WorkspacePlan; head: string }> {
  const mirror = join(folder, 'mirror.git');
  const worktree = join(folder, 'worktree');
  await mkdir(worktree, { recursive: true });
  gitIn(folder, 'init', '-q', '--bare', mirror);
  const tree = gitIn(mirror, 'write-tree');
  const head = gitIn(mirror, '-c', 'user.name=Ada', '-c', 'user.email=ada@acme.test', 'commit-tree', tree, '-m', 'One');
  gitIn(mirror, 'update-ref', 'refs/remotes/origin/main', head);
  const gateway = 'http://gateway';
  const plan: WorkspacePlan = {
    mirror,
    worktree,
    fullName: 'acme/shop',
    identity: null,
    baseBranch: 'main',
    branch: 'cyrus/eng-1',
    remote: {
      url: `${gateway}/git/acme/shop.git`,
      gatewayUrl: gateway,
      token: 'token-of-the-test',
      proxyUrl: 'http://127.0.0.1:1',
      author: { name: 'Cyrus', email: 'cyrus@cyrus.test' },
      excludesFile: join(folder, 'excludes'),
      hooksFolder: join(folder, 'hooks'),
    },
    bundlePath: join(folder, 'base.bundle'),
    signal: new AbortController().signal,
  };
  await makeClone(plan, head, 'files');
  return { plan, head };
}

/** Ids of commits that nobody has. */
const unknown = (count: number) => Array.from({ length: count }, (_, n) => (n + 1).toString(16).padStart(40, 'a'));

/** Notes each git that is started from now on. @returns how many were */
async function countGits(): Promise<() => Promise<number>> {
  const real = execFileSync('which', ['git'], { encoding: 'utf8' }).trim();
  const bin = join(folder, 'bin');
  const started = join(folder, 'started');
  await mkdir(bin);
  await writeFile(started, '');
  await writeFile(join(bin, 'git'), `#!/bin/sh\necho "$1" >> '${started}'\nexec '${real}' "$@"\n`);
  await chmod(join(bin, 'git'), 0o755);
  process.env.PATH = `${bin}:${path}`;
  return async () => (await readFile(started, 'utf8')).split('\n').length - 1;
}

it('gets its history back by a few gits, however many commits it names, and stays cut if the mirror cannot help', async () => {
  const { plan, head } = await cloned();
  const file = join(plan.worktree, '.git', 'shallow');
  const foreign = unknown(200);
  await writeFile(file, `${[...foreign.slice(0, 100), head, ...foreign.slice(100)].join('\n')}\n`);
  const started = await countGits();
  await syncClone(plan, false);
  expect(await started()).toBeLessThan(20);
  expect((await readFile(file, 'utf8')).trim().split('\n')).toEqual(foreign);
  await writeFile(file, `${head}\n`);
  await syncClone(plan, false);
  await expect(readFile(file, 'utf8')).rejects.toThrow('ENOENT');
});

it('is left as it is if it names more commits than any host leaves out', async () => {
  const { plan, head } = await cloned();
  const file = join(plan.worktree, '.git', 'shallow');
  const text = `${[head, ...unknown(10_000)].join('\n')}\n`;
  await writeFile(file, text);
  await syncClone(plan, false);
  expect(await readFile(file, 'utf8')).toBe(text);
});
