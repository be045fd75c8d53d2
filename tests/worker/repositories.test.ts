import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace } from './support/sessions.ts';

let outside: Outside;

async function addRepository(fullName: string, settings: object = {}): Promise<void> {
  const input = {
    cloneUrl: `https://git.test/${fullName}.git`,
    baseBranch: 'main',
    settings: repositorySettingsSchema.parse(settings),
  };
  await upsertRepository(openDatabase(env.DB, env.ENCRYPTION_KEY), ORGANIZATION, fullName, input, 1);
}

beforeEach(async () => {
  outside = new Outside();
  await env.DB.exec('DELETE FROM repositories');
  await registerWorkspace();
});

it('a label sends the issue to its repository, and gives Claude its role, model and tools', async () => {
  await addRepository('acme/site', { labels: ['Website'] });
  outside.facts = { ...outside.facts, labels: { nodes: [{ name: 'website' }, { name: 'PRD' }, { name: 'opus' }] } };
  await send(created(newThread()));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const { repository, claude } = outside.starts[0]?.body ?? {};
  expect(repository?.fullName).toBe('acme/site');
  expect(claude?.model).toBe('opus');
  expect(claude?.tools).not.toContain('Edit');
  expect(claude?.systemPrompt).toContain('Your role is scoper.');
  expect(repository?.readOnly).toBe(true);
});

it('a tag in the comment names repository and branch, and the thread is told what was chosen', async () => {
  await addRepository('acme/site', { baseBranches: ['release'] });
  const thread = newThread();
  await send(prompted(thread, 'Mend this. [repo=acme/site#release]'));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
  expect(outside.starts[0]?.body.repository).toMatchObject({ fullName: 'acme/site', baseBranch: 'release' });
  const words = 'Working in acme/site, because the issue names it. Base branch `release` (as asked)';
  await vi.waitFor(() => expect(JSON.stringify(outside.said)).toContain(words));
});

it('if nothing decides, the thread is asked, and the answer starts the work there', async () => {
  await addRepository('acme/site');
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.said.map(({ content }) => content.type)).toContain('elicitation'));
  expect((await page(thread))?.session).toMatchObject({ phase: 'asking', repository: null });
  expect(outside.starts).toHaveLength(0);
  await send(prompted(thread, 'acme/site'));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  expect(outside.starts[0]?.body.repository.fullName).toBe('acme/site');
  expect(outside.commands[0]?.id).toBe(thread.agentSessionId);
});

it('a person who is not allowed is refused kindly, and no sandbox is started', async () => {
  await addRepository('acme/shop', { allowedUsers: ['grace@example.com'] });
  await send(created(newThread()));
  await vi.waitFor(() => expect(outside.said.at(-1)?.content.type).toBe('response'));
  expect(outside.said.at(-1)?.content.body).toContain('Sorry');
  expect(outside.starts).toHaveLength(0);
});

describe('if no rule decides', () => {
  const suggest = (answer: () => Response) => {
    outside.interfere = (_url, body) => (body.includes('SuggestRepositories') ? answer() : null);
  };

  it('Linear’s own suggestion does, if it is sure', async () => {
    await addRepository('acme/site');
    suggest(() => {
      const suggestions = [{ repositoryFullName: 'acme/site', confidence: 0.95 }];
      return Response.json({ data: { issueRepositorySuggestions: { suggestions } } });
    });
    await send(created(newThread()));
    await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
    expect(outside.starts[0]?.body.repository.fullName).toBe('acme/site');
  });

  it('and Linear cannot say, people are asked', async () => {
    await addRepository('acme/site');
    suggest(() => Response.json({ errors: [{ message: 'Feature not accessible' }] }, { status: 400 }));
    await send(created(newThread()));
    await vi.waitFor(() => expect(outside.said.map(({ content }) => content.type)).toContain('elicitation'));
    expect(outside.starts).toHaveLength(0);
  });
});

it('the rules of the issue’s team come before those of the workspace, in what Claude is given', async () => {
  const team = { id: 'team-1', key: 'ENG', name: 'Engineering', displayName: 'Engineering', parentId: null };
  const guidance = [
    { body: 'Use spaces.', origin: { type: 'Organization' } },
    { body: 'Use tabs.', origin: { type: 'Team', team } },
  ];
  await send(created(newThread(), { guidance }));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const [prompt] = outside.commands;
  const text = prompt?.type === 'prompt' ? prompt.text : '';
  expect(text).toMatch(/From the issue's team Engineering:.*Use tabs\..*From the workspace:.*Use spaces\./s);
});

it('the sandbox is told the role, for which the repository may have a prompt of its own', async () => {
  outside.facts = { ...outside.facts, labels: { nodes: [{ name: 'Bug' }] } };
  await send(created(newThread()));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
  expect(outside.starts[0]?.body.claude.role).toBe('debugger');
});

it('a session whose repository was removed says so, and continues in no other one', async () => {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const reporter = new Reporter(thread);
  await reporter.report(init, result('Done.', [thread.agentSessionId]), saved(1));
  await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
  await env.DB.exec('DELETE FROM repositories');
  await addRepository('acme/site');
  await send(prompted(thread, 'And now the second half.'));
  await vi.waitFor(() => expect(outside.said.at(-1)?.content).toMatchObject({ type: 'error' }));
  expect(outside.said.at(-1)?.content.body).toContain(
    'the repository acme/shop, in which this session works, is no longer set up',
  );
  expect(outside.starts).toHaveLength(1);
});

it('a session whose repository was given another clone address says so, and continues in neither with what it has', async () => {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const reporter = new Reporter(thread);
  await reporter.report(init, result('Done.', [thread.agentSessionId]), saved(1));
  await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const set = (cloneUrl: string) =>
    upsertRepository(database, ORGANIZATION, 'acme/shop', { cloneUrl, baseBranch: 'main' }, 2);
  await set('https://elsewhere.test/acme/shop.git');
  await send(prompted(thread, 'And now the second half.'));
  await vi.waitFor(() => expect(outside.said.at(-1)?.content).toMatchObject({ type: 'error' }));
  expect(outside.said.at(-1)?.content.body).toContain('the clone address of acme/shop changed since this session');
  expect(outside.starts).toHaveLength(1);
  // Set back, it goes on where it was.
  await set('https://git.test/acme/shop.git');
  await send(prompted(thread, 'And now?'));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
  expect(outside.starts[1]?.body.claude.conversationId).toBe(outside.starts[0]?.body.claude.conversationId);
});
