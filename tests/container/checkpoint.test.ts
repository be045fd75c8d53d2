import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { logTo } from '../../container/log.ts';
import type { CheckpointManifest } from '../../src/protocol/checkpoint.ts';
import { eventually, processesOf, run, type Stage, setStage } from './stage.ts';
import { testClock } from './test-clock.ts';

/** A command that runs until there is a file `go`. */
const WAIT_FOR_GO = `touch running; node -e "setInterval(() => require('fs').existsSync('go') && process.exit(), 20)"`;

let stage: Stage;
afterEach(() => stage?.close());

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: stage.worktree('shop-1'), encoding: 'utf8' });
}

/** Waits for a checkpoint of at least this number that fits. */
function checkpoint(fits: (manifest: CheckpointManifest) => boolean): Promise<CheckpointManifest> {
  return eventually(
    () => (stage.gateway.checkpoint && fits(stage.gateway.checkpoint) ? stage.gateway.checkpoint : null),
    'a checkpoint',
  );
}

/** A sandbox of which nothing is left: its disk is empty, another life begins. */
async function vanish(): Promise<void> {
  await stage.vanish('shop-1');
  stage.gateway.awaitNewStream();
}

/** Works until a command runs that does not end, and everything before it is in a checkpoint. */
async function workUntilHanging(...commands: string[]): Promise<{ promptId: string; manifest: CheckpointManifest }> {
  await stage.start('shop-1');
  const promptId = await stage.prompt('shop-1', run(...commands, WAIT_FOR_GO));
  await eventually(
    () => processesOf(stage, 'shop-1').length > 2 && stage.lines('user').length >= commands.length,
    'work',
  );
  const results = () => stage.eventsOf('line').filter(({ line }) => line.startsWith('{"type":"user"'));
  await eventually(() => results().length >= commands.length, 'the results');
  const seq = results()[commands.length - 1]?.seq ?? 0;
  return { promptId, manifest: await checkpoint((found) => found.eventSeq >= seq) };
}

describe('work outlives its sandbox', () => {
  test('after each batch of tools there is a checkpoint, and nothing of it shows in branches, index or host', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const { promptId, manifest } = await workUntilHanging(
      'echo staged > staged.txt && git add staged.txt',
      'echo more >> src/cart.js && echo new > new.txt',
    );
    expect(manifest).toMatchObject({ generation: 1, branch: 'cyrus/shop-1', prompts: [promptId] });
    expect(manifest.files.map((file) => file.path)).toEqual([expect.stringMatching(/^projects\/.*\.jsonl$/)]);
    expect(git('status', '--porcelain')).toBe(' M src/cart.js\nA  staged.txt\n?? new.txt\n?? running\n');
    expect(git('branch', '--all', '--format=%(refname)')).not.toContain('checkpoint');
    expect(git('show', '--stat', '--format=', manifest.worktree.commit)).toContain('new.txt');
    expect((await stage.host.branches('acme/shop')).map((branch) => branch.name)).toEqual(['main']);
  });

  test('another sandbox has the worktree, what was staged, and the conversation, which continues', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const { manifest } = await workUntilHanging(
      'git rm -q README.md && echo one > one.txt && git add one.txt && git commit -qm "A commit that was not pushed"',
      'echo staged > staged.txt && git add staged.txt && echo later >> staged.txt',
      'mkdir -p deep/er && printf "\\0\\377" > deep/er/binary && chmod +x deep/er/binary && ln -s ../one.txt deep/link',
    );
    const before = { log: git('log', '--format=%H'), status: git('status', '--porcelain', '--untracked-files=all') };
    await vanish();
    await stage.start('shop-1', { generation: 2, restore: manifest });
    expect(await stage.event('ready')).toMatchObject({ resumed: true });
    expect(git('log', '--format=%H')).toBe(before.log);
    expect(git('symbolic-ref', 'HEAD')).toBe('refs/heads/cyrus/shop-1\n');
    const status = git('status', '--porcelain', '--untracked-files=all');
    // What the command that ran meanwhile had done by then may be there or not.
    expect(status.replace('?? running\n', '')).toBe(before.status.replace('?? running\n', ''));
    expect(await readFile(join(stage.worktree('shop-1'), 'deep/er/binary'))).toEqual(Buffer.from([0, 255]));
    expect(await readFile(join(stage.worktree('shop-1'), 'deep/link'), 'utf8')).toBe('one\n');
    const promptId = await stage.prompt('shop-1', '[script: no-change]');
    expect(await stage.result()).toMatchObject({ is_error: false, user_message_uuids: [promptId] });
    expect(stage.eventsOf('cli-started')[0]).toMatchObject({ resumed: true });
    const [file] = manifest.files;
    const transcript = await readFile(join(stage.sessionDir('shop-1'), 'home/.claude', file?.path ?? ''), 'utf8');
    expect(transcript).toContain('A commit that was not pushed');
    expect(transcript).toContain(promptId);
    const saved = await stage.event('saved');
    expect(saved).toMatchObject({ pushed: true, newCommits: 2 });
    expect(saved.files.map((file) => file.path)).toEqual(
      expect.arrayContaining(['README.md', 'one.txt', 'staged.txt']),
    );
  });

  test('work on a branch that people deleted, of which the host has nothing more, comes back with its conversation', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo one > one.txt'));
    expect(await stage.event('saved')).toMatchObject({ pushed: true });
    // Its checkpoints begin again, with the branch on the host.
    await stage.restart();
    await stage.prompt('shop-1', run('echo two > two.txt', WAIT_FOR_GO), 2);
    const manifest = await checkpoint(
      ({ worktree }) =>
        worktree.bundles.length > 0 && git('ls-tree', '--name-only', worktree.commit).includes('two.txt'),
    );
    const cwd = (await stage.host.directory('acme/shop')) ?? '';
    execFileSync('git', ['update-ref', '-d', 'refs/heads/cyrus/shop-1'], { cwd });
    execFileSync('git', ['gc', '--quiet', '--prune=now'], { cwd });
    await vanish();
    await stage.start('shop-1', { generation: 2, restore: manifest });
    expect(await stage.event('ready')).toMatchObject({ resumed: true });
    expect(await readdir(stage.worktree('shop-1'))).toEqual(expect.arrayContaining(['one.txt', 'two.txt']));
    expect(git('rev-parse', 'HEAD').trim()).toBe(manifest.worktree.head);
  });

  test('only what is new is shipped, and the whole chain restores', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const big = `node -e "require('fs').writeFileSync('big', require('crypto').randomBytes(2e6))"`;
    const { manifest } = await workUntilHanging(big, 'echo a > a', 'echo b > b', 'rm a; echo c > c');
    const sizes = manifest.worktree.bundles.map((bundle) => bundle.bytes);
    expect(sizes.filter((bytes) => bytes > 1_000_000)).toHaveLength(1);
    await vanish();
    await stage.start('shop-1', { generation: 2, restore: manifest });
    await stage.event('ready');
    expect((await readdir(stage.worktree('shop-1'))).sort()).toEqual(expect.arrayContaining(['b', 'big', 'c']));
    expect(await readdir(stage.worktree('shop-1'))).not.toContain('a');
  });

  test('each checkpoint logs what it took and how much it sent', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const logged: Record<string, unknown>[] = [];
    logTo((line) => logged.push(JSON.parse(line) as Record<string, unknown>));
    await workUntilHanging(`node -e "require('fs').writeFileSync('big', require('crypto').randomBytes(2e6))"`);
    const made = logged.filter(({ event }) => event === 'checkpoint.manifest.stored');
    expect(made[0]).toMatchObject({ sessionId: 'shop-1', ms: expect.any(Number), snapshotMs: expect.any(Number) });
    expect(made.some(({ bytes }) => Number(bytes) > 2e6)).toBe(true);
  });

  test('a checkpoint counts only when the events before it are stored', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    await stage.start('shop-1');
    await stage.event('ready');
    await stage.prompt('shop-1', run('echo one > one', WAIT_FOR_GO));
    await checkpoint((found) => found.prompts.length === 1);
    const { sequence } = stage.gateway.checkpoint ?? { sequence: 0 };
    stage.gateway.eventsAway = true;
    await writeFile(join(stage.worktree('shop-1'), 'go'), '');
    testClock.hurry(10);
    await eventually(() => stage.gateway.refusedBatches > 6, 'events that wait');
    testClock.calm();
    expect(stage.gateway.checkpoint?.sequence).toBe(sequence);
    stage.gateway.eventsAway = false;
    const last = await checkpoint((found) => found.sequence > sequence);
    expect(stage.gateway.events.length).toBeGreaterThanOrEqual(last.eventSeq);
  });

  test('a tool that could change something begins only when the work of those before it is kept', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    stage.gateway.checkpointDelayMs = 1_000;
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo one > one.txt', `node -p 'Date.now()' > begun.txt; ${WAIT_FOR_GO}`));
    const begunAt = await eventually(async () => {
      const text = await readFile(join(stage.worktree('shop-1'), 'begun.txt'), 'utf8').catch(() => '');
      return Number(text) || null;
    }, 'the second command');
    const kept = stage.gateway.checkpoint;
    expect(git('ls-tree', '--name-only', kept?.worktree.commit ?? '')).toContain('one.txt');
    expect(begunAt).toBeGreaterThanOrEqual(stage.gateway.checkpointStoredAt);
  });

  test('a turn has ended only when the work of its last tools is kept', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    stage.gateway.checkpointDelayMs = 1_500;
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo one > one.txt'));
    expect(await stage.result()).toMatchObject({ is_error: false });
    const kept = stage.gateway.checkpoint;
    expect(git('ls-tree', '--name-only', kept?.worktree.commit ?? 'none')).toContain('one.txt');
    expect(await stage.event('saved')).toMatchObject({ pushed: true });
  });

  test('a gateway that stores no checkpoint disturbs no turn, and gets one when it is back', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    stage.gateway.checkpointsAway = true;
    await stage.start('shop-1');
    await stage.prompt('shop-1', 'The total of the cart is wrong.');
    expect(await stage.event('saved')).toMatchObject({ pushed: true });
    expect(stage.gateway.checkpoint).toBeNull();
    stage.gateway.checkpointsAway = false;
    await checkpoint(() => true);
  });

  test('a sandbox that ends in order leaves a checkpoint of everything', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo one > one', `echo two > two; ${WAIT_FOR_GO}`));
    await eventually(
      async () => (await readdir(stage.worktree('shop-1')).catch((): string[] => [])).includes('running'),
      'two',
    );
    await stage.restart();
    const manifest = await checkpoint(() => true);
    const held = git('ls-tree', '-r', '--name-only', manifest.worktree.commit).split('\n');
    expect(held).toEqual(expect.arrayContaining(['one', 'two']));
    // The last thing that was said is that Claude's process ended.
    const exited = stage.eventsOf('cli-exited')[0]?.seq ?? Number.MAX_SAFE_INTEGER;
    expect(manifest.eventSeq).toBeGreaterThanOrEqual(exited);
  });

  test('a session that this disk does not know is not started again by a start that expects it', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const { streamId } = await stage.start('shop-1');
    await stage.event('ready');
    await vanish();
    const answer = await stage.put('shop-1', stage.startBody({ knows: streamId }));
    expect(answer.status).toBe(410);
    expect(await answer.json()).toMatchObject({ error: 'lost' });
  });

  test('a checkpoint that is damaged is not used, and said to be', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const { manifest } = await workUntilHanging('echo one > one');
    const [bundle] = manifest.worktree.bundles;
    stage.gateway.checkpointObjects.set(`1/${bundle?.name}`, Buffer.from('something else'));
    await vanish();
    await stage.start('shop-1', { generation: 2, restore: manifest });
    expect(await stage.event('failed')).toMatchObject({ step: 'restore' });
  });

  test('work that was done but not saved when the sandbox vanished is saved by the next', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const { manifest } = await workUntilHanging('echo one > one');
    await vanish();
    await stage.start('shop-1', { generation: 2, restore: manifest, saveTurn: 3 });
    expect(await stage.event('saved')).toMatchObject({ turn: 3, pushed: true, newCommits: 1 });
  });

  test('what the CLI was writing when it was killed is neither kept nor committed', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    const leftOver = 'notes.md.tmp.21954.d4909708a0f4';
    await stage.prompt('shop-1', run(`echo half > ${leftOver} && echo kept > notes.tmp.md && git add -A`));
    const saved = await stage.event('saved');
    expect(saved.files.map((file) => file.path)).toEqual(['notes.tmp.md']);
    const manifest = await checkpoint((found) => found.worktree.branchHead === saved.head);
    expect(git('ls-tree', '-r', '--name-only', manifest.worktree.commit)).not.toContain(leftOver);
  });

  test('while the storage of checkpoints is away, a restore waits for it, and the conversation continues', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const { manifest } = await workUntilHanging('echo one > one');
    await vanish();
    stage.gateway.checkpointsAway = true;
    await stage.start('shop-1', { generation: 2, restore: manifest });
    await stage.event('step', ({ step }) => step === 'restore');
    testClock.hurry();
    await eventually(() => stage.gateway.refusedCheckpoints > 5, 'tries to restore');
    testClock.calm();
    expect(stage.eventsOf('failed')).toEqual([]);
    stage.gateway.checkpointsAway = false;
    expect(await stage.event('ready')).toMatchObject({ resumed: true });
    expect(await readFile(join(stage.worktree('shop-1'), 'one'), 'utf8')).toBe('one\n');
  });

  test('when checkpoints fail repeatedly, people are told that work is not saved outside the sandbox', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    stage.gateway.checkpointsRefused = true;
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo one > one', 'echo two > two', 'echo three > three', WAIT_FOR_GO));
    const { text } = await stage.event('notice');
    expect(text).toContain('work is not saved outside the sandbox');
    stage.gateway.checkpointsRefused = false;
    await writeFile(join(stage.worktree('shop-1'), 'go'), '');
    await stage.event('notice', (notice) => notice.text === 'Work is saved outside the sandbox again.');
  });

  test('hundreds of files beside the conversation travel together, and are all there again', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const make =
      'for t in $CLAUDE_CONFIG_DIR/projects/*/*.jsonl; do d="$(dirname $t)/$(basename $t .jsonl)/tool-results"; mkdir -p "$d"; for i in $(seq 700); do echo "result $i" > "$d/$i.txt"; done; done';
    const { manifest } = await workUntilHanging(make, 'echo one > one');
    expect(manifest.files.length).toBeLessThan(100);
    expect(manifest.packs?.length).toBeGreaterThan(0);
    await vanish();
    await stage.start('shop-1', { generation: 2, restore: manifest });
    await stage.event('ready');
    const home = join(stage.sessionDir('shop-1'), 'home/.claude');
    const names = (await readdir(home, { recursive: true })).filter((name) => name.includes('tool-results/'));
    expect(names).toHaveLength(700);
    expect(await readFile(join(home, names.find((name) => name.endsWith('/700.txt')) ?? ''), 'utf8')).toBe(
      'result 700\n',
    );
  });

  test('a repository that Claude removed is made again from the last checkpoint, and no file is lost', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    await stage.start('shop-1');
    await stage.prompt(
      'shop-1',
      run(
        'echo one > one && git add one && git commit -qm "Kept in a checkpoint"',
        'sleep 1; rm -rf .git; echo two > two',
        'sleep 1; git log --oneline',
      ),
    );
    const saved = await stage.event('saved');
    expect(saved).toMatchObject({ pushed: true, newCommits: 2 });
    expect(saved.commits.map(({ subject }) => subject)).toContain('Kept in a checkpoint');
    expect(saved.files.map(({ path }) => path).sort()).toEqual(['one', 'two']);
    expect((await stage.event('notice')).text).toContain('.git');
  });

  test('a repository that is gone when the server comes back is made again too', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo one > one && git add one && git commit -qm "One"'));
    const { head } = await stage.event('saved');
    await checkpoint((found) => found.worktree.branchHead === head && found.settled === true);
    await writeFile(join(stage.worktree('shop-1'), 'two'), 'two\n');
    await stage.restart();
    await rm(join(stage.worktree('shop-1'), '.git'), { recursive: true });
    await stage.restart();
    await eventually(async () => (await stage.status('shop-1')).state === 'ready', 'the session to be ready');
    expect(git('rev-parse', 'HEAD').trim()).toBe(head);
    expect(git('status', '--porcelain')).toBe('?? two\n');
  });

  test('a file that is too large is left out and named; the rest is kept', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    const { manifest } = await workUntilHanging('truncate -s 60M huge', 'echo small > small');
    expect(manifest.worktree.skipped).toEqual(['huge']);
    expect(git('ls-tree', '--name-only', manifest.worktree.commit).split('\n')).toContain('small');
    expect((await stage.event('notice')).text).toContain('huge');
  });
});

test('a repository that would run programs at checkout runs none when it is restored', async () => {
  stage = await setStage({ config: { shutdownMs: 500 } });
  const trap = join(stage.root, 'trapped');
  const { manifest } = await workUntilHanging(
    `echo '* filter=trap' > .gitattributes && git config filter.trap.smudge 'touch ${trap}; cat' && git config filter.trap.clean 'touch ${trap}; cat'`,
    'echo one > one',
  );
  await rm(trap, { force: true });
  await mkdir(stage.root, { recursive: true });
  await vanish();
  await stage.start('shop-1', { generation: 2, restore: manifest });
  await stage.event('ready');
  expect(await readdir(stage.root)).not.toContain('trapped');
});
