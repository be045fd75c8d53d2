import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { saved } from '../unit/support/session-play.ts';
import {
  created,
  issueUpdate,
  newThread,
  notification,
  ORGANIZATION,
  prompted,
  send,
  type Thread,
} from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await env.DB.exec('DELETE FROM repositories');
  await registerWorkspace();
  await settings('PUT', {});
});

/** The sandbox says that it has carried the stop out. */
async function stopped(thread: Thread): Promise<void> {
  await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('stop'));
  const prompts = { read: [], unread: [] };
  const exit = {
    type: 'cli-exited',
    code: 0,
    signal: null,
    duringTurn: true,
    cause: 'stop',
    turn: 1,
    prompts,
  } as const;
  await new Reporter(thread).report(exit, saved(1, 0));
  await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
}

async function admin(method: string, path: string, body?: unknown) {
  const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}` };
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const response = await exports.default.fetch(`http://cyrus.test/api/admin/workspaces/${path}`, init);
  return { status: response.status, json: await response.json<Record<string, unknown>>() };
}

const settings = (method: string, body?: unknown, workspace = ORGANIZATION) =>
  admin(method, `${workspace}/settings`, body);

/** Ada delegates an issue. @returns what was said at last, and how many sandboxes were started */
async function delegated(more: object = {}) {
  const thread = newThread();
  await send(created(thread, more));
  await vi.waitFor(() => expect(outside.said.at(-1)?.content.type).toBe('response'));
  return { thread, said: outside.said.at(-1)?.content.body ?? '', starts: outside.starts.length };
}

describe('the settings of a workspace', () => {
  it('are set and read back, and an installation leaves them as they are', async () => {
    const rules = { blockedUsers: ['eve@example.com'], allowedTeams: ['ENG'] };
    expect(await settings('PUT', rules)).toMatchObject({ status: 200, json: rules });
    await registerWorkspace();
    expect((await settings('GET')).json).toEqual({ allowedUsers: [], blockedTeams: [], ...rules });
    expect((await admin('GET', ORGANIZATION)).json).toMatchObject({ name: 'Acme', settings: rules });
  });

  it.each([
    ['a rule that is none', { allowedUser: ['ada@example.com'] }],
    ['a name that is none', { allowedUsers: [' '] }],
    ['something else than a list', { blockedTeams: 'ENG' }],
  ])('are not changed by %s, which is named', async (_what, body) => {
    await settings('PUT', { blockedUsers: ['eve@example.com'] });
    const { status, json } = await settings('PUT', body);
    expect(status).toBe(400);
    expect(json.message).toMatch(/allowedUser|blockedTeams/);
    expect((await settings('GET')).json).toMatchObject({ blockedUsers: ['eve@example.com'] });
  });

  it('belong to a workspace that is there', async () => {
    expect((await settings('GET', undefined, 'nobody')).status).toBe(404);
    expect((await settings('PUT', {}, 'nobody')).status).toBe(404);
    expect((await admin('GET', 'nobody')).status).toBe(404);
  });

  it('that are mistyped for a repository are refused too: a rule that is lost would let everyone in', async () => {
    const body = { cloneUrl: 'https://git.test/acme/shop.git', settings: { blockedUser: ['eve@example.com'] } };
    const { status, json } = await admin('PUT', `${ORGANIZATION}/repositories/acme/shop`, body);
    expect(status).toBe(400);
    expect(json.message).toContain('blockedUser');
  });
});

describe('a person who may not give work to Cyrus', () => {
  it('by what the workspace says is told so kindly, before any repository is asked, and nothing is started', async () => {
    await settings('PUT', { blockedUsers: ['Ada@example.com'] });
    const { said, starts } = await delegated();
    expect(said).toContain('Sorry, you are not among the people who may give work to Cyrus in this workspace.');
    expect(starts).toBe(0);
    expect(outside.said.filter(({ content }) => content.body?.includes('Sorry'))).toHaveLength(1);
  });

  it('a person whose team is blocked is told so by the name of the team, and nothing is started', async () => {
    await settings('PUT', { blockedTeams: ['eng'] });
    expect(await delegated()).toMatchObject({ said: expect.stringContaining('the team Engineering'), starts: 0 });
  });

  it('may once an admin says so: the next comment begins the work', async () => {
    await settings('PUT', { allowedUsers: ['grace@example.com'] });
    const { thread } = await delegated();
    await settings('PUT', { allowedUsers: ['ada@example.com'] });
    await send(prompted(thread, 'And now?'));
    await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
  });

  it('may not once an admin says so: the next comment is turned away, and the session stays as it is', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await send(prompted(thread, '', { signal: 'stop' }));
    await stopped(thread);
    const input = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main' };
    const blocking = repositorySettingsSchema.parse({ blockedUsers: ['user-1'] });
    const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
    await upsertRepository(database, ORGANIZATION, 'acme/shop', { ...input, settings: blocking }, 2);
    const before = outside.starts.length;
    await send(prompted(thread, 'Go on.'));
    await vi.waitFor(() => expect(outside.said.at(-1)?.content.body).toContain('in this repository'));
    expect(outside.starts).toHaveLength(before);
  });

  it('may not where the issue was moved to a team that is blocked: rules are about where it is now', async () => {
    await settings('PUT', { blockedTeams: ['OPS'] });
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await send(prompted(thread, '', { signal: 'stop' }));
    await stopped(thread);
    const before = outside.starts.length;
    const ops = { id: 'team-2', key: 'OPS', name: 'Operations' };
    const moved = { identifier: 'OPS-3', title: 'Renamed', teamId: ops.id, team: ops };
    await send(issueUpdate(thread, { teamId: 'team-1', title: 'Before' }, moved));
    expect((await page(thread))?.session.issue).toMatchObject({ identifier: 'OPS-3', title: 'Renamed' });
    // A webhook that is late shows the issue as it was.
    const late = { ...prompted(thread, 'Go on.'), webhookTimestamp: Date.now() - 60_000 };
    await send(late);
    await vi.waitFor(() => expect(outside.said.at(-1)?.content.body).toContain('the team Operations'));
    expect(outside.starts).toHaveLength(before);
    expect((await page(thread))?.session.issue).toMatchObject({ identifier: 'OPS-3' });
  });

  it('is a rule of the triage if only some people may', async () => {
    await settings('PUT', { allowedUsers: ['ada@example.com'] });
    const base = created(newThread()) as { agentSession: object };
    const agentSession = { ...base.agentSession, creator: null, creatorId: null };
    await send({ ...base, agentSession });
    await vi.waitFor(() => expect(outside.said.at(-1)?.content.body).toContain('Sorry'));
    expect(outside.starts).toHaveLength(0);
  });
});

describe('webhooks that are passed over', () => {
  it('are answered 200 and counted by kind, and the counts survive', async () => {
    const thread = newThread();
    const workspace = crypto.randomUUID();
    const body = { name: 'Other', urlKey: 'other', appUserId: 'app-user-1', accessToken: 'lin_oauth_other' };
    await admin('PUT', workspace, body);
    for (const action of ['issueReopened', 'issueReopened', 'issueDue']) {
      const webhook = { ...notification(thread, action), organizationId: workspace };
      expect((await send(webhook)).status).toBe(200);
    }
    const own = notification(thread, 'issueCommentMention', { actorId: 'app-user-1' });
    await send({ ...own, organizationId: workspace });
    await vi.waitFor(async () =>
      expect((await admin('GET', workspace)).json.ignoredWebhooks).toEqual({
        since: expect.any(Number),
        total: 4,
        kinds: {
          'AppUserNotification.issueReopened': 2,
          'AppUserNotification.issueDue': 1,
          self_triggered: 1,
        },
      }),
    );
  });

  it('of ever more kinds are counted together from the hundredth on, and a long name is cut', async () => {
    const object = env.LINEAR_WORKSPACE.getByName(crypto.randomUUID());
    await object.countIgnored('x'.repeat(500));
    for (let i = 0; i < 150; i++) await object.countIgnored(`Kind${i}.create`);
    const { total, kinds } = await object.ignoredWebhooks();
    expect(total).toBe(151);
    expect(Object.keys(kinds)).toHaveLength(100);
    expect(Object.keys(kinds)[0]).toHaveLength(80);
  });
});
