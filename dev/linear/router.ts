/** What answers at which address: API, OAuth, uploads and control, and for every other GET of a person the page. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LARGEST_UPLOAD_BYTES } from './agent/uploads.ts';
import type { OauthRoutes } from './control/oauth-routes.ts';
import { UNAUTHENTICATED } from './errors.ts';
import type { FaultPlan } from './faults.ts';
import type { GraphqlEndpoint } from './graphql/endpoint.ts';
import { bearerToken, readBody, sendJson, sendText, TooLargeError } from './http.ts';
import type { Oauth } from './oauth/oauth.ts';
import { sendPageFile } from './page/files.ts';
import type { Workspaces } from './workspaces.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export interface RouterParts {
  graphql: GraphqlEndpoint;
  oauth: Oauth;
  oauthRoutes: OauthRoutes;
  workspaces: Workspaces;
  faults: FaultPlan;
}

/** @returns a handler that answers every request, whatever goes wrong */
export function router(parts: RouterParts): Handler {
  return async (request, response) => {
    try {
      await route(parts, request, response);
    } catch (error) {
      if (request.destroyed && !request.complete) return;
      const tooLarge = error instanceof TooLargeError;
      if (!tooLarge) console.error('the Linear simulator failed', error);
      if (response.headersSent) response.destroy();
      else sendText(response, tooLarge ? 413 : 500, tooLarge ? error.message : 'the simulator failed; see its log');
    }
  };
}

async function route(parts: RouterParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { graphql, oauth, oauthRoutes, workspaces } = parts;
  const url = new URL(request.url ?? '/', 'http://simulator');
  const [, first = '', second = '', third = '', fourth = ''] = url.pathname.split('/');
  if (url.pathname === '/graphql' && request.method === 'POST') return graphql.handle(request, response);
  if (first === 'oauth') return oauth.endpoints.handle(request, response, second, url);
  if (url.pathname.startsWith('/settings/api/applications')) {
    return oauth.settings.handle(request, response, fourth, url);
  }
  if (first === 'control' && second === 'oauth') return oauthRoutes.handle(request, response, url);
  if (first === 'control' && second === 'workspaces' && third !== '') {
    const workspace = workspaces.byUrlKey(third);
    if (!workspace) return sendJson(response, 404, { error: `there is no workspace ${third}` });
    url.pathname = url.pathname.replace(`/workspaces/${third}`, '');
    return workspace.routes.handle(request, response, url);
  }
  if (first === 'control') return workspaces.first.routes.handle(request, response, url);
  if (url.pathname === '/mcp') return handleMcp(parts, request, response);
  if (first === 'uploads') return handleUpload(parts, request, response, second, url.searchParams.get('signature'));
  const isPage = url.pathname === '/' || workspaces.byUrlKey(first) !== undefined;
  const file = isPage ? 'index.html' : first === 'page' ? second : '';
  if (request.method === 'GET' && sendPageFile(response, file)) return;
  sendText(response, 404, `the Linear simulator has nothing at ${request.method} ${url.pathname}`);
}

/** Linear's MCP server takes the token of the API. */
async function handleMcp(
  { oauth, workspaces }: RouterParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const bearer = oauth.grants.bearer(bearerToken(request) ?? '');
  const workspace = bearer && workspaces.byId(bearer.workspaceId);
  if (!bearer || !workspace) return sendJson(response, 401, UNAUTHENTICATED, { 'www-authenticate': 'Bearer' });
  await workspace.mcp.handle(request, response, workspace.user(bearer));
}

/** PUT needs the headers that were given out with the address; GET the token, or a signed address. */
async function handleUpload(
  { oauth, workspaces, faults }: RouterParts,
  request: IncomingMessage,
  response: ServerResponse,
  id: string,
  signature: string | null,
): Promise<void> {
  const owner = workspaces.all().find(({ uploads }) => uploads.has(id));
  if (request.method === 'PUT') {
    const bytes = await readBody(request, LARGEST_UPLOAD_BYTES);
    const { status, text } = owner?.uploads.store(id, request.headers, bytes) ?? {
      status: 404,
      text: 'no such upload',
    };
    return sendText(response, status, text);
  }
  const isSigned = signature !== null && owner?.uploads.isSigned(id, signature) === true;
  const bearer = faults.current.uploads.refuseTokens ? null : oauth.grants.bearer(bearerToken(request) ?? '');
  if (!bearer && !isSigned) return sendJson(response, 401, UNAUTHENTICATED);
  const mayRead = isSigned || owner?.world.workspace.id === bearer?.workspaceId;
  const file = mayRead ? owner?.uploads.read(id) : null;
  if (!file) return sendText(response, 404, 'no such file');
  response.writeHead(200, { 'content-type': file.contentType, 'x-content-type-options': 'nosniff' }).end(file.bytes);
}
