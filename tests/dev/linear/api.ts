/** The simulator as an agent sees it: a client of its API, and a receiver of its webhooks. */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type LinearSimulator,
  type LinearSimulatorOptions,
  startLinearSimulator,
} from '../../../dev/linear/simulator.ts';

export const TOKEN = 'lin_oauth_test';
export const WEBHOOK_SECRET = 'lin_wh_test';

/** Operations an agent needs, as an agent would write them. */
export const OPERATIONS = {
  Identity: `query Identity { viewer { id name app supportsAgentSessions organization { id name urlKey logoUrl } } }`,
  Teams: `query Teams { teams(first: 100) { nodes { id key name visibility } pageInfo { hasNextPage endCursor } } }`,
  IssueContext: `query IssueContext($id: String!) { issue(id: $id) { id identifier title description url branchName
    state { id name type } delegate { id } assignee { id } team { id key states(filter: { type: { eq: "started" } }) {
    nodes { id name position type } } } labels { nodes { id name } }
    attachments(first: 20) { nodes { id url title } } } }`,
  Session: `query Session($id: String!) { agentSession(id: $id) { id status summary plan url startedAt endedAt dismissedAt
    creator { id name } issue { id identifier } externalLinks { url label } activities(first: 50) { nodes { id createdAt
    ephemeral signal user { id app } content { __typename ... on AgentActivityPromptContent { body }
    ... on AgentActivityResponseContent { body } ... on AgentActivityElicitationContent { body }
    ... on AgentActivityThoughtContent { body } ... on AgentActivityActionContent { action parameter result } } }
    pageInfo { hasNextPage endCursor } } } }`,
  Suggest: `query Suggest($issueId: String!, $sid: String, $c: [CandidateRepository!]!) { issueRepositorySuggestions(
    issueId: $issueId, agentSessionId: $sid, candidateRepositories: $c) {
    suggestions { repositoryFullName hostname confidence } } }`,
  Limits: `query Limits { rateLimitStatus { identifier kind limits { type requestedAmount allowedAmount period
    remainingAmount reset } } }`,
  Activity: `mutation Activity($input: AgentActivityCreateInput!) { agentActivityCreate(input: $input) { success
    lastSyncId agentActivity { id } } }`,
  SessionUpdate: `mutation SessionUpdate($id: String!, $input: AgentSessionUpdateInput!) { agentSessionUpdate(id: $id,
    input: $input) { success } }`,
  IssueUpdate: `mutation IssueUpdate($id: String!, $input: IssueUpdateInput!) { issueUpdate(id: $id, input: $input) {
    success } }`,
  CreateOnIssue: `mutation CreateOnIssue($input: AgentSessionCreateOnIssue!) { agentSessionCreateOnIssue(input: $input) {
    success agentSession { id url } } }`,
  CreateOnComment: `mutation CreateOnComment($input: AgentSessionCreateOnComment!) { agentSessionCreateOnComment(
    input: $input) { success agentSession { id } } }`,
  LinkPR: `mutation LinkPR($issueId: String!, $url: String!, $id: String) { attachmentLinkGitHubPR(issueId: $issueId,
    url: $url, id: $id, linkKind: links) { success attachment { id } } }`,
  Upload: `mutation Upload($contentType: String!, $filename: String!, $size: Int!) { fileUpload(contentType: $contentType,
    filename: $filename, size: $size) { success uploadFile { uploadUrl assetUrl headers { key value } } } }`,
};

interface ApiError {
  message: string;
  extensions: {
    type: string;
    code: string;
    statusCode?: number;
    userPresentableMessage?: string;
    validationErrors?: { property: string; constraints: Record<string, string> }[];
  };
}

export interface ApiAnswer {
  status: number;
  headers: Headers;
  // What an operation answers is as varied as the operations; a test knows what it asked for.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  data: any;
  errors: ApiError[] | undefined;
  /** As it came. */
  text: string;
}

/** Calls the API as an agent does. */
export async function call(
  linear: LinearSimulator,
  query: string,
  variables: object = {},
  token: string | null = TOKEN,
): Promise<ApiAnswer> {
  const answer = await fetch(linear.graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token !== null && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const text = await answer.text();
  const body = text.startsWith('{') ? JSON.parse(text) : {};
  return { status: answer.status, headers: answer.headers, data: body.data, errors: body.errors, text };
}

/** Adds an activity; `input` is what goes beside the session and the content. */
export function addActivity(linear: LinearSimulator, sessionId: string, content: unknown, input: object = {}) {
  return call(linear, OPERATIONS.Activity, { input: { agentSessionId: sessionId, content, ...input } });
}

export interface Received {
  headers: IncomingMessage['headers'];
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: a webhook body is checked by the test that reads it
  payload: any;
  signed: boolean;
}

/** A webhook receiver that keeps all it got and answers as told. */
export class Receiver {
  readonly received: Received[] = [];
  url = '';
  /** What to do with a webhook; by default, 200 at once. */
  answer: (response: ServerResponse, received: Received) => void = (response) => response.end('ok');
  readonly #server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const signature = createHmac('sha256', WEBHOOK_SECRET).update(body).digest('hex');
      const signed = request.headers['linear-signature'] === signature;
      const received = { headers: request.headers, body, payload: JSON.parse(body), signed };
      this.received.push(received);
      this.answer(response, received);
    });
  });

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/webhooks/linear`;
    return this;
  }

  /** What came of one kind, in order of arrival: "AgentSessionEvent created". */
  of(kind: string): Received[] {
    return this.received.filter(({ payload }) => `${payload.type} ${payload.action}` === kind);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A simulator and a receiver for what it sends; both end with `stop`. */
export async function startWithReceiver(options: Partial<LinearSimulatorOptions> = {}) {
  const receiver = await new Receiver().start();
  const linear = await startLinearSimulator({
    webhookUrl: receiver.url,
    webhookSecret: WEBHOOK_SECRET,
    accessToken: TOKEN,
    ...options,
  });
  const stop = async () => {
    await linear.close();
    await receiver.stop();
  };
  return { linear, receiver, stop };
}
