/** Asking a person whether an application may come in, and what follows from the answer. */
import { RefusedError } from '../refused.ts';
import type { Applications } from './applications.ts';
import {
  type AuthorizationRequest,
  type CheckedRequest,
  callback,
  checkAuthorizationRequest,
} from './authorization-request.ts';
import type { Grants } from './grants.ts';
import type { Application, Scope } from './model.ts';

/** A workspace as the person at the page sees it. */
export interface ConsentWorkspace {
  id: string;
  name: string;
  urlKey: string;
  /** Whether that person is an admin there. */
  isAdmin: boolean;
  /** Who can sign in there, the person at the page first. */
  people: { id: string; name: string; displayName: string }[];
}

/** A workspace to choose, and why it cannot be chosen; null: it can. */
export interface ConsentChoice {
  workspace: ConsentWorkspace;
  obstacle: string | null;
}

export interface ConsentOptions {
  applications: Applications;
  grants: Grants;
  workspaces: () => ConsentWorkspace[];
  /** Gives the application its user and its webhook in a workspace. */
  install: (application: Application, workspaceId: string, scopes: readonly Scope[]) => void;
}

export class Consent {
  readonly #options: ConsentOptions;

  constructor(options: ConsentOptions) {
    this.#options = options;
  }

  /** @param query of /oauth/authorize */
  check(query: URLSearchParams): CheckedRequest {
    return checkAuthorizationRequest(query, this.#options.applications);
  }

  /** Where the application could be let in, the first workspace first. */
  choices({ application, actor }: AuthorizationRequest): ConsentChoice[] {
    return this.#options
      .workspaces()
      .map((workspace) => ({ workspace, obstacle: obstacle(application, actor, workspace) }));
  }

  /** The address to go to when the same was allowed before, so that Linear does not ask again; else null. */
  allowedBefore(request: AuthorizationRequest): string | null {
    if (request.alwaysAsk) return null;
    const before = this.#options.grants
      .authorizations()
      .findLast(
        ({ clientId, actor, scopes, via }) =>
          clientId === request.application.clientId &&
          actor === request.actor &&
          via === 'authorization_code' &&
          request.scopes.every((scope) => scopes.includes(scope)),
      );
    const choice = this.choices(request).find(({ workspace }) => workspace.id === before?.workspaceId);
    if (!choice || choice.obstacle !== null) return null;
    return this.allow(request, choice.workspace.urlKey, before?.userId ?? null);
  }

  /**
   * Lets the application in.
   * @param urlKey of the workspace
   * @param userId who signs in, where the application acts for a person; null: the person at the page
   * @returns the application's address with code and state
   * @throws RefusedError when it may not come into that workspace; nothing has changed then
   */
  allow(request: AuthorizationRequest, urlKey: string, userId: string | null = null): string {
    const choice = this.choices(request).find(({ workspace }) => workspace.urlKey === urlKey);
    if (!choice) throw new RefusedError(404, `there is no workspace "${urlKey}"`);
    if (choice.obstacle !== null) throw new RefusedError(403, choice.obstacle);
    const { application, redirectUri, state, scopes, actor, challenge } = request;
    const { clientId } = application;
    const { id: workspaceId, people } = choice.workspace;
    if (userId !== null && !people.some(({ id }) => id === userId)) {
      throw new RefusedError(404, `there is nobody with the id ${userId} in ${choice.workspace.name}`);
    }
    if (actor === 'app') this.#options.install(application, workspaceId, scopes);
    const code = this.#options.grants.newCode({
      ...{ clientId, redirectUri, workspaceId, actor, scopes, challenge },
      userId: actor === 'user' ? userId : null,
    });
    return callback(redirectUri, { code, state });
  }

  /** @returns the application's address with `access_denied` */
  deny({ redirectUri, state }: AuthorizationRequest): string {
    return callback(redirectUri, { error: 'access_denied', error_description: 'The user denied the request', state });
  }
}

function obstacle(application: Application, actor: 'user' | 'app', workspace: ConsentWorkspace): string | null {
  if (application.distribution === 'private' && application.ownerId !== workspace.id) {
    return `${application.name} is private to another workspace.`;
  }
  if (actor === 'app' && !workspace.isAdmin)
    return `You must be an admin of ${workspace.name} to install ${application.name}.`;
  return null;
}
