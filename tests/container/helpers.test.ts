import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { planMarker } from '../../dev/claude/scripts.ts';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import { type DeepPartial, eventually, processesOf, type Stage, type StageOptions, setStage } from './stage.ts';
import { testClock } from './test-clock.ts';

type Plan = Parameters<typeof planMarker>[0];

let stage: Stage;
afterEach(() => stage?.close());

async function begin(options: StageOptions = {}, overrides: DeepPartial<StartSession> = {}): Promise<void> {
  stage = await setStage(options);
  await stage.start('shop-1', overrides);
  await stage.event('ready');
}

/** A helper that works in the background, as the CLI has it unless told otherwise. */
const helper = (name: string, plan: Plan) => ({
  name: 'Agent',
  input: { description: name, subagent_type: 'general-purpose', prompt: planMarker(plan) },
});
const background = (command: string, name: string) => ({
  name: 'Bash',
  input: { command, description: name, run_in_background: true },
});
/** Waits until the test lets it go on by the file. */
const waitFor = (file: string) => ({
  sh: `touch waiting-${file}; node -e "setInterval(() => require('fs').existsSync('${file}') && process.exit(), 20)"`,
});
const release = (file: string) => writeFile(join(stage.worktree('shop-1'), file), '');
const waits = (file: string) =>
  eventually(() => existsSync(join(stage.worktree('shop-1'), `waiting-${file}`)), `the wait for ${file}`);
/** Results of Claude's as they were told: their words, and whether the turn went on. */
const results = () =>
  stage.eventsOf('line').flatMap(({ line, goesOn }) => {
    const { type, result } = JSON.parse(line) as { type: string; result?: string };
    return type === 'result' ? [{ text: result, goesOn: goesOn ?? false }] : [];
  });

test('a turn ends when the helper is done and Claude has told what came of it, and holds all of its work', async () => {
  await begin();
  const commit = { sh: 'echo x > by-the-helper.txt; git add by-the-helper.txt; git commit -qm by-the-helper' };
  await stage.prompt(
    'shop-1',
    planMarker({
      steps: [helper('Count', { steps: [waitFor('go'), commit], text: '42' }), { wait: 'It counts.' }],
      text: 'It says: $OUT',
    }),
  );
  await waits('go');
  await eventually(() => results().length === 1, "Claude's first result");
  expect(results()).toEqual([{ text: 'It counts.', goesOn: true }]);
  expect((await stage.status('shop-1')).state).toBe('working');
  expect(stage.eventsOf('saved')).toEqual([]);
  await release('go');
  const saved = await stage.event('saved');
  expect(results()).toEqual([
    { text: 'It counts.', goesOn: true },
    { text: 'It says: 42', goesOn: false },
  ]);
  expect(saved.commits.map(({ subject }) => subject)).toContain('by-the-helper');
  expect(stage.eventsOf('work-ended')).toEqual([]);
});

test('of three helpers the turn waits for the last', async () => {
  await begin();
  await stage.prompt(
    'shop-1',
    planMarker({
      steps: [
        {
          calls: [
            helper('One', { text: 'one' }),
            helper('Two', { steps: [waitFor('two')], text: 'two' }),
            helper('Three', { steps: [waitFor('three')], text: 'three' }),
          ],
        },
      ],
      text: 'They work.',
    }),
  );
  await Promise.all([waits('two'), waits('three')]);
  await release('two');
  await eventually(() => stage.lines('system').filter(isDone).length === 2, 'the end of two of them');
  expect(stage.eventsOf('saved')).toEqual([]);
  await release('three');
  await stage.event('saved');
  // The last result ends the turn, or an event of its own where the CLI gave that result before it told of the last helper.
  const ends = results().map(({ goesOn }) => goesOn);
  expect(ends.slice(0, -1).every((goesOn) => goesOn === true)).toBe(true);
  expect(ends.at(-1) === false || stage.eventsOf('work-ended').length === 1).toBe(true);
  expect(stage.lines('system').filter(isDone)).toHaveLength(3);
});

test('a helper of a helper is waited for as well', async () => {
  await begin();
  const inner = helper('Inner', { steps: [waitFor('go')], text: 'seven' });
  await stage.prompt(
    'shop-1',
    planMarker({
      steps: [helper('Outer', { steps: [inner], text: 'Inner says: $OUT' }), { wait: 'On it.' }],
      text: '$OUT',
    }),
  );
  await waits('go');
  await eventually(() => results().length === 1, "Claude's first result");
  expect(stage.eventsOf('saved')).toEqual([]);
  await release('go');
  await stage.event('saved');
  expect(results().at(-1)).toMatchObject({ goesOn: false });
  expect(results().at(-1)?.text).toContain('seven');
});

test('a helper that fails ends like one that does its work: Claude is told and has the last word', async () => {
  await begin();
  await stage.prompt(
    'shop-1',
    planMarker({
      steps: [helper('Fails', { steps: [waitFor('go')], text: 'never said' }), { wait: 'On it.' }],
      text: 'It ended.',
    }),
  );
  await waits('go');
  await eventually(() => results().length === 1, "Claude's first result");
  const error = { type: 'error', error: { type: 'invalid_request_error', message: 'refused' } };
  stage.model.failNext({ status: 400, body: error });
  await release('go');
  await stage.event('saved');
  expect(results().at(-1)).toEqual({ text: 'It ended.', goesOn: false });
});

test('a helper that never ends is ended after a stated time, and people and Claude are told so', async () => {
  await begin({ config: { helperMs: 1_500 } });
  await stage.prompt(
    'shop-1',
    planMarker({ steps: [helper('Endless', { steps: [waitFor('never')], text: 'never said' })], text: 'On it.' }),
  );
  await waits('never');
  await stage.event('saved');
  expect((await stage.event('notice')).text).toMatch(/Claude's helpers still worked .* and were ended: Endless\./);
  expect(results().at(-1)?.goesOn).toBe(false);
  await eventually(() => processesOf(stage, 'shop-1').length === 1, 'the end of the helper, and Claude alone');
});

test('a stop ends helpers within two seconds', async () => {
  await begin();
  await stage.prompt(
    'shop-1',
    planMarker({ steps: [helper('Works', { steps: [waitFor('never')], text: 'never said' })], text: 'On it.' }),
  );
  await waits('never');
  await eventually(() => results().length === 1, "Claude's first result");
  const since = performance.now();
  await stage.stop('shop-1');
  await stage.event('cli-exited', ({ cause }) => cause === 'stop', 2_500);
  expect(performance.now() - since).toBeLessThan(2_500);
  expect(processesOf(stage, 'shop-1')).toEqual([]);
  await stage.event('saved');
});

test("if Claude's process dies while only a helper works, the turn is told as lost", async () => {
  await begin();
  await stage.prompt(
    'shop-1',
    planMarker({ steps: [helper('Works', { steps: [waitFor('never')], text: 'never said' })], text: 'On it.' }),
  );
  await waits('never');
  await eventually(() => results().length === 1, "Claude's first result");
  const { pid } = await stage.event('cli-started');
  process.kill(pid, 'SIGKILL');
  expect(await stage.event('cli-exited')).toMatchObject({ cause: 'crash', duringTurn: true });
});

test('what a helper asks to be let run is asked like what Claude itself asks', async () => {
  await begin({}, { claude: { permissions: { allow: ['Task'], ask: [], others: 'ask' } } });
  await stage.prompt(
    'shop-1',
    planMarker({
      steps: [helper('Asks', { steps: [{ sh: 'touch asked.txt' }], text: 'done' }), { wait: 'On it.' }],
      text: '$OUT',
    }),
  );
  await eventually(() => results().length === 1, "Claude's first result");
  const asked = await eventually(() => stage.lines('control_request')[0], 'the request of the helper');
  expect(stage.eventsOf('saved')).toEqual([]);
  const decision = { allowed: true } as const;
  const id = crypto.randomUUID();
  const answer = await stage.command('shop-1', { type: 'decide', id, requestId: String(asked.request_id), decision });
  expect(answer.status).toBe(202);
  await stage.event('saved');
  expect(existsSync(join(stage.worktree('shop-1'), 'asked.txt'))).toBe(true);
  expect(results().at(-1)).toMatchObject({ goesOn: false });
});

test('a comment while helpers work is taken up at once, in the same turn', async () => {
  await begin();
  await stage.prompt(
    'shop-1',
    planMarker({ steps: [helper('Works', { steps: [waitFor('go')], text: 'done' })], text: 'On it.' }),
  );
  await waits('go');
  await eventually(() => results().length === 1, "Claude's first result");
  await stage.prompt('shop-1', planMarker({ text: 'Yes, I am still here.' }));
  await eventually(() => results().length === 2, 'the answer to the comment');
  expect(results()[1]).toEqual({ text: 'Yes, I am still here.', goesOn: true });
  expect(stage.eventsOf('saved')).toEqual([]);
  await release('go');
  await stage.event('saved');
});

test('who began the session before helpers were waited for is told the end of a turn with each result', async () => {
  await begin({}, { waitsForHelpers: false });
  await stage.prompt(
    'shop-1',
    planMarker({ steps: [helper('Works', { steps: [waitFor('go')], text: 'done' })], text: 'On it.' }),
  );
  await stage.event('saved');
  expect(results()).toEqual([{ text: 'On it.', goesOn: false }]);
  await release('go');
  await eventually(() => results().length === 2, 'the word on the helper');
});

test('a command in the background does not hold the turn for long, and is named when the turn ends and at the idle limit', async () => {
  await begin({ config: { commandMs: 300 } });
  const { idleMs } = stage.config;
  await stage.prompt('shop-1', planMarker({ steps: [background('sleep 100000', 'dev server')], text: 'It runs.' }));
  const saved = await stage.event('saved');
  expect(saved.background).toEqual({ commands: ['dev server (sleep 100000)'], endAfterMs: idleMs });
  expect(processesOf(stage, 'shop-1').length).toBeGreaterThan(1);
  testClock.advance(idleMs + 1_000);
  const exit = await stage.event('cli-exited');
  expect(exit).toMatchObject({ cause: 'idle', duringTurn: false, background: ['dev server (sleep 100000)'] });
  expect(processesOf(stage, 'shop-1')).toEqual([]);
});

test('a command in the background that ends soon after belongs to the turn', async () => {
  await begin({ config: { commandMs: 60_000 } });
  const tests = background(waitFor('go').sh, 'tests');
  await stage.prompt('shop-1', planMarker({ steps: [tests, { wait: 'The tests run.' }], text: 'They ended: $OUT' }));
  await eventually(() => results().length === 1, "Claude's first result");
  expect(results()).toEqual([{ text: 'The tests run.', goesOn: true }]);
  await waits('go');
  await release('go');
  await stage.event('saved');
  expect(results().at(-1)?.text).toContain('They ended: Background command "tests" completed (exit code 0)');
  expect(results().at(-1)?.goesOn).toBe(false);
});

test('a stop ends what still runs in the background after its turn', async () => {
  await begin({ config: { commandMs: 0 } });
  await stage.prompt('shop-1', planMarker({ steps: [background('sleep 100000', 'dev server')], text: 'It runs.' }));
  await stage.event('saved');
  await stage.stop('shop-1', 2);
  const exit = await stage.event('cli-exited', ({ cause }) => cause === 'stop', 3_000);
  expect(exit.background).toEqual(['dev server (sleep 100000)']);
  expect(processesOf(stage, 'shop-1')).toEqual([]);
});

function isDone(line: Record<string, unknown>): boolean {
  return line.subtype === 'task_notification' && line.summary_is_report === true;
}
