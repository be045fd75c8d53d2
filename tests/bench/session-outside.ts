/** Linear's API and a sandbox server as far as benchmarks need them, and a session that is at work between them. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { ADMIN_TOKEN, delegate, ORGANIZATION } from './cyrus.ts';

export const BOOT_ID = randomUUID();
export const STREAM_ID = randomUUID();

const startSchema = z.object({
  generation: z.number(),
  gateway: z.object({ url: z.string(), token: z.string() }),
  repository: z.object({ fullName: z.string(), branch: z.string() }),
  claude: z.object({ conversationId: z.string() }),
});
export type Start = z.infer<typeof startSchema>;

/** A session whose sandbox was started. */
export interface StartedSandbox {
  id: string;
  start: Start;
}

export interface Outside {
  url: string;
  starts: StartedSandbox[];
  close: () => void;
}

/** Linear's API and a sandbox server, as far as a session needs them. */
export async function startOutside(): Promise<Outside> {
  const starts: StartedSandbox[] = [];
  const server = createServer(async (request, response) => {
    const body = await read(request);
    const [, kind, id = ''] = (request.url ?? '').split('/');
    response.setHeader('content-type', 'application/json');
    if (kind === 'graphql') return response.end(JSON.stringify({ data: linearData(body) }));
    if (kind !== 'sessions') return response.writeHead(404).end('{}');
    if (request.method === 'GET') return response.end('{"files":[]}');
    if (request.method === 'POST') return response.writeHead(202).end('{}');
    const start = startSchema.parse(JSON.parse(body));
    starts.push({ id, start });
    const { generation } = start;
    const identity = { sessionId: id, generation, bootId: BOOT_ID, streamId: STREAM_ID };
    response.end(JSON.stringify({ ...identity, lastSeq: 0, state: 'preparing' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, starts, close: () => void server.close() };
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function linearData(body: string): object {
  const { variables = {} } = z
    .object({ variables: z.record(z.string(), z.unknown()).optional() })
    .parse(JSON.parse(body));
  const said = Object.keys(variables).filter((name) => /^a\d+$/.test(name));
  if (said.length > 0 || 'change' in variables)
    return Object.fromEntries(said.map((name) => [name, { success: true }]));
  const states = { nodes: [{ id: 'started', position: 1 }] };
  const team = { key: 'ENG', name: 'Engineering', states };
  return {
    viewer: { id: 'app-user' },
    issue: { description: 'It fails.', labels: { nodes: [] }, project: null, team, state: { type: 'started' } },
    issueUpdate: { success: true },
    issueRepositorySuggestions: { suggestions: [] },
  };
}

/**
 * Sets up a workspace with one repository, and has Linear delegate an issue.
 * @param url of a Worker whose variables name the stand-ins (LINEAR_API_URL, SANDBOX_ENDPOINT_URL)
 * @param cloneUrl of the repository, with the credential where it needs one
 * @returns once the sandbox was asked to start
 */
export async function beginSession(
  url: string,
  { starts }: Outside,
  cloneUrl = 'https://git.example/acme/shop.git',
  credential?: { username: string; password: string },
): Promise<StartedSandbox> {
  const admin = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
  const workspace = { name: 'Bench', urlKey: 'bench', appUserId: 'app-user', accessToken: 'lin_oauth_bench' };
  const repository = { cloneUrl, baseBranch: 'main', ...(credential && { credential }) };
  for (const [path, body] of [
    [`/api/admin/workspaces/${ORGANIZATION}`, workspace],
    [`/api/admin/workspaces/${ORGANIZATION}/repositories/acme/shop`, repository],
  ] as const) {
    const response = await fetch(url + path, { method: 'PUT', headers: admin, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`);
  }
  await delegate(url, randomUUID());
  for (let waited = 0; starts.length === 0; waited += 50) {
    if (waited > 30_000) throw new Error('the sandbox was not started');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const [started] = starts;
  if (!started) throw new Error('the sandbox was not started');
  return started;
}
