/** Webhook deliveries as Linear sends them, made up in advance so that making them costs the measurement nothing. */
import { createHmac, randomUUID } from 'node:crypto';

export const ORGANIZATION = 'bench-organization';
const APP_USER = 'bench-app-user';
/** One delivery begins an issue's session, the others are comments that follow. */
export const DELIVERIES_PER_ISSUE = 4;
/** Issues whose deliveries are sent interleaved. */
const ISSUES_AT_ONCE = 200;

export interface Delivery {
  issueId: string;
  body: Buffer;
  headers: Record<string, string>;
}

/** Makes `count` deliveries with bodies of 5 to 10 KB: first those that begin 200 issues, then comments on them, and so on. */
export function makeDeliveries(count: number, secret: string): Delivery[] {
  const deliveries: Delivery[] = [];
  while (deliveries.length < count) {
    const threads = Array.from({ length: ISSUES_AT_ONCE }, () => newThread());
    for (let nth = 0; nth < DELIVERIES_PER_ISSUE; nth++) {
      for (const thread of threads) {
        const payload = nth === 0 ? created(thread) : prompted(thread, filler(600));
        deliveries.push(signed(payload, thread.issueId, secret));
      }
    }
  }
  return deliveries.slice(0, count);
}

/** A delivery that begins a session, for one issue alone. */
export function signed(payload: object, issueId: string, secret: string): Delivery {
  const body = Buffer.from(JSON.stringify(payload));
  return {
    issueId,
    body,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(body.length),
      'user-agent': 'Linear-Webhook',
      'linear-delivery': randomUUID(),
      'linear-event': 'AgentSessionEvent',
      'linear-signature': createHmac('sha256', secret).update(body).digest('hex'),
      // The baseline names its object by this; Cyrus reads the body.
      'x-bench-issue': issueId,
    },
  };
}

export interface Thread {
  issueId: string;
  agentSessionId: string;
  number: number;
  description: string;
}

let issues = 0;

export function newThread(): Thread {
  issues += 1;
  const issueId = randomUUID();
  return { issueId, agentSessionId: randomUUID(), number: issues, description: filler(1_500 + (issues % 7) * 300) };
}

/** Shapes as captured from production; see dev/linear/webhooks/payloads.ts. */
function envelope({ issueId, agentSessionId, number, description }: Thread) {
  const now = new Date().toISOString();
  const team = { id: 'bench-team', key: 'ENG', name: 'Engineering' };
  const person = {
    id: 'bench-user',
    name: 'Ada Lovelace',
    email: 'ada@example.com',
    url: 'https://linear.app/acme/profiles/ada',
    avatarUrl: null,
  };
  return {
    type: 'AgentSessionEvent',
    createdAt: now,
    organizationId: ORGANIZATION,
    oauthClientId: 'bench-oauth-client',
    appUserId: APP_USER,
    webhookId: 'bench-subscription',
    webhookTimestamp: Date.now(),
    agentSession: {
      id: agentSessionId,
      type: 'commentThread',
      status: 'pending',
      appUserId: APP_USER,
      organizationId: ORGANIZATION,
      createdAt: now,
      updatedAt: now,
      archivedAt: null,
      startedAt: null,
      endedAt: null,
      dismissedAt: null,
      dismissedById: null,
      creatorId: person.id,
      creator: person,
      issueId,
      issue: {
        id: issueId,
        identifier: `ENG-${number}`,
        title: `The cart total of order ${number} ignores quantities`,
        description,
        url: `https://linear.app/acme/issue/ENG-${number}`,
        teamId: team.id,
        team,
      },
      commentId: 'bench-comment',
      comment: {
        id: 'bench-comment',
        body: 'This thread is for an agent session with Cyrus.',
        issueId,
      },
      sourceCommentId: null,
      sourceMetadata: null,
      summary: null,
      plan: null,
      externalUrls: [],
      url: `https://linear.app/acme/issue/ENG-${number}#agent-session-${agentSessionId}`,
    },
  };
}

export function created(thread: Thread): object {
  const { number, description } = thread;
  return {
    ...envelope(thread),
    action: 'created',
    promptContext: `<issue identifier="ENG-${number}">\n<title>The cart total</title>\n<description>${description}</description>\n<team name="Engineering"/>\n<label>Bug</label>\n</issue>\n\n<guidance>\n<guidance-rule origin="team" team-name="Engineering">${filler(800)}</guidance-rule>\n</guidance>`,
    previousComments: null,
    guidance: [{ body: filler(800), origin: { type: 'Organization' } }],
  };
}

function prompted(thread: Thread, text: string): object {
  return {
    ...envelope(thread),
    action: 'prompted',
    agentActivity: {
      id: randomUUID(),
      agentSessionId: thread.agentSessionId,
      agentContextId: null,
      sourceCommentId: randomUUID(),
      sourceMetadata: null,
      archivedAt: null,
      createdAt: new Date().toISOString(),
      updatedAt: new Date().toISOString(),
      userId: 'bench-user',
      user: { id: 'bench-user', name: 'Ada Lovelace', email: 'ada@example.com' },
      signal: null,
      signalMetadata: null,
      content: { type: 'prompt', body: text },
    },
    // What else a delivery carries differs by workspace; it makes up the size.
    previousComments: [{ id: randomUUID(), body: filler(1_200), userId: 'bench-user' }],
    guidance: [{ body: filler(800), origin: { type: 'Organization' } }],
  };
}

const WORDS =
  'The total of the cart is computed from the price of each item, but its quantity is ignored; `npm test` shows it. ' +
  '“Bestellungen über 100 €” lose their discount — please look at src/cart.js and at the tests beside it.\n\n';

/** About so many characters of prose, with what makes JSON longer: quotes, line ends, letters beyond ASCII. */
export function filler(length: number): string {
  return WORDS.repeat(Math.ceil(length / WORDS.length)).slice(0, length);
}
