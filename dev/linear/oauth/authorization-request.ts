/**
 * What an application asks for at /oauth/authorize, checked. Source: linear.app/developers/oauth-2-0-authentication; where an error goes
 * is RFC 6749, 4.1.2.1: to the application, unless it is not sure that the address is the application's.
 */
import type { Applications } from './applications.ts';
import { type Application, isScope, type Scope } from './model.ts';
import { type Challenge, challengeMethodSchema, problemOfChallenge } from './pkce.ts';

export interface AuthorizationRequest {
  application: Application;
  redirectUri: string;
  /** Given back as it came. */
  state: string | null;
  scopes: Scope[];
  actor: 'user' | 'app';
  /** Ask, even if it was allowed before. */
  alwaysAsk: boolean;
  challenge: Challenge | null;
}

export type CheckedRequest =
  | { kind: 'ask'; request: AuthorizationRequest }
  /** Tell the application. */
  | { kind: 'redirect'; location: string }
  /** Tell the person: there is no address that could be trusted. */
  | { kind: 'refuse'; message: string };

/** What went wrong, in OAuth's words. */
interface OauthProblem {
  error: 'invalid_request' | 'unsupported_response_type' | 'invalid_scope';
  description: string;
}

const PARAMETERS = [
  ...['client_id', 'redirect_uri', 'response_type', 'scope', 'state'],
  ...['actor', 'prompt', 'code_challenge', 'code_challenge_method'],
];
/** These concern the application's own user. */
const APP_SCOPES: readonly Scope[] = ['app:assignable', 'app:mentionable'];

/** Checks a request as it is in the address. */
export function checkAuthorizationRequest(query: URLSearchParams, applications: Applications): CheckedRequest {
  const refuse = (message: string): CheckedRequest => ({ kind: 'refuse', message });
  for (const name of PARAMETERS) if (query.getAll(name).length > 1) return refuse(`${name} is given more than once`);
  const application = applications.find(query.get('client_id') ?? '');
  if (!application) return refuse(`there is no application with the client_id "${query.get('client_id') ?? ''}"`);
  const redirectUri = query.get('redirect_uri') ?? '';
  if (!application.redirectUris.includes(redirectUri)) {
    const known = application.redirectUris.join(', ') || 'none';
    return refuse(`redirect_uri "${redirectUri}" is not one that ${application.name} registered; it has: ${known}`);
  }
  const state = query.get('state');
  const checked = checkRest(query, application);
  if ('error' in checked) {
    const { error, description } = checked;
    return { kind: 'redirect', location: callback(redirectUri, { error, error_description: description, state }) };
  }
  return { kind: 'ask', request: { application, redirectUri, state, ...checked } };
}

/** An application's address with an answer; `null` is left out. */
export function callback(redirectUri: string, answer: Record<string, string | null>): string {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(answer)) if (value !== null) url.searchParams.set(name, value);
  return url.href;
}

function checkRest(
  query: URLSearchParams,
  { grantTypes }: Application,
): Omit<AuthorizationRequest, 'application' | 'redirectUri' | 'state'> | OauthProblem {
  const responseType = query.get('response_type');
  if (responseType !== 'code') {
    const description = `response_type must be code, not "${responseType ?? ''}"`;
    return { error: 'unsupported_response_type', description };
  }
  if (!grantTypes.includes('authorization_code')) return invalid('the application does not use authorization codes');
  const actor = actorOf(query.get('actor') ?? 'user');
  if (actor === null) return invalid('actor must be user or app');
  const scopes = scopesOf(query.get('scope') ?? '', actor);
  if ('error' in scopes) return scopes;
  const challenge = challengeOf(query);
  if (challenge !== null && 'error' in challenge) return challenge;
  return { scopes, actor, alwaysAsk: query.get('prompt') === 'consent', challenge };
}

/** `application` is the old name of `app`. */
function actorOf(given: string): 'user' | 'app' | null {
  if (given === 'application' || given === 'app') return 'app';
  return given === 'user' ? 'user' : null;
}

/** Separated by commas, in the address as in client credentials. `read` is always granted. */
export function scopesOf(given: string, actor: 'user' | 'app'): Scope[] | OauthProblem {
  const names = given.split(',').filter((name) => name !== '');
  const scopes = new Set<Scope>(['read']);
  for (const name of names) {
    if (!isScope(name)) return { error: 'invalid_scope', description: `there is no scope "${name}"` };
    if (name === 'admin' && actor === 'app') {
      return { error: 'invalid_scope', description: 'the scope admin cannot be had with actor=app' };
    }
    if (APP_SCOPES.includes(name) && actor === 'user') {
      return { error: 'invalid_scope', description: `the scope ${name} needs actor=app` };
    }
    scopes.add(name);
  }
  return [...scopes];
}

function challengeOf(query: URLSearchParams): Challenge | OauthProblem | null {
  const value = query.get('code_challenge');
  const method = query.get('code_challenge_method');
  if (value === null) return method === null ? null : invalid('code_challenge_method needs a code_challenge');
  const known = challengeMethodSchema.safeParse(method ?? 'plain');
  if (!known.success) return invalid('code_challenge_method must be S256 or plain');
  const challenge = { value, method: known.data };
  const problem = problemOfChallenge(challenge);
  return problem === null ? challenge : invalid(problem);
}

function invalid(description: string): OauthProblem {
  return { error: 'invalid_request', description };
}
