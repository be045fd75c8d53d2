/** Shapes that follow from Linear's schema and from what other projects met, varied until nothing but the needed is left. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { originOf } from '../../src/linear/webhooks/mention.ts';
import { concernsWork, isSelfTriggered, parseWebhook } from '../../src/linear/webhooks/webhook.ts';
import {
  fromAgentSession,
  fromIssueChange,
  fromNotification,
  type SessionRequest,
} from '../../src/session/inbound/webhook-to-event.ts';

type Json = Record<string, unknown>;

const ORG = '7c1d6a52-93b4-4f0e-8a57-2f1c9be3d401';
const APP = 'b2f4e8d6-5a1c-4d3b-9e70-64c8a1f7d502';
const SESSION = 'be669327-ed2d-49d4-bfed-75c74e05a6d9';
const ACTIVITY = '26abff86-6c67-44ee-b4d9-63d94592cb06';
const ISSUE = 'ada3e0bf-4f80-4d16-99e3-aee73aca7b58';
const NEW_ID = '00000000-0000-4000-8000-00000000000f';
const AT = 1_795_875_206_836;
const ada = { id: 'user-ada', name: 'Ada Example', email: 'ada@example.com' };
const adaAsked = { id: 'user-ada', email: 'ada@example.com' };

const issue = { id: ISSUE, identifier: 'ENG-9', title: 'The cart', description: 'Adds up wrongly.' };
const envelope = { organizationId: ORG, appUserId: APP, webhookTimestamp: AT };
const session = { id: SESSION, issueId: ISSUE, issue, creatorId: ada.id, creator: ada };
const created = (more: Json = {}, event: Json = {}): Json => ({
  ...envelope,
  type: 'AgentSessionEvent',
  action: 'created',
  agentSession: { ...session, ...more },
  ...event,
});
const prompted = (more: Json = {}, event: Json = {}): Json => ({
  ...envelope,
  type: 'AgentSessionEvent',
  action: 'prompted',
  agentSession: session,
  agentActivity: { id: ACTIVITY, agentSessionId: SESSION, userId: ada.id, user: ada, ...more },
  ...event,
});
const notified = (action: string | null, more: Json = {}): Json => ({
  ...envelope,
  type: 'AppUserNotification',
  action,
  notification: { id: ACTIVITY, type: action, actorId: ada.id, actor: ada, issueId: ISSUE, issue, ...more },
});
const changed = (data: Json, updatedFrom: unknown): Json => ({
  ...envelope,
  type: 'Issue',
  action: 'update',
  actor: { ...ada, type: 'user' },
  data: { ...issue, delegateId: APP, state: { type: 'started' }, ...data },
  updatedFrom,
});

function asks(body: Json): SessionRequest {
  const parsed = parseWebhook(JSON.stringify(body), AT);
  if (parsed.kind !== 'event') throw new Error(JSON.stringify(parsed));
  const { webhook } = parsed;
  const request =
    webhook.type === 'AgentSessionEvent'
      ? fromAgentSession(webhook, NEW_ID)
      : webhook.type === 'AppUserNotification'
        ? fromNotification(webhook, NEW_ID)
        : webhook.type === 'Issue' && concernsWork(webhook)
          ? fromIssueChange(webhook, APP, NEW_ID)
          : null;
  if (request === null) throw new Error('asks nothing');
  return request;
}

describe('an agent session of an unusual shape', () => {
  it.each<[string, Json, Json]>([
    ['whose id is no UUID', { id: 'session-1' }, {}],
    ['with an issue whose id is beside it alone', { issue: { ...issue, id: null } }, {}],
    ['with an issue of which only the id came', { issue: { id: ISSUE } }, {}],
    ['with an issue that only its comment names', { issue: null, issueId: null, comment: { issueId: ISSUE } }, {}],
    ['with labels as GraphQL lists them', { issue: { ...issue, labels: { nodes: [{ name: 'bug' }] } } }, {}],
    ['with labels that are plain or numeric', { issue: { ...issue, labels: ['bug', 7, { name: 3 }, null] } }, {}],
    ['with a team of an odd shape', { issue: { ...issue, team: 'ENG', teamId: 7 } }, {}],
    ['with metadata that is no JSON', { sourceMetadata: 'slack' }, {}],
    ['with guidance that is one text', {}, { guidance: 'Write tests.' }],
    ['with an application context that is no text', {}, { promptContext: { issue: 1 }, previousComments: 'none' }],
    ['with a list where a person is expected', { creator: [ada] }, {}],
    ['with a status that is not known yet', { status: 'dreaming', type: 'voice', context: [{}] }, {}],
  ])('asks for its issue all the same, %s', (_how, more, event) => {
    const request = asks(created(more, event));
    expect(request.sessionName).toBe(`${ORG}:issue:${ISSUE}`);
    expect(request.event).toMatchObject({ type: 'prompted', source: 'delegation', person: { id: ada.id } });
    expect(request.event).toMatchObject({ promptId: expect.stringMatching(/^[\da-f-]{36}$/) });
  });

  it('keeps the labels and the title that came beside an issue without an id', () => {
    const labels = { nodes: [{ name: 'bug' }, { name: 3 }] };
    const { about } = asks(created({ issue: { ...issue, id: undefined, labels } }));
    expect(about?.issue).toMatchObject({ id: ISSUE, identifier: 'ENG-9', title: 'The cart', labels: ['bug', '3'] });
  });

  it.each(['42', 'org with spaces', '../../etc', 'организация', 'a'.repeat(200)])(
    'belongs to the workspace %s, whatever its id looks like',
    (organizationId) => {
      expect(asks({ ...created(), organizationId }).about?.workspaceId).toBe(organizationId);
    },
  );

  it.each([
    ['in ms', AT],
    ['in µs', AT * 1000],
    ['in s', Math.floor(AT / 1000)],
    ['in ISO 8601', new Date(AT).toISOString()],
  ])('was sent when it says, %s', (_how, webhookTimestamp) => {
    const parsed = parseWebhook(JSON.stringify({ ...created(), webhookTimestamp }), 5);
    if (parsed.kind !== 'event') throw new Error('unread');
    expect(Math.abs(parsed.webhook.webhookTimestamp - AT)).toBeLessThan(1000);
  });
});

describe('a comment that mentions the agent', () => {
  const comment = { id: 'c-1', body: '@cyrus please fix the sum', issueId: ISSUE };

  it.each<[string, Json]>([
    ['the id of its author', { userId: ada.id }],
    ['its author as a person', { user: ada }],
  ])('is the request, with %s', (_how, more) => {
    const { event } = asks(created({ commentId: 'c-1', comment: { ...comment, ...more } }));
    expect(event).toMatchObject({ source: 'mention', text: comment.body, person: adaAsked, commentId: 'c-1' });
  });

  it('is the request if nothing but the comment itself names who wrote it', () => {
    const { event } = asks(created({ creatorId: null, creator: null, comment: { ...comment, userId: 'user-bob' } }));
    expect(event).toMatchObject({ text: comment.body, author: null, person: { id: 'user-bob', email: null } });
  });

  it.each<[string, Json]>([
    ['a mention', { body: '@cyrus please fix the sum' }],
    ['a mention as Linear writes it', { body: 'Could <user id="b2f4">cyrus</user> look?' }],
    ['a link to the agent', { body: 'https://linear.app/acme/profiles/cyrus fix the sum' }],
  ])('without an author, and with %s in it, is asked of Linear, never passed over', (_how, more) => {
    const request = asks(created({ commentId: 'c-1', comment: { ...comment, ...more } }));
    expect(request.event).toMatchObject({ source: 'mention' });
    expect(request.promptText?.first).toContain(`<cyrus-unread ref="session:${SESSION}"`);
  });

  it('in a thread from Slack is the request of the person there whom Linear does not know', () => {
    const slack = { ...comment, id: 'c-2', botActor: { type: 'slack', name: 'Slack', userDisplayName: 'Grace' } };
    const root = { id: 'c-1', body: 'This thread is synced with #shop.', botActor: { type: 'slack' } };
    const body = created(
      { creatorId: null, creator: null, commentId: 'c-1', comment: root, sourceCommentId: 'c-2' },
      { previousComments: [slack, root] },
    );
    expect(asks(body).event).toMatchObject({ source: 'mention', text: comment.body, author: 'Grace' });
    expect(asks(body).event).toMatchObject({ person: { outside: true, email: null } });
  });

  it('is the request also if Linear names neither its author nor who opened the session, so that nobody is mistaken for another', () => {
    const nobody = { creator: null, creatorId: null, comment: { id: 'comment-789', body: '@claude help me' } };
    const request = asks(created(nobody));
    expect(request.event).toMatchObject({ type: 'prompted', source: 'mention', text: '@claude help me', person: null });
    expect(request.sessionName).toBe(`${ORG}:issue:${ISSUE}`);
  });

  it('of an external person is never credited to the one who opened the session', () => {
    const outside = { ...comment, id: 'c-2', externalUser: { id: 'ext-7', name: 'Grace' } };
    const body = created({ comment: outside, commentId: 'c-2', sourceCommentId: 'c-2' });
    expect(asks(body).event).toMatchObject({ author: 'Grace', person: { id: 'ext-7', outside: true } });
  });

  it.each([
    [
      'oldest first',
      [
        { id: 'r', body: 'ROOT' },
        { id: 'x', body: 'other' },
      ],
    ],
    [
      'newest first',
      [
        { id: 'x', body: 'other' },
        { id: 'r', body: 'ROOT' },
      ],
    ],
    ['with holes', [null, { id: 'x' }, 7, { body: 'no id' }]],
  ])('is found by its id among the comments before it, %s', (_how, others) => {
    const mention = { ...comment, id: 'c-9', userId: ada.id };
    const body = created(
      { commentId: 'r', comment: { id: 'r', body: 'ROOT', userId: 'user-bob' }, sourceCommentId: 'c-9' },
      { previousComments: [...others, mention] },
    );
    expect(asks(body).event).toMatchObject({ text: comment.body, person: adaAsked, commentId: 'c-9' });
  });

  it('in a thread that only holds Linear’s own words is none: the issue was delegated', () => {
    const root = { id: 'c-1', body: 'This thread is for an agent session with cyrus.' };
    const parsed = parseWebhook(JSON.stringify(created({ comment: root }, { previousComments: [] })), AT);
    if (parsed.kind !== 'event' || parsed.webhook.type !== 'AgentSessionEvent') throw new Error('unread');
    if (parsed.webhook.action !== 'created') throw new Error('unread');
    expect(originOf(parsed.webhook)).toMatchObject({ kind: 'delegation', by: { name: 'Ada Example' } });
  });
});

describe('a prompt of an unusual shape', () => {
  it.each<[string, Json]>([
    ['content.body', { content: { type: 'prompt', body: ' Say it. ' } }],
    ['content that is JSON text', { content: '{"type":"prompt","body":"Say it."}' }],
    ['a title, where the body is empty', { content: { type: 'prompt', title: 'Say it.', body: '' } }],
    ['a body beside content of an odd shape', { content: ['?'], body: 'Say it.' }],
    ['the comment it came from', { content: null, sourceComment: { id: 'c', body: 'Say it.' } }],
    ['the option that was pressed', { signal: { type: 'SELECT' }, signalMetadata: '{"value":"Say it."}' }],
  ])('is told from %s', (_where, more) => {
    expect(asks(prompted(more)).event).toMatchObject({ type: 'prompted', text: 'Say it.', person: adaAsked });
  });

  it.each<[string, unknown]>([
    ['without a session', undefined],
    ['with null for its session', null],
    ['with a session without an id', {}],
    ['with a session that is its id', SESSION],
    ['with a session of which there is only the id', { id: SESSION }],
  ])('names its session at the activity too, %s', (_how, agentSession) => {
    expect(asks(prompted({ body: 'Say it.' }, { agentSession })).event).toMatchObject({ agentSessionId: SESSION });
  });

  it.each<[string, unknown]>([
    ['stop', 'stop'],
    ['STOP', 'STOP'],
    [' Stop ', ' Stop '],
    ['an object', { type: 'stop' }],
  ])('is a stop, the signal being %s', (_how, signal) => {
    expect(asks(prompted({ signal, signalMetadata: { reason: 1 }, content: null })).event).toMatchObject({
      type: 'stop-requested',
      agentSessionId: SESSION,
      author: 'Ada Example',
    });
  });

  it('without a word is asked of Linear if it names the comment it came from', () => {
    const request = asks(prompted({ content: {}, sourceCommentId: 'c-3' }));
    expect(request.promptText?.followUp).toContain('<cyrus-unread ref="comment:c-3"');
    expect(request.event).toMatchObject({ type: 'prompted', commentId: 'c-3', person: adaAsked });
  });

  it('with a signal that is not known yet is what it says', () => {
    expect(asks(prompted({ signal: 'continue', body: 'Go on.' })).event).toMatchObject({ text: 'Go on.' });
  });
});

describe('a webhook as test suites of other agents have it', () => {
  const bare = (more: Json): Json => ({
    type: 'AgentSessionEvent',
    organizationId: ORG,
    webhookTimestamp: AT,
    ...more,
  });

  it('stops by an activity without an id, in a session of which no more than the id is told', () => {
    const agentActivity = { userId: 'u1', signal: 'stop', content: { type: 'prompt', body: 'stop' } };
    const { event } = asks(bare({ action: 'prompted', agentSession: { id: 'agt_1' }, agentActivity }));
    expect(event).toMatchObject({ type: 'stop-requested', agentSessionId: 'agt_1' });
  });

  it('asks with words at the activity itself, and with the context inside of the session', () => {
    const agentSession = { id: 'sess-1', promptContext: '<identifier>DEV-1</identifier>' };
    const { event } = asks(bare({ action: 'prompted', agentSession, agentActivity: { body: 'go on' } }));
    expect(event).toMatchObject({ type: 'prompted', text: 'go on', agentSessionId: 'sess-1' });
  });

  it('has guidance as one text, and an issue of which the identifier alone is told', () => {
    const withGuidance = asks(created({}, { guidance: 'Use tabs' }));
    expect(withGuidance.event).toMatchObject({ type: 'prompted', source: 'delegation' });
    const other = asks(bare({ action: 'created', agentSession: { id: 'sess-1', issue: { identifier: 'ENG-9' } } }));
    expect(other.sessionName).toBe(`${ORG}:agent-session:sess-1`);
  });

  it('takes an issue away that was moved to the trash', () => {
    expect(asks(changed({ trashed: true }, { trashed: null })).event).toMatchObject({
      type: 'withdrawn',
      why: 'removed',
    });
  });
});

describe('a notification of an unusual shape', () => {
  it.each<[string, Json, Json]>([
    ['by its own type, where the action says nothing', { action: 'create' }, {}],
    ['without an action', { action: null }, {}],
    ['about an issue whose id is beside it', {}, { issue: { ...issue, id: null } }],
    ['about an issue of which only the id came', {}, { issue: null }],
  ])('that the issue was taken away stops the run, %s', (_how, event, more) => {
    const body = { ...notified('issueUnassignedFromYou', more), ...event };
    expect(asks(body)).toMatchObject({
      sessionName: `${ORG}:issue:${ISSUE}`,
      event: { type: 'withdrawn', why: 'unassigned', author: 'Ada Example' },
    });
  });

  it.each<[string, Json, string | null]>([
    ['a member', { userId: 'user-bob', user: { id: 'user-bob', name: 'Bob' } }, 'Bob'],
    ['an integration', { botActor: { type: 'github', name: 'GitHub' } }, 'GitHub'],
    ['a person outside', { externalUser: { id: 'ext-7', name: 'Grace' } }, 'Grace'],
    ['nobody', {}, 'Someone'],
  ])('of a comment that alone names who wrote it tells it as of %s', (_who, more, name) => {
    const comment = { id: 'c-1', body: 'The CI is red.', ...more };
    const { event } = asks(notified('issueNewComment', { actorId: null, actor: null, comment }));
    expect(event).toMatchObject({ item: { text: expect.stringContaining(`${name} commented on the issue`) } });
  });

  it.each(['issueUnassignedFromYou', 'issueStatusChanged', 'issueNewComment', 'issueCommentMention'])(
    'of the kind %s belongs to the issue that only its comment names',
    (kind) => {
      const comment = { id: 'c-1', body: 'The CI is red.', issue: { id: ISSUE }, user: ada };
      expect(asks(notified(kind, { issue: null, issueId: null, comment })).sessionName).toBe(`${ORG}:issue:${ISSUE}`);
    },
  );

  it('of a comment of the agent’s own is known for that by the comment alone', () => {
    const comment = { id: 'c-1', body: 'Done.', userId: APP };
    const body = notified('issueNewComment', { actorId: null, actor: null, comment });
    const parsed = parseWebhook(JSON.stringify(body), AT);
    if (parsed.kind !== 'event' || parsed.webhook.type !== 'AppUserNotification') throw new Error('unread');
    expect(isSelfTriggered(parsed.webhook)).toBe(true);
  });

  const KINDS = ['issueMention', 'issueEmojiReaction', 'issueCommentReaction', 'issueReopened', 'issueDue'];
  const MORE = [
    'issueThreadResolved',
    'issueSubscribed',
    'issueSlaBreached',
    'projectUpdateCreated',
    'documentMention',
  ];
  it.each([...KINDS, ...MORE, 'pullRequestReviewRequested', 'customerNeedCreated', 'constructor', ''])(
    'of the kind "%s" is passed over, and never fails',
    (kind) => {
      expect(parseWebhook(JSON.stringify(notified(kind, { issue: null, issueId: null })), AT).kind).toBe('ignored');
    },
  );
});

describe('a change of an issue of an unusual shape', () => {
  it.each<[string, Json, unknown, string]>([
    ['another state', { state: { type: 'canceled' } }, { stateId: 's' }, 'canceled'],
    ['a state of which only the times tell', { state: null, canceledAt: '2026-11-28' }, { stateId: 's' }, 'canceled'],
    ['its completion, by the time alone', { state: {}, completedAt: '2026-11-28' }, { completedAt: null }, 'completed'],
    ['a state, as JSON text', { state: { type: 'duplicate' } }, '{"stateId":"s"}', 'canceled'],
    ['the archive', { archivedAt: '2026-11-28' }, { archivedAt: null }, 'archived'],
    ['the trash', { trashed: true }, { trashed: null, archivedAt: null }, 'removed'],
    ['nothing said of what was changed, and it is archived', { archivedAt: '2026-11-28' }, null, 'archived'],
    ['nothing said of what was changed, and it is over', { state: { type: 'completed' } }, undefined, 'completed'],
    ['another delegate', { delegateId: null }, { delegateId: APP }, 'unassigned'],
    ['another delegate, told as a person', { delegateId: null }, { delegate: { id: APP } }, 'unassigned'],
    [
      'another delegate, beside one of an odd shape',
      { delegateId: null },
      { delegateId: APP, delegate: 'x' },
      'unassigned',
    ],
    [
      'another delegate, beside an id of an odd shape',
      { delegateId: null },
      { delegateId: {}, delegate: { id: APP } },
      'unassigned',
    ],
    ['the trash, told as text', { trashed: 'true' }, { trashed: null }, 'removed'],
  ])('stops the run: %s', (_what, data, updatedFrom, why) => {
    expect(asks(changed(data, updatedFrom)).event).toMatchObject({ type: 'withdrawn', why, author: 'Ada Example' });
  });

  it('to a state that is not told has Linear asked for it', () => {
    for (const state of [null, undefined, {}, 'Done'])
      expect(asks(changed({ state }, { stateId: 's' })).event).toMatchObject({ type: 'status-changed' });
  });

  it('of what does not matter, or with nothing said and nothing over, stops nothing', () => {
    expect(() => asks(changed({ archivedAt: '2026-11-28' }, { sortOrder: 1 }))).toThrow('asks nothing');
    expect(asks(changed({}, null)).event).toMatchObject({ type: 'issue-told' });
  });
});

describe('a webhook about the installation', () => {
  const read = (body: Json) => parseWebhook(JSON.stringify(body), AT);

  it('names the teams that were taken away, however they are listed', () => {
    const body = { ...envelope, type: 'PermissionChange', action: 'teamAccessChanged' };
    const removedTeamIds = ['t-1', { id: 't-2' }, 3, null, [], ''];
    expect(read({ ...body, removedTeamIds })).toMatchObject({ webhook: { removedTeamIds: ['t-1', 't-2', '3'] } });
    for (const nothing of [null, undefined, 't-1', {}])
      expect(read({ ...body, removedTeamIds: nothing })).toMatchObject({ webhook: { removedTeamIds: [] } });
  });

  it('needs no more than the workspace for the app’s removal', () => {
    const body = { type: 'OAuthApp', action: 'revoked', organizationId: ORG };
    expect(read(body)).toMatchObject({ kind: 'event', webhook: { webhookTimestamp: AT } });
  });

  it.each(['null', '[]', '7', '"text"', '', '{', '{}', '{"type":7}', '[{"type":"Issue"}]', '[[[['])(
    'that is none at all is known as that, and never thrown over: %s',
    (body) => {
      expect(parseWebhook(body, AT)).toMatchObject({ kind: 'malformed', message: expect.any(String) });
    },
  );
});

it('what the agent itself did is told by its user, wherever that is named', () => {
  for (const body of [
    created({ creatorId: APP, creator: null }),
    created({ creatorId: null, creator: { id: APP } }, { appUserId: null }),
    prompted({ userId: null, user: { id: APP }, body: 'x' }),
    notified('issueNewComment', { actorId: null, actor: { id: APP } }),
  ]) {
    const parsed = parseWebhook(JSON.stringify({ ...body, agentSession: withApp(body.agentSession) }), AT);
    if (parsed.kind !== 'event' || !('appUserId' in parsed.webhook)) throw new Error('unread');
    const { webhook } = parsed;
    if (webhook.type !== 'AgentSessionEvent' && webhook.type !== 'AppUserNotification') throw new Error('other');
    expect(isSelfTriggered(webhook)).toBe(true);
  }
});

function withApp(agentSession: unknown): unknown {
  return typeof agentSession === 'object' ? { ...agentSession, appUserId: APP } : agentSession;
}

describe('a loss of teams', () => {
  it.each<[string, unknown, string[]]>([
    ['a list', ['t-1', { id: 't-2' }, null], ['t-1', 't-2']],
    ['the JSON text of a list', '["t-1"]', ['t-1']],
    ['nothing', null, []],
    ['of an odd shape', { t: 1 }, []],
  ])('names them, told as %s', (_how, removedTeamIds, expected) => {
    const body = { type: 'PermissionChange', action: 'teamAccessChanged', organizationId: ORG, removedTeamIds };
    const parsed = parseWebhook(JSON.stringify(body), AT);
    expect(parsed).toMatchObject({ kind: 'event', webhook: { removedTeamIds: expected } });
  });
});

describe('of a webhook as Linear was seen to send it', () => {
  const folder = new URL('../fixtures/linear-webhooks/', import.meta.url);
  const bodies = readdirSync(folder).map((file): [string, Json] => [
    file,
    JSON.parse(readFileSync(new URL(file, folder), 'utf8')),
  ]);
  const ODD = [undefined, null, '', 0, [], {}, 'x', true, [null], { id: null }];
  /** Without these nobody knows what it is, whose, or about what. */
  const NEEDED = /^(?:type|action|organizationId|(?:agentSession|agentActivity|notification|data)(?:\.id)?)$/;

  function* pathsIn(value: unknown, before: string[] = []): Generator<string[]> {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      yield [...before, key];
      yield* pathsIn(inner, [...before, key]);
    }
  }

  function withValue(value: unknown, [key = '', ...rest]: string[], odd: unknown): unknown {
    const copy = Array.isArray(value) ? [...value] : { ...(value as Json) };
    Object.assign(copy, { [key]: rest.length === 0 ? odd : withValue(Reflect.get(copy, key), rest, odd) });
    return copy;
  }

  it.each(bodies)('each other field may be missing, empty or of any shape, and it is read: %s', (_file, body) => {
    for (const path of pathsIn(body)) {
      if (NEEDED.test(path.join('.'))) continue;
      for (const odd of ODD) {
        const { kind } = parseWebhook(JSON.stringify(withValue(body, path, odd)), AT);
        expect(kind, `${path.join('.')} = ${JSON.stringify(odd)}`).toMatch(/^(?:event|ignored)$/);
      }
    }
  });
});
