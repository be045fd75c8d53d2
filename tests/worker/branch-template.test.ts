import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace, session } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

async function template(branchTemplate: string, more: object = {}): Promise<void> {
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const repository = {
    cloneUrl: 'https://git.test/acme/shop.git',
    baseBranch: 'main',
    settings: repositorySettingsSchema.parse({ branchTemplate, ...more }),
  };
  await upsertRepository(database, ORGANIZATION, 'acme/shop', repository, 1);
}

/** Id of the prompt that was handed over last. */
function lastPrompt(): string {
  return outside.commands.findLast(({ type }) => type === 'prompt')?.id ?? '';
}

describe('the branch of a session', () => {
  it('is named by the repository’s template, with Linear’s suggestion in it, and stays when the template changes', async () => {
    outside.facts = { ...outside.facts, branchName: 'ada/eng-7-round' };
    await template('agents/{branchName}');
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    expect(outside.starts[0]?.body.repository.branch).toBe('agents/ada/eng-7-round');
    await vi.waitFor(async () => expect((await page(thread))?.session.branch).toBe('agents/ada/eng-7-round'));
    const reporter = new Reporter(thread);
    await reporter.report(init, result('Looked.', [thread.agentSessionId]), saved(1, 0));
    await template('other/{identifier}');
    await send(prompted(thread, 'Go on.'));
    await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
    expect(outside.starts[1]?.body.repository.branch).toBe('agents/ada/eng-7-round');
  });

  it('begins from the base that a comment names after a wrong wish; a comment for another repository is told what to do', async () => {
    await template('cyrus/{identifier}', { baseBranches: ['rel*'] });
    outside.facts = { ...outside.facts, description: '[repo=acme/shop#relase] Mend it.' };
    const thread = newThread();
    const reporter = new Reporter(thread);
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const failure = { type: 'failed', step: 'mirror', message: 'There is no branch relase.', hint: 'x' } as const;
    await reporter.report(failure);
    await send(prompted(thread, 'Sorry: [repo=acme/shop#release]'));
    await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
    expect(outside.starts.map(({ body }) => body.repository.baseBranch)).toEqual(['relase', 'release']);
    await vi.waitFor(() => expect(outside.commands.some(({ type }) => type === 'prompt')).toBe(true));
    await reporter.report(init, result('Done.', [lastPrompt()]), saved(2, 0));
    await send(prompted(thread, '[repo=acme/other] there, please'));
    await vi.waitFor(() =>
      expect(JSON.stringify(outside.said)).toContain('this session works in acme/shop, where its branch'),
    );
  });

  it('may be what the sandbox took instead, also if it says so before its start is answered', async () => {
    await template('feature/{identifier}');
    const ready = { type: 'ready', branch: 'feature-eng-7', baseCommit: 'a', worktree: '/w', resumed: false } as const;
    const thread = newThread();
    const reporter = new Reporter(thread);
    outside.interfere = (url, _body, request) => {
      if (request.method !== 'PUT' || !/\/sessions\/[^/]+$/.test(url)) return null;
      void reporter.report(ready);
      return null;
    };
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await vi.waitFor(async () => expect(await session(thread).branch()).toBe('feature-eng-7'));
  });

  describe('of a repository on GitHub whose rules do not allow the name by the template', () => {
    const STARTS = { type: 'branch_name_pattern', parameters: { operator: 'starts_with', pattern: 'feature/' } };

    /** @param answer what GitHub says of the rules for a branch */
    async function rules(answer: (branch: string) => Response): Promise<string[]> {
      const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
      const repository = {
        cloneUrl: 'https://github.com/acme/shop.git',
        baseBranch: 'main',
        credential: { kind: 'github-token', token: 'github_pat_of_the_test' } as const,
      };
      await upsertRepository(database, ORGANIZATION, 'acme/shop', repository, 1);
      const asked: string[] = [];
      outside.interfere = (url) => {
        const branch = /repos\/acme\/shop\/rules\/branches\/([^?]+)/.exec(url)?.[1];
        if (branch === undefined) return null;
        asked.push(decodeURIComponent(branch));
        return answer(decodeURIComponent(branch));
      };
      return asked;
    }

    it('has another one from the first start on, of which threads and Claude are told', async () => {
      const asked = await rules(() => Response.json([STARTS]));
      const thread = newThread();
      await send(created(thread));
      await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
      const { repository, claude } = outside.starts[0]?.body ?? {};
      expect(repository?.branch).toBe('feature/cyrus-eng-7');
      const words = 'The branch is `feature/cyrus-eng-7`, because under GitHub’s rules for acme/shop';
      expect(claude?.systemPrompt).toContain(words);
      await vi.waitFor(() => expect(JSON.stringify(outside.said)).toContain(words));
      await vi.waitFor(async () => expect((await page(thread))?.session.branch).toBe('feature/cyrus-eng-7'));
      await new Reporter(thread).report(init, result('Looked.', [thread.agentSessionId]), saved(1, 0));
      const before = asked.length;
      await rules(() => Response.json([{ type: 'creation' }]));
      await send(prompted(thread, 'Go on.'));
      await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
      expect(outside.starts[1]?.body.repository.branch).toBe('feature/cyrus-eng-7');
      expect(asked).toHaveLength(before);
    });

    it('is reported as impossible at the start if no name is allowed', async () => {
      await rules(() => Response.json([{ type: 'creation', ruleset_id: 7 }]));
      await send(created(newThread()));
      await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
      expect(outside.starts[0]?.body.repository.branch).toBe('cyrus/eng-7');
      expect(outside.starts[0]?.body.claude.systemPrompt).toContain('Pushing the work will probably fail');
      await vi.waitFor(() => expect(JSON.stringify(outside.said)).toContain('Pushing the work will probably fail'));
    });

    it.each([403, 404, 500, 301])('is as the template says if GitHub answers %i', async (status) => {
      const asked = await rules(() => Response.json({ message: 'No' }, { status }));
      await send(created(newThread()));
      await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
      expect(asked).toEqual(['cyrus/eng-7']);
      expect(outside.starts[0]?.body.repository.branch).toBe('cyrus/eng-7');
      expect(JSON.stringify(outside.said)).not.toContain('pushed');
    });
  });
});
