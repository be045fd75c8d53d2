import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linearSchema } from '../../../dev/linear/schema/schema.ts';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { addActivity, call, OPERATIONS, type Receiver, startWithReceiver } from './api.ts';
import { mismatches } from './payload-types.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;

let linear: LinearSimulator;
let receiver: Receiver;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, receiver, stop } = await startWithReceiver());
});
afterEach(() => stop());

const kinds = () => receiver.received.map(({ payload }) => `${payload.type} ${payload.action}`).sort();
const answerWith =
  (...statuses: number[]) =>
  (response: ServerResponse) => {
    response.writeHead(statuses.length > 1 ? (statuses.shift() ?? 200) : (statuses[0] ?? 200)).end();
  };

describe('What people do is told to the app', () => {
  it('assigning an issue creates a session and notifies the app', async () => {
    const session = linear.delegate('ENG-1');
    await linear.webhooksSettled();
    expect(kinds()).toEqual(['AgentSessionEvent created', 'AppUserNotification issueAssignedToYou', 'Issue update']);
    expect(receiver.of('AgentSessionEvent created')[0]?.payload).toMatchObject({
      organizationId: linear.workspace.id,
      appUserId: linear.appUserId,
      oauthClientId: linear.oauthClientId,
      previousComments: null,
      guidance: null,
      agentSession: {
        id: session.id,
        status: 'pending',
        type: 'commentThread',
        creator: { name: 'Ada Example', email: 'ada@example.com' },
        issue: { identifier: 'ENG-1', team: { key: 'ENG' } },
        comment: { body: 'This thread is for an agent session with cyrus.' },
      },
    });
    expect(receiver.of('Issue update')[0]?.payload).toMatchObject({
      data: { identifier: 'ENG-1', delegateId: linear.appUserId },
      updatedFrom: { delegateId: null },
    });
  });

  it('an issue that an automation assigns has a session without a creator', async () => {
    linear.delegate('ENG-1', 'automation');
    await linear.webhooksSettled();
    expect(receiver.of('AgentSessionEvent created')[0]?.payload.agentSession).toMatchObject({ creator: null });
  });

  it('taking the issue away notifies the app that it is unassigned', async () => {
    linear.delegate('ENG-1');
    await linear.webhooksSettled();
    receiver.received.length = 0;
    linear.undelegate('ENG-1');
    await linear.webhooksSettled();
    expect(kinds()).toEqual(['AppUserNotification issueUnassignedFromYou', 'Issue update']);
    expect(receiver.of('Issue update')[0]?.payload).toMatchObject({
      actor: { type: 'user' },
      data: { delegateId: null },
      updatedFrom: { delegateId: linear.appUserId },
    });
  });

  it("a comment in the agent's thread prompts the session; the text is in content.body", async () => {
    const session = linear.delegate('ENG-1');
    const comment = linear.comment('ENG-1', 'also add tests');
    await linear.webhooksSettled();
    const [prompted] = receiver.of('AgentSessionEvent prompted');
    expect(prompted?.payload.agentActivity).toMatchObject({
      agentSessionId: session.id,
      content: { type: 'prompt', body: 'also add tests' },
      signal: null,
      sourceCommentId: comment.id,
      user: { name: 'Ada Example' },
    });
    expect(prompted?.payload).not.toHaveProperty('promptContext');
  });

  it('a mention opens a session if there is none, with the real comment', async () => {
    const comment = linear.mention('ENG-1', 'what do you think?');
    await linear.webhooksSettled();
    const [created] = receiver.of('AgentSessionEvent created');
    expect(created?.payload.agentSession).toMatchObject({
      sourceCommentId: comment.id,
      comment: { id: comment.id, body: '@cyrus what do you think?' },
    });
    expect(kinds()).toContain('AppUserNotification issueCommentMention');
  });

  it('a later mention prompts the latest session, even one that is complete', async () => {
    const { id } = linear.delegate('ENG-1');
    await addActivity(linear, id, { type: 'response', body: 'Done.' });
    linear.mention('ENG-1', 'once more');
    await linear.webhooksSettled();
    expect(receiver.of('AgentSessionEvent created')).toHaveLength(1);
    expect(receiver.of('AgentSessionEvent prompted')[0]?.payload).toMatchObject({
      agentSession: { id },
      agentActivity: { content: { body: '@cyrus once more' } },
    });
  });

  it('a mention in the reply to someone else brings what was said before', async () => {
    const root = linear.comment('ENG-1', 'Is this still true?');
    linear.comment('ENG-1', 'I think so.', { parentId: root.id });
    linear.comment('ENG-1', '@cyrus please check', { parentId: root.id });
    await linear.webhooksSettled();
    const [created] = receiver.of('AgentSessionEvent created');
    expect(created?.payload.previousComments).toMatchObject([{ body: 'Is this still true?' }, { body: 'I think so.' }]);
    expect(created?.payload.agentSession.commentId).toBe(root.id);
  });

  it.each(['ask cyrus@example.com', 'see https://x.com/@cyrus', '@cyrusette'])('"%s" is no mention', async (text) => {
    linear.comment('ENG-1', text);
    await linear.webhooksSettled();
    expect(kinds()).toEqual([]);
  });

  it('stop is a prompt with the signal', async () => {
    linear.delegate('ENG-1');
    linear.stop('ENG-1');
    await linear.webhooksSettled();
    expect(receiver.of('AgentSessionEvent prompted')[0]?.payload.agentActivity).toMatchObject({ signal: 'stop' });
  });

  it('canceling an issue the app works on', async () => {
    linear.delegate('ENG-1');
    linear.moveIssue('ENG-1', 'canceled');
    await linear.webhooksSettled();
    expect(kinds()).toContain('AppUserNotification issueStatusChanged');
    expect(receiver.of('Issue update').at(-1)?.payload.data.state).toMatchObject({ type: 'canceled' });
  });

  it('what the app does to an issue itself is an update by its OAuth client, and no notification', async () => {
    const { data } = await call(linear, OPERATIONS.IssueContext, { id: 'ENG-1' });
    const input = { stateId: data.issue.team.states.nodes[0].id };
    await call(linear, OPERATIONS.IssueUpdate, { id: 'ENG-1', input });
    await linear.webhooksSettled();
    expect(kinds()).toEqual(['Issue update']);
    expect(receiver.received[0]?.payload.actor).toEqual({
      id: linear.oauthClientId,
      name: 'Cyrus',
      type: 'oauthClient',
    });
  });

  it('only what the app subscribed to', async () => {
    await stop();
    ({ linear, receiver, stop } = await startWithReceiver({ resourceTypes: ['AgentSessionEvent'] }));
    linear.delegate('ENG-1');
    await linear.webhooksSettled();
    expect(kinds()).toEqual(['AgentSessionEvent created']);
  });

  it('a new session comes with a context for the model: issue, threads, guidance', async () => {
    linear.setGuidance([{ body: 'Write tests first.', origin: 'team' }]);
    const issue = linear.createIssue({
      title: 'Round to cents',
      description: 'See `cart.js`',
      labels: ['Bug', 'money'],
    });
    linear.comment(issue.identifier, 'Happens with VAT.');
    const comment = linear.mention(issue.identifier, 'please fix');
    await linear.webhooksSettled();
    const { promptContext, guidance } = receiver.of('AgentSessionEvent created')[0]?.payload ?? {};
    expect(promptContext).toContain(
      `<issue identifier="ENG-2">\n<title>Round to cents</title>\n<description>See \`cart.js\`</description>\n` +
        `<team name="Engineering"/>\n<label>Bug</label>\n<label>money</label>\n</issue>\n\n` +
        `<primary-directive-thread comment-id="${comment.id}">\n<comment author="Ada Example" created-at="`,
    );
    expect(promptContext).toContain(`<user id="${linear.appUserId}">cyrus</user> please fix</comment>`);
    expect(promptContext).toContain('Happens with VAT.</comment>\n</other-thread>');
    expect(promptContext).toContain(
      '<guidance-rule origin="team" team-name="Engineering">Write tests first.</guidance-rule>',
    );
    expect(guidance).toMatchObject([{ body: 'Write tests first.', origin: { team: { key: 'ENG' } } }]);
  });

  it('every payload has the shape the schema gives it', async () => {
    linear.setGuidance([
      { body: 'Be brief.', origin: 'workspace' },
      { body: 'Write tests first.', origin: 'team' },
    ]);
    linear.createIssue({ title: 'With a label', labels: ['Bug'] });
    linear.mention('ENG-2', 'hello');
    linear.delegate('ENG-1');
    linear.comment('ENG-1', 'more');
    linear.stop('ENG-1');
    linear.moveIssue('ENG-1', 'Done');
    linear.undelegate('ENG-1');
    await linear.webhooksSettled();
    const schema = await linearSchema();
    const types: Record<string, string> = {
      AgentSessionEvent: 'AgentSessionEventWebhookPayload',
      AppUserNotification: 'AppUserNotificationWebhookPayload',
      Issue: 'EntityWebhookPayload',
    };
    expect(new Set(kinds()).size).toBeGreaterThan(8);
    for (const { payload } of receiver.received) {
      expect(mismatches(schema, types[payload.type] ?? '', payload)).toEqual([]);
    }
  });
});

describe('Delivery of a webhook', () => {
  it("has Linear's headers, and a signature over exactly the bytes sent", async () => {
    linear.createIssue({ title: 'Grüße' });
    await linear.webhooksSettled();
    const [webhook] = receiver.received;
    expect(webhook?.signed).toBe(true);
    expect(webhook?.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'linear-delivery': expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      'linear-event': 'Issue',
      'linear-signature': expect.stringMatching(/^[0-9a-f]{64}$/),
      'linear-timestamp': String(webhook?.payload.webhookTimestamp),
      'user-agent': 'Linear-Webhook',
    });
  });

  it('is retried after 1 minute, 1 hour and 6 hours, byte for byte the same, and then given up', async () => {
    linear.setClockSpeed(0);
    receiver.answer = answerWith(503);
    linear.createIssue({ title: 'Nobody listens' });
    await linear.webhooksSettled();
    const attempts = [];
    for (const wait of [MINUTE - 1, 1, HOUR - 1, 1, 6 * HOUR - 1, 1, 24 * HOUR]) {
      await linear.advance(wait);
      attempts.push(receiver.received.length);
    }
    expect(attempts).toEqual([1, 2, 2, 3, 3, 4, 4]);
    const sent = receiver.received.map(({ body, headers }) => {
      return [body, headers['linear-delivery'], headers['linear-timestamp'], headers['linear-signature']];
    });
    expect(new Set(sent.map((parts) => JSON.stringify(parts))).size).toBe(1);
    expect(linear.deliveries()).toMatchObject([{ state: 'failed', attempts: Array(4).fill({ status: 503 }) }]);
  });

  it('is retried in one go when the clock jumps over all retries', async () => {
    receiver.answer = answerWith(500, 500, 500, 200);
    linear.createIssue({ title: 'Late' });
    await linear.webhooksSettled();
    await linear.advance(8 * HOUR);
    const [delivery] = linear.deliveries();
    expect(delivery).toMatchObject({ state: 'delivered' });
    const at = delivery?.attempts.map((attempt) => Date.parse(attempt.at)) ?? [];
    const gaps = at.slice(1).map((time, index) => Math.round((time - (at[index] ?? 0)) / 1_000));
    expect(gaps).toEqual([60, 3_600, 21_600]);
  });

  it('is retried by itself, sooner when the clock runs faster', async () => {
    receiver.answer = answerWith(500, 200);
    linear.setClockSpeed(600);
    linear.createIssue({ title: 'Soon' });
    await linear.waitFor('the retry', () => linear.deliveries()[0]?.state === 'delivered', 5_000);
    expect(linear.deliveries()[0]?.attempts).toMatchObject([{ status: 500 }, { status: 200 }]);
  });

  it.each([201, 204, 302, 400])('counts as failed when the answer is %i: only 200 will do', async (status) => {
    receiver.answer = answerWith(status);
    linear.createIssue({ title: 'Almost' });
    await linear.webhooksSettled();
    expect(linear.deliveries()).toMatchObject([{ state: 'waiting', attempts: [{ status }] }]);
  });

  it('counts as failed when the answer takes too long, or nobody is there', async () => {
    await stop();
    ({ linear, receiver, stop } = await startWithReceiver({ webhookTimeoutMs: 80 }));
    receiver.answer = () => undefined;
    linear.createIssue({ title: 'Silence' });
    await linear.webhooksSettled();
    linear.setWebhookUrl('http://127.0.0.1:1/');
    linear.createIssue({ title: 'Nobody' });
    await linear.webhooksSettled();
    const [silence, nobody] = linear.deliveries();
    expect(silence?.attempts).toMatchObject([{ status: null, error: 'no answer within 80 ms' }]);
    expect(silence?.attempts[0]?.ms).toBeGreaterThanOrEqual(78);
    expect(nobody?.attempts).toMatchObject([{ status: null, error: expect.stringContaining('ECONNREFUSED') }]);
  });

  it('is logged with time, status and duration of each attempt', async () => {
    linear.delegate('ENG-1');
    await linear.webhooksSettled();
    const [created] = linear.deliveries({ event: 'AgentSessionEvent' });
    expect(created).toMatchObject({
      action: 'created',
      state: 'delivered',
      attempts: [{ at: expect.stringMatching(/Z$/), status: 200, ms: expect.any(Number), duplicate: false }],
    });
    expect(linear.deliveries({ state: 'waiting' })).toEqual([]);
  });

  it('waits for an address: without one nothing is sent, and it is logged', async () => {
    linear.setWebhookUrl(null);
    linear.createIssue({ title: 'Unheard' });
    linear.setWebhookUrl(receiver.url);
    linear.createIssue({ title: 'Heard' });
    await linear.webhooksSettled();
    expect(receiver.received).toHaveLength(1);
    expect(linear.deliveries().map(({ state }) => state)).toEqual(['unsent', 'delivered']);
    expect(() => linear.setWebhookUrl('ftp://x')).toThrow('the webhook address must be http(s)');
  });

  it('can be doubled, with the same delivery id or with another', async () => {
    linear.setFaults({ webhooks: { duplicates: 1 } });
    linear.createIssue({ title: 'Twice' });
    await linear.webhooksSettled();
    const [first, second] = receiver.received;
    expect(second?.body).toBe(first?.body);
    expect(second?.headers['linear-delivery']).toBe(first?.headers['linear-delivery']);
    receiver.received.length = 0;
    linear.setFaults({ webhooks: { duplicates: 1, duplicatesWithNewId: true, duplicatesAfterMs: 2_000 } });
    linear.createIssue({ title: 'Again' });
    await linear.webhooksSettled();
    expect(receiver.received).toHaveLength(1);
    await linear.advance(2_000);
    expect(receiver.received).toHaveLength(2);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['linear-delivery'])).size).toBe(2);
  });

  it('can be held back and released in another order: prompted before created', async () => {
    await stop();
    ({ linear, receiver, stop } = await startWithReceiver({ resourceTypes: ['AgentSessionEvent'] }));
    linear.setFaults({ webhooks: { hold: true } });
    linear.delegate('ENG-1');
    linear.comment('ENG-1', 'one');
    linear.comment('ENG-1', 'two');
    await linear.webhooksSettled();
    expect(receiver.received).toEqual([]);
    expect(await linear.releaseWebhooks('reversed')).toBe(3);
    const order = receiver.received.map(({ payload }) => payload.agentActivity?.content.body ?? payload.action);
    expect(order).toEqual(['two', 'one', 'created']);
  });

  it('keeps up with a thousand issues assigned at once', async () => {
    for (let number = 0; number < 1_000; number += 1) {
      linear.delegate(linear.createIssue({ title: `Issue ${number}` }).identifier);
    }
    const sessions = new Set<string>();
    await linear.webhooksSettled();
    for (const { payload } of receiver.of('AgentSessionEvent created')) sessions.add(payload.agentSession.id);
    expect(sessions.size).toBe(1_000);
    expect(receiver.received).toHaveLength(4_000);
    expect(linear.deliveries({ state: 'delivered' })).toHaveLength(4_000);
  }, 180_000);
});
