/** What a test or a script can do with OAuth, as methods; ./oauth-routes.ts is the same over the wire. */
import { newClientSecret, newWebhookSecret } from '../oauth/applications.ts';
import type { TokenAnswer } from '../oauth/grants.ts';
import type { Application, Authorization } from '../oauth/model.ts';
import type { Oauth } from '../oauth/oauth.ts';
import { RefusedError } from '../refused.ts';

/** An access token that is good now. */
export interface LiveToken {
  accessToken: string;
  /** The one that can be exchanged; null: there is none. */
  refreshToken: string | null;
  clientId: string;
  workspaceId: string;
  actor: 'user' | 'app';
  scopes: string[];
  /** Epoch milliseconds on the simulator's clock. */
  expiresAt: number;
}

/** Which tokens; all that match what is given. */
export interface TokenFilter {
  clientId?: string;
  workspaceId?: string;
}

/** What can be changed of an application. */
export type ApplicationChanges = Partial<
  Pick<Application, 'name' | 'clientSecret' | 'distribution' | 'redirectUris' | 'grantTypes'>
> & { webhook?: Partial<Application['webhook']> };

export class OauthControl {
  readonly #oauth: Oauth;
  readonly #ownClientId: string;

  /** @param ownClientId of the simulator's own application */
  constructor(oauth: Oauth, ownClientId: string) {
    this.#oauth = oauth;
    this.#ownClientId = ownClientId;
  }

  /** Oldest first, the simulator's own at the front. */
  applications(): Application[] {
    return this.#oauth.applications.all();
  }

  /** @param clientId default: the simulator's own. @throws RefusedError 404 */
  application(clientId = this.#ownClientId): Application {
    const application = this.#oauth.applications.find(clientId);
    if (!application) throw new RefusedError(404, `there is no application ${clientId}`);
    return application;
  }

  /**
   * Makes an application from a manifest, as an admin does with the form.
   * @param manifest anything; it is checked
   * @param workspace urlKey of the one it belongs to; default: the first
   * @throws z.ZodError when the manifest is wrong; RefusedError when the person is no admin there
   */
  createApplication(manifest: unknown, workspace?: string): Application {
    return this.#oauth.settings.create(manifest, workspace);
  }

  /** Changes an application; what is not given stays. */
  changeApplication(changes: ApplicationChanges, clientId?: string): Application {
    const application = this.application(clientId);
    const webhook = { ...application.webhook, ...changes.webhook };
    this.#oauth.applications.change(application, { ...changes, webhook });
    return application;
  }

  /** Gives an application a new secret. The former is wrong from now on, and tokens by client credentials are good no more. */
  rotateClientSecret(clientId?: string): string {
    const application = this.application(clientId);
    const clientSecret = newClientSecret();
    this.#oauth.applications.change(application, { clientSecret });
    this.#oauth.grants.revokeWhere((one) => one.clientId === application.clientId && one.via === 'client_credentials');
    return clientSecret;
  }

  /** From now on webhooks are signed with the secret this returns, retries too. */
  rotateWebhookSecret(clientId?: string): string {
    const secret = newWebhookSecret();
    this.changeApplication({ webhook: { secret } }, clientId);
    return secret;
  }

  /**
   * What a person does who opens the address and presses Allow (or Deny).
   * @param authorizeUrl as the application made it
   * @param workspace its urlKey; default: the first in which it is possible
   * @param person display name of the one who signs in; default: the person at the page
   * @returns where the browser is sent: the application's callback
   * @throws RefusedError if the person would see a page that says why it is not possible
   */
  approve(
    authorizeUrl: string,
    {
      workspace,
      person,
      decision = 'allow',
    }: { workspace?: string; person?: string; decision?: 'allow' | 'deny' } = {},
  ): string {
    const { consent } = this.#oauth;
    const checked = consent.check(new URL(authorizeUrl).searchParams);
    if (checked.kind === 'refuse') throw new RefusedError(400, checked.message);
    if (checked.kind === 'redirect') return checked.location;
    if (decision === 'deny') return consent.deny(checked.request);
    const choices = consent.choices(checked.request);
    const possible = choices.find(({ obstacle }) => obstacle === null) ?? choices[0];
    const chosen = choices.find((choice) => choice.workspace.urlKey === workspace) ?? possible;
    const who = chosen?.workspace.people.find(({ displayName }) => displayName === person);
    if (person !== undefined && !who) throw new RefusedError(404, `there is nobody called ${person}`);
    return consent.allow(checked.request, workspace ?? chosen?.workspace.urlKey ?? '', who?.id ?? null);
  }

  /**
   * Tokens for the application that is installed in a workspace, as if it had exchanged a code.
   * @throws RefusedError 409 when none is installed there
   */
  issueTokens(workspaceId: string): TokenAnswer {
    const here = this.#oauth.installations.in(workspaceId);
    if (!here) throw new RefusedError(409, `no application is installed in the workspace ${workspaceId}`);
    const { clientId, scopes } = here.installation;
    const via = 'authorization_code' as const;
    return this.#oauth.grants.issue({ clientId, workspaceId, actor: 'app', scopes, via, publicClient: false });
  }

  /** Oldest first. */
  tokens(filter: TokenFilter = {}): LiveToken[] {
    const matches = matching(filter);
    return this.#oauth.grants
      .live()
      .filter(({ authorization }) => matches(authorization))
      .map(({ access, authorization }) => {
        const { clientId, workspaceId, actor, scopes } = authorization;
        const refreshToken = this.#oauth.grants.refreshTokenOf(authorization.id);
        return {
          accessToken: access.token,
          refreshToken,
          clientId,
          workspaceId,
          actor,
          scopes,
          expiresAt: access.expiresAt,
        };
      });
  }

  /** Access tokens expire now; refresh tokens stay good. @returns how many */
  expireAccessTokens(filter: TokenFilter = {}): number {
    return this.#oauth.grants.expireWhere(matching(filter));
  }

  /** Access and refresh tokens are good no more, and nobody is told. @returns how many authorizations */
  revokeTokens(filter: TokenFilter = {}): number {
    return this.#oauth.grants.revokeWhere(matching(filter));
  }
}

function matching({ clientId, workspaceId }: TokenFilter): (authorization: Authorization) => boolean {
  return (one) => (clientId ?? one.clientId) === one.clientId && (workspaceId ?? one.workspaceId) === one.workspaceId;
}
