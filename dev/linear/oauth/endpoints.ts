/** /oauth/authorize, /oauth/token and /oauth/revoke over HTTP. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FaultPlan, OauthEndpointName, OauthFault } from '../faults.ts';
import { readForm, sendJson, sendText } from '../http.ts';
import { RefusedError } from '../refused.ts';
import { type Applications, readClaim } from './applications.ts';
import { type AuthorizationRequest, type CheckedRequest, callback } from './authorization-request.ts';
import type { Consent } from './consent.ts';
import type { Grants } from './grants.ts';
import { consentContent, problemContent, sendFormPage } from './pages.ts';
import { problem, type TokenExchange } from './token-exchange.ts';

export interface OauthEndpointsOptions {
  consent: Consent;
  exchange: TokenExchange;
  applications: Applications;
  grants: Grants;
  faults: FaultPlan;
}

export class OauthEndpoints {
  readonly #options: OauthEndpointsOptions;

  constructor(options: OauthEndpointsOptions) {
    this.#options = options;
  }

  /** @param name what follows /oauth/ */
  async handle(request: IncomingMessage, response: ServerResponse, name: string, url: URL): Promise<void> {
    if (name === 'authorize' && request.method === 'GET') return this.#ask(response, url.searchParams);
    const form = await readForm(request);
    if (name === 'authorize' && request.method === 'POST') return this.#decide(request, response, form);
    if (name === 'token' && request.method === 'POST') return this.#token(request, response, form);
    if (name === 'revoke' && request.method === 'POST') return this.#revoke(request, response, form);
    sendText(response, 404, `the Linear simulator has nothing at ${request.method} /oauth/${name}`);
  }

  async #ask(response: ServerResponse, query: URLSearchParams): Promise<void> {
    const { consent } = this.#options;
    const hits = await this.#trouble('authorize', null, response);
    if (!hits) return;
    const checked = consent.check(query);
    const asked = checked.kind === 'ask' ? checked.request : null;
    const location = asked && (has(hits, 'refuse-scope') ? scopeRefused(asked) : consent.allowedBefore(asked));
    if (asked && location === null) {
      const content = consentContent(asked, consent.choices(asked), query.toString());
      sendFormPage(response, 200, `Install ${asked.application.name}`, content, [new URL(asked.redirectUri).origin]);
    } else {
      sendOutcome(response, location === null ? checked : { kind: 'redirect', location });
    }
  }

  #decide(request: IncomingMessage, response: ServerResponse, form: URLSearchParams | null): void {
    const crossSite = request.headers['sec-fetch-site'] === 'cross-site';
    sendOutcome(response, crossSite ? refusal(403, 'The answer came from another site') : this.#outcome(form));
  }

  /** What follows from the answer of a person. */
  #outcome(form: URLSearchParams | null): Outcome {
    const { consent } = this.#options;
    const checked = consent.check(new URLSearchParams(form?.get('request') ?? ''));
    if (checked.kind !== 'ask') return checked;
    if (form?.get('decision') !== 'allow') return { kind: 'redirect', location: consent.deny(checked.request) };
    try {
      return { kind: 'redirect', location: allowedBy(consent, checked.request, form) };
    } catch (error) {
      if (error instanceof RefusedError) return refusal(error.status, error.message);
      throw error;
    }
  }

  async #token(request: IncomingMessage, response: ServerResponse, form: URLSearchParams | null): Promise<void> {
    const hits = await this.#trouble('token', form?.get('grant_type') ?? null, response);
    if (!hits) return;
    const noForm = problem('invalid_request', 'the body must be application/x-www-form-urlencoded');
    const refused = has(hits, 'refuse-grant')
      ? problem('invalid_grant', 'refused by the simulator, as asked for')
      : null;
    const claim = form && readClaim(request.headers.authorization, form);
    const narrowTo = has(hits, 'narrow-scope') ? (['read'] as const) : null;
    const answer = form ? (refused ?? this.#options.exchange.answer(form, claim, narrowTo)) : noForm;
    if (cutOff(response, hits)) return;
    sendJson(response, answer.status, answer.body, { 'cache-control': 'no-store', pragma: 'no-cache' });
  }

  /** RFC 7009, but for what it answers to a token that is no more: Linear says 400. */
  async #revoke(request: IncomingMessage, response: ServerResponse, form: URLSearchParams | null): Promise<void> {
    const hits = await this.#trouble('revoke', null, response);
    if (!hits) return;
    const { status, body } = this.#revoked(request.headers.authorization, form);
    if (cutOff(response, hits)) return;
    sendJson(response, status, body, { 'cache-control': 'no-store' });
  }

  #revoked(authorization: string | undefined, form: URLSearchParams | null): { status: number; body: object } {
    const { applications, grants } = this.#options;
    const bearer = authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : null;
    const token = form?.get('token') ?? bearer;
    const unauthorized = (description: string) => ({
      status: 401,
      body: { error: 'invalid_client', error_description: description },
    });
    if (!token) return unauthorized('there is neither a token in the form nor a Bearer token');
    const claim = form && readClaim(authorization, form);
    const application = claim && applications.identify(claim);
    if (claim && !application) return unauthorized('client_id or client_secret is wrong');
    const owner = grants.ownerOf(token);
    if (!owner || (application && owner.clientId !== application.clientId)) {
      return { status: 400, body: { error: 'invalid_request', error_description: 'the token cannot be revoked' } };
    }
    grants.revoke(token);
    return { status: 200, body: {} };
  }

  /** Applies the faults that hit a call. @returns the hits, or null when the answer was given */
  async #trouble(
    endpoint: OauthEndpointName,
    grant: string | null,
    response: ServerResponse,
  ): Promise<OauthFault[] | null> {
    const hits = this.#options.faults.takeOauth(endpoint, grant);
    for (const { fault, ms } of hits) if (fault === 'slow') await new Promise((resolve) => setTimeout(resolve, ms));
    const down = hits.find(({ fault }) => fault === 'http-error');
    if (!down) return hits;
    sendText(response, down.status, `${down.status} from the simulator, as asked for`);
    return null;
  }
}

function has(hits: readonly OauthFault[], fault: OauthFault['fault']): boolean {
  return hits.some((hit) => hit.fault === fault);
}

/** What was done stays done, and nobody hears of it. */
function cutOff(response: ServerResponse, hits: readonly OauthFault[]): boolean {
  const silent = hits.find(({ fault }) => fault === 'timeout-after-commit');
  if (!silent) return false;
  const cut = setTimeout(() => response.destroy(), silent.ms);
  response.once('close', () => clearTimeout(cut));
  return true;
}

function scopeRefused({ redirectUri, state }: AuthorizationRequest): string {
  const error_description = 'The workspace does not allow these scopes';
  return callback(redirectUri, { error: 'invalid_scope', error_description, state });
}

type Outcome = { kind: 'redirect'; location: string } | { kind: 'refuse'; message: string; status?: number };

function refusal(status: number, message: string): Outcome {
  return { kind: 'refuse', message, status };
}

function sendOutcome(response: ServerResponse, outcome: CheckedRequest | Outcome): void {
  if (outcome.kind === 'redirect') {
    const { location } = outcome;
    response.writeHead(302, { location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }).end();
  } else if (outcome.kind === 'refuse') {
    const status = 'status' in outcome ? (outcome.status ?? 400) : 400;
    sendFormPage(response, status, 'Not possible', problemContent('This is not possible', outcome.message));
  }
}

/** The form names the workspace alone, or with the person who signs in there: `example/ben`. */
function allowedBy(consent: Consent, request: AuthorizationRequest, form: URLSearchParams): string {
  const [urlKey = '', displayName] = (form.get('workspace') ?? '').split('/');
  const choice = consent.choices(request).find(({ workspace }) => workspace.urlKey === urlKey);
  const person = choice?.workspace.people.find((one) => one.displayName === displayName);
  if (displayName !== undefined && !person) throw new RefusedError(404, `there is nobody called ${displayName}`);
  return consent.allow(request, urlKey, person?.id ?? null);
}
