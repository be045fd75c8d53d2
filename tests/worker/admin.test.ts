import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { apiErrorSchema } from '../../src/protocol/api.ts';
import { admin } from '../../src/routes/admin/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { readTokens } from '../../src/store/workspaces/installations.ts';
import { findRepository } from '../../src/store/workspaces/repositories.ts';
import { findWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';

const app = new Hono<{ Bindings: Env }>().route('/api/admin', admin);
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const logged = spyOnLog();
const production: Env = { ...env, ENVIRONMENT: 'production' };
const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app-1', accessToken: 'lin_oauth_secret_of_acme' };
const credential = { username: 'cyrus', password: 'git-password-secret' };
const repository = { cloneUrl: 'https://git.example/acme/shop.git', baseBranch: 'trunk', credential };

async function ask(
  method: string,
  path: string,
  body?: unknown,
  options: { token?: string; bindings?: Env } = {},
): Promise<{ status: number; text: string; json: unknown }> {
  const response = await app.request(
    `http://cyrus.test/api/admin${path}`,
    {
      method,
      headers: { authorization: `Bearer ${options.token ?? env.ADMIN_TOKEN}` },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    },
    options.bindings ?? env,
  );
  const text = await response.text();
  return { status: response.status, text, json: text === '' ? null : JSON.parse(text) };
}

describe('the admin API', () => {
  it.each(['', 'wrong', `${env.ADMIN_TOKEN}x`, env.ADMIN_TOKEN.slice(0, -1), env.ADMIN_TOKEN.toUpperCase()])(
    'refuses the token %j on every address',
    async (token) => {
      for (const [method, path] of [
        ['GET', '/workspaces'],
        ['PUT', '/workspaces/w1'],
        ['GET', '/nowhere'],
      ] as const) {
        const { status, json } = await ask(method, path, undefined, { token });
        expect(status).toBe(401);
        expect(apiErrorSchema.parse(json).message).toContain('ADMIN_TOKEN');
      }
    },
  );

  it('stores a workspace and its repositories, and never gives a secret back', async () => {
    const answers = [
      await ask('PUT', '/workspaces/w1', workspace),
      await ask('PUT', '/workspaces/w1/repositories/acme/shop', repository),
      await ask('PUT', '/workspaces/w1/repositories/acme/group/docs', { cloneUrl: 'https://git.example/docs.git' }),
      await ask('GET', '/workspaces'),
      await ask('GET', '/workspaces/w1/repositories'),
      await ask('GET', '/workspaces/w1/repositories/acme/shop'),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200, 200]);
    const out = `${JSON.stringify(answers)} ${JSON.stringify(logged.mock.calls)}`;
    for (const secret of ['lin_oauth_secret_of_acme', 'git-password-secret', 'v1.']) expect(out).not.toContain(secret);
    expect(answers[4]?.json).toMatchObject({
      repositories: [
        { fullName: 'acme/group/docs', baseBranch: 'main', hasCredential: false },
        { fullName: 'acme/shop', baseBranch: 'trunk', hasCredential: true },
      ],
    });
    const { accessToken, ...shown } = workspace;
    expect(await findWorkspace(db, 'w1')).toMatchObject({ ...shown, status: 'active', installedBy: 'admin' });
    expect(await readTokens(db, 'w1')).toMatchObject({ accessToken });
    expect(await findRepository(db, 'w1', 'acme/shop')).toMatchObject(repository);
  });

  it('deletes a repository', async () => {
    await ask('PUT', '/workspaces/w2', workspace);
    await ask('PUT', '/workspaces/w2/repositories/acme/shop', repository);
    expect((await ask('DELETE', '/workspaces/w2/repositories/acme/shop')).status).toBe(204);
    expect((await ask('DELETE', '/workspaces/w2/repositories/acme/shop')).status).toBe(404);
    expect((await ask('GET', '/workspaces/w2/repositories/acme/shop')).status).toBe(404);
  });

  it('says that a workspace must be stored before its repositories', async () => {
    const { status, json } = await ask('PUT', '/workspaces/nobody/repositories/acme/shop', repository);
    expect(status).toBe(404);
    expect(apiErrorSchema.parse(json).message).toContain('store it first');
  });

  it.each([
    ['no JSON', 'x'],
    ['nothing', undefined],
    ['no clone address', {}],
    ['a clone address that is a path', { cloneUrl: '/etc/passwd' }],
    ['an ssh address', { cloneUrl: 'ssh://git@git.example/acme/shop.git' }],
    ['a credential in the address', { cloneUrl: 'https://me:hunter2@git.example/acme/shop.git' }],
    ['a query in the address', { cloneUrl: 'https://git.example/acme/shop.git?token=hunter2' }],
    ['half a credential', { cloneUrl: 'https://git.example/x.git', credential: { username: 'x' } }],
    [
      'a token of GitHub for another host',
      { cloneUrl: 'https://git.example/a/x.git', credential: { kind: 'github-token', token: 'hunter2' } },
    ],
    [
      'a GitHub App where none is configured',
      { cloneUrl: 'https://github.com/a/x.git', credential: { kind: 'github-app' } },
    ],
  ])('refuses a repository with %s, names what is wrong, and stores nothing', async (_what, body) => {
    await ask('PUT', '/workspaces/w3', workspace);
    const { status, json, text } = await ask('PUT', '/workspaces/w3/repositories/acme/shop', body);
    expect(status).toBe(400);
    expect(apiErrorSchema.safeParse(json).success).toBe(true);
    expect(text).not.toContain('hunter2');
    expect(await findRepository(db, 'w3', 'acme/shop')).toBeNull();
  });

  it('takes a token of GitHub, keeps it encrypted, and never gives it back', async () => {
    await ask('PUT', '/workspaces/w3', workspace);
    const token = { kind: 'github-token', token: 'github_pat_hunter2' } as const;
    const body = { cloneUrl: 'https://github.com/acme/shop.git', credential: token };
    const stored = await ask('PUT', '/workspaces/w3/repositories/acme/shop', body);
    expect([stored.status, stored.json]).toMatchObject([200, { hasCredential: true }]);
    const shown = await ask('GET', '/workspaces/w3/repositories/acme/shop');
    expect(stored.text + shown.text).not.toContain('hunter2');
    expect((await findRepository(db, 'w3', 'acme/shop'))?.credential).toEqual(token);
  });

  it.each(['acme/shop.git', 'acme/..%2fx', 'acme/%2e%2e%2fx', 'acme/sh%20op', 'acme/x%0ay', 'acme/%00'])(
    'refuses the repository name %s',
    async (name) => {
      await ask('PUT', '/workspaces/w4', workspace);
      expect([400, 404]).toContain((await ask('PUT', `/workspaces/w4/repositories/${name}`, repository)).status);
    },
  );

  it('takes no http address in production: the credential would travel in the open', async () => {
    await ask('PUT', '/workspaces/w5', workspace);
    const body = { ...repository, cloneUrl: 'http://git.example/acme/shop.git' };
    const path = '/workspaces/w5/repositories/acme/shop';
    expect((await ask('PUT', path, body, { bindings: production })).status).toBe(400);
    expect((await ask('PUT', path, body)).status).toBe(200);
  });

  it.each([
    ['very long', 'w'.repeat(3_000)],
    ['very long in bytes', encodeURIComponent('\u{1f600}'.repeat(600))],
    ['with a NUL', 'w%00x'],
    ['that is no text', '%ff%fe'],
    ['that leads upwards', '%2e%2e%2fw1'],
  ])('answers an id %s on every address by saying so, and fails on none', async (_what, id) => {
    const routes = [...new Set(admin.routes.map(({ method, path }) => `${method} ${path}`))]
      .map((route) => route.split(' '))
      .filter(([method, path = '']) => method !== 'ALL' && path.includes('/:id'));
    expect(routes.length).toBeGreaterThan(10);
    for (const [method = '', path = ''] of routes) {
      const filled = path
        .replace(/:rest\{[^}]*\}/, path.endsWith('[^/]+}') ? 'shop/mcp-servers/notes' : 'shop/mcp-servers')
        .replace(':id', id)
        .replace(':owner', 'acme')
        .replace(/:name(?:\{[^}]*\})?/, 'shop');
      for (const body of method === 'GET' ? [undefined] : [undefined, workspace, repository]) {
        const { status } = await ask(method, filled, body);
        expect(status, `${method} ${path}`).toBeGreaterThanOrEqual(400);
        expect(status, `${method} ${path}`).toBeLessThan(500);
      }
    }
  });

  it('refuses a body over 64 KiB', async () => {
    expect((await ask('PUT', '/workspaces/w6', { ...workspace, name: 'x'.repeat(70_000) })).status).toBe(413);
    expect(await findWorkspace(db, 'w6')).toBeNull();
  });
});

describe('a change of a repository', () => {
  const path = (workspaceId: string) => `/workspaces/${workspaceId}/repositories/acme/shop`;
  const stored = (workspaceId: string) => findRepository(db, workspaceId, 'acme/shop');

  async function added(): Promise<string> {
    const id = crypto.randomUUID();
    await ask('PUT', `/workspaces/${id}`, workspace);
    await ask('PUT', path(id), { ...repository, settings: { labels: ['shop'], pullRequest: { mode: 'draft' } } });
    return id;
  }

  it('keeps what is not named: the credential, and other settings', async () => {
    const id = await added();
    const { status, json, text } = await ask('PATCH', path(id), { settings: { teams: ['ENG'], labels: null } });
    expect({ status, json }).toMatchObject({
      status: 200,
      json: { hasCredential: true, settings: { teams: ['ENG'] } },
    });
    expect(text).not.toContain(credential.password);
    expect(await stored(id)).toMatchObject({
      ...repository,
      settings: { teams: ['ENG'], labels: [], pullRequest: { mode: 'draft' } },
    });
  });

  it.each([
    ['a setting that is none', { settings: { lables: ['x'] } }, 400],
    ['a value that is none', { settings: { verbosity: 'loud' } }, 400],
    ['something else than settings', { settings: [] }, 400],
    ['a field that is none', { colour: 'red' }, 400],
    ['a credential in the address', { cloneUrl: 'https://me:hunter2@git.example/x.git' }, 400],
    ['another address without its credential', { cloneUrl: 'https://elsewhere.example/x.git' }, 409],
  ])('with %s is refused, and changes nothing', async (_what, body, status) => {
    const id = await added();
    const before = await stored(id);
    expect((await ask('PATCH', path(id), body)).status).toBe(status);
    expect(await stored(id)).toEqual(before);
  });

  it('takes another address with a credential for it, or with none', async () => {
    const id = await added();
    const cloneUrl = 'https://elsewhere.example/x.git';
    expect((await ask('PATCH', path(id), { cloneUrl, credential: null })).status).toBe(200);
    expect(await stored(id)).toMatchObject({ cloneUrl, credential: null, baseBranch: 'trunk' });
  });

  it('is noted in the audit log, like a repository that is added or deleted', async () => {
    const id = await added();
    await ask('PATCH', path(id), { baseBranch: 'main' });
    await ask('DELETE', path(id));
    const { json } = await ask('GET', '/audit?limit=500');
    const entries = (json as { entries: { action: string; workspaceId: string }[] }).entries;
    expect(entries.filter(({ workspaceId }) => workspaceId === id).map(({ action }) => action)).toEqual([
      'repository.deleted',
      'repository.changed',
      'repository.stored',
      'workspace.stored',
    ]);
    expect((await ask('PATCH', path(id), {})).status).toBe(404);
  });
});
