import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import type { Config } from '../../src/config/config.ts';
import { askGitHost } from '../../src/gateway/git/host.ts';
import { type GitHubApi, gitAccess, gitHubApi } from '../../src/github/access.ts';
import { choiceBy } from '../../src/github/branch-choice.ts';
import { branchRules } from '../../src/github/branch-rules.ts';
import { GitHubError } from '../../src/github/errors.ts';
import { InstallationTokens } from '../../src/github/installation-tokens.ts';
import { pullRequestStatus } from '../../src/github/pull-request-status.ts';
import { renderBody } from '../../src/github/pull-request-text.ts';
import { type Proposal, proposePullRequest } from '../../src/github/pull-requests.ts';
import type { StoredCredential } from '../../src/protocol/api.ts';
import { type GitHubStage, setGitHubStage } from './github-stage.ts';

const MINUTE_MS = 60_000;
const BRANCH = 'cyrus/eng-1';

let stage: GitHubStage;
let tokens: InstallationTokens;

vi.spyOn(console, 'log').mockImplementation(() => {});

beforeAll(async () => {
  stage = await setGitHubStage();
  await stage.push(BRANCH);
});

beforeEach(async () => {
  await stage.renew();
  tokens = new InstallationTokens(() => stage.now());
});

afterAll(() => stage.close());

/** As much of a configuration as reaching GitHub needs. */
function config(app: { id: string; privateKey: string } | null = stage.github.app): Config {
  return { github: { apiUrl: stage.github.apiUrl, app } } as Config;
}

function repository(credential: StoredCredential | null = { kind: 'github-app' }) {
  return { cloneUrl: stage.git.cloneUrl(SAMPLE_REPOSITORY), credential };
}

async function api(credential?: StoredCredential): Promise<GitHubApi> {
  const found = await gitHubApi(config(), repository(credential), tokens);
  if (!found) throw new Error('the repository should be on GitHub');
  return found;
}

const token = async () => (await gitAccess(config(), repository(), tokens)).credential?.password ?? '';

/** What something fails with. */
async function failure(act: Promise<unknown>): Promise<GitHubError> {
  const error = await act.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof GitHubError) return error;
  throw new Error(`a GitHubError was expected: ${String(error)}`);
}

const mints = () => stage.github.requests().filter(({ path }) => path.endsWith('/access_tokens'));

describe("an installation's token", () => {
  it('is requested once for many uses, kept, and renewed five minutes before it expires', async () => {
    const first = await Promise.all(Array.from({ length: 20 }, token));
    expect(new Set(first).size).toBe(1);
    expect(mints()).toHaveLength(1);
    stage.ahead = 54 * MINUTE_MS;
    expect(await token()).toBe(first[0]);
    stage.ahead = 56 * MINUTE_MS;
    expect(await token()).not.toBe(first[0]);
    expect(mints()).toHaveLength(2);
  });

  it('is good for the one repository and for nothing but contents and pull requests', async () => {
    stage.github.install([SAMPLE_REPOSITORY, 'acme/site'], {
      contents: 'write',
      pull_requests: 'write',
      issues: 'write',
    });
    const password = await token();
    expect(stage.github.admitsGit(password, SAMPLE_REPOSITORY, true)).toBe(true);
    expect(stage.github.admitsGit(password, 'acme/site', false)).toBe(false);
  });

  it('is had by git as password of x-access-token', async () => {
    const { credential } = await gitAccess(config(), repository(), tokens);
    expect(credential).toEqual({ username: 'x-access-token', password: expect.stringMatching(/^ghs_/) });
    const refs = await stage.runGit(
      ['ls-remote', repository().cloneUrl],
      `${credential?.username}:${credential?.password}`,
    );
    expect(refs).toContain('refs/heads/main');
  });

  it('that was revoked is replaced in the middle of what it is used for, by API and git', async () => {
    const github = await api();
    const first = await token();
    stage.github.revokeInstallationTokens();
    expect(await proposePullRequest(github, proposal())).toMatchObject({ state: 'opened' });
    expect(await token()).not.toBe(first);
    const remote = { cloneUrl: repository().cloneUrl, ...(await gitAccess(config(), repository(), tokens)) };
    stage.github.revokeInstallationTokens();
    const claims = { s: 's', w: 'w', r: SAMPLE_REPOSITORY, b: BRANCH, g: 1, exp: 0 };
    const resource = 'info/refs?service=git-upload-pack';
    const answer = await askGitHost(new Request('http://gateway'), resource, null, claims, remote, fetch);
    expect(answer).toMatchObject({ status: 200 });
  });

  it('is found under a new installation after the app was removed and installed again', async () => {
    await token();
    stage.github.uninstall('acme');
    stage.github.install(['acme/other']);
    stage.github.uninstall('acme');
    stage.github.install([SAMPLE_REPOSITORY]);
    stage.ahead = 60 * MINUTE_MS;
    expect(await token()).toMatch(/^ghs_/);
  });

  it('that cannot be had says why, and what to do', async () => {
    const refused = () => failure(token());
    stage.github.suspend('acme', true);
    expect(await refused()).toMatchObject({ kind: 'forbidden', message: expect.stringContaining('suspended') });
    stage.github.install([SAMPLE_REPOSITORY], { contents: 'write' });
    expect(await refused()).toMatchObject({
      kind: 'refused',
      retryable: false,
      hint: expect.stringContaining('write access to contents and to pull requests'),
    });
    stage.github.uninstall('acme');
    expect(await refused()).toMatchObject({
      kind: 'not-found',
      message: 'the GitHub App is not installed on acme/shop',
      hint: expect.stringContaining('install the app'),
    });
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const app = { id: stage.github.app.id, privateKey: other.export({ type: 'pkcs8', format: 'pem' }).toString() };
    const wrongKey = await failure(gitAccess(config(app), repository(), tokens));
    expect(wrongKey).toMatchObject({ kind: 'unauthorized', hint: expect.stringContaining('GITHUB_APP_PRIVATE_KEY') });
    const broken = await failure(gitAccess(config({ ...app, privateKey: 'oops' }), repository(), tokens));
    expect(broken.message).toContain('not an RSA private key');
    const none = await failure(gitAccess(config(null), repository(), tokens));
    expect(none.hint).toContain('GITHUB_APP_ID');
  });

  it('is not lost by one failure: who comes next tries again', async () => {
    stage.github.misbehave({ kind: 'server-error', times: 1 });
    const both = await Promise.allSettled([token(), token()]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await token()).toMatch(/^ghs_/);
  });
});

describe('a credential for GitHub', () => {
  it('is given to no other host', async () => {
    const elsewhere = { cloneUrl: 'https://evil.example/acme/shop.git', credential: { kind: 'github-app' } as const };
    expect(await failure(gitAccess(config(), elsewhere, tokens))).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('not on 127.0.0.1'),
    });
    const personal = { ...elsewhere, credential: { kind: 'github-token', token: 'ghp_x' } as const };
    await expect(gitAccess(config(), personal, tokens)).rejects.toThrow(GitHubError);
    expect(stage.github.requests()).toEqual([]);
  });

  it('may be a personal access token', async () => {
    const personal = stage.github.addToken({ repositories: [SAMPLE_REPOSITORY], login: 'ada' });
    const github = await api({ kind: 'github-token', token: personal });
    expect(await proposePullRequest(github, proposal())).toMatchObject({ number: 1 });
    expect(stage.github.pulls()[0]?.author).toBe('ada');
    stage.github.removeToken(personal);
    expect(await failure(proposePullRequest(github, proposal()))).toMatchObject({
      kind: 'unauthorized',
      hint: expect.stringContaining('store a new one'),
    });
  });

  it('without access to the repository, or without the right to open pull requests, says so', async () => {
    const blind = stage.github.addToken({ repositories: ['acme/site'] });
    expect(
      await failure(proposePullRequest(await api({ kind: 'github-token', token: blind }), proposal())),
    ).toMatchObject({
      kind: 'not-found',
    });
    const reader = stage.github.addToken({
      repositories: [SAMPLE_REPOSITORY],
      permissions: { contents: 'write', pull_requests: 'read' },
    });
    expect(
      await failure(proposePullRequest(await api({ kind: 'github-token', token: reader }), proposal())),
    ).toMatchObject({
      kind: 'forbidden',
      retryable: false,
      hint: expect.stringContaining('pull requests'),
    });
  });

  it('of another git host is left to that host, and opens no pull request', async () => {
    const credential = { username: 'cyrus', password: 'host-password' };
    expect(await gitAccess(config(), repository(credential), tokens)).toEqual({ credential, renew: null });
    expect(await gitHubApi(config(), repository(credential), tokens)).toBeNull();
    expect(await gitHubApi(config(), repository(null), tokens)).toBeNull();
  });
});

function proposal(more: Partial<Proposal> = {}): Proposal {
  return { head: BRANCH, base: 'main', title: 'ENG-1: The cart', body: generated('Mended.'), draft: false, ...more };
}

function generated(summary: string): string {
  const facts = { issue: null, subject: '', summary, sessionUrl: '', branch: BRANCH, closesIssue: false };
  return renderBody('{{summary}}', facts);
}

describe('a pull request', () => {
  it('is opened once, and found again by its branch', async () => {
    const github = await api();
    expect(await proposePullRequest(github, proposal())).toEqual({
      state: 'opened',
      number: 1,
      url: `${stage.github.url}/acme/shop/pull/1`,
      draft: false,
      repositoryId: expect.any(Number),
    });
    expect(await proposePullRequest(github, proposal())).toMatchObject({ state: 'updated', number: 1 });
    expect(stage.github.pulls()).toHaveLength(1);
    expect(stage.github.requests().filter(({ method }) => method === 'PATCH')).toEqual([]);
  });

  it('that was opened by a try whose answer was lost is found by the next one', async () => {
    const github = await api();
    stage.github.misbehave({ kind: 'lost-answer', times: 1, match: 'POST /repos' });
    expect(await failure(proposePullRequest(github, proposal()))).toMatchObject({
      kind: 'unreachable',
      retryable: true,
    });
    expect(await proposePullRequest(github, proposal())).toMatchObject({ state: 'updated', number: 1 });
    expect(stage.github.pulls()).toHaveLength(1);
  });

  it('is opened once by two at the same moment', async () => {
    const github = await api();
    const both = await Promise.all([proposePullRequest(github, proposal()), proposePullRequest(github, proposal())]);
    expect(both.map((one) => one?.number)).toEqual([1, 1]);
    expect(stage.github.pulls()).toHaveLength(1);
  });

  it('keeps title and words of people when it is updated', async () => {
    const github = await api();
    await proposePullRequest(github, proposal());
    const body = `Mind the rounding.\n\n${generated('Mended.')}\n\n- [x] looked at`;
    await stage.github.change(SAMPLE_REPOSITORY, 1, { title: 'My title', body });
    await proposePullRequest(github, proposal({ body: generated('Mended, with tests.'), title: 'ENG-1: Other' }));
    expect(stage.github.pulls()[0]).toMatchObject({
      title: 'My title',
      body: `Mind the rounding.\n\n${generated('Mended, with tests.')}\n\n- [x] looked at`,
    });
    await stage.github.change(SAMPLE_REPOSITORY, 1, { body: 'All mine.' });
    await proposePullRequest(github, proposal({ body: generated('Again.') }));
    expect(stage.github.pulls()[0]?.body).toBe('All mine.');
  });

  it('that was closed or merged is left alone, and a new one opened for new commits', async () => {
    const github = await api();
    await stage.push('cyrus/eng-2');
    const second = proposal({ head: 'cyrus/eng-2' });
    await proposePullRequest(github, second);
    await stage.github.change(SAMPLE_REPOSITORY, 1, { state: 'closed' });
    expect(await proposePullRequest(github, second)).toMatchObject({ state: 'opened', number: 2 });
    await stage.github.merge(SAMPLE_REPOSITORY, 2);
    expect(await proposePullRequest(github, second)).toBeNull();
    await stage.push('cyrus/eng-2');
    expect(await proposePullRequest(github, second)).toMatchObject({ state: 'opened', number: 3 });
  });

  it('is a draft if that is wanted and there are drafts', async () => {
    const github = await api();
    expect(await proposePullRequest(github, proposal({ draft: true }))).toMatchObject({ draft: true });
    await stage.github.change(SAMPLE_REPOSITORY, 1, { state: 'closed' });
    stage.github.withoutDrafts(SAMPLE_REPOSITORY);
    expect(await proposePullRequest(github, proposal({ draft: true }))).toMatchObject({ number: 2, draft: false });
  });

  it('of a branch without commits is none', async () => {
    expect(await proposePullRequest(await api(), proposal({ head: 'main' }))).toBeNull();
  });

  it('that is refused says what to do', async () => {
    const github = await api();
    expect(await failure(proposePullRequest(github, proposal({ base: 'trunk' })))).toMatchObject({
      kind: 'refused',
      hint: "The branch trunk does not exist on GitHub: ask an admin to correct the repository's base branch.",
    });
    expect(await failure(proposePullRequest(github, proposal({ head: 'gone' })))).toMatchObject({
      hint: expect.stringContaining('The branch gone is no longer on GitHub'),
    });
  });

  it('waits for the end of a limit, and no longer than GitHub says', async () => {
    const github = await api();
    stage.github.misbehave({ kind: 'primary-limit', times: 1, seconds: 600 });
    const primary = await failure(proposePullRequest(github, proposal()));
    expect(primary).toMatchObject({ kind: 'rate-limited', retryable: true });
    expect(primary.retryAt).toBeGreaterThan(Date.now() + 590_000);
    expect(primary.retryAt).toBeLessThan(Date.now() + 610_000);
    stage.github.misbehave({ kind: 'secondary-limit', times: 1, seconds: 5 });
    const secondary = await failure(proposePullRequest(github, proposal()));
    expect(secondary.retryAt).toBeLessThan(Date.now() + 6_000);
  });

  it('is tried again if GitHub fails, talks nonsense, or cannot be reached', async () => {
    const github = await api();
    for (const kind of ['server-error', 'nonsense', 'lost-answer'] as const) {
      stage.github.misbehave({ kind, times: 1 });
      expect(await failure(proposePullRequest(github, proposal()))).toMatchObject({ kind: 'unreachable', hint: null });
    }
    expect(await proposePullRequest(github, proposal())).toMatchObject({ state: 'opened' });
  });

  it('carries nothing secret in what is said of a failure', async () => {
    const secret = stage.github.addToken({ repositories: ['acme/site'] });
    const error = await failure(proposePullRequest(await api({ kind: 'github-token', token: secret }), proposal()));
    expect(JSON.stringify([error.message, error.hint, error.said, error.stack])).not.toContain(secret);
  });
});

describe('the name of a branch and the rules of its repository', () => {
  const facts = { identifier: 'ENG-12', title: 'The cart', branchName: 'ada/eng-12-the-cart' };
  const pattern = (operator: string, text: string, negate = false) => ({
    type: 'branch_name_pattern',
    parameters: { name: '', operator, pattern: text, negate },
  });
  const choose = async () => {
    const asked = await api();
    return await choiceBy((name) => branchRules(asked, name), SAMPLE_REPOSITORY, 'cyrus/eng-12', facts);
  };

  it('is the wanted one if no rule is against it', async () => {
    stage.github.setRulesets(
      SAMPLE_REPOSITORY,
      { include: ['release/**'], rules: [{ type: 'creation' }] },
      { include: ['~ALL'], rules: [{ type: 'non_fast_forward' }, pattern('regex', '(unknown')] },
    );
    expect(await choose()).toEqual({ branch: 'cyrus/eng-12', told: null });
  });

  it.each([
    ['may not be made', { include: ['cyrus/**'], rules: [{ type: 'creation' }] }, 'ada/eng-12-the-cart'],
    ['may not be pushed to', { include: ['cyrus/**', 'ada/**'], rules: [{ type: 'update' }] }, 'cyrus-eng-12'],
    ['begin', { include: ['~ALL'], rules: [pattern('starts_with', 'team/web-')] }, 'team/web-cyrus-eng-12'],
    ['contain', { include: ['~ALL'], rules: [pattern('contains', '/', true)] }, 'cyrus-eng-12'],
    ['match', { include: ['~ALL'], rules: [pattern('regex', '^feature/[A-Z]+-[0-9]+-.*$')] }, 'feature/ENG-12-cyrus'],
    [
      'begin',
      { include: ['~ALL'], rules: [pattern('starts_with', 'bots/'), pattern('ends_with', '.ai')] },
      'bots/cyrus-eng-12.ai',
    ],
  ])('is another one if the wanted one %ss by a rule: %j', async (words, ruleset, expected) => {
    stage.github.setRulesets(SAMPLE_REPOSITORY, ruleset);
    const { branch, told } = await choose();
    expect(branch).toBe(expected);
    expect(told).toContain(`The branch is \`${expected}\`, because under GitHub’s rules for acme/shop a branch named`);
    expect(told).toContain(words);
  });

  it('that it takes can be pushed, and the wanted one cannot, in GitHub’s words', async () => {
    stage.github.setRulesets(
      SAMPLE_REPOSITORY,
      { include: ['cyrus/**'], rules: [{ type: 'creation' }] },
      { include: ['~ALL'], rules: [pattern('regex', '^[a-z]+/eng-[0-9]+')] },
    );
    const { branch } = await choose();
    const refused = await stage.push('cyrus/eng-12').then(String, ({ stderr }: { stderr: string }) => stderr);
    expect(refused).toContain('GH013: Repository rule violations found for refs/heads/cyrus/eng-12.');
    expect(refused).toContain('Cannot create ref due to creations being restricted.');
    expect(refused).toContain('(push declined due to repository rule violations)');
    await stage.push(branch);
    expect((await stage.git.branches(SAMPLE_REPOSITORY)).map(({ name }) => name)).toContain('ada/eng-12-the-cart');
  });

  it('is reported as impossible if the rules allow no name, with what an admin can do', async () => {
    stage.github.setRulesets(SAMPLE_REPOSITORY, { include: ['~ALL'], rules: [{ type: 'creation' }] });
    const { branch, told } = await choose();
    expect(branch).toBe('cyrus/eng-12');
    expect(told).toContain('Pushing the work will probably fail');
    expect(told).toContain('branchTemplate');
    expect(stage.github.requests().filter(({ path }) => path.includes('/rules/branches/')).length).toBeLessThan(9);
  });
});

describe('what became of a pull request', () => {
  const NOW = 1_000;
  /** Looks at the pull request of the branch, as somebody does who watches the session. */
  async function look(number = 1) {
    const found = await gitHubApi(config(), repository(), tokens, 'look');
    if (!found) throw new Error('the repository should be on GitHub');
    return pullRequestStatus(found, number, NOW);
  }
  async function commit(): Promise<string> {
    const password = `x-access-token:${await token()}`;
    const refs = await stage.runGit(['ls-remote', repository().cloneUrl, BRANCH], password);
    return refs.slice(0, 40);
  }
  const review: GitHubStage['github']['review'] = (...said) => stage.github.review(...said);

  it('is its state, checks and reviews, each as it is at the moment', async () => {
    await proposePullRequest(await api(), proposal());
    expect(await look()).toMatchObject({
      number: 1,
      state: 'open',
      checks: 'none',
      review: 'none',
      checkList: [],
      at: NOW,
    });
    stage.github.setChecks({
      repository: SAMPLE_REPOSITORY,
      commit: await commit(),
      runs: [
        { name: 'lint', status: 'completed', conclusion: 'success' },
        { name: 'docs', status: 'completed', conclusion: 'skipped' },
        { name: 'test', status: 'in_progress', conclusion: null },
      ],
      statuses: [{ context: 'deploy/preview', state: 'success' }],
    });
    await review(SAMPLE_REPOSITORY, 1, 'ada', 'CHANGES_REQUESTED');
    await review(SAMPLE_REPOSITORY, 1, 'ben', 'COMMENTED');
    await review(SAMPLE_REPOSITORY, 1, 'cy', 'ASKED');
    const seen = await look();
    expect(seen).toMatchObject({ checks: 'running', review: 'changes', changesBy: ['ada'], waitsFor: ['cy'] });
    expect(seen?.checkList.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'test running',
      'lint passed',
      'deploy/preview passed',
      'docs skipped',
    ]);
    await review(SAMPLE_REPOSITORY, 1, 'ada', 'APPROVED');
    expect(await look()).toMatchObject({ review: 'approved', approvedBy: ['ada'], changesBy: [] });
    await stage.github.change(SAMPLE_REPOSITORY, 1, { state: 'closed' });
    expect(await look()).toMatchObject({ state: 'closed' });
  });

  it('is failed as soon as one check failed, which comes first', async () => {
    await proposePullRequest(await api(), { ...proposal(), draft: true });
    stage.github.setChecks({
      repository: SAMPLE_REPOSITORY,
      commit: await commit(),
      runs: [
        { name: 'test', status: 'in_progress', conclusion: null },
        { name: 'lint', status: 'completed', conclusion: 'timed_out' },
      ],
      statuses: [],
    });
    expect(await look()).toMatchObject({ state: 'draft', checks: 'failed', checkList: [{ name: 'lint' }, {}] });
  });

  it('is told without checks if the app may not read them, and says what is missing', async () => {
    stage.github.install([SAMPLE_REPOSITORY], { contents: 'write', pull_requests: 'write' });
    await proposePullRequest(await api(), proposal());
    expect(await look()).toMatchObject({
      state: 'open',
      checks: 'unknown',
      checksProblem: expect.stringContaining('read access to checks'),
    });
  });

  it('is nothing if GitHub has no such pull request', async () => {
    expect(await look(404)).toBeNull();
  });
});
