import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import { admin } from '../../src/routes/admin/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { readTokens } from '../../src/store/workspaces/installations.ts';
import { findRepository, upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { findWorkspace, upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { allowanceHeaders, FakeLinear } from './support/fake-linear.ts';

const app = new Hono<{ Bindings: Env }>().route('/api/admin', admin);
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
let linear: FakeLinear;

beforeEach(() => {
  spyOnLog();
  linear = new FakeLinear();
});

async function ask(
  method: string,
  path: string,
  bindings: Env = env,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}` };
  const response = await app.request(`http://cyrus.test/api/admin${path}`, { method, headers }, bindings);
  return { status: response.status, json: await response.json() };
}

async function installed(name = 'Acme') {
  const workspace = { id: crypto.randomUUID(), name, urlKey: name.toLowerCase(), appUserId: 'app-1' };
  const { access, refresh } = linear.grant(workspace);
  const expiresAt = Date.now() + 86_400_000;
  const object = env.LINEAR_WORKSPACE.getByName(workspace.id);
  await object.install({ ...workspace, accessToken: access, refreshToken: refresh, expiresAt, installedBy: 'oauth' });
  return { ...workspace, access, refresh, object };
}

describe('the list of workspaces', () => {
  it('shows the state of each and what is left of its allowance, and no secret', async () => {
    const { id, object } = await installed();
    linear.headers = allowanceHeaders(0.5);
    await object.call({ document: 'query Q { viewer { id } }', variables: {}, priority: 'action', idempotent: false });
    const { json } = await ask('GET', '/workspaces');
    const shown = (json.workspaces as { id: string }[]).find((workspace) => workspace.id === id);
    expect(shown).toMatchObject({
      status: 'active',
      installedBy: 'oauth',
      allowance: { requests: { limit: 5_000, remaining: 2_500 }, blockedUntil: null, waiting: 0 },
    });
    for (const secret of linear.secrets) expect(JSON.stringify(json)).not.toContain(secret);
  });
});

describe('revoking a workspace', () => {
  it('ends its tokens at Linear, wipes them here, and is noted', async () => {
    const { id, access, refresh } = await installed();
    expect(await ask('POST', `/workspaces/${id}/revoke`)).toMatchObject({ status: 200, json: { status: 'revoked' } });
    expect(linear.revoked).toEqual([refresh, access]);
    expect(await readTokens(db, id)).toBe('revoked');
    expect(await findWorkspace(db, id)).toMatchObject({ status: 'revoked', name: 'Acme' });
    const { json } = await ask('GET', '/audit?limit=1');
    expect(json.entries).toMatchObject([{ actor: 'admin', action: 'workspace.revoked', workspaceId: id }]);
    expect((await ask('POST', `/workspaces/${id}/revoke`)).status).toBe(200);
    expect(linear.revoked).toHaveLength(2);
  });

  it('keeps the tokens, and says so, while Linear does not confirm it', async () => {
    const { id, access } = await installed();
    linear.interfere = () => new Response('down', { status: 503 });
    const { status, json } = await ask('POST', `/workspaces/${id}/revoke`);
    expect(status).toBe(502);
    expect(json.message).toContain('they are kept');
    expect(await readTokens(db, id)).toMatchObject({ accessToken: access });
  });

  it('that nobody knows is a 404', async () => {
    expect((await ask('POST', '/workspaces/nobody/revoke')).status).toBe(404);
  });
});

describe('the shortcut for a single workspace', () => {
  const switchedOn: Env = { ...env, LINEAR_CLIENT_CREDENTIALS: 'true' };

  it('installs the workspace that owns the application, without anybody’s consent', async () => {
    const workspace = { id: crypto.randomUUID(), name: 'Own', urlKey: 'own', appUserId: 'app-9' };
    linear.ownWorkspace = workspace;
    expect(await ask('POST', '/workspaces', switchedOn)).toMatchObject({ status: 201, json: { id: workspace.id } });
    expect(await findWorkspace(db, workspace.id)).toMatchObject({
      installedBy: 'client-credentials',
      appUserId: 'app-9',
    });
    expect((await ask('POST', '/workspaces', switchedOn)).status).toBe(200);
  });

  it('says so if it is switched off, here or at Linear', async () => {
    expect((await ask('POST', '/workspaces')).status).toBe(409);
    const { status, json } = await ask('POST', '/workspaces', switchedOn);
    expect(status).toBe(502);
    expect(json.message).toContain('client_credentials');
  });
});

describe('a rotation of ENCRYPTION_KEY', () => {
  it('goes without interruption: the old key still reads, and one command re-encrypts everything', async () => {
    const old = openDatabase(env.DB, env.ENCRYPTION_KEY_OLD);
    const both = openDatabase(env.DB, env.ENCRYPTION_KEY, env.ENCRYPTION_KEY_OLD);
    const workspace = {
      name: 'Acme',
      urlKey: 'acme',
      appUserId: 'app-1',
      accessToken: 'lin_oauth_a',
      refreshToken: 'lin_refresh_a',
    };
    const credential = { username: 'cyrus', password: 'git-password' };
    const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main', credential };
    await upsertWorkspace(old, 'k1', workspace, 1);
    await upsertRepository(old, 'k1', 'acme/shop', repository, 1);
    expect(await findRepository(both, 'k1', 'acme/shop')).toMatchObject({ credential });
    await expect(findRepository(db, 'k1', 'acme/shop')).rejects.toThrow('ENCRYPTION_KEY_OLD');

    expect(await ask('POST', '/reencrypt')).toMatchObject({ status: 200, json: { moved: 3, unreadable: [] } });
    expect(await findRepository(db, 'k1', 'acme/shop')).toMatchObject({ credential });
    expect(await readTokens(db, 'k1')).toMatchObject({ accessToken: 'lin_oauth_a', refreshToken: 'lin_refresh_a' });
    expect(await ask('POST', '/reencrypt')).toMatchObject({ json: { moved: 0, unreadable: [] } });
  });
});

it('the audit log is read in parts of a size that makes sense', async () => {
  for (const limit of ['0', '501', 'x', '1.5']) expect((await ask('GET', `/audit?limit=${limit}`)).status).toBe(400);
});
