import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { takeMissedWebhooks } from '../../src/routes/webhooks/missed-github.ts';
import { openDatabase } from '../../src/store/database.ts';
import { findPullRequests, notePullRequest } from '../../src/store/pull-requests.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { sendGitHub, withApp } from './support/github-webhook.ts';
import { created, newThread, ORGANIZATION, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session } from './support/sessions.ts';

const REPOSITORY = 4711;
const API = 'https://api.github.com/repos/acme/shop';

let outside: Outside;
/** What GitHub says of pull request #12, and what it was asked. */
let pull: { state: 'open' | 'closed'; merged: boolean };
let asked: string[];
let missed: (url: string) => Response | null;

beforeEach(async () => {
  outside = new Outside();
  pull = { state: 'open', merged: false };
  asked = [];
  missed = () => null;
  await registerWorkspace();
  await env.DB.prepare('DELETE FROM pull_requests').run();
  await upsertRepository(
    openDatabase(env.DB, env.ENCRYPTION_KEY),
    ORGANIZATION,
    'acme/shop',
    {
      cloneUrl: 'https://github.com/acme/shop.git',
      baseBranch: 'main',
      credential: { kind: 'github-token', token: 'github_pat_of_the_test' },
    },
    1,
  );
  outside.interfere = (url, body) => {
    if (!url.startsWith('https://api.github.com/')) return null;
    const answer = missed(url);
    if (answer) return answer;
    if (url.includes('/rules/branches/')) return Response.json([]);
    asked.push(url);
    const html_url = 'https://github.com/acme/shop/pull/12';
    const base = { ref: 'main', repo: { id: REPOSITORY } };
    if (body !== '') {
      const { body: text } = JSON.parse(body);
      return Response.json({ number: 12, html_url, draft: false, body: text, state: 'open', base }, { status: 201 });
    }
    if (url === `${API}/pulls/12`) {
      return Response.json({ ...pull, html_url, title: 'Mended', head: { sha: 'a'.repeat(40) }, base });
    }
    if (url.includes('/check-runs')) return Response.json({ total_count: 0, check_runs: [] });
    if (url.includes('/status')) return Response.json({ total_count: 0, statuses: [] });
    return Response.json([]);
  };
});
afterEach(() => vi.useRealTimers());

/** A session at rest with pull request #12. */
async function proposed(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  await new Reporter(thread).report(init, result('Mended.', [thread.agentSessionId]), saved(1));
  await vi.waitFor(async () => expect((await page(thread))?.session.pullRequest?.number).toBe(12));
  await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
  return thread;
}

/** Lets time pass until the session asks GitHub because of news. */
async function look(thread: Thread): Promise<void> {
  const at = Date.now();
  vi.useFakeTimers({ now: at + 10_000, toFake: ['Date'] });
  await runDurableObjectAlarm(session(thread));
}

const closed = { action: 'closed', number: 12, repository: { id: REPOSITORY } };
const looks = () => asked.filter((url) => url === `${API}/pulls/12`).length;
const followed = (thread: Thread) =>
  runInDurableObject(
    session(thread),
    (_object, { storage }) =>
      storage.sql.exec<{ count: number }>("SELECT count(*) AS count FROM deliveries WHERE key LIKE '%github%'").one()
        .count,
  );

describe('a webhook of GitHub', () => {
  it('has the session of its pull request ask GitHub, and say what became of it', async () => {
    const thread = await proposed();
    pull = { state: 'closed', merged: true };
    const answer = await sendGitHub('pull_request', closed);
    expect([answer.status, await answer.json()]).toEqual([200, { outcome: 'accepted', sessions: 1 }]);
    // Answered after it was committed: both keys of the delivery are stored.
    expect(await followed(thread)).toBe(2);
    await look(thread);
    await vi.waitFor(async () =>
      expect(await journal(thread)).toContainEqual(
        expect.objectContaining({ kind: 'notice', text: 'Pull request #12 was merged.' }),
      ),
    );
    expect((await page(thread))?.session.pullRequest).toMatchObject({ seen: { state: 'merged' } });
  });

  it('is taken once, however often it is delivered', async () => {
    const thread = await proposed();
    const deliveryId = crypto.randomUUID();
    await sendGitHub('pull_request', closed, { deliveryId });
    await look(thread);
    await vi.waitFor(() => expect(looks()).toBe(1));
    vi.useRealTimers();
    const again = await sendGitHub('pull_request', closed, { deliveryId });
    expect([again.status, await again.json()]).toEqual([200, { outcome: 'accepted', sessions: 1 }]);
    await look(thread);
    expect(looks()).toBe(1);
  });

  it.each([
    ['without a signature', { signature: null }, 401],
    ['with a signature of another secret', { signature: `sha256=${'0'.repeat(64)}` }, 401],
    ['with the old signature alone', { signature: `sha1=${'0'.repeat(40)}` }, 401],
    ['that is a form', { contentType: 'application/x-www-form-urlencoded' }, 415],
  ])('%s changes nothing', async (_name, sent, status) => {
    const thread = await proposed();
    expect((await sendGitHub('pull_request', closed, sent)).status).toBe(status);
    expect(await followed(thread)).toBe(0);
  });

  it('of more than 5 MiB is refused unread', async () => {
    expect((await sendGitHub('pull_request', 'x'.repeat(5 * 1024 * 1024 + 1))).status).toBe(413);
  });

  it('that does not fit is answered, for what is sent again would not fit either', async () => {
    const answer = await sendGitHub('pull_request', { ...closed, number: 'twelve' });
    expect([answer.status, await answer.json()]).toEqual([200, { outcome: 'ignored', reason: 'misfit' }]);
  });

  it('about a pull request that Cyrus did not open finds no session, whatever branch a fork of it names', async () => {
    const thread = await proposed();
    const fork = {
      action: 'opened',
      number: 13,
      repository: { id: REPOSITORY },
      pull_request: { head: { ref: 'cyrus/eng-7' } },
    };
    const other = { ...closed, repository: { id: REPOSITORY + 1 } };
    for (const payload of [fork, other]) {
      expect(await (await sendGitHub('pull_request', payload)).json()).toEqual({ outcome: 'accepted', sessions: 0 });
    }
    expect(await followed(thread)).toBe(0);
  });

  it('about a pull request of a session that is none of this deployment is answered, and finds no session', async () => {
    const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
    const pullRequest = { host: 'github.com', repositoryId: REPOSITORY, number: 12, workspaceId: 'w', branch: 'b' };
    await notePullRequest(database, { ...pullRequest, sessionId: 'f'.repeat(64) }, 1);
    const answer = await sendGitHub('pull_request', closed);
    expect([answer.status, await answer.json()]).toEqual([200, { outcome: 'accepted', sessions: 0 }]);
  });

  it('is refused if no secret is set, and says which', async () => {
    const bindings = { ...env, GITHUB_WEBHOOK_SECRET: '' } as Env;
    const answer = await sendGitHub('pull_request', closed, { bindings });
    expect(answer.status).toBe(404);
    expect(await answer.text()).toContain('GITHUB_WEBHOOK_SECRET');
  });
});

describe('a webhook that did not arrive', () => {
  /** Larger than JavaScript's numbers are exact. */
  const id = '3804004623172239367';
  const delivery = (more: object = {}) =>
    JSON.stringify({
      guid: 'a-missed-one',
      delivered_at: new Date().toISOString(),
      status_code: 502,
      event: 'pull_request',
      ...more,
    }).replace('{', `{"id":${id},`);

  it('is fetched from the list that GitHub keeps, once, and taken in as if it had', async () => {
    const thread = await proposed();
    const fetched: string[] = [];
    missed = (url) => {
      if (!url.includes('/app/hook/deliveries')) return null;
      fetched.push(url);
      if (url.includes('?')) return new Response(`[${delivery()},${delivery({ status_code: 200 })}]`);
      return Response.json({ request: { payload: closed } });
    };
    const bindings = await withApp();
    await takeMissedWebhooks(bindings);
    await takeMissedWebhooks(bindings);
    expect(fetched.filter((url) => !url.includes('?'))).toEqual([`https://api.github.com/app/hook/deliveries/${id}`]);
    expect(await followed(thread)).toBe(2);
  });

  it('is fetched in the next run if it could not be taken in', async () => {
    const thread = await proposed();
    await runInDurableObject(env.OPERATIONS.getByName('deployment'), (_object, { storage }) =>
      storage.kv.delete('github-deliveries'),
    );
    let isDown = true;
    missed = (url) => {
      if (!url.includes('/app/hook/deliveries')) return null;
      if (url.includes('?')) return new Response(`[${delivery({ guid: 'another' })}]`);
      return isDown ? new Response('', { status: 502 }) : Response.json({ request: { payload: closed } });
    };
    const bindings = await withApp();
    await takeMissedWebhooks(bindings);
    expect(await followed(thread)).toBe(0);
    isDown = false;
    await takeMissedWebhooks(bindings);
    expect(await followed(thread)).toBe(2);
  });
});

it('what is noted of a pull request goes with its session', async () => {
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const thread = await proposed();
  const which = { repositoryId: REPOSITORY, numbers: [12], branches: [] };
  await vi.waitFor(async () => expect(await findPullRequests(database, 'github.com', which)).toHaveLength(1));
  expect(await session(thread).erase()).toBe(true);
  expect(await findPullRequests(database, 'github.com', which)).toEqual([]);
});

it('a pull request is found by its branch if GitHub names no number, and belongs to the session that noted it last', async () => {
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const pullRequest = { host: 'github.com', repositoryId: 1, number: 3, workspaceId: 'w', branch: 'cyrus/eng-3' };
  await notePullRequest(database, { ...pullRequest, sessionId: 'a' }, 1);
  await notePullRequest(database, { ...pullRequest, sessionId: 'b' }, 2);
  const which = { repositoryId: 1, numbers: [], branches: ['cyrus/eng-3'] };
  expect(await findPullRequests(database, 'github.com', which)).toEqual([{ sessionId: 'b', number: 3 }]);
  expect(await findPullRequests(database, 'git.acme.example', which)).toEqual([]);
});
