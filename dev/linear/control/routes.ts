/** The control API of one workspace over HTTP, under /control (the first) or /control/workspaces/:urlKey. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { faultsSchema } from '../faults.ts';
import { guidanceSchema } from '../state/model.ts';
import { appRoutes } from './app-routes.ts';
import type { Control } from './control.ts';
import type { Live } from './live.ts';
import { answerControl, isFromThisMachine, type Route } from './routing.ts';

const newIssueSchema = z.strictObject({
  title: z.string(),
  description: z.string().nullish(),
  team: z.string().optional(),
  labels: z.array(z.string().min(1)).optional(),
  project: z.string().min(1).optional(),
  parent: z.string().min(1).optional(),
});
const relationSchema = z.strictObject({ type: z.enum(['blocks', 'duplicate', 'related', 'similar']), to: z.string() });
const editSchema = z.strictObject({
  title: z.string().optional(),
  description: z.string().nullish(),
  labels: z.array(z.string().min(1)).optional(),
  project: z.string().min(1).nullish(),
  assigned: z.boolean().optional(),
});
const reactionSchema = z.strictObject({ emoji: z.string().min(1), commentId: z.string().optional() });
const notificationSchema = z.strictObject({ kind: z.string().min(1) });
const delegateSchema = z.strictObject({ by: z.enum(['person', 'automation']).optional() });
const commentSchema = z.strictObject({
  body: z.string(),
  thread: z.enum(['agent', 'issue']).optional(),
  sessionId: z.string().optional(),
  parentId: z.string().optional(),
});
const outsideSchema = z.strictObject({
  body: z.string(),
  service: z.enum(['slack', 'github']),
  name: z.string().min(1),
  parentId: z.string().optional(),
});
const archiveSchema = z.strictObject({ archived: z.boolean() });
const mentionSchema = z.strictObject({ body: z.string() });
const stopSchema = z.strictObject({ sessionId: z.string().optional() });
const moveSchema = z.strictObject({ state: z.string() });
const teamSchema = z.strictObject({
  key: z.string().regex(/^[A-Z][A-Z0-9]*$/),
  name: z.string().min(1),
  parent: z.string().optional(),
});
const speedSchema = z.strictObject({ speed: z.number().min(0) });
const advanceSchema = z.strictObject({ ms: z.number().min(0) });
const webhookUrlSchema = z.strictObject({ url: z.string().nullable() });
const releaseSchema = z.strictObject({ order: z.enum(['in-order', 'reversed', 'shuffled']).optional() });
const limitSchema = z.coerce.number().int().positive().default(500);
const deliveryFilterSchema = z.strictObject({
  event: z.string().optional(),
  state: z.enum(['sending', 'held', 'waiting', 'delivered', 'failed', 'unsent']).optional(),
  limit: limitSchema,
});

export class ControlRoutes {
  readonly #routes: Route[];
  readonly #live: Live;

  constructor(control: Control, live: Live) {
    this.#live = live;
    this.#routes = [...issueRoutes(control), ...appRoutes(control), ...machineryRoutes(control)];
  }

  async handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    if (isFromThisMachine(request) && request.method === 'GET' && url.pathname === '/control/events') {
      this.#live.connect(response);
      return;
    }
    await answerControl(this.#routes, request, response, url);
  }
}

function issueRoutes(control: Control): Route[] {
  return [
    ['GET', /^\/control\/issues$/, ({ query }) => control.issues(limitSchema.parse(query.limit))],
    ['POST', /^\/control\/issues$/, ({ body }) => control.createIssue(newIssueSchema.parse(body))],
    ['GET', /^\/control\/issues\/([^/]+)$/, ({ path: [issue = ''] }) => control.thread(issue)],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/delegate$/,
      ({ path: [issue = ''], body }) => control.delegate(issue, delegateSchema.parse(body).by),
    ],
    ['POST', /^\/control\/issues\/([^/]+)\/undelegate$/, ({ path: [issue = ''] }) => control.undelegate(issue)],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/comments$/,
      ({ path: [issue = ''], body }) => {
        const { body: text, ...place } = commentSchema.parse(body);
        return control.comment(issue, text, place);
      },
    ],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/outside-comments$/,
      ({ path: [issue = ''], body }) => {
        const { body: text, parentId, ...from } = outsideSchema.parse(body);
        return control.commentFromOutside(issue, text, from, parentId);
      },
    ],
    [
      'PUT',
      /^\/control\/issues\/([^/]+)\/archived$/,
      ({ path: [issue = ''], body }) => control.archiveIssue(issue, archiveSchema.parse(body).archived),
    ],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/mention$/,
      ({ path: [issue = ''], body }) => control.mention(issue, mentionSchema.parse(body).body),
    ],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/stop$/,
      ({ path: [issue = ''], body }) => control.stop(issue, stopSchema.parse(body).sessionId),
    ],
    [
      'PUT',
      /^\/control\/issues\/([^/]+)\/state$/,
      ({ path: [issue = ''], body }) => control.moveIssue(issue, moveSchema.parse(body).state),
    ],
    [
      'PATCH',
      /^\/control\/issues\/([^/]+)$/,
      ({ path: [issue = ''], body }) => control.editIssue(issue, editSchema.parse(body)),
    ],
    ['DELETE', /^\/control\/issues\/([^/]+)$/, ({ path: [issue = ''] }) => control.removeIssue(issue)],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/reactions$/,
      ({ path: [issue = ''], body }) => {
        const { emoji, commentId } = reactionSchema.parse(body);
        control.react(issue, emoji, commentId);
      },
    ],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/notifications$/,
      ({ path: [issue = ''], body }) => control.notify(issue, notificationSchema.parse(body).kind),
    ],
    [
      'POST',
      /^\/control\/issues\/([^/]+)\/relations$/,
      ({ path: [issue = ''], body }) => {
        const { type, to } = relationSchema.parse(body);
        control.relate(issue, type, to);
      },
    ],
    ['PUT', /^\/control\/guidance$/, ({ body }) => control.setGuidance(guidanceSchema.parse(body))],
    [
      'POST',
      /^\/control\/teams$/,
      ({ body }) => {
        const { key, name, parent } = teamSchema.parse(body);
        control.createTeam(key, name, parent);
      },
    ],
  ];
}

function machineryRoutes(control: Control): Route[] {
  return [
    ['GET', /^\/control\/state$/, () => control.state()],
    ['PUT', /^\/control\/clock$/, ({ body }) => control.setClockSpeed(speedSchema.parse(body).speed)],
    ['POST', /^\/control\/clock\/advance$/, ({ body }) => control.advance(advanceSchema.parse(body).ms)],
    ['GET', /^\/control\/faults$/, () => control.faults()],
    ['PUT', /^\/control\/faults$/, ({ body }) => control.setFaults(faultsSchema.parse(body))],
    ['DELETE', /^\/control\/faults$/, () => control.clearFaults()],
    ['PUT', /^\/control\/webhook-url$/, ({ body }) => control.setWebhookUrl(webhookUrlSchema.parse(body).url)],
    [
      'POST',
      /^\/control\/webhooks\/release$/,
      async ({ body }) => ({ released: await control.releaseWebhooks(releaseSchema.parse(body).order) }),
    ],
    [
      'GET',
      /^\/control\/deliveries$/,
      ({ query }) => {
        const { limit, ...filter } = deliveryFilterSchema.parse(query);
        // Bodies are large; each can be had by the delivery's id.
        return control
          .deliveries(filter)
          .slice(-limit)
          .map(({ body: _body, ...delivery }) => delivery);
      },
    ],
    ['GET', /^\/control\/deliveries\/([^/]+)$/, ({ path: [id = ''] }) => control.delivery(id)],
    ['GET', /^\/control\/calls$/, () => control.calls()],
    ['DELETE', /^\/control\/calls$/, () => control.resetCalls()],
  ];
}
