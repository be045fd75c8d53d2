import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Stage, setStage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.close());

const models = () =>
  stage
    .lines('system')
    .filter((line) => line.subtype === 'init')
    .map((line) => line.model);

test('a turn that is started with another model continues the conversation with that model', async () => {
  const look = '[script: no-change] Look around.';
  await stage.start('shop-1', { claude: { model: 'opus' } });
  await stage.prompt('shop-1', look);
  await stage.result(1);
  await stage.start('shop-1', { claude: { model: 'sonnet' } });
  await stage.prompt('shop-1', look, 2);
  await stage.result(2);
  expect(models()).toEqual(['claude-opus-5-5', 'claude-sonnet-5-5']);
  expect(stage.eventsOf('cli-started').map(({ resumed }) => resumed)).toEqual([false, true]);
});

test('a turn that is started with another effort continues the conversation with that effort', async () => {
  const look = '[script: no-change] Look around.';
  const efforts = () =>
    stage.model.requests().flatMap(({ script, effort }) => (script === 'no-change' ? [effort] : []));
  await stage.start('shop-1', { claude: { model: 'opus', effort: 'low' } });
  await stage.prompt('shop-1', look);
  await stage.result(1);
  expect(new Set(efforts())).toEqual(new Set(['low']));
  await stage.start('shop-1', { claude: { model: 'opus', effort: 'max' } });
  await stage.prompt('shop-1', look, 2);
  await stage.result(2);
  expect(efforts().at(-1)).toBe('max');
  expect(stage.eventsOf('cli-started').map(({ resumed }) => resumed)).toEqual([false, true]);
});

test('an overload has the fallback model of the start take over', async () => {
  await stage.start('shop-1', { claude: { model: 'opus', fallbackModel: 'sonnet' } });
  stage.model.failNext({ status: 529, times: 3 });
  await stage.prompt('shop-1', '[script: no-change] Look around.');
  expect(await stage.result(1)).toMatchObject({ is_error: false });
  expect(stage.lines('system')).toContainEqual(
    expect.objectContaining({
      subtype: 'model_fallback',
      original_model: 'claude-opus-5-5',
      fallback_model: 'claude-sonnet-5-5',
    }),
  );
});
