import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { startGitHub } from '../../dev/github/github.ts';
import { importAppKey, signAppToken } from '../../src/github/app-key.ts';
import { type GitHubStage, setGitHubStage } from './github-stage.ts';

const HOUR_MS = 3_600_000;

let stage: GitHubStage;

const now = () => stage.now();

async function call(method: string, path: string, token: string, body?: object) {
  const response = await fetch(`${stage.github.apiUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  // Whatever it holds is compared with what is expected.
  return { status: response.status, headers: response.headers, body: text.startsWith('<') ? text : JSON.parse(text) };
}

async function appToken(at = now()): Promise<string> {
  return signAppToken(await importAppKey(stage.github.app.privateKey), stage.github.app.id, at);
}

async function mint(body: object = { repositories: ['shop'] }): Promise<string> {
  const { body: installation } = await call('GET', '/repos/acme/shop/installation', await appToken());
  const minted = await call('POST', `/app/installations/${installation.id}/access_tokens`, await appToken(), body);
  return minted.body.token;
}

beforeAll(async () => {
  stage = await setGitHubStage();
  await stage.push('cyrus/eng-1');
});

beforeEach(() => stage.renew());

afterAll(() => stage.close());

const PULLS = '/repos/acme/shop/pulls';
const proposal = { title: 'ENG-1: The cart', head: 'cyrus/eng-1', base: 'main', body: 'Mended.' };

describe("an App's token", () => {
  it('is made for an hour, for the repositories and permissions that are asked for', async () => {
    const jwt = await appToken();
    const { body: installation } = await call('GET', '/repos/acme/shop/installation', jwt);
    const { status, body } = await call('POST', `/app/installations/${installation.id}/access_tokens`, jwt, {
      repositories: ['shop'],
      permissions: { contents: 'write', pull_requests: 'read' },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      token: expect.stringMatching(/^ghs_/),
      permissions: { contents: 'write', pull_requests: 'read', metadata: 'read' },
      repositories: [{ full_name: 'acme/shop' }],
    });
    expect(Date.parse(body.expires_at) - now()).toBeGreaterThan(HOUR_MS - 5_000);
    const refused = await call('POST', PULLS, body.token, proposal);
    expect([refused.status, refused.body.message]).toEqual([403, 'Resource not accessible by integration']);
  });

  it('is refused to a JWT that is forged, too old, too long, of another app, or no JWT at all', async () => {
    const ask = async (jwt: string) => {
      const { status, body } = await call('GET', '/repos/acme/shop/installation', jwt);
      return `${status} ${body.message}`;
    };
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const foreign = await importAppKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    expect(await ask(await signAppToken(foreign, stage.github.app.id, now()))).toMatch(
      /^401 A JSON web token could not/,
    );
    expect(await ask(await appToken(now() - HOUR_MS))).toMatch(/^401 'Expiration time'/);
    expect(await ask(await appToken(now() + HOUR_MS))).toMatch(/^401 'Expiration time'.*too far/);
    const own = await importAppKey(stage.github.app.privateKey);
    expect(await ask(await signAppToken(own, '77', now()))).toBe('404 Integration not found');
    expect(await ask('ghs_nothing')).toMatch(/^401/);
  });

  it('is refused beyond what was granted, and if the app is not installed or suspended', async () => {
    const jwt = await appToken();
    const { body: installation } = await call('GET', '/repos/acme/shop/installation', jwt);
    const path = `/app/installations/${installation.id}/access_tokens`;
    expect((await call('POST', path, jwt, { repositories: ['site'] })).status).toBe(422);
    expect((await call('POST', path, jwt, { permissions: { issues: 'write' } })).status).toBe(422);
    expect((await call('GET', '/repos/acme/site/installation', jwt)).status).toBe(404);
    expect((await call('POST', '/app/installations/9/access_tokens', jwt, {})).status).toBe(404);
    stage.github.suspend('acme', true);
    expect((await call('POST', path, jwt, {})).status).toBe(403);
  });

  it('opens the repository to git too, until it ends or is revoked', async () => {
    const url = stage.git.cloneUrl(SAMPLE_REPOSITORY);
    const token = await mint();
    expect(await stage.runGit(['ls-remote', url, 'refs/heads/main'], `x-access-token:${token}`)).toContain(
      'refs/heads/main',
    );
    await expect(
      stage.runGit(['ls-remote', stage.git.cloneUrl('acme/site')], `x-access-token:${token}`),
    ).rejects.toThrow();
    stage.ahead = HOUR_MS + 1_000;
    await expect(stage.runGit(['ls-remote', url], `x-access-token:${token}`)).rejects.toThrow();
    const second = await mint();
    stage.github.revokeInstallationTokens();
    await expect(stage.runGit(['ls-remote', url], `x-access-token:${second}`)).rejects.toThrow();
  });

  it('that may only read contents cannot push', async () => {
    const token = await mint({ permissions: { contents: 'read' } });
    expect(stage.github.admitsGit(token, SAMPLE_REPOSITORY, false)).toBe(true);
    expect(stage.github.admitsGit(token, SAMPLE_REPOSITORY, true)).toBe(false);
  });
});

describe("a person's token", () => {
  it('works for API and git until it is removed', async () => {
    const token = stage.github.addToken({ repositories: [SAMPLE_REPOSITORY] });
    expect((await call('GET', '/repos/acme/shop', token)).body).toMatchObject({
      full_name: 'acme/shop',
      default_branch: 'main',
      permissions: { push: true },
    });
    expect(stage.github.admitsGit(token, SAMPLE_REPOSITORY, true)).toBe(true);
    stage.github.removeToken(token);
    expect((await call('GET', '/repos/acme/shop', token)).body).toMatchObject({ message: 'Bad credentials' });
    expect(stage.github.admitsGit(token, SAMPLE_REPOSITORY, false)).toBe(false);
  });

  it('does not see what it has no access to', async () => {
    const token = stage.github.addToken({ repositories: ['acme/site'] });
    expect((await call('GET', '/repos/acme/shop', token)).status).toBe(404);
    expect((await call('POST', PULLS, token, proposal)).status).toBe(404);
  });
});

describe('a pull request', () => {
  it('is opened, found by its head, changed, and closed', async () => {
    const token = await mint();
    const opened = await call('POST', PULLS, token, { ...proposal, draft: true });
    expect(opened.status).toBe(201);
    expect(opened.body).toMatchObject({
      number: 1,
      state: 'open',
      draft: true,
      html_url: `${stage.github.url}/acme/shop/pull/1`,
      user: { login: 'cyrus-local[bot]' },
      head: { ref: 'cyrus/eng-1', label: 'acme:cyrus/eng-1' },
    });
    const numbers = async (query: string) =>
      (await call('GET', `${PULLS}?${query}`, token)).body.map(({ number }: { number: number }) => number);
    expect(await numbers('head=acme:cyrus/eng-1')).toEqual([1]);
    expect(await numbers('head=acme:other')).toEqual([]);
    expect(await numbers('state=closed')).toEqual([]);
    const changed = await call('PATCH', `${PULLS}/1`, token, { body: 'Better.', state: 'closed' });
    expect(changed.body).toMatchObject({ body: 'Better.', state: 'closed', title: proposal.title });
    expect(await numbers('state=open')).toEqual([]);
    expect((await call('POST', PULLS, token, proposal)).body.number).toBe(2);
    expect((await call('PATCH', `${PULLS}/1`, token, { state: 'open' })).status).toBe(422);
  });

  it('is refused with 422 in the words of GitHub', async () => {
    const token = await mint();
    const refusal = async (change: object) => {
      const { status, body } = await call('POST', PULLS, token, { ...proposal, ...change });
      expect(status).toBe(422);
      return body;
    };
    expect((await refusal({ base: 'nowhere' })).errors).toMatchObject([{ field: 'base', code: 'invalid' }]);
    expect((await refusal({ head: 'nowhere' })).errors).toMatchObject([{ field: 'head', code: 'invalid' }]);
    expect((await refusal({ title: undefined })).errors).toMatchObject([{ field: 'title', code: 'missing_field' }]);
    expect((await refusal({ head: 'main' })).errors).toMatchObject([{ message: 'No commits between main and main' }]);
    stage.github.withoutDrafts(SAMPLE_REPOSITORY);
    expect((await refusal({ draft: true })).message).toMatch(/^Draft pull requests are not supported/);
    await call('POST', PULLS, token, proposal);
    expect((await refusal({})).errors).toMatchObject([
      { message: 'A pull request already exists for acme:cyrus/eng-1.' },
    ]);
  });

  it('has a page that shows what it changes, and from which it can be merged', async () => {
    await stage.push('to-merge');
    const token = await mint();
    const { body } = await call('POST', PULLS, token, {
      ...proposal,
      head: 'to-merge',
      body: 'See <b>[it](https://x.example)</b>',
    });
    const page = await (await fetch(body.html_url)).text();
    expect(page).toContain('Work on to-merge');
    expect(page).toContain('<a href="https://x.example">it</a>');
    expect(page).not.toContain('<b>[it]');
    const merged = await fetch(`${body.html_url}/merge`, { method: 'POST', redirect: 'manual' });
    expect(merged.status).toBe(303);
    expect(stage.github.pulls()[0]).toMatchObject({ state: 'closed', mergedAt: expect.any(Number) });
    expect((await stage.git.log(SAMPLE_REPOSITORY, 'main'))[0]?.subject).toBe(
      'Merge pull request #1 from acme/to-merge',
    );
    expect(await (await fetch(stage.github.url)).text()).toContain('Merged');
  });

  it('can be commented on', async () => {
    const token = await mint();
    await call('POST', PULLS, token, proposal);
    const path = '/repos/acme/shop/issues/1/comments';
    expect((await call('POST', path, token, { body: 'Thanks.' })).status).toBe(201);
    expect((await call('GET', path, token)).body).toMatchObject([{ body: 'Thanks.' }]);
  });
});

describe('on request the stand-in', () => {
  it('is over its limits, as GitHub says it', async () => {
    const token = await mint();
    const well = await call('GET', PULLS, token);
    expect(well.headers.get('x-ratelimit-limit')).toBe('5000');
    expect(Number(well.headers.get('x-ratelimit-remaining'))).toBeLessThan(5000);
    stage.github.misbehave(
      { kind: 'primary-limit', times: 1, seconds: 90 },
      { kind: 'secondary-limit', times: 1, seconds: 7 },
    );
    const primary = await call('GET', PULLS, token);
    expect([primary.status, primary.headers.get('x-ratelimit-remaining')]).toEqual([403, '0']);
    expect(Number(primary.headers.get('x-ratelimit-reset')) * 1000 - now()).toBeGreaterThan(80_000);
    const secondary = await call('GET', PULLS, token);
    expect([secondary.status, secondary.headers.get('retry-after')]).toEqual([403, '7']);
    expect((await call('GET', PULLS, token)).status).toBe(200);
  });

  it('fails, dawdles, talks nonsense, and loses the answer to what it has done', async () => {
    const token = await mint();
    stage.github.misbehave({ kind: 'server-error', times: 1 });
    expect(await call('GET', PULLS, token)).toMatchObject({ status: 502, body: '<h1>Unicorn!</h1>' });
    stage.github.misbehave({ kind: 'slow', times: 1, seconds: 0.2 });
    const began = performance.now();
    expect((await call('GET', PULLS, token)).status).toBe(200);
    expect(performance.now() - began).toBeGreaterThan(150);
    stage.github.misbehave({ kind: 'nonsense', times: 1 });
    expect((await call('GET', PULLS, token)).body).toEqual({ hello: 'world' });
    stage.github.misbehave({ kind: 'lost-answer', times: 1, match: 'POST /repos' });
    await expect(call('POST', PULLS, token, proposal)).rejects.toThrow();
    expect(stage.github.pulls()).toHaveLength(1);
    expect(stage.github.requests().at(-1)).toMatchObject({ method: 'POST', status: 0 });
  });

  it('is told so over HTTP too', async () => {
    const faults = [{ kind: 'server-error', match: '', seconds: 1 }];
    const put = (body: object) =>
      fetch(`${stage.github.url}/control/faults`, { method: 'PUT', body: JSON.stringify(body) });
    expect((await put({ faults })).status).toBe(200);
    expect((await call('GET', PULLS, 'x')).status).toBe(502);
    expect((await put({ faults: [{ kind: 'flood' }] })).status).toBe(400);
    expect(await (await fetch(`${stage.github.url}/control/pulls`)).json()).toEqual({ pulls: [] });
  });
});

it('the stand-in for GitHub keeps app, installations and pull requests across a restart', async () => {
  const dataFile = join(stage.folder, 'github.json');
  const options = {
    dataFile,
    locate: stage.git.directory,
    cloneUrl: stage.git.cloneUrl,
    branchUrl: stage.git.branchUrl,
  };
  const first = await startGitHub(options);
  await stage.github.close();
  stage.github = first;
  first.install([SAMPLE_REPOSITORY]);
  await call('POST', PULLS, await mint(), proposal);
  await first.close();
  stage.github = await startGitHub(options);
  expect(stage.github.app).toEqual(first.app);
  expect(stage.github.pulls()).toMatchObject([{ number: 1, title: proposal.title }]);
  expect(await mint()).toMatch(/^ghs_/);
});

it('the stand-in for GitHub has rulesets by its control, and tells which rules hold for a branch that need not exist', async () => {
  const put = (body: object) =>
    fetch(`${stage.github.url}/control/rulesets`, { method: 'PUT', body: JSON.stringify(body) });
  const parameters = { operator: 'starts_with', pattern: 'feature/', negate: false };
  const rules = [{ type: 'creation' }, { type: 'branch_name_pattern', parameters }];
  expect((await put({ repository: SAMPLE_REPOSITORY, rulesets: [{ include: [], rules }] })).status).toBe(400);
  const rulesets = [{ include: ['cyrus/**'], rules }];
  expect((await put({ repository: SAMPLE_REPOSITORY, rulesets })).status).toBe(200);
  const token = await mint();
  const { status, body } = await call('GET', `/repos/acme/shop/rules/branches/${encodeURIComponent('cyrus/x')}`, token);
  expect(status).toBe(200);
  const source = { ruleset_source_type: 'Repository', ruleset_source: SAMPLE_REPOSITORY, ruleset_id: 7_000 };
  expect(body).toEqual([
    { type: 'creation', ...source },
    { type: 'branch_name_pattern', ...source, parameters },
  ]);
  expect((await call('GET', '/repos/acme/shop/rules/branches/other/x', token)).body).toEqual([]);
  expect((await call('GET', '/repos/acme/unknown/rules/branches/other', token)).status).toBe(404);
});
