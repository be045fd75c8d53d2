/**
 * A stand-in for Linear's servers: the GraphQL API an agent calls, the webhooks it is sent, and a page on which people
 * create issues and give them to it.
 *
 * @example
 * const linear = await startLinearSimulator({ webhookUrl, webhookSecret, accessToken });
 * const issue = linear.createIssue({ title: 'The cart total ignores quantities' });
 * const session = linear.delegate(issue.identifier);
 * await linear.waitFor('a response', () => linear.session(session.id).status === 'complete');
 * await linear.close();
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LARGEST_UPLOAD_BYTES, Uploads } from './agent/uploads.ts';
import { SimulatorClock } from './clock.ts';
import { Control } from './control/control.ts';
import { Live } from './control/live.ts';
import { ControlRoutes } from './control/routes.ts';
import { ControlViews } from './control/views.ts';
import { UNAUTHENTICATED } from './errors.ts';
import { FaultPlan } from './faults.ts';
import { GraphqlEndpoint } from './graphql/endpoint.ts';
import { LINEAR_RATE_LIMITS, RateLimiter, type RateLimits } from './graphql/rate-limit.ts';
import { rootFields } from './graphql/root-fields.ts';
import { readBody, sendJson, sendText, TooLargeError } from './http.ts';
import { sendPageFile } from './page/files.ts';
import { linearSchema } from './schema/schema.ts';
import type { Simulation } from './simulation.ts';
import { DataFile } from './state/data-file.ts';
import { DEFAULT_APP_USER_ID, DEFAULT_WORKSPACE, seed } from './state/seed.ts';
import { World } from './state/world.ts';
import { LinearUrls } from './urls.ts';
import { PayloadWriter, type ResourceType } from './webhooks/payloads.ts';
import { WebhookSender } from './webhooks/sender.ts';

export interface LinearSimulatorOptions {
  /** 0 or left out: any free one. */
  port?: number;
  host?: '127.0.0.1';
  /** Where events go; null: nowhere, until `setWebhookUrl`. */
  webhookUrl: string | null;
  /** Signs the events. */
  webhookSecret: string;
  /** The app's OAuth token: the only one the API takes. */
  accessToken: string;
  /** Keeps the workspace here across restarts; without it, it lives in memory. */
  dataFile?: string;
  workspace?: { id: string; name: string; urlKey: string };
  appUserId?: string;
  /** Kinds of event the app subscribed to; all by default. */
  resourceTypes?: readonly ResourceType[];
  /** Default: Linear's. A load test may need more. */
  rateLimits?: Partial<RateLimits>;
  /** How long a webhook may take, in real milliseconds; Linear gives 5,000. */
  webhookTimeoutMs?: number;
  /** Webhooks in flight at once. */
  webhookConcurrency?: number;
  /** Chance, for faults with a probability and for shuffling; give a seeded one to replay a run. */
  random?: () => number;
}

/** A running simulator: what `Control` offers, and where it is. */
export interface LinearSimulator extends Control {
  /** Of the page, without a slash at the end. The API is at `${url}/graphql`. */
  readonly url: string;
  readonly graphqlUrl: string;
  readonly workspace: { id: string; name: string; urlKey: string };
  readonly appUserId: string;
  readonly oauthClientId: string;
  /**
   * Waits until something is so, looking again after every change and every webhook attempt.
   * @param what for the error message, such as "a response on ENG-1"
   * @returns what `look` returned, once that is neither false, null nor undefined
   * @throws Error after `timeoutMs` (default 10,000) real milliseconds
   */
  waitFor<Found>(what: string, look: () => Found | false | null | undefined, timeoutMs?: number): Promise<Found>;
  /** Saves, stops listening and ends every connection. */
  close(): Promise<void>;
}

/** The address could not be used, most likely because the port is taken. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

const APP = {
  oauthClientId: '0f4c2a9e8b7d4e53a1c69d3b5e8f7a24',
  webhookId: '9d0e6c1b-4f3a-4b7e-8c25-1a6f3e9b7d13',
};

/**
 * Starts a simulator.
 * @throws ListenError when the port is taken; DataFileError when the data file is not one of the simulator's
 */
export async function startLinearSimulator(options: LinearSimulatorOptions): Promise<LinearSimulator> {
  const dataFile = options.dataFile === undefined ? null : new DataFile(options.dataFile);
  const [schema, saved] = await Promise.all([linearSchema(), dataFile?.load() ?? null]);
  let handle: Handler = (_request, response) => sendText(response, 503, 'starting');
  const server = createServer((request, response) => void handle(request, response));
  const origin = await listen(server, options.host ?? '127.0.0.1', options.port ?? 0);

  const clock = new SimulatorClock(Math.max(Date.now(), saved?.now ?? 0));
  const workspace = options.workspace ?? DEFAULT_WORKSPACE;
  const appUserId = options.appUserId ?? DEFAULT_APP_USER_ID;
  const world = new World(saved?.world ?? seed(clock.now(), workspace, appUserId));
  const urls = new LinearUrls(world, origin);
  const random = options.random ?? Math.random;
  const faults = new FaultPlan(random);
  const waiting = new Set<() => void>();
  const changed = () => {
    dataFile?.changed();
    for (const look of waiting) look();
  };
  world.onChange(changed);
  const webhooks = new WebhookSender({
    clock,
    faults,
    random,
    secret: options.webhookSecret,
    timeoutMs: options.webhookTimeoutMs ?? 5_000,
    concurrency: options.webhookConcurrency ?? 200,
    onChange: changed,
  });
  const payloads = new PayloadWriter(world, clock, urls, APP);
  const subscriptions = new Set(
    options.resourceTypes ?? (['AgentSessionEvent', 'AppUserNotification', 'Issue'] as const),
  );
  const simulation: Simulation = { world, clock, urls, payloads, webhooks, subscriptions };

  const limiter = new RateLimiter({ ...LINEAR_RATE_LIMITS, ...options.rateLimits }, clock);
  const uploads = new Uploads(urls);
  const { accessToken } = options;
  const fields = rootFields(simulation, limiter, uploads);
  const graphql = new GraphqlEndpoint({ schema, rootFields: fields, accessToken, clock, limiter, faults });
  const views = new ControlViews(world, clock, urls);
  const live = new Live(world, clock, views);
  const control = new Control(simulation, views, faults, graphql);
  control.setWebhookUrl(options.webhookUrl);
  handle = router(graphql, uploads, new ControlRoutes(control, live), world.workspace.urlKey);

  dataFile?.saveFrom(() => {
    return { version: 1, now: clock.now(), world: world.data(), pendingDeliveries: webhooks.pending() };
  });
  webhooks.resume(saved?.pendingDeliveries ?? []);

  const { id, name, urlKey } = world.workspace;
  return Object.assign(control, {
    url: origin,
    graphqlUrl: `${origin}/graphql`,
    workspace: { id, name, urlKey },
    appUserId: world.appUser.id,
    oauthClientId: APP.oauthClientId,
    waitFor: <Found>(what: string, look: () => Found | false | null | undefined, timeoutMs = 10_000) =>
      waitFor(waiting, what, look, timeoutMs),
    close: async () => {
      clock.stop();
      await dataFile?.flush();
      live.close();
      await webhooks.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is taken' : error.message;
      reject(new ListenError(`the Linear simulator cannot listen on ${host}:${port}: ${reason}`));
    });
    server.listen(port, host, () => resolve(`http://${host}:${(server.address() as AddressInfo).port}`));
  });
}

/** API, uploads and control, and for every other GET of a person the page. */
function router(graphql: GraphqlEndpoint, uploads: Uploads, control: ControlRoutes, urlKey: string): Handler {
  const route: Handler = async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://simulator');
    const [, first = '', second = ''] = url.pathname.split('/');
    if (url.pathname === '/graphql' && request.method === 'POST') return graphql.handle(request, response);
    if (first === 'control') return control.handle(request, response, url);
    if (first === 'uploads') return handleUpload(request, response, second, graphql, uploads);
    const isPage = url.pathname === '/' || first === urlKey;
    const file = isPage ? 'index.html' : first === 'page' ? second : '';
    if (request.method === 'GET' && sendPageFile(response, file)) return;
    sendText(response, 404, `the Linear simulator has nothing at ${request.method} ${url.pathname}`);
  };
  return async (request, response) => {
    try {
      await route(request, response);
    } catch (error) {
      if (request.destroyed && !request.complete) return;
      const tooLarge = error instanceof TooLargeError;
      if (!tooLarge) console.error('the Linear simulator failed', error);
      if (response.headersSent) response.destroy();
      else sendText(response, tooLarge ? 413 : 500, tooLarge ? error.message : 'the simulator failed; see its log');
    }
  };
}

async function handleUpload(
  request: IncomingMessage,
  response: ServerResponse,
  id: string,
  graphql: GraphqlEndpoint,
  uploads: Uploads,
): Promise<void> {
  if (request.method === 'PUT') {
    const { status, text } = uploads.store(id, request.headers, await readBody(request, LARGEST_UPLOAD_BYTES));
    return sendText(response, status, text);
  }
  if (!graphql.authorized(request)) return sendJson(response, 401, UNAUTHENTICATED);
  const file = uploads.read(id);
  if (!file) return sendText(response, 404, 'no such file');
  response.writeHead(200, { 'content-type': file.contentType, 'x-content-type-options': 'nosniff' }).end(file.bytes);
}

function waitFor<Found>(
  waiting: Set<() => void>,
  what: string,
  look: () => Found | false | null | undefined,
  timeoutMs: number,
): Promise<Found> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(deadline);
      clearInterval(clockWatch);
      waiting.delete(again);
    };
    const again = () => {
      try {
        const found = look();
        if (found === false || found === null || found === undefined) return;
        end();
        resolve(found);
      } catch (error) {
        end();
        reject(error);
      }
    };
    const deadline = setTimeout(() => {
      end();
      reject(new Error(`waited ${timeoutMs} ms in vain for ${what}`));
    }, timeoutMs);
    // A session also changes as time passes.
    const clockWatch = setInterval(again, 100);
    waiting.add(again);
    again();
  });
}
