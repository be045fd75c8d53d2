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
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SimulatorClock } from './clock.ts';
import type { Control } from './control/control.ts';
import { OauthControl } from './control/oauth-control.ts';
import { OauthRoutes } from './control/oauth-routes.ts';
import { FaultPlan } from './faults.ts';
import { type Caller, GraphqlEndpoint } from './graphql/endpoint.ts';
import { LINEAR_RATE_LIMITS, type RateLimits } from './graphql/rate-limit.ts';
import { sendText } from './http.ts';
import { AGENT_SCOPES, type Application, type ResourceType } from './oauth/model.ts';
import { Oauth } from './oauth/oauth.ts';
import { RefusedError } from './refused.ts';
import { type Handler, router } from './router.ts';
import { linearSchema } from './schema/schema.ts';
import { DataFile } from './state/data-file.ts';
import { DEFAULT_APP_USER_ID, DEFAULT_WORKSPACE, seed, seedSecond } from './state/seed.ts';
import { WebhookSender } from './webhooks/sender.ts';
import type { SharedParts } from './workspace.ts';
import { Workspaces } from './workspaces.ts';

export interface LinearSimulatorOptions {
  /** 0 or left out: any free one. */
  port?: number;
  host?: '127.0.0.1';
  /** Where events go; null: nowhere, until `setWebhookUrl`. */
  webhookUrl: string | null;
  /** Signs the events. */
  webhookSecret: string;
  /** A token of the application that does not expire; the API takes it besides those got by OAuth. */
  accessToken: string;
  /** Whether the simulator's own application is installed in the first workspace from the start, with `accessToken`. Default: yes. */
  installed?: boolean;
  /** Of the simulator's own application; what is not given has a default that never changes, and no address to redirect to. */
  application?: Partial<Pick<Application, 'name' | 'clientSecret' | 'redirectUris' | 'grantTypes' | 'distribution'>>;
  /** Keeps workspaces, applications and tokens here across restarts; without it, it lives in memory. */
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

export interface WorkspaceSummary {
  id: string;
  name: string;
  urlKey: string;
}

/** A running simulator: what `Control` offers for the first workspace, and where it is. */
export interface LinearSimulator extends Control {
  /** Of the page, without a slash at the end. The API is at `${url}/graphql`. */
  readonly url: string;
  readonly graphqlUrl: string;
  /** The first workspace, and the app's user there. */
  readonly workspace: WorkspaceSummary;
  readonly appUserId: string;
  /** Of the simulator's own application. */
  readonly oauthClientId: string;
  /** Applications, consent and tokens. */
  readonly oauth: OauthControl;
  /** The first at the front. */
  workspaces(): WorkspaceSummary[];
  /** One more workspace, with a team ENG and nothing installed. @throws RefusedError 409 when the urlKey is taken */
  createWorkspace(name: string, urlKey: string): WorkspaceSummary;
  /** What people do in another workspace, by its urlKey: `second` is there from the start. @throws RefusedError 404 */
  in(urlKey: string): Control;
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

const OWN_CLIENT_ID = '0f4c2a9e8b7d4e53a1c69d3b5e8f7a24';
const OWN_WEBHOOK_ID = '9d0e6c1b-4f3a-4b7e-8c25-1a6f3e9b7d13';
const OWN_RESOURCE_TYPES: readonly ResourceType[] = [
  ...(['AgentSessionEvent', 'AppUserNotification', 'PermissionChange', 'Issue'] as const),
];

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
  const random = options.random ?? Math.random;
  const faults = new FaultPlan(random);
  const waiting = new Set<() => void>();
  const onChange = () => {
    dataFile?.changed();
    for (const look of waiting) look();
  };
  const oauth = new Oauth({
    clock,
    faults,
    saved: saved?.oauth ?? null,
    workspaces: () =>
      workspaces.all().map(({ world }) => ({
        ...world.workspace,
        isAdmin: world.person.admin,
        people: world.people().filter(({ active }) => active),
      })),
    onInstall: (application, workspaceId) => workspaces.byId(workspaceId)?.nameAgent(application.name),
    onChange,
  });
  const webhooks = new WebhookSender({
    clock,
    faults,
    random,
    target: (clientId) => oauth.applications.find(clientId)?.webhook ?? { url: null, secret: '' },
    timeoutMs: options.webhookTimeoutMs ?? 5_000,
    concurrency: options.webhookConcurrency ?? 200,
    onChange,
  });
  const caller = (token: string): Caller | null => {
    const bearer = oauth.grants.bearer(token);
    const workspace = bearer && workspaces.byId(bearer.workspaceId);
    if (!bearer || !workspace) return null;
    return {
      rootFields: workspace.rootFields(bearer),
      limiter: workspace.limiter,
      scopes: bearer.scopes,
      signAddresses: (text, seconds) => workspace.uploads.signAddresses(text, seconds),
    };
  };
  const graphql = new GraphqlEndpoint({ schema, clock, faults, caller });
  const rateLimits = { ...LINEAR_RATE_LIMITS, ...options.rateLimits };
  const ownClientId = OWN_CLIENT_ID;
  const parts: SharedParts = { origin, clock, webhooks, faults, graphql, oauth, rateLimits, ownClientId, onChange };
  const firstData = seed(clock.now(), options.workspace ?? DEFAULT_WORKSPACE, options.appUserId ?? DEFAULT_APP_USER_ID);
  const others = saved?.otherWorlds ?? [];
  const workspaces = new Workspaces(
    saved?.world ?? firstData,
    others.length > 0 ? others : [seedSecond(clock.now())],
    parts,
  );
  const { control, world } = workspaces.first;

  const own = oauth.applications.put(ownApplication(options, world.workspace.id, clock.now()));
  if (options.installed !== false) {
    if (!oauth.installations.in(world.workspace.id)) {
      oauth.install(own, world.workspace.id, AGENT_SCOPES, OWN_WEBHOOK_ID);
    }
    control.setAccessToken(options.accessToken);
  }
  const oauthControl = new OauthControl(oauth, ownClientId);
  handle = router({ graphql, oauth, oauthRoutes: new OauthRoutes(oauthControl, workspaces), workspaces, faults });

  dataFile?.saveFrom(() => {
    const [first, ...rest] = workspaces.all().map((workspace) => workspace.world.data());
    const pendingDeliveries = webhooks.pending();
    return {
      version: 1,
      now: clock.now(),
      world: first ?? firstData,
      otherWorlds: rest,
      oauth: oauth.data(),
      pendingDeliveries,
    };
  });
  webhooks.resume(saved?.pendingDeliveries ?? [], { clientId: ownClientId, workspaceId: world.workspace.id });

  const { id, name, urlKey } = world.workspace;
  return Object.assign(control, {
    url: origin,
    graphqlUrl: `${origin}/graphql`,
    workspace: { id, name, urlKey },
    appUserId: world.appUser.id,
    oauthClientId: ownClientId,
    oauth: oauthControl,
    workspaces: () => workspaces.summaries(),
    createWorkspace: (newName: string, newUrlKey: string) => workspaces.create(newName, newUrlKey).summary(),
    in: (wanted: string) => {
      const workspace = workspaces.byUrlKey(wanted);
      if (!workspace) throw new RefusedError(404, `there is no workspace ${wanted}`);
      return workspace.control;
    },
    waitFor: <Found>(what: string, look: () => Found | false | null | undefined, timeoutMs = 10_000) =>
      waitFor(waiting, what, look, timeoutMs),
    close: async () => {
      clock.stop();
      await dataFile?.flush();
      for (const workspace of workspaces.all()) workspace.live.close();
      await webhooks.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** The application that is there without anybody having made one. */
function ownApplication(options: LinearSimulatorOptions, ownerId: string, createdAt: number): Application {
  return {
    clientId: OWN_CLIENT_ID,
    clientSecret: 'client-secret-of-the-simulator',
    name: 'Cyrus',
    developer: 'Example',
    description: null,
    distribution: 'public',
    ownerId,
    redirectUris: [],
    grantTypes: ['authorization_code'],
    ...options.application,
    webhook: {
      url: options.webhookUrl,
      secret: options.webhookSecret,
      resourceTypes: [...(options.resourceTypes ?? OWN_RESOURCE_TYPES)],
    },
    createdAt,
  };
}

function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is taken' : error.message;
      reject(new ListenError(`the Linear simulator cannot listen on ${host}:${port}: ${reason}`));
    });
    server.listen(port, host, () => resolve(`http://${host}:${(server.address() as AddressInfo).port}`));
  });
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
      reject(new Error(`waited ${timeoutMs} ms for ${what}, which did not come`));
    }, timeoutMs);
    // A session also changes as time passes.
    const clockWatch = setInterval(again, 100);
    waiting.add(again);
    again();
  });
}
