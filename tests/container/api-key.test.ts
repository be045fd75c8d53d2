import { afterEach, describe, expect, test } from 'vitest';
import { readSandboxConfig } from '../../container/config.ts';
import { type Stage, setStage } from './stage.ts';

describe("an API key in the environment of the sandbox's server", () => {
  let stage: Stage;
  afterEach(() => stage.close());

  const { hasApiKey } = readSandboxConfig({ ANTHROPIC_API_KEY: 'sk-ant-api03-of-someone' });

  test('is an error if a subscription pays, and the error names where the key is set', async () => {
    stage = await setStage({ config: { hasApiKey } });
    const answer = await stage.put('shop-1', stage.startBody());
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      message: expect.stringMatching(/ANTHROPIC_API_KEY is set in the environment of the sandbox server/),
    });
  });

  test('is accepted if API keys pay', async () => {
    stage = await setStage({ config: { hasApiKey }, credential: 'api-key' });
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change] Look around.');
    expect(await stage.result()).toMatchObject({ is_error: false });
  });
});
