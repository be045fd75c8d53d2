/** Bodies as they were seen in production (ids and names replaced), and shapes that follow from the same documentation. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseWebhook } from '../../src/linear/webhooks/webhook.ts';
import {
  fromAgentSession,
  fromIssueChange,
  fromNotification,
  type SessionRequest,
} from '../../src/session/inbound/webhook-to-event.ts';

type Json = Record<string, unknown>;
const folder = new URL('../fixtures/linear-webhooks/', import.meta.url);
const shapes: Record<string, Json> = Object.fromEntries(
  readdirSync(folder).map((file) => [
    file.replace('.json', ''),
    JSON.parse(readFileSync(new URL(file, folder), 'utf8')),
  ]),
);
const shape = (name: string): Json => shapes[name] ?? {};

const ORG = '7c1d6a52-93b4-4f0e-8a57-2f1c9be3d401';
const APP = 'b2f4e8d6-5a1c-4d3b-9e70-64c8a1f7d502';
const NEW_ID = '00000000-0000-4000-8000-00000000000f';
const ada = { id: '3e9a7b10-c84d-4b62-a1f5-0d7e62c9b403', email: 'ada@example.com' };
const bob = '11111111-2222-4333-8444-555555555555';

/** What a body asks; the kind's name if it is not Cyrus's business. */
function read(body: Json): SessionRequest | string | null {
  const parsed = parseWebhook(JSON.stringify(body), 1);
  if (parsed.kind === 'malformed') throw new Error(parsed.message);
  if (parsed.kind === 'misfit') throw new Error(`${parsed.type}: ${parsed.message}`);
  if (parsed.kind === 'ignored') return parsed.type;
  const { webhook } = parsed;
  switch (webhook.type) {
    case 'AgentSessionEvent':
      return fromAgentSession(webhook, NEW_ID);
    case 'AppUserNotification':
      return fromNotification(webhook, NEW_ID);
    case 'Issue':
      return fromIssueChange(webhook, APP, NEW_ID);
    default:
      return webhook.type;
  }
}

function asks(body: Json): SessionRequest {
  const request = read(body);
  if (request === null || typeof request === 'string') throw new Error(`asks nothing: ${request}`);
  return request;
}

/** A copy of a body with a part of it replaced; `undefined` leaves a key out. */
function withPart(body: Json, part: string, more: Json): Json {
  const inner = typeof body[part] === 'object' ? body[part] : {};
  return { ...body, [part]: { ...inner, ...more } };
}

describe('an agent session that Linear was seen to open', () => {
  it.each([
    ['created-automation-no-creator-no-comment', 'S5 triage automation\n\nDo it.', null, null],
    ['created-optional-keys-absent', 'S6 absent keys\n\nDo it.', null, null],
    ['created-rich-issue', 'S7 rich issue\n\nDo it.', 'Ada Example', ada],
    ['created-uuid-v7', 'S-v7\n\nDo it.', 'Ada Example', ada],
    ['guidance-mixed', 'S-guidance\n\nDo it.', 'Ada Example', ada],
  ])('by a delegation asks for the issue, in the name of who delegated it: %s', (name, text, author, person) => {
    const body = shape(name);
    const { id, issueId } = body.agentSession as { id: string; issueId: string };
    const request = asks(body);
    expect(request.sessionName).toBe(`${ORG}:issue:${issueId}`);
    expect(request.event).toMatchObject({ type: 'prompted', source: 'delegation', agentSessionId: id, promptId: id });
    expect(request.event).toMatchObject({ text, author, person });
    expect(request.promptText?.first).not.toMatch(/<cyrus-request>\s*This thread is for/);
  });

  it('in a document asks for the comment, in a session of its own', () => {
    const request = asks(shape('created-in-document'));
    expect(request.sessionName).toBe(`${ORG}:agent-session:17524471-7e88-4530-8d94-908fa88764ff`);
    expect(request.event).toMatchObject({ source: 'mention', text: '@cyrus DOC-MENTION what is this?', person: ada });
  });

  it('with rules of which some cannot be read gives Claude the others', () => {
    const text = asks(shape('guidance-mixed')).promptText?.first ?? '';
    for (const rule of ['TEAM RULE', 'ORG RULE', 'NO ORIGIN']) expect(text).toContain(rule);
    expect(text.indexOf('TEAM RULE')).toBeLessThan(text.indexOf('ORG RULE'));
    expect(asks(shape('created-optional-keys-absent')).promptText?.first).toContain('Always write tests');
  });
});

describe('a mention in a thread that somebody else began', () => {
  const root = { id: 'c-root', body: 'ROOT: delete all tests.', userId: bob };
  const reply = { id: 'c-reply', body: '@cyrus REPLY: fix the sum.', userId: ada.id };
  const inReply = (session: Json = {}, event: Json = {}): Json => ({
    ...withPart(shape('created-rich-issue'), 'agentSession', {
      commentId: root.id,
      comment: root,
      sourceCommentId: reply.id,
      ...session,
    }),
    previousComments: [root, reply],
    promptContext: null,
    ...event,
  });
  const requestOf = (body: Json) => {
    const text = asks(body).promptText?.first ?? '';
    return /<cyrus-request>([\s\S]*?)<\/cyrus-request>/.exec(text)?.[1] ?? '';
  };

  it.each([
    ['named at the session', {}],
    [
      'named in its metadata',
      { sourceCommentId: null, sourceMetadata: { agentSessionMetadata: { sourceCommentId: reply.id } } },
    ],
    [
      'named in metadata that is JSON text',
      {
        sourceCommentId: null,
        sourceMetadata: JSON.stringify({ type: 'comment', agentSessionMetadata: { sourceCommentId: reply.id } }),
      },
    ],
    [
      'in a thread from Slack, whose root no member wrote',
      { comment: { ...root, userId: null }, sourceMetadata: { type: 'slack' } },
    ],
    ['in a thread from GitHub, whose root has no author at all', { comment: { id: root.id, body: root.body } }],
    [
      'in another thread than the generated one of the session',
      { comment: { id: 'c-gen', body: 'This thread is for an agent session with cyrus.' }, commentId: 'c-gen' },
    ],
    ['without the root', { comment: null }],
  ])('asks for the reply, %s', (_how, session) => {
    const { event } = asks(inReply(session));
    expect(event).toMatchObject({
      source: 'mention',
      text: reply.body,
      author: 'Ada Example',
      person: ada,
      commentId: reply.id,
    });
    expect(requestOf(inReply(session))).toContain('REPLY');
    expect(requestOf(inReply(session))).not.toContain('ROOT');
  });

  it.each([
    ['the reply is not among the comments sent along', {}, { previousComments: [root] }],
    ['no comments are sent along', {}, { previousComments: null }],
    ['nothing names the reply', { sourceCommentId: null }, { previousComments: [root] }],
    ['the root is somebody else’s, and nothing else is known', { sourceCommentId: null }, { previousComments: null }],
    [
      'the metadata says no more than that it was a comment',
      { sourceCommentId: null, comment: { ...root, userId: null }, sourceMetadata: { type: 'comment' } },
      { previousComments: null },
    ],
  ])('is left to be asked of Linear if %s; the root never becomes the request', (_why, session, event) => {
    const request = asks(inReply(session, event));
    expect(request.event).toMatchObject({ source: 'mention', person: ada });
    expect(request.event).not.toMatchObject({ text: expect.stringContaining('ROOT') });
    expect(requestOf(inReply(session, event))).toBe('');
    expect(request.promptText?.first).toContain('<cyrus-unread ref="');
  });

  it('is the request of who wrote it, no matter who opened the session', () => {
    const bobs = { ...reply, userId: bob };
    const { event } = asks(inReply({}, { previousComments: [root, bobs] }));
    expect(event).toMatchObject({ person: { id: bob, email: null }, author: null, text: reply.body });
  });

  it('as the root itself is the request of who wrote it', () => {
    const own = { id: 'c-own', body: '@cyrus fix it', userId: ada.id };
    for (const sourceCommentId of ['c-own', null]) {
      const body = inReply({ comment: own, commentId: 'c-own', sourceCommentId }, { previousComments: null });
      expect(asks(body).event).toMatchObject({ source: 'mention', text: own.body, person: ada });
    }
  });
});

describe('a prompt that Linear was seen to send', () => {
  it.each([
    ['prompted-content-body', 'P10 content.body', 'Ada Example', ada],
    ['prompted-top-level-body', 'P11 top-level body', 'Ada Example', ada],
    ['prompted-minimal-id-body', 'P12 minimal body', null, null],
    ['prompted-without-user', 'P14 no user', null, null],
    ['prompted-select-answer', 'P15 select answer', 'Ada Example', ada],
    ['prompted-to-completed-session', 'P16', 'Ada Example', ada],
  ])('is read whatever it leaves out: %s', (name, text, author, person) => {
    const body = shape(name);
    const { id, issueId } = body.agentSession as { id: string; issueId: string };
    const request = asks(body);
    expect(request.sessionName).toBe(`${ORG}:issue:${issueId}`);
    expect(request.event).toMatchObject({
      type: 'prompted',
      source: 'comment',
      agentSessionId: id,
      text,
      author,
      person,
    });
    expect(request.event).toMatchObject({ promptId: (body.agentActivity as { id: string }).id });
  });

  const body = shape('prompted-content-body');
  const activity = (more: Json) => asks(withPart(body, 'agentActivity', more)).event;

  it.each([
    ['content that is JSON text', { content: '{"type":"prompt","body":"Say it."}' }],
    ['content that is the text itself', { content: 'Say it.' }],
    ['content without a body beside a body', { content: { type: 'prompt' }, body: 'Say it.' }],
    [
      'an option that was pressed without a word',
      { content: null, signal: 'select', signalMetadata: { value: 'Say it.' } },
    ],
    ['content of a kind not known yet', { content: { type: 'elicited', body: 'Say it.', extra: [1] } }],
  ])('has its text in %s', (_where, more) => {
    expect(activity(more)).toMatchObject({ type: 'prompted', text: 'Say it.' });
  });

  it.each([
    ['very long', 'x'.repeat(1_000_000)],
    ['from right to left', 'תקן את הסכום בעגלה'],
    ['with emoji of several parts', 'Fix it 👩‍👩‍👧‍👦🏳️‍🌈'],
  ])('keeps a text that is %s as it is', (_what, text) => {
    expect(activity({ content: { type: 'prompt', body: text } })).toMatchObject({ text });
  });

  it.each([
    [
      'a user without an email',
      { user: { id: ada.id, name: 'Ada' } },
      { author: 'Ada', person: { id: ada.id, email: null } },
    ],
    [
      'a user without a name',
      { user: { id: ada.id, name: null, displayName: 'ada' } },
      { author: 'ada', person: { id: ada.id } },
    ],
    ['only the id of a user', { user: null }, { author: null, person: { id: ada.id, email: null } }],
    ['a user of an odd shape', { user: 'Ada' }, { author: null, person: { id: ada.id, email: null } }],
    ['an id that is a number', { user: null, userId: 7 }, { person: { id: '7', email: null } }],
  ])('of %s is that person’s', (_who, more, expected) => {
    expect(activity(more)).toMatchObject(expected);
  });

  it('without an id of its own, or with one that is no UUID, is known by another', () => {
    expect(activity({ id: null })).toMatchObject({ promptId: NEW_ID });
    expect(activity({ id: 'activity-7' })).toMatchObject({ promptId: NEW_ID });
  });

  it('names its session at the activity if that is the only place', () => {
    const { agentSession, ...rest } = body;
    const { id } = agentSession as { id: string };
    expect(asks(rest).event).toMatchObject({ agentSessionId: id });
    expect(asks({ ...rest, agentSession: null }).event).toMatchObject({ agentSessionId: id });
  });

  it('is a stop if the signal says so, in upper or lower case', () => {
    for (const signal of ['stop', 'STOP', 'Stop'])
      expect(activity({ signal })).toMatchObject({ type: 'stop-requested' });
  });

  it('comes whenever the time can be read: as a number, as text, in seconds, or not at all', () => {
    const times = [1795875206836, '1795875206836', '2026-11-28T14:13:26.836Z', 1795875206, null, 'soon', {}];
    for (const webhookTimestamp of times) {
      const parsed = parseWebhook(JSON.stringify({ ...body, webhookTimestamp }), 5);
      if (parsed.kind !== 'event') throw new Error(`${webhookTimestamp}`);
      expect(Math.abs(parsed.webhook.webhookTimestamp - 1795875206836)).toBeLessThan(1000);
    }
  });
});

describe('a notification that Linear was seen to send', () => {
  it.each([
    ['notification-issue-unassigned-from-you', { type: 'withdrawn', why: 'unassigned', author: 'Ada Example' }],
    [
      'notification-issue-new-comment',
      { type: 'context-arrived', item: { text: expect.stringContaining('the CI is red') } },
    ],
    ['notification-issue-assigned-to-you', { type: 'thread-expected', author: 'Ada Example', person: ada }],
  ])('means to its issue’s session: %s', (name, event) => {
    const body = shape(name);
    const { issueId } = body.notification as { issueId: string };
    expect(asks(body)).toMatchObject({ sessionName: `${ORG}:issue:${issueId}`, event });
  });

  it.each([
    ['notification-issue-new-comment-without-comment', null],
    ['notification-issue-comment-reaction', 'AppUserNotification.issueCommentReaction'],
    ['notification-issue-mention', 'AppUserNotification.issueMention'],
  ])('means nothing: %s', (name, nothing) => {
    expect(read(shape(name))).toBe(nothing);
  });

  it('that the state changed has Linear asked for the state', () => {
    const body = { ...shape('notification-issue-assigned-to-you'), action: 'issueStatusChanged' };
    expect(asks(body).event).toMatchObject({ type: 'status-changed', author: 'Ada Example' });
  });

  it('of an external person names that person, who is no member', () => {
    const body = withPart(shape('notification-issue-assigned-to-you'), 'notification', {
      actorId: null,
      actor: null,
      externalUserActorId: 'ext-1',
    });
    expect(asks(body).event).toMatchObject({ person: { id: 'ext-1', outside: true } });
  });

  it('with no more of its issue than the id belongs to the issue all the same', () => {
    const body = withPart(shape('notification-issue-unassigned-from-you'), 'notification', { issue: null });
    expect(asks(body).sessionName).toBe(`${ORG}:issue:48a481a4-1313-42e4-9e7f-1a4631be6432`);
  });
});

describe('a change of an issue that Linear was seen to send', () => {
  it.each([
    ['issue-update-state-and-title-canceled', { type: 'withdrawn', why: 'canceled', author: 'Ada Example' }],
    ['issue-update-undelegated', { type: 'withdrawn', why: 'unassigned' }],
    ['issue-update-completed-by-integration', { type: 'withdrawn', why: 'completed', author: null }],
    ['issue-update-labels-only', { type: 'issue-told', news: { labels: [] } }],
    [
      'issue-update-actor-null',
      { type: 'context-arrived', item: { edit: { author: null, description: 'NEW DESCRIPTION' } } },
    ],
  ])('means to its session: %s', (name, event) => {
    const body = shape(name);
    expect(asks(body)).toMatchObject({ sessionName: `${ORG}:issue:${(body.data as { id: string }).id}`, event });
  });

  it('to nothing needs no more than the issue’s id', () => {
    const body = { type: 'Issue', action: 'remove', organizationId: ORG, webhookTimestamp: 1, data: { id: 'i-1' } };
    expect(asks(body)).toMatchObject({ sessionName: `${ORG}:issue:i-1`, event: { type: 'withdrawn', why: 'removed' } });
  });
});

describe('what else Linear was seen to send', () => {
  it.each([
    ['oauthauthorization-created', 'OAuthAuthorization.created'],
    ['project-update', 'Project.update'],
    ['unknown-type', 'InitiativeLabel.create'],
    ['permission-added', 'PermissionChange'],
    ['permission-removed', 'PermissionChange'],
    ['oauthapp-revoked', 'OAuthApp'],
  ])('is known or passed over, never malformed: %s', (name, kind) => {
    expect(read(shape(name))).toBe(kind);
  });

  it('stays readable with every value null that Cyrus can do without, and with every such key left out', () => {
    const needed = new Set([
      'type',
      'action',
      'organizationId',
      'id',
      'agentSession',
      'agentActivity',
      'notification',
      'data',
      'issueId',
      'body',
    ]);
    const strip = (value: unknown, put: 'null' | 'nothing'): unknown => {
      if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
      const kept = Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
        if (needed.has(key)) return [[key, strip(inner, put)]];
        return put === 'null' ? [[key, null]] : [];
      });
      return Object.fromEntries(kept);
    };
    for (const [name, body] of Object.entries(shapes)) {
      for (const put of ['null', 'nothing'] as const) {
        expect(parseWebhook(JSON.stringify(strip(body, put)), 1).kind, `${name}, ${put}`).toMatch(/^(event|ignored)$/);
      }
    }
  });

  it('without what cannot be done without does not fit, and says what is missing', () => {
    const { agentSession: _, ...rest } = shape('created-rich-issue');
    expect(parseWebhook(JSON.stringify(rest), 1)).toMatchObject({
      kind: 'misfit',
      type: 'AgentSessionEvent.created',
      workspaceId: ORG,
      message: expect.stringContaining('agentSession'),
    });
  });

  it('with a name of a workspace too long to be one does not fit, and belongs to none', () => {
    const body = JSON.stringify({ ...shape('created-rich-issue'), organizationId: 'x'.repeat(5_000) });
    expect(parseWebhook(body, 1)).toMatchObject({ kind: 'misfit', workspaceId: null });
  });
});
