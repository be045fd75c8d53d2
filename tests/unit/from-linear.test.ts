import { describe, expect, it } from 'vitest';
import { isSelfTriggered, parseWebhook, type Webhook } from '../../src/linear/webhooks/webhook.ts';
import {
  fromAgentSession,
  fromIssueChange,
  fromNotification,
  type SessionRequest,
} from '../../src/session/inbound/webhook-to-event.ts';

const THREAD = 'a0d7ca6b-0000-4000-8000-000000000001';
const ACTIVITY = 'a0d7ca6b-0000-4000-8000-000000000002';
const APP = 'app-user';
const envelope = {
  organizationId: 'org',
  oauthClientId: 'client',
  appUserId: APP,
  webhookTimestamp: 1,
  webhookId: 'w',
};
const ada = { id: 'ada', name: 'Ada', email: 'ada@example.com' };
const issue = {
  id: 'issue-1',
  identifier: 'ENG-1',
  title: 'Totals',
  description: 'They are wrong.',
  url: 'https://linear.app/acme/issue/ENG-1',
  teamId: 'team-1',
  team: { id: 'team-1', key: 'ENG', name: 'Engineering' },
};
const placeholder = { id: 'c1', body: 'This thread is for an agent session with Cyrus.' };
const agentSession = { id: THREAD, appUserId: APP, creatorId: 'ada', creator: ada, issueId: issue.id, issue };

function read(payload: object): Webhook {
  const parsed = parseWebhook(JSON.stringify({ ...envelope, ...payload }), 1);
  if (parsed.kind !== 'event') throw new Error(JSON.stringify(parsed));
  return parsed.webhook;
}

function session(payload: object): SessionRequest | null {
  const webhook = read({ type: 'AgentSessionEvent', ...payload });
  if (webhook.type !== 'AgentSessionEvent') throw new Error(webhook.type);
  return fromAgentSession(webhook, 'id-1');
}

const created = (more: object = {}, event: object = {}) =>
  session({ action: 'created', agentSession: { ...agentSession, ...more }, ...event });
const prompted = (activity: object, more: object = {}) =>
  session({
    action: 'prompted',
    agentSession: { ...agentSession, ...more },
    agentActivity: {
      id: ACTIVITY,
      userId: 'ada',
      user: ada,
      content: { type: 'prompt', body: 'Add tests.' },
      ...activity,
    },
  });

function notified(action: string, more: object = {}): SessionRequest | null {
  const notification = { id: 'n1', actorId: 'ada', actor: ada, issueId: issue.id, issue, ...more };
  const webhook = read({ type: 'AppUserNotification', action, notification });
  if (webhook.type !== 'AppUserNotification') throw new Error(webhook.type);
  return fromNotification(webhook, 'id-1');
}

function changed(updatedFrom: object, data: object = {}, action = 'update'): SessionRequest | null {
  const whole = { ...issue, delegateId: APP, state: { type: 'started' }, ...data };
  const webhook = read({ type: 'Issue', action, actor: ada, data: whole, updatedFrom });
  if (webhook.type !== 'Issue') throw new Error(webhook.type);
  return fromIssueChange(webhook, APP, 'id-1');
}

describe('an agent session that begins', () => {
  it('by a delegation asks for what the issue says, not for the placeholder that nobody wrote', () => {
    const request = created({ comment: placeholder });
    expect(request?.event).toMatchObject({ type: 'prompted', source: 'delegation', text: 'Totals\n\nThey are wrong.' });
    expect(request?.promptText?.first).toContain('They are wrong.');
    expect(request?.promptText?.first).not.toContain('This thread is for');
  });

  it('by a mention asks for what the comment says', () => {
    const request = created({ comment: { id: 'c2', body: '@cyrus round half up', userId: 'ada' } });
    expect(request?.event).toMatchObject({ source: 'mention', text: '@cyrus round half up' });
  });

  it('without an issue has a session of its own', () => {
    const comment = { id: 'c2', body: 'What is this?', userId: 'ada' };
    const request = created({ issue: null, issueId: null, comment });
    expect(request).toMatchObject({ sessionName: `org:agent-session:${THREAD}`, about: { issue: null } });
    expect(request?.promptText?.first).toContain('What is this?');
  });

  it('a session without a creator was asked for by no person', () => {
    expect(created({ creator: null, creatorId: null })?.event).toMatchObject({ author: null, person: null });
  });

  it('with a creator of whom there is only the id was asked for by that one', () => {
    expect(created({ creator: undefined })?.event).toMatchObject({ author: null, person: { id: 'ada', email: null } });
  });

  it('with the comments before it, and no context of Linear’s, gives Claude those', () => {
    const previousComments = [{ id: 'c0', body: 'Customers round down.' }];
    expect(created({}, { previousComments })?.promptText?.first).toContain('Customers round down.');
    const both = created({}, { previousComments, promptContext: '<issue/>' });
    expect(both?.promptText?.first).not.toContain('Customers round down.');
    expect(created({}, { previousComments: 'odd', promptContext: null })).not.toBeNull();
  });

  it('with guidance gives Claude the rules', () => {
    const guidance = [{ body: 'Use tabs.', origin: { type: 'Organization' } }];
    expect(created({}, { guidance })?.promptText?.first).toContain('Use tabs.');
  });

  it('with keys and values that nobody has seen yet is the same', () => {
    const more = { status: 'daydreaming', plan: [1], pullRequestId: 'x', sourceMetadata: { type: 'slack' } };
    expect(created(more)).toEqual(created());
  });
});

describe('a prompt in a thread', () => {
  it('belongs to the session of its issue, also if it brings no more of the issue than its id', () => {
    expect(prompted({}, { issue: null })?.sessionName).toBe('org:issue:issue-1');
  });

  it('is read from content.body, and from body if that is all there is', () => {
    expect(prompted({})?.event).toMatchObject({ type: 'prompted', source: 'comment', text: 'Add tests.' });
    expect(prompted({ content: undefined, body: 'As documented.' })?.event).toMatchObject({ text: 'As documented.' });
  });

  it('introduces the issue if it begins the session, because the event before it is late', () => {
    const { first, followUp } = prompted({})?.promptText ?? {};
    expect(first).toContain('They are wrong.');
    expect(followUp).not.toContain('They are wrong.');
    expect(followUp).toContain('Add tests.');
  });

  it('without a word asks for nothing', () => {
    expect(prompted({ content: { type: 'prompt', body: ' \n' } })).toBeNull();
  });

  it('with the signal to stop is a stop, whatever its text says', () => {
    expect(prompted({ signal: 'stop' })?.event).toMatchObject({ type: 'stop-requested', agentSessionId: THREAD });
    expect(prompted({ signal: 'stop', content: null })?.event.type).toBe('stop-requested');
  });
});

describe('what happened in Linear', () => {
  const at = '2026-11-28T14:12:20.592Z';
  it('is told with its own time there, which a repeat bears again, not with the time of its arrival', () => {
    const time = Date.parse(at);
    expect(created({ createdAt: at })?.event).toMatchObject({ at: time });
    expect(prompted({ createdAt: at })?.event).toMatchObject({ at: time });
    expect(prompted({ createdAt: at, signal: 'stop' })?.event).toMatchObject({ type: 'stop-requested', at: time });
    expect(notified('issueUnassignedFromYou', { createdAt: at })?.event).toMatchObject({ type: 'withdrawn', at: time });
  });

  it('without a readable time of its own has the time of the webhook', () => {
    expect(created({ createdAt: 'yesterday' })?.event).toMatchObject({ at: 1 });
    expect(prompted({ createdAt: {} })?.event).toMatchObject({ at: 1 });
  });
});

describe('a notification', () => {
  it('of an assignment or a mention expects a thread, and asks the same', () => {
    expect(notified('issueAssignedToYou')?.event).toMatchObject({ type: 'thread-expected', commentId: null });
    const comment = { id: 'c3', body: 'Please look.' };
    expect(notified('issueCommentMention', { comment })?.event).toMatchObject({
      type: 'thread-expected',
      commentId: 'c3',
      text: 'Please look.',
      person: { id: 'ada', email: 'ada@example.com' },
    });
  });

  it('of somebody who is no member of the workspace says so', () => {
    const external = { actor: null, actorId: null, externalUserActorId: 'customer-1' };
    expect(notified('issueAssignedToYou', external)?.event).toMatchObject({
      person: { id: 'customer-1', outside: true },
    });
  });

  it('that the issue was taken away stops the run', () => {
    expect(notified('issueUnassignedFromYou')?.event).toMatchObject({ type: 'withdrawn', why: 'unassigned' });
  });

  it('of a comment is context for later, and nothing without a word', () => {
    const comment = { id: 'c3', body: 'Customers round down.' };
    expect(notified('issueNewComment', { comment })?.event).toMatchObject({
      type: 'context-arrived',
      item: { comments: ['c3'] },
    });
    expect(notified('issueNewComment', { comment: null })).toBeNull();
  });

  it('about something that is no issue means nothing here', () => {
    expect(notified('issueCommentMention', { issue: null, issueId: null })).toBeNull();
  });
});

describe('a change of an issue', () => {
  it.each([
    ['completed', { stateId: 's' }, { state: { type: 'completed' } }, 'completed'],
    ['canceled', { stateId: 's' }, { state: { type: 'canceled' } }, 'canceled'],
    ['a duplicate', { stateId: 's' }, { state: { type: 'duplicate' } }, 'canceled'],
    ['taken away', { delegateId: APP }, { delegateId: null }, 'unassigned'],
    ['given to another agent', { delegateId: APP }, { delegateId: 'other' }, 'unassigned'],
    ['archived', { archivedAt: null }, { archivedAt: '2026-11-28T14:12:20.592Z' }, 'archived'],
    ['put into the trash', { trashed: null }, { trashed: true }, 'removed'],
  ])('stops the run when it is %s', (_what, updatedFrom, data, why) => {
    expect(changed(updatedFrom, data)?.event).toMatchObject({ type: 'withdrawn', why });
  });

  it('stops the run when the issue is gone', () => {
    expect(changed({}, {}, 'remove')?.event).toMatchObject({ type: 'withdrawn', why: 'removed' });
  });

  it.each([
    ['started', { stateId: 's' }, { state: { type: 'started' } }],
    ['taken out of the trash', { trashed: true }, { trashed: null }],
    ['given to Cyrus', { delegateId: null }, {}],
    ['given another priority', { priority: 1 }, {}],
  ])('does not disturb the run when it is %s', (_what, updatedFrom, data) => {
    expect(changed(updatedFrom, data)?.event.type).toBe('issue-told');
  });

  it('of its text is told to Claude as context, at once', () => {
    const request = changed({ title: 'Before' });
    expect(request).toMatchObject({ about: null, event: { type: 'context-arrived', urgent: true } });
    // What was not changed is not told again.
    expect(request?.event).toMatchObject({ item: { edit: { author: 'Ada', title: 'Totals' } } });
    const emptied = changed({ description: 'Before' }, { description: null });
    expect(emptied?.event).toMatchObject({ item: { edit: { author: 'Ada', description: null } } });
  });
});

describe('what Cyrus itself caused is told apart:', () => {
  it.each([
    [
      'a session it opened',
      { type: 'AgentSessionEvent', action: 'created', agentSession: { ...agentSession, creatorId: APP } },
    ],
    [
      'a prompt of its own',
      { type: 'AgentSessionEvent', action: 'prompted', agentSession, agentActivity: { id: ACTIVITY, userId: APP } },
    ],
    [
      'a comment of its own',
      { type: 'AppUserNotification', action: 'issueNewComment', notification: { id: 'n', actorId: APP } },
    ],
  ])('%s', (_what, payload) => {
    const webhook = read(payload);
    if (webhook.type !== 'AgentSessionEvent' && webhook.type !== 'AppUserNotification') throw new Error(webhook.type);
    expect(isSelfTriggered(webhook)).toBe(true);
  });
});
