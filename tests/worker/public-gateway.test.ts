/** The gateway on the public way: there for sandboxes that come over the network, and nowhere else. */
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it } from 'vitest';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import worker from '../../src/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { deleteRepository, upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';

spyOnLog();

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const workspace = 'public-gateway-workspace';
const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} } as unknown as ExecutionContext;
const claims: Claims = {
  s: env.ISSUE_SESSION.idFromName('public-gateway').toString(),
  w: workspace,
  r: 'acme/shop',
  b: 'cyrus/eng-1',
  g: 1,
  p: 'network',
};
const ROUTES: [method: string, path: string][] = [
  ['POST', '/events'],
  ['PUT', `/patch/${'a'.repeat(40)}`],
  ['GET', '/git/acme/shop.git/info/refs?service=git-receive-pack'],
  ['POST', '/anthropic/v1/messages'],
  ['POST', '/mcp/linear'],
  ['GET', '/nothing'],
  ['GET', ''],
];

beforeEach(async () => {
  const settings = { name: 'Acme', urlKey: 'acme', appUserId: 'app', accessToken: 'token-of-the-app' };
  await upsertWorkspace(db, workspace, settings, 1);
  await deleteRepository(db, workspace, claims.r);
});

/** What is answered where containers are the sandboxes; a database of its own each time, so that nothing is remembered. */
async function statuses(more: Partial<Env> = {}): Promise<number[]> {
  const DB = new Proxy(env.DB, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const bindings = { ...env, DB, ENVIRONMENT: 'production', SANDBOX: 'container', ...more } as Env;
  const token = await mintToken({ encryptionKey: env.ENCRYPTION_KEY }, claims);
  const asked = ROUTES.flatMap(([method, path]) =>
    [new Headers(), new Headers({ authorization: `Bearer ${token}` })].map(async (headers) => {
      const request = new Request(`https://cyrus.example/gateway${path}`, { method, headers });
      const response = await worker.fetch(request, bindings, context);
      await response.body?.cancel();
      return response.status;
    }),
  );
  return Promise.all(asked);
}

it('the public gateway is not there if every sandbox is a container: 404 at each of its addresses, with a good token and without', async () => {
  expect(new Set(await statuses())).toEqual(new Set([404]));
});

it('the public gateway is there for the deployment’s own sandbox server, and asks who calls', async () => {
  expect(
    (await statuses({ SANDBOX: 'endpoint', SANDBOX_ENDPOINT_URL: 'https://sandbox.example' })).slice(0, 1),
  ).toEqual([401]);
});

it('the public gateway is there as soon as one repository has a sandbox server of its own, and gone with it', async () => {
  const sandbox = { kind: 'endpoint', url: 'https://sandbox.example' };
  const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main', settings: { sandbox } };
  await upsertRepository(db, workspace, claims.r, repository as Parameters<typeof upsertRepository>[3], 1);
  expect((await statuses())[0]).toBe(401);
  await deleteRepository(db, workspace, claims.r);
  expect(new Set(await statuses())).toEqual(new Set([404]));
});
