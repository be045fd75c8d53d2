import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { runGit } from '../../dev/git/git-command.ts';
import type { SeedCommit } from '../../dev/git/seed.ts';
import { eventually, run, type Stage, setStage } from './stage.ts';
import { testClock } from './test-clock.ts';

let stage: Stage;
afterEach(() => stage?.close());

const ada = { name: 'Ada', email: 'ada@acme.example' };
const BASE = `base-${createHash('sha256').update('main').digest('hex')}`;
const large = { repository: { fullName: 'acme/large' } };

/** A repository of 120 commits and about 500 KB that does not get smaller. */
async function stageWithLarge(): Promise<void> {
  stage = await setStage({ config: { shutdownMs: 500 } });
  const commits: SeedCommit[] = Array.from({ length: 120 }, (_, index) => ({
    message: `Commit ${index}`,
    author: ada,
    at: 1_780_000_000 + index,
    files: { [`file-${index % 20}.txt`]: randomBytes(4_000).toString('base64') },
  }));
  await stage.host.ensureRepository('acme/large', { branch: 'main', commits });
}

/** One turn that changes something, until its work is saved. */
async function work(turn = 1): Promise<void> {
  await stage.prompt('large-1', run('echo work >> work.txt'), turn);
  await stage.event('saved', (saved) => saved.turn === turn && saved.again !== true);
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: stage.worktree('large-1'), encoding: 'utf8' }).trim();
}

async function commitOnHost(message: string): Promise<void> {
  const cwd = (await stage.host.directory('acme/large')) ?? '';
  const env = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@x', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@x' };
  const commit = await runGit(['commit-tree', '-p', 'main', '-m', message, 'main^{tree}'], { cwd, env });
  await runGit(['update-ref', 'refs/heads/main', commit.trim()], { cwd });
}

async function mirrorDetail(): Promise<string> {
  const done = await stage.event('step', (step) => step.step === 'mirror' && step.status === 'done');
  return done.detail ?? '';
}

async function bundleKept(): Promise<{ commit: string; bytes: number }> {
  const kept = await eventually(() => stage.gateway.cache.get(BASE), 'the bundle');
  return JSON.parse(kept.toString('utf8'));
}

describe('a repository that a disk does not have', () => {
  test('begins with the newest commits, and has its whole history while Claude works', async () => {
    await stageWithLarge();
    await stage.start('large-1', large);
    expect(await mirrorDetail()).toBe('acme/large: the newest 50 commits fetched');
    await stage.event('ready');
    await eventually(() => git('rev-list', '--count', 'HEAD') === '120', 'the history');
    expect(git('rev-parse', '--is-shallow-repository')).toBe('false');
    await work();
    const [saved] = stage.eventsOf('saved');
    expect(saved).toMatchObject({ pushed: true, commits: [expect.anything()], files: [{ path: 'work.txt' }] });
  });

  test('comes with its whole history if the branch exists already', async () => {
    await stageWithLarge();
    const cwd = (await stage.host.directory('acme/large')) ?? '';
    await runGit(['update-ref', 'refs/heads/cyrus/large-1', 'main~90'], { cwd });
    await stage.start('large-1', { repository: { fullName: 'acme/large', branch: 'cyrus/large-1' } });
    expect(await mirrorDetail()).toBe('acme/large: 120 commits fetched');
    await stage.event('ready');
    expect(git('merge-base', 'HEAD', 'refs/remotes/origin/main')).toBe(git('rev-parse', 'HEAD'));
  });
});

describe('the bundle of a repository', () => {
  test('is stored after a save, and a disk without the repository fetches only what is new', async () => {
    await stageWithLarge();
    await stage.start('large-1', large);
    await work();
    const { commit, bytes } = await bundleKept();
    expect(commit).toBe(git('rev-parse', 'refs/remotes/origin/main'));
    expect(bytes).toBeGreaterThan(256 * 1024);

    await commitOnHost('One more');
    await stage.vanish('large-1');
    stage.gateway.awaitNewStream();
    await stage.start('large-1', { ...large, generation: 2 });
    expect(await mirrorDetail()).toBe('acme/large: from the cache, 1 new commit on main');
    await stage.event('ready');
    expect(git('rev-list', '--count', 'refs/remotes/origin/main')).toBe('121');
    await work(2);
    // A small one follows every change.
    await eventually(async () => (await bundleKept()).commit !== commit, 'the newer bundle');
  });

  test('follows a base branch that was rewritten on the host', async () => {
    await stageWithLarge();
    await stage.start('large-1', large);
    await work();
    await bundleKept();
    const cwd = (await stage.host.directory('acme/large')) ?? '';
    await runGit(['update-ref', 'refs/heads/main', 'main~10'], { cwd });
    await stage.vanish('large-1');
    stage.gateway.awaitNewStream();
    await stage.start('large-1', {
      ...large,
      generation: 2,
      repository: { ...large.repository, branch: 'cyrus/other' },
    });
    expect(await mirrorDetail()).toBe('acme/large: from the cache, main is up to date');
    await stage.event('ready');
    expect(git('rev-list', '--count', 'HEAD')).toBe('110');
  });

  test.each([
    ['is no bundle', () => Buffer.from('nonsense')],
    ['lacks what it leads to', incomplete],
  ])(
    'that %s is not used: everything comes from the git host, and another one takes its place after the next save',
    async (_, content) => {
      await stageWithLarge();
      await keep(await content());
      await stage.start('large-1', large);
      expect(await mirrorDetail()).toBe('acme/large: the newest 50 commits fetched');
      await stage.event('ready');
      const useless = stage.gateway.cache.get(BASE);
      await work();
      await eventually(() => stage.gateway.cache.get(BASE) !== useless, 'another bundle');
    },
  );

  test('that lacks older files has them fetched from the git host once that is found', async () => {
    await stageWithLarge();
    const cwd = (await stage.host.directory('acme/large')) ?? '';
    const commits = await runGit(['rev-list', 'main'], { cwd });
    const newest = await runGit(['rev-list', '--objects', '--no-walk', 'main'], { cwd });
    await keep(await bundleOf(`${commits}${newest.replace(/ .*$/gm, '')}`));
    await stage.start('large-1', large);
    expect(await mirrorDetail()).toBe('acme/large: from the cache, main is up to date');
    await stage.event('ready');
    await eventually(() => {
      try {
        return git('rev-list', '--objects', '--count', 'refs/remotes/origin/main~100');
      } catch {
        return null;
      }
    }, 'the older files');
  });

  test('whose parts are gone, or others than were stored, is not used', async () => {
    await stageWithLarge();
    await keep(Buffer.from('nonsense'), { sha256: '0'.repeat(64) });
    await stage.start('large-1', large);
    expect(await mirrorDetail()).toBe('acme/large: the newest 50 commits fetched');
  });

  test('is not made of a small repository, which comes as fast from its host', async () => {
    stage = await setStage();
    await stage.start('large-1', { repository: { fullName: 'acme/shop' } });
    await work();
    testClock.advance(60_000);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(stage.gateway.cache.size).toBe(0);
  });
});

async function keep(content: Buffer, more: object = {}): Promise<void> {
  const version = 'a'.repeat(32);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const cwd = (await stage.host.directory('acme/large')) ?? '';
  const commit = (await runGit(['rev-parse', 'main'], { cwd })).trim();
  const manifest = { version, commit, bytes: content.length, parts: 1, sha256, at: Date.now(), ...more };
  stage.gateway.cache.set(BASE, Buffer.from(JSON.stringify(manifest)));
  stage.gateway.cache.set(`${BASE}/${version}/0`, content);
}

/** A well-formed bundle that has the newest commit, and neither its files nor what was before it. */
async function incomplete(): Promise<Buffer> {
  const cwd = (await stage.host.directory('acme/large')) ?? '';
  return bundleOf(await runGit(['rev-parse', 'main'], { cwd }));
}

/** @param objects their ids, one a line */
async function bundleOf(objects: string): Promise<Buffer> {
  const cwd = (await stage.host.directory('acme/large')) ?? '';
  const commit = (await runGit(['rev-parse', 'main'], { cwd })).trim();
  const pack = execFileSync('git', ['pack-objects', '--stdout', '--quiet'], { cwd, input: objects, stdio: 'pipe' });
  return Buffer.concat([Buffer.from(`# v2 git bundle\n${commit} refs/remotes/origin/main\n\n`), pack]);
}
