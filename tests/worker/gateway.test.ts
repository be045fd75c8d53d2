import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Fetch } from '../../src/gateway/forwarding.ts';
import type { Standing } from '../../src/gateway/openings.ts';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import type { EventBatch } from '../../src/protocol/sandbox/batches.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import { gatewayApp, gatewayForContainers } from '../../src/routes/gateway/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { getPatch } from '../../src/store/logs.ts';
import { identityOf } from '../../src/store/repository-cache.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { AT_WORK } from './support/standing.ts';

const OAUTH_TOKEN = 'real-oauth-token-of-the-test';
const API_KEY = 'real-api-key-of-the-test';
const GIT_PASSWORD = 'real-git-password-of-the-test';
const config = { encryptionKey: env.ENCRYPTION_KEY };
const claims: Claims = {
  s: env.ISSUE_SESSION.idFromName('gateway-test').toString(),
  w: 'gateway-workspace',
  r: 'acme/shop',
  b: 'cyrus/eng-1',
  g: 2,
};
const apiKeyEnv = {
  ...env,
  CLAUDE_CREDENTIAL: 'api-key',
  CLAUDE_CODE_OAUTH_TOKEN: '',
  ANTHROPIC_API_KEY: API_KEY,
};

let upstream: (request: Request) => Response | Promise<Response>;
let sent: Request[];
const fetcher: Fetch = async (request) => {
  sent.push(request);
  return upstream(request);
};
/** The state of the session that calls. */
let standing: Standing;
const app = new Hono<{ Bindings: Env }>().route(
  '/gateway',
  gatewayApp({ base: '/gateway', fetcher, standing: async () => standing }),
);
const logged = spyOnLog();

async function ask(
  path: string,
  init: RequestInit<RequestInitCfProperties> = {},
  bindings: Env = env,
  by: Partial<Claims> = {},
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has('authorization') && !headers.has('x-api-key')) {
    headers.set('authorization', `Bearer ${await mintToken(config, { ...claims, ...by })}`);
  }
  return app.request(`http://cyrus.test/gateway${path}`, { ...init, headers }, bindings);
}

beforeEach(() => {
  sent = [];
  standing = AT_WORK;
  upstream = () => new Response('{}', { headers: { 'content-type': 'application/json' } });
  logged.mockClear();
});

describe('who calls', () => {
  it('is asked for before anything else, on every address', async () => {
    const paths = ['/events', '/patch/x', '/anthropic/v1/messages', '/git/acme/shop.git/info/refs', '/else', ''];
    for (const path of paths) {
      const response = await app.request(`http://cyrus.test/gateway${path}`, { method: 'POST' }, env);
      expect(response.status, path).toBe(401);
    }
    expect(sent).toEqual([]);
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
    standing = { ...AT_WORK, stage: 'other-life', words };
    const response = await ask(path, { method, ...(method !== 'GET' && { body: '{}' }) }, env, { g: life });
    const isInOwnShape = /^\/(anthropic|git|modules|mcp)\//.test(path) && !path.includes('/lfs/');
    expect(response.status).toBe(isInOwnShape ? 403 : 409);
    expect(await response.text()).toContain(words);
    expect(sent).toEqual([]);
  });

  it('opens neither Claude’s API nor a push, a tool or a cache once its turn is over, and says when it does again', async () => {
    standing = { ...AT_WORK, stage: 'rest', isFresh: false };
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
    expect(sent).toEqual([]);
  });

  it('refuses in the form that the client reads: the API’s error, git’s text, and an answer to the call of an MCP client', async () => {
    standing = { ...AT_WORK, stage: 'rest' };
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
    standing = { ...AT_WORK, stage: 'rest' };
    expect((await ask('/anthropic/v1/models', {}, env, by)).status).toBe(403);
    standing = AT_WORK;
    expect((await ask('/anthropic/v1/models', {}, env, by)).status).toBe(200);
    // What was heard a moment ago counts for some seconds.
    standing = { ...AT_WORK, stage: 'rest' };
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

describe("the way to Claude's API", () => {
  const post = (headers: Record<string, string> = {}, bindings: Env = env) =>
    ask('/anthropic/v1/messages?beta=true', { method: 'POST', body: '{"stream":true}', headers }, bindings);

  it("puts the subscription's token where the session token was, and the beta it needs", async () => {
    upstream = async (request) => Response.json({ got: await request.text() });
    const response = await post({
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'claude-code-20250219, effort-2025-11-24',
    });
    expect(await response.json()).toEqual({ got: '{"stream":true}' });
    const [request] = sent;
    expect(request?.url).toBe('https://api.anthropic.com/v1/messages?beta=true');
    expect(request?.headers.get('authorization')).toBe(`Bearer ${OAUTH_TOKEN}`);
    expect(request?.headers.get('anthropic-beta')).toBe('oauth-2025-04-20,claude-code-20250219,effort-2025-11-24');
    expect(request?.headers.get('anthropic-version')).toBe('2023-06-01');
    expect(request?.headers.get('x-api-key')).toBeNull();
    await post({ 'anthropic-beta': 'effort-2025-11-24,oauth-2025-04-20' });
    expect(sent[1]?.headers.get('anthropic-beta')).toBe('effort-2025-11-24,oauth-2025-04-20');
  });

  it('puts the API key there in api-key mode', async () => {
    await post({ 'x-api-key': await mintToken(config, claims) }, apiKeyEnv);
    expect(sent[0]?.headers.get('x-api-key')).toBe(API_KEY);
    expect(sent[0]?.headers.get('authorization')).toBeNull();
  });

  it('refuses a request with an API key in subscription mode by name: it could be charged', async () => {
    const authorization = `Bearer ${await mintToken(config, claims)}`;
    const response = await post({ authorization, 'x-api-key': 'sk-ant-api03-of-someone' });
    expect(response.status).toBe(403);
    const { error } = await response.json<{ error: { message: string } }>();
    expect(error.message).toContain('ANTHROPIC_API_KEY');
    expect(sent).toEqual([]);
  });

  it('takes over no credential, cookie or address of the caller', async () => {
    const token = await mintToken(config, claims);
    await post({
      authorization: `Bearer ${token}`,
      cookie: 'a=b',
      'proxy-authorization': 'Basic x',
      'cf-connecting-ip': '192.0.2.1',
      'x-forwarded-for': '192.0.2.1',
      'x-real-ip': '192.0.2.1',
      connection: 'close',
    });
    const headers = [...(sent[0]?.headers ?? [])];
    expect(headers.map(([name]) => name).sort()).toEqual([
      'accept-encoding',
      'anthropic-beta',
      'authorization',
      'content-type',
    ]);
    expect(JSON.stringify(headers)).not.toContain(token);
  });

  it('takes over the headers of the CLI alone: none chooses who pays, or how the body is read', async () => {
    await post({
      'user-agent': 'claude-cli/2.1.330 (external, sdk-cli)',
      'x-app': 'cli',
      'x-stainless-lang': 'js',
      'x-claude-code-session-id': '1',
      'anthropic-version': '2023-06-01',
      'anthropic-dangerous-direct-browser-access': 'true',
      'content-type': 'application/json; charset=utf-7',
      'anthropic-workspace-id': 'wrkspc_of_somebody',
      'anthropic-user-profile-id': 'x',
      'x-organization-uuid': 'x',
      'x-http-method-override': 'DELETE',
      'x-original-url': '/v1/files',
      'x-forwarded-host': 'evil.example',
    });
    const headers = Object.fromEntries(sent[0]?.headers ?? []);
    expect(Object.keys(headers).sort()).toEqual([
      'accept-encoding',
      'anthropic-beta',
      'anthropic-dangerous-direct-browser-access',
      'anthropic-version',
      'authorization',
      'content-type',
      'user-agent',
      'x-app',
      'x-claude-code-session-id',
      'x-stainless-lang',
    ]);
    expect(headers['content-type']).toBe('application/json');
  });

  it('reads a body as plain JSON or refuses it: none that is compressed, or begins with a byte order mark, or is UTF-16', async () => {
    const body = '{"model":"claude-sonnet-5-5","messages":[]}';
    const gzip = new Uint8Array(
      await new Response(new Blob([body]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer(),
    );
    const wide = new Uint8Array([...body].flatMap((character) => [character.charCodeAt(0), 0]));
    const whole: string[] = [];
    upstream = async (request) => {
      whole.push(await request.text());
      return Response.json({});
    };
    for (const odd of [gzip, wide, new TextEncoder().encode(`\u{feff}${body}`)]) {
      const init = { method: 'POST', body: odd, headers: { 'content-encoding': odd === gzip ? 'gzip' : 'identity' } };
      expect((await ask('/anthropic/v1/messages', init)).status).toBe(403);
    }
    expect(whole).toEqual([]);
  });

  it.each([
    ['GET', '/v1/messages'],
    ['POST', '/v1/complete'],
    ['POST', '/v1/messages/batches'],
    ['POST', '/v1/files'],
    ['GET', '/api/oauth/usage'],
    ['GET', '/api/oauth/profile'],
    ['DELETE', '/v1/models/x'],
    ['GET', '/v1/models/../organizations'],
    ['GET', '/v1/models/%2e%2e'],
    ['GET', '/v1/models/..%2forganizations'],
    ['POST', '/v1%2fmessages'],
    ['POST', '//v1/messages'],
    ['POST', ''],
  ])('does not forward %s %s', async (method, path) => {
    expect([403, 404]).toContain((await ask(`/anthropic${path}`, { method })).status);
    expect(sent).toEqual([]);
  });

  it.each([
    ['POST', '/v1/messages/count_tokens'],
    ['HEAD', '/api/hello'],
    ['GET', '/v1/models'],
    ['GET', '/v1/models/claude-sonnet-5-5'],
  ])('forwards %s %s', async (method, path) => {
    const body = method === 'POST' ? '{"model":"claude-sonnet-5-5","messages":[]}' : null;
    expect((await ask(`/anthropic${path}`, { method, body })).status).toBe(200);
    expect(sent[0]?.url).toBe(`https://api.anthropic.com${path}`);
  });

  it('breaks a request off that would have the API fetch an address, and says so in its shape', async () => {
    const received: string[] = [];
    upstream = async (request) => {
      const reader = request.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const piece = await reader?.read();
        if (!piece || piece.done) break;
        received.push(piece.value);
      }
      return Response.json({});
    };
    const picture = { type: 'image', source: { type: 'url', url: 'https://evil.example/?secret' } };
    const text = { type: 'text', text: 'x'.repeat(200_000) };
    const messages = [{ role: 'user', content: [text, picture, text] }];
    const body = JSON.stringify({ model: 'claude-sonnet-5-5', messages });
    for (const headers of [{}, { 'content-length': String(body.length) }] as Record<string, string>[]) {
      const response = await ask('/anthropic/v1/messages', { method: 'POST', body, headers });
      expect(response.status).toBe(403);
      expect(response.headers.get('x-should-retry')).toBe('false');
      const { error } = await response.json<{ error: { type: string; message: string } }>();
      expect(error.type).toBe('permission_error');
      expect(error.message).toContain('by its address');
    }
    expect(received.join('')).not.toContain('evil.example');
  });

  it.each([
    ['a model that the session was not started with', { body: '{"model":"claude-opus-5-5"}' }],
    ['a beta that the CLI does not use', { headers: { 'anthropic-beta': 'mcp-client-2025-11-20' } }],
    ['a query that the CLI does not send', { query: '?beta=true&other=1' }],
  ] as [string, { body?: string; headers?: Record<string, string>; query?: string }][])(
    'is refused for %s',
    async (_what, { body = '{"model":"claude-sonnet-5-5"}', headers = {}, query = '' }) => {
      const by = { m: ['sonnet'] };
      upstream = async (request) => Response.json({ got: await request.text() });
      const response = await ask(`/anthropic/v1/messages${query}`, { method: 'POST', body, headers }, env, by);
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ error: { type: 'permission_error' } });
      expect((await ask('/anthropic/v1/messages', { method: 'POST', body: '{}' }, env, by)).status).toBe(200);
    },
  );

  it('streams: the first event is there before the last is written', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const bytes = new TextEncoder();
    upstream = () => new Response(readable, { headers: { 'content-type': 'text/event-stream', 'request-id': 'r1' } });
    const response = await post();
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('request-id')).toBe('r1');
    const reader = response.body?.getReader();
    void writer.write(bytes.encode('event: one\n\n'));
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('event: one\n\n');
    void writer.write(bytes.encode('event: two\n\n'));
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('event: two\n\n');
    void writer.close();
    expect((await reader?.read())?.done).toBe(true);
  });

  it('hands on status and headers, but no cookies', async () => {
    upstream = () =>
      Response.json(
        { type: 'error', error: { type: 'rate_limit_error', message: 'later' } },
        {
          status: 429,
          headers: {
            'retry-after': '7',
            'anthropic-ratelimit-unified-status': 'rejected',
            'set-cookie': 'a=b',
            'x-should-retry': 'true',
          },
        },
      );
    const response = await post();
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('7');
    expect(response.headers.get('anthropic-ratelimit-unified-status')).toBe('rejected');
    expect(response.headers.get('x-should-retry')).toBe('true');
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(await response.json()).toMatchObject({ error: { message: 'later' } });
  });

  it('is said to be unreachable so that the CLI tries again', async () => {
    upstream = () => {
      throw new Error(`connect failed with ${OAUTH_TOKEN}`);
    };
    const response = await post();
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ type: 'error', error: { type: 'api_error' } });
  });

  it.each([400, 401, 500, 502, 529])(
    'an answer of %i that echoes the credential does not carry it out',
    async (status) => {
      for (const [bindings, secret] of [
        [env, OAUTH_TOKEN],
        [apiKeyEnv, API_KEY],
      ] as const) {
        upstream = () =>
          new Response(`you sent ${secret}! ${'x'.repeat(70_000)} ${secret}`, {
            status,
            headers: { 'x-echo': `Bearer ${secret}`, 'x-other': 'kept' },
          });
        const headers: Record<string, string> =
          bindings === env ? {} : { 'x-api-key': await mintToken(config, claims) };
        const response = await post(headers, bindings);
        const out = `${await response.text()} ${JSON.stringify([...response.headers])} ${JSON.stringify(logged.mock.calls)}`;
        expect(response.status).toBe(status);
        expect(out).toContain('[hidden by Cyrus]');
        expect(out).toContain('kept');
        expect(out).not.toContain(secret);
      }
    },
  );

  it('does not follow a redirect with the credential', async () => {
    upstream = () => new Response(null, { status: 302, headers: { location: 'https://evil.example/' } });
    expect((await post()).status).toBe(302);
    expect(sent[0]?.redirect).toBe('manual');
    expect(sent).toHaveLength(1);
  });
});

describe('the way to the git host', () => {
  const db = openDatabase(env.DB, config.encryptionKey);
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app', accessToken: 'lin_oauth_test' };
  const store = async (id: string, cloneUrl = 'https://git.example/acme/shop.git') => {
    await upsertWorkspace(db, id, workspace, 1);
    const credential = { username: 'cyrus', password: GIT_PASSWORD };
    await upsertRepository(db, id, 'acme/shop', { cloneUrl, baseBranch: 'main', credential }, 1);
  };
  const refs = '/git/acme/shop.git/info/refs?service=git-upload-pack';

  it('leads a session to no other repository that was given the name of its own while it ran', async () => {
    const identity = await identityOf('git-moved', 'https://git.example/acme/shop.git');
    await store('git-moved', 'https://elsewhere.example/acme/shop.git');
    const response = await ask(refs, {}, env, { w: 'git-moved', i: identity });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('the clone address of acme/shop changed since this session began');
    expect(sent).toEqual([]);
    upstream = () => new Response('refs');
    await store('git-same');
    const same = await identityOf('git-same', 'https://git.example/acme/shop.git');
    expect((await ask(refs, {}, env, { w: 'git-same', i: same })).status).toBe(200);
  });

  it('adds the credential stored for the repository of the session', async () => {
    await store('git-1');
    upstream = () =>
      new Response('refs', { headers: { 'content-type': 'application/x-git-upload-pack-advertisement' } });
    const response = await ask(refs, {}, env, { w: 'git-1' });
    expect(await response.text()).toBe('refs');
    expect(sent[0]?.url).toBe('https://git.example/acme/shop.git/info/refs?service=git-upload-pack');
    expect(sent[0]?.headers.get('authorization')).toBe(`Basic ${btoa(`cyrus:${GIT_PASSWORD}`)}`);
  });

  it('moves objects of Git LFS by addresses that it seals, and only in the session’s own repository', async () => {
    await store('git-lfs');
    const by = { w: 'git-lfs' };
    const oid = 'd'.repeat(64);
    const stored = 'https://storage.example/one?signature=secret';
    upstream = async (request) => {
      if (request.url !== stored) {
        const actions = { upload: { href: stored, header: { 'x-amz-date': 'now' } } };
        return Response.json({ objects: [{ oid, size: 5, actions }] });
      }
      return new Response(await request.text());
    };
    const body = JSON.stringify({ operation: 'upload', objects: [{ oid, size: 5 }] });
    const batch = await ask('/git/acme/shop.git/info/lfs/objects/batch', { method: 'POST', body }, env, by);
    const text = await batch.text();
    expect(text).not.toMatch(/secret|storage\.example|x-amz/);
    expect(sent[0]?.url).toBe('https://git.example/acme/shop.git/info/lfs/objects/batch');
    expect(sent[0]?.headers.get('authorization')).toBe(`Basic ${btoa(`cyrus:${GIT_PASSWORD}`)}`);
    const found: { objects: [{ actions: { upload: { href: string } } }] } = JSON.parse(text);
    const { href } = found.objects[0].actions.upload;
    expect(href).toMatch(/^http:\/\/cyrus\.test\/gateway\/git\/acme\/shop\.git\/info\/lfs\/objects\//);
    const put = (content: string, claimed: Partial<Claims>) =>
      ask(
        new URL(href).pathname.slice('/gateway'.length),
        { method: 'PUT', body: content, headers: { 'content-length': '5' } },
        env,
        claimed,
      );
    expect((await put('12345', by)).status).toBe(200);
    expect(sent[1]?.url).toBe(stored);
    expect(sent[1]?.headers.get('authorization')).toBeNull();
    expect(sent[1]?.headers.get('x-amz-date')).toBe('now');
    for (const claimed of [{ ...by, g: 3 }, { w: 'git-1' }, { ...by, ro: true as const }]) {
      expect((await put('12345', claimed)).status).toBe(403);
    }
    expect((await ask('/git/acme/other.git/info/lfs/objects/batch', { method: 'POST', body }, env, by)).status).toBe(
      403,
    );
    expect(sent).toHaveLength(2);
  });

  it('reads submodules by the credential that may, never those of another workspace, and pushes to none', async () => {
    const other = { cloneUrl: 'https://git.example/acme/lib.git', baseBranch: 'main' };
    const credential = { username: 'lib', password: 'password-of-the-library' };
    await store('modules-1');
    await store('modules-2');
    await upsertWorkspace(db, 'modules-3', workspace, 1);
    await upsertRepository(db, 'modules-1', 'acme/lib', { ...other, credential }, 1);
    const foreign = { ...other, cloneUrl: 'https://git.example/acme/Secret', credential };
    await upsertRepository(db, 'modules-3', 'acme/secret', foreign, 1);
    upstream = () => new Response('refs');
    const fetchOf = (url: string, w: string, service = 'upload') =>
      ask(`/modules/${btoa(url).replace(/=+$/, '')}/info/refs?service=git-${service}-pack`, {}, env, { w });
    const sentTo = () => [sent.at(-1)?.url, sent.at(-1)?.headers.get('authorization')];
    const refs = 'info/refs?service=git-upload-pack';
    // One of the workspace's own, by its own credential.
    expect((await fetchOf('../lib.git', 'modules-1')).status).toBe(200);
    expect(sentTo()).toEqual([`${other.cloneUrl}/${refs}`, `Basic ${btoa('lib:password-of-the-library')}`]);
    // One that nobody has set, by the session's.
    expect((await fetchOf('git@git.example:acme/free.git', 'modules-2')).status).toBe(200);
    expect(sentTo()).toEqual([`https://git.example/acme/free.git/${refs}`, `Basic ${btoa(`cyrus:${GIT_PASSWORD}`)}`]);
    const before = sent.length;
    for (const [url, words] of [
      ['../secret.git', 'it belongs to another workspace'],
      ['../lib', 'it belongs to another workspace'],
      ['https://evil.example/acme/lib.git', 'it is not at git.example'],
    ] as const) {
      const refused = await fetchOf(url, 'modules-2');
      expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining(words)]);
    }
    expect((await fetchOf('../lib.git', 'modules-1', 'receive')).status).toBe(403);
    const rules = { ...repositorySettingsSchema.parse({}), allowedUsers: ['ada@acme.example'] };
    await upsertRepository(db, 'modules-1', 'acme/lib', { ...other, credential, settings: rules }, 2);
    expect(await (await fetchOf('../lib.git', 'modules-1')).text()).toContain('rules of its own');
    expect(sent).toHaveLength(before);
  });

  it('refuses a path written another way than git writes it', async () => {
    await store('git-2');
    for (const path of [
      '/%67it/acme/shop.git/info/refs',
      '/git/acme%2fshop.git/info/refs',
      '/git//acme/shop.git/info/refs',
    ]) {
      const response = await ask(`${path}?service=git-upload-pack`, {}, env, { w: 'git-2' });
      expect([403, 404]).toContain(response.status);
    }
    expect(sent).toEqual([]);
  });

  it('says when the repository is no longer configured, or its credential cannot be read', async () => {
    const unknown = await ask(refs, {}, env, { w: 'git-unknown' });
    expect(unknown.status).toBe(403);
    expect(await unknown.text()).toBe('Cyrus: the repository acme/shop is no longer configured\n');
    await store('git-3');
    // A clone address changed behind Cyrus's back does not get the credential.
    await env.DB.prepare(
      "update repositories set clone_url = 'https://evil.example/' where workspace_id = 'git-3'",
    ).run();
    const moved = await ask(refs, {}, env, { w: 'git-3' });
    expect(moved.status).toBe(403);
    expect(await moved.text()).toContain('was altered or belongs to something else');
    expect(sent).toEqual([]);
  });

  it('streams a push to the host, uncompressed and whole', async () => {
    await store('git-4');
    const pkt = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text;
    const line = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/cyrus/eng-1\0 report-status side-band-64k`;
    const head = new TextEncoder().encode(`${pkt(line)}0000PACK`);
    const size = 3_000_000;
    let arrived = 0;
    let encoding: string | null = 'unset';
    upstream = async (request) => {
      encoding = request.headers.get('content-encoding');
      for await (const chunk of request.body ?? []) arrived += (chunk as Uint8Array).byteLength;
      return new Response('done', { headers: { 'content-type': 'application/x-git-receive-pack-result' } });
    };
    const headers = { 'content-type': 'application/x-git-receive-pack-request', 'content-encoding': 'gzip' };
    const body = new Blob([head, new Uint8Array(size)]).stream().pipeThrough(new CompressionStream('gzip'));
    const path = '/git/acme/shop.git/git-receive-pack';
    const response = await ask(path, { method: 'POST', headers, body }, env, { w: 'git-4' });
    expect(await response.text()).toBe('done');
    expect(arrived).toBe(head.byteLength + size);
    expect(encoding).toBeNull();
  });

  it('tells git that a push to another branch is refused, and the host does not see it', async () => {
    await store('git-5');
    const line = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/main\0report-status`;
    const body = `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000PACK${'x'.repeat(1_000_000)}`;
    const headers = { 'content-type': 'application/x-git-receive-pack-request' };
    const path = '/git/acme/shop.git/git-receive-pack';
    const response = await ask(path, { method: 'POST', headers, body }, env, { w: 'git-5' });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('ng refs/heads/main Cyrus: this session may push only cyrus/eng-1');
    expect(sent).toEqual([]);
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
