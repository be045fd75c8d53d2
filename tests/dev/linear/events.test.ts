import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linearSchema } from '../../../dev/linear/schema/schema.ts';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { addActivity, call, OPERATIONS, type Receiver, startWithReceiver } from './api.ts';
import { mismatches } from './payload-types.ts';

let linear: LinearSimulator;
let receiver: Receiver;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, receiver, stop } = await startWithReceiver());
});
afterEach(() => stop());

/** What was sent since this was last asked, by kind. */
async function sent(): Promise<string[]> {
  await linear.webhooksSettled();
  return receiver.received.splice(0).map(({ payload }) => `${payload.type} ${payload.action}`);
}
async function payload(kind: string) {
  await linear.webhooksSettled();
  return receiver.of(kind).at(-1)?.payload;
}
const issueTitle = async (id: string) => (await call(linear, OPERATIONS.IssueContext, { id })).data?.issue.title;

describe('Changing an issue', () => {
  it('is an update with the former values', async () => {
    linear.editIssue('ENG-1', {
      title: 'Totals are wrong',
      description: 'All of them.',
      assigned: true,
      project: 'Shop',
    });
    const update = await payload('Issue update');
    expect(update).toMatchObject({
      actor: { type: 'user', name: 'Ada Example' },
      data: {
        title: 'Totals are wrong',
        description: 'All of them.',
        assignee: { name: 'Ada Example' },
        project: { name: 'Shop' },
      },
      updatedFrom: { title: 'The cart total ignores quantities', assigneeId: null, projectId: null },
    });
    expect(linear.thread('ENG-1').issue).toMatchObject({ title: 'Totals are wrong', assigned: true, project: 'Shop' });
  });

  it('can be of its labels; what stays the same is no change', async () => {
    linear.editIssue('ENG-1', { labels: ['Bug', 'opus'] });
    expect((await payload('Issue update'))?.data.labels).toMatchObject([{ name: 'Bug' }, { name: 'opus' }]);
    await sent();
    linear.editIssue('ENG-1', { labels: ['bug', 'OPUS'], title: 'The cart total ignores quantities' });
    expect(await sent()).toEqual([]);
  });

  it('can be removing it: the API has it still, as trash', async () => {
    linear.delegate('ENG-1');
    await sent();
    linear.removeIssue('ENG-1');
    expect((await payload('Issue remove'))?.data).toMatchObject({ identifier: 'ENG-1', trashed: true });
    expect((await call(linear, '{ issue(id: "ENG-1") { trashed } }')).data.issue).toEqual({ trashed: true });
    expect(linear.issues()).toEqual([]);
    expect(() => linear.removeIssue('ENG-1')).toThrow('ENG-1 is removed already');
  });

  it('can be archiving it, and taking it back', async () => {
    linear.delegate('ENG-1');
    await sent();
    linear.archiveIssue('ENG-1');
    expect(await payload('Issue update')).toMatchObject({
      data: { identifier: 'ENG-1', archivedAt: expect.any(String) },
      updatedFrom: { archivedAt: null },
    });
    expect((await call(linear, '{ issue(id: "ENG-1") { archivedAt } }')).data.issue).toMatchObject({
      archivedAt: expect.any(String),
    });
    linear.archiveIssue('ENG-1', false);
    expect((await payload('Issue update'))?.data).toMatchObject({ archivedAt: null });
  });

  it.each(['slack', 'github'] as const)(
    'starts the agent by a mention in a thread of %s, in no member’s name',
    async (service) => {
      const root = linear.commentFromOutside('ENG-1', 'The total is wrong.', { service, name: 'Grace' });
      expect(await sent()).toEqual([]);
      const reply = linear.commentFromOutside('ENG-1', '@cyrus please fix it', { service, name: 'Grace' }, root.id);
      const body = await payload('AgentSessionEvent created');
      expect(body).toMatchObject({ previousComments: [{ id: root.id, body: 'The total is wrong.' }] });
      expect(body?.agentSession).toMatchObject({
        ...{ creatorId: null, creator: null, commentId: root.id, sourceCommentId: reply.id },
        comment: { body: 'The total is wrong.' },
      });
      const asked = `{ comment(id: "${reply.id}") { user { id } botActor { type userDisplayName } isArtificialAgentSessionRoot } }`;
      expect((await call(linear, asked)).data.comment).toEqual({
        user: null,
        botActor: { type: service, userDisplayName: 'Grace' },
        isArtificialAgentSessionRoot: false,
      });
    },
  );

  it('starts the agent when the description mentions it, as new or as changed', async () => {
    linear.createIssue({ title: 'New', description: 'Dear @cyrus, please.' });
    expect((await sent()).sort()).toEqual([
      'AgentSessionEvent created',
      'AppUserNotification issueMention',
      'Issue create',
    ]);
    linear.editIssue('ENG-1', { description: 'For @cyrus' });
    expect((await payload('AgentSessionEvent created'))?.agentSession).toMatchObject({
      issue: { identifier: 'ENG-1', description: 'For @cyrus' },
      sourceCommentId: null,
      comment: { body: 'This thread is for an agent session with cyrus.' },
    });
    linear.editIssue('ENG-1', { description: 'For @cyrus, again' });
    expect(linear.thread('ENG-1').sessions).toHaveLength(1);
  });
});

describe('The inbox of the agent', () => {
  it('receives reactions', async () => {
    linear.delegate('ENG-1');
    const comment = linear.comment('ENG-1', 'Well done');
    linear.react('ENG-1', 'thumbsup');
    linear.react('ENG-1', 'heart', comment.id);
    expect((await payload('AppUserNotification issueEmojiReaction'))?.notification).toMatchObject({
      reactionEmoji: 'thumbsup',
      actor: { name: 'Ada Example' },
    });
    expect((await payload('AppUserNotification issueCommentReaction'))?.notification).toMatchObject({
      reactionEmoji: 'heart',
      commentId: comment.id,
      parentCommentId: expect.any(String),
    });
  });

  it('receives notifications of other kinds, such as an issue that is due', async () => {
    linear.notify('ENG-1', 'issueDue');
    expect((await payload('AppUserNotification issueDue'))?.notification).toMatchObject({
      type: 'issueDue',
      issue: { identifier: 'ENG-1' },
    });
  });
});

describe('A mention in a document', () => {
  it('opens a session without an issue, which lives like any other', async () => {
    const document = linear.createDocument({ title: 'Plan', content: 'Ship it.' });
    const { id } = linear.mentionInDocument(document.id, 'what is missing here?');
    const created = await payload('AgentSessionEvent created');
    expect(created?.agentSession).toMatchObject({
      id,
      issueId: null,
      comment: { body: '@cyrus what is missing here?' },
    });
    expect(created?.agentSession).not.toHaveProperty('issue');
    expect(created?.promptContext).toContain('<document title="Plan">\nShip it.\n</document>');
    expect(await sent()).toEqual(['AgentSessionEvent created', 'AppUserNotification documentCommentMention']);

    await addActivity(linear, id, { type: 'response', body: 'A date.' });
    const { data } = await call(linear, OPERATIONS.Session, { id });
    expect(data.agentSession).toMatchObject({ status: 'complete', issue: null });
    linear.replyToSession(id, 'Which one?');
    linear.stopSession(id);
    expect(await sent()).toEqual(['AgentSessionEvent prompted', 'AgentSessionEvent prompted']);
    expect(linear.documentThread(document.id)).toMatchObject({
      document: { title: 'Plan', content: 'Ship it.', session: { id, status: 'stopping' } },
      comments: [
        { body: '@cyrus what is missing here?' },
        { body: 'A date.', author: { app: true } },
        { body: 'Which one?' },
      ],
      sessions: [{ id, issueId: null, documentId: document.id, url: expect.stringContaining(document.url) }],
    });
    expect(linear.documents()).toMatchObject([{ title: 'Plan' }]);
    expect(() => linear.documentThread('none')).toThrow('there is no document none');
  });
});

describe('Guidance', () => {
  it('is of the workspace, of the team, and of the teams that one is a part of', async () => {
    linear.createTeam('WEB', 'Web', 'ENG');
    linear.createTeam('OPS', 'Operations');
    linear.setGuidance([
      { body: 'Be brief.', origin: 'workspace' },
      { body: 'Write tests.', origin: 'team', team: 'ENG' },
      { body: 'Use CSS.', origin: 'team', team: 'WEB' },
      { body: 'Never deploy.', origin: 'team', team: 'OPS' },
    ]);
    linear.delegate(linear.createIssue({ title: 'Centre it', team: 'WEB' }).identifier);
    const { guidance, promptContext } = await payload('AgentSessionEvent created');
    const engineering = guidance[1].origin.team;
    expect(guidance).toMatchObject([
      { body: 'Be brief.', origin: { type: 'Organization' } },
      { body: 'Write tests.', origin: { type: 'Team', team: { key: 'ENG', parentId: null } } },
      { body: 'Use CSS.', origin: { type: 'Team', team: { key: 'WEB', parentId: engineering.id } } },
    ]);
    expect(promptContext).toContain('<guidance-rule origin="team" team-name="Web">Use CSS.</guidance-rule>');
    expect(promptContext).not.toContain('Never deploy.');
  });
});

describe('Access to teams', () => {
  it('can be taken away and given: the application is told, and what it may not see is not there for it', async () => {
    linear.createTeam('OPS', 'Operations');
    const { id } = linear.delegate('ENG-1');
    await sent();
    linear.setTeamAccess(['OPS']);
    const taken = await payload('PermissionChange teamAccessChanged');
    expect(taken).toMatchObject({ canAccessAllPublicTeams: false, addedTeamIds: [], appUserId: linear.appUserId });
    expect(taken?.removedTeamIds).toHaveLength(1);
    expect(await issueTitle('ENG-1')).toBeUndefined();
    expect((await addActivity(linear, id, { type: 'thought', body: 'hm' })).errors?.[0]?.message).toBe(
      'Entity not found: AgentSession',
    );
    expect((await call(linear, OPERATIONS.Teams)).data.teams.nodes).toMatchObject([{ key: 'OPS' }]);
    await sent();
    linear.comment('ENG-1', '@cyrus hello?', { thread: 'issue' });
    expect(await sent()).toEqual([]);
    expect(() => linear.delegate(linear.createIssue({ title: 'x' }).identifier)).toThrow(
      'Cyrus has no access to the team ENG',
    );

    linear.setTeamAccess('all');
    const given = await payload('PermissionChange teamAccessChanged');
    expect(given).toMatchObject({
      canAccessAllPublicTeams: true,
      addedTeamIds: taken?.removedTeamIds,
      removedTeamIds: [],
    });
    expect(await issueTitle('ENG-1')).toBe('The cart total ignores quantities');
    expect(() => linear.setTeamAccess(['NONE'])).toThrow('there is no team NONE');
  });
});

describe('A question with options', () => {
  const ask = (id: string) => {
    const options = [
      { label: 'Shop', value: 'https://github.com/acme/shop' },
      { value: 'https://github.com/acme/api' },
    ];
    const signal = { signal: 'select', signalMetadata: { options } };
    return addActivity(linear, id, { type: 'elicitation', body: 'Which?' }, signal);
  };

  it('is answered by an option, or in free text; both are prompts', async () => {
    const { id } = linear.delegate('ENG-1');
    await ask(id);
    expect(() => linear.choose(id, 'Website')).toThrow('it has: Shop, https://github.com/acme/api');
    linear.choose(id, 'Shop');
    expect((await payload('AgentSessionEvent prompted'))?.agentActivity.content.body).toBe(
      'https://github.com/acme/shop',
    );
    await ask(id);
    linear.replyToSession(id, 'the second one, please');
    expect((await payload('AgentSessionEvent prompted'))?.agentActivity.content.body).toBe('the second one, please');
    expect(() => linear.choose(id, 'Shop')).toThrow('it has: none');
  });

  it('may be helped by suggestions, which a test can decide', async () => {
    const suggestions = [{ repositoryFullName: 'acme/api', hostname: 'github.com', confidence: 0.93 }];
    linear.setRepositorySuggestions(suggestions);
    const c = ['acme/website', 'acme/api'].map((repositoryFullName) => ({
      hostname: 'github.com',
      repositoryFullName,
    }));
    const suggested = async () =>
      (await call(linear, OPERATIONS.Suggest, { issueId: 'ENG-1', sid: null, c })).data.issueRepositorySuggestions
        .suggestions;
    expect(await suggested()).toEqual(suggestions);
    linear.setRepositorySuggestions(null);
    expect(await suggested()).toHaveLength(2);
  });
});

it('Every payload has the shape the schema gives it', async () => {
  linear.createTeam('WEB', 'Web', 'ENG');
  linear.setGuidance([{ body: 'Use CSS.', origin: 'team', team: 'WEB' }]);
  const { identifier } = linear.createIssue({ title: 'New', description: '@cyrus', team: 'WEB', project: 'Shop' });
  linear.editIssue(identifier, { title: 'Newer' });
  linear.react(identifier, 'heart');
  linear.react(identifier, 'heart', linear.comment(identifier, 'Look').id);
  linear.notify(identifier, 'issueDue');
  const root = linear.comment(identifier, 'Before', { thread: 'issue' });
  linear.comment(identifier, '@cyrus after', { parentId: root.id });
  linear.mentionInDocument(linear.createDocument({ title: 'Plan' }).id, 'hello');
  linear.removeIssue(identifier);
  linear.setTeamAccess(['WEB']);
  linear.uninstall();
  await linear.webhooksSettled();
  const schema = await linearSchema();
  const types: Record<string, string> = {
    AgentSessionEvent: 'AgentSessionEventWebhookPayload',
    AppUserNotification: 'AppUserNotificationWebhookPayload',
    Issue: 'EntityWebhookPayload',
    PermissionChange: 'AppUserTeamAccessChangedWebhookPayload',
    OAuthApp: 'OAuthAppWebhookPayload',
  };
  expect(new Set(receiver.received.map(({ payload: { type } }) => type))).toEqual(new Set(Object.keys(types)));
  for (const { payload: body } of receiver.received) {
    expect(mismatches(schema, types[body.type] ?? '', body)).toEqual([]);
  }
});
