import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { type Receiver, startWithReceiver, TOKEN } from './api.ts';

let linear: LinearSimulator;
let stop: () => Promise<void>;
let receiver: Receiver;
beforeEach(async () => {
  ({ linear, receiver, stop } = await startWithReceiver());
});
afterEach(() => stop());

interface Answer {
  result?: {
    tools?: { name: string; inputSchema: { type: string } }[];
    content?: { text: string }[];
    isError?: boolean;
  };
  error?: { message: string };
}

async function post(method: string, params: object = {}, token = TOKEN): Promise<{ status: number; answer: Answer }> {
  const response = await fetch(`${linear.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const text = await response.text();
  const json = response.status === 200 ? (text.split('data: ')[1] ?? '{}') : '{}';
  return { status: response.status, answer: JSON.parse(json) as Answer };
}

async function call(name: string, input: object) {
  const { answer } = await post('tools/call', { name, arguments: input });
  const text = answer.result?.content?.[0]?.text ?? answer.error?.message ?? '';
  return { isError: answer.result?.isError ?? answer.error !== undefined, text };
}

it("Linear's MCP server takes the app's token, and no other", async () => {
  expect((await post('initialize', { protocolVersion: '2025-11-25' })).answer).toMatchObject({
    result: { protocolVersion: '2025-11-25', capabilities: { tools: {} } },
  });
  expect((await post('initialize', {}, 'wrong')).status).toBe(401);
  expect((await fetch(`${linear.url}/mcp`, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(405);
  const { answer } = await post('tools/list');
  expect(answer.result?.tools?.map(({ name }) => name)).toEqual([
    ...['get_issue', 'list_issues', 'list_comments', 'create_comment', 'update_issue'],
  ]);
  expect(answer.result?.tools?.every(({ inputSchema }) => inputSchema.type === 'object')).toBe(true);
});

it('issues are read and written with the rights of the app, as the app', async () => {
  const { identifier } = linear.createIssue({ title: 'The cart', description: 'It is wrong.' });
  expect(JSON.parse((await call('get_issue', { id: identifier })).text)).toMatchObject({
    identifier,
    title: 'The cart',
    description: 'It is wrong.',
  });
  await call('create_comment', { issueId: identifier, body: 'Seen.' });
  const comments = JSON.parse((await call('list_comments', { issueId: identifier })).text);
  expect(comments).toMatchObject([{ body: 'Seen.', author: 'Cyrus', parentId: null }]);
  await call('update_issue', { id: identifier, title: 'The basket', state: 'In Progress' });
  expect(linear.thread(identifier).issue).toMatchObject({ title: 'The basket' });
  const change = await linear.waitFor('the event of the change', () => receiver.of('Issue update')[0]);
  // Anyone who listens can tell that it was the app itself.
  expect(change.payload.actor).toMatchObject({ type: 'oauthClient', id: linear.oauthClientId });
  expect(receiver.received.every(({ payload }) => payload.type === 'Issue')).toBe(true);
});

it('what cannot be done is said in words that Claude reads', async () => {
  expect(await call('get_issue', { id: 'ENG-999' })).toEqual({ isError: true, text: 'there is no issue ENG-999' });
  expect(await call('create_comment', { issueId: 'ENG-999' })).toMatchObject({ isError: true });
  expect(await call('delete_everything', {})).toMatchObject({ isError: true });
  const { identifier } = linear.createIssue({ title: 'The cart' });
  expect((await call('update_issue', { id: identifier, state: 'Gone' })).text).toContain('there is no state Gone');
});
