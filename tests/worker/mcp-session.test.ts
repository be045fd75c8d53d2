/** What an issue session makes of the MCP servers of its repository. */
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it, vi } from 'vitest';
import { mcpServerInputSchema } from '../../src/protocol/settings/mcp.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putMcpServer } from '../../src/store/workspaces/mcp-servers.ts';
import { findRepositoryId, upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { created, issueUpdate, newThread, ORGANIZATION, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, registerWorkspace } from './support/sessions.ts';

const SECRET = 'credential-that-must-not-reach-a-sandbox';
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
let outside: Outside;

async function addServer(name: string, input: object): Promise<void> {
  const repositoryId = await findRepositoryId(db, ORGANIZATION, 'acme/site');
  await putMcpServer(db, repositoryId ?? '', name, mcpServerInputSchema.parse(input), { kept: false, now: 1 });
}

beforeEach(async () => {
  outside = new Outside();
  await env.DB.exec('DELETE FROM repositories');
  await registerWorkspace();
  const settings = repositorySettingsSchema.parse({ isDefault: true });
  const input = { cloneUrl: 'https://git.test/acme/site.git', baseBranch: 'main', settings };
  await upsertRepository(db, ORGANIZATION, 'acme/site', input, 1);
});

it('a session tells its sandbox of its MCP servers, without their credentials', async () => {
  const headers = { authorization: `Bearer ${SECRET}` };
  await addServer('notes', { kind: 'http', url: 'https://notes.example.com/mcp', headers });
  await addServer('calculator', { kind: 'stdio', command: 'calculate', args: ['--fast'] });
  await send(created(newThread()));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
  const { claude } = outside.starts[0]?.body ?? {};
  expect(claude?.mcpServers).toMatchObject([
    { kind: 'stdio', name: 'calculator', command: 'calculate', args: ['--fast'], env: {}, rules: { others: 'run' } },
    { kind: 'gateway', name: 'notes', rules: { others: 'run' } },
  ]);
  expect(JSON.stringify(outside.starts[0]?.body)).not.toContain(SECRET);
});

it('a session gives a role that only looks the tools of Linear’s server that only look', async () => {
  await addServer('linear', { kind: 'linear' });
  outside.facts = { ...outside.facts, labels: { nodes: [{ name: 'PRD' }] } };
  await send(created(newThread()));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
  expect(outside.starts[0]?.body.claude.mcpServers).toMatchObject([
    { kind: 'gateway', name: 'linear', rules: { free: ['get_*', 'list_*', 'search_*'], others: 'refuse' } },
  ]);
});

it('a session is not stirred by what Claude does with the rights of the app: neither a state, nor a text, nor a comment of its own', async () => {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const actor = { id: env.LINEAR_CLIENT_ID, name: 'Cyrus', type: 'oauthClient' };
  const ignored = { outcome: 'ignored', reason: 'self_triggered' };
  const completed = issueUpdate(thread, { stateId: 'before' }, { state: { type: 'completed' } });
  expect(await (await send({ ...completed, actor })).json()).toEqual(ignored);
  const changed = issueUpdate(thread, { title: 'before' }, { title: 'after' });
  expect(await (await send({ ...changed, actor })).json()).toEqual(ignored);
  const said = prompted(thread, 'I looked at it.') as { agentActivity: object };
  const own = { ...said, agentActivity: { ...said.agentActivity, userId: 'app-user-1' } };
  expect(await (await send(own)).json()).toEqual(ignored);
  expect((await page(thread))?.session).toMatchObject({ phase: 'starting' });
  expect(outside.commands).toHaveLength(1);
});
