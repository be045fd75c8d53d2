/**
 * Everything a test, a script or the page can do with the simulator, as methods. The HTTP control API (./routes.ts) is the same
 * over the wire. Issues are named by identifier ("ENG-1") or id.
 */
import { z } from 'zod';
import type { FaultPlan, FaultSettings, Faults } from '../faults.ts';
import type { CallCounts, GraphqlEndpoint } from '../graphql/endpoint.ts';
import { AGENT_SCOPES, type Application, type Scope } from '../oauth/model.ts';
import type { Oauth } from '../oauth/oauth.ts';
import { type CommentPlace, type NewIssue, People } from '../people.ts';
import { RefusedError } from '../refused.ts';
import { emit, type Simulation } from '../simulation.ts';
import type { Guidance } from '../state/model.ts';
import type { Delivery, DeliveryState, ReleaseOrder } from '../webhooks/sender.ts';
import type { ActivityView, CommentView, ControlViews, IssueSummary, SessionView, Thread } from './views.ts';

/** What is not about one issue. */
export interface SimulatorState {
  workspace: { id: string; name: string; urlKey: string };
  appUser: { id: string; name: string; displayName: string };
  person: { id: string; name: string; isAdmin: boolean };
  /** The application in this workspace; null: there is none, and nothing is sent. */
  installed: { clientId: string; name: string; scopes: string[] } | null;
  teams: { key: string; name: string; states: { name: string; type: string }[] }[];
  clock: { now: string; speed: number };
  webhookUrl: string | null;
  issueCount: number;
}

export interface DeliveryFilter {
  event?: string;
  state?: DeliveryState;
}

const webhookUrlSchema = z.url({ protocol: /^https?$/, error: 'the webhook address must be http(s)' }).nullable();

export interface ControlParts {
  simulation: Simulation;
  views: ControlViews;
  faults: FaultPlan;
  graphql: GraphqlEndpoint;
  oauth: Oauth;
  /** The simulator's own application: what is installed when nothing else is said. */
  ownClientId: string;
}

export class Control {
  readonly #simulation: Simulation;
  readonly #people: People;
  readonly #views: ControlViews;
  readonly #faults: FaultPlan;
  readonly #graphql: GraphqlEndpoint;
  readonly #oauth: Oauth;
  readonly #ownClientId: string;

  constructor({ simulation, views, faults, graphql, oauth, ownClientId }: ControlParts) {
    this.#simulation = simulation;
    this.#people = new People(simulation);
    this.#views = views;
    this.#faults = faults;
    this.#graphql = graphql;
    this.#oauth = oauth;
    this.#ownClientId = ownClientId;
  }

  state(): SimulatorState {
    const { world, clock } = this.#simulation;
    const here = this.#simulation.installed();
    const { id, name, urlKey } = world.workspace;
    const { appUser, person } = world;
    return {
      workspace: { id, name, urlKey },
      appUser: { id: appUser.id, name: appUser.name, displayName: appUser.displayName },
      person: { id: person.id, name: person.name, isAdmin: person.admin },
      installed: here && {
        clientId: here.application.clientId,
        name: here.application.name,
        scopes: here.installation.scopes,
      },
      teams: [...world.teams.values()].map((team) => ({
        key: team.key,
        name: team.name,
        states: team.states.map((state) => ({ name: state.name, type: state.type })),
      })),
      clock: { now: clock.iso(), speed: clock.speed },
      webhookUrl: this.#application().webhook.url,
      issueCount: world.issues.size,
    };
  }

  /** Newest first. @param limit at most this many */
  issues(limit = Number.POSITIVE_INFINITY): IssueSummary[] {
    const newestFirst = [...this.#simulation.world.issues.values()].reverse();
    return newestFirst.slice(0, limit).map((issue) => this.#views.summary(issue));
  }

  createIssue(issue: NewIssue): IssueSummary {
    return this.#views.summary(this.#people.createIssue(issue));
  }

  createTeam(key: string, name: string): void {
    this.#people.createTeam(key, name);
  }

  /** @throws RefusedError 404 for an unknown issue, as all methods that take one */
  thread(issue: string): Thread {
    return this.#views.thread(this.#people.issue(issue));
  }

  session(sessionId: string): SessionView {
    const session = this.#simulation.world.sessions.get(sessionId);
    if (!session) throw new RefusedError(404, `there is no agent session ${sessionId}`);
    return this.#views.session(session);
  }

  /** Assigns the issue to the agent. Returns the session this opens. */
  delegate(issue: string, by?: 'person' | 'automation'): SessionView {
    return this.#views.session(this.#people.delegate(issue, by));
  }

  /** Takes the issue away from the agent. */
  undelegate(issue: string): IssueSummary {
    return this.#views.summary(this.#people.undelegate(issue));
  }

  /** @param state name ("In Review") or type ("canceled") */
  moveIssue(issue: string, state: string): IssueSummary {
    return this.#views.summary(this.#people.moveIssue(issue, state));
  }

  /** Comments; in the thread of the issue's latest session if there is one, which prompts it. */
  comment(issue: string, body: string, place?: CommentPlace): CommentView {
    return this.#views.comment(this.#people.comment(issue, body, place));
  }

  /** Comments on the issue, mentioning the agent. */
  mention(issue: string, body: string): CommentView {
    return this.#views.comment(this.#people.mention(issue, body));
  }

  /** Presses stop; returns the prompt with the signal. */
  stop(issue: string, sessionId?: string): ActivityView {
    return this.#views.activity(this.#people.stop(issue, sessionId));
  }

  /** What people told agents about working here; goes into new sessions. */
  setGuidance(guidance: Guidance): void {
    this.#simulation.world.guidance = guidance;
  }

  setClockSpeed(speed: number): void {
    this.#simulation.clock.setSpeed(speed);
  }

  /** Moves the clock forward; what falls due on the way has happened when this resolves. */
  async advance(ms: number): Promise<void> {
    // A delivery still in flight may be about to fail and plan its retry.
    await this.#simulation.webhooks.settled();
    await this.#simulation.clock.advance(ms);
    await this.#simulation.webhooks.settled();
  }

  faults(): Faults {
    return this.#faults.current;
  }

  /** Replaces all faults. */
  setFaults(faults: FaultSettings): void {
    this.#faults.set(faults);
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  /** From now on, events of the workspace's application go there. @throws z.ZodError when it is no http(s) address */
  setWebhookUrl(url: string | null): void {
    const application = this.#application();
    this.#oauth.applications.change(application, {
      webhook: { ...application.webhook, url: webhookUrlSchema.parse(url) },
    });
  }

  /**
   * The API takes this token, which does not expire, from now on, in the place of the one before; tokens got by OAuth stay good.
   * @throws RefusedError 409 when no application is installed here
   */
  setAccessToken(token: string): void {
    const { id: workspaceId, name } = this.#simulation.world.workspace;
    const here = this.#simulation.installed();
    if (!here) throw new RefusedError(409, `no application is installed in ${name}`);
    const { clientId, scopes } = here.installation;
    this.#oauth.grants.setFixed(token, { clientId, workspaceId, actor: 'app', scopes });
  }

  /**
   * Installs an application without asking anybody: its user and its webhook are there, a token is not.
   * @param clientId default: the simulator's own
   * @throws RefusedError 404 when there is no such application
   */
  install(clientId = this.#ownClientId, scopes: readonly Scope[] = AGENT_SCOPES): void {
    const application = this.#oauth.applications.find(clientId);
    if (!application) throw new RefusedError(404, `there is no application ${clientId}`);
    this.#oauth.install(application, this.#simulation.world.workspace.id, scopes);
  }

  /**
   * Takes the application out of the workspace, as an admin does: it is told so, and its tokens are good no more.
   * @throws RefusedError 409 when none is installed
   */
  uninstall(): void {
    const { world, payloads } = this.#simulation;
    if (!this.#simulation.installed()) {
      throw new RefusedError(409, `no application is installed in ${world.workspace.name}`);
    }
    emit(this.#simulation, payloads.appRevoked());
    this.#oauth.uninstall(world.workspace.id);
    world.changed(null);
  }

  /** Whether the person at the page is an admin, who may install applications. */
  setAdmin(isAdmin: boolean): void {
    this.#simulation.world.person.admin = isAdmin;
    this.#simulation.world.changed(null);
  }

  /** Sends what was held back, one after the other. Returns how many. */
  releaseWebhooks(order: ReleaseOrder = 'in-order'): Promise<number> {
    return this.#simulation.webhooks.release(order);
  }

  /** Those of this workspace, oldest first. */
  deliveries(filter: DeliveryFilter = {}): Delivery[] {
    const { id } = this.#simulation.world.workspace;
    return this.#simulation.webhooks
      .deliveries()
      .filter(({ workspaceId }) => workspaceId === id)
      .filter(({ event, state }) => (filter.event ?? event) === event && (filter.state ?? state) === state);
  }

  delivery(id: string): Delivery {
    const delivery = this.#simulation.webhooks.delivery(id);
    if (!delivery) throw new RefusedError(404, `there is no delivery ${id}`);
    return delivery;
  }

  /** When no webhook is in flight; those waiting for their retry or held do not count. */
  webhooksSettled(): Promise<void> {
    return this.#simulation.webhooks.settled();
  }

  calls(): CallCounts {
    return this.#graphql.calls;
  }

  resetCalls(): void {
    this.#graphql.resetCalls();
  }

  /** The one installed here, or else the simulator's own. */
  #application(): Application {
    const application = this.#simulation.installed()?.application ?? this.#oauth.applications.find(this.#ownClientId);
    if (!application) throw new Error('the simulator has lost its own application');
    return application;
  }
}
