import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { eventually, run, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

async function running(file = 'running'): Promise<void> {
  const path = join(stage.worktree('shop-1'), file);
  await eventually(
    () =>
      stat(path).then(
        () => true,
        () => false,
      ),
    'the tool',
  );
}

async function killCli(nth = 1): Promise<void> {
  const { pid } = await eventually(() => stage.eventsOf('cli-started')[nth - 1], 'the CLI');
  process.kill(pid, 'SIGKILL');
}

const lifecycle = (id: string, state: string) =>
  eventually(
    () => stage.lines('command_lifecycle').find((line) => line.command_uuid === id && line.state === state),
    `${id} ${state}`,
  );

test('a process that is killed has read the prompt it works on, and not the comment that waits in it', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('ready');
  const first = await stage.prompt('shop-1', run('touch running; tail -f /dev/null'));
  await running();
  const second = await stage.prompt('shop-1', 'And that, too. [script: no-change]');
  await lifecycle(second, 'queued');
  await killCli();
  expect(await stage.event('cli-exited')).toMatchObject({
    duringTurn: true,
    cause: 'crash',
    turn: 1,
    prompts: { read: [first], unread: [second] },
  });
  // Under another id the next process takes it.
  const again = await stage.prompt('shop-1', 'And that, too. [script: no-change]');
  expect(await stage.result()).toMatchObject({ user_message_uuids: expect.arrayContaining([again]) });
});

test('a comment that was folded into the running turn is read', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('ready');
  const first = await stage.prompt(
    'shop-1',
    run(
      'touch running; while [ ! -e go ]; do read -t 0.05 < <(tail -f /dev/null); done',
      'touch second; tail -f /dev/null',
    ),
  );
  await running();
  const second = await stage.prompt('shop-1', 'And that, too.');
  await lifecycle(second, 'queued');
  await writeFile(join(stage.worktree('shop-1'), 'go'), '');
  await lifecycle(second, 'started');
  await running('second');
  await killCli();
  const { prompts } = await stage.event('cli-exited');
  expect(prompts?.read.toSorted()).toEqual([first, second].toSorted());
});

test('a stop tells which prompts it has dropped', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('ready');
  await stage.prompt('shop-1', run('touch running; tail -f /dev/null'));
  await running();
  const second = await stage.prompt('shop-1', 'And that, too.');
  await lifecycle(second, 'queued');
  await stage.stop('shop-1');
  const exit = await stage.event('cli-exited');
  expect(exit).toMatchObject({ cause: 'stop', turn: 1, prompts: { unread: [second] } });
  // The save that closes the stop says that it came after it.
  const saved = await stage.event('saved');
  expect(saved.after).toBeGreaterThanOrEqual(exit.seq);
});

test('a process that is killed as soon as it is given its first prompt says so, whatever it had written by then', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('cli-started');
  const first = await stage.prompt('shop-1', run('tail -f /dev/null'));
  await killCli();
  const { prompts } = await stage.event('cli-exited', ({ duringTurn }) => duringTurn);
  expect([...(prompts?.read ?? []), ...(prompts?.unread ?? [])]).toEqual([first]);
  const again = prompts?.read.length === 1 ? 'Go on. [script: no-change]' : '[script: no-change]';
  const next = await stage.prompt('shop-1', again);
  expect(next).not.toBe(first);
  expect(await stage.result()).toMatchObject({ is_error: false, user_message_uuids: expect.arrayContaining([next]) });
}, 60_000);
