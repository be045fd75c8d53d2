/** The simulator's machinery as methods: the application in a workspace, clock, faults, webhooks, calls. */
import { z } from 'zod';
import type { Uploads } from '../agent/uploads.ts';
import { seesTeam } from '../conversation.ts';
import type { FaultPlan, FaultSettings, Faults } from '../faults.ts';
import type { CallCounts, GraphqlEndpoint } from '../graphql/endpoint.ts';
import { AGENT_SCOPES, type Application, type Scope } from '../oauth/model.ts';
import type { Oauth } from '../oauth/oauth.ts';
import { RefusedError } from '../refused.ts';
import { emit, type Simulation } from '../simulation.ts';
import type { Delivery, DeliveryState, ReleaseOrder } from '../webhooks/sender.ts';
import type { ControlViews } from './views.ts';

export interface DeliveryFilter {
  event?: string;
  state?: DeliveryState;
}

export interface ControlParts {
  simulation: Simulation;
  views: ControlViews;
  faults: FaultPlan;
  graphql: GraphqlEndpoint;
  oauth: Oauth;
  uploads: Uploads;
  /** The simulator's own application: what is installed when nothing else is said. */
  ownClientId: string;
}

const webhookUrlSchema = z.url({ protocol: /^https?$/, error: 'the webhook address must be http(s)' }).nullable();

export class MachineryControl {
  protected readonly parts: ControlParts;

  constructor(parts: ControlParts) {
    this.parts = parts;
  }

  setClockSpeed(speed: number): void {
    this.parts.simulation.clock.setSpeed(speed);
  }

  /** Moves the clock forward; what falls due on the way has happened when this resolves. */
  async advance(ms: number): Promise<void> {
    // A delivery still in flight may be about to fail and plan its retry.
    await this.parts.simulation.webhooks.settled();
    await this.parts.simulation.clock.advance(ms);
    await this.parts.simulation.webhooks.settled();
  }

  faults(): Faults {
    return this.parts.faults.current;
  }

  /** Replaces all faults. */
  setFaults(faults: FaultSettings): void {
    this.parts.faults.set(faults);
  }

  clearFaults(): void {
    this.parts.faults.clear();
  }

  /** From now on, events of the workspace's application go there. @throws z.ZodError when it is no http(s) address */
  setWebhookUrl(url: string | null): void {
    const application = this.application();
    this.parts.oauth.applications.change(application, {
      webhook: { ...application.webhook, url: webhookUrlSchema.parse(url) },
    });
  }

  /**
   * The API takes this token, which does not expire, from now on, in the place of the one before; tokens got by OAuth stay good.
   * @throws RefusedError 409 when no application is installed here
   */
  setAccessToken(token: string): void {
    const { id: workspaceId, name } = this.parts.simulation.world.workspace;
    const here = this.parts.simulation.installed();
    if (!here) throw new RefusedError(409, `no application is installed in ${name}`);
    const { clientId, scopes } = here.installation;
    this.parts.oauth.grants.setFixed(token, { clientId, workspaceId, actor: 'app', scopes });
  }

  /**
   * Installs an application without asking anybody: its user and its webhook are there, a token is not.
   * @param clientId default: the simulator's own
   * @throws RefusedError 404 when there is no such application
   */
  install(clientId = this.parts.ownClientId, scopes: readonly Scope[] = AGENT_SCOPES): void {
    const application = this.parts.oauth.applications.find(clientId);
    if (!application) throw new RefusedError(404, `there is no application ${clientId}`);
    this.parts.oauth.install(application, this.parts.simulation.world.workspace.id, scopes);
  }

  /**
   * Takes the application out of the workspace, as an admin does: it is told so, and its tokens are good no more.
   * @throws RefusedError 409 when none is installed
   */
  uninstall(): void {
    const { world, payloads } = this.parts.simulation;
    if (!this.parts.simulation.installed()) {
      throw new RefusedError(409, `no application is installed in ${world.workspace.name}`);
    }
    emit(this.parts.simulation, payloads.appRevoked());
    this.parts.oauth.uninstall(world.workspace.id);
    world.changed(null);
  }

  /**
   * Changes which teams the application may see; it is told what came and what went. Issues of other teams are not there for it.
   * @param teamKeys `all`: every team
   * @throws RefusedError 404 when there is no such team, 409 when nothing is installed
   */
  setTeamAccess(teamKeys: readonly string[] | 'all'): void {
    const { simulation, oauth } = this.parts;
    const { world, payloads } = simulation;
    if (!simulation.installed()) {
      throw new RefusedError(409, `no application is installed in ${world.workspace.name}`);
    }
    const teams = [...world.teams.values()];
    const unknown = teamKeys === 'all' ? undefined : teamKeys.find((key) => !teams.some((team) => team.key === key));
    if (unknown !== undefined) throw new RefusedError(404, `there is no team ${unknown}`);
    const before = new Set(teams.flatMap(({ id }) => (seesTeam(simulation, id) ? [id] : [])));
    const after = teams.flatMap(({ id, key }) => (teamKeys === 'all' || teamKeys.includes(key) ? [id] : []));
    oauth.installations.setTeams(world.workspace.id, teamKeys === 'all' ? null : after);
    const added = after.filter((id) => !before.has(id));
    const removed = [...before].filter((id) => !after.includes(id));
    emit(simulation, payloads.teamAccessChanged({ added, removed, all: teamKeys === 'all' }));
  }

  /** What issueRepositorySuggestions answers, of what it is asked about; null: what the words of the issue suggest. */
  setRepositorySuggestions(
    suggestions: { repositoryFullName: string; hostname: string; confidence: number }[] | null,
  ): void {
    this.parts.simulation.world.suggestedRepositories = suggestions;
  }

  /** Stores a file as a person does who drops it into a description. @returns its address, for Markdown */
  addFile(file: { filename: string; contentType: string; bytes: Uint8Array }): string {
    return this.parts.uploads.add(file);
  }

  /** Whether the person at the page is an admin, who may install applications. */
  setAdmin(isAdmin: boolean): void {
    this.parts.simulation.world.person.admin = isAdmin;
    this.parts.simulation.world.changed(null);
  }

  /** Sends what was held back, one after the other. Returns how many. */
  releaseWebhooks(order: ReleaseOrder = 'in-order'): Promise<number> {
    return this.parts.simulation.webhooks.release(order);
  }

  /** Those of this workspace, oldest first. */
  deliveries(filter: DeliveryFilter = {}): Delivery[] {
    const { id } = this.parts.simulation.world.workspace;
    return this.parts.simulation.webhooks
      .deliveries()
      .filter(({ workspaceId }) => workspaceId === id)
      .filter(({ event, state }) => (filter.event ?? event) === event && (filter.state ?? state) === state);
  }

  delivery(id: string): Delivery {
    const delivery = this.parts.simulation.webhooks.delivery(id);
    if (!delivery) throw new RefusedError(404, `there is no delivery ${id}`);
    return delivery;
  }

  /** When no webhook is in flight; those waiting for their retry or held do not count. */
  webhooksSettled(): Promise<void> {
    return this.parts.simulation.webhooks.settled();
  }

  calls(): CallCounts {
    return this.parts.graphql.calls;
  }

  resetCalls(): void {
    this.parts.graphql.resetCalls();
  }

  /** The one installed here, or else the simulator's own. */
  protected application(): Application {
    const application =
      this.parts.simulation.installed()?.application ?? this.parts.oauth.applications.find(this.parts.ownClientId);
    if (!application) throw new Error('the simulator has lost its own application');
    return application;
  }
}
