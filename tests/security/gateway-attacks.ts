/** The gateway forwards what it understood: pushes, requests to Claude's API and MCP calls that say more than they seem to. */
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import type { Claims } from '../../src/gateway/token.ts';
import { type Attack, answers, held } from './attack.ts';
import type { Target } from './target.ts';
import { pushOf } from './token-attacks.ts';

async function push(target: Target, claims: Claims, body: string): Promise<string> {
  const headers = { 'content-type': 'application/x-git-receive-pack-request' };
  const path = `/git/${SAMPLE_REPOSITORY}.git/git-receive-pack`;
  const response = await target.gateway(await target.token(claims), path, { method: 'POST', headers, body });
  return answers('a push', response, 200, 400, 403);
}

/** What the CLI asks, as far as it matters here. */
function request(changes: object): string {
  return JSON.stringify({
    model: 'claude-sonnet-5',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'Hello' }],
    ...changes,
  });
}

/** What a prompt could have Claude's API do, beside answering. */
const ORDERS: [string, object][] = [
  [
    'an image by its address',
    {
      messages: [
        { role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'http://169.254.169.254/' } }] },
      ],
    },
  ],
  [
    'a document by its address in a tool result',
    {
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 't',
              content: [{ type: 'document', source: { type: 'url', url: 'https://evil.example/' } }],
            },
          ],
        },
      ],
    },
  ],
  ['MCP servers', { mcp_servers: [{ type: 'url', url: 'https://evil.example/', name: 'x' }] }],
  ['fetching of web pages', { tools: [{ type: 'web_fetch_20260209', name: 'web_fetch' }] }],
  ['running of code', { tools: [{ type: 'code_execution_20260120', name: 'code_execution' }] }],
  ['a container', { container: 'container_1' }],
  ['another model', { model: 'claude-of-another-kind-9' }],
  ['no model', { model: null }],
  ['a field that nobody knows', { run_on_host: true }],
];

export function gatewayAttacks(claims: Claims): Attack[] {
  return [
    {
      name: 'A push moves the branch of its session alone, and no option is hidden in it',
      attempt: async (target) => {
        const before = JSON.stringify(await target.stack.git.branches(SAMPLE_REPOSITORY));
        const own = `refs/heads/${claims.b}`;
        for (const body of [
          pushOf('refs/heads/main', ' report-status'),
          pushOf('refs/tags/v1', ' report-status'),
          pushOf(`${own}/../main`, ' report-status'),
          pushOf(`${own}\n`, ' report-status'),
          pushOf(own, ' report-status push-options'),
          pushOf(own, ' report-status push-options=1'),
          pushOf(own, ' report-status\tpush-options'),
          pushOf(own, ' report-status\npush-options'),
          pushOf(own, ' report-status unknown-capability'),
          pushOf(own, ' report-status', '1'.repeat(40), '0'.repeat(40)),
          `${pushOf(own, ' report-status').slice(0, -4)}${pushOf('refs/heads/main', ' report-status')}`,
          '0000',
          'ffff',
          '0001',
          '',
        ]) {
          const answer = await push(target, claims, body);
          held(
            `${JSON.stringify(body.slice(0, 120))} moves nothing: ${answer.slice(0, 200)}`,
            !/\bok refs\//.test(answer),
          );
        }
        held('no branch has moved', before === JSON.stringify(await target.stack.git.branches(SAMPLE_REPOSITORY)));
      },
    },
    ...ORDERS.map(
      ([what, changes]): Attack => ({
        name: `Claude's API is not asked for ${what}`,
        attempt: async (target) => {
          const token = await target.token({ ...claims, m: ['sonnet'] });
          const asked = () => target.stack.model?.requests().length ?? 0;
          const before = asked();
          for (const headers of [{ 'content-type': 'application/json' }, { 'content-type': 'text/plain' }]) {
            const init = { method: 'POST', headers, body: request(changes) };
            await answers(what, await target.gateway(token, '/anthropic/v1/messages?beta=true', init), 400, 403);
          }
          held('the API has not seen it', asked() === before);
        },
      }),
    ),
    {
      name: "Claude's API is reached by known paths and betas alone",
      attempt: async (target) => {
        const token = await target.token({ ...claims, m: ['sonnet'] });
        for (const path of [
          '/v1/files',
          '/v1/messages/batches',
          '/v1/organizations',
          '/v1/messages/../files',
          '/v1//messages',
          '/',
        ]) {
          await answers(
            path,
            await target.gateway(token, `/anthropic${path}`, { method: 'POST', body: request({}) }),
            400,
            403,
            404,
            405,
          );
        }
        const headers = {
          'content-type': 'application/json',
          'anthropic-beta': 'mcp-client-2025-11-20, files-api-2025-04-14',
        };
        const init = { method: 'POST', headers, body: request({}) };
        await answers('unknown betas', await target.gateway(token, '/anthropic/v1/messages', init), 400, 403);
      },
    },
    {
      name: 'An MCP server is reached by its name in this repository, and by methods that are known',
      attempt: async (target) => {
        const token = await target.token(claims);
        for (const server of ['linear', 'other', '..%2fevents', '%00', 'x'.repeat(3_000)]) {
          const init = { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }) };
          await answers(server, await target.gateway(token, `/mcp/${server}`, init), 400, 403, 404);
        }
      },
    },
    {
      name: 'What a setup script made is neither stored nor deleted once Claude is started',
      attempt: async (target) => {
        const token = await target.token(claims);
        const entry = `/cache/setup-${'a'.repeat(64)}`;
        const version = '00000000-0000-4000-8000-000000000000';
        const part = { method: 'PUT', body: 'x', headers: { 'content-length': '1' } };
        await answers('a part', await target.gateway(token, `${entry}/${version}/0`, part), 400, 403, 404);
        const manifest = { method: 'PUT', body: JSON.stringify({ version, parts: [1] }) };
        await answers('a manifest', await target.gateway(token, entry, manifest), 400, 403, 404);
        await answers('a deletion', await target.gateway(token, entry, { method: 'DELETE' }), 400, 403, 404, 405);
      },
    },
    {
      name: 'Forged numbers, times and names in what a sandbox reports are refused in words or kept as unreadable',
      attempt: async (target) => {
        const token = await target.token(claims);
        const frame = { protocol: 2, generation: claims.g, bootId: crypto.randomUUID(), streamId: crypto.randomUUID() };
        for (const events of [
          [{ seq: -1, at: 0, type: 'notice', text: 'x' }],
          [{ seq: 1e300, at: 1e300, type: 'notice', text: 'x' }],
          [{ seq: 1, at: 'now', type: 'notice', text: 'x' }],
          [{ seq: 1, at: 0, type: 'saved', turn: 1, branch: '../x', head: 'HEAD', commits: {}, files: 3 }],
          'none',
          Array.from({ length: 5_000 }, (_, at) => ({ seq: at + 1, at, type: 'notice', text: '' })),
        ]) {
          const init = { method: 'POST', body: JSON.stringify({ ...frame, events }) };
          await answers(JSON.stringify(events).slice(0, 60), await target.gateway(token, '/events', init), 400, 409);
        }
      },
    },
  ];
}
