import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { InstallationTokens } from '../../src/github/installation-tokens.ts';
import type { RepositoryInput, SessionList } from '../../src/protocol/api.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { databaseAway } from './support/database-away.ts';
import { created, newThread, ORGANIZATION, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session } from './support/sessions.ts';

const TOKEN = 'github_pat_of_the_test';
const PULLS = 'https://api.github.com/repos/acme/shop/pulls';

let outside: Outside;
/** What GitHub holds, and what it was asked; `answer` may answer instead. */
let github: {
  open: object[];
  asked: { url: string; body: string }[];
  answer: (url: string, body: string) => Response | null;
};

function pull(number: number, body: string) {
  const html_url = `https://github.com/acme/shop/pull/${number}`;
  return { number, html_url, draft: false, body, state: 'open', base: { ref: 'main' } };
}

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
  github = { open: [], asked: [], answer: () => null };
  outside.interfere = (url, body) => {
    if (!url.startsWith('https://api.github.com/')) return null;
    if (url.includes('/rules/branches/')) return Response.json([]);
    github.asked.push({ url, body });
    const answered = github.answer(url, body);
    if (answered) return answered;
    if (body === '') return Response.json(github.open);
    const made = pull(12, JSON.parse(body).body);
    github.open = [made];
    return Response.json(made, { status: 201 });
  };
});

async function configure(change: Partial<RepositoryInput> = {}): Promise<void> {
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const repository = {
    cloneUrl: 'https://github.com/acme/shop.git',
    baseBranch: 'main',
    credential: { kind: 'github-token', token: TOKEN } as const,
    ...change,
  };
  await upsertRepository(database, ORGANIZATION, 'acme/shop', repository, 1);
}

/** A session whose first turn has changed something and is saved. */
async function worked(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  await new Reporter(thread).report(init, result('Mended.', [thread.agentSessionId]), saved(1));
  return thread;
}

const answer = () =>
  vi.waitFor(() => {
    const closing = outside.said.find(({ content }) => ['response', 'error'].includes(content.type));
    expect(closing).toBeDefined();
    return closing?.content;
  });

describe('the end of a turn that changed something', () => {
  it('opens a pull request, links it in Linear and on the page, and names it in the answer', async () => {
    await configure();
    const thread = await worked();
    expect(await answer()).toMatchObject({
      type: 'response',
      body: expect.stringContaining('[Pull request #12](https://github.com/acme/shop/pull/12)'),
    });
    const [found, opened] = github.asked;
    expect(found?.url).toBe(`${PULLS}?state=open&head=acme%3Acyrus%2Feng-7&per_page=20`);
    expect(JSON.parse(opened?.body ?? '')).toMatchObject({ base: 'main', draft: false });
    expect(outside.linked).toContain('https://github.com/acme/shop/pull/12');
    expect((await page(thread))?.session.pullRequest).toEqual({
      number: 12,
      url: 'https://github.com/acme/shop/pull/12',
      draft: false,
    });
  });

  it('is attached to the issue as a plain link if Linear does not know that GitHub', async () => {
    await configure();
    const { interfere } = outside;
    const attached: object[] = [];
    outside.interfere = (url, body, request) => {
      if (body.includes('attachmentLinkGitHubPR')) {
        const errors = [{ message: 'Integration not found', extensions: { type: 'invalid input' } }];
        return Response.json({ data: null, errors });
      }
      if (!body.includes('attachmentLinkURL')) return interfere(url, body, request);
      attached.push(JSON.parse(body).variables);
      return Response.json({ data: { attachmentLinkURL: { success: true } } });
    };
    const thread = await worked();
    await vi.waitFor(() => expect(attached).toHaveLength(1));
    expect(attached).toMatchObject([{ issueId: thread.issueId, title: 'Pull request #12' }]);
    expect((await page(thread))?.session.failedEffects).toBe(0);
  });

  it('opens its own if a person proposes the branch to another base', async () => {
    await configure();
    github.open = [{ ...pull(7, 'Backport by hand'), base: { ref: 'release' } }];
    await worked();
    expect(await answer()).toMatchObject({ body: expect.stringContaining('[Pull request #12]') });
    expect(github.asked.every(({ url }) => !url.endsWith('/7'))).toBe(true);
  });

  it('is followed by what became of the pull request: closed or merged is told with the next start, once, and a new one opened', async () => {
    await configure();
    const thread = newThread();
    const reporter = new Reporter(thread);
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await reporter.report(init, result('Mended.', [thread.agentSessionId]), saved(1));
    await answer();
    github.open = [];
    github.answer = (url, body) => {
      if (body !== '') return Response.json({ ...pull(13, JSON.parse(body).body) }, { status: 201 });
      const isOne = url === `${PULLS}/12`;
      const closed = { state: 'closed', merged_at: null, head: { sha: 'a'.repeat(40) }, base: { ref: 'main' } };
      return isOne ? Response.json(closed) : null;
    };
    await send(prompted(thread, 'Go on, please.'));
    await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
    expect(outside.starts.map(({ body }) => body.repository.pullRequest)).toEqual([
      undefined,
      { number: 12, state: 'closed', head: 'a'.repeat(40), base: 'main' },
    ]);
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    await reporter.report(init, result('More.', [outside.commands[1]?.id ?? '']), saved(2, 1, 'b'.repeat(40)));
    await vi.waitFor(() => expect(outside.linked).toContain('https://github.com/acme/shop/pull/13'));
    const told = (await journal(thread)).filter((entry) => entry.kind === 'notice');
    expect(told).toMatchObject([{ text: 'Pull request #12 was closed; Claude will be told.' }]);
  });

  it('has the pull request tell of the whole work after a follow-up, not of the follow-up alone', async () => {
    await configure();
    const thread = newThread();
    const reporter = new Reporter(thread);
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await reporter.report(init, result('The total counts every piece.', [thread.agentSessionId]), saved(1));
    await answer();
    const patched: string[] = [];
    github.answer = (url, body) => {
      if (url !== `${PULLS}/12` || body === '') return null;
      patched.push(JSON.parse(body).body);
      return Response.json(pull(12, JSON.parse(body).body));
    };
    await send(prompted(thread, '**Now** mind the `shipping`\n\nas well'));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    const id = outside.commands[1]?.id ?? '';
    await reporter.report(init, result('Shipping is counted too.', [id]), saved(2, 1, 'b'.repeat(40)));
    await vi.waitFor(() => expect(patched).toHaveLength(1));
    expect(patched[0]).toContain(
      'The total counts every piece.\n\n### Now mind the shipping\n\nShipping is counted too.',
    );
  });

  it('is told what went wrong if GitHub refuses for good', async () => {
    await configure();
    github.answer = () =>
      Response.json({ message: 'Resource not accessible by personal access token' }, { status: 403 });
    const thread = await worked();
    const { body } = (await answer()) ?? {};
    expect(body).toContain('No pull request was opened: GitHub answered 403');
    expect(body).toContain('write access to contents and to pull requests');
    expect(JSON.stringify(await journal(thread))).not.toContain(TOKEN);
  });

  it('tries again if GitHub does not answer, and finds what the lost try opened', async () => {
    await configure();
    let isLost = false;
    github.answer = (_, body) => {
      if (body === '' || isLost) return null;
      isLost = true;
      github.open = [pull(12, JSON.parse(body).body)];
      return new Response('<h1>Unicorn!</h1>', { status: 502 });
    };
    const thread = await worked();
    await vi.waitFor(
      async () => {
        await runDurableObjectAlarm(session(thread));
        expect(outside.said.some(({ content }) => content.body?.includes('[Pull request #12]'))).toBe(true);
      },
      { timeout: 10_000 },
    );
    expect(github.asked.filter(({ body }) => body !== '')).toHaveLength(1);
  });

  it.each([
    ['wants none', { mode: 'off' }, undefined],
    ['has no credential for GitHub', {}, null],
  ])('leaves it at the branch, with its page, if the repository %s', async (_, pullRequest, credential) => {
    const settings = repositorySettingsSchema.parse({ pullRequest });
    await configure({ settings, ...(credential === null && { credential: undefined }) });
    await worked();
    expect((await answer())?.body).toContain('](https://github.com/acme/shop/tree/cyrus/');
    expect(github.asked).toEqual([]);
  });

  it('opens a draft with title and body of its own if the repository says so', async () => {
    const pullRequest = {
      mode: 'draft',
      titleTemplate: '[{{identifier}}] work',
      bodyTemplate: 'By Cyrus: {{summary}}',
    };
    await configure({ settings: repositorySettingsSchema.parse({ pullRequest }) });
    await worked();
    await answer();
    const opened = JSON.parse(github.asked[1]?.body ?? '{}');
    expect(opened).toMatchObject({ title: '[ENG-7] work', draft: true });
    expect(opened.body).toContain('\nBy Cyrus: Mended.\n');
  });
});

describe('GET /api/sessions/:id/pull-request', () => {
  const COMMIT = 'c'.repeat(40);
  const seen = { ...pull(12, ''), title: 'Mend the cart', head: { sha: COMMIT } };

  /** What GitHub answers to who looks. */
  function showing(change: object = {}, runs: object[] = []): void {
    github.answer = (url) => {
      if (url.endsWith('/pulls/12')) return Response.json({ ...seen, ...change });
      if (url.includes(`/commits/${COMMIT}/check-runs`)) {
        return Response.json({ total_count: runs.length, check_runs: runs });
      }
      if (url.includes(`/commits/${COMMIT}/status`)) return Response.json({ total_count: 0, statuses: [] });
      return url.includes('/pulls/12/reviews') ? Response.json([]) : null;
    };
  }
  const look = async (thread: Thread) => {
    const id = (await page(thread))?.session.id;
    return exports.default.fetch(`http://cyrus.test/api/sessions/${id}/pull-request`);
  };

  /** The session as the list has it. */
  const listed = async (thread: Thread) => {
    const id = (await page(thread))?.session.id;
    const list = (await (await exports.default.fetch('http://cyrus.test/api/sessions')).json()) as SessionList;
    return list.sessions.find((row) => row.id === id);
  };

  it('asks GitHub once for all who look within a minute, and shows the state in the header and in the list', async () => {
    await configure();
    const thread = await worked();
    await answer();
    showing({}, [{ name: 'test', status: 'completed', conclusion: 'success' }]);
    const before = github.asked.length;
    const ended = (await listed(thread))?.updatedAt;
    vi.useFakeTimers({ now: Date.now() + 3_600_000, toFake: ['Date'] });
    const answers = await Promise.all([look(thread), look(thread), look(thread)]);
    vi.useRealTimers();
    for (const one of answers) {
      expect(await one.json()).toMatchObject({ number: 12, state: 'open', checks: 'passed', title: 'Mend the cart' });
    }
    expect(github.asked.length - before).toBe(4);
    const summary = { state: 'open', checks: 'passed', review: 'none' };
    const shown = await page(thread);
    expect(shown?.session.pullRequest).toMatchObject({ number: 12, seen: summary });
    await vi.waitFor(async () => {
      const row = await listed(thread);
      expect(row?.pullRequest).toEqual({ number: 12, url: 'https://github.com/acme/shop/pull/12', ...summary });
      // That somebody looked does not move it up.
      expect(row?.updatedAt).toBe(ended);
    });
  });

  it('is a 503 that names the database if that is away, although it fails in the object of the session', async () => {
    await configure();
    const thread = await worked();
    await answer();
    const database = databaseAway('fails');
    try {
      const failed = await look(thread);
      expect(failed.status).toBe(503);
      expect(await failed.json()).toMatchObject({ error: 'database' });
    } finally {
      database.back();
    }
  });

  it('says why GitHub does not tell, and keeps that for a minute as well', async () => {
    await configure();
    const thread = await worked();
    await answer();
    github.answer = () => Response.json({ message: 'Bad credentials' }, { status: 401 });
    const before = github.asked.length;
    const first = await look(thread);
    expect(first.status).toBe(502);
    expect(await first.json()).toEqual({
      error: 'github',
      message: expect.stringMatching(/does not accept the credential.*ask an admin/s),
    });
    expect((await look(thread)).status).toBe(502);
    expect(github.asked.length - before).toBe(1);
  });

  it('keeps nothing of it for a session that was deleted while GitHub was asked', async () => {
    await configure();
    const thread = await worked();
    await answer();
    let isDeleted = false;
    // Made and read in the object, as everything must be that it waits for.
    const late = () =>
      new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          await vi.waitFor(() => expect(isDeleted).toBe(true), { interval: 5 });
          controller.enqueue(new TextEncoder().encode(JSON.stringify(seen)));
          controller.close();
        },
      });
    github.answer = (url) =>
      url.endsWith('/pulls/12')
        ? new Response(late(), { headers: { 'content-type': 'application/json' } })
        : Response.json([]);
    const looking = look(thread);
    await vi.waitFor(() => expect(github.asked.some(({ url }) => url.endsWith('/pulls/12'))).toBe(true));
    const object = session(thread);
    await vi.waitFor(async () => expect(await object.erase()).toBe(true));
    isDeleted = true;
    expect((await looking).status).toBe(200);
    expect(await runInDurableObject(object, (_, { storage }) => [...storage.kv.list()])).toEqual([]);
  });

  it('says that there is none before one was opened', async () => {
    await configure();
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const none = await look(thread);
    expect(none.status).toBe(404);
    expect(await none.json()).toMatchObject({ error: 'no_pull_request' });
  });
});

it("an app's token is minted once for many requests of an isolate, with WebCrypto alone", async () => {
  // A pair, for the algorithm is one of pairs.
  const { privateKey } = (await crypto.subtle.generateKey(
    { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
    true,
    ['sign', 'verify'],
  )) as CryptoKeyPair;
  const der = new Uint8Array((await crypto.subtle.exportKey('pkcs8', privateKey)) as ArrayBuffer);
  const base64 = btoa(String.fromCharCode(...der));
  const pem = `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
  const calls: string[] = [];
  outside.interfere = (url) => {
    calls.push(url);
    if (url.endsWith('/installation')) return Response.json({ id: 7 });
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    return Response.json({ token: 'ghs_test', expires_at }, { status: 201 });
  };
  const tokens = new InstallationTokens();
  const app = { id: '1', privateKey: pem };
  const ask = () => tokens.tokenFor('https://api.github.com', app, { owner: 'acme', name: 'shop' });
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(['ghs_test', 'ghs_test', 'ghs_test']);
  expect(calls).toEqual([
    'https://api.github.com/repos/acme/shop/installation',
    'https://api.github.com/app/installations/7/access_tokens',
  ]);
});
