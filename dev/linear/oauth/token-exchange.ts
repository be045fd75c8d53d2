/**
 * POST /oauth/token, without its HTTP: a form and a claim in, an answer out. Source: linear.app/developers/oauth-2-0-authentication
 * and RFC 6749, 5.2 for what is not said there.
 */
import type { Applications, ClientClaim } from './applications.ts';
import { scopesOf } from './authorization-request.ts';
import type { Grants, TokenAnswer } from './grants.ts';
import type { Application, Scope } from './model.ts';
import { proves } from './pkce.ts';

export type ExchangeAnswer =
  | { status: 200; body: TokenAnswer }
  | { status: 400 | 401; body: { error: string; error_description: string } };

export interface TokenExchangeOptions {
  applications: Applications;
  grants: Grants;
  /** Called when an application gets a token for itself, so that it is installed in the workspace it belongs to. */
  install: (application: Application, workspaceId: string, scopes: readonly Scope[]) => void;
}

export class TokenExchange {
  readonly #options: TokenExchangeOptions;

  constructor(options: TokenExchangeOptions) {
    this.#options = options;
  }

  /**
   * @param form as it was sent
   * @param claim who the client says it is; null: it did not say
   * @param narrowTo only these of the scopes asked for are granted; null: all
   */
  answer(form: URLSearchParams, claim: ClientClaim | null, narrowTo: readonly Scope[] | null = null): ExchangeAnswer {
    for (const name of form.keys()) {
      if (form.getAll(name).length > 1) return problem('invalid_request', `${name} is given more than once`);
    }
    if (!claim) return unknownClient('client_id is missing');
    const application = this.#options.applications.identify(claim);
    if (!application) return unknownClient('client_id or client_secret is wrong');
    const hasSecret = claim.clientSecret !== null;
    switch (form.get('grant_type')) {
      case 'authorization_code':
        return this.#exchangeCode(form, application, hasSecret, narrowTo);
      case 'refresh_token':
        return this.#refresh(form, application, hasSecret);
      case 'client_credentials':
        return this.#clientCredentials(form, application, hasSecret, narrowTo);
      case null:
        return problem('invalid_request', 'grant_type is missing');
      default:
        return problem('unsupported_grant_type', `grant_type "${form.get('grant_type')}" is not supported`);
    }
  }

  #exchangeCode(
    form: URLSearchParams,
    { clientId }: Application,
    hasSecret: boolean,
    narrowTo: readonly Scope[] | null,
  ): ExchangeAnswer {
    const text = form.get('code');
    if (!text) return problem('invalid_request', 'code is missing');
    const code = this.#options.grants.takeCode(text);
    if (code?.clientId !== clientId) return problem('invalid_grant', 'the code is unknown, used or expired');
    if (form.get('redirect_uri') !== code.redirectUri) {
      return problem('invalid_grant', 'redirect_uri is not the one the code was asked for with');
    }
    const verifier = form.get('code_verifier');
    if (!code.challenge && verifier !== null) {
      return problem('invalid_grant', 'code_verifier is given, but the code was asked for without a code_challenge');
    }
    if (!code.challenge && !hasSecret) return unknownClient('client_secret is missing, and PKCE was not used');
    if (code.challenge && (verifier === null || !proves(verifier, code.challenge))) {
      return problem('invalid_grant', 'code_verifier does not fit the code_challenge');
    }
    const { workspaceId, actor, userId } = code;
    const scopes = narrowTo ? code.scopes.filter((scope) => narrowTo.includes(scope)) : code.scopes;
    const via = 'authorization_code' as const;
    const allowed = { clientId, workspaceId, actor, userId, scopes, via, publicClient: !hasSecret };
    return { status: 200, body: this.#options.grants.issue(allowed) };
  }

  #refresh(form: URLSearchParams, { clientId }: Application, hasSecret: boolean): ExchangeAnswer {
    const token = form.get('refresh_token');
    if (!token) return problem('invalid_request', 'refresh_token is missing');
    const owner = this.#options.grants.ownerOf(token);
    if (owner?.clientId !== clientId) return problem('invalid_grant', 'the refresh token is unknown or revoked');
    if (!hasSecret && !owner.publicClient) return unknownClient('client_secret is missing');
    const body = this.#options.grants.rotate(token);
    return body ? { status: 200, body } : problem('invalid_grant', 'the refresh token was used before');
  }

  #clientCredentials(
    form: URLSearchParams,
    application: Application,
    hasSecret: boolean,
    narrowTo: readonly Scope[] | null,
  ): ExchangeAnswer {
    if (!application.grantTypes.includes('client_credentials')) {
      return problem('Error', 'Client does not support the client_credentials grant type');
    }
    if (!hasSecret) return unknownClient('client_secret is missing');
    const asked = scopesOf(form.get('scope') ?? '', 'app');
    if ('error' in asked) return problem(asked.error, asked.description);
    const scopes = narrowTo ? asked.filter((scope) => narrowTo.includes(scope)) : asked;
    const { clientId, ownerId: workspaceId } = application;
    this.#options.install(application, workspaceId, scopes);
    const via = 'client_credentials' as const;
    const allowed = { clientId, workspaceId, actor: 'app' as const, scopes, via, publicClient: false };
    return { status: 200, body: this.#options.grants.issue(allowed) };
  }
}

/** A refusal with status 400. */
export function problem(error: string, description: string): ExchangeAnswer {
  return { status: 400, body: { error, error_description: description } };
}

function unknownClient(description: string): ExchangeAnswer {
  return { status: 401, body: { error: 'invalid_client', error_description: description } };
}
