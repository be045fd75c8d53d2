import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import { gatewayApp } from '../../src/routes/gateway/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { withApp } from './support/github-webhook.ts';
import { AT_WORK } from './support/standing.ts';

const config = { encryptionKey: env.ENCRYPTION_KEY };
const claims: Claims = {
  s: env.ISSUE_SESSION.idFromName('github-gateway-test').toString(),
  w: 'github-gateway-workspace',
  r: 'acme/shop',
  b: 'cyrus/eng-1',
  g: 1,
};

/** What git sent on its way, as user and password. */
let sent: string[];
/** Tokens that GitHub's git takes. */
let good: Set<string>;
let minted: number;
/** How GitHub's API answers; null: as it should. */
let answer: (url: string) => Response | null;
let bindings: Env;

beforeAll(async () => {
  bindings = await withApp();
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app', accessToken: 'x' };
  await upsertWorkspace(database, claims.w, workspace, 1);
});

/** Each test has a repository of its own, for tokens are kept in the isolate. */
async function repository(fullName: string): Promise<void> {
  const cloneUrl = `https://github.com/${fullName}.git`;
  const credential = { kind: 'github-app' } as const;
  await upsertRepository(
    openDatabase(env.DB, env.ENCRYPTION_KEY),
    claims.w,
    fullName,
    { cloneUrl, baseBranch: 'main', credential },
    1,
  );
}

beforeEach(() => {
  sent = [];
  good = new Set();
  minted = 0;
  answer = () => null;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const { url } = new Request(input, init);
    const other = answer(url);
    if (other) return other;
    if (url.endsWith('/installation')) return Response.json({ id: 7 });
    minted += 1;
    const token = `ghs_${url.length}_${minted}`;
    good.add(token);
    return Response.json({ token, expires_at: new Date(Date.now() + 3_600_000).toISOString() }, { status: 201 });
  });
  spyOnLog();
});

const git = async (request: Request): Promise<Response> => {
  const basic = atob(request.headers.get('authorization')?.slice('Basic '.length) ?? '');
  sent.push(basic);
  return good.has(basic.split(':')[1] ?? '') ? new Response('refs') : new Response('Bad credentials', { status: 401 });
};
const app = new Hono<{ Bindings: Env }>().route(
  '/gateway',
  gatewayApp({ base: '/gateway', fetcher: git, standing: async () => AT_WORK }),
);

/** What git asks first. */
async function askForRefs(fullName: string): Promise<Response> {
  const headers = { authorization: `Bearer ${await mintToken(config, { ...claims, r: fullName })}` };
  const path = `/gateway/git/${fullName}.git/info/refs?service=git-upload-pack`;
  return app.request(`http://cyrus.test${path}`, { headers }, bindings);
}

it("git reaches a repository of a GitHub App by an installation's token, minted once", async () => {
  await repository('acme/one');
  const answers = await Promise.all([askForRefs('acme/one'), askForRefs('acme/one'), askForRefs('acme/one')]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(minted).toBe(1);
  expect(new Set(sent)).toEqual(new Set([`x-access-token:${[...good][0]}`]));
});

it('a token that was revoked is replaced before git hears of it', async () => {
  await repository('acme/two');
  await askForRefs('acme/two');
  good.clear();
  expect((await askForRefs('acme/two')).status).toBe(200);
  expect(minted).toBe(2);
});

it('git is told why there is no token, and what to do', async () => {
  await repository('acme/three');
  answer = () => Response.json({ message: 'Not Found' }, { status: 404 });
  const response = await askForRefs('acme/three');
  expect(response.status).toBe(403);
  expect(await response.text()).toMatch(
    /^Cyrus: the GitHub App is not installed on acme\/three\. Ask an owner of acme/,
  );
  expect(sent).toEqual([]);
});

it('git is told to come back if GitHub is away or its limit is used up', async () => {
  await repository('acme/four');
  answer = () => new Response('<h1>Unicorn!</h1>', { status: 502 });
  const away = await askForRefs('acme/four');
  expect([away.status, away.headers.get('retry-after')]).toEqual([503, '10']);
  answer = () => Response.json({ message: 'secondary rate limit' }, { status: 403, headers: { 'retry-after': '30' } });
  const limited = await askForRefs('acme/four');
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([503, '30']);
  answer = () => null;
  expect((await askForRefs('acme/four')).status).toBe(200);
});
