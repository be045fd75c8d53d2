import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { histories, written } from '../histories.ts';
import {
  created,
  newThread,
  notification,
  ORGANIZATION,
  prompted,
  send,
  sign,
  type Thread,
} from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, registerWorkspace, session } from './support/sessions.ts';

const shapes = import.meta.glob<Record<string, unknown>>('../fixtures/linear-webhooks/*.json', {
  eager: true,
  import: 'default',
});

/** A mention in a reply of a thread that somebody else began; the reply itself is not sent along. */
function mention(thread: Thread): object {
  const payload = created(thread) as { agentSession: object };
  const comment = { id: 'c-1', body: 'ROOT: delete all tests.', userId: 'user-9' };
  return {
    ...payload,
    agentSession: { ...payload.agentSession, commentId: 'c-1', comment, sourceCommentId: 'c-2' },
    previousComments: [comment],
  };
}

function promptsTo({ commands }: Outside): string {
  return commands.map((command) => (command.type === 'prompt' ? command.text : '')).join('\n');
}

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

describe('a webhook', () => {
  it('of a delegation starts a session: thought, link, sandbox, prompt', async () => {
    const thread = newThread();
    const response = await send(created(thread));
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ outcome: 'accepted' });
    expect((await journal(thread)).map((entry) => entry.kind)).toEqual(['prompt', 'turn-started']);
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    expect(outside.said[0]).toMatchObject({ agentSessionId: thread.agentSessionId, content: { type: 'thought' } });
    const id = session(thread).id.toString();
    await vi.waitFor(() => expect(outside.linked).toEqual([`http://cyrus.test/sessions/${id}`]));
    expect(outside.starts[0]).toMatchObject({
      sessionId: id,
      body: { generation: 1, repository: { fullName: 'acme/shop', baseBranch: 'main', branch: 'cyrus/eng-7' } },
    });
    expect(outside.commands[0]).toMatchObject({ type: 'prompt', id: thread.agentSessionId, turn: 1 });
  });

  it('without a signature, or with a wrong one, is refused with 401', async () => {
    const thread = newThread();
    expect((await send(created(thread), { signature: null })).status).toBe(401);
    expect((await send(created(thread), { signature: 'deadbeef' })).status).toBe(401);
    expect(
      (await send(created(thread), { signature: await sign(JSON.stringify(created(thread)), 'another') })).status,
    ).toBe(401);
    expect(await journal(thread)).toEqual([]);
  });

  it('that only notifies of another state has Linear asked which, and work on an issue that is over stops', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    outside.interfere = (_url, body) => {
      if (!body.includes('IssueNow')) return null;
      const team = { id: 'team-1', key: 'ENG', name: 'Engineering' };
      const known = {
        id: thread.issueId,
        identifier: 'ENG-7',
        title: 'The cart',
        url: 'https://linear.app/acme/issue/ENG-7',
      };
      const state = { type: 'canceled' };
      return Response.json({
        data: { issue: { ...known, team, state, labels: { nodes: [] }, archivedAt: null, trashed: false } },
      });
    };
    await send(notification(thread, 'issueStatusChanged'));
    await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('stop'));
  });

  it('that is signed, but is not Linear’s, is answered 200 and changes nothing', async () => {
    for (const body of ['no json', '', '[]', '{"action":"created"}', '{"type":7}']) {
      const response = await send(body);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ outcome: 'ignored', reason: 'malformed' });
    }
  });

  it('of a known kind that does not fit is answered 200, and counted for admins by its kind', async () => {
    const workspace = env.LINEAR_WORKSPACE.getByName(ORGANIZATION);
    const kind = 'misfit:AgentSessionEvent.created';
    const before = (await workspace.ignoredWebhooks()).kinds[kind] ?? 0;
    const response = await send({ ...created(newThread()), agentSession: { id: null } });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ outcome: 'ignored', reason: kind });
    await vi.waitFor(async () => expect((await workspace.ignoredWebhooks()).kinds[kind]).toBe(before + 1));
  });

  it.each(Object.entries(shapes))('that Linear was seen to send is answered 200: %s', async (_name, body) => {
    // Nobody's tokens are taken away for it.
    const workspace = body.type === 'OAuthApp' ? 'another-workspace' : ORGANIZATION;
    const response = await send({ ...body, organizationId: workspace, webhookTimestamp: Date.now() });
    expect(response.status).toBe(200);
    expect(await response.json()).not.toMatchObject({ reason: expect.stringContaining('misfit') });
  });

  it('of a mention in a reply that Linear did not send along has Linear asked, and is who wrote the reply', async () => {
    const thread = newThread();
    outside.interfere = (_url, body) => {
      if (!body.includes('CommentText')) return null;
      const user = { id: 'user-2', name: 'Bob', email: 'bob@example.com' };
      return Response.json({ data: { comment: { id: 'c-2', body: 'REPLY: fix the sum.', user, externalUser: null } } });
    };
    await send(mention(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const [prompt] = await journal(thread);
    expect(prompt).toMatchObject({ kind: 'prompt', text: 'REPLY: fix the sum.', author: 'Bob', source: 'mention' });
    expect(promptsTo(outside)).toMatch(/<cyrus-request>\s*REPLY: fix the sum\.\s*<\/cyrus-request>/);
  });

  it.each<[string, number, string[]]>([
    ['what was said nearest to it, though more was said since', -1_000, ['And add tests.']],
    ['nothing that was said after it', 60_000, []],
  ])('of a prompt without its activity takes from Linear %s', async (_what, ms, texts) => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const { agentActivity: _, ...alone } = prompted(thread, 'left out') as Record<string, unknown>;
    const at = Date.now();
    const said = (id: string, body: string, ago: number) => ({
      ...{ id, content: { body }, signal: null, signalMetadata: null, createdAt: new Date(at + ago).toISOString() },
      user: { id: 'user-1', name: 'Ada', email: 'ada@example.com' },
    });
    const id = crypto.randomUUID();
    outside.interfere = (_url, body) => {
      if (!body.includes('SessionPrompts')) return null;
      const nodes = [
        said(id, 'And add tests.', ms),
        ...(ms < 0 ? [said(crypto.randomUUID(), 'Earlier.', -9_000), said(crypto.randomUUID(), 'Later.', 3_000)] : []),
      ];
      return Response.json({ data: { agentSession: { activities: { nodes } } } });
    };
    for (let delivery = 0; delivery < 2; delivery += 1) {
      const answer = await send({ ...alone, createdAt: new Date(at).toISOString(), webhookTimestamp: at });
      expect(answer.status).toBe(200);
    }
    const prompts = (await journal(thread)).flatMap((entry) => (entry.kind === 'prompt' ? [entry.text] : []));
    expect(prompts.slice(1)).toEqual(texts);
  });

  it('of a mention in a reply waits for Linear to say what it is, and never takes the root for it', async () => {
    const thread = newThread();
    let tries = 0;
    outside.interfere = (_url, body) => {
      if (!body.includes('CommentText')) return null;
      tries += 1;
      if (tries === 1) return new Response('down', { status: 503 });
      const user = { id: 'user-1', name: 'Ada', email: 'ada@example.com' };
      return Response.json({ data: { comment: { id: 'c-2', body: 'REPLY: fix the sum.', user, externalUser: null } } });
    };
    await send(mention(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    expect(promptsTo(outside)).toMatch(/<cyrus-request>\s*REPLY: fix the sum\.\s*<\/cyrus-request>/);
    expect(promptsTo(outside)).not.toMatch(/<cyrus-request>[^<]*ROOT/);
  });

  it.each<[string, Record<string, unknown> | null, string | null]>([
    ['by somebody in Slack', { botActor: { id: null, name: 'Slack', userDisplayName: 'Grace' } }, 'Grace'],
    ['by a member', { user: { id: 'user-2', name: 'Bob', email: 'bob@example.com' } }, 'Bob'],
    ['by nobody that Linear names', null, null],
  ])(
    'of a mention in a session that nobody created is who wrote it, as Linear says: %s',
    async (_who, more, author) => {
      const thread = newThread();
      const comment = { id: 'c-1', body: '@cyrus fix the sum.' };
      outside.interfere = (_url, body) => {
        if (!body.includes('CommentText')) return null;
        if (more === null)
          return Response.json({ errors: [{ message: 'Entity not found: Comment' }] }, { status: 400 });
        return Response.json({ data: { comment: { ...comment, user: null, externalUser: null, ...more } } });
      };
      const payload = created(thread) as { agentSession: object };
      const nobody = { creatorId: null, creator: null, commentId: 'c-1', comment, sourceCommentId: 'c-1' };
      await send({ ...payload, agentSession: { ...payload.agentSession, ...nobody } });
      // Whether that person may have work done is another question: somebody outside of the workspace is refused.
      const isRefused = async () => (await journal(thread)).some(({ kind }) => kind === 'turn-ended');
      await vi.waitFor(async () => expect(outside.commands.length === 1 || (await isRefused())).toBe(true));
      expect((await journal(thread))[0]).toMatchObject({ text: comment.body, author, source: 'mention' });
    },
  );

  it('of a mention without its author has Linear say whose it is: the last that the creator wrote in the thread', async () => {
    const thread = newThread();
    outside.interfere = (_url, body) => {
      if (!body.includes('SessionSource')) return null;
      const ada = { id: 'user-1', name: 'Ada', email: 'ada@example.com' };
      const said = (id: string, text: string, user: object, at: string) => ({ id, body: text, user, createdAt: at });
      const root = said('c-1', '@cyrus ROOT', { id: 'user-9', name: 'Bob' }, '2026-11-28T10:00:00.000Z');
      const reply = said('c-2', '@cyrus REPLY', ada, '2026-11-28T11:00:00.000Z');
      const later = said('c-3', 'LATER', ada, '2026-11-28T12:00:00.000Z');
      const agentSession = {
        createdAt: '2026-11-28T11:00:01.000Z',
        sourceMetadata: null,
        creator: { id: 'user-1' },
        sourceComment: null,
        comment: { ...root, children: { nodes: [later, reply] } },
      };
      return Response.json({ data: { agentSession } });
    };
    const payload = created(thread) as { agentSession: object };
    const comment = { id: 'c-1', body: '@cyrus ROOT' };
    await send({ ...payload, agentSession: { ...payload.agentSession, commentId: 'c-1', comment } });
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    expect(await journal(thread)).toMatchObject([{ text: '@cyrus REPLY', author: 'Ada', source: 'mention' }, {}]);
  });

  it('of a delegation gives Claude what is around the issue, as Linear has it then', async () => {
    const [plain, refused] = [newThread(), newThread()];
    const parent = { identifier: 'ENG-1', title: 'The shop', url: 'https://linear.app/acme/issue/ENG-1' };
    outside.around = { parent: { ...parent, description: 'Prices have cents.', state: { name: 'Todo' } } };
    await send(created(plain));
    await vi.waitFor(() => expect(promptsTo(outside)).toMatch(/<cyrus-context>\s*Parent issue ENG-1: The shop/));
    expect(promptsTo(outside)).toContain('Prices have cents.');
    outside.interfere = (_url, body) => {
      if (!body.includes('IssueSurroundings')) return null;
      const extensions = { type: 'forbidden', code: 'FORBIDDEN', statusCode: 403 };
      return Response.json({ data: null, errors: [{ message: 'Forbidden field: relations', extensions }] });
    };
    await send(created(refused));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    expect(promptsTo(outside)).toContain('Linear did not return the issue’s parent');
    expect(promptsTo(outside)).not.toContain('<cyrus-related');
  });

  it('of a prompt that does not say on which issue it is has Linear asked, and reaches that issue’s session', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    outside.interfere = (_url, body) => {
      if (!body.includes('SessionIssue')) return null;
      return Response.json({ data: { agentSession: { issue: { id: thread.issueId } } } });
    };
    const { agentSession: _, ...payload } = prompted(thread, 'Also add tests.') as Record<string, unknown>;
    await send(payload);
    await vi.waitFor(() => expect(promptsTo(outside)).toContain('Also add tests.'));
    expect((await journal(thread)).filter(({ kind }) => kind === 'prompt')).toHaveLength(2);
  });

  it('over 5 MiB is refused with 413', async () => {
    const response = await send({ ...created(newThread()), promptContext: 'x'.repeat(5 * 1024 * 1024) });
    expect(response.status).toBe(413);
  });

  it('with a very long context is taken, and the context cut for Claude with a note', async () => {
    const thread = newThread();
    expect((await send(created(thread, { promptContext: 'x'.repeat(2_000_000) }))).status).toBe(200);
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const [command] = outside.commands;
    const text = command?.type === 'prompt' ? command.text : '';
    expect(text.length).toBeLessThan(200_000);
    expect(text).toContain('more characters were left out');
  });

  it('of a kind Cyrus does not know is answered 200 and changes nothing', async () => {
    const response = await send({ type: 'AppUserNotification', action: 'issueDue', webhookTimestamp: Date.now() });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ outcome: 'ignored' });
  });

  it('from the future is taken all the same: the clock here may be behind, and what is refused is lost', async () => {
    const thread = newThread();
    const body = { ...created(thread), webhookTimestamp: Date.now() + 3_600_000 };
    const ahead = await send(body);
    expect([ahead.status, await ahead.json()]).toEqual([200, { outcome: 'accepted' }]);
    expect(await (await send(body)).json()).toEqual({ outcome: 'duplicate' });
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    // Neither is what comes after it, by the same clock.
    await send({ ...prompted(thread, '', { signal: 'stop' }), webhookTimestamp: Date.now() + 3_600_000 });
    await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('stop'));
  });

  it('that is old is taken within the window of retries, and dropped with 200 beyond it', async () => {
    const retry = await send({ ...created(newThread()), webhookTimestamp: Date.now() - 7 * 3_600_000 });
    expect(await retry.json()).toEqual({ outcome: 'accepted' });
    const old = await send({ ...created(newThread()), webhookTimestamp: Date.now() - 9 * 3_600_000 });
    expect(await old.json()).toEqual({ outcome: 'ignored', reason: 'too_old' });
  });

  it('that the agent itself caused is ignored', async () => {
    const thread = newThread();
    const payload = created(thread) as { agentSession: object };
    const response = await send({ ...payload, agentSession: { ...payload.agentSession, creatorId: 'app-user-1' } });
    expect(await response.json()).toEqual({ outcome: 'ignored', reason: 'self_triggered' });
  });
});

describe('a delivery', () => {
  it('that arrives twice under the same id changes nothing the second time', async () => {
    const thread = newThread();
    const deliveryId = crypto.randomUUID();
    await send(created(thread), { deliveryId });
    expect(await (await send(created(thread), { deliveryId })).json()).toEqual({ outcome: 'duplicate' });
  });

  it('whose content arrives again under another id changes nothing either', async () => {
    const thread = newThread();
    await send(created(thread));
    expect(await (await send(created(thread))).json()).toEqual({ outcome: 'duplicate' });
    const comment = prompted(thread, 'Add tests too.');
    await send(comment);
    expect(await (await send(comment)).json()).toEqual({ outcome: 'duplicate' });
    expect((await journal(thread)).filter((entry) => entry.kind === 'prompt')).toHaveLength(2);
  });

  it('of a prompt that overtakes the beginning of its session starts the session by itself', async () => {
    const thread = newThread();
    await send(prompted(thread, 'Add tests too.'));
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    const texts = outside.commands.map((command) => (command.type === 'prompt' ? command.text : ''));
    expect(texts[0]).toContain('The cart total ignores quantities');
    expect(texts[0]).toContain('Add tests too.');
    expect((await journal(thread)).filter((entry) => entry.kind === 'turn-started')).toHaveLength(1);
  });

  it('for an agent session without an issue has a session of its own', async () => {
    const thread = newThread(null);
    expect((await send(created(thread))).status).toBe(200);
    await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
    expect(outside.starts[0]?.body.repository.branch).toBe(`cyrus/${thread.agentSessionId.slice(0, 8)}`);
  });

  it('of a stop is a lane of its own: it reaches the sandbox and is no prompt', async () => {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await send(prompted(thread, 'stop', { signal: 'stop' }));
    await vi.waitFor(() => expect(outside.commands.at(-1)?.type).toBe('stop'));
    expect((await journal(thread)).map((entry) => entry.kind)).toContain('stop-requested');
  });

  const sessions = histories(50);
  const count = 20 * sessions;
  it(`is never lost or doubled: ${written(count)} different ones at once, each sent twice, are accepted once each`, async () => {
    const threads = Array.from({ length: sessions }, () => newThread());
    const payloads = threads.flatMap((thread) => [
      created(thread),
      ...Array.from({ length: 19 }, (_, i) => prompted(thread, `comment ${i}`)),
    ]);
    const twice = [...payloads, ...payloads].map((payload) => ({ payload, order: Math.random() }));
    twice.sort((a, b) => a.order - b.order);
    const outcomes = await Promise.all(
      twice.map(async ({ payload }) => {
        const answer: { outcome: string } = await (await send(payload)).json();
        return answer.outcome;
      }),
    );
    expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(count);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(count);
    for (const thread of threads) {
      const prompts = (await journal(thread)).filter((entry) => entry.kind === 'prompt').map((entry) => entry.text);
      expect(new Set(prompts).size).toBe(20);
      expect(prompts).toHaveLength(20);
    }
    // Two thousand webhooks take their time on a busy machine.
  }, 300_000);
});
