import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { mintToken } from '../../src/gateway/token.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { claims, gatewayStage } from './support/gateway-stage.ts';

const OAUTH_TOKEN = 'real-oauth-token-of-the-test';
const API_KEY = 'real-api-key-of-the-test';
const config = { encryptionKey: env.ENCRYPTION_KEY };
const apiKeyEnv = {
  ...env,
  CLAUDE_CREDENTIAL: 'api-key',
  CLAUDE_CODE_OAUTH_TOKEN: '',
  ANTHROPIC_API_KEY: API_KEY,
};
const stage = gatewayStage();
const { ask } = stage;
const logged = spyOnLog();
beforeEach(() => {
  logged.mockClear();
});

describe("the way to Claude's API", () => {
  const post = (headers: Record<string, string> = {}, bindings: Env = env) =>
    ask('/anthropic/v1/messages?beta=true', { method: 'POST', body: '{"stream":true}', headers }, bindings);

  it("puts the subscription's token where the session token was, and the beta it needs", async () => {
    stage.upstream = async (request) => Response.json({ got: await request.text() });
    const response = await post({
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'claude-code-20250219, effort-2025-11-24',
    });
    expect(await response.json()).toEqual({ got: '{"stream":true}' });
    const [request] = stage.sent;
    expect(request?.url).toBe('https://api.anthropic.com/v1/messages?beta=true');
    expect(request?.headers.get('authorization')).toBe(`Bearer ${OAUTH_TOKEN}`);
    expect(request?.headers.get('anthropic-beta')).toBe('oauth-2025-04-20,claude-code-20250219,effort-2025-11-24');
    expect(request?.headers.get('anthropic-version')).toBe('2023-06-01');
    expect(request?.headers.get('x-api-key')).toBeNull();
    await post({ 'anthropic-beta': 'effort-2025-11-24,oauth-2025-04-20' });
    expect(stage.sent[1]?.headers.get('anthropic-beta')).toBe('effort-2025-11-24,oauth-2025-04-20');
  });

  it('puts the API key there in api-key mode', async () => {
    await post({ 'x-api-key': await mintToken(config, claims) }, apiKeyEnv);
    expect(stage.sent[0]?.headers.get('x-api-key')).toBe(API_KEY);
    expect(stage.sent[0]?.headers.get('authorization')).toBeNull();
  });

  it('refuses a request with an API key in subscription mode by name: it could be charged', async () => {
    const authorization = `Bearer ${await mintToken(config, claims)}`;
    const response = await post({ authorization, 'x-api-key': 'sk-ant-api03-of-someone' });
    expect(response.status).toBe(403);
    const { error } = await response.json<{ error: { message: string } }>();
    expect(error.message).toContain('ANTHROPIC_API_KEY');
    expect(stage.sent).toEqual([]);
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
    const headers = [...(stage.sent[0]?.headers ?? [])];
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
    const headers = Object.fromEntries(stage.sent[0]?.headers ?? []);
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
    stage.upstream = async (request) => {
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
    expect(stage.sent).toEqual([]);
  });

  it.each([
    ['POST', '/v1/messages/count_tokens'],
    ['HEAD', '/api/hello'],
    ['GET', '/v1/models'],
    ['GET', '/v1/models/claude-sonnet-5-5'],
  ])('forwards %s %s', async (method, path) => {
    const body = method === 'POST' ? '{"model":"claude-sonnet-5-5","messages":[]}' : null;
    expect((await ask(`/anthropic${path}`, { method, body })).status).toBe(200);
    expect(stage.sent[0]?.url).toBe(`https://api.anthropic.com${path}`);
  });

  it('breaks a request off that would have the API fetch an address, and says so in its shape', async () => {
    const received: string[] = [];
    stage.upstream = async (request) => {
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
      stage.upstream = async (request) => Response.json({ got: await request.text() });
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
    stage.upstream = () =>
      new Response(readable, { headers: { 'content-type': 'text/event-stream', 'request-id': 'r1' } });
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
    stage.upstream = () =>
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
    stage.upstream = () => {
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
        stage.upstream = () =>
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
    stage.upstream = () => new Response(null, { status: 302, headers: { location: 'https://evil.example/' } });
    expect((await post()).status).toBe(302);
    expect(stage.sent[0]?.redirect).toBe('manual');
    expect(stage.sent).toHaveLength(1);
  });
});
