import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { eventually, processesOf, run, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

/** Has children, one that left the process group, and two that also lost their parent. */
const FAMILY = `sleep 1000 &
setsid sleep 1001 &
(setsid sh -c "sleep 1002 & sleep 1003" >/dev/null 2>&1 &)
touch running
sleep 1004
`;

/** Starts a session, and Claude with a tool that runs the family. */
async function startFamily(...before: string[]): Promise<string> {
  await stage.start('shop-1');
  await stage.event('ready');
  await writeFile(join(stage.worktree('shop-1'), 'family.sh'), FAMILY);
  const promptId = await stage.prompt('shop-1', run(...before, 'bash family.sh'));
  await toolRuns();
  return promptId;
}

async function toolRuns(): Promise<void> {
  await eventually(
    () =>
      stat(join(stage.worktree('shop-1'), 'running')).then(
        () => true,
        () => false,
      ),
    'the tool',
  );
}

test('a stop ends the whole process tree within two seconds, also what left its group, and saves', async () => {
  stage = await setStage();
  await startFamily('echo half > half-done.txt');
  const pids = await eventually(() => {
    const found = processesOf(stage, 'shop-1');
    return found.length >= 6 && found;
  }, 'the family');
  const since = Date.now();
  await stage.stop('shop-1');
  // Those that were seen, and what the family may have begun after it was looked at.
  const isOver = () => pids.every((pid) => !isAlive(pid)) && processesOf(stage, 'shop-1').length === 0;
  await eventually(isOver, 'the end of all processes', 2_000);
  expect(Date.now() - since).toBeLessThan(2_000);
  expect(await stage.event('cli-exited')).toMatchObject({ cause: 'stop' });
  const saved = await stage.event('saved');
  expect(saved).toMatchObject({ turn: 1, pushed: true });
  expect(saved.files.map((file) => file.path)).toContain('half-done.txt');
});

test('an interrupted turn still ends with its result, and the conversation continues afterwards', async () => {
  stage = await setStage();
  const first = await startFamily();
  await stage.stop('shop-1');
  expect(await stage.event('cli-exited')).toMatchObject({ duringTurn: false, cause: 'stop' });
  expect(await stage.result()).toMatchObject({ is_error: true, user_message_uuids: [first] });
  await stage.event('saved');
  const second = await stage.prompt('shop-1', '[script: no-change]', 2);
  expect(await stage.result(2)).toMatchObject({ is_error: false, user_message_uuids: [second] });
  expect(stage.eventsOf('cli-started').map((started) => started.resumed)).toEqual([false, true]);
  await eventually(() => stage.eventsOf('saved').length === 2, 'one save for each turn');
});

test('a stop while text is streaming ends it at once', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.prompt('shop-1', '[script: long-text 5000 20]');
  await eventually(() => stage.lines('stream_event').length > 20, 'text');
  const since = Date.now();
  await stage.stop('shop-1');
  await stage.event('cli-exited', (exit) => exit.cause === 'stop', 2_000);
  expect(Date.now() - since).toBeLessThan(2_000);
  await stage.event('saved');
});

test('a CLI that does not listen is killed all the same', async () => {
  stage = await setStage();
  await startFamily();
  const { pid } = await stage.event('cli-started');
  process.kill(pid, 'SIGSTOP');
  const since = Date.now();
  await stage.stop('shop-1');
  await stage.event('cli-exited', (exit) => exit.cause === 'stop' && exit.duringTurn, 3_000);
  expect(Date.now() - since).toBeLessThan(2_000);
  expect(processesOf(stage, 'shop-1')).toEqual([]);
  await stage.event('saved');
});

test('a stop before the workspace is ready drops what waits and is confirmed', async () => {
  stage = await setStage();
  stage.host.slowDown(300);
  await stage.start('shop-1');
  await stage.prompt('shop-1', '[script: no-change]');
  await stage.stop('shop-1');
  expect(await stage.event('cli-exited')).toMatchObject({ code: null, duringTurn: true, cause: 'stop' });
  expect(stage.eventsOf('ready')).toEqual([]);
  await stage.event('saved');
  expect(stage.lines('result')).toEqual([]);
});

test('a stop if nothing runs is confirmed too', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('cli-started');
  await stage.stop('shop-1', 0);
  expect(await stage.event('cli-exited')).toMatchObject({ duringTurn: false, cause: 'stop' });
  await stage.event('saved');
});

test('a stop sent twice stops once', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.prompt('shop-1', '[script: no-change]');
  await stage.event('saved');
  const stop = { type: 'stop', id: randomUUID(), turn: 1 } as const;
  await Promise.all([stage.command('shop-1', stop), stage.command('shop-1', stop)]);
  await stage.event('saved', (saved) => saved !== stage.eventsOf('saved')[0]);
  await stage.command('shop-1', stop);
  await stage.prompt('shop-1', '[script: no-change]', 2);
  await stage.result(2);
  expect(stage.eventsOf('cli-exited')).toHaveLength(1);
});

test('a prompt of the stopped turn that arrives late is dropped, and a later turn is not disturbed by a late stop', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('ready');
  await stage.stop('shop-1', 1);
  await stage.event('saved');
  await stage.prompt('shop-1', '[script: no-change] too late', 1);
  const second = await stage.prompt(
    'shop-1',
    run('touch running', 'while [ ! -e go ]; do node -e 0; done', 'echo went on'),
    2,
  );
  await toolRuns();
  await stage.stop('shop-1', 1);
  await eventually(() => stage.eventsOf('saved').length >= 2, 'confirmation of the second stop');
  await writeFile(join(stage.worktree('shop-1'), 'go'), '');
  expect(await stage.result()).toMatchObject({ is_error: false, user_message_uuids: [second] });
  expect(stage.lines('result')).toHaveLength(1);
});

/** A zombie is dead: it waits for its parent, which here may be a first process that reaps no one. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
