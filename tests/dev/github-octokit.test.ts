/** GitHub's own client, with its App authentication, pagination, retries and throttling, before the stand-in for GitHub. */
import { App, Octokit, RequestError } from 'octokit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { redact } from '../../src/protocol/text/redact.ts';
import { type GitHubStage, setGitHubStage } from './github-stage.ts';

let stage: GitHubStage;
const limits: { kind: 'primary' | 'secondary'; seconds: number }[] = [];

/**
 * Octokit for the stand-in. With throttling, it notes what it is told of limits instead of waiting.
 * @param throttles left out, it does not pause after each change, as the plugin would
 */
function Client(throttles = false) {
  const note = (kind: 'primary' | 'secondary') => (seconds: number) => {
    limits.push({ kind, seconds });
    return false;
  };
  return Octokit.defaults({
    baseUrl: stage.github.apiUrl,
    retry: { enabled: false },
    throttle: {
      enabled: throttles,
      onRateLimit: note('primary'),
      onSecondaryRateLimit: note('secondary'),
      fallbackSecondaryRateRetryAfter: 60,
    },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  });
}

const app = (appId: string = stage.github.app.id, throttles = true) =>
  new App({ appId, privateKey: stage.github.app.privateKey, Octokit: Client(throttles) });

async function installed(throttles = false): Promise<Octokit> {
  for await (const { octokit } of app(stage.github.app.id, throttles).eachInstallation.iterator()) return octokit;
  throw new Error('the app is installed nowhere');
}

const acme = { owner: 'acme', repo: 'shop' };

beforeAll(async () => {
  stage = await setGitHubStage();
  await stage.push('cyrus/eng-1');
});
beforeEach(async () => {
  await stage.renew();
  limits.length = 0;
});
afterAll(() => stage.close());

describe('as an App', () => {
  it.each(['id', 'clientId'] as const)('signs itself in by its %s', async (key) => {
    const { data } = await app(stage.github.app[key]).octokit.rest.apps.getAuthenticated();
    expect(data).toMatchObject({ slug: 'cyrus-local', client_id: stage.github.app.clientId });
  });

  it('finds its installation and every repository of it, page by page', async () => {
    stage.github.install([SAMPLE_REPOSITORY, 'acme/site']);
    const found: string[] = [];
    for await (const { repository } of app().eachRepository.iterator()) found.push(repository.full_name);
    expect(found).toEqual([SAMPLE_REPOSITORY, 'acme/site']);
    const { data } = await app().octokit.rest.apps.getRepoInstallation(acme);
    expect(data).toMatchObject({ app_id: Number(stage.github.app.id), repository_selection: 'selected' });
  });

  it('has a token of the form with a JWT in it, which no log shows a part of', async () => {
    const octokit = await installed();
    const { token } = (await octokit.auth({ type: 'installation' })) as { token: string };
    expect(token).toMatch(/^ghs_\d+_[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(token.length).toBeGreaterThan(500);
    for (const said of [token, `Bearer ${token}`, `https://x-access-token:${token}@github.com/a/b`, `"${token}",`])
      for (const part of token.slice(4).match(/[\w-]{12}/g) ?? [])
        expect(redact(`git says ${said}!`)).not.toContain(part);
    expect(stage.github.admitsGit(token, SAMPLE_REPOSITORY, true)).toBe(true);
  });

  it('is known as the account that its commits are by', async () => {
    const { data } = await (await installed()).rest.users.getByUsername({ username: 'cyrus-local[bot]' });
    expect(data).toMatchObject({ login: 'cyrus-local[bot]', type: 'Bot', id: expect.any(Number) });
  });
});

describe('a pull request', () => {
  it('is opened, listed, changed and commented on', async () => {
    const { rest } = await installed();
    const { data: pull } = await rest.pulls.create({ ...acme, title: 'ENG-1', head: 'cyrus/eng-1', base: 'main' });
    const number = { ...acme, pull_number: pull.number };
    await rest.pulls.update({ ...number, title: 'ENG-1: The cart' });
    await rest.issues.createComment({ ...acme, issue_number: pull.number, body: 'Looks good.' });
    expect((await rest.pulls.get(number)).data).toMatchObject({ title: 'ENG-1: The cart', user: { type: 'Bot' } });
    expect((await rest.pulls.list({ ...acme, head: 'acme:cyrus/eng-1' })).data).toHaveLength(1);
  });

  it('has all its comments when they are many pages', async () => {
    const { rest, paginate } = await installed();
    const { data: pull } = await rest.pulls.create({ ...acme, title: 'ENG-1', head: 'cyrus/eng-1', base: 'main' });
    const issue = { ...acme, issue_number: pull.number };
    await stage.github.comment(
      SAMPLE_REPOSITORY,
      pull.number,
      ...Array.from({ length: 7 }, (_, index) => `No. ${index}`),
    );
    const comments = await paginate(rest.issues.listComments, { ...issue, per_page: 3 });
    expect(comments.map(({ body }) => body)).toEqual(['No. 0', 'No. 1', 'No. 2', 'No. 3', 'No. 4', 'No. 5', 'No. 6']);
    const { headers } = await rest.issues.listComments({ ...issue, per_page: 3, page: 2 });
    for (const rel of ['prev', 'next', 'first', 'last']) expect(headers.link).toContain(`rel="${rel}"`);
  });

  it('that GitHub will not open is refused with the field, and with the documentation', async () => {
    const { rest } = await installed();
    const refused = rest.pulls.create({ ...acme, title: 'ENG-1', head: 'cyrus/eng-1', base: 'develop' });
    await expect(refused).rejects.toMatchObject({
      name: 'HttpError',
      status: 422,
      response: {
        data: {
          message: 'Validation Failed',
          errors: [{ resource: 'PullRequest', field: 'base', code: 'invalid' }],
          documentation_url: expect.stringContaining('https://docs.github.com/rest'),
        },
        headers: { 'x-github-request-id': expect.stringMatching(/^[\dA-F:]+$/) },
      },
    });
  });
});

describe('a repository that was renamed', () => {
  it('is found under its former name by what reads, and still by its id', async () => {
    const { request } = await installed();
    const { data: before } = await request('GET /repos/{owner}/{repo}', acme);
    stage.github.rename('acme/shop', 'acme/site');
    const { data: after } = await request('GET /repos/{owner}/{repo}', acme);
    expect(after).toMatchObject({ id: before.id, full_name: 'acme/site' });
  });

  it('sends on what writes with 307, body and all', async () => {
    const { request, rest } = await installed();
    const { data: pull } = await rest.pulls.create({ ...acme, title: 'ENG-1', head: 'cyrus/eng-1', base: 'main' });
    stage.github.rename('acme/shop', 'acme/site');
    const comment = { ...acme, issue_number: pull.number, body: 'Moved.' };
    const answer = await request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      ...comment,
      request: { redirect: 'manual' },
    }).catch((error: unknown) => error);
    expect(answer).toMatchObject({ status: 307 });
    await request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', comment);
    expect(stage.github.pulls()[0]?.comments).toMatchObject([{ body: 'Moved.' }]);
  });
});

describe('a limit', () => {
  it.each([
    ['primary-limit', 'primary'],
    ['secondary-limit', 'secondary'],
  ] as const)('is told to the throttling plugin with the time to wait: %s', async (kind, told) => {
    const octokit = await installed(true);
    stage.github.misbehave({ kind, seconds: 90, times: 1, match: 'GET /repos' });
    await expect(octokit.rest.repos.get(acme)).rejects.toBeInstanceOf(RequestError);
    expect(limits).toMatchObject([{ kind: told, seconds: expect.any(Number) }]);
    expect(Math.abs((limits[0]?.seconds ?? 0) - 90)).toBeLessThan(5);
    await expect(octokit.rest.repos.get(acme)).resolves.toMatchObject({ headers: { 'x-ratelimit-resource': 'core' } });
  });
});

it('a request without a name of its client, or of a version that is none, is refused as GitHub does', async () => {
  const path = `${stage.github.apiUrl}/app`;
  const unnamed = await fetch(path, { headers: { 'user-agent': '' } });
  expect([unnamed.status, await unnamed.json()]).toMatchObject([
    403,
    { message: expect.stringContaining('User-Agent') },
  ]);
  const old = await fetch(path, { headers: { 'x-github-api-version': '2019-01-01' } });
  expect(old.status).toBe(400);
});
