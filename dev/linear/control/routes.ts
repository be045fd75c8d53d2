/**
 * The control API over HTTP, under /control. JSON in and out; an error is `{ "error": "what is wrong" }` with a fitting status.
 * It has no password: it only answers on this machine, to requests that a foreign web page cannot make.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { faultsSchema } from '../faults.ts';
import { readBody, sendJson, TooLargeError } from '../http.ts';
import { RefusedError } from '../people.ts';
import { guidanceSchema } from '../state/model.ts';
import type { Control } from './control.ts';
import type { Live } from './live.ts';

const LARGEST_BODY_BYTES = 5 * 1024 * 1024;

const newIssueSchema = z.strictObject({
  title: z.string(),
  description: z.string().nullish(),
  team: z.string().optional(),
  labels: z.array(z.string().min(1)).optional(),
});
const delegateSchema = z.strictObject({ by: z.enum(['person', 'automation']).optional() });
const commentSchema = z.strictObject({
  body: z.string(),
  thread: z.enum(['agent', 'issue']).optional(),
  sessionId: z.string().optional(),
  parentId: z.string().optional(),
});
const mentionSchema = z.strictObject({ body: z.string() });
const stopSchema = z.strictObject({ sessionId: z.string().optional() });
const moveSchema = z.strictObject({ state: z.string() });
const teamSchema = z.strictObject({ key: z.string().regex(/^[A-Z][A-Z0-9]*$/), name: z.string().min(1) });
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

interface Call {
  /** What stood where the path has a `:name`, in order. */
  path: string[];
  query: Record<string, string>;
  body: unknown;
}
type Route = [method: string, path: RegExp, act: (call: Call) => unknown];

export class ControlRoutes {
  readonly #routes: Route[];
  readonly #live: Live;

  constructor(control: Control, live: Live) {
    this.#live = live;
    this.#routes = [...issueRoutes(control), ...machineryRoutes(control)];
  }

  async handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    if (!isFromThisMachine(request)) {
      sendJson(response, 403, { error: 'the control API answers only to localhost, and to JSON' });
      return;
    }
    if (request.method === 'GET' && url.pathname === '/control/events') {
      this.#live.connect(response);
      return;
    }
    try {
      sendJson(response, 200, await this.#act(request, url));
    } catch (error) {
      const { status, message } = explain(error);
      sendJson(response, status, { error: message });
    }
  }

  async #act(request: IncomingMessage, url: URL): Promise<object> {
    const known = this.#routes.filter(([, path]) => path.test(url.pathname));
    const route = known.find(([method]) => method === request.method);
    if (!route) {
      const methods = known.map(([method]) => method).join(', ');
      throw new RefusedError(404, `no ${request.method} ${url.pathname}${methods && `; there is ${methods}`}`);
    }
    const [, path, act] = route;
    const text = (await readBody(request, LARGEST_BODY_BYTES)).toString();
    const answer = await act({
      path: (path.exec(url.pathname) ?? []).slice(1).map(decodeURIComponent),
      query: Object.fromEntries(url.searchParams),
      body: text === '' ? {} : parseJson(text),
    });
    return (answer ?? {}) as object;
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
    ['GET', /^\/control\/sessions\/([^/]+)$/, ({ path: [session = ''] }) => control.session(session)],
    ['PUT', /^\/control\/guidance$/, ({ body }) => control.setGuidance(guidanceSchema.parse(body))],
    [
      'POST',
      /^\/control\/teams$/,
      ({ body }) => {
        const { key, name } = teamSchema.parse(body);
        control.createTeam(key, name);
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

/**
 * A page of another site can send requests here, but not under one of these host names (which defeats DNS rebinding) and
 * not with this content type (which would need a preflight that nobody answers).
 */
function isFromThisMachine(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(host)) return false;
  return request.method === 'GET' || (request.headers['content-type'] ?? '').startsWith('application/json');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RefusedError(400, 'the body is not JSON');
  }
}

function explain(error: unknown): { status: number; message: string } {
  if (error instanceof RefusedError) return { status: error.status, message: error.message };
  if (error instanceof z.ZodError) return { status: 400, message: z.prettifyError(error) };
  if (error instanceof TooLargeError) return { status: 413, message: error.message };
  console.error('the Linear simulator failed', error);
  return { status: 500, message: 'the simulator failed; see its log' };
}
