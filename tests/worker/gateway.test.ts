import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Claims } from '../../src/gateway/token.ts';
import { mintToken } from '../../src/gateway/token.ts';
import type { EventBatch } from '../../src/protocol/sandbox/batches.ts';
import { SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import { gatewayForContainers } from '../../src/routes/gateway/index.ts';
import { getPatch } from '../../src/store/logs.ts';
import { claims, gatewayStage } from './support/gateway-stage.ts';
import { AT_WORK } from './support/standing.ts';

const config = { encryptionKey: env.ENCRYPTION_KEY };
const stage = gatewayStage();
const { ask } = stage;

describe('who calls', () => {
  it('is asked for before anything else, on every address', async () => {
    const paths = ['/events', '/patch/x', '/anthropic/v1/messages', '/git/acme/shop.git/info/refs', '/else', ''];
    for (const path of paths) {
      const response = await stage.app.request(`http://cyrus.test/gateway${path}`, { method: 'POST' }, env);
      expect(response.status, path).toBe(401);
    }
    expect(stage.sent).toEqual([]);
  });

  it('may be said by bearer token, by x-api-key, or by the password of basic authentication', async () => {
    const token = await mintToken(config, claims);
    for (const headers of [
      { authorization: `Bearer ${token}` },
      { 'x-api-key': token },
      { authorization: `Basic ${btoa(`x:${token}`)}` },
    ] as Record<string, string>[]) {
      expect((await ask('/nowhere', { headers })).status).toBe(404);
    }
  });

  it('is refused with what to do, and git is asked for its credential', async () => {
    const expired = await mintToken(config, claims, -1_000);
    const response = await ask('/git/acme/shop.git/info/refs', { headers: { authorization: `Bearer ${expired}` } });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Basic realm="Cyrus gateway"');
    expect(await response.json()).toEqual({
      error: 'token_expired',
      message: 'the session token has expired: start the session again to get a new one',
    });
  });

  it("is refused to the CLI in the API's own shape, without inviting retries", async () => {
    const response = await ask('/anthropic/v1/messages', { method: 'POST', headers: { authorization: 'Bearer no' } });
    expect(response.status).toBe(401);
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(await response.json()).toMatchObject({ type: 'error', error: { type: 'authentication_error' } });
  });

  it('is refused, and nothing fails, with a token whose session no object here can have', async () => {
    for (const s of ['a'.repeat(64), 'x', '']) {
      const response = await ask('/anthropic/v1/messages', { method: 'POST', body: '{}' }, env, { s });
      expect(response.status, s).toBe(401);
    }
  });

  it('is, with the token of a container, refused on the public way', async () => {
    const response = await ask('/nowhere', {}, env, { p: 'container' });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: 'token_of_container' });
    expect((await ask('/nowhere', {}, env, { p: 'network' })).status).toBe(404);
  });

  it('must, for a container, be what the platform says too', async () => {
    const authorization = `Bearer ${await mintToken(config, claims)}`;
    const request = () => new Request('http://gateway.internal/nowhere', { headers: { authorization } });
    const idOf = (name: string) => env.SANDBOX_CONTAINER.idFromName(name).toString();
    const itself = await gatewayForContainers(request(), env, { containerId: idOf(`${claims.s}:${claims.g}`) });
    // Who calls is known; a session of this id there is not.
    expect(itself.status).toBe(409);
    for (const name of [`${claims.s}:1`, 'another']) {
      const other = await gatewayForContainers(request(), env, { containerId: idOf(name) });
      expect(other.status).toBe(401);
    }
  });
});

describe('a session token', () => {
  /** Nobody has asked for this life before: what is known of a session counts for some seconds. */
  let life = 100;
  beforeEach(() => {
    life += 1;
  });
  const commit = 'a'.repeat(40);
  const push = '/git/acme/shop.git/git-receive-pack';
  const asks: [string, string][] = [
    ['POST', '/anthropic/v1/messages'],
    ['POST', '/anthropic/v1/messages/count_tokens'],
    ['GET', '/git/acme/shop.git/info/refs?service=git-upload-pack'],
    ['GET', '/git/acme/shop.git/info/refs?service=git-receive-pack'],
    ['POST', push],
    ['POST', '/git/acme/shop.git/info/lfs/objects/batch'],
    ['PUT', `/git/acme/shop.git/info/lfs/objects/${'c'.repeat(64)}/upload/1/v1.a.b.c`],
    ['GET', '/modules/aaaa/info/refs?service=git-upload-pack'],
    ['POST', '/mcp/linear'],
    ['PUT', `/patch/${commit}`],
    ['PUT', '/checkpoint/worktree-1'],
    ['GET', '/checkpoint/1/worktree-1'],
    ['GET', `/cache/setup-${'1'.repeat(64)}`],
    ['PUT', `/cache/setup-${'1'.repeat(64)}`],
    ['PUT', `/cache/base-${'1'.repeat(64)}`],
    ['PUT', `/shared/${'b'.repeat(64)}`],
    ['GET', '/what-comes-later'],
  ];

  it.each(asks)('of a life that is over opens nothing: %s %s', async (method, path) => {
    const words = 'this session is in generation 5';
    stage.standing = { ...AT_WORK, stage: 'other-life', words };
    const response = await ask(path, { method, ...(method !== 'GET' && { body: '{}' }) }, env, { g: life });
    const isInOwnShape = /^\/(anthropic|git|modules|mcp)\//.test(path) && !path.includes('/lfs/');
    expect(response.status).toBe(isInOwnShape ? 403 : 409);
    expect(await response.text()).toContain(words);
    expect(stage.sent).toEqual([]);
  });

  it('opens neither Claude’s API nor a push, a tool or a cache once its turn is over, and says when it does again', async () => {
    stage.standing = { ...AT_WORK, stage: 'rest', isFresh: false };
    const closed = asks.filter(
      ([method, path]) =>
        /^\/(anthropic|mcp|cache)|receive-pack|\/upload\//.test(path) ||
        (method === 'PUT' && path.startsWith('/shared')),
    );
    expect(closed).toHaveLength(10);
    for (const [method, path] of closed) {
      const response = await ask(path, { method, ...(method !== 'GET' && { body: '{}' }) }, env, { g: life });
      expect(await response.text(), path).toMatch(/no turn is running|only before Claude is started/);
      expect(response.ok, path).toBe(false);
    }
    expect(stage.sent).toEqual([]);
  });

  it('refuses in the form that the client reads: the API’s error, git’s text, and an answer to the call of an MCP client', async () => {
    stage.standing = { ...AT_WORK, stage: 'rest' };
    const claude = await ask('/anthropic/v1/messages', { method: 'POST', body: '{}' }, env, { g: life });
    expect([claude.status, claude.headers.get('x-should-retry')]).toEqual([403, 'false']);
    expect(await claude.json()).toMatchObject({ type: 'error', error: { type: 'permission_error' } });
    const git = await ask('/git/acme/shop.git/info/refs?service=git-receive-pack', {}, env, { g: life });
    expect([git.status, git.headers.get('content-type')]).toEqual([403, 'text/plain; charset=utf-8']);
    expect(await git.text()).toMatch(/^Cyrus: no turn is running/);
    const body = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x' } });
    const headers = { 'content-length': String(body.length) };
    const mcp = await ask('/mcp/notes', { method: 'POST', body, headers }, env, { g: life });
    expect(mcp.status).toBe(200);
    expect(await mcp.json()).toMatchObject({ jsonrpc: '2.0', id: 7, error: { code: -32_001 } });
  });

  it('is asked about again before it is refused, so that a turn that has just begun is not held up', async () => {
    const by = { g: life };
    const setup = `/cache/setup-${'1'.repeat(64)}`;
    stage.standing = { ...AT_WORK, stage: 'rest' };
    expect((await ask('/anthropic/v1/models', {}, env, by)).status).toBe(403);
    stage.standing = AT_WORK;
    expect((await ask('/anthropic/v1/models', {}, env, by)).status).toBe(200);
    // What was heard a moment ago counts for some seconds.
    stage.standing = { ...AT_WORK, stage: 'rest' };
    expect((await ask('/anthropic/v1/models', {}, env, by)).status).toBe(200);
    // Not for what later sessions run.
    expect((await ask(setup, { method: 'PUT', body: '{}' }, env, by)).status).toBe(403);
  });

  it('of a role that only looks pushes and keeps nothing, whatever rights it claims', async () => {
    const by: Partial<Claims> = { g: life, ro: true, d: ['push', 'keep', 'change'] };
    expect((await ask(`/cache/base-${'1'.repeat(64)}`, { method: 'PUT', body: '{}' }, env, by)).status).toBe(403);
    const upload = asks.find(([, path]) => path.includes('/upload/')) ?? ['', ''];
    expect((await ask(upload[1], { method: 'PUT', body: 'x' }, env, by)).ok).toBe(false);
  });
});

describe("a sandbox's events", () => {
  const ingested: EventBatch[] = [];
  let answer: unknown = { kind: 'stored', stored: 7, watched: false };
  const object = {
    ingest: async (batch: EventBatch) => {
      ingested.push(batch);
      return answer;
    },
  };
  const namespace = { idFromString: (id: string) => id, get: () => object };
  // The session's object has tests of its own; here the promise is what reaches it.
  const bindings: Env = { ...env, ISSUE_SESSION: namespace as unknown as Env['ISSUE_SESSION'] };
  const batch: EventBatch = {
    generation: 2,
    bootId: '7b0c4f0e-6f5e-4a52-9a4e-2f6f3f6a1d10',
    streamId: '1f3f6f0e-6f5e-4a52-9a4e-2f6f3f6a1d11',
    events: [{ type: 'line', seq: 1, at: 1, line: '{"type":"system"}' }],
  };
  const post = (body: unknown) => ask('/events', { method: 'POST', body: JSON.stringify(body) }, bindings);

  beforeEach(() => {
    ingested.length = 0;
    answer = { kind: 'stored', stored: 7, watched: false };
  });

  it('reach the session, and the answer is the last number stored', async () => {
    const response = await post(batch);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ stored: 7, watched: false, protocol: SANDBOX_PROTOCOL });
    expect(ingested).toEqual([batch]);
  });

  it('say whether somebody watches, so that a session nobody watches is posted for less often', async () => {
    answer = { kind: 'stored', stored: 7, watched: true };
    expect(await (await post(batch)).json()).toMatchObject({ watched: true });
  });

  it('of a server whose protocol is too far away are refused, naming both versions, and reach nothing', async () => {
    const response = await post({ ...batch, protocol: SANDBOX_PROTOCOL + 2 });
    expect(response.status).toBe(409);
    const refusal = await response.json();
    expect(refusal).toMatchObject({ error: 'protocol' });
    expect(JSON.stringify(refusal)).toContain(`version ${SANDBOX_PROTOCOL + 2}`);
    expect(ingested).toEqual([]);
  });

  it('of a session that can only be read are to be posted again later', async () => {
    answer = { kind: 'read-only', message: 'stored by a newer version' };
    expect((await post(batch)).status).toBe(503);
  });

  it('of a life that is over are answered 409', async () => {
    answer = { kind: 'superseded', message: 'generation 3 took over' };
    const response = await post(batch);
    expect(response.status).toBe(409);
    expect(await response.json()).toEqual({ error: 'superseded', message: 'generation 3 took over' });
  });

  it('of a type that is not known here reach the session as what cannot be read', async () => {
    expect((await post({ ...batch, events: [{ type: 'x', seq: 1, at: 1 }] })).status).toBe(200);
    expect(ingested[0]?.events).toMatchObject([{ type: 'unreadable', of: 'x', seq: 1 }]);
  });

  it('of another generation than the token is for are refused', async () => {
    expect((await post({ ...batch, generation: 3 })).status).toBe(403);
    expect(ingested).toEqual([]);
  });

  it.each([
    ['no JSON', 'x'],
    ['no batch', {}],
    ['too many events', { ...batch, events: Array(501).fill(batch.events[0]) }],
    ['an event without a number', { ...batch, events: [{ type: 'x', at: 1 }] }],
    ['a number from below', { ...batch, events: [{ ...batch.events[0], seq: 0 }] }],
  ])('with %s change nothing', async (_what, body) => {
    expect((await post(body)).status).toBe(400);
    expect(ingested).toEqual([]);
  });

  it('are taken up to 32 MiB', async () => {
    const big = { ...batch, events: [{ ...batch.events[0], line: 'x'.repeat(20 * 1024 * 1024) }] };
    expect((await post(big)).status).toBe(200);
    const huge = { ...batch, events: [{ ...batch.events[0], line: 'x'.repeat(33 * 1024 * 1024) }] };
    expect((await post(huge)).status).toBe(413);
    expect(ingested).toHaveLength(1);
  });
});

describe('a patch', () => {
  const head = `${'c0ffee'.repeat(6)}c0ff`;
  const put = (name: string, body: BodyInit | null, headers: Record<string, string> = {}) =>
    ask(`/patch/${name}`, { method: 'PUT', body, headers });

  it('is kept under its head, as it is', async () => {
    const text = 'diff --git a/x b/x\n'.repeat(50_000);
    const response = await put(head, text, { 'content-length': String(text.length) });
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ bytes: text.length });
    const stored = await getPatch(env.LOGS, claims.s, head);
    expect(stored?.size).toBe(text.length);
    expect(await new Response(stored?.body).text()).toBe(text);
  });

  it.each([
    ['a short name', 'c0ffee', 'x', { 'content-length': '1' }, 400],
    ['a path for a name', '..%2f..%2fx', 'x', { 'content-length': '1' }, 400],
    ['no length', head, 'x', {}, 411],
    ['an odd length', head, 'x', { 'content-length': '-1' }, 411],
    ['too great a length', head, 'x', { 'content-length': String(50 * 1024 * 1024 + 1) }, 413],
    ['nothing in it', head, null, { 'content-length': '0' }, 400],
  ] as [string, string, string | null, Record<string, string>, number][])(
    'with %s is refused',
    async (_what, name, body, headers, status) => {
      expect((await put(name, body, headers)).status).toBe(status);
    },
  );
});
