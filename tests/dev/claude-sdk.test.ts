/** Anthropic's own client before the stand-in for Claude's API: streaming, its typed errors, lists. */
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ScriptedModel, startScriptedModel } from '../../dev/claude/scripted-model.ts';

const key = 'sk-ant-test-0123456789';
let model: ScriptedModel;
let client: Anthropic;

/** A client with an API key, whatever the machine's environment would give it beside that. */
const withKey = (maxRetries: number) =>
  new Anthropic({
    apiKey: key,
    authToken: null,
    defaultHeaders: { authorization: null },
    baseURL: model.url,
    maxRetries,
    logLevel: 'off',
  });

beforeAll(async () => {
  model = await startScriptedModel();
  client = withKey(0);
});
afterEach(() => model.clearFaults());
afterAll(() => model.close());

type Asked = Anthropic.MessageCreateParamsNonStreaming;
const ask = (content: string, more: Partial<Asked> = {}): Asked => ({
  model: 'claude-sonnet-5-5',
  max_tokens: 4_000,
  messages: [{ role: 'user', content }],
  tools: [{ name: 'Bash', input_schema: { type: 'object' } }],
  ...more,
});

describe('messages.stream', () => {
  it('gathers text, thinking and tool calls of the stream into the message', async () => {
    const stream = client.messages.stream(ask('Fix it', { thinking: { type: 'adaptive' } }));
    const texts: string[] = [];
    stream.on('text', (delta) => texts.push(delta));
    const message = await stream.finalMessage();
    expect(message.stop_reason).toBe('tool_use');
    expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text', 'tool_use']);
    const call = message.content.find((block) => block.type === 'tool_use');
    expect(call).toMatchObject({ name: 'Bash', input: { command: expect.any(String) } });
    const said = message.content.flatMap((block) => (block.type === 'text' ? [block.text] : []));
    expect(texts.join('')).toBe(said.join(''));
    expect(message.usage.output_tokens).toBeGreaterThan(0);
    expect(stream.request_id).toMatch(/^req_/);
  });

  it('ends in the error that the stream told after its 200', async () => {
    model.failNext({ errorMidStream: 'overloaded_error' });
    const stream = client.messages.stream(ask('Say something long.'));
    await expect(stream.finalMessage()).rejects.toMatchObject({
      name: expect.any(String),
      error: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
    });
  });

  it('tells a connection that was closed in the middle from an answer', async () => {
    model.failNext({ dropMidStream: true });
    await expect(client.messages.stream(ask('Say something long.')).finalMessage()).rejects.toThrow();
  });
});

describe('an error is of the client’s own type:', () => {
  it.each([
    [400, Anthropic.BadRequestError, 'invalid_request_error'],
    [401, Anthropic.AuthenticationError, 'authentication_error'],
    [403, Anthropic.PermissionDeniedError, 'permission_error'],
    [404, Anthropic.NotFoundError, 'not_found_error'],
    [429, Anthropic.RateLimitError, 'rate_limit_error'],
    [500, Anthropic.InternalServerError, 'api_error'],
    [529, Anthropic.InternalServerError, 'overloaded_error'],
  ] as const)('%d', async (status, type, named) => {
    model.failNext({ status });
    const error = await client.messages.create(ask('Hello.')).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ status, type: named, requestID: expect.stringMatching(/^req_/) });
  });

  it('an unknown model, by name, in answers, counts and the list', async () => {
    const unknown = { ...ask('Hello.'), model: 'claude-nonesuch-9' };
    for (const ask of [
      () => client.messages.create(unknown),
      () => client.messages.countTokens({ model: unknown.model, messages: unknown.messages }),
      () => client.models.retrieve(unknown.model),
    ]) {
      const error = await ask().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Anthropic.NotFoundError);
      expect(error).toMatchObject({ message: expect.stringContaining('claude-nonesuch-9') });
    }
  });

  it('a limit, with the time to wait in its headers', async () => {
    model.failNext({ status: 429, resetsInSeconds: 90 });
    const error = await client.messages.create(ask('Hello.')).catch((reason: unknown) => reason);
    if (!(error instanceof Anthropic.RateLimitError)) throw new Error('no limit');
    expect(error.headers.get('retry-after')).toBe('90');
  });

  it('a subscription’s token without its beta', async () => {
    const subscriber = new Anthropic({ apiKey: null, authToken: 'sk-ant-oat01-x', baseURL: model.url, maxRetries: 0 });
    const without = subscriber.messages.create(ask('Hello.'));
    await expect(without).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
    const headers = { 'anthropic-beta': 'oauth-2025-04-20' };
    const answered = await subscriber.messages.create(ask('Hello.'), { headers }).withResponse();
    expect(answered.response.headers.get('anthropic-ratelimit-unified-status')).toBe('allowed');
  });
});

it('an overloaded API is asked again by the client itself, and answers', async () => {
  const patient = withKey(2);
  model.failNext({ status: 529, headers: { 'retry-after-ms': '1' } });
  expect((await patient.messages.create(ask('Hello.'))).role).toBe('assistant');
});

it('the scripted model counts tokens and lists its models', async () => {
  const { model: named, messages } = ask('Hello there.');
  expect((await client.messages.countTokens({ model: named, messages })).input_tokens).toBeGreaterThan(0);
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect(ids).toContain('claude-sonnet-5-5');
  expect(await client.models.retrieve('claude-sonnet-5-5')).toMatchObject({ type: 'model' });
});
