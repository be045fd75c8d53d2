/** A push of what runs on the git host: people are asked before the turn ends, and decide. */
import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { HELD_PUSH_TOOL, type HeldPush, heldPushSchema } from '../../src/protocol/held-push.ts';
import type { Decision } from '../../src/protocol/sandbox/commands.ts';
import { eventually, run, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

const STEAL = ['mkdir -p .github/workflows', 'echo "run: env" > .github/workflows/ci.yml'];

interface Asked {
  request_id: string;
  request: { subtype: string; tool_name: string; input: unknown };
}

const asked = () =>
  (stage.lines('control_request') as unknown as Asked[]).filter(({ request }) => request.tool_name === HELD_PUSH_TOOL);

async function begin(): Promise<void> {
  stage = await setStage();
  stage.gateway.allowedPushes = new Set();
  await stage.start('shop-1');
}

async function nthAsked(nth: number): Promise<{ id: string; held: HeldPush }> {
  const { request_id: id, request } = await eventually(() => asked()[nth - 1], `push ${nth} to be asked about`, 60_000);
  return { id, held: heldPushSchema.parse(request.input) };
}

const decide = (requestId: string, decision: Decision) =>
  stage.command('shop-1', { type: 'decide', id: randomUUID(), requestId, decision });

test('the turn waits for people, who see the diff; what they allow is pushed', { timeout: 120_000 }, async () => {
  await begin();
  await stage.prompt('shop-1', run(...STEAL));
  const { id, held } = await nthAsked(1);
  expect(held.files).toEqual(['.github']);
  expect(held.diff).toContain('+run: env');
  expect(stage.eventsOf('saved')).toEqual([]);
  stage.gateway.allowedPushes?.add(held.fingerprint);
  expect((await decide(id, { allowed: true })).status).toBe(202);
  expect(await stage.event('saved', () => true, 60_000)).toMatchObject({ pushed: true });
  expect(asked()).toHaveLength(1);
});

test('what they deny is not pushed: Claude reads why before its turn ends, and the answer says what is held', {
  timeout: 120_000,
}, async () => {
  await begin();
  await stage.prompt('shop-1', run(...STEAL));
  const { id } = await nthAsked(1);
  const message = 'Ada did not allow this, and said: no workflows here.';
  await decide(id, { allowed: false, message });
  // Claude ends its turn again without having undone it; the session would deny it again by itself.
  const second = await nthAsked(2);
  await decide(second.id, { allowed: false, message });
  const saved = await stage.event('saved', () => true, 60_000);
  expect(saved).toMatchObject({ pushed: false });
  expect(saved.problem).toContain('it changes what runs on the git host (.github), which a person has to allow first');
  expect(JSON.stringify(stage.lines('user')) + JSON.stringify(stage.model.requests)).toContain('no workflows here');
});

test('a stop while people are asked ends the turn, and nothing is pushed', { timeout: 120_000 }, async () => {
  await begin();
  await stage.prompt('shop-1', run(...STEAL));
  const { id } = await nthAsked(1);
  await stage.stop('shop-1');
  expect(await stage.event('saved', () => true, 60_000)).toMatchObject({ pushed: false });
  expect((await decide(id, { allowed: true })).status).toBe(409);
});
