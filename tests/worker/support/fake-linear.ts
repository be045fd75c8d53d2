/**
 * Linear's OAuth endpoints and API for tests inside workerd, answering through `fetch`: codes with PKCE, rotating refresh
 * tokens with their 30 minutes of grace, revocation, and an API that takes live tokens only.
 */
import { env } from 'cloudflare:workers';
import { vi } from 'vitest';

/** A workspace people can install into. */
export interface FakeWorkspace {
  id: string;
  name: string;
  urlKey: string;
  appUserId: string;
}

/** Somebody of a workspace. */
export interface FakePerson {
  id: string;
  name: string;
  email: string;
  workspace: FakeWorkspace;
  /** Teams they are a member of. */
  teams: string[];
  admin?: boolean;
  guest?: boolean;
  active?: boolean;
}

interface Code {
  person: FakePerson | null;
  workspace: FakeWorkspace;
  challenge: string;
  redirectUri: string;
  scope: string;
  isApp: boolean;
}

interface Refresh {
  workspace: FakeWorkspace;
  scope: string;
  next: { access: string; refresh: string } | null;
}

const GRAPHQL = 'https://api.linear.app/graphql';
const TOKEN = 'https://api.linear.app/oauth/token';
const REVOKE = 'https://api.linear.app/oauth/revoke';

export class FakeLinear {
  /** What the API was asked, with which token. */
  readonly calls: { token: string; operation: string; variables: Record<string, unknown> }[] = [];
  readonly tokenRequests: URLSearchParams[] = [];
  readonly revoked: string[] = [];
  /** Every secret it ever gave out, to look for in what must not hold one. */
  readonly secrets: string[] = [env.LINEAR_CLIENT_SECRET];
  /** Called for every request before it is answered: what it gives back is the answer, what it throws a lost connection. */
  interfere: (url: string, body: string, request: Request) => Response | null | Promise<Response | null> = () => null;
  /** Called with the answer before it is given: it may be lost on the way. */
  loseAnswer: (url: string) => boolean = () => false;
  /** What a renewal grants; null: what was granted before. */
  renewedScope: string | null = null;
  expiresIn = 86_399;
  headers: Record<string, string> = {};
  ownWorkspace: FakeWorkspace | null = null;
  /** Ids of workspaces for which it has no answer. */
  silentFor: string[] = [];
  /** Everybody, in whichever workspace. */
  readonly people: FakePerson[] = [];
  /** The teams of all workspaces that the app sees there. */
  readonly teams: { id: string; workspaceId: string; visibility: 'public' | 'private' }[] = [];
  readonly #codes = new Map<string, Code>();
  readonly #access = new Map<string, { workspace: FakeWorkspace; isApp: boolean; person?: FakePerson }>();
  readonly #refresh = new Map<string, Refresh>();

  constructor() {
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      const body = new TextDecoder().decode(await request.arrayBuffer());
      const answer = (await this.interfere(request.url, body, request)) ?? (await this.#answer(request, body));
      if (this.loseAnswer(request.url)) throw new TypeError('the connection was lost');
      return answer;
    });
  }

  /** What a person does who opens the address and allows it. @returns where the browser is sent */
  async consent(
    authorizeUrl: string,
    workspace: FakeWorkspace,
    { scope, isApp = true, person = null }: { scope?: string; isApp?: boolean; person?: FakePerson | null } = {},
  ): Promise<URL> {
    const asked = new URL(authorizeUrl).searchParams;
    const code = crypto.randomUUID();
    this.secrets.push(code);
    this.#codes.set(code, {
      person,
      workspace,
      challenge: asked.get('code_challenge') ?? '',
      redirectUri: asked.get('redirect_uri') ?? '',
      scope: scope ?? (asked.get('scope') ?? '').replaceAll(',', ' '),
      isApp,
    });
    const back = new URL(asked.get('redirect_uri') ?? '');
    back.searchParams.set('code', code);
    back.searchParams.set('state', asked.get('state') ?? '');
    return back;
  }

  /** A pair of tokens, as if they had been granted. */
  grant(
    workspace: FakeWorkspace,
    scope = 'read write app:assignable app:mentionable',
  ): { access: string; refresh: string } {
    const pair = { access: this.#secret('lin_oauth'), refresh: this.#secret('lin_refresh') };
    this.#access.set(pair.access, { workspace, isApp: true });
    this.#refresh.set(pair.refresh, { workspace, scope, next: null });
    return pair;
  }

  /** Access tokens are refused from now on; refresh tokens stay good. */
  expireAccess(): void {
    this.#access.clear();
  }

  /** Everything is refused from now on. */
  forgetAll(): void {
    this.#access.clear();
    this.#refresh.clear();
  }

  /** The grace is over: an exchanged refresh token is no good any more. */
  endGrace(): void {
    for (const [token, { next }] of this.#refresh) if (next) this.#refresh.delete(token);
  }

  isLive(token: string): boolean {
    return this.#access.has(token);
  }

  /** How often a refresh token of this fake was exchanged or shown again. Objects of earlier tests may show theirs meanwhile. */
  get refreshes(): number {
    return this.tokenRequests.filter((form) => this.secrets.includes(form.get('refresh_token') ?? '')).length;
  }

  async #answer(request: Request, body: string): Promise<Response> {
    switch (request.url) {
      case TOKEN:
        return this.#token(new URLSearchParams(body));
      case REVOKE:
        return this.#revoke(new URLSearchParams(body));
      case GRAPHQL:
        return this.#graphql(request.headers.get('authorization') ?? '', JSON.parse(body));
      default:
        return new Response('nothing there', { status: 404 });
    }
  }

  async #token(form: URLSearchParams): Promise<Response> {
    this.tokenRequests.push(form);
    if (form.get('client_id') !== env.LINEAR_CLIENT_ID || form.get('client_secret') !== env.LINEAR_CLIENT_SECRET) {
      return Response.json({ error: 'invalid_client' }, { status: 401 });
    }
    switch (form.get('grant_type')) {
      case 'authorization_code': {
        const code = this.#codes.get(form.get('code') ?? '');
        this.#codes.delete(form.get('code') ?? '');
        const fits =
          code?.redirectUri === form.get('redirect_uri') &&
          code.challenge === (await s256(form.get('code_verifier') ?? ''));
        if (!code || !fits) return refused('the code is unknown or does not fit');
        const { access, refresh } = this.grant(code.workspace, code.scope);
        const { isApp, person } = code;
        this.#access.set(access, { workspace: code.workspace, isApp: isApp && !person, ...(person && { person }) });
        return this.#granted(access, code.scope, refresh);
      }
      case 'refresh_token': {
        const known = this.#refresh.get(form.get('refresh_token') ?? '');
        if (!known) return refused('the refresh token is unknown or revoked');
        const scope = this.renewedScope ?? known.scope;
        known.next ??= this.grant(known.workspace, scope);
        return this.#granted(known.next.access, scope, known.next.refresh);
      }
      case 'client_credentials': {
        if (!this.ownWorkspace)
          return Response.json(
            { error: 'Error', error_description: 'Client does not support the client_credentials grant type' },
            { status: 400 },
          );
        const { access } = this.grant(this.ownWorkspace);
        return this.#granted(access, 'read write app:assignable app:mentionable');
      }
      default:
        return Response.json({ error: 'unsupported_grant_type' }, { status: 400 });
    }
  }

  #granted(access: string, scope: string, refresh?: string): Response {
    const pair = { access_token: access, ...(refresh && { refresh_token: refresh }) };
    return Response.json({ ...pair, token_type: 'Bearer', expires_in: this.expiresIn, scope });
  }

  #revoke(form: URLSearchParams): Response {
    const token = form.get('token') ?? '';
    this.revoked.push(token);
    const isKnown = this.#access.delete(token) || this.#refresh.delete(token);
    return new Response(null, { status: isKnown ? 200 : 400 });
  }

  #graphql(
    authorization: string,
    { query, variables }: { query: string; variables: Record<string, unknown> },
  ): Response {
    const token = authorization.replace('Bearer ', '');
    const operation = /(?:query|mutation)\s+(\w+)/.exec(query)?.[1] ?? '';
    this.calls.push({ token, operation, variables });
    const bearer = this.#access.get(token);
    if (!bearer) {
      const extensions = { type: 'authentication error', code: 'AUTHENTICATION_ERROR', statusCode: 401 };
      return Response.json(
        { errors: [{ message: 'Authentication required, not authenticated', extensions }] },
        { status: 401 },
      );
    }
    const { id, name, urlKey, appUserId } = bearer.workspace;
    if (this.silentFor.includes(id)) return new Response('', { status: 503 });
    const viewer = { id: appUserId, name: 'Cyrus', app: bearer.isApp, organization: { id, name, urlKey } };
    const asked = this.#aboutPeople(operation, variables, bearer);
    if (asked === 'not found') {
      const extensions = { type: 'invalid input', code: 'INPUT_ERROR', statusCode: 400 };
      return Response.json({ data: null, errors: [{ message: 'Entity not found: User', extensions }] });
    }
    const data = asked ?? (operation === 'Identity' ? { viewer } : { agentActivityCreate: { success: true } });
    return Response.json({ data }, { headers: this.headers });
  }

  #aboutPeople(
    operation: string,
    variables: Record<string, unknown>,
    { workspace, person }: { workspace: FakeWorkspace; person?: FakePerson },
  ): Record<string, unknown> | 'not found' | null {
    const here = this.people.filter((one) => one.workspace.id === workspace.id);
    switch (operation) {
      case 'SignedInPerson':
        return { viewer: shownPerson(person ?? appPerson(workspace)) };
      case 'PersonById': {
        const found = here.find(({ id }) => id === variables.id);
        return found ? { user: shownPerson(found) } : 'not found';
      }
      case 'PeopleByEmail': {
        const email = String(variables.email).toLowerCase();
        const found = here.filter((one) => one.email.toLowerCase() === email && one.active !== false);
        return { users: { nodes: found.map(shownPerson) } };
      }
      case 'TeamsSeen': {
        const nodes = this.teams.filter(({ workspaceId }) => workspaceId === workspace.id);
        return { teams: { nodes, pageInfo: { hasNextPage: false, endCursor: null } } };
      }
      default:
        return null;
    }
  }

  #secret(prefix: string): string {
    const secret = `${prefix}_${crypto.randomUUID().replaceAll('-', '')}`;
    this.secrets.push(secret);
    return secret;
  }
}

function appPerson(workspace: FakeWorkspace): FakePerson & { app: true } {
  return { id: workspace.appUserId, name: 'Cyrus', email: '', workspace, teams: [], app: true };
}

function shownPerson(person: FakePerson & { app?: true }) {
  const { id, name, email, workspace, teams, admin = false, guest = false, active = true, app = false } = person;
  return {
    ...{ id, name, email, admin, guest, active, app, owner: false },
    organization: { id: workspace.id, name: workspace.name },
    teamMemberships: { nodes: teams.map((team) => ({ team: { id: team } })) },
  };
}

/** The headers of an answer that says what is left. @param part 0 to 1 */
export function allowanceHeaders(part: number, resetAt = Date.now() + 1_800_000): Record<string, string> {
  return {
    'x-ratelimit-requests-limit': '5000',
    'x-ratelimit-requests-remaining': String(Math.round(5000 * part)),
    'x-ratelimit-requests-reset': String(resetAt),
    'x-ratelimit-complexity-limit': '2000000',
    'x-ratelimit-complexity-remaining': '2000000',
    'x-ratelimit-complexity-reset': String(resetAt),
  };
}

/** What Linear answers over the limit. @param resetAt ms since the epoch */
export function rateLimited(resetAt: number): Response {
  const extensions = { type: 'ratelimited', code: 'RATELIMITED', statusCode: 429 };
  const errors = [{ message: 'Rate limit exceeded. Only 5000 requests are allowed per hour.', extensions }];
  return Response.json({ errors }, { status: 400, headers: allowanceHeaders(0, resetAt) });
}

function refused(description: string): Response {
  return Response.json({ error: 'invalid_grant', error_description: description }, { status: 400 });
}

async function s256(verifier: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  return btoa(String.fromCharCode(...new Uint8Array(digest)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
