import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { type ScriptedModel, startScriptedModel } from '../../dev/claude/scripted-model.ts';

const key = 'sk-ant-test-0123456789';
let model: ScriptedModel;

// Real processes on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

beforeAll(async () => {
  model = await startScriptedModel({ expectedCredential: { header: 'x-api-key', value: key } });
});

afterAll(() => model.close());

const answerSchema = z.looseObject({
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional(), id: z.string().optional() })),
  stop_reason: z.string().nullable(),
  usage: z.looseObject({
    input_tokens: z.number(),
    cache_read_input_tokens: z.number(),
    cache_creation_input_tokens: z.number(),
    output_tokens: z.number(),
  }),
});
const errorSchema = z.strictObject({
  type: z.literal('error'),
  error: z.strictObject({ type: z.string(), message: z.string() }),
  request_id: z.string(),
});
type Event = Record<string, unknown> & { type: string };

const tools = [{ name: 'Bash', input_schema: {} }];
const ask = (text: string, more: object = {}) => ({
  model: 'claude-sonnet-5-5',
  max_tokens: 32_000,
  tools,
  messages: [{ role: 'user', content: text }],
  ...more,
});

function post(body: unknown, path = '/v1/messages?beta=true', headers: Record<string, string> = { 'x-api-key': key }) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(model.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: text,
  });
}

async function say(body: unknown): Promise<z.infer<typeof answerSchema>> {
  const response = await post(body);
  expect(response.status).toBe(200);
  return answerSchema.parse(await response.json());
}

function eventsOf(text: string): Event[] {
  return text
    .split('\n\n')
    .filter(Boolean)
    .map((part) => {
      const [, name, data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(part) ?? [];
      const event = z.looseObject({ type: z.string() }).parse(JSON.parse(data));
      expect(event.type).toBe(name);
      return event;
    });
}

/** The events by kind, repeated ones once: the order the documentation gives. */
function order(events: Event[]): string[] {
  const names = events.map(({ type, delta, content_block }) => {
    const { type: kind } = Object(delta ?? content_block);
    return kind ? `${type} ${kind}` : type;
  });
  return names.filter((name, index) => name !== 'ping' && name !== names[index - 1]);
}

test('a streamed answer has the documented events in the documented order, and its pieces make up the whole', async () => {
  const response = await post(ask('Fix it', { stream: true, thinking: { type: 'adaptive' } }));
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const events = eventsOf(await response.text());
  expect(order(events)).toEqual([
    'message_start',
    'content_block_start thinking',
    'content_block_delta thinking_delta',
    'content_block_delta signature_delta',
    'content_block_stop',
    'content_block_start text',
    'content_block_delta text_delta',
    'content_block_stop',
    'content_block_start tool_use',
    'content_block_delta input_json_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]);
  expect(events.some((event) => event.type === 'ping')).toBe(true);
  expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' }, usage: { input_tokens: 4 } });
  const json = events.map((event) => Object(event.delta).partial_json ?? '').join('');
  expect(JSON.parse(json)).toMatchObject({ command: 'npm test' });
  const text = events.map((event) => Object(event.delta).text ?? '').join('');
  expect(text).toBe((await say(ask('Fix it'))).content[0]?.text);
});

test('the request counts, not what is around it', async () => {
  const prompt = [
    'Ada delegated this issue to you.',
    '<cyrus-request>\nIssue ENG-1: Tea is too cheap\nhttps://linear.example/ENG-1\n\nSee below.\n</cyrus-request>',
    '<cyrus-context>\n<comment>[script: no-change]</comment>\n</cyrus-context>',
  ];
  const said = async (text: string) => (await say(ask(text))).content[0]?.text;
  expect(await said(prompt.slice(0, 2).join('\n\n'))).toContain('“Issue ENG-1: Tea is too cheap See below.”');
  expect(await said(prompt.join('\n\n'))).toBe('I look around first.');
  expect(await said(prompt.join('\n\n').replace('See below', '[script: parallel-tools 2]'))).toContain('2 commands');
});

test('asked to go on where a stream broke off, it says the rest of the same step and nothing twice', async () => {
  const marker = '[script: steps 3]';
  const first = await say(ask(marker));
  expect(first.content.map((block) => block.type)).toEqual(['text', 'tool_use']);
  const goOn =
    'Your response above was cut off mid-stream. Resume directly from where it stops — no apology, no recap.';
  const messages = [
    { role: 'user', content: marker },
    { role: 'assistant', content: [{ type: 'text', text: first.content[0]?.text }] },
    { role: 'user', content: [{ type: 'text', text: goOn }] },
  ];
  const rest = await say(ask(marker, { messages }));
  expect(rest.content.map((block) => block.type)).toEqual(['tool_use']);
  expect(rest.content[0]).toMatchObject({ input: { command: 'echo "step 1"' } });
});

test('without thinking enabled nothing is thought', async () => {
  const { content } = await say(ask('Fix it'));
  expect(content.map((block) => block.type)).toEqual(['text', 'tool_use']);
});

test('usage grows with the conversation, and what was said before comes from the cache', async () => {
  const first = await say(ask('Fix it'));
  const id = first.content.find((block) => block.type === 'tool_use')?.id;
  const later = ask('Fix it', {
    messages: [
      { role: 'user', content: 'Fix it' },
      { role: 'assistant', content: first.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: '✖ a test (1ms)', is_error: true }] },
    ],
  });
  const second = await say(later);
  expect(first.usage.cache_read_input_tokens).toBe(0);
  expect(second.usage.cache_read_input_tokens).toBeGreaterThan(first.usage.cache_creation_input_tokens);
  expect(second.usage.output_tokens).toBeGreaterThan(0);
  const counted = await post({ model: 'claude-sonnet-5-5', messages: later.messages }, '/v1/messages/count_tokens');
  expect(z.object({ input_tokens: z.number().positive() }).parse(await counted.json())).toBeTruthy();
});

test('the same messages get the same answer, also from another model that was started later', async () => {
  const withoutIds = async (response: Response) => (await response.text()).replace(/(msg|toolu)_01\w+/g, '$1');
  const body = JSON.stringify(ask('[script: parallel-tools 3]'));
  const other = await startScriptedModel();
  const elsewhere = await fetch(`${other.url}/v1/messages`, { method: 'POST', body });
  expect(await withoutIds(elsewhere)).toBe(await withoutIds(await post(body)));
  await other.close();
});

test.each([
  ['not json', 'not valid JSON'],
  [{}, 'model: Field required'],
  [{ ...ask('x'), max_tokens: 0 }, 'max_tokens:'],
  [{ ...ask('x'), messages: [] }, 'messages:'],
  [{ ...ask('x'), messages: [{ role: 'robot', content: 'x' }] }, 'messages.0.role'],
  [{ ...ask('x'), messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] }, 'must be non-empty'],
  [
    { ...ask('x'), messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_x' }] }] },
    'unexpected `tool_use_id`',
  ],
  [
    {
      ...ask('x'),
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_x', name: 'Bash', input: {} }] },
        { role: 'user', content: 'no result' },
      ],
    },
    'without `tool_result` blocks',
  ],
])('a wrong request is refused in the words of the API: %j', async (body, message) => {
  const response = await post(body);
  expect(response.status).toBe(400);
  const error = errorSchema.parse(await response.json());
  expect(error.error.type).toBe('invalid_request_error');
  expect(error.error.message).toContain(message);
  expect(error.request_id).toBe(response.headers.get('request-id'));
});

test.each([
  [{}, 'x-api-key header is required'],
  [{ 'x-api-key': 'wrong' }, 'invalid x-api-key'],
  [{ authorization: `Bearer ${key}` }, 'Invalid bearer token'],
  [{ 'x-api-key': key, authorization: 'Bearer other' }, 'invalid x-api-key'],
])('another credential than the expected one is refused: %j', async (headers, message) => {
  const response = await post(ask('x'), '/v1/messages', headers);
  expect(response.status).toBe(401);
  const error = errorSchema.parse(await response.json());
  expect(error.error).toEqual({ type: 'authentication_error', message });
});

test('a subscription gets unified limits, an API key its own', async () => {
  const subscription = await startScriptedModel({ expectedCredential: { header: 'authorization', value: 'token-1' } });
  const response = await fetch(`${subscription.url}/v1/messages`, {
    method: 'POST',
    headers: { authorization: 'Bearer token-1', 'anthropic-beta': 'claude-code-20250219,oauth-2025-04-20' },
    body: JSON.stringify(ask('x')),
  });
  await subscription.close();
  expect(response.headers.get('anthropic-ratelimit-unified-status')).toBe('allowed');
  expect(Number(response.headers.get('anthropic-ratelimit-unified-5h-reset')) * 1000).toBeGreaterThan(Date.now());
  const withKey = await post(ask('x'));
  expect(withKey.headers.get('anthropic-ratelimit-unified-status')).toBeNull();
  expect(withKey.headers.get('anthropic-ratelimit-requests-limit')).toBe('4000');
});

test.each(['/v1/messages', '/v1/messages/count_tokens'])(
  'a model that does not exist is not found: %s',
  async (path) => {
    for (const unknown of ['sonnet', 'claude-sonnet', 'claude-sonnet-9', 'gpt-5', 'claude-opus-5-5-fast']) {
      const response = await post(ask('x', { model: unknown }), path);
      expect(response.status, unknown).toBe(404);
      const { error } = errorSchema.parse(await response.json());
      expect(error).toEqual({ type: 'not_found_error', message: `model: ${unknown}` });
    }
    for (const known of ['claude-opus-5-5', 'claude-sonnet-5-20260930', 'claude-haiku-4-5', 'claude-fable-5']) {
      expect((await post(ask('x', { model: known }), path)).status, known).toBe(200);
    }
  },
);

test("a subscription's token is refused without its beta", async () => {
  const subscription = await startScriptedModel({ expectedCredential: { header: 'authorization', value: 'token-1' } });
  const call = (betas: Record<string, string>) =>
    fetch(`${subscription.url}/v1/messages`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-1', ...betas },
      body: JSON.stringify(ask('x')),
    });
  const [without, other, right] = [
    await call({}),
    await call({ 'anthropic-beta': 'effort-2025-11-24' }),
    await call({ 'anthropic-beta': 'effort-2025-11-24, oauth-2025-04-20' }),
  ];
  await subscription.close();
  expect([without.status, other.status, right.status]).toEqual([401, 401, 200]);
  expect(errorSchema.parse(await without.json()).error).toEqual({
    type: 'authentication_error',
    message: 'OAuth authentication is currently not supported.',
  });
});

test('small requests beside the conversation get something harmless', async () => {
  expect((await fetch(`${model.url}/api/hello`, { method: 'HEAD' })).status).toBe(200);
  const models = await fetch(`${model.url}/v1/models`, { headers: { 'x-api-key': key } });
  expect(await models.text()).toContain('claude-sonnet-5-5');
  const unknown = await post('{}', '/v1/complete');
  expect([unknown.status, errorSchema.parse(await unknown.json()).error.type]).toEqual([404, 'not_found_error']);
  const { content } = await say(ask('Name this conversation', { tools: undefined, model: 'claude-haiku-5-5' }));
  expect(content).toEqual([{ type: 'text', text: 'Scripted session' }]);
  const schema = { type: 'object', properties: { title: { type: 'string' }, isNew: { type: 'boolean' } } };
  const title = await say(ask('x', { tools: [], output_config: { format: { type: 'json_schema', schema } } }));
  expect(JSON.parse(title.content[0]?.text ?? '')).toEqual({ title: 'Scripted session', isNew: false });
});

test('an answer longer than max_tokens is cut and says so', async () => {
  const answer = await say(ask('[script: long-text 5000]', { max_tokens: 10 }));
  expect(answer.stop_reason).toBe('max_tokens');
  expect(answer.content[0]?.text).toHaveLength(40);
});

test('long text streams one word at a time, at the pace asked for', async () => {
  const began = performance.now();
  const events = eventsOf(await (await post(ask('[script: long-text 30 10]', { stream: true }))).text());
  expect(events.filter((event) => event.type === 'content_block_delta')).toHaveLength(30);
  expect(performance.now() - began).toBeGreaterThan(250);
});

test('ten thousand words stream in a moment when no pace is set', async () => {
  const events = eventsOf(await (await post(ask('[script: long-text 10000]', { stream: true }))).text());
  const text = events.map((event) => Object(event.delta).text ?? '').join('');
  expect(text.split(/\s+/)).toHaveLength(10_000);
});

test('failures come as planned: let through, then fail so often, then serve again', async () => {
  model.failNext({ status: 529, after: 1, times: 2 });
  model.failNext({ status: 500 });
  const statuses: number[] = [];
  for (let index = 0; index < 5; index++) statuses.push((await post(ask('[script: no-change]'))).status);
  expect(statuses).toEqual([200, 529, 529, 500, 200]);

  const planned = await post({ status: 400, headers: { 'x-should-retry': 'false' } }, '/control/faults');
  expect(planned.status).toBe(200);
  const refused = await post(ask('x'));
  expect(errorSchema.parse(await refused.json()).error.message).toContain('credit balance is too low');
  expect(refused.headers.get('x-should-retry')).toBe('false');

  expect((await post({ drop: false }, '/control/faults')).status).toBe(400);
  model.failNext({ drop: true });
  await expect(post(ask('x'))).rejects.toThrow();
  model.failNext({ dropMidStream: true });
  await expect(post(ask('x', { stream: true })).then((response) => response.text())).rejects.toThrow();
  model.failNext({ hang: true });
  model.clearFaults();
  expect((await post(ask('x'))).status).toBe(200);
});

test('a model that hangs or stalls ends when its reader goes', async () => {
  for (const fault of [{ hang: true }, { stallMidStream: true }] as const) {
    model.failNext(fault);
    const seen = model.requests().length;
    const gone = new AbortController();
    const reading = fetch(`${model.url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': key },
      body: JSON.stringify(ask('x', { stream: true })),
      signal: gone.signal,
    }).then((response) => response.text());
    await expect.poll(() => model.requests().length, { timeout: 50_000 }).toBe(seen + 1);
    gone.abort();
    await expect(reading).rejects.toThrow();
  }
  expect((await post(ask('x'))).status).toBe(200);
});

test('the log tells what was asked and answered, and conceals credentials', async () => {
  await (await post(ask('[script: no-change]', { stream: true }))).text();
  const response = await fetch(`${model.url}/control/requests`);
  const text = await response.text();
  expect(text).not.toContain(key);
  const { requests } = z.object({ requests: z.array(z.looseObject({})) }).parse(JSON.parse(text));
  expect(requests.at(-1)).toMatchObject({
    method: 'POST',
    path: '/v1/messages?beta=true',
    authorized: true,
    status: 200,
    stream: true,
    model: 'claude-sonnet-5-5',
    script: 'no-change',
    step: 0,
    headers: { 'x-api-key': `${key.slice(0, 5)}… (${key.length} characters)` },
  });
});
