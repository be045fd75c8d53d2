import { randomUUID } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually, processesOf, run, type Stage, setStage } from './stage.ts';
import { testClock } from './test-clock.ts';

/** A command that runs until there is a file `go`. */
const WAIT_FOR_GO = 'touch running; node -e "setInterval(() => require(`fs`).existsSync(`go`) && process.exit(), 20)"';

let stage: Stage;
afterEach(() => stage?.close());

describe('the main job', () => {
  test('a prompt becomes a commit by Claude, a branch on the git host and a patch', async () => {
    stage = await setStage();
    const status = await stage.start('shop-1');
    expect(status).toMatchObject({ sessionId: 'shop-1', generation: 1, state: 'preparing' });
    const promptId = await stage.prompt('shop-1', 'The total of the cart is wrong.');
    expect(await stage.result()).toMatchObject({ is_error: false, user_message_uuids: [promptId] });
    const saved = await stage.event('saved');
    expect(saved).toMatchObject({ turn: 1, branch: 'cyrus/shop-1', newCommits: 1, pushed: true });
    expect(saved.problem).toBeUndefined();
    expect(saved.commits.map((commit) => commit.subject)).toEqual(['Count every piece in the cart total']);
    expect(saved.files).toEqual([{ path: 'src/cart.js', additions: 1, deletions: 1 }]);
    const [commit] = await stage.host.log('acme/shop', 'cyrus/shop-1');
    expect(commit).toMatchObject({ subject: 'Count every piece in the cart total' });
    const patch = stage.gateway.patches.get(saved.head) ?? '';
    expect(patch).toContain('item.price * item.quantity');
    expect(saved.patchBytes).toBe(Buffer.byteLength(patch));
  });

  test('the steps are told in their order, numbered without a gap', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    await stage.event('step', (step) => step.step === 'save' && step.status === 'done');
    expect(stage.eventsOf('step').map(({ step, status }) => `${step} ${status}`)).toEqual([
      'mirror started',
      'mirror done',
      'worktree started',
      'worktree done',
      'claude started',
      'claude done',
      'save started',
      'save done',
    ]);
    expect(stage.eventsOf('ready')[0]).toMatchObject({ branch: 'cyrus/shop-1', resumed: false });
    expect(stage.gateway.events.map((event) => event.seq)).toEqual(stage.gateway.events.map((_, index) => index + 1));
    await eventually(async () => (await stage.status('shop-1')).state === 'ready', 'ready');
  });

  test('a turn that changes nothing pushes nothing and stores no patch', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    expect(await stage.event('saved')).toMatchObject({
      commits: [],
      files: [],
      newCommits: 0,
      pushed: false,
      patchBytes: null,
    });
    expect((await stage.host.branches('acme/shop')).map((branch) => branch.name)).toEqual(['main']);
  });

  test('what Claude leaves uncommitted is committed, as the author the session was started with', async () => {
    stage = await setStage();
    await stage.start('shop-1', { author: { name: 'Robin Rot', email: 'robin@cyrus.test' } });
    await stage.prompt('shop-1', '[script: uncommitted] The total of the cart is wrong.');
    const saved = await stage.event('saved');
    expect(saved).toMatchObject({ newCommits: 1, pushed: true });
    const [commit] = await stage.host.log('acme/shop', 'cyrus/shop-1');
    expect(commit).toMatchObject({ subject: 'Work in progress on cyrus/shop-1' });
    expect(JSON.stringify(commit)).toContain('Robin Rot');
  });

  test('a later prompt continues in the same conversation and counts its own commits', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.prompt('shop-1', 'The total of the cart is wrong.');
    await stage.event('saved');
    await stage.prompt('shop-1', 'Please add a test for large quantities', 2);
    const second = await stage.event('saved', (saved) => saved.turn === 2);
    expect(second).toMatchObject({ newCommits: 1, pushed: true });
    expect(second.commits).toHaveLength(2);
    expect(stage.eventsOf('cli-started')).toHaveLength(1);
    const ids = stage.lines('result').map((line) => line.session_id);
    expect(ids).toEqual([stage.startBody().claude.conversationId, stage.startBody().claude.conversationId]);
  });

  test('an API key session authenticates with its token as key', async () => {
    stage = await setStage({ credential: 'api-key' });
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    expect(await stage.result()).toMatchObject({ is_error: false });
    expect(stage.model.requests().every((request) => request.authorized)).toBe(true);
  });
});

describe('prompts', () => {
  test('a message sent while a tool runs is folded into the running turn', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    const first = await stage.prompt('shop-1', run(WAIT_FOR_GO, 'echo after'));
    await eventually(() => exists(stage, 'running'), 'the tool');
    const second = await stage.prompt('shop-1', 'And be quick');
    await eventually(
      () => stage.lines('command_lifecycle').some((line) => line.command_uuid === second),
      'the message at the CLI',
    );
    await writeFile(join(stage.worktree('shop-1'), 'go'), '');
    const result = await stage.result();
    expect(result.user_message_uuids).toEqual([first, second]);
    await stage.event('saved');
    expect(stage.lines('result')).toHaveLength(1);
  });

  test('prompts that come before the workspace is ready wait for it', async () => {
    stage = await setStage();
    stage.host.slowDown(200);
    await stage.start('shop-1');
    const ids = [await stage.prompt('shop-1', '[script: no-change]'), await stage.prompt('shop-1', 'more')];
    await eventually(
      () => ids.every((id) => stage.lines('result').some((line) => String(line.user_message_uuids).includes(id))),
      'answers to both',
    );
  });

  test('a command sent twice is carried out once', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    const prompt = { type: 'prompt', id: randomUUID(), turn: 1, text: '[script: no-change]' } as const;
    const answers = await Promise.all([stage.command('shop-1', prompt), stage.command('shop-1', prompt)]);
    expect(answers.map((answer) => answer.status)).toEqual([202, 202]);
    await stage.event('saved');
    await stage.restart();
    expect((await stage.command('shop-1', prompt)).status).toBe(202);
    await stage.prompt('shop-1', 'something else', 2);
    await stage.event('saved', (saved) => saved.turn === 2);
    expect(stage.lines('result')).toHaveLength(2);
  });

  test('a second start is the same session', async () => {
    stage = await setStage();
    const first = await stage.start('shop-1');
    const again = await Promise.all([stage.start('shop-1'), stage.start('shop-1')]);
    for (const status of again) expect(status).toMatchObject({ streamId: first.streamId, bootId: first.bootId });
    await stage.prompt('shop-1', '[script: no-change]');
    await stage.event('saved');
    expect(stage.eventsOf('ready')).toHaveLength(1);
  });

  test('two starts at the same moment make one session', async () => {
    stage = await setStage();
    const statuses = await Promise.all([stage.start('shop-1'), stage.start('shop-1'), stage.start('shop-1')]);
    expect(new Set(statuses.map((status) => status.streamId)).size).toBe(1);
  });
});

describe('the CLI', () => {
  test('ends when it idles and resumes the conversation at the next prompt', async () => {
    stage = await setStage({ config: { idleMs: 100 } });
    await stage.start('shop-1');
    await stage.prompt('shop-1', 'The total of the cart is wrong.');
    await stage.event('saved');
    expect(await stage.event('cli-exited')).toMatchObject({ code: 0, duringTurn: false, cause: 'idle' });
    expect(processesOf(stage, 'shop-1')).toEqual([]);
    await stage.prompt('shop-1', 'Please add a test', 2);
    await stage.event('cli-started', (started) => started.resumed);
    const saved = await stage.event('saved', (event) => event.turn === 2);
    expect(saved.commits[0]?.subject).toContain('Take up');
  });

  test('begins the conversation again when its transcript cannot be resumed', async () => {
    stage = await setStage({ config: { idleMs: 100 } });
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    await stage.event('cli-exited');
    const { conversationId } = stage.startBody().claude;
    const projects = join(stage.sessionDir('shop-1'), 'home/.claude/projects');
    const directory = stage.worktree('shop-1').replace(/[^A-Za-z0-9]/g, '-');
    await writeFile(join(projects, directory, `${conversationId}.jsonl`), '\n');
    const prompt = await stage.prompt('shop-1', '[script: no-change] again', 2);
    expect(await stage.result(2)).toMatchObject({ is_error: false, user_message_uuids: [prompt] });
    expect(stage.eventsOf('line').some((event) => event.line.includes('No conversation found'))).toBe(false);
  });

  test('that dies in the middle of a turn is reported, and what it did is saved', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.prompt('shop-1', run('echo work > work.txt', WAIT_FOR_GO));
    const { pid } = await stage.event('cli-started');
    await eventually(() => exists(stage, 'running'), 'the tool');
    process.kill(pid, 'SIGKILL');
    expect(await stage.event('cli-exited')).toMatchObject({ signal: 'SIGKILL', duringTurn: true, cause: 'crash' });
    expect(await stage.event('saved')).toMatchObject({ turn: 1, pushed: true, newCommits: 1 });
    await stage.prompt('shop-1', '[script: no-change] go on');
    expect(await stage.result()).toMatchObject({ is_error: false });
  });

  test('that says nothing for too long is ended as silent', async () => {
    stage = await setStage();
    stage.model.failNext({ hang: true });
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    await eventually(() => stage.lines('system').length > 0, 'the turn');
    // Longer than a CLI may be silent.
    testClock.advance(stage.config.silenceMs + 1_000);
    expect(await stage.event('cli-exited')).toMatchObject({ duringTurn: true, cause: 'silent' });
    await stage.event('saved');
  });
});

async function exists(on: Stage, path: string): Promise<boolean> {
  return await stat(join(on.worktree('shop-1'), path)).then(
    () => true,
    () => false,
  );
}
