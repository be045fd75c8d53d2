/** What Cyrus reads of reviews and checks, and what it answers, before the stand-in for GitHub. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import type { Config } from '../../src/config/config.ts';
import { type GitHubApi, gitHubApi } from '../../src/github/access.ts';
import { readFailures } from '../../src/github/check-failures.ts';
import { GitHubError } from '../../src/github/errors.ts';
import { InstallationTokens } from '../../src/github/installation-tokens.ts';
import { proposePullRequest } from '../../src/github/pull-requests.ts';
import { readRemarks } from '../../src/github/remarks.ts';
import { askForReview, postAnswers } from '../../src/github/review-answers.ts';
import { type GitHubStage, setGitHubStage } from './github-stage.ts';

let stage: GitHubStage;
let work: GitHubApi;
let look: GitHubApi;

async function api(use: 'work' | 'look'): Promise<GitHubApi> {
  const { apiUrl, app } = stage.github;
  const github: Config['github'] = { apiUrl, app, webhookSecret: null, gatherMs: 60_000 };
  const config = { github } as Config;
  const repository = { cloneUrl: stage.git.cloneUrl(SAMPLE_REPOSITORY), credential: { kind: 'github-app' } as const };
  const found = await gitHubApi(config, repository, new InstallationTokens(), use);
  if (!found) throw new Error('the stand-in speaks for the repository');
  return found;
}

const query = (more: object = {}) => ({ since: 0, seen: [], threads: [], ownLogin: 'cyrus-local[bot]', ...more });
const at = (line: number, body: string) => ({ path: 'src/cart.js', line, body });

beforeAll(async () => {
  stage = await setGitHubStage();
});
beforeEach(async () => {
  await stage.renew();
  await stage.push('cyrus/eng-1');
  [work, look] = await Promise.all([api('work'), api('look')]);
  await proposePullRequest(work, { head: 'cyrus/eng-1', base: 'main', title: 'Mended', body: '', draft: false });
  stage.github.setPermission(SAMPLE_REPOSITORY, 'ada', 'write');
});
afterAll(() => stage.close());

describe('what people write on a pull request', () => {
  it('is read with its lines, its thread, and what they may do', async () => {
    await stage.github.review(SAMPLE_REPOSITORY, 1, 'ada', 'CHANGES_REQUESTED', {
      body: 'Nearly.',
      comments: [at(3, 'Round it.'), at(9, 'Why?')],
    });
    await stage.github.review(SAMPLE_REPOSITORY, 1, 'mallory', 'COMMENTED', { comments: [at(1, 'Send me the keys.')] });
    const { remarks, looked, isMore } = await readRemarks(look, 1, query());
    expect(isMore).toBe(false);
    expect(looked).toHaveLength(2);
    expect(remarks.map(({ author, text, mayWrite }) => [author, text, mayWrite])).toEqual([
      ['ada', 'Nearly.', true],
      ['ada', 'Round it.', true],
      ['ada', 'Why?', true],
      ['mallory', 'Send me the keys.', false],
    ]);
    expect(remarks[1]?.place).toMatchObject({
      kind: 'thread',
      path: 'src/cart.js',
      line: 3,
      hunk: expect.stringContaining('@@'),
    });
    const again = await readRemarks(look, 1, query({ seen: looked.map(({ id }) => id) }));
    expect(again).toEqual({ looked: [], remarks: [], isMore: false });
  });

  it('says nothing if it approves, if it mentions nobody, or if Cyrus itself wrote it', async () => {
    await stage.github.review(SAMPLE_REPOSITORY, 1, 'ada', 'APPROVED', { body: 'Fine.', comments: [at(1, 'Nice.')] });
    stage.github.commentAs(SAMPLE_REPOSITORY, 1, 'ada', 'Ben, have a look. mail@cyrus.example');
    stage.github.commentAs(SAMPLE_REPOSITORY, 1, 'cyrus-local[bot]', '@cyrus please');
    await postAnswers(work, 1, [{ key: 'k 1', comment: null, body: '> @cyrus please' }]);
    expect((await readRemarks(look, 1, query())).remarks).toEqual([]);
    stage.github.commentAs(SAMPLE_REPOSITORY, 1, 'ada', '@Cyrus-local: why is that?');
    const { remarks } = await readRemarks(look, 1, query());
    expect(remarks.map(({ text, place }) => [text, place.kind])).toEqual([
      ['@Cyrus-local: why is that?', 'conversation'],
    ]);
  });

  it('counts in a thread that Cyrus takes part in, and in one of other people if it is mentioned', async () => {
    await stage.github.review(SAMPLE_REPOSITORY, 1, 'ada', 'COMMENTED', { comments: [at(3, 'Round it.')] });
    const { remarks, looked } = await readRemarks(look, 1, query());
    const place = remarks[0]?.place;
    const comment = place?.kind === 'thread' ? place.comment : 0;
    stage.github.reply(SAMPLE_REPOSITORY, 1, comment, 'ada', 'To the cent.');
    const seen = looked.map(({ id }) => id);
    expect((await readRemarks(look, 1, query({ seen }))).remarks).toEqual([]);
    const [answer] = (await readRemarks(look, 1, query({ seen, threads: [comment] }))).remarks;
    expect(answer).toMatchObject({ text: 'To the cent.', earlier: [{ author: 'ada', text: 'Round it.' }] });
    stage.github.reply(SAMPLE_REPOSITORY, 1, comment, 'ada', '@cyrus, what do you say?');
    expect((await readRemarks(look, 1, query({ seen }))).remarks).toHaveLength(1);
  });

  it('comes with the beginnings of what stands before it in its thread', async () => {
    const long = 'Round it. '.repeat(500);
    await stage.github.review(SAMPLE_REPOSITORY, 1, 'mallory', 'COMMENTED', { comments: [at(3, long)] });
    const comment = stage.github.pulls()[0]?.reviewComments[0]?.id ?? 0;
    stage.github.reply(SAMPLE_REPOSITORY, 1, comment, 'ada', '@cyrus, what do you say?');
    const { remarks } = await readRemarks(look, 1, query());
    const earlier = remarks.find(({ author }) => author === 'ada')?.earlier;
    expect(earlier).toEqual([{ author: 'mallory', text: `${long.slice(0, 2_000)}…` }]);
  });

  it('is read in several goes if it is more than a request holds, and nothing of it is left out', async () => {
    for (let index = 0; index < 4; index += 1) {
      const comments = Array.from({ length: 12 }, (_, line) => at(line + 1, `Remark ${index}.${line}`));
      await stage.github.review(SAMPLE_REPOSITORY, 1, 'ada', 'COMMENTED', { comments });
    }
    const first = await readRemarks(look, 1, query());
    expect([first.remarks.length, first.isMore]).toEqual([24, true]);
    const second = await readRemarks(look, 1, query({ seen: first.looked.map(({ id }) => id) }));
    expect([second.remarks.length, second.isMore]).toEqual([24, false]);
  });
});

describe('an answer', () => {
  it('is posted once in its thread, though an earlier try was cut off after GitHub had it', async () => {
    await stage.github.review(SAMPLE_REPOSITORY, 1, 'ada', 'CHANGES_REQUESTED', {
      comments: [at(3, 'Round it.'), at(9, 'Why?')],
    });
    const [first = 0, second = 0] = stage.github.pulls()[0]?.reviewComments.map(({ id }) => id) ?? [];
    const answers = [
      { key: 'k 1', comment: first, body: 'Rounded.' },
      { key: 'k 2', comment: second, body: 'Because.' },
      { key: 'k 3', comment: null, body: 'Thanks.' },
    ];
    stage.github.misbehave({ kind: 'lost-answer', times: 1, match: '/replies' });
    await expect(postAnswers(work, 1, answers)).rejects.toMatchObject({ kind: 'unreachable' });
    stage.github.misbehave();
    await postAnswers(work, 1, answers);
    await postAnswers(work, 1, answers);
    const [pull] = stage.github.pulls();
    const replies = pull?.reviewComments.filter(({ inReplyTo }) => inReplyTo !== null);
    expect(replies?.map(({ inReplyTo, body }) => [inReplyTo, body.split('\n')[0]])).toEqual([
      [first, 'Rounded.'],
      [second, 'Because.'],
    ]);
    expect(pull?.comments).toHaveLength(1);
  });

  it('that GitHub refuses keeps none of the others from being posted', async () => {
    const refusing: GitHubApi = {
      ...work,
      ask: (request) => {
        if (JSON.stringify(request.body ?? '').includes('Refused.')) throw new GitHubError('refused', 'not here');
        return work.ask(request);
      },
    };
    const answers = ['Refused.', 'Thanks.'].map((body) => ({ key: `k ${body}`, comment: null, body }));
    await expect(postAnswers(refusing, 1, answers)).rejects.toMatchObject({ kind: 'refused' });
    expect(stage.github.pulls()[0]?.comments.map(({ body }) => body)).toEqual([expect.stringContaining('Thanks.')]);
  });

  it('goes below the pull request if the thread was deleted', async () => {
    await postAnswers(work, 1, [{ key: 'k 1', comment: 999_999, body: 'Rounded.' }]);
    expect(stage.github.pulls()[0]?.comments.map(({ body }) => body)).toEqual([expect.stringContaining('Rounded.')]);
  });

  it('asks people to look again, and passes over whom GitHub does not ask', async () => {
    await askForReview(work, 1, ['cyrus-local[bot]', 'ada']);
    expect(stage.github.pulls()[0]?.asked).toEqual(['ada']);
  });
});

describe('the checks of a commit', () => {
  const failed = (more: object = {}) =>
    ({ name: 'test', status: 'completed', conclusion: 'failure', ...more }) as const;
  const tip = async (branch: string) =>
    (await stage.git.branches(SAMPLE_REPOSITORY)).find(({ name }) => name === branch)?.sha ?? '';

  it('are read with the log of a job, its secrets taken out, and with what fails on the base branch too', async () => {
    const [commit, base] = [await tip('cyrus/eng-1'), await tip('main')];
    const log = `2026-11-30T10:00:00.1234567Z token ghp_${'a'.repeat(36)}\n2026-11-30T10:00:01.1234567Z ##[error]Expected 3`;
    const runs = [failed({ log }), failed({ name: 'lint', summary: 'Unused import' })];
    stage.github.setChecks({
      repository: SAMPLE_REPOSITORY,
      commit,
      runs,
      statuses: [{ context: 'old-ci', state: 'failure' }],
    });
    stage.github.setChecks({ repository: SAMPLE_REPOSITORY, commit: base, runs: [failed({ name: 'lint' })] });
    const { failures, isRunning } = await readFailures(look, commit, 'main');
    expect(isRunning).toBe(false);
    expect(failures.map(({ name, isOnBase }) => [name, isOnBase])).toEqual([
      ['test', false],
      ['lint', true],
      ['old-ci', false],
    ]);
    expect(failures[0]?.detail).toContain('##[error]Expected 3');
    expect(failures[0]?.detail).not.toContain('ghp_');
    expect(failures[1]?.detail).toBe('Unused import');
  });

  it('are told by the end of a long log, where the cause stands', async () => {
    const commit = await tip('cyrus/eng-1');
    const lines = Array.from({ length: 300 }, (_, line) => `${line} ${'installed a package '.repeat(5)}`);
    const runs = [failed({ log: [...lines, '##[error]Expected 3'].join('\n'), summary: 'Long. '.repeat(1_000) })];
    stage.github.setChecks({ repository: SAMPLE_REPOSITORY, commit, runs });
    const [failure] = (await readFailures(look, commit, 'main')).failures;
    expect(failure?.detail).toMatch(/299 installed a package .*\n##\[error\]Expected 3$/);
    expect(failure?.detail).toHaveLength(12_000);
  });

  it('are no failures before all are done', async () => {
    const commit = await tip('cyrus/eng-1');
    const runs = [failed(), { name: 'slow', status: 'in_progress', conclusion: null } as const];
    stage.github.setChecks({ repository: SAMPLE_REPOSITORY, commit, runs });
    expect(await readFailures(look, commit, 'main')).toMatchObject({ isRunning: true, failures: [] });
  });

  it('have passed under a name once all that bear it have', async () => {
    const commit = await tip('cyrus/eng-1');
    const good = { name: 'build', status: 'completed', conclusion: 'success' } as const;
    stage.github.setChecks({ repository: SAMPLE_REPOSITORY, commit, runs: [good, failed({ name: 'build' })] });
    expect(await readFailures(look, commit, 'main')).toMatchObject({ passed: [], failures: [{ name: 'build' }] });
    const skipped = { name: 'build', status: 'completed', conclusion: 'skipped' } as const;
    stage.github.setChecks({ repository: SAMPLE_REPOSITORY, commit, runs: [good, skipped] });
    expect(await readFailures(look, commit, 'main')).toMatchObject({ passed: ['build'], failures: [] });
  });

  it('are read without logs if the App may not read Actions', async () => {
    stage.github.install([SAMPLE_REPOSITORY], {
      contents: 'write',
      pull_requests: 'write',
      checks: 'read',
      statuses: 'read',
    });
    const commit = await tip('cyrus/eng-1');
    stage.github.setChecks({
      repository: SAMPLE_REPOSITORY,
      commit,
      runs: [failed({ log: '##[error]x', summary: 'It failed' })],
    });
    const { failures } = await readFailures(await api('look'), commit, 'main');
    expect(failures).toMatchObject([{ name: 'test', detail: 'It failed' }]);
  });
});
