/** The session token: a thief or forger of one gets no further than its session, and not past its end. */
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import { until } from '../e2e/run.ts';
import { type Attack, answers, held } from './attack.ts';
import type { Target } from './target.ts';

const REFS = `/git/${SAMPLE_REPOSITORY}.git/info/refs?service=git-upload-pack`;

/** What a token could be used for: everything the gateway does. */
export function uses(claims: Claims): { path: string; init: RequestInit }[] {
  const put = (body: string): RequestInit => ({
    method: 'PUT',
    body,
    headers: { 'content-length': String(body.length) },
  });
  return [
    { path: REFS, init: {} },
    { path: `/git/${SAMPLE_REPOSITORY}.git/info/refs?service=git-receive-pack`, init: {} },
    { path: '/anthropic/v1/messages', init: { method: 'POST', body: '{}' } },
    { path: '/anthropic/v1/models', init: {} },
    {
      path: '/events',
      init: { method: 'POST', body: JSON.stringify({ protocol: 2, generation: claims.g, events: [] }) },
    },
    { path: `/patch/${'a'.repeat(40)}`, init: put('diff') },
    { path: `/checkpoint/${'a'.repeat(64)}`, init: put('object') },
    { path: `/shared/${'a'.repeat(64)}`, init: put('shared') },
    { path: `/cache/setup-${'a'.repeat(64)}`, init: {} },
    { path: '/mcp/linear', init: { method: 'POST', body: '{}' } },
    { path: '/modules/eA/info/refs?service=git-upload-pack', init: {} },
  ];
}

/** What stays open between two turns: its own repository is fetched, and what it has is kept and reported. */
const AT_REST = /^\/(events|patch|checkpoint|git\/.*upload-pack|modules)/;

async function refusedEverywhere(target: Target, what: string, token: string, claims: Claims): Promise<void> {
  for (const { path, init } of uses(claims).filter(
    (use) => !AT_REST.test(use.path) && !use.path.startsWith('/cache'),
  )) {
    await answers(`${what} at ${path}`, await target.gateway(token, path, init), 401, 403, 404, 409);
  }
}

/** @param claims of a session that is at work */
export function tokenAttacks(claims: Claims): Attack[] {
  return [
    {
      name: 'Without a token the gateway answers nothing but 401',
      attempt: async (target) => {
        for (const { path, init } of uses(claims)) {
          await answers(path, await target.ask(`/gateway${path}`, init), 401);
        }
      },
    },
    {
      name: 'A token signed with another key, cut, lengthened, changed or run out opens nothing',
      attempt: async (target) => {
        const real = await target.token(claims);
        const [head = '', signature = ''] = real.split('.');
        const raised = Buffer.from(JSON.stringify({ ...claims, r: 'acme/other', e: 9_999_999_999 })).toString(
          'base64url',
        );
        for (const [what, token] of [
          ['another key', await mintToken({ encryptionKey: btoa('k'.repeat(32)) }, claims)],
          ['run out', await target.token(claims, -1_000)],
          ['no signature', head],
          ['an empty signature', `${head}.`],
          ['a cut signature', `${head}.${signature.slice(0, -4)}`],
          ['a changed payload', `cyrus_st_${raised}.${signature}`],
          ['two payloads', `${real}.${signature}`],
          ['another prefix', real.replace('cyrus_st_', 'cyrus_xx_')],
          ['a huge one', `cyrus_st_${'A'.repeat(9_000)}.${signature}`],
        ] as const) {
          for (const { path, init } of uses(claims)) {
            await answers(`${what} at ${path}`, await target.gateway(token, path, init), 401);
          }
        }
      },
    },
    {
      name: "A container's token opens nothing outside of its container",
      attempt: async (target) => {
        const token = await target.token({ ...claims, p: 'container' });
        for (const { path, init } of uses(claims)) await answers(path, await target.gateway(token, path, init), 401);
      },
    },
    {
      name: 'A token that names an object of another deployment opens nothing',
      attempt: async (target) => {
        for (const s of ['f'.repeat(64), 'x', '']) {
          const token = await target.token({ ...claims, s });
          await answers(`session ${s}`, await target.gateway(token, REFS), 401, 403);
        }
      },
    },
    {
      name: 'A token reaches its own repository alone, however the address is written',
      attempt: async (target) => {
        const token = await target.token(claims);
        for (const path of [
          '/git/acme/other.git/info/refs?service=git-upload-pack',
          `/git/${SAMPLE_REPOSITORY}.git%2f..%2fother.git/info/refs?service=git-upload-pack`,
          `/git/${SAMPLE_REPOSITORY}.git/../other.git/info/refs?service=git-upload-pack`,
          `/git//${SAMPLE_REPOSITORY}.git/info/refs?service=git-upload-pack`,
          `/git/${SAMPLE_REPOSITORY.toUpperCase()}.git/info/refs?service=git-upload-pack`,
          `/git/acme%2fshop.git/info/refs?service=git-upload-pack`,
          `/git/${SAMPLE_REPOSITORY}.git/objects/info/packs`,
          `/git/${SAMPLE_REPOSITORY}.git/info/refs?service=git-upload-archive`,
          `/git/${SAMPLE_REPOSITORY}.git/info/refs`,
          `/git/${SAMPLE_REPOSITORY}.git/HEAD`,
        ]) {
          await answers(path, await target.gateway(token, path), 400, 401, 403, 404, 405);
        }
      },
    },
    {
      name: 'A session that only looks pushes nothing and stores nothing for other sessions',
      attempt: async (target) => {
        const token = await target.token({ ...claims, ro: true });
        const body = 'part';
        const headers = { 'content-length': String(body.length) };
        const cache = `/cache/base-${'a'.repeat(64)}/00000000-0000-4000-8000-000000000000/0`;
        await answers(
          'a cache entry',
          await target.gateway(token, cache, { method: 'PUT', body, headers }),
          400,
          401,
          403,
          404,
          405,
          409,
        );
        const before = await target.stack.git.branches(SAMPLE_REPOSITORY);
        const push = await target.gateway(token, `/git/${SAMPLE_REPOSITORY}.git/git-receive-pack`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-git-receive-pack-request' },
          body: pushOf(`refs/heads/${claims.b}`, ' report-status'),
        });
        held('the push is refused', !(await push.text()).includes('ok refs/heads/'));
        held(
          'no branch has moved',
          JSON.stringify(before) === JSON.stringify(await target.stack.git.branches(SAMPLE_REPOSITORY)),
        );
      },
    },
  ];
}

/** The head of a push of one ref, with capabilities as they are given. */
export function pushOf(ref: string, capabilities: string, oldId = '0'.repeat(40), newId = '1'.repeat(40)): string {
  const line = `${oldId} ${newId} ${ref}\0${capabilities}`;
  return `${(Buffer.byteLength(line) + 4).toString(16).padStart(4, '0')}${line}0000`;
}

/** @param live of a session that is at work */
export function lostTokenAttacks(live: Claims): Attack[] {
  return [
    {
      name: 'A token of another life, of a workspace that was revoked, or of a repository that was removed opens nothing',
      attempt: async (target) => {
        for (const [what, changes] of [
          ['another life', { g: live.g + 1 }],
          ['a workspace that is not there', { w: 'cccccccc-1111-4222-8333-dddddddddddd' }],
          ['a repository that is not there', { r: 'acme/removed' }],
        ] as const) {
          await refusedEverywhere(target, what, await target.token({ ...live, ...changes }), { ...live, ...changes });
        }
      },
    },
    {
      name: 'A token opens nothing more once somebody has stopped its session, or the issue was canceled',
      attempt: async (target) => {
        for (const [what, end] of [
          ['stopped', (issue: string) => target.stack.linear.comment(issue, 'stop')],
          ['canceled', (issue: string) => target.stack.linear.moveIssue(issue, 'canceled')],
        ] as const) {
          const thread = target.assign(`To be ${what}`, '[script: long-tool]');
          const session = await target.session(thread);
          await target.untilAtWork(session);
          const claims = target.claimsOf(session, thread);
          const token = await target.token(claims);
          held('it is open before', (await target.gateway(token, REFS)).status === 200);
          end(thread.issue);
          await session.turnEnded(1, 120_000);
          // What was heard of it a moment ago counts for two seconds.
          const isClosed = async () => (await target.gateway(token, '/anthropic/v1/models')).status === 403;
          await until(`the token of what was ${what} to be refused`, isClosed, { limitMs: 10_000, everyMs: 200 });
          await refusedEverywhere(target, what, token, claims);
        }
      },
    },
  ];
}

/** @param claims of a session whose work is over */
export function endedTokenAttacks(claims: Claims): Attack[] {
  return [
    {
      name: 'Between two turns a token reaches neither Claude, nor tools, nor a push, nor what people or other sessions are given',
      attempt: async (target) => refusedEverywhere(target, 'an ended session', await target.token(claims), claims),
    },
  ];
}
