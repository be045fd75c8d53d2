/** The webhooks of the stand-in for GitHub, received and checked by GitHub's own library. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { App } from 'octokit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { readBody } from '../../dev/linear/http.ts';
import { missedDeliveries, payloadOf } from '../../src/github/webhooks/deliveries.ts';
import { GITHUB_EVENTS, readGitHubWebhook } from '../../src/github/webhooks/webhook.ts';
import { type GitHubStage, setGitHubStage } from './github-stage.ts';

let stage: GitHubStage;
let receiver: Server;
/** What arrived with a signature that GitHub's library takes, and how it is answered. */
let arrived: { event: string; guid: string; action: string }[];
let status: number;

beforeAll(async () => {
  stage = await setGitHubStage();
  receiver = createServer(async (request, response) => {
    const body = (await readBody(request, 1_000_000)).toString('utf8');
    const { webhooks } = new App({
      appId: 1,
      privateKey: stage.github.app.privateKey,
      webhooks: { secret: stage.github.app.webhookSecret },
    });
    const header = (name: string) => String(request.headers[name]);
    const isSigned = await webhooks.verify(body, header('x-hub-signature-256'));
    if (isSigned) {
      arrived.push({
        event: header('x-github-event'),
        guid: header('x-github-delivery'),
        action: JSON.parse(body).action,
      });
    }
    response.writeHead(isSigned ? status : 401).end();
  });
  await new Promise<void>((listening) => receiver.listen(0, '127.0.0.1', listening));
});
beforeEach(async () => {
  await stage.renew();
  await stage.push('cyrus/eng-1');
  arrived = [];
  status = 200;
  const { port } = receiver.address() as AddressInfo;
  const secret = stage.github.app.webhookSecret;
  stage.github.webhooks.sendTo({ url: `http://127.0.0.1:${port}/`, secret });
  const token = stage.github.addToken({ repositories: [SAMPLE_REPOSITORY] });
  await fetch(`${stage.github.apiUrl}/repos/${SAMPLE_REPOSITORY}/pulls`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'user-agent': 'test' },
    body: JSON.stringify({ title: 'Mended', head: 'cyrus/eng-1', base: 'main' }),
  });
  await stage.github.settled();
});
afterAll(async () => {
  await new Promise((closed) => receiver.close(closed));
  await stage.close();
});

const missed = () => missedDeliveries(stage.github.apiUrl, stage.github.app, Date.now() - 3_600_000, GITHUB_EVENTS);

describe('a webhook of the stand-in', () => {
  it('tells of what happens to a pull request, in its order and with a signature that GitHub’s library takes', async () => {
    const comments = [{ path: 'src/cart.js', line: 3, body: 'Why?' }];
    await stage.github.review(SAMPLE_REPOSITORY, 1, 'ada', 'CHANGES_REQUESTED', { body: 'Nearly.', comments });
    stage.github.commentAs(SAMPLE_REPOSITORY, 1, 'ada', '@cyrus-local please');
    const [pull] = stage.github.pulls();
    const commit = pull?.reviews[0]?.commit ?? '';
    stage.github.setChecks({
      repository: SAMPLE_REPOSITORY,
      commit,
      runs: [{ name: 'test', status: 'completed', conclusion: 'failure' }],
      statuses: [{ context: 'ci', state: 'failure' }],
    });
    await stage.github.merge(SAMPLE_REPOSITORY, 1);
    await stage.github.settled();
    expect(arrived.map(({ event, action }) => `${event} ${action ?? ''}`.trim()).toSorted()).toEqual([
      'check_run completed',
      'issue_comment created',
      'pull_request closed',
      'pull_request opened',
      'pull_request_review submitted',
      'pull_request_review_comment created',
      'status',
    ]);
    for (const { event, payload } of stage.github.webhooks.deliveries) {
      expect(readGitHubWebhook(event, payload)).toMatchObject({ kind: 'news' });
    }
  });

  it('can be held, come in another order, and come twice under the same id', async () => {
    stage.github.webhooks.hold();
    stage.github.comment(SAMPLE_REPOSITORY, 1, 'first');
    await stage.github.change(SAMPLE_REPOSITORY, 1, { state: 'closed' });
    await stage.github.settled();
    expect(arrived).toHaveLength(1);
    stage.github.webhooks.release((held) => held.toReversed());
    await stage.github.settled();
    const [, , last] = stage.github.webhooks.deliveries;
    if (last) stage.github.webhooks.redeliver(last);
    await stage.github.settled();
    expect(stage.github.webhooks.deliveries.map(({ event }) => event)).toEqual([
      'pull_request',
      'pull_request',
      'issue_comment',
      'issue_comment',
    ]);
    expect(new Set(arrived.map(({ guid }) => guid)).size).toBe(3);
  });
});

describe('a webhook that does not arrive', () => {
  it('is in the list of deliveries, from which Cyrus reads it, however large its id', async () => {
    status = 502;
    stage.github.comment(SAMPLE_REPOSITORY, 1, 'unheard');
    await stage.github.settled();
    status = 200;
    stage.github.webhooks.lose(1);
    await stage.github.change(SAMPLE_REPOSITORY, 1, { state: 'closed' });
    await stage.github.settled();
    const { missed: found } = await missed();
    expect(found.map(({ event }) => event)).toEqual(['issue_comment', 'pull_request']);
    for (const { id, event } of found) {
      expect(Number.isSafeInteger(Number(id))).toBe(false);
      const payload = await payloadOf(stage.github.apiUrl, stage.github.app, id);
      expect(readGitHubWebhook(event, payload)).toMatchObject({ kind: 'news', numbers: [1] });
    }
  });

  it('is found among hundreds that did', async () => {
    stage.github.webhooks.lose(1);
    stage.github.comment(SAMPLE_REPOSITORY, 1, ...Array.from({ length: 130 }, (_, index) => `comment ${index}`));
    await stage.github.settled();
    expect((await missed()).missed).toHaveLength(1);
  });
});
