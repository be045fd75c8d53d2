import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { eventually, run, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

const BROKEN = {
  type: 'error',
  error: {
    type: 'invalid_request_error',
    message:
      'messages.4: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01abc. Each `tool_use` block must have a corresponding `tool_result` block in the next message.',
  },
};

test('a conversation that the API takes no more is followed by another in the same worktree, and by its checkpoints', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.prompt('shop-1', run('echo begun > begun.txt'));
  await stage.event('saved');
  stage.model.failNext({ status: 400, times: 30, body: BROKEN });
  await stage.prompt('shop-1', '[script: no-change]', 2);
  expect(await stage.result(2)).toMatchObject({ is_error: true, api_error: 'tool_history_mismatch' });
  await eventually(() => stage.eventsOf('saved').length === 2, 'the save of the broken turn');
  stage.model.clearFaults();

  const conversationId = randomUUID();
  await stage.stop('shop-1', 2);
  await stage.start('shop-1', { claude: { conversationId } });
  const third = await stage.prompt('shop-1', run('cat begun.txt'), 3);
  const answer = await stage.result(3);
  expect(answer).toMatchObject({ is_error: false, session_id: conversationId, user_message_uuids: [third] });
  expect(String(answer.result)).toContain('begun');
  expect(stage.eventsOf('cli-started').at(-1)?.resumed).toBe(false);
  await eventually(() => stage.gateway.checkpoint?.conversationId === conversationId, 'a checkpoint of the new one');
  const transcripts = stage.gateway.checkpoint?.files.map(({ path }) => path).filter((path) => path.endsWith('.jsonl'));
  expect(transcripts).toEqual([expect.stringContaining(`${conversationId}.jsonl`)]);
});

test('a start with another conversation ends a process that holds the one before, once it has nothing to do', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.prompt('shop-1', '[script: no-change]');
  await stage.event('saved');
  const conversationId = randomUUID();
  await stage.start('shop-1', { claude: { conversationId } });
  await stage.prompt('shop-1', '[script: no-change]', 2);
  expect(await stage.result(2)).toMatchObject({ is_error: false, session_id: conversationId });
});
