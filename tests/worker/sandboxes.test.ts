import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/read-config.ts';
import { admin } from '../../src/routes/admin/index.ts';
import { outbound, refuseOutbound } from '../../src/routes/gateway/outbound-fetch.ts';
import { placementOf } from '../../src/sandbox/choose.ts';
import { isContainerOf } from '../../src/sandbox/container.ts';
import { openDatabase } from '../../src/store/database.ts';
import { reencryptSandboxSecrets } from '../../src/store/reencrypt.ts';
import { findSandboxSecret, putSandboxSecret } from '../../src/store/sandbox-secrets.ts';
import { listRepositories } from '../../src/store/workspaces/repositories.ts';
import { spyOnLog } from '../support/log-spy.ts';

const app = new Hono<{ Bindings: Env }>().route('/api/admin', admin);
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const logged = spyOnLog();
const url = 'https://sandbox.example.com';
const secret = 'the-secret-of-the-sandbox-server';
const server = { workspaceId: 'w1', fullName: 'acme/shop', url };

async function ask(method: string, path: string, body?: unknown) {
  const response = await app.request(
    `http://cyrus.test/api/admin${path}`,
    {
      method,
      headers: { authorization: `Bearer ${env.ADMIN_TOKEN}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    },
    env,
  );
  const text = await response.text();
  return { status: response.status, text };
}

async function store(settings: object) {
  const cloneUrl = 'https://git.example/acme/shop.git';
  return ask('PUT', '/workspaces/w1/repositories/acme/shop', { cloneUrl, settings });
}

async function placement() {
  const [repository] = await listRepositories(db, 'w1');
  if (!repository) throw new Error('no repository');
  return placementOf(repository.settings, readConfig(env));
}

beforeEach(async () => {
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app-1', accessToken: 'lin_oauth_secret_of_acme' };
  await ask('PUT', '/workspaces/w1', workspace);
  await store({});
});

describe('A sandbox server of a repository', () => {
  it('has its secret stored encrypted, bound to its address, and never given back', async () => {
    await store({ sandbox: { kind: 'endpoint', url: `${url}/` } });
    const stored = await ask('PUT', '/workspaces/w1/sandbox-secrets/acme/shop', { url, secret });
    expect(JSON.parse(stored.text)).toEqual({ fullName: 'acme/shop', url, isUsed: true });
    expect(await findSandboxSecret(db, server)).toBe(secret);
    expect(await findSandboxSecret(db, { ...server, url: 'https://elsewhere.example.com' })).toBeNull();
    const row = await env.DB.prepare('SELECT * FROM sandbox_secrets').first();
    const shown = [
      JSON.stringify(row),
      stored.text,
      (await ask('GET', '/workspaces/w1/repositories')).text,
      (await ask('GET', '/audit')).text,
      JSON.stringify(logged.mock.calls),
    ];
    for (const text of shown) expect(text).not.toContain(secret);
  });

  it('is where the repository’s sessions run; others stay where the deployment says', async () => {
    expect(await placement()).toEqual({ kind: 'deployment' });
    await store({ sandbox: { kind: 'endpoint', url } });
    expect(await placement()).toEqual({ kind: 'endpoint', url });
    await store({ sandbox: { kind: 'container' }, instance: 'large' });
    expect(await placement()).toEqual({ kind: 'container', instance: 'large' });
  });

  it.each([
    'http://sandbox.example.com',
    'https://user:password@sandbox.example.com',
    'https://sandbox.example.com/?key=1',
    'ftp://sandbox.example.com',
    'sandbox.example.com',
  ])('may not have the address %s', async (address) => {
    expect((await store({ sandbox: { kind: 'endpoint', url: address } })).status).toBe(400);
    const body = { url: address, secret };
    expect((await ask('PUT', '/workspaces/w1/sandbox-secrets/acme/shop', body)).status).toBe(400);
  });

  it('may be on this machine without TLS', async () => {
    expect((await store({ sandbox: { kind: 'endpoint', url: 'http://127.0.0.1:8080' } })).status).toBe(200);
  });

  it('needs a repository that there is, and a secret that is none', async () => {
    expect((await ask('PUT', '/workspaces/w1/sandbox-secrets/acme/none', { url, secret })).status).toBe(404);
    expect((await ask('PUT', '/workspaces/w1/sandbox-secrets/acme/shop', { url, secret: 'short' })).status).toBe(400);
    expect((await ask('DELETE', '/workspaces/w1/sandbox-secrets/acme/none')).status).toBe(404);
  });

  it('keeps its secret when the key of the database is changed', async () => {
    const old = openDatabase(env.DB, btoa('the-key-before-of-32-bytes------'));
    await putSandboxSecret(old, server, secret, 1);
    const both = openDatabase(env.DB, env.ENCRYPTION_KEY, btoa('the-key-before-of-32-bytes------'));
    expect(await reencryptSandboxSecrets(both)).toEqual({ moved: 1, unreadable: [] });
    expect(await findSandboxSecret(db, server)).toBe(secret);
  });

  it('is forgotten on request', async () => {
    await ask('PUT', '/workspaces/w1/sandbox-secrets/acme/shop', { url, secret });
    expect((await ask('DELETE', '/workspaces/w1/sandbox-secrets/acme/shop')).status).toBe(204);
    expect(await findSandboxSecret(db, server)).toBeNull();
  });
});

describe('The hosts that a repository’s containers may reach', () => {
  it('are shown as the list they are', async () => {
    await store({ egress: { preset: 'none', hosts: ['API.example.com'] } });
    const { text } = await ask('GET', '/workspaces/w1/egress/acme/shop');
    expect(JSON.parse(text)).toEqual({
      fullName: 'acme/shop',
      preset: 'none',
      hosts: [{ host: 'api.example.com', readOnly: false, from: 'repository' }],
    });
    expect((await store({ egress: { hosts: ['10.0.0.1'] } })).status).toBe(400);
  });

  it('are none before a container’s session is known', async () => {
    const answer = await refuseOutbound(new Request('https://registry.npmjs.org/zod'));
    expect([answer.status, answer.headers.get('x-cyrus-egress')]).toEqual([403, 'blocked-host']);
  });

  it('decide about each request, and a redirect is not followed', async () => {
    const session = env.ISSUE_SESSION.idFromName('s').toString();
    const rules = { session, repository: 'acme/shop', egress: { preset: 'registries' as const, hosts: [] } };
    const asked: Request[] = [];
    const world = async (request: Request) => {
      asked.push(request);
      return new Response('moved', { status: 302, headers: { location: 'https://example.com/' } });
    };
    const allowed = await outbound(new Request('https://registry.npmjs.org/zod'), env, rules, world);
    expect([allowed.status, await allowed.text()]).toEqual([302, 'moved']);
    const blocked = await outbound(new Request('https://example.com/'), env, rules, world);
    expect(blocked.status).toBe(403);
    expect(await blocked.text()).toContain('acme/shop');
    expect(asked.map((request) => [request.url, request.redirect])).toEqual([
      ['https://registry.npmjs.org/zod', 'manual'],
    ]);
  });
});

describe('A container', () => {
  it('is known by the platform’s id, whatever its size, and only as the one of its session and life', () => {
    const session = env.ISSUE_SESSION.idFromName('s').toString();
    for (const containers of [env.SANDBOX_CONTAINER, env.SANDBOX_CONTAINER_SMALL, env.SANDBOX_CONTAINER_LARGE]) {
      const id = containers.idFromName(`${session}:2`).toString();
      expect(isContainerOf(env, id, session, 2)).toBe(true);
      expect(isContainerOf(env, id, session, 1)).toBe(false);
      expect(isContainerOf(env, id, `${session}0`, 2)).toBe(false);
    }
    expect(isContainerOf(env, '', session, 2)).toBe(false);
  });
});
