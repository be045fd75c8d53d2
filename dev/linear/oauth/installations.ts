/** Which application is installed in which workspace. */
import { randomUUID } from 'node:crypto';
import type { Applications } from './applications.ts';
import type { Application, Installation, Scope } from './model.ts';

export class Installations {
  readonly #byWorkspace = new Map<string, Installation>();
  readonly #applications: Applications;
  readonly #onChange: () => void;

  /** @param onChange called after each change */
  constructor(applications: Applications, saved: readonly Installation[], onChange: () => void) {
    this.#applications = applications;
    for (const installation of saved) this.#byWorkspace.set(installation.workspaceId, installation);
    this.#onChange = onChange;
  }

  all(): Installation[] {
    return [...this.#byWorkspace.values()];
  }

  /** What is installed there, with its application. */
  in(workspaceId: string): { installation: Installation; application: Application } | null {
    const installation = this.#byWorkspace.get(workspaceId);
    const application = installation && this.#applications.find(installation.clientId);
    return installation && application ? { installation, application } : null;
  }

  /**
   * Installs an application, in the place of another if there is one. Installing it again keeps the subscription and the teams and
   * takes the new scopes.
   * @param webhookId of the subscription, if it has to be a certain one
   */
  put(workspaceId: string, clientId: string, scopes: readonly Scope[], webhookId: string = randomUUID()): Installation {
    const present = this.#byWorkspace.get(workspaceId);
    const kept = present?.clientId === clientId ? present : { webhookId, teamIds: null };
    const { teamIds } = kept;
    const installation = { workspaceId, clientId, webhookId: kept.webhookId, scopes: [...scopes], teamIds };
    this.#byWorkspace.set(workspaceId, installation);
    this.#onChange();
    return installation;
  }

  remove(workspaceId: string): void {
    this.#byWorkspace.delete(workspaceId);
    this.#onChange();
  }

  /** @param teamIds what the application may see there from now on; null: all */
  setTeams(workspaceId: string, teamIds: string[] | null): void {
    const installation = this.#byWorkspace.get(workspaceId);
    if (!installation) return;
    installation.teamIds = teamIds;
    this.#onChange();
  }
}
