import { describe, expect, it } from 'vitest';
import { parseGitHubWebhook } from '../../../src/github/webhooks/webhook.ts';

const repository = { id: 7, full_name: 'acme/shop' };
const parse = (event: string, payload: object) => parseGitHubWebhook(event, JSON.stringify(payload));
const news = (topic: string, numbers: number[], branches: string[] = []) => {
  return { kind: 'news', topic, repositoryId: 7, numbers, branches };
};
const check = (more: object = {}) => {
  return { pull_requests: [], check_suite: { head_branch: 'cyrus/eng-1', pull_requests: [] }, ...more };
};

describe('a webhook of GitHub says', () => {
  it.each([
    ['pull_request', { action: 'closed', number: 3, repository }, news('state', [3])],
    ['pull_request_review', { action: 'submitted', pull_request: { number: 3 }, repository }, news('reviews', [3])],
    [
      'pull_request_review_comment',
      { action: 'created', pull_request: { number: 3 }, repository },
      news('reviews', [3]),
    ],
    ['issue_comment', { action: 'created', issue: { number: 3, pull_request: {} }, repository }, news('reviews', [3])],
    [
      'check_run',
      { action: 'completed', check_run: check({ pull_requests: [{ number: 3 }] }), repository },
      news('checks', [3], ['cyrus/eng-1']),
    ],
    ['check_run', { action: 'completed', check_run: check(), repository }, news('checks', [], ['cyrus/eng-1'])],
    ['status', { branches: [{ name: 'cyrus/eng-1' }], repository }, news('checks', [], ['cyrus/eng-1'])],
  ])('by %s which pull requests have news', (event, payload, expected) => {
    expect(parse(event, payload)).toEqual(expected);
  });

  it.each([
    ['ping', { zen: 'Keep it logically awesome.' }],
    ['push', { ref: 'refs/heads/main', repository }],
    ['issue_comment', { action: 'created', issue: { number: 3 }, repository }],
    ['issue_comment', { action: 'deleted', issue: { number: 3, pull_request: {} }, repository }],
    ['check_run', { action: 'created', check_run: check(), repository }],
    ['toString', {}],
  ])('nothing about a pull request by %s of this kind', (event, payload) => {
    expect(parse(event, payload)).toMatchObject({ kind: 'ignored' });
  });

  it('if it does not fit what GitHub documents', () => {
    expect(parse('pull_request', { action: 'closed', number: 'three', repository })).toMatchObject({
      kind: 'misfit',
      message: expect.stringContaining('number'),
    });
    expect(parseGitHubWebhook('pull_request', 'no JSON')).toMatchObject({ kind: 'misfit' });
  });
});
