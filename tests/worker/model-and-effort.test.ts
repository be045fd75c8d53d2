/** Which model and which effort a session's sandbox is started with, and what people are told of it. */
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it, vi } from 'vitest';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { Reporter, registerWorkspace } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

async function set(settings: object): Promise<void> {
  const repository = {
    cloneUrl: 'https://git.test/acme/shop.git',
    baseBranch: 'main',
    settings: repositorySettingsSchema.parse(settings),
  };
  await upsertRepository(openDatabase(env.DB, env.ENCRYPTION_KEY), ORGANIZATION, 'acme/shop', repository, 1);
}

const chosen = () =>
  outside.starts.map(({ body: { claude } }) => ({
    model: claude.model,
    ...(claude.effort && { effort: claude.effort }),
  }));

it('the effort of a role is set for the repository; a tag in the issue or a comment wins, and stays', async () => {
  await set({ effort: 'low', roleEfforts: { builder: 'medium' }, roleModels: { builder: 'haiku' } });
  const thread = newThread();
  const reporter = new Reporter(thread);
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  expect(chosen()).toEqual([{ model: 'haiku', effort: 'medium' }]);
  await reporter.report(init, result('Done.', [thread.agentSessionId]), saved(1, 0));
  await send(prompted(thread, 'Harder, please. [effort=high]'));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
  await vi.waitFor(() => expect(JSON.stringify(outside.said)).toContain('model haiku, effort high (as asked)'));
  const prompt = await vi.waitFor(() => {
    const last = outside.commands.findLast(({ type }) => type === 'prompt');
    expect(last?.id).not.toBe(thread.agentSessionId);
    return last;
  });
  await reporter.report(init, result('Done.', [prompt?.id ?? '']), saved(2, 0));
  await send(prompted(thread, 'Go on.'));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(3));
  expect(chosen().at(-1)).toEqual({ model: 'haiku', effort: 'high' });
});

it('an effort that Claude does not have is refused, with those that it has', async () => {
  await set({});
  outside.facts = { ...outside.facts, description: 'Mend it. [effort=enormous]' };
  await send(created(newThread()));
  await vi.waitFor(() =>
    expect(JSON.stringify(outside.said)).toMatch(
      /asks for the effort .{0,3}enormous.*`\[effort=low\]`.*`\[effort=max\]`/,
    ),
  );
  expect(outside.starts).toEqual([]);
});

it('without a wish, a label or a setting the model decides about its effort', async () => {
  await set({});
  await send(created(newThread()));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
  expect(chosen()).toEqual([{ model: 'sonnet' }]);
});
