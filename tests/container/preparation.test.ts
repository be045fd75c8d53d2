import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { logTo } from '../../container/log.ts';
import { sampleRepository } from '../../dev/git/sample-repository.ts';
import type { RepositorySeed } from '../../dev/git/seed.ts';
import { eventually, processesOf, REAL_GIT_PASSWORD, run, type Stage, setStage } from './stage.ts';
import { testClock } from './test-clock.ts';

let stage: Stage;
afterEach(() => stage?.close());

const ada = { name: 'Ada', email: 'ada@acme.example' };
const repository = (files: Record<string, string>): RepositorySeed => ({
  branch: 'main',
  commits: [{ message: 'Begin', author: ada, at: 1_780_000_000, files }],
});
const acme = (name: string) => ({ repository: { fullName: `acme/${name}` } });

describe('preparations that fail say what a person can do', () => {
  test('the base branch does not exist', async () => {
    stage = await setStage();
    await stage.start('shop-1', { repository: { baseBranch: 'develop' } });
    expect(await stage.event('failed')).toMatchObject({
      step: 'mirror',
      message: 'acme/shop has no branch "develop".',
      hint: 'Set the repository\'s base branch in Cyrus to one that exists: "main".',
    });
    expect((await stage.status('shop-1')).state).toBe('failed');
    const refused = await stage.command('shop-1', { type: 'prompt', id: crypto.randomUUID(), turn: 1, text: 'x' });
    expect(refused.status).toBe(409);
  });

  test('the repository is empty', async () => {
    stage = await setStage();
    await promisify(execFile)('git', ['init', '--quiet', '--bare', join(stage.root, '../host/acme/empty.git')]);
    await stage.start('empty-1', acme('empty'));
    expect(await stage.event('failed')).toMatchObject({
      message: 'acme/empty is empty: it has no branch to start from.',
      hint: 'Push a first commit to main, then assign the issue again.',
    });
  });

  test('the repository is not there', async () => {
    stage = await setStage();
    await stage.start('nothing-1', acme('nothing'));
    expect(await stage.event('failed')).toMatchObject({ message: 'acme/nothing was not found on the git host.' });
  });

  test('the git host refuses access', async () => {
    stage = await setStage();
    stage.gateway.refuseGit = { status: 403, text: 'Cyrus: the credential of acme/shop was refused' };
    await stage.start('shop-1');
    const failed = await stage.event('failed');
    expect(failed.message).toContain('The git host refused access to acme/shop');
    expect(failed.message).toContain('the credential of acme/shop was refused');
    expect(failed.hint).toContain('credential');
  });

  test('the git host stays down longer than a start waits', async () => {
    stage = await setStage({ config: { hostPatienceMs: 60_000 } });
    stage.host.failNext(1_000, 502);
    testClock.hurry(200);
    await stage.start('shop-1');
    const failed = await stage.event('failed');
    expect(failed.message).toMatch(/^The git host of acme\/shop could not be reached \(\d+ tries\): /);
    expect(failed.hint).toBe('Check that the git host is up, then comment to try again.');
  });

  test('a repository that has moved is asked for once, and no longer waited for', async () => {
    stage = await setStage();
    const text =
      'Cyrus: the git host says that acme/shop is at https://git.example/acme/store: ask an admin to change its clone address in Cyrus';
    stage.gateway.refuseGit = { status: 502, text };
    await stage.start('shop-1');
    expect((await stage.event('failed')).message).toContain('https://git.example/acme/store');
  });

  test('the CLI is not installed', async () => {
    stage = await setStage({ config: { claudeBin: '/nowhere/claude' } });
    await stage.start('shop-1');
    const failed = await stage.event('failed');
    expect(failed).toMatchObject({ step: 'claude' });
    expect(failed.hint).toContain('CLAUDE_BIN');
  });
});

test('a git host that fails twice and then answers is no failure', async () => {
  stage = await setStage();
  // What a push begins with is asked beside, and may be one of them.
  stage.host.failNext(3, 503);
  testClock.hurry();
  await stage.start('shop-1');
  await stage.event('ready');
  expect(stage.eventsOf('failed')).toEqual([]);
});

describe('a start while the git host is away', () => {
  const waits = (event: { waitsFor?: string }) => event.waitsFor !== undefined;

  test('waits, says for what, and continues by itself once the host is back', async () => {
    stage = await setStage();
    stage.host.failNext(10_000, 503);
    testClock.hurry();
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    await eventually(() => stage.eventsOf('step').some(waits), 'the wait to be told');
    expect(stage.eventsOf('step').filter(waits)).toMatchObject([
      {
        step: 'mirror',
        status: 'started',
        waitsFor: 'Waiting for the git host of acme/shop: it does not answer',
        detail: expect.stringMatching(/^Waiting for the git host of acme\/shop: it does not answer \(.*503.*\)$/),
      },
    ]);
    expect((await stage.status('shop-1')).state).toBe('preparing');
    stage.host.failNext(0, 503);
    await stage.event('ready');
    testClock.calm();
    expect(await stage.result()).toMatchObject({ is_error: false });
    // Told once, and taken back.
    expect(stage.eventsOf('step').filter(waits)).toHaveLength(1);
    expect(stage.eventsOf('failed')).toEqual([]);
  });

  test('does not take a branch that somebody else made for its own', async () => {
    stage = await setStage();
    await pushCommit(stage, 'cyrus/shop-1', 'of-somebody-else.txt');
    stage.host.failNext(4, 503);
    testClock.hurry();
    await stage.start('shop-1', { repository: { pushed: null } });
    expect((await stage.event('ready')).branch).not.toBe('cyrus/shop-1');
  });

  test('ends at once if the session is stopped for good', async () => {
    stage = await setStage();
    stage.host.failNext(10_000, 503);
    testClock.hurry();
    await stage.start('shop-1');
    await eventually(() => stage.eventsOf('step').some(waits), 'the wait to be told');
    await stage.start('shop-1', { generation: 2 });
    stage.host.failNext(0, 503);
    await stage.event('ready');
    expect(stage.eventsOf('failed')).toEqual([]);
  });
});

test('a start after a failure tries again, with what was corrected', async () => {
  stage = await setStage();
  const first = await stage.start('shop-1', { repository: { baseBranch: 'develop' } });
  await stage.event('failed');
  const again = await stage.start('shop-1');
  expect(again.streamId).toBe(first.streamId);
  await stage.prompt('shop-1', '[script: no-change]');
  expect(await stage.result()).toMatchObject({ is_error: false });
});

test('a branch that exists on the git host is continued', async () => {
  stage = await setStage();
  await pushCommit(stage, 'cyrus/shop-1', 'from-before.txt');
  await stage.start('shop-1');
  const ready = await stage.event('ready');
  const [commit] = await stage.host.log('acme/shop', 'cyrus/shop-1');
  expect(ready.baseCommit).toBe(commit?.sha);
  expect(await readFile(join(stage.worktree('shop-1'), 'from-before.txt'), 'utf8')).toBe('pushed\n');
});

test('a branch that is deleted on the git host while it is fetched is begun from the base', async () => {
  stage = await setStage();
  await pushCommit(stage, 'cyrus/shop-1', 'from-before.txt');
  const bare = join(stage.root, '../host/acme/shop.git');
  let lists = 0;
  stage.gateway.beforeGit = async (path) => {
    lists += path.includes('/info/refs') ? 1 : 0;
    // The first lists what there is, the second begins the fetch.
    if (lists === 2) await promisify(execFile)('git', ['-C', bare, 'update-ref', '-d', 'refs/heads/cyrus/shop-1']);
  };
  await stage.start('shop-1');
  const ready = await stage.event('ready');
  const [commit] = await stage.host.log('acme/shop', 'main');
  expect(ready.baseCommit).toBe(commit?.sha);
});

describe('sessions of one repository on one server', () => {
  /** Starts a second session beside `shop-1`. */
  async function startTwo(identities: [string?, string?] = []): Promise<void> {
    const start = (id: string, identity: string | undefined) =>
      stage.put(id, {
        ...stage.startBody(),
        repository: { fullName: 'acme/shop', baseBranch: 'main', branch: `cyrus/${id}`, ...(identity && { identity }) },
      });
    await Promise.all([start('shop-1', identities[0]), start('shop-2', identities[1])]);
    for (const id of ['shop-1', 'shop-2'])
      await eventually(async () => (await stage.status(id)).state === 'ready', `${id} to be ready`);
  }
  const git = (id: string, ...args: string[]) =>
    execFileSync('git', args, { cwd: stage.worktree(id), encoding: 'utf8' }).trim();

  test('have a clone each: no stash, configuration, tag or branch of one is seen in the other', async () => {
    stage = await setStage();
    await startTwo();
    await writeFile(join(stage.worktree('shop-1'), 'README.md'), 'secret of the first\n');
    for (const command of [
      ['stash'],
      ['config', 'alias.x', '!echo from the first'],
      ['tag', 'a-tag'],
      ['branch', 'a-branch'],
    ])
      git('shop-1', ...command);
    expect(git('shop-2', 'stash', 'list')).toBe('');
    expect(git('shop-2', 'tag')).toBe('');
    expect(git('shop-2', 'branch', '--format=%(refname:short)')).toBe('cyrus/shop-2\nmain');
    expect(() => git('shop-2', 'x')).toThrow();
    expect(await readFile(join(stage.worktree('shop-2'), 'README.md'), 'utf8')).toContain('shop');
    expect(git('shop-1', 'fsck', '--connectivity-only')).toBe('');
  });

  test('share a mirror only if workspace and clone address are the same', async () => {
    stage = await setStage();
    await startTwo(['a'.repeat(64), 'b'.repeat(64)]);
    expect((await readdir(join(stage.root, 'mirrors'))).sort()).toEqual(['a'.repeat(64), 'b'.repeat(64)]);
  });
});

describe('the checkout is a clone', () => {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: stage.worktree('shop-1'), encoding: 'utf8' }).trim();

  /** A repository of 80 commits, of which the 20th has a tag. */
  async function withHistory(files: Record<string, string> = {}): Promise<void> {
    const author = { name: 'A', email: 'a@example.com' };
    const commits = Array.from({ length: 80 }, (_, index) => ({
      message: `Change ${index}`,
      author,
      at: 1_500_000_000 + index,
      files: { 'file.txt': `${index}\n`, ...(index === 79 ? files : {}) },
    }));
    await stage.host.ensureRepository('acme/old', { branch: 'main', commits });
    const cwd = (await stage.host.directory('acme/old')) ?? '';
    execFileSync('git', ['tag', 'v1.0.0', 'main~60'], { cwd });
  }

  test('with the base branch, origin/HEAD, and soon the whole history and its tags', async () => {
    stage = await setStage();
    await withHistory();
    await stage.start('shop-1', { repository: { fullName: 'acme/old' } });
    await stage.event('ready');
    expect(git('rev-parse', '--abbrev-ref', 'origin/HEAD')).toBe('origin/main');
    expect(git('rev-parse', 'main')).toBe(git('rev-parse', 'origin/main'));
    await eventually(() => git('tag') === 'v1.0.0', 'the tag');
    expect(git('describe', '--tags')).toMatch(/^v1\.0\.0-60-g/);
    expect(git('rev-list', '--count', 'HEAD')).toBe('80');
  });

  test('for a setup script too, which begins when history and tags are there', async () => {
    stage = await setStage();
    await withHistory({
      'cyrus-setup.sh': 'git rev-list --count HEAD; git describe --tags; git rev-parse --is-shallow-repository\n',
    });
    await stage.start('shop-1', { repository: { fullName: 'acme/old' } });
    await stage.event('ready');
    const printed = stage.eventsOf('setup-output').map(({ text }) => text);
    expect(printed.join('')).toMatch(/^80\nv1\.0\.0-60-g[0-9a-f]+\nfalse\n$/);
  });

  test('that follows the base branch when another life begins, as does a local branch nobody worked on', async () => {
    stage = await setStage();
    await withHistory();
    await stage.start('shop-1', { repository: { fullName: 'acme/old' } });
    await stage.event('ready');
    await pushCommit(stage, 'main', 'later.txt', 'acme/old');
    stage.gateway.awaitNewStream();
    await stage.start('shop-1', { repository: { fullName: 'acme/old' }, generation: 2 });
    await stage.event('ready');
    const [newest] = await stage.host.log('acme/old', 'main');
    expect(git('rev-parse', 'origin/main')).toBe(newest?.sha);
    expect(git('rev-parse', 'main')).toBe(newest?.sha);
  });
});

test('a git that holds a lock of the mirror for a moment is waited for, whatever the wall clock says', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('ready');
  await pushCommit(stage, 'main', 'later.txt');
  const lock = join(stage.root, 'mirrors/acme/shop.git/refs/remotes/origin/main.lock');
  await mkdir(join(lock, '..'), { recursive: true });
  await writeFile(lock, '');
  const long = new Date(Date.now() - 3_600_000);
  await utimes(lock, long, long);
  stage.gateway.awaitNewStream();
  const isMet = new Promise<void>((met) => {
    logTo((line) => {
      if (line.includes('git.remote.failed')) met();
    });
  });
  await stage.start('shop-1', { generation: 2 });
  await isMet;
  logTo(() => {});
  await rm(lock);
  testClock.hurry(10);
  await stage.event('ready');
  const done = stage.eventsOf('step').find(({ step, status }) => step === 'mirror' && status === 'done');
  expect(done?.detail).toBe('1 new commit on main');
});

test('locks that a killed git left in a clone are gone when the server is back', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('ready');
  const lock = join(stage.worktree('shop-1'), '.git/packed-refs.lock');
  await writeFile(lock, '');
  await stage.restart();
  expect(await readdir(join(lock, '..'))).not.toContain('packed-refs.lock');
});

test('a worktree of a shared mirror, as an earlier version made it, continues with its work', async () => {
  stage = await setStage({ config: { shutdownMs: 500 } });
  await stage.start('shop-1');
  await stage.event('ready');
  const worktree = stage.worktree('shop-1');
  await rm(worktree, { recursive: true });
  const cwd = join(stage.root, 'mirrors/acme/shop.git');
  execFileSync('git', ['worktree', 'add', '-q', '-B', 'cyrus/shop-1', worktree, 'refs/remotes/origin/main'], { cwd });
  await writeFile(join(worktree, 'before.txt'), 'from before\n');
  stage.gateway.awaitNewStream();
  await stage.start('shop-1', { generation: 2, repository: { identity: 'a'.repeat(64) } });
  await stage.event('ready');
  await stage.prompt('shop-1', run('git fetch -q && echo after > after.txt'));
  const saved = await stage.event('saved');
  expect(saved).toMatchObject({ pushed: true, newCommits: 1 });
  expect(saved.files.map(({ path }) => path).sort()).toEqual(['after.txt', 'before.txt']);
  await eventually(() => stage.gateway.checkpoint?.worktree.branchHead === saved.head, 'a checkpoint');
});

test('a repository of SHA-256 objects is refused in one clear sentence', async () => {
  stage = await setStage();
  await stage.host.ensureRepository('acme/sha256', await sampleRepository());
  const cwd = (await stage.host.directory('acme/sha256')) ?? '';
  await rm(cwd, { recursive: true, force: true });
  const source = `${cwd}.source`;
  execFileSync('git', ['init', '--quiet', '--bare', '--object-format=sha256', '-b', 'main', cwd]);
  execFileSync('git', ['init', '--quiet', '--object-format=sha256', '-b', 'main', source]);
  const author = ['-c', 'user.name=P', '-c', 'user.email=p@example.com'];
  execFileSync('git', [...author, 'commit', '--quiet', '--allow-empty', '-m', 'One'], { cwd: source });
  execFileSync('git', ['push', '--quiet', cwd, 'main'], { cwd: source });
  await stage.start('shop-1', { repository: { fullName: 'acme/sha256' } });
  expect(await stage.event('failed')).toMatchObject({
    step: 'mirror',
    message: 'acme/sha256 names its objects by SHA-256, which Cyrus does not support.',
  });
});

test('a higher generation supersedes: the old CLI is gone, numbering starts at 1, the worktree is kept', async () => {
  stage = await setStage();
  const first = await stage.start('shop-1');
  await stage.prompt('shop-1', '[script: long-text 5000 20]');
  await eventually(() => stage.lines('stream_event').length > 5, 'text');
  await writeFile(join(stage.worktree('shop-1'), 'kept.txt'), 'not yet committed\n');
  const { pid } = await stage.event('cli-started');
  stage.gateway.awaitNewStream();
  const second = await stage.start('shop-1', { generation: 2 });
  expect(second).toMatchObject({ generation: 2, state: 'preparing' });
  expect(second.streamId).not.toBe(first.streamId);
  await stage.event('ready');
  expect(stage.gateway.events[0]?.seq).toBe(1);
  expect(processesOf(stage, 'shop-1')).not.toContain(pid);
  const late = await stage.put('shop-1', stage.startBody({ generation: 1 }));
  expect(late.status).toBe(409);
  await stage.prompt('shop-1', '[script: no-change]');
  const saved = await stage.event('saved');
  expect(saved.files.map((file) => file.path)).toEqual(['kept.txt']);
  const generations = stage.gateway.batches.slice(-3).map(({ batch }) => batch.generation);
  expect(new Set(generations)).toEqual(new Set([2]));
});

describe('cyrus-setup.sh', () => {
  test('runs once for a worktree, without any secret in its environment', async () => {
    stage = await setStage();
    await stage.host.ensureRepository(
      'acme/setup',
      repository({ 'cyrus-setup.sh': 'echo "setting up"; env | sort > env.txt; echo run >> runs.txt\n' }),
    );
    await stage.start('setup-1', acme('setup'));
    await stage.event('ready');
    expect(await stage.event('setup-output')).toMatchObject({ text: 'setting up\n' });
    await stage.restart();
    stage.gateway.awaitNewStream();
    await stage.start('setup-1', { ...acme('setup'), generation: 2 });
    await stage.event('ready');
    const env = await readFile(join(stage.worktree('setup-1'), 'env.txt'), 'utf8');
    expect(env).not.toContain(stage.gateway.token);
    expect(env).not.toContain(REAL_GIT_PASSWORD);
    expect(env).not.toMatch(/SECRET|TOKEN|GIT_CONFIG/);
    expect(await readFile(join(stage.worktree('setup-1'), 'runs.txt'), 'utf8')).toBe('run\n');
  });

  test('that fails is reported and told to Claude, and the session continues', async () => {
    stage = await setStage();
    await stage.host.ensureRepository(
      'acme/setup',
      repository({ 'cyrus-setup.sh': 'echo "no such tool" >&2; exit 3\n' }),
    );
    await stage.start('setup-1', acme('setup'));
    const done = await stage.event('step', (step) => step.step === 'setup' && step.status === 'done');
    expect(done).toMatchObject({ detail: 'cyrus-setup.sh failed with exit code 3', failed: true });
    await stage.event('ready');
    const instructions = await readFile(join(stage.sessionDir('setup-1'), 'instructions.md'), 'utf8');
    expect(instructions).toContain('cyrus-setup.sh failed with exit code 3');
  });

  test('that hangs is ended with all it started', async () => {
    stage = await setStage();
    await stage.host.ensureRepository('acme/setup', repository({ 'cyrus-setup.sh': 'sleep 1000 & sleep 1000\n' }));
    await stage.start('setup-1', { ...acme('setup'), setupTimeoutSeconds: 1 });
    const done = await stage.event('step', (step) => step.step === 'setup' && step.status === 'done');
    expect(done.detail).toContain('took longer than 1 second');
    const started = await stage.event('cli-started');
    await eventually(() => processesOf(stage, 'setup-1').every((pid) => pid === started.pid), 'the end of the script');
  });

  test('that prints without end is reported only in part', async () => {
    stage = await setStage();
    await stage.host.ensureRepository('acme/setup', repository({ 'cyrus-setup.sh': 'yes | head -c 3000000\n' }));
    await stage.start('setup-1', acme('setup'));
    await stage.event('ready');
    const bytes = stage.eventsOf('setup-output').reduce((sum, event) => sum + event.text.length, 0);
    expect(bytes).toBeLessThan(300_000);
    expect(stage.eventsOf('setup-output').at(-1)?.text).toContain('more output is not shown');
  });
});

/** Somebody else's push, straight to the git host. */
async function pushCommit(on: Stage, branch: string, file: string, fullName = 'acme/shop'): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'cyrus-other-'));
  const url = new URL(on.host.cloneUrl(fullName));
  url.username = 'cyrus';
  url.password = REAL_GIT_PASSWORD;
  const git = (...args: string[]) => promisify(execFile)('git', ['-C', directory, ...args]);
  try {
    await git('clone', '--quiet', url.href, '.');
    await git('checkout', '--quiet', '-B', branch);
    await writeFile(join(directory, file), 'pushed\n');
    await git('add', '-A');
    await git(
      '-c',
      'user.name=Ada',
      '-c',
      'user.email=ada@acme.example',
      'commit',
      '--quiet',
      '-m',
      'By somebody else',
    );
    await git('push', '--quiet', 'origin', branch);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
