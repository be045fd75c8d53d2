/** One workspace of the simulator: its state, what an application reaches of it by the API, and what people do in it. */
import { Uploads } from './agent/uploads.ts';
import type { SimulatorClock } from './clock.ts';
import { Control } from './control/control.ts';
import { Live } from './control/live.ts';
import { ControlRoutes } from './control/routes.ts';
import { ControlViews } from './control/views.ts';
import type { FaultPlan } from './faults.ts';
import type { GraphqlEndpoint } from './graphql/endpoint.ts';
import type { RootFields } from './graphql/execution.ts';
import { RateLimiter, type RateLimits } from './graphql/rate-limit.ts';
import { rootFields } from './graphql/root-fields.ts';
import { McpEndpoint } from './mcp.ts';
import type { Bearer } from './oauth/grants.ts';
import type { Oauth } from './oauth/oauth.ts';
import type { Simulation } from './simulation.ts';
import type { User } from './state/model.ts';
import { World, type WorldData } from './state/world.ts';
import { LinearUrls } from './urls.ts';
import { PayloadWriter } from './webhooks/payloads.ts';
import type { WebhookSender } from './webhooks/sender.ts';

/** What all workspaces have in common. */
export interface SharedParts {
  origin: string;
  clock: SimulatorClock;
  webhooks: WebhookSender;
  faults: FaultPlan;
  graphql: GraphqlEndpoint;
  oauth: Oauth;
  rateLimits: RateLimits;
  /** The simulator's own application, for what is not about an installed one. */
  ownClientId: string;
  onChange: () => void;
}

export class Workspace {
  readonly world: World;
  readonly uploads: Uploads;
  readonly limiter: RateLimiter;
  readonly mcp: McpEndpoint;
  readonly control: Control;
  readonly routes: ControlRoutes;
  readonly live: Live;
  readonly #simulation: Simulation;
  readonly #rootFieldsOf: (viewer: User) => RootFields;
  readonly #rootFields = new Map<User, RootFields>();

  constructor(data: WorldData, parts: SharedParts) {
    const { clock, webhooks, faults, oauth } = parts;
    const world = new World(data);
    const urls = new LinearUrls(world, parts.origin);
    const installed = () => oauth.installations.in(world.workspace.id);
    const identity = () => {
      const { clientId: oauthClientId, webhookId } = installed()?.installation ?? { clientId: '', webhookId: '' };
      return { oauthClientId, webhookId };
    };
    const payloads = new PayloadWriter(world, clock, urls, identity);
    this.#simulation = { world, clock, urls, payloads, webhooks, installed };
    this.world = world;
    world.onChange(parts.onChange);
    this.uploads = new Uploads(urls, clock);
    this.limiter = new RateLimiter(parts.rateLimits, clock);
    this.mcp = new McpEndpoint(this.#simulation);
    this.#rootFieldsOf = (viewer) => rootFields(this.#simulation, this.limiter, this.uploads, viewer);
    const views = new ControlViews(world, clock, urls);
    this.live = new Live(world, clock, views);
    const { graphql, ownClientId } = parts;
    const { uploads } = this;
    this.control = new Control({ simulation: this.#simulation, views, faults, graphql, oauth, uploads, ownClientId });
    this.routes = new ControlRoutes(this.control, this.live);
  }

  /** Calls the agent as its application is called; `@` mentions it by the letters and digits of that. */
  nameAgent(name: string): void {
    const displayName = name.toLowerCase().replace(/[^a-z0-9]+/g, '') || 'app';
    Object.assign(this.world.appUser, { name, displayName });
    this.world.changed(null);
  }

  summary(): { id: string; name: string; urlKey: string } {
    const { id, name, urlKey } = this.world.workspace;
    return { id, name, urlKey };
  }

  /** Whom a token of an application acts for. */
  user({ actor, userId }: Pick<Bearer, 'actor' | 'userId'>): User {
    if (actor === 'app') return this.world.appUser;
    return this.world.userOrNull(userId ?? null) ?? this.world.person;
  }

  /** What the API offers to an application, or to a person through one. */
  rootFields(bearer: Pick<Bearer, 'actor' | 'userId'>): RootFields {
    const viewer = this.user(bearer);
    const known = this.#rootFields.get(viewer) ?? this.#rootFieldsOf(viewer);
    this.#rootFields.set(viewer, known);
    return known;
  }
}
