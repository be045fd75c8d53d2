import { randomUUID } from 'node:crypto';
import { LinearClient } from '@linear/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { addActivity, call, OPERATIONS, startWithReceiver, TOKEN } from './api.ts';

let linear: LinearSimulator;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, stop } = await startWithReceiver({ webhookUrl: null }));
});
afterEach(() => stop());

describe('The simulated API', () => {
  it('tells the app who it is and where it is installed', async () => {
    const { data, status } = await call(linear, OPERATIONS.Identity);
    expect(status).toBe(200);
    expect(data.viewer).toMatchObject({ id: linear.appUserId, name: 'Cyrus', app: true, supportsAgentSessions: true });
    expect(data.viewer.organization).toMatchObject(linear.workspace);
  });

  it('lists the teams', async () => {
    const { data } = await call(linear, OPERATIONS.Teams);
    expect(data.teams.nodes).toEqual([expect.objectContaining({ key: 'ENG', name: 'Engineering' })]);
  });

  it('gives an issue by identifier or id, with the states of its team that match a filter', async () => {
    const [seeded] = linear.issues();
    for (const id of ['ENG-1', 'eng-1', seeded?.id]) {
      const { data } = await call(linear, OPERATIONS.IssueContext, { id });
      expect(data.issue).toMatchObject({
        identifier: 'ENG-1',
        title: 'The cart total ignores quantities',
        branchName: 'ada/eng-1-the-cart-total-ignores-quantities',
        state: { name: 'Todo', type: 'unstarted' },
        delegate: null,
      });
      const started = data.issue.team.states.nodes;
      expect(started.map(({ name }: { name: string }) => name).sort()).toEqual(['In Progress', 'In Review']);
    }
  });

  it('moves an issue, and stamps when it was started', async () => {
    const { data } = await call(linear, OPERATIONS.IssueContext, { id: 'ENG-1' });
    const [state] = data.issue.team.states.nodes;
    const update = await call(linear, OPERATIONS.IssueUpdate, {
      id: data.issue.id,
      input: { stateId: state.id, delegateId: linear.appUserId },
    });
    expect(update.data).toEqual({ issueUpdate: { success: true } });
    const after = await call(linear, '{ issue(id: "ENG-1") { startedAt state { id } delegate { id app } } }');
    expect(after.data.issue).toMatchObject({ state: { id: state.id }, delegate: { id: linear.appUserId, app: true } });
    expect(Date.parse(after.data.issue.startedAt)).toBeGreaterThan(0);
  });

  it('creates an issue in somebody’s name, and a repeat with the same id creates no other', async () => {
    const { data } = await call(linear, OPERATIONS.Teams);
    const create = (id: string, more: object = {}) =>
      call(
        linear,
        'mutation($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { identifier title } } }',
        {
          input: { id, teamId: data.teams.nodes[0].id, title: 'A new one', createAsUser: 'Ada', ...more },
        },
      );
    const before = linear.issues().length;
    const id = randomUUID();
    expect((await create(id)).data.issueCreate).toMatchObject({ success: true, issue: { title: 'A new one' } });
    expect((await create(id)).errors?.[0]?.message).toBe('conflict on insert of Issue');
    expect((await create(randomUUID(), { title: ' ' })).errors).toHaveLength(1);
    expect((await create(randomUUID(), { teamId: randomUUID() })).errors).toHaveLength(1);
    expect(linear.issues()).toHaveLength(before + 1);
  });

  it('refuses a query that Linear would refuse, saying where it is wrong', async () => {
    const answer = await call(linear, '{ issue(id: "ENG-1") { identifer } }');
    expect(answer.status).toBe(400);
    expect(answer.errors?.[0]).toMatchObject({
      message: expect.stringContaining('Did you mean "identifier"'),
      extensions: { type: 'graphql error', code: 'GRAPHQL_VALIDATION_FAILED' },
    });
    const syntax = await call(linear, '{ issue(');
    expect(syntax).toMatchObject({ status: 400, errors: [{ extensions: { code: 'GRAPHQL_PARSE_FAILED' } }] });
    const variables = await call(linear, OPERATIONS.IssueContext, {});
    expect(variables).toMatchObject({ status: 400, errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });

  it.each([null, 'wrong'])('refuses a missing or wrong token (%s) with 401 and no data', async (token) => {
    const answer = await call(linear, OPERATIONS.Identity, {}, token);
    expect(answer.status).toBe(401);
    expect(answer.data).toBeUndefined();
    expect(answer.errors?.[0]).toMatchObject({
      message: 'Authentication required, not authenticated',
      extensions: { type: 'authentication error', code: 'AUTHENTICATION_ERROR', statusCode: 401 },
    });
  });

  it('says that something does not exist, and leaves data null', async () => {
    const { data, errors } = await call(linear, OPERATIONS.IssueContext, { id: 'ENG-404' });
    expect(data).toBeNull();
    expect(errors?.[0]).toMatchObject({
      message: 'Entity not found: Issue',
      extensions: { type: 'invalid input', code: 'INPUT_ERROR' },
    });
  });

  it('says what it does not simulate, if an empty answer would mislead', async () => {
    const { errors } = await call(linear, '{ cycles { nodes { id } } }');
    expect(errors?.[0]?.message).toBe('The Linear simulator does not simulate Query.cycles');
  });

  it('counts requests and complexity against the limits, and tells how much is left', async () => {
    const { headers } = await call(linear, OPERATIONS.Teams);
    expect(Number(headers.get('x-complexity'))).toBeGreaterThan(100);
    expect(headers.get('x-ratelimit-requests-limit')).toBe('5000');
    expect(headers.get('x-ratelimit-requests-remaining')).toBe('4999');
    expect(Number(headers.get('x-ratelimit-requests-reset'))).toBeGreaterThan(Date.now());
    const { data } = await call(linear, OPERATIONS.Limits);
    expect(data.rateLimitStatus.limits[0]).toMatchObject({ type: 'REQUEST', allowedAmount: 5000, period: 3_600_000 });
  });

  it('refuses a query of more than 10,000 points', async () => {
    const query = '{ teams(first: 250) { nodes { states(first: 250) { nodes { id name } } } } }';
    expect(await call(linear, query)).toMatchObject({
      status: 400,
      errors: [{ message: expect.stringContaining('too complex') }],
    });
  });

  it('suggests repositories, the likeliest first', async () => {
    const c = ['acme/website', 'acme/cart'].map((repositoryFullName) => ({
      hostname: 'github.com',
      repositoryFullName,
    }));
    const { data } = await call(linear, OPERATIONS.Suggest, { issueId: 'ENG-1', sid: null, c });
    const [first, second] = data.issueRepositorySuggestions.suggestions;
    expect(first).toMatchObject({ repositoryFullName: 'acme/cart', hostname: 'github.com' });
    expect(first.confidence).toBeGreaterThan(second.confidence);
  });

  it('links a pull request once, however often it is asked to', async () => {
    const variables = { issueId: 'ENG-1', url: 'https://github.com/acme/cart/pull/1', id: randomUUID() };
    const first = await call(linear, OPERATIONS.LinkPR, variables);
    const second = await call(linear, OPERATIONS.LinkPR, { ...variables, id: randomUUID() });
    expect(second.data.attachmentLinkGitHubPR.attachment).toEqual(first.data.attachmentLinkGitHubPR.attachment);
    const repeated = await call(linear, OPERATIONS.LinkPR, variables);
    expect(repeated.errors?.[0]?.message).toBe('conflict on insert of Attachment');
    expect(linear.thread('ENG-1').attachments).toHaveLength(1);
  });

  it('stores a file that comes with the headers it asked for, and shows it only with the token', async () => {
    const bytes = Buffer.from('a log');
    const variables = { contentType: 'text/plain', filename: 'run.log', size: bytes.length };
    const { uploadUrl, assetUrl, headers } = (await call(linear, OPERATIONS.Upload, variables)).data.fileUpload
      .uploadFile;
    const own = { 'content-type': 'text/plain', 'cache-control': 'public, max-age=31536000' };
    expect((await fetch(uploadUrl, { method: 'PUT', headers: own, body: bytes })).status).toBe(403);
    const asked = headers.map(({ key, value }: { key: string; value: string }) => [key, value]);
    const all = { ...own, ...Object.fromEntries(asked) };
    expect((await fetch(uploadUrl, { method: 'PUT', headers: all, body: bytes })).status).toBe(200);
    expect((await fetch(assetUrl)).status).toBe(401);
    const read = await fetch(assetUrl, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(await read.text()).toBe('a log');
  });

  it("answers Linear's own SDK, whose queries ask for every field of a type", async () => {
    const client = new LinearClient({ accessToken: TOKEN, apiUrl: linear.graphqlUrl });
    const viewer = await client.viewer;
    expect(viewer).toMatchObject({ id: linear.appUserId, app: true });
    const issue = await client.issue('ENG-1');
    expect(issue).toMatchObject({ identifier: 'ENG-1', priority: 0, reactionData: {} });
    const { id } = linear.delegate('ENG-1');
    const payload = await client.createAgentActivity({ agentSessionId: id, content: { type: 'thought', body: 'hm' } });
    expect(payload.success).toBe(true);
    expect((await client.agentSession(id)).status).toBe('active');
  });
});

describe("Linear's own SDK", () => {
  it('follows what it asks for by id: the state of an issue, the comment of a session', async () => {
    const client = new LinearClient({ accessToken: TOKEN, apiUrl: linear.graphqlUrl });
    const issue = await client.issue('ENG-1');
    const state = await issue.state;
    expect(state?.type).toBe('unstarted');
    const session = await client.agentSession(linear.delegate('ENG-1').id);
    expect((await session.comment)?.body).toContain('This thread is for an agent session');
  });

  it('walks from an issue to all that is around it, and back', async () => {
    const client = new LinearClient({ accessToken: TOKEN, apiUrl: linear.graphqlUrl });
    const child = linear.createIssue({ title: 'The rounding', parent: 'ENG-1', labels: ['Bug'], project: 'Shop' });
    const other = linear.createIssue({ title: 'The receipt' });
    linear.relate(child.identifier, 'blocks', other.identifier);
    const issue = await client.issue(child.identifier);
    const [parent, team, labels, project] = await Promise.all([
      issue.parent,
      issue.team,
      issue.labels(),
      issue.project,
    ]);
    expect(parent?.identifier).toBe('ENG-1');
    expect((await parent?.children())?.nodes.map(({ identifier }) => identifier)).toEqual([child.identifier]);
    const [relation] = (await issue.relations()).nodes;
    expect(relation?.type).toBe('blocks');
    expect((await relation?.relatedIssue)?.id).toBe(other.id);
    const blocked = await client.issue(other.id);
    expect((await (await blocked.inverseRelations()).nodes[0]?.issue)?.id).toBe(issue.id);
    expect((await team?.states())?.nodes.map(({ type }) => type)).toContain('started');
    expect(labels.nodes.map(({ name }) => name)).toEqual(['Bug']);
    expect(project?.name).toBe('Shop');
    expect((await issue.creator)?.isMe).toBe(false);
  });

  it('walks through everything that Cyrus writes: activities, plan, links, attachments, state, delegate, assignee', async () => {
    const client = new LinearClient({ accessToken: TOKEN, apiUrl: linear.graphqlUrl });
    const { id } = linear.delegate('ENG-1');
    const say = (content: object, more: object = {}) =>
      client.createAgentActivity({ agentSessionId: id, content, ...more });
    await say({ type: 'thought', body: 'hm' });
    await say({ type: 'action', action: 'Run', parameter: 'npm test', result: 'ok' });
    await say(
      { type: 'elicitation', body: 'Which?' },
      { signal: 'select', signalMetadata: { options: [{ label: 'One', value: '1' }] } },
    );
    await say({ type: 'response', body: 'Done.' });
    const plan = [{ content: 'Fix it', status: 'completed' }];
    const addedExternalUrls = [{ label: 'Live session', url: 'https://cyrus.example/sessions/1' }];
    await client.updateAgentSession(id, { plan, addedExternalUrls, summary: 'The cart' });
    const issue = await client.issue('ENG-1');
    const started = (await (await issue.team)?.states({ filter: { type: { eq: 'started' } } }))?.nodes[0];
    await client.updateIssue(issue.id, { stateId: started?.id ?? '' });
    await client.attachmentLinkGitHubPR(issue.id, 'https://github.com/acme/shop/pull/7', { title: 'Pull request #7' });

    const session = await client.agentSession(id);
    expect(session).toMatchObject({ status: 'complete', summary: 'The cart', plan });
    expect(session.sourceMetadata).toBeUndefined();
    expect(session.externalLinks).toMatchObject(addedExternalUrls);
    const activities = (await session.activities()).nodes;
    const kinds = activities.map(({ content }) => content.__typename);
    for (const kind of ['Thought', 'Action', 'Elicitation', 'Response'])
      expect(kinds).toContain(`AgentActivity${kind}Content`);
    const asked = activities.find(({ signal }) => signal === 'select');
    expect(asked?.signalMetadata).toEqual({ options: [{ label: 'One', value: '1' }] });
    expect((await asked?.user)?.app).toBe(true);
    expect((await (await asked?.sourceComment)?.parent)?.id).toBe((await session.comment)?.id);
    expect((await session.issue)?.id).toBe(issue.id);
    expect((await session.creator)?.app).toBe(false);
    expect((await session.appUser)?.isMe).toBe(true);
    expect(await session.sourceComment).toBeUndefined();

    const after = await client.issue('ENG-1');
    expect((await after.state)?.id).toBe(started?.id);
    expect((await after.delegate)?.isMe).toBe(true);
    expect((await after.assignee)?.app).toBe(false);
    const [attached] = (await after.attachments()).nodes;
    expect(attached).toMatchObject({ url: 'https://github.com/acme/shop/pull/7', title: 'Pull request #7' });
    expect((await attached?.issue)?.id).toBe(issue.id);
    const comments = (await after.comments()).nodes;
    expect(comments.map(({ body }) => body)).toEqual(expect.arrayContaining(['Which?', 'Done.']));
  });

  it('is refused if it links as a pull request what is none', async () => {
    const client = new LinearClient({ accessToken: TOKEN, apiUrl: linear.graphqlUrl });
    const { id } = await client.issue('ENG-1');
    await expect(client.attachmentLinkGitHubPR(id, 'https://github.com/acme/shop/tree/main')).rejects.toThrow();
    expect((await client.attachmentLinkGitHubPR(id, 'https://github.com/acme/shop/pull/7')).success).toBe(true);
  });
});

describe('Trouble on demand', () => {
  it('answers 5xx to the next calls, as many as asked for, and does nothing', async () => {
    const { id } = linear.delegate('ENG-1');
    linear.setFaults({
      graphql: [{ fault: 'http-error', status: 502, times: 2, operation: 'agentActivityCreate' }],
    });
    expect((await call(linear, OPERATIONS.Identity)).status).toBe(200);
    const thought = { type: 'thought', body: 'first' };
    const statuses = [];
    for (let attempt = 0; attempt < 3; attempt += 1) statuses.push((await addActivity(linear, id, thought)).status);
    expect(statuses).toEqual([502, 502, 200]);
    expect(linear.session(id).activities).toHaveLength(1);
  });

  it('fails with a probability, from a source of chance that can be replayed', async () => {
    await stop();
    let roll = 0;
    const random = () => [0.9, 0.1, 0.9][roll++ % 3] ?? 0;
    ({ linear, stop } = await startWithReceiver({ webhookUrl: null, random }));
    linear.setFaults({ graphql: [{ fault: 'http-error', probability: 0.5 }] });
    const statuses = [];
    for (let attempt = 0; attempt < 3; attempt += 1) statuses.push((await call(linear, OPERATIONS.Identity)).status);
    expect(statuses).toEqual([200, 503, 200]);
  });

  it('carries a call out and never answers, so that a repetition meets a conflict', async () => {
    const { id } = linear.delegate('ENG-1');
    linear.setFaults({ graphql: [{ fault: 'timeout-after-commit', times: 1, ms: 30 }] });
    const activityId = randomUUID();
    const thought = { type: 'thought', body: 'only once' };
    await expect(addActivity(linear, id, thought, { id: activityId })).rejects.toThrow();
    expect(linear.session(id).activities.map((activity) => activity.id)).toEqual([activityId]);
    const repeated = await addActivity(linear, id, thought, { id: activityId });
    expect(repeated.status).toBe(200);
    expect(repeated.data).toBeNull();
    expect(repeated.errors?.[0]).toMatchObject({
      message: 'conflict on insert of AgentActivity',
      extensions: {
        code: 'INPUT_ERROR',
        userPresentableMessage: `Entity AgentActivity with id ${activityId} already exists.`,
      },
    });
    expect(linear.session(id).activities).toHaveLength(1);
  });

  it('answers success: false without an error, and does nothing', async () => {
    const { id } = linear.delegate('ENG-1');
    linear.setFaults({ graphql: [{ fault: 'success-false', times: 1 }] });
    const { data, errors } = await addActivity(linear, id, { type: 'thought', body: 'lost' });
    expect(errors).toBeUndefined();
    expect(data).toEqual({ agentActivityCreate: { success: false, lastSyncId: 0, agentActivity: null } });
    expect(linear.session(id).activities).toEqual([]);
  });

  it('answers as over the rate limit, with the time until which to wait', async () => {
    linear.setFaults({ graphql: [{ fault: 'rate-limited', times: 1, ms: 5_000 }] });
    const { status, errors, headers } = await call(linear, OPERATIONS.Identity);
    expect(status).toBe(400);
    expect(errors?.[0]?.extensions).toMatchObject({ type: 'ratelimited', code: 'RATELIMITED', statusCode: 429 });
    const wait = Number(headers.get('x-ratelimit-requests-reset')) - Date.now();
    expect(wait).toBeGreaterThan(3_000);
    expect(wait).toBeLessThanOrEqual(5_000);
  });

  it('really limits: what is over the hourly number is refused until time has passed', async () => {
    await stop();
    ({ linear, stop } = await startWithReceiver({ webhookUrl: null, rateLimits: { requestsPerHour: 60 } }));
    linear.setClockSpeed(0);
    for (let request = 0; request < 60; request += 1) await call(linear, OPERATIONS.Identity);
    expect((await call(linear, OPERATIONS.Identity)).errors?.[0]?.extensions.code).toBe('RATELIMITED');
    await linear.advance(60_000);
    expect((await call(linear, OPERATIONS.Identity)).status).toBe(200);
  });

  it('lets a token expire, and takes the next one', async () => {
    linear.setFaults({ graphql: [{ fault: 'unauthorized', times: 1 }] });
    expect((await call(linear, OPERATIONS.Identity)).status).toBe(401);
    linear.setAccessToken('renewed');
    expect((await call(linear, OPERATIONS.Identity)).status).toBe(401);
    expect((await call(linear, OPERATIONS.Identity, {}, 'renewed')).status).toBe(200);
  });

  it('is slow by as much as asked for', async () => {
    linear.setFaults({ graphql: [{ fault: 'slow', ms: 120 }] });
    const started = performance.now();
    expect((await call(linear, OPERATIONS.Identity)).status).toBe(200);
    expect(performance.now() - started).toBeGreaterThanOrEqual(118);
  });

  it('counts the calls by operation', async () => {
    await call(linear, OPERATIONS.Identity);
    await call(linear, OPERATIONS.Teams);
    await call(linear, OPERATIONS.Teams);
    await call(linear, OPERATIONS.IssueContext, { id: 'ENG-404' });
    await call(linear, OPERATIONS.Identity, {}, 'wrong');
    expect(linear.calls()).toEqual({
      total: 4,
      unauthenticated: 1,
      failed: 1,
      byOperation: { viewer: 1, teams: 2, issue: 1 },
    });
  });
});
