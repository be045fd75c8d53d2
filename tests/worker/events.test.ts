import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putSandboxSecret } from '../../src/store/sandbox-secrets.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { databaseAway } from './support/database-away.ts';
import {
  appRevoked,
  created,
  issueUpdate,
  newThread,
  notification,
  ORGANIZATION,
  permissionChange,
  prompted,
  send,
  type Thread,
} from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, registerWorkspace, session } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

async function running(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  return thread;
}

function stops(): number {
  return outside.commands.filter((command) => command.type === 'stop').length;
}

describe('the run is stopped', () => {
  it('when the issue is unassigned from the agent, as notification or as change of the issue', async () => {
    const first = await running();
    await send(notification(first, 'issueUnassignedFromYou'));
    await vi.waitFor(() => expect(stops()).toBe(1));
    const second = newThread();
    await send(created(second));
    await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('prompt'));
    await send(issueUpdate(second, { delegateId: 'app-user-1' }, { delegateId: null }));
    await vi.waitFor(() => expect(stops()).toBe(2));
  });

  it.each(['completed', 'canceled', 'duplicate'])('when the issue is %s', async (type) => {
    const thread = await running();
    await send(issueUpdate(thread, { stateId: 'before' }, { state: { type } }));
    await vi.waitFor(() => expect(stops()).toBe(1));
  });

  it('when the issue is removed', async () => {
    const thread = await running();
    await send(issueUpdate(thread, {}, {}, 'remove'));
    await vi.waitFor(() => expect(stops()).toBe(1));
  });

  it('when Cyrus loses the team, or is uninstalled', async () => {
    await running();
    await vi.waitFor(async () => {
      await send(permissionChange(['team-1']));
      expect(stops()).toBe(1);
    });
    outside.commands.length = 0;
    await running();
    await vi.waitFor(async () => {
      await send(appRevoked());
      expect(stops()).toBeGreaterThan(0);
    });
  });
});

it('an admin who revokes the workspace stops what runs there, and nothing is said to Linear any more', async () => {
  const thread = await running();
  outside.interfere = (url) => (url.endsWith('/oauth/revoke') ? new Response(null, { status: 200 }) : null);
  await vi.waitFor(async () => expect(await indexed(thread)).not.toBe('waiting'));
  const said = outside.said.length;
  const response = await exports.default.fetch('http://cyrus.test/api/admin/workspaces/org-1/revoke', {
    method: 'POST',
    headers: { authorization: `Bearer ${env.ADMIN_TOKEN}` },
  });
  expect(await response.json()).toMatchObject({ status: 'revoked', sessions: expect.any(Number) });
  await vi.waitFor(() => expect(stops()).toBe(1));
  expect(outside.said.slice(said).filter(({ agentSessionId }) => agentSessionId === thread.agentSessionId)).toEqual([]);
});

/** The session's phase in the list. */
async function indexed(thread: Thread): Promise<string> {
  const query = env.DB.prepare('SELECT phase FROM sessions WHERE id = ?').bind(session(thread).id.toString());
  return (await query.first<string>('phase')) ?? 'waiting';
}

describe('the run continues', () => {
  it('when an issue moves between states that are not its end, or another team is lost', async () => {
    const thread = await running();
    await send(issueUpdate(thread, { stateId: 'before' }, { state: { type: 'started' } }));
    await send(permissionChange(['team-2']));
    expect(stops()).toBe(0);
  });

  it('when the title or description changes, and Claude is told of it as context', async () => {
    const thread = await running();
    await send(issueUpdate(thread, { description: 'Before.' }, { description: 'Round half up.' }));
    expect(outside.commands).toHaveLength(1);
    // People edit in several goes: Claude is told once it has been quiet for a while.
    vi.useFakeTimers({ now: Date.now() + 6_000, toFake: ['Date'] });
    await runDurableObjectAlarm(session(thread));
    vi.useRealTimers();
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    const [, told] = outside.commands;
    const text = told?.type === 'prompt' ? told.text : '';
    expect(text).toContain('Round half up.');
    expect(text).toContain('not an instruction');
  });
});

describe('an issue without a session', () => {
  it('stores nothing when it changes', async () => {
    const thread = newThread();
    const answer = await send(issueUpdate(thread, { title: 'Before' }));
    expect(await answer.json()).toEqual({ outcome: 'no-such-session' });
    await runInDurableObject(session(thread), (_instance, state) => {
      expect(state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'state'").toArray()).toEqual([]);
    });
  });
});

describe('a comment that does not call the agent', () => {
  it('is context for the next prompt, and no prompt', async () => {
    const thread = await running();
    const comment = { id: 'c', body: 'Customers round down.' };
    await send(notification(thread, 'issueNewComment', { comment }));
    expect(outside.commands).toHaveLength(1);
    await send(prompted(thread, 'Go on.'));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    const [, next] = outside.commands;
    expect(next?.type === 'prompt' && next.text).toContain('Customers round down.');
  });
});

describe('an older workspace', () => {
  it('that only notifies of a mention has a thread opened on the comment, with what it asks', async () => {
    const thread = newThread();
    const opened: string[] = [];
    outside.interfere = (_url, body) => {
      if (body.includes('CommentThread')) {
        return Response.json({ data: { viewer: { id: 'app-user-1' }, comment: { agentSession: null } } });
      }
      if (!body.includes('agentSessionCreateOnComment')) return null;
      opened.push(body);
      const agentSession = { id: crypto.randomUUID() };
      return Response.json({ data: { agentSessionCreateOnComment: { success: true, agentSession } } });
    };
    const comment = { id: 'comment-9', body: '@cyrus round half up' };
    await send(notification(thread, 'issueCommentMention', { comment }));
    vi.useFakeTimers({ now: Date.now() + 21_000, toFake: ['Date'] });
    await runDurableObjectAlarm(session(thread));
    vi.useRealTimers();
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    expect(opened).toEqual([expect.stringContaining('comment-9')]);
    const [prompt] = outside.commands;
    expect(prompt?.type === 'prompt' && prompt.text).toContain('round half up');
  });

  it('that only notifies of an assignment has a thread opened, once it is clear that none comes', async () => {
    const thread = newThread();
    await send(notification(thread, 'issueAssignedToYou'));
    expect((await journal(thread)).length).toBe(0);
    vi.useFakeTimers({ now: Date.now() + 21_000, toFake: ['Date'] });
    await runDurableObjectAlarm(session(thread));
    vi.useRealTimers();
    await vi.waitFor(() => {
      expect(outside.commands).toHaveLength(1);
      expect(outside.said.map((said) => said.content.body)).toContainEqual(expect.stringContaining('On it.'));
    });
  });
});

describe('a thread that Cyrus was about to open', () => {
  it('is not opened once Linear sends its own, and one that an earlier attempt opened is told so', async () => {
    for (const isOpen of [false, true]) {
      const thread = newThread();
      const mine = crypto.randomUUID();
      let isAway = true;
      const asked: string[] = [];
      outside.interfere = (_url, body) => {
        const operation = /query IssueThreads|agentSessionCreateOnIssue/.exec(body)?.[0];
        if (!operation) return null;
        asked.push(operation);
        if (isAway) return new Response('away', { status: 503 });
        const url = `http://cyrus.test/sessions/${session(thread).id}`;
        const ours = { id: mine, appUser: { id: 'app-user-1' }, externalLinks: [{ url }] };
        const theirs = { id: thread.agentSessionId, appUser: { id: 'app-user-1' }, externalLinks: [] };
        const agentSessions = { nodes: isOpen ? [theirs, ours] : [theirs] };
        return Response.json({ data: { viewer: { id: 'app-user-1' }, issue: { agentSessions } } });
      };
      await send(notification(thread, 'issueAssignedToYou'));
      vi.useFakeTimers({ now: Date.now() + 21_000, toFake: ['Date'] });
      await runDurableObjectAlarm(session(thread));
      vi.useRealTimers();
      await vi.waitFor(() => expect(asked).toContain('query IssueThreads'), 10_000);
      await send(created(thread));
      isAway = false;
      asked.length = 0;
      await vi.waitFor(async () => {
        await runDurableObjectAlarm(session(thread));
        expect(asked).toContain('query IssueThreads');
      }, 60_000);
      await vi.waitFor(() => expect(outside.commands.length).toBeGreaterThan(0), 60_000);
      expect(asked).not.toContain('agentSessionCreateOnIssue');
      const told = () => outside.said.filter((said) => said.agentSessionId === mine).map((said) => said.content.body);
      if (isOpen) await vi.waitFor(() => expect(told()).toEqual(['This was answered in another thread.']), 60_000);
      else expect(told()).toEqual([]);
    }
  });
});

describe.each(['fails', 'is locked'] as const)('while the database %s', (how) => {
  let database: ReturnType<typeof databaseAway> | null = null;
  afterEach(() => database?.back());
  /** The database is away; what this thread's sandbox is told from then on is kept. */
  const lock = (thread: Thread): string[] => {
    const told: string[] = [];
    const id = session(thread).id.toString();
    outside.interfere = (url, body) => {
      if (url.includes(`/sessions/${id}/commands`)) told.push(JSON.parse(body).type);
      return null;
    };
    database = databaseAway(how);
    return told;
  };
  const started = async () => {
    const thread = newThread();
    await send(created(thread));
    const id = session(thread).id.toString();
    await vi.waitFor(() => expect(outside.starts.some(({ sessionId }) => sessionId === id)).toBe(true), 10_000);
    await vi.waitFor(async () => expect((await page(thread))?.session.repository).not.toBeNull(), 10_000);
    return thread;
  };

  it.each([
    [
      'completing the issue',
      (thread: Thread) => issueUpdate(thread, { stateId: 'a' }, { state: { type: 'completed' } }),
    ],
    ['archiving it', (thread: Thread) => issueUpdate(thread, { archivedAt: null }, { archivedAt: '2026-11-28' })],
    ['taking it away', (thread: Thread) => issueUpdate(thread, { delegateId: 'app-user-1' }, { delegateId: null })],
    ['unassigning, as notification', (thread: Thread) => notification(thread, 'issueUnassignedFromYou')],
    ['a stop in the thread', (thread: Thread) => prompted(thread, '', { signal: 'stop' })],
  ])('%s stops the run', async (_, webhook) => {
    const thread = await started();
    const told = lock(thread);
    expect((await send(webhook(thread))).status).toBe(200);
    await vi.waitFor(() => expect(told).toContain('stop'), 10_000);
  });

  it('a stop reaches the sandbox server that the repository names', async () => {
    const url = 'https://builds.acme.test';
    const secret = 'secret-of-the-build-machine';
    const d1 = openDatabase(env.DB, env.ENCRYPTION_KEY);
    const settings = repositorySettingsSchema.parse({ sandbox: { kind: 'endpoint', url } });
    const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main', settings };
    await upsertRepository(d1, ORGANIZATION, 'acme/shop', repository, 1);
    await putSandboxSecret(d1, { workspaceId: ORGANIZATION, fullName: 'acme/shop', url }, secret, 1);
    const thread = await started();
    const id = session(thread).id.toString();
    const asked: (string | null)[] = [];
    outside.interfere = (address, body, request) => {
      const isStop = address === `${url}/sessions/${id}/commands` && JSON.parse(body).type === 'stop';
      if (isStop) asked.push(request.headers.get('authorization'));
      return null;
    };
    database = databaseAway(how);
    await send(prompted(thread, '', { signal: 'stop' }));
    await vi.waitFor(() => expect(asked).toContain(`Bearer ${secret}`), 60_000);
    await runInDurableObject(session(thread), (_, { storage }) =>
      expect(JSON.stringify([...storage.kv.list()])).not.toContain(secret),
    );
  });

  it('a request is confirmed in its thread at once, and begun when the database is back', async () => {
    await started();
    const thread = newThread();
    const told = lock(thread);
    expect((await send(created(thread))).status).toBe(200);
    await vi.waitFor(
      () => expect(outside.said.some((said) => said.agentSessionId === thread.agentSessionId)).toBe(true),
      10_000,
    );
    expect(told).toEqual([]);
  });
});
