/** The REST API, as far as Cyrus and its tests need it, with the access rules and shapes of docs.github.com/en/rest. */
import { type Answer, notFound, paged, Refused, refused } from './answers.ts';
import type { Place, Pulls } from './pulls.ts';
import { byName, movedTo } from './renames.ts';
import { headOf, type Locate } from './repositories.ts';
import { rulesFor } from './rules.ts';
import type { CommitChecks, GitHubState, Installation, Permissions, ReviewComment } from './state.ts';
import { type Grant, isAmong, mayDo, type Tokens } from './tokens.ts';
import { commentView, pullView, repositoryView, reviewCommentView, reviewView } from './views.ts';
import type { Webhooks } from './webhooks.ts';

/** A request below the API's address. */
export interface ApiRequest {
  method: string;
  url: URL;
  /** Path without the API's prefix, with its leading slash. */
  path: string;
  authorization: string | undefined;
  userAgent: string | undefined;
  /** `x-github-api-version`. */
  apiVersion: string | undefined;
  /** Parsed JSON, or null. */
  body: unknown;
}

export interface ApiParts {
  state: GitHubState;
  tokens: Tokens;
  pulls: Pulls;
  webhooks: Webhooks;
  locate: Locate;
  /** Address of this stand-in's pages, without trailing slash. */
  pageUrl: string;
  cloneUrl: (fullName: string) => string;
}

/** @throws Refused */
export async function answerApi(parts: ApiParts, request: ApiRequest): Promise<Answer> {
  const { tokens, state } = parts;
  const { method, authorization } = request;
  if (!request.userAgent) throw refused(403, NO_USER_AGENT);
  const version = request.apiVersion ?? '2022-11-28';
  if (!API_VERSIONS.includes(version)) {
    throw refused(
      400,
      `The API version '${version}' is not supported. See the documentation for the versions that are.`,
    );
  }
  const path = byName(state, request.path);
  const [, first = '', owner = '', name = '', kind = '', number = '', more = ''] = path
    .split('/')
    .map(decodeURIComponent);
  if (path === '/rate_limit' && method === 'GET') return ok({ resources: { core: rateLimit() }, rate: rateLimit() });
  if (path === '/app' && method === 'GET') {
    tokens.checkApp(authorization);
    return ok(appView(state));
  }
  if (first === 'app' && owner === 'installations' && name === '' && method === 'GET') {
    tokens.checkApp(authorization);
    const { items, headers } = paged(state.installations, request.url);
    return { ...ok(items.map((one) => installationView(state, one))), headers };
  }
  if (first === 'users' && method === 'GET' && name === '') return ok(userView(state, owner));
  if (path === '/installation/repositories' && method === 'GET') {
    const grant = tokens.grantOf(authorization);
    if (grant.kind !== 'installation')
      throw refused(
        403,
        'You must authenticate with an installation access token in order to list repositories for an installation.',
      );
    const { items, headers } = paged(grant.repositories, request.url);
    const repositories = await Promise.all(
      items.map(async (one) => repositoryView(parts, grant, await placeOf(parts, grant, one))),
    );
    const body = { total_count: grant.repositories.length, repository_selection: 'selected', repositories };
    return { ...ok(body), headers };
  }
  if (path === '/user' && method === 'GET') {
    const grant = tokens.grantOf(authorization);
    if (grant.kind === 'installation') throw refused(403, 'Resource not accessible by integration');
    return ok(userView(state, grant.login));
  }
  const delivery = /^\/app\/hook\/deliveries(?:\/(\d+))?$/.exec(path);
  if (delivery && method === 'GET') {
    tokens.checkApp(authorization);
    return delivery[1] === undefined ? parts.webhooks.list(request.url) : parts.webhooks.one(delivery[1]);
  }
  const minting = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(path);
  if (minting && method === 'POST') {
    tokens.checkApp(authorization);
    return minted(tokens.mint(Number(minting[1]), request.body));
  }
  if (first !== 'repos') throw notFound();
  const fullName = `${owner}/${name}`;
  const moved = movedTo(state, fullName);
  if (moved) throw redirect(request, moved);
  if (kind === 'installation' && method === 'GET') {
    tokens.checkApp(authorization);
    return ok(installationView(state, tokens.installationOf(fullName)));
  }
  const grant = tokens.grantOf(authorization);
  const place = await placeOf(parts, grant, fullName);
  const ofBranch = /^\/repos\/[^/]+\/[^/]+\/rules\/branches\/(.+)$/.exec(path)?.[1];
  if (ofBranch !== undefined && method === 'GET') {
    return listed(rulesFor(state, place.fullName, decodeURIComponent(ofBranch)), request.url);
  }
  const answered = /^\/repos\/[^/]+\/[^/]+\/pulls\/(\d+)\/comments\/(\d+)\/replies$/.exec(path);
  if (answered && method === 'POST') {
    needs(grant, 'pull_requests', 'write');
    const { pull, comment } = parts.pulls.reply(
      place,
      Number(answered[1]),
      Number(answered[2]),
      grant.login,
      request.body,
    );
    return created(reviewCommentView(parts, pull, comment));
  }
  const job = /^\/repos\/[^/]+\/[^/]+\/actions\/jobs\/(\d+)\/logs$/.exec(path)?.[1];
  if (job !== undefined && method === 'GET') {
    needs(grant, 'actions', 'read');
    if (jobLog(state, Number(job)) === null) throw notFound();
    return { status: 302, body: {}, headers: { location: `${parts.pageUrl}/_logs/${job}` } };
  }
  switch (`${method} ${kind}${number === '' ? '' : '/:number'}${more === '' ? '' : `/${more}`}`) {
    case 'GET ':
      return ok(await repositoryView(parts, grant, place));
    case 'GET pulls': {
      needs(grant, 'pull_requests', 'read');
      const { items, headers } = paged(parts.pulls.list(place.fullName, request.url.searchParams), request.url);
      return { ...ok(await Promise.all(items.map((pull) => pullView(parts, place, pull)))), headers };
    }
    case 'POST pulls':
      needs(grant, 'pull_requests', 'write');
      return created(await pullView(parts, place, await parts.pulls.create(place, grant.login, request.body)));
    case 'GET pulls/:number':
      needs(grant, 'pull_requests', 'read');
      return ok(await pullView(parts, place, parts.pulls.find(place.fullName, Number(number))));
    case 'PATCH pulls/:number':
      needs(grant, 'pull_requests', 'write');
      return ok(
        await pullView(parts, place, await parts.pulls.change(place, Number(number), request.body, grant.login)),
      );
    case 'GET pulls/:number/comments': {
      needs(grant, 'pull_requests', 'read');
      const pull = parts.pulls.find(place.fullName, Number(number));
      const sorted = sortedComments(pull.reviewComments, request.url.searchParams);
      return listed(
        sorted.map((comment) => reviewCommentView(parts, pull, comment)),
        request.url,
      );
    }
    case 'POST pulls/:number/requested_reviewers':
      needs(grant, 'pull_requests', 'write');
      parts.pulls.askForReview(place.fullName, Number(number), request.body);
      return created(await pullView(parts, place, parts.pulls.find(place.fullName, Number(number))));
    case 'GET collaborators/:number/permission':
      return ok(permissionView(state, place.fullName, number));
    case 'GET pulls/:number/reviews': {
      needs(grant, 'pull_requests', 'read');
      const pull = parts.pulls.find(place.fullName, Number(number));
      return listed(
        pull.reviews.map((one) => reviewView(parts, pull, one)),
        request.url,
      );
    }
    case 'GET commits/:number/check-runs': {
      needs(grant, 'checks', 'read');
      const all = await runsOf(parts, place, number);
      const { items, headers } = paged(all, request.url);
      return { ...ok({ total_count: all.length, check_runs: items }), headers };
    }
    case 'GET check-runs/:number/annotations':
      needs(grant, 'checks', 'read');
      return listed([], request.url);
    case 'GET commits/:number/status': {
      needs(grant, 'statuses', 'read');
      return ok(combinedStatus(await checksFor(parts, place, number)));
    }
    case 'POST issues/:number/comments': {
      needs(grant, 'pull_requests', 'write');
      return created(commentView(parts.pulls.comment(place, Number(number), grant.login, request.body)));
    }
    case 'GET issues/:number/comments':
      needs(grant, 'pull_requests', 'read');
      return listed(
        since(parts.pulls.find(place.fullName, Number(number)).comments, request.url).map(commentView),
        request.url,
      );
    default:
      throw notFound();
  }
}

/** docs.github.com/en/rest/about-the-rest-api/api-versions */
const API_VERSIONS = ['2022-11-28', '2026-03-10'];
const NO_USER_AGENT =
  'Request forbidden by administrative rules. Please make sure your request has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).';

/** A repository that was renamed: 301 for what only reads, 307 for the rest, to an address that keeps through renames. */
function redirect({ method, url }: ApiRequest, moved: { id: number; former: string }): Refused {
  const location = new URL(url);
  location.pathname = url.pathname.replace(`/repos/${moved.former}`, `/repositories/${moved.id}`);
  const isRead = method === 'GET' || method === 'HEAD';
  const { answer } = refused(isRead ? 301 : 307, isRead ? 'Moved Permanently' : 'Temporary Redirect', {
    url: location.href,
  });
  return new Refused({ ...answer, headers: { location: location.href } });
}

function rateLimit(): object {
  return { limit: 5_000, used: 0, remaining: 5_000, reset: Math.ceil(Date.now() / 1000) + 3_600 };
}

function appView({ app }: GitHubState): object {
  return { id: app.id, slug: app.slug, client_id: app.clientId, name: 'Cyrus (local)', owner: { login: 'acme' } };
}

function installationView(state: GitHubState, { id, account, permissions, suspended }: Installation): object {
  return {
    id,
    account: { login: account },
    app_id: state.app.id,
    client_id: state.app.clientId,
    app_slug: state.app.slug,
    permissions,
    repository_selection: 'selected',
    suspended_at: suspended ? new Date(0).toISOString() : null,
  };
}

/** An account: the app's own, `<slug>[bot]`, or a person's who has a token. @throws Refused 404 */
function userView({ app, personalTokens }: GitHubState, login: string): object {
  if (login === `${app.slug}[bot]`) return { login, id: 41_000_000 + app.id, type: 'Bot' };
  const index = personalTokens.findIndex((token) => token.login === login);
  if (index < 0) throw notFound();
  return { login, id: 1_000 + index, type: 'User' };
}

/** A repository that the token does not reach is not there. @throws Refused 404 */
async function placeOf({ locate }: ApiParts, grant: Grant, fullName: string): Promise<Place> {
  if (!isAmong(grant.repositories, fullName)) throw notFound();
  const directory = await locate(fullName);
  if (directory === null) throw notFound();
  return { fullName, directory };
}

function needs(grant: Grant, what: keyof Permissions, level: 'read' | 'write'): void {
  if (mayDo(grant.permissions, what, level)) return;
  throw refused(
    403,
    grant.kind === 'installation'
      ? 'Resource not accessible by integration'
      : 'Resource not accessible by personal access token',
  );
}

/** What is reported of a commit, by its id or the name of a branch. @throws Refused 422 as GitHub does for a commit that is not there */
async function checksFor({ state }: ApiParts, { fullName, directory }: Place, ref: string): Promise<CommitChecks> {
  const commit = /^[0-9a-f]{40}$/.test(ref) ? ref : await headOf(directory, ref);
  if (commit === null) throw refused(422, `No commit found for SHA: ${ref}`);
  const known = state.checks.find((one) => one.repository === fullName && one.commit === commit);
  return known ?? { repository: fullName, commit, runs: [], statuses: [] };
}

async function runsOf(parts: ApiParts, place: Place, ref: string): Promise<object[]> {
  const { commit, runs } = await checksFor(parts, place, ref);
  return runs.map(({ log, summary, ...run }, index) => {
    const id = run.id ?? index + 1;
    const address = `${parts.pageUrl}/${place.fullName}/runs/${id}`;
    return {
      ...run,
      id,
      head_sha: commit,
      html_url: address,
      details_url: address,
      output: { title: null, summary: summary ?? null, text: null, annotations_count: 0 },
      app: { slug: log === undefined ? 'some-ci' : 'github-actions' },
    };
  });
}

/** What a job printed; null: there is no such job. */
export function jobLog({ checks }: GitHubState, id: number): string | null {
  return checks.flatMap(({ runs }) => runs).find((run) => run.id === id)?.log ?? null;
}

/** docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference */
function combinedStatus({ commit, statuses }: CommitChecks): object {
  const isBad = statuses.some(({ state }) => state === 'failure' || state === 'error');
  const isPending = statuses.length === 0 || statuses.some(({ state }) => state === 'pending');
  return {
    state: isBad ? 'failure' : isPending ? 'pending' : 'success',
    sha: commit,
    total_count: statuses.length,
    statuses: statuses.map(({ context, state }, index) => ({ id: index + 1, context, state, target_url: null })),
  };
}

/** `since` counts by the time of the last change, which is the time of writing here. */
function since<T extends { createdAt: number }>(all: readonly T[], url: URL): readonly T[] {
  const from = Date.parse(url.searchParams.get('since') ?? '');
  return Number.isNaN(from) ? all : all.filter(({ createdAt }) => createdAt >= from);
}

/** docs.github.com/en/rest/pulls/comments#list-review-comments-on-a-pull-request */
function sortedComments(all: readonly ReviewComment[], query: URLSearchParams): readonly ReviewComment[] {
  return query.get('direction') === 'desc' ? all.toReversed() : all;
}

/**
 * What a person may do in a repository (docs.github.com/en/rest/collaborators/collaborators). Who is no collaborator may read what is
 * public; an App's bot is no user.
 */
function permissionView({ collaborators, withoutDrafts }: GitHubState, fullName: string, login: string): object {
  if (login.endsWith('[bot]')) throw refused(404, `${login} is not a user`);
  const known = collaborators.find((one) => one.repository === fullName && one.login === login);
  const usual = withoutDrafts.includes(fullName) ? 'none' : 'read';
  const permission = known?.permission ?? usual;
  return { permission, role_name: permission, user: { login } };
}

function minted({ token, grant }: ReturnType<Tokens['mint']>): Answer {
  const { permissions, repositories, expiresAt } = grant;
  return created({
    token,
    // Without milliseconds, as GitHub writes it.
    expires_at: new Date(expiresAt ?? 0).toISOString().replace(/\.\d+Z$/, 'Z'),
    permissions,
    repository_selection: 'selected',
    repositories: repositories.map((fullName) => ({ full_name: fullName, name: fullName.split('/')[1] })),
  });
}

function listed(all: readonly object[], url: URL): Answer {
  const { items, headers } = paged(all, url);
  return { ...ok(items), headers };
}

function ok(body: object): Answer {
  return { status: 200, body };
}

function created(body: object): Answer {
  return { status: 201, body };
}
