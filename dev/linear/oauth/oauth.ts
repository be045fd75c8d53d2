/** OAuth as a whole: its parts, wired. */
import type { SimulatorClock } from '../clock.ts';
import type { FaultPlan } from '../faults.ts';
import { Applications } from './applications.ts';
import { Consent, type ConsentWorkspace } from './consent.ts';
import { OauthEndpoints } from './endpoints.ts';
import { Grants } from './grants.ts';
import { Installations } from './installations.ts';
import type { Application, OauthData, Scope } from './model.ts';
import { ApplicationSettings } from './settings.ts';
import { TokenExchange } from './token-exchange.ts';

export interface OauthOptions {
  clock: SimulatorClock;
  faults: FaultPlan;
  saved: OauthData | null;
  /** Where applications can be installed, as the person at the page sees it. */
  workspaces: () => ConsentWorkspace[];
  /** Called after an application came into a workspace. */
  onInstall: (application: Application, workspaceId: string) => void;
  onChange: () => void;
}

export class Oauth {
  readonly applications: Applications;
  readonly installations: Installations;
  readonly grants: Grants;
  readonly consent: Consent;
  readonly endpoints: OauthEndpoints;
  readonly settings: ApplicationSettings;
  readonly #onInstall: OauthOptions['onInstall'];

  constructor({ clock, faults, saved, workspaces, onInstall, onChange }: OauthOptions) {
    this.#onInstall = onInstall;
    const applications = new Applications(saved?.applications ?? [], onChange);
    const grants = new Grants(clock, saved, onChange);
    const install = this.install.bind(this);
    const exchange = new TokenExchange({ applications, grants, install });
    this.applications = applications;
    this.installations = new Installations(applications, saved?.installations ?? [], onChange);
    this.grants = grants;
    this.consent = new Consent({ applications, grants, workspaces, install });
    this.settings = new ApplicationSettings({ applications, workspaces, clock });
    this.endpoints = new OauthEndpoints({ consent: this.consent, exchange, applications, grants, faults });
  }

  data(): OauthData {
    return {
      applications: this.applications.all(),
      installations: this.installations.all(),
      ...this.grants.data(),
    };
  }

  /** Gives an application its webhook, and its user the application's name, in a workspace. */
  install(application: Application, workspaceId: string, scopes: readonly Scope[], webhookId?: string): void {
    this.installations.put(workspaceId, application.clientId, scopes, webhookId);
    this.#onInstall(application, workspaceId);
  }

  /** Takes an application out of a workspace: its tokens there are good no more. */
  uninstall(workspaceId: string): void {
    const here = this.installations.in(workspaceId);
    this.installations.remove(workspaceId);
    this.grants.dropFixed(workspaceId);
    this.grants.revokeWhere((one) => one.workspaceId === workspaceId && one.clientId === here?.application.clientId);
  }
}
