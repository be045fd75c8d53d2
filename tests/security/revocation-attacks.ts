/**
 * The token of a session at work, kept by a thief: whatever ends the work closes each way of the gateway within the stated seconds
 * (docs/design/gateway.md), and that one way alone stays open which the end needs.
 */
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { decoyOf } from '../../src/gateway/secrets/decoy.ts';
import type { Claims } from '../../src/gateway/token.ts';
import type { CyrusSession } from '../e2e/cyrus-session.ts';
import type { LinearThread } from '../e2e/linear-thread.ts';
import { until } from '../e2e/run.ts';
import { type Attack, answers, held } from './attack.ts';
import type { Target } from './target.ts';
import { pushOf } from './token-attacks.ts';

const GIT = `/git/${SAMPLE_REPOSITORY}.git`;
const HASH = 'a'.repeat(64);
const VERSION = '00000000-0000-4000-8000-000000000000';
/** For so long an answer of the session counts, and one of the database; and what a busy machine may add. In ms. */
const SESSION_MS = 2_000;
const DATABASE_MS = 10_000;
const SLACK_MS = 6_000;

interface Way {
  what: string;
  path: string;
  init?: RequestInit;
}

const sized = (method: string, body: string, headers: Record<string, string> = {}): RequestInit => ({
  method,
  body,
  headers: { ...headers, 'content-length': String(body.length) },
});
const json = { 'content-type': 'application/json' };

/** What spends, changes or hands out something; closed by every end. */
const CLOSED_AT_ONCE: readonly Way[] = [
  { what: "Claude's API", path: '/anthropic/v1/messages', init: sized('POST', '{}', json) },
  { what: 'the counting of tokens', path: '/anthropic/v1/messages/count_tokens', init: sized('POST', '{}', json) },
  { what: 'the list of models', path: '/anthropic/v1/models' },
  {
    what: 'an MCP server',
    path: '/mcp/linear',
    init: sized('POST', JSON.stringify({ jsonrpc: '2.0', method: 'tools/list' }), json),
  },
  { what: 'what a setup script made', path: `/cache/setup-${HASH}/${VERSION}/0`, init: sized('PUT', 'part') },
];
/** What the save of a turn needs, until it is confirmed. */
const CLOSED_AFTER_SAVE: readonly Way[] = [
  { what: 'the refs for a push', path: `${GIT}/info/refs?service=git-receive-pack` },
  {
    what: 'a push',
    path: `${GIT}/git-receive-pack`,
    init: { method: 'POST', headers: { 'content-type': 'application/x-git-receive-pack-request' } },
  },
  { what: 'an object of Git LFS', path: `${GIT}/info/lfs/upload/x`, init: sized('PUT', 'object') },
  { what: 'a shared file', path: `/shared/${HASH}?name=a.txt`, init: sized('PUT', 'shared') },
];
/** What stays open between two turns, and is closed where the workspace or the repository is gone. */
const CLOSED_WHEN_WITHDRAWN: readonly Way[] = [
  { what: 'the refs for a fetch', path: `${GIT}/info/refs?service=git-upload-pack` },
  {
    what: 'a fetch',
    path: `${GIT}/git-upload-pack`,
    init: { method: 'POST', body: '0000', headers: { 'content-type': 'application/x-git-upload-pack-request' } },
  },
  { what: 'objects of Git LFS', path: `${GIT}/info/lfs/objects/batch`, init: sized('POST', '{}', json) },
  { what: 'a submodule', path: '/modules/eA/info/refs?service=git-upload-pack' },
  { what: 'a patch', path: `/patch/${'a'.repeat(40)}`, init: sized('PUT', 'diff') },
  { what: 'a part of a checkpoint', path: `/checkpoint/${HASH}`, init: sized('PUT', 'object') },
  { what: 'the checkpoint of an earlier life', path: `/checkpoint/1/${HASH}` },
  { what: 'a cache', path: `/cache/base-${HASH}` },
  { what: 'a bundle for later sessions', path: `/cache/base-${HASH}/${VERSION}/0`, init: sized('PUT', 'part') },
];

/** The refusal is the gateway's table's: not that the request was no good. */
async function isClosed(target: Target, token: string, { path, init }: Way): Promise<boolean> {
  const response = await target.gateway(token, path, init);
  const text = await response.text();
  if (path.startsWith('/mcp/')) return response.status === 403 || text.includes('"code":-32001');
  const isTold =
    /no turn is running|was stopped|is saved, and nothing else|no longer|was removed|has taken over|is in generation|only before Claude/.test(
      text,
    );
  return [403, 409].includes(response.status) && isTold;
}

async function closes(target: Target, token: string, ways: readonly Way[], withinMs: number, end: string) {
  const since = Date.now();
  for (const way of ways) {
    const limitMs = Math.max(500, withinMs + SLACK_MS - (Date.now() - since));
    await until(`${way.what} to be closed after ${end}`, () => isClosed(target, token, way), { limitMs, everyMs: 100 });
  }
}

interface AtWork {
  thread: LinearThread;
  session: CyrusSession;
  claims: Claims;
  token: string;
}

async function atWork(target: Target, title: string): Promise<AtWork> {
  const thread = target.assign(title, '[script: long-tool]');
  const session = await target.session(thread);
  await target.untilAtWork(session);
  const claims = target.claimsOf(session, thread);
  const token = await target.token(claims);
  for (const way of [...CLOSED_AT_ONCE.slice(0, 4), ...CLOSED_AFTER_SAVE, ...CLOSED_WHEN_WITHDRAWN]) {
    held(`${way.what} is open while a turn runs`, !(await isClosed(target, token, way)));
  }
  return { thread, session, claims, token };
}

async function change(target: Target, path: string, init: RequestInit): Promise<void> {
  const headers = { ...target.adminHeaders, 'content-type': 'application/json' };
  await answers(path, await target.ask(`/api/admin${path}`, { ...init, headers }), 200, 201, 204);
}

/** Everything by which people end what a session does. */
const ENDS: readonly [what: string, end: (target: Target, work: AtWork) => unknown][] = [
  ['somebody has written stop', (target, { thread }) => target.stack.linear.comment(thread.issue, 'stop')],
  [
    'somebody has pressed stop on the page',
    async (target, { session }) => {
      const init = {
        method: 'POST',
        headers: { ...target.password, ...json, origin: target.stack.url, 'sec-fetch-site': 'same-origin' },
        body: JSON.stringify({ id: crypto.randomUUID() }),
      };
      await answers('stop', await target.ask(`/api/sessions/${session.id}/stop`, init), 200, 202);
    },
  ],
  ['the issue was canceled', (target, { thread }) => target.stack.linear.moveIssue(thread.issue, 'canceled')],
  ['the issue was taken away from Cyrus', (target, { thread }) => target.stack.linear.undelegate(thread.issue)],
  ['the issue was deleted', (target, { thread }) => target.stack.linear.removeIssue(thread.issue)],
];

/** Each plays a session of its own. */
export const revocationAttacks: readonly Attack[] = [
  ...ENDS.map(
    ([what, end]): Attack => ({
      name: `A stolen token opens nothing that spends, changes or calls once ${what}, within ${SESSION_MS / 1_000} s`,
      attempt: async (target) => {
        const work = await atWork(target, `Until ${what}`);
        await end(target, work);
        await closes(target, work.token, CLOSED_AT_ONCE, SESSION_MS, what);
        await work.session.turnEnded(1, 120_000);
        await closes(target, work.token, CLOSED_AFTER_SAVE, SESSION_MS, what);
      },
    }),
  ),
  {
    name: 'A stolen token by which the decoy was shown opens nothing that spends, changes or calls any more, and its session is stopped',
    attempt: async (target) => {
      const work = await atWork(target, 'Until the alarm');
      const keys = { encryptionKey: target.stack.secrets.encryptionKey, oldEncryptionKey: null };
      const { value } = await decoyOf(keys, work.claims.s);
      const caught = await target.gateway(work.token, `${GIT}/info/refs?service=git-upload-pack&x=${value}`);
      await answers('the decoy', caught, 403);
      const ways = [...CLOSED_AT_ONCE, ...CLOSED_AFTER_SAVE];
      await closes(target, work.token, ways, SESSION_MS, 'the alarm');
      await work.session.turnEnded(1, 120_000);
      await closes(target, work.token, ways, SESSION_MS, 'the alarm');
      const push = await target.gateway(work.token, `${GIT}/git-receive-pack`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-git-receive-pack-request' },
        body: pushOf(`refs/heads/${work.claims.b}`, ' report-status'),
      });
      held('the push is refused', !(await push.text()).includes('ok refs/heads/'));
    },
  },
];

/** After these the workspace's sessions are over: they come last. */
export const removalAttacks: readonly Attack[] = [
  {
    name: `A stolen token opens nothing but reports once the repository was removed, within ${(SESSION_MS + DATABASE_MS) / 1_000} s`,
    attempt: async (target) => {
      const work = await atWork(target, 'Until the repository is removed');
      const path = `/workspaces/${target.stack.linear.workspace.id}/repositories/${SAMPLE_REPOSITORY}`;
      await change(target, path, { method: 'DELETE' });
      try {
        const ways = [...CLOSED_AT_ONCE, ...CLOSED_AFTER_SAVE, ...CLOSED_WHEN_WITHDRAWN];
        await closes(target, work.token, ways, SESSION_MS + DATABASE_MS, 'the removal');
      } finally {
        const cloneUrl = target.stack.git.cloneUrl(SAMPLE_REPOSITORY);
        const body = JSON.stringify({ cloneUrl, baseBranch: 'main', credential: { kind: 'github-app' } });
        await change(target, path, { method: 'PUT', body });
        target.stack.linear.comment(work.thread.issue, 'stop');
      }
      await work.session.turnEnded(1, 120_000);
    },
  },
  {
    name: 'A stolen token opens nothing but reports once the app was removed from the workspace, within 2 s',
    attempt: async (target) => {
      const work = await atWork(target, 'Until the app is removed');
      const { id, name, urlKey } = target.stack.linear.workspace;
      const body = JSON.stringify({
        type: 'OAuthApp',
        action: 'revoked',
        organizationId: id,
        oauthClientId: target.stack.linear.oauthClientId,
        createdAt: new Date().toISOString(),
        webhookTimestamp: Date.now(),
        webhookId: crypto.randomUUID(),
      });
      await answers('the removal', await target.webhook(body), 200);
      try {
        await closes(target, work.token, CLOSED_AT_ONCE, SESSION_MS, 'the removal');
        await work.session.turnEnded(1, 120_000);
        const ways = [...CLOSED_AT_ONCE, ...CLOSED_AFTER_SAVE, ...CLOSED_WHEN_WITHDRAWN];
        await closes(target, work.token, ways, SESSION_MS + DATABASE_MS, 'the removal');
      } finally {
        const accessToken = target.stack.secrets.linearAccessToken;
        const workspace = { name, urlKey, appUserId: target.stack.linear.appUserId, accessToken };
        await change(target, `/workspaces/${id}`, { method: 'PUT', body: JSON.stringify(workspace) });
      }
    },
  },
];
