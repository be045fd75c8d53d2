import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { addActivity, call, OPERATIONS, startWithReceiver } from './api.ts';

let linear: LinearSimulator;
let stop: () => Promise<void>;
let sessionId: string;
beforeEach(async () => {
  ({ linear, stop } = await startWithReceiver({ webhookUrl: null }));
  sessionId = linear.delegate('ENG-1').id;
});
afterEach(() => stop());

const add = (content: unknown, input: object = {}) => addActivity(linear, sessionId, content, input);
const thought = { type: 'thought', body: 'Reading the issue.' };
const status = () => linear.session(sessionId).status;

describe('The state of an agent session', () => {
  it('follows from the last activity', async () => {
    expect(status()).toBe('pending');
    await add(thought);
    expect(status()).toBe('active');
    await add({ type: 'elicitation', body: 'Which one?' });
    expect(status()).toBe('awaitingInput');
    linear.comment('ENG-1', 'The first.');
    expect(status()).toBe('active');
    await add({ type: 'action', action: 'Run', parameter: 'npm test', result: 'ok' });
    expect(status()).toBe('active');
    await add({ type: 'response', body: 'Done.' });
    expect(status()).toBe('complete');
    expect(linear.session(sessionId).endedAt).not.toBeNull();
    linear.comment('ENG-1', 'And the second?');
    expect(linear.session(sessionId)).toMatchObject({ status: 'active', endedAt: null });
    await add({ type: 'error', body: 'The sandbox is gone.' });
    expect(status()).toBe('error');
  });

  it('shows an agent that gave no sign of life within ten seconds as unresponsive', async () => {
    linear.setClockSpeed(0);
    sessionId = linear.delegate(linear.createIssue({ title: 'Another' }).identifier).id;
    await linear.advance(10_000);
    expect(linear.session(sessionId).unresponsive).toBe(false);
    await linear.advance(1);
    expect(linear.session(sessionId).unresponsive).toBe(true);
    await add(thought);
    expect(linear.session(sessionId)).toMatchObject({ status: 'active', unresponsive: false });
  });

  it.each([
    [
      'setting an external URL counts as a sign of life',
      { externalUrls: [{ label: 'Live', url: 'https://cyrus.example/s/1' }] },
      false,
    ],
    ['setting a summary does not count as one', { summary: 'Fix the cart' }, true],
  ])('is pending until the first activity; %s', async (_, input, unresponsive) => {
    linear.setClockSpeed(0);
    await call(linear, OPERATIONS.SessionUpdate, { id: sessionId, input });
    await linear.advance(11_000);
    expect(linear.session(sessionId)).toMatchObject({ status: 'pending', unresponsive });
  });

  it('is stale after half an hour without an activity, and revived by the next', async () => {
    linear.setClockSpeed(0);
    await add(thought);
    await linear.advance(30 * 60_000);
    expect(status()).toBe('active');
    await linear.advance(1);
    expect(status()).toBe('stale');
    expect((await call(linear, OPERATIONS.Session, { id: sessionId })).data.agentSession.status).toBe('stale');
    await add(thought, { ephemeral: true });
    expect(status()).toBe('active');
  });

  it('does not grow stale while it waits for a person, or when it is over', async () => {
    await add({ type: 'elicitation', body: 'Which one?' });
    await linear.advance(24 * 3_600_000);
    expect(status()).toBe('awaitingInput');
    await add({ type: 'response', body: 'Done.' });
    await linear.advance(24 * 3_600_000);
    expect(status()).toBe('complete');
  });

  it('is stopping from the stop signal to the final response', async () => {
    await add(thought);
    expect(linear.stop('ENG-1')).toMatchObject({ type: 'prompt', signal: 'stop' });
    expect(status()).toBe('stopping');
    await add({ type: 'response', body: 'Stopped.' });
    expect(status()).toBe('complete');
  });
});

describe('Activities', () => {
  it('are read newest first, with what a person wrote among them', async () => {
    await add(thought);
    linear.comment('ENG-1', 'Use cents.');
    await add({ type: 'action', action: 'Edit', parameter: 'cart.js', result: 'done' });
    const { data } = await call(linear, OPERATIONS.Session, { id: sessionId });
    expect(data.agentSession.activities.nodes).toMatchObject([
      { content: { __typename: 'AgentActivityActionContent', parameter: 'cart.js' }, user: { app: true } },
      { content: { __typename: 'AgentActivityPromptContent', body: 'Use cents.' }, user: { app: false } },
      { content: { __typename: 'AgentActivityThoughtContent', body: thought.body }, user: { app: true } },
    ]);
  });

  it('come in pages', async () => {
    for (let number = 0; number < 5; number += 1) await add({ type: 'thought', body: String(number) });
    const query = `query ($id: String!, $after: String) { agentSession(id: $id) { activities(first: 2, after: $after) {
      nodes { content { ... on AgentActivityThoughtContent { body } } } pageInfo { hasNextPage endCursor } } } }`;
    const bodies: string[] = [];
    let after: string | null = null;
    for (let more = true; more; ) {
      const { data } = await call(linear, query, { id: sessionId, after });
      const { nodes, pageInfo } = data.agentSession.activities;
      bodies.push(...nodes.map((node: { content: { body: string } }) => node.content.body));
      after = pageInfo.endCursor;
      more = pageInfo.hasNextPage;
    }
    expect(bodies).toEqual(['4', '3', '2', '1', '0']);
  });

  it('that are ephemeral vanish when the next arrives, and stay in the history of the control API', async () => {
    await add({ type: 'action', action: 'Run', parameter: 'npm test' }, { ephemeral: true });
    const shown = async () =>
      (await call(linear, OPERATIONS.Session, { id: sessionId })).data.agentSession.activities.nodes.length;
    expect(await shown()).toBe(1);
    await add({ type: 'action', action: 'Run', parameter: 'npm test', result: 'ok' });
    expect(await shown()).toBe(1);
    expect(linear.session(sessionId).activities).toMatchObject([
      { ephemeral: true, visible: false },
      { ephemeral: false, visible: true },
    ]);
  });

  it('of type response, elicitation and error also stand in the thread as comments', async () => {
    await add(thought);
    await add({ type: 'elicitation', body: 'Which one?' });
    await add({ type: 'error', body: 'No such branch.' });
    await add({ type: 'response', body: 'Done.' });
    const { comments } = linear.thread('ENG-1');
    expect(comments).toMatchObject([
      { author: null, parentId: null, body: 'This thread is for an agent session with cyrus.' },
      { author: { app: true }, parentId: comments[0]?.id, body: 'Which one?' },
      { author: { app: true }, parentId: comments[0]?.id, body: 'No such branch.' },
      { author: { app: true }, parentId: comments[0]?.id, body: 'Done.' },
    ]);
  });

  const select = { options: [{ label: 'Shop', value: 'https://github.com/acme/shop' }] };
  it.each<[string, unknown, object, string]>([
    ['an action without a parameter', { type: 'action', action: 'Run' }, {}, 'content.parameter'],
    ['a thought without a body', { type: 'thought' }, {}, 'content.body'],
    ['an empty response', { type: 'response', body: '' }, {}, 'content.body'],
    ['an unknown type', { type: 'musing', body: 'hm' }, {}, 'content.type'],
    ['content that is no object', 'Done.', {}, 'content'],
    ['an ephemeral response', { type: 'response', body: 'Done.' }, { ephemeral: true }, 'ephemeral'],
    ['an ephemeral elicitation', { type: 'elicitation', body: 'Which?' }, { ephemeral: true }, 'ephemeral'],
    ['an ephemeral error', { type: 'error', body: 'Broken.' }, { ephemeral: true }, 'ephemeral'],
    ['an id that is no UUID v4', thought, { id: '00000000-0000-1000-8000-000000000000' }, 'id'],
    ['the signal stop', thought, { signal: 'stop' }, 'signal'],
    ['a choice that is no question', thought, { signal: 'select', signalMetadata: select }, 'signal'],
    [
      'a choice without options',
      { type: 'elicitation', body: 'Which?' },
      { signal: 'select', signalMetadata: { options: [] } },
      'signalMetadata.options',
    ],
  ])('are refused for %s', async (_, content, input, property) => {
    const { status: httpStatus, data, errors } = await add(content, input);
    expect(httpStatus).toBe(200);
    expect(data).toBeNull();
    expect(errors?.[0]).toMatchObject({
      message: 'Argument Validation Error',
      extensions: { type: 'invalid input', code: 'INVALID_INPUT', validationErrors: [{ property }] },
    });
    expect(linear.session(sessionId).activities).toEqual([]);
  });

  it('of type prompt are for people only', async () => {
    const { errors } = await add({ type: 'prompt', body: 'Do it.' });
    expect(errors?.[0]?.extensions.type).toBe('forbidden');
    expect(linear.session(sessionId).activities).toEqual([]);
  });

  it('can ask a person to choose', async () => {
    await add({ type: 'elicitation', body: 'Which?' }, { signal: 'select', signalMetadata: select });
    expect(linear.session(sessionId).activities).toMatchObject([{ signal: 'select', signalMetadata: select }]);
  });

  it('need a session that exists', async () => {
    const { errors } = await addActivity(linear, randomUUID(), thought);
    expect(errors?.[0]?.message).toBe('Entity not found: AgentSession');
  });
});

describe('agentSessionUpdate', () => {
  const update = (input: object) => call(linear, OPERATIONS.SessionUpdate, { id: sessionId, input });

  it('sets the plan as a whole', async () => {
    const plan = [
      { content: 'Run the test', status: 'completed' },
      { content: 'Fix it', status: 'inProgress' },
    ];
    await update({ plan });
    const { agentSession } = (await call(linear, OPERATIONS.Session, { id: sessionId })).data;
    expect(JSON.parse(agentSession.plan)).toEqual(plan);
    expect((await update({ plan: { content: 'Fix it', status: 'pending' } })).errors?.[0]?.extensions.code).toBe(
      'INVALID_INPUT',
    );
    expect((await update({ plan: [{ content: 'Fix it', status: 'in_progress' }] })).errors).toHaveLength(1);
    expect(linear.session(sessionId).plan).toEqual(plan);
  });

  it('replaces, adds and removes external URLs', async () => {
    const live = { label: 'Live', url: 'https://cyrus.example/s/1' };
    const pullRequest = { label: 'Pull request', url: 'https://github.com/acme/cart/pull/1' };
    await update({ externalUrls: [live] });
    await update({ addedExternalUrls: [pullRequest] });
    await update({ addedExternalUrls: [pullRequest] });
    const { data } = await call(linear, OPERATIONS.Session, { id: sessionId });
    expect(data.agentSession.externalLinks).toEqual([live, pullRequest]);
    await update({ removedExternalUrls: [live.url] });
    expect(linear.session(sessionId).externalUrls).toEqual([pullRequest]);
    expect((await update({ externalUrls: [{ label: 'x', url: 'javascript:alert(1)' }] })).errors).toHaveLength(1);
    expect(linear.session(sessionId).externalUrls).toEqual([pullRequest]);
  });

  it.each([
    ['empty', ''],
    ['of two lines', 'two\nlines'],
    ['of 256 characters', 'x'.repeat(256)],
  ])('refuses a summary that is %s', async (_, summary) => {
    expect((await update({ summary })).errors?.[0]?.message).toBe('Argument Validation Error');
    expect(linear.session(sessionId).summary).toBeNull();
  });
});

describe('Sessions an agent opens itself', () => {
  it('can be on an issue or on the root comment of a thread', async () => {
    const issue = linear.createIssue({ title: 'Another' });
    const onIssue = await call(linear, OPERATIONS.CreateOnIssue, { input: { issueId: issue.identifier } });
    expect(onIssue.data.agentSessionCreateOnIssue.success).toBe(true);
    const comment = linear.comment(issue.identifier, 'What do you think?', { thread: 'issue' });
    const onComment = await call(linear, OPERATIONS.CreateOnComment, { input: { commentId: comment.id } });
    expect(onComment.data.agentSessionCreateOnComment.success).toBe(true);
    expect(linear.thread(issue.identifier).sessions).toMatchObject([{ creator: null }, { commentId: comment.id }]);
    const reply = linear.comment(issue.identifier, 'Well?', { parentId: comment.id });
    const onReply = await call(linear, OPERATIONS.CreateOnComment, { input: { commentId: reply.id } });
    expect(onReply.errors?.[0]?.extensions.validationErrors?.[0]?.property).toBe('commentId');
  });
});
