/**
 * The way to Claude's API. The CLI in a sandbox holds a session token where its credential would be; here the real one
 * takes its place. Bodies are streamed both ways and never read, but for refusals.
 */
import type { Config } from '../config.ts';
import { log } from '../observability/log.ts';
import { type Fetch, handedOnHeaders, isConnectionHeader, readRefusal, streamedRequest } from './forwarding.ts';

/** The beta that lets Claude's API accept a subscription's token (seen in every request of CLI 2.1.330 with such a token). */
const OAUTH_BETA = 'oauth-2025-04-20';

/** What the CLI asks of its base address (measured with CLI 2.1.330), and the list of models. Nothing else goes out with the credential. */
const allowed: readonly { methods: readonly string[]; path: RegExp }[] = [
  { methods: ['POST'], path: /^\/v1\/messages(\/count_tokens)?$/ },
  { methods: ['GET', 'HEAD'], path: /^\/api\/hello$/ },
  { methods: ['GET'], path: /^\/v1\/models(\/[\w.-]+)?$/ },
];

/** Headers a sandbox may not choose: credentials, who it is, and what belongs to its own connection. */
const notTaken = new Set([
  'authorization',
  'x-api-key',
  'cookie',
  'host',
  'content-length',
  'expect',
  'forwarded',
  'true-client-ip',
  'x-real-ip',
  'accept-encoding',
]);

/**
 * Forwards a request of the CLI to Claude's API with the real credential.
 * @param request the CLI's request; its body is streamed on
 * @param path below the base address, e.g. `/v1/messages`
 * @returns the API's answer as it streams; or a refusal in the API's own error shape: 403 for what a sandbox may not ask, 502 when the API cannot be reached (the CLI tries again)
 */
export async function forwardToClaude(
  request: Request,
  path: string,
  config: Pick<Config, 'claude'>,
  fetcher: Fetch,
): Promise<Response> {
  const { access, apiUrl } = config.claude;
  if (!allowed.some((rule) => rule.methods.includes(request.method) && rule.path.test(path)) || path.includes('..')) {
    return refusal(403, 'permission_error', `Cyrus does not forward ${request.method} ${path} to Claude's API`);
  }
  if (access.mode === 'subscription' && request.headers.has('x-api-key')) {
    // An API key would silently win over the subscription and be charged.
    return refusal(
      403,
      'permission_error',
      'This Cyrus uses a Claude subscription and refuses requests with an API key (x-api-key): remove ANTHROPIC_API_KEY from the environment of the sandbox, e.g. from cyrus-setup.sh',
    );
  }
  let upstream: Response;
  try {
    upstream = await fetcher(
      streamedRequest(
        `${apiUrl}${path}${new URL(request.url).search}`,
        request.method,
        claudeHeaders(request.headers, access),
        request.body,
      ),
    );
  } catch (error) {
    log('gateway.claude.unreachable', { path, error: error instanceof Error ? error : new Error(String(error)) });
    return refusal(502, 'api_error', "Claude's API could not be reached from Cyrus's gateway; trying again may help");
  }
  const headers = handedOnHeaders(upstream.headers, [access.secret]);
  const { status, statusText } = upstream;
  if (status < 400) return new Response(upstream.body, { status, statusText, headers });
  // A refusal is short: it is read, so that an upstream which echoes requests cannot hand the credential to the sandbox.
  log('gateway.claude.refused', { path, status, requestId: headers.get('request-id') });
  const text = await readRefusal(upstream, [access.secret]);
  for (const name of ['content-length', 'content-encoding']) headers.delete(name);
  return new Response(text, { status, statusText, headers });
}

function claudeHeaders(from: Headers, access: Config['claude']['access']): Headers {
  const headers = new Headers();
  for (const [name, value] of from) {
    if (notTaken.has(name) || isConnectionHeader(name)) continue;
    if (/^(cf|x-forwarded|cdn)-/.test(name)) continue;
    headers.append(name, value);
  }
  // Streams of small events gain nothing from compression and would be held back by it.
  headers.set('accept-encoding', 'identity');
  if (access.mode === 'api-key') {
    headers.set('x-api-key', access.secret);
    return headers;
  }
  headers.set('authorization', `Bearer ${access.secret}`);
  const betas = (headers.get('anthropic-beta') ?? '').split(',').map((beta) => beta.trim());
  if (!betas.includes(OAUTH_BETA)) {
    headers.set('anthropic-beta', [OAUTH_BETA, ...betas.filter((beta) => beta !== '')].join(','));
  }
  return headers;
}

/** A refusal as Claude's API words its own, so that the CLI shows the message. */
function refusal(status: 403 | 502, type: 'permission_error' | 'api_error', message: string): Response {
  return Response.json(
    { type: 'error', error: { type, message } },
    // Without this word the CLI would repeat a refusal that cannot change.
    { status, headers: { 'x-should-retry': String(status === 502) } },
  );
}
