/** The REST API, as far as Cyrus and its tests need it, with the access rules and shapes of docs.github.com/en/rest. */
import { type Answer, notFound, refused } from './answers.ts';
import type { Place, Pulls } from './pulls.ts';
import { headOf, type Locate, mainOf } from './repositories.ts';
import type { GitHubState, Permissions, Pull } from './state.ts';
import { type Grant, isAmong, mayDo, type Tokens } from './tokens.ts';

/** A request below the API's address. */
export interface ApiRequest {
  method: string;
  url: URL;
  /** Path without the API's prefix, with its leading slash. */
  path: string;
  authorization: string | undefined;
  /** Parsed JSON, or null. */
  body: unknown;
}

export interface ApiParts {
  state: GitHubState;
  tokens: Tokens;
  pulls: Pulls;
  locate: Locate;
  /** Address of this stand-in's pages, without trailing slash. */
  pageUrl: string;
  cloneUrl: (fullName: string) => string;
}

/** @throws Refused */
export async function answerApi(parts: ApiParts, request: ApiRequest): Promise<Answer> {
  const { tokens, state } = parts;
  const { method, path, authorization } = request;
  const [, first = '', owner = '', name = '', kind = '', number = '', more = ''] = path
    .split('/')
    .map(decodeURIComponent);
  if (first === 'app' && owner === '' && method === 'GET') {
    tokens.checkApp(authorization);
    return ok({ id: state.app.id, slug: state.app.slug, name: 'Cyrus (local)' });
  }
  const minting = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(path);
  if (minting && method === 'POST') {
    tokens.checkApp(authorization);
    return minted(tokens.mint(Number(minting[1]), request.body));
  }
  if (first !== 'repos') throw notFound();
  const fullName = `${owner}/${name}`;
  if (kind === 'installation' && method === 'GET') {
    tokens.checkApp(authorization);
    const { id, account, permissions, suspended } = tokens.installationOf(fullName);
    const suspendedAt = suspended ? new Date(0).toISOString() : null;
    return ok({ id, account: { login: account }, permissions, suspended_at: suspendedAt, app_id: state.app.id });
  }
  const grant = tokens.grantOf(authorization);
  const place = await placeOf(parts, grant, fullName);
  switch (`${method} ${kind}${number === '' ? '' : '/:number'}${more === '' ? '' : `/${more}`}`) {
    case 'GET ':
      return ok(await repositoryView(parts, grant, place));
    case 'GET pulls': {
      needs(grant, 'pull_requests', 'read');
      const pulls = parts.pulls.list(place.fullName, request.url.searchParams);
      return ok(await Promise.all(pulls.map((pull) => pullView(parts, place, pull))));
    }
    case 'POST pulls':
      needs(grant, 'pull_requests', 'write');
      return created(await pullView(parts, place, await parts.pulls.create(place, grant.login, request.body)));
    case 'GET pulls/:number':
      needs(grant, 'pull_requests', 'read');
      return ok(await pullView(parts, place, parts.pulls.find(place.fullName, Number(number))));
    case 'PATCH pulls/:number':
      needs(grant, 'pull_requests', 'write');
      return ok(await pullView(parts, place, await parts.pulls.change(place, Number(number), request.body)));
    case 'POST issues/:number/comments': {
      needs(grant, 'pull_requests', 'write');
      return created(commentView(parts.pulls.comment(place.fullName, Number(number), grant.login, request.body)));
    }
    case 'GET issues/:number/comments':
      needs(grant, 'pull_requests', 'read');
      return ok(parts.pulls.find(place.fullName, Number(number)).comments.map(commentView));
    default:
      throw notFound();
  }
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

async function repositoryView({ pageUrl, cloneUrl, state }: ApiParts, grant: Grant, place: Place): Promise<object> {
  const { fullName, directory } = place;
  const [owner = '', name = ''] = fullName.split('/');
  return {
    name,
    full_name: fullName,
    owner: { login: owner },
    private: state.withoutDrafts.includes(fullName),
    html_url: `${pageUrl}/${fullName}`,
    clone_url: cloneUrl(fullName),
    default_branch: await mainOf(directory),
    permissions: { pull: true, push: mayDo(grant.permissions, 'contents', 'write') },
  };
}

async function pullView({ pageUrl }: ApiParts, { fullName, directory }: Place, pull: Pull): Promise<object> {
  const [owner = ''] = fullName.split('/');
  const branch = async (ref: string, sha: string | null) => ({
    ref,
    label: `${owner}:${ref}`,
    sha: sha ?? (await headOf(directory, ref)) ?? '',
    repo: { full_name: fullName },
  });
  return {
    number: pull.number,
    state: pull.state,
    title: pull.title,
    body: pull.body,
    draft: pull.draft,
    merged_at: pull.mergedAt === null ? null : new Date(pull.mergedAt).toISOString(),
    html_url: `${pageUrl}/${fullName}/pull/${pull.number}`,
    user: { login: pull.author },
    head: await branch(pull.head, pull.closedHead),
    base: await branch(pull.base, null),
    created_at: new Date(pull.createdAt).toISOString(),
    updated_at: new Date(pull.updatedAt).toISOString(),
  };
}

function commentView({ id, author, body, createdAt }: Pull['comments'][number]): object {
  return { id, body, user: { login: author }, created_at: new Date(createdAt).toISOString() };
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

function ok(body: object): Answer {
  return { status: 200, body };
}

function created(body: object): Answer {
  return { status: 201, body };
}
