/** Every operation of the API for programs: the routes and the document are made of this table. */
import * as z from 'zod';
import { workspaceSettingsSchema } from '../settings/access-rules.ts';
import { sessionViewSchema } from '../viewer.ts';
import { operation } from './operation.ts';
import {
  answerSchema,
  callerSchema,
  entriesSchema,
  promptSchema,
  sessionsSchema,
  settingInputSchema,
  settingNameSchema,
  settingSchema,
  settingsSchema,
  startedSchema,
  startSchema,
  takenSchema,
  usageSchema,
  workspaceSettingsInputSchema,
} from './schemas.ts';
import {
  newWebhookSchema,
  newWebhookSecretSchema,
  webhookInputSchema,
  webhooksSchema,
  webhookTestSchema,
  webhookViewSchema,
} from './webhooks.ts';

const MOST_LISTED = 100;
const MOST_ENTRIES = 1_000;
/** Text of a number, as addresses have it. */
const number = z.coerce.number().int();
const ofSession = z.object({ id: z.string() });
const ofWorkspace = z.object({
  workspace: z.string().regex(/^[\w-]{1,100}$/, { error: 'must be the id of a workspace' }),
});
const ofWebhook = ofWorkspace.extend({ webhook: z.uuid({ error: 'must be the id of a webhook' }) });
const inWorkspace = z.strictObject({ workspace: ofWorkspace.shape.workspace.optional() });
const after = number.min(0).max(Number.MAX_SAFE_INTEGER).default(0);
const NO_SESSION = 'There is no such session, or you do not see it.';
const NO_WORKSPACE = 'There is no such workspace, or you are no member of it.';
const NO_WEBHOOK = 'There is no such webhook in the workspace, or you are no member of it.';
const READ_ONLY = 'The session is read-only until a newer version of Cyrus is deployed.';
const usageQuery = <Group extends [string, ...string[]]>(groups: Group) =>
  z.strictObject({ by: z.enum(groups).default(groups[0]), since: z.iso.date().optional() });

export const OPERATIONS = {
  getCaller: operation({
    ...{ id: 'getCaller', method: 'get', path: '/me', scope: 'read' },
    summary: 'Tells for whom the token acts',
    answer: { status: 200, description: 'The person and the token', content: callerSchema },
  }),
  listSessions: operation({
    ...{ id: 'listSessions', method: 'get', path: '/sessions', scope: 'read' },
    summary: 'Lists sessions, last changed first',
    description:
      'A page may have fewer sessions than its limit, or none, although more follow: go on while `next` is not null.',
    query: z.strictObject({
      limit: number.min(1).max(MOST_LISTED).default(MOST_LISTED),
      cursor: z
        .string()
        .regex(/^\d{1,15}-[0-9a-f]{64}$/, 'is not a cursor: send the `next` of the page before, or leave it out')
        .optional(),
    }),
    answer: { status: 200, description: 'A page of the sessions that the person sees', content: sessionsSchema },
  }),
  startSession: operation({
    ...{ id: 'startSession', method: 'post', path: '/sessions', scope: 'write' },
    summary: 'Starts a session on an issue or from a text, or asks something in the one that the issue has',
    description:
      'Either `issue`, or `text` and `repository`: then Cyrus creates an issue in Linear in the name of the person, with the text as its description and the repository as a wish (`[repo=owner/name]`), and begins on that. Of an issue that has no session yet, Cyrus opens a thread in Linear. It waits up to 20 seconds before, in case Linear opens one itself. Whether the person may give work is decided as in Linear, when the session begins; the session then says why not.',
    body: startSchema,
    answer: { status: 202, description: 'The request is taken in', content: startedSchema },
    problems: {
      404: 'There is no such issue, team or repository, or you do not see it.',
      409: 'The issue is archived or deleted, its session is read-only, or Linear refuses to create an issue there.',
    },
  }),
  getSession: operation({
    ...{ id: 'getSession', method: 'get', path: '/sessions/{id}', scope: 'read' },
    summary: 'Shows a session as it is now',
    params: ofSession,
    answer: { status: 200, description: 'The session', content: sessionViewSchema },
    problems: { 404: NO_SESSION },
  }),
  listEntries: operation({
    ...{ id: 'listEntries', method: 'get', path: '/sessions/{id}/entries', scope: 'read' },
    summary: 'Reads the journal of a session',
    params: ofSession,
    query: z.strictObject({ after, limit: number.min(1).max(MOST_ENTRIES).default(100) }),
    answer: { status: 200, description: 'Entries after a number, in their order', content: entriesSchema },
    problems: { 404: NO_SESSION },
  }),
  streamEntries: operation({
    ...{ id: 'streamEntries', method: 'get', path: '/sessions/{id}/events', scope: 'read' },
    summary: 'Streams a session as server-sent events',
    description:
      'First every entry after the number, then each new one as it is written. An event `entry` has the number as its id and an Entry as its data; an event `session` has a Session as its data, whenever that has changed. The stream ends after some minutes, or when much is behind: connect again with the header `Last-Event-ID`, which counts before `after`.',
    params: ofSession,
    query: z.strictObject({ after }),
    answer: { status: 200, description: 'The stream', content: 'text/event-stream' },
    problems: { 404: NO_SESSION },
  }),
  watchSession: operation({
    ...{ id: 'watchSession', method: 'get', path: '/sessions/{id}/live', scope: 'read' },
    summary: 'Opens the WebSocket that the page uses, with text as it is written',
    description:
      'Its frames are those of `src/protocol/viewer.ts`; they change with the page, by the number of `protocol`. The socket is closed after some minutes with 4100: connect again with the last number as `after`. Send the text `ping` every 15 seconds.',
    params: ofSession,
    query: z.strictObject({ after, protocol: number.min(1).max(1_000).optional() }),
    answer: { status: 101, description: 'The socket is open', content: null },
    problems: { 404: NO_SESSION, 426: 'The request asks for no WebSocket.' },
  }),
  promptSession: operation({
    ...{ id: 'promptSession', method: 'post', path: '/sessions/{id}/prompts', scope: 'write' },
    summary: 'Asks something in a session',
    description: 'It answers no question, whatever is asked when it arrives.',
    params: ofSession,
    body: promptSchema,
    answer: { status: 202, description: 'The prompt is taken in', content: takenSchema },
    problems: { 404: NO_SESSION, 409: READ_ONLY },
  }),
  answerQuestion: operation({
    ...{ id: 'answerQuestion', method: 'post', path: '/sessions/{id}/answers', scope: 'write' },
    summary: 'Answers the question that a session asks, or decides on a permission',
    params: ofSession,
    body: answerSchema,
    answer: { status: 202, description: 'The answer is taken in', content: takenSchema },
    problems: { 404: NO_SESSION, 409: `The question is not open any more, so nothing was changed. ${READ_ONLY}` },
  }),
  stopSession: operation({
    ...{ id: 'stopSession', method: 'post', path: '/sessions/{id}/stop', scope: 'write' },
    summary: 'Stops what runs in a session',
    params: ofSession,
    answer: { status: 202, description: 'The stop is taken in', content: takenSchema },
    problems: { 404: NO_SESSION, 409: READ_ONLY },
  }),
  getLog: operation({
    ...{ id: 'getLog', method: 'get', path: '/sessions/{id}/log', scope: 'read' },
    summary: 'Reads the log of the turns that have ended, as Markdown',
    params: ofSession,
    answer: { status: 200, description: 'The log', content: 'text/markdown' },
    problems: { 404: NO_SESSION },
  }),
  getDiff: operation({
    ...{ id: 'getDiff', method: 'get', path: '/sessions/{id}/diff', scope: 'read' },
    summary: 'Reads what the session has changed, as a patch against the base branch',
    params: ofSession,
    answer: { status: 200, description: 'The patch', content: 'text/x-patch' },
    problems: { 404: `${NO_SESSION} Or nothing has been changed yet: \`no_patch\`.` },
  }),
  getWorkspaceSettings: operation({
    ...{ id: 'getWorkspaceSettings', method: 'get', path: '/workspaces/{workspace}/settings', scope: 'admin' },
    summary: 'Reads the settings of a workspace',
    params: ofWorkspace,
    answer: { status: 200, description: 'The settings', content: workspaceSettingsSchema },
    problems: { 404: NO_WORKSPACE },
  }),
  putWorkspaceSettings: operation({
    ...{ id: 'putWorkspaceSettings', method: 'put', path: '/workspaces/{workspace}/settings', scope: 'admin' },
    summary: 'Replaces the settings of a workspace',
    description: 'What is left out is set to its default.',
    params: ofWorkspace,
    body: workspaceSettingsInputSchema,
    answer: { status: 200, description: 'The settings as they are now', content: workspaceSettingsSchema },
    problems: {
      403: 'You are no admin of the workspace, or want more sessions at once than an owner has allowed.',
      404: NO_WORKSPACE,
    },
  }),
  getWorkspaceUsage: operation({
    ...{ id: 'getWorkspaceUsage', method: 'get', path: '/workspaces/{workspace}/usage', scope: 'read' },
    summary: 'Sums up the use of Claude in a workspace, for its admins',
    description: 'Of the last 30 days unless `since` says otherwise.',
    params: ofWorkspace,
    query: usageQuery(['day', 'repository', 'session', 'model']),
    answer: { status: 200, description: 'The sums', content: usageSchema },
    problems: { 404: NO_WORKSPACE },
  }),
  listWebhooks: operation({
    ...{ id: 'listWebhooks', method: 'get', path: '/workspaces/{workspace}/webhooks', scope: 'admin' },
    summary: 'Lists the webhooks of a workspace, for its admins',
    params: ofWorkspace,
    answer: { status: 200, description: 'The webhooks, without their secrets', content: webhooksSchema },
    problems: { 404: NO_WORKSPACE },
  }),
  createWebhook: operation({
    ...{ id: 'createWebhook', method: 'post', path: '/workspaces/{workspace}/webhooks', scope: 'admin' },
    summary: 'Has a service told when a session finishes or needs somebody',
    description:
      'The answer alone shows the secret by which the service checks signatures. A workspace has at most 10 webhooks.',
    params: ofWorkspace,
    body: webhookInputSchema,
    answer: { status: 201, description: 'The webhook, with its secret', content: newWebhookSchema },
    hasSecret: true,
    problems: { 404: NO_WORKSPACE, 409: 'The workspace has as many webhooks as it may have.' },
  }),
  changeWebhook: operation({
    ...{ id: 'changeWebhook', method: 'put', path: '/workspaces/{workspace}/webhooks/{webhook}', scope: 'admin' },
    summary: 'Changes, disables or enables a webhook',
    description: 'Its secret stays.',
    params: ofWebhook,
    body: webhookInputSchema,
    answer: { status: 200, description: 'The webhook as it is now', content: webhookViewSchema },
    problems: { 404: NO_WEBHOOK },
  }),
  rotateWebhookSecret: operation({
    ...{
      id: 'rotateWebhookSecret',
      method: 'post',
      path: '/workspaces/{workspace}/webhooks/{webhook}/secret',
      scope: 'admin',
    },
    summary: 'Gives a webhook another secret',
    description: 'For 24 hours what is sent is signed with the secret before as well.',
    params: ofWebhook,
    answer: { status: 200, description: 'The new secret', content: newWebhookSecretSchema },
    hasSecret: true,
    problems: { 404: NO_WEBHOOK },
  }),
  testWebhook: operation({
    ...{ id: 'testWebhook', method: 'post', path: '/workspaces/{workspace}/webhooks/{webhook}/test', scope: 'admin' },
    summary: 'Sends a webhook a test, once, also while it is disabled',
    params: ofWebhook,
    answer: { status: 200, description: 'What came of it', content: webhookTestSchema },
    problems: { 404: NO_WEBHOOK },
  }),
  deleteWebhook: operation({
    ...{ id: 'deleteWebhook', method: 'delete', path: '/workspaces/{workspace}/webhooks/{webhook}', scope: 'admin' },
    summary: 'Deletes a webhook; what was not delivered yet never will be',
    params: ofWebhook,
    answer: { status: 204, description: 'It is deleted', content: null },
    problems: { 404: NO_WEBHOOK },
  }),
  getUsage: operation({
    ...{ id: 'getUsage', method: 'get', path: '/usage', scope: 'read' },
    summary: 'Sums up the use of Claude in the deployment, for its owners',
    description: 'Of the last 30 days unless `since` says otherwise.',
    query: usageQuery(['day', 'workspace', 'repository', 'session', 'model', 'token']),
    answer: { status: 200, description: 'The sums', content: usageSchema },
  }),
  listSettings: operation({
    ...{ id: 'listSettings', method: 'get', path: '/settings', scope: 'admin' },
    summary: 'Lists the variables that need no deploy, for owners',
    query: inWorkspace,
    answer: { status: 200, description: 'Each with its value and the source of it', content: settingsSchema },
    problems: { 404: 'There is no such workspace.' },
  }),
  putSetting: operation({
    ...{ id: 'putSetting', method: 'put', path: '/settings/{name}', scope: 'admin' },
    summary: 'Sets a variable, for owners',
    params: z.object({ name: settingNameSchema }),
    query: inWorkspace,
    body: settingInputSchema,
    answer: { status: 200, description: 'The setting as it counts now', content: settingSchema },
    problems: { 404: 'There is no such workspace.' },
  }),
  deleteSetting: operation({
    ...{ id: 'deleteSetting', method: 'delete', path: '/settings/{name}', scope: 'admin' },
    summary: 'Takes a setting back, so that the variable counts again, for owners',
    params: z.object({ name: settingNameSchema }),
    query: inWorkspace,
    answer: { status: 200, description: 'The setting as it counts now', content: settingSchema },
    problems: { 404: 'There is no such workspace, or it is not set there.' },
  }),
} as const;
