import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { planMarker } from '../../dev/claude/scripts.ts';
import { eventually, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

interface Asked {
  request_id: string;
  request: { tool_name: string; input: Record<string, unknown> };
}

async function question(): Promise<Asked> {
  const [asked] = await eventually(() => {
    const lines = stage.lines('control_request') as unknown as Asked[];
    return lines.length > 0 && lines;
  }, 'a question');
  if (!asked) throw new Error('nothing was asked');
  return asked;
}

test('a question of Claude waits for its answer, which returns to the same tool call', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  const promptId = await stage.prompt('shop-1', '[script: question]');
  const { request_id: requestId, request } = await question();
  expect(request.tool_name).toBe('AskUserQuestion');
  const input = { ...request.input, answers: { 'Which colour?': 'Blue' } };
  const answer = { type: 'answer', id: randomUUID(), requestId, input } as const;
  expect((await stage.command('shop-1', answer)).status).toBe(202);
  expect((await stage.command('shop-1', answer)).status).toBe(202);
  expect(await stage.result()).toMatchObject({ is_error: false, user_message_uuids: [promptId] });
  expect(await readFile(join(stage.worktree('shop-1'), 'colour.txt'), 'utf8')).toContain('Blue');
});

test('an answer that nobody waits for is refused with words that say what to do', async () => {
  stage = await setStage();
  await stage.start('shop-1');
  await stage.event('ready');
  const answer = { type: 'answer', id: randomUUID(), requestId: 'unknown', input: {} } as const;
  const refused = await stage.command('shop-1', answer);
  expect(refused.status).toBe(409);
  expect(await refused.json()).toMatchObject({ error: 'not-asked', message: expect.stringContaining('as a prompt') });
});

/** Has Claude ask this, and gives these answers. @returns what its tool tells Claude of them */
async function asked(questions: object[], answers: [string, string][]): Promise<string> {
  stage = await setStage();
  await stage.start('shop-1');
  const plan = { steps: [{ name: 'AskUserQuestion', input: { questions } }], text: '$OUT' };
  await stage.prompt('shop-1', planMarker(plan));
  const { request_id: requestId, request } = await question();
  const given = { ...request.input, answers: Object.fromEntries(answers) };
  await stage.command('shop-1', { type: 'answer', id: randomUUID(), requestId, input: given });
  return String((await stage.result()).result);
}

const options = [
  { label: '3', description: 'safe' },
  { label: '1', description: 'fast' },
];

test('several chosen options reach Claude in the form its tool has for them', async () => {
  const told = await asked([{ question: 'Which?', header: 'Which', multiSelect: true, options }], [['Which?', '3, 1']]);
  expect(told).toContain('"Which?"="3, 1"');
});

test('questions named like properties that every object has get their answers', async () => {
  const names = ['constructor', 'toString', '__proto__'];
  const questions = names.map((question) => ({ question, header: 'Name', multiSelect: false, options }));
  const told = await asked(
    questions,
    names.map((name, index) => [name, `answer ${index}`]),
  );
  for (const [index, name] of names.entries()) expect(told).toContain(`"${name}"="answer ${index}"`);
});
