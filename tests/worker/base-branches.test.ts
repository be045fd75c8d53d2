import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send, type Thread } from './support/linear-webhook.ts';
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

/** What a thread was told last; sessions of earlier tests may speak too. */
function lastSaid({ agentSessionId }: Thread) {
  return outside.said.findLast((one) => one.agentSessionId === agentSessionId);
}

describe('a branch that may not be what work starts from', () => {
  it.each([
    ['by the patterns of an admin', { baseBranches: ['release/*'] }, 'and what fits `release/*`'],
    ['where none are set, and the host cannot be asked', {}, 'allowed is its base branch `main`'],
  ])('is refused %s, in words that say who can change that, and the person is asked', async (_why, settings, words) => {
    await addRepository('acme/site', settings);
    const thread = newThread();
    await send(prompted(thread, 'Mend this. [repo=acme/site#evil]'));
    await vi.waitFor(() => expect(lastSaid(thread)?.content.type).toBe('elicitation'));
    const { body } = lastSaid(thread)?.content ?? {};
    expect(body).toContain('The branch `evil` may not be');
    expect(body).toContain(words);
    expect(body).toContain('An admin of Cyrus can allow more (`baseBranches`');
    expect((await page(thread))?.session.asked?.text).toContain(
      'Which branch should the work in acme/site start from?',
    );
    expect(outside.starts).toHaveLength(0);
    await send(prompted(thread, 'acme/site'));
    await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
    expect(outside.starts[0]?.body.repository).toMatchObject({ fullName: 'acme/site', baseBranch: 'main' });
  });

  it.each([
    ['protected', { protected: true }, [], true],
    ['under a rule that demands pull requests', { protected: false }, [{ type: 'pull_request' }], true],
    ['open to everyone who may push', { protected: false }, [], false],
  ])(
    'the base branch is decided by GitHub if nothing is set: one that is %s',
    async (_what, branch, rules, isAllowed) => {
      const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
      const credential = { kind: 'github-token', token: 'github_pat_of_the_test' } as const;
      const repository = { cloneUrl: 'https://github.com/acme/site.git', baseBranch: 'main', credential };
      await upsertRepository(database, ORGANIZATION, 'acme/site', repository, 1);
      outside.interfere = (url) => {
        if (!url.startsWith('https://api.github.com/repos/acme/site/')) return null;
        return Response.json(url.includes('/rules/') ? (url.includes('/next') ? rules : []) : branch);
      };
      const thread = newThread();
      await send(prompted(thread, '[repo=acme/site#next] Mend this.'));
      if (isAllowed) {
        await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
        expect(outside.starts[0]?.body.repository.baseBranch).toBe('next');
      } else {
        await vi.waitFor(() => expect(lastSaid(thread)?.content.type).toBe('elicitation'));
        expect(lastSaid(thread)?.content.body).toContain('branches that GitHub protects, which it is not');
      }
    },
  );

  it('named later leaves a session where it is until a person has chosen, and then it continues', async () => {
    await addRepository('acme/shop', { baseBranches: ['release'] });
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const reporter = new Reporter(thread);
    await reporter.report(init, result('Looked.', [thread.agentSessionId]), saved(1, 0));
    await send(prompted(thread, '[repo=acme/shop#evil] Go on from there.'));
    await vi.waitFor(() => expect(lastSaid(thread)?.content.type).toBe('elicitation'));
    expect(outside.starts).toHaveLength(1);
    await send(prompted(thread, '[repo=acme/shop#release]'));
    await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
    expect(outside.starts[1]?.body.repository.baseBranch).toBe('release');
    await vi.waitFor(() => expect(outside.commands.filter(({ type }) => type === 'prompt')).toHaveLength(2));
  });
});
