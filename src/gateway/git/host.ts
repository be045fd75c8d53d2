/** One request to the git host, with the repository's credential. What is no success becomes a refusal that says what to do. */

import type { BasicCredential, GitAccess } from '../../github/access.ts';
import { GitHubError } from '../../github/errors.ts';
import { asError } from '../../lib/error.ts';
import { withoutEnding } from '../../lib/linear-time.ts';
import { log } from '../../observability/log.ts';
import { type Fetch, readRefusal, streamedRequest } from '../forwarding.ts';
import type { Claims } from '../token.ts';

/** What is needed to reach a repository: its clone address, and a basic credential where it needs one. */
export interface GitRemote {
  cloneUrl: string;
  credential: BasicCredential | null;
  /** Gets another credential where the host refuses this one; left out or null: there is no other. */
  renew?: GitAccess['renew'];
  /** Changes to what runs at the host wait for people; left out or null: they do not. */
  held?: { baseBranch: string; paths: readonly string[] } | null;
}

/** Why something was not done: an HTTP status, a sentence for people, and headers of the answer. */
export interface GitRefusal {
  status: number;
  message: string;
  retryAfter?: string;
  /** The host did not accept the credential; another one might do. */
  isStale?: boolean;
}

const takenHeaders = ['accept', 'content-type', 'git-protocol', 'user-agent'];
const handedOn = ['content-type', 'content-encoding', 'cache-control', 'expires', 'pragma'];
/** Most of what the host said that is repeated, in characters. */
const MAX_WORDS = 500;

/**
 * Asks the git host.
 * @param request git's request: its method and a few of its headers are taken over
 * @param resource below the clone address: `info/refs?service=…`, `git-upload-pack` or `git-receive-pack`
 * @param body what is sent, uncompressed; streamed
 * @returns the host's answer to hand on, streaming; or why there is none
 */
export async function askGitHost(
  request: Request,
  resource: string,
  body: ReadableStream<Uint8Array> | null,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<Response | GitRefusal> {
  const answer = await askOnce(request, resource, body, claims, remote, fetcher);
  // A streamed body cannot be sent twice; but git asks without one first.
  if (answer instanceof Response || !answer.isStale || !remote.renew || body !== null) return answer;
  try {
    const renewed = { cloneUrl: remote.cloneUrl, credential: await remote.renew() };
    return await askOnce(request, resource, body, claims, renewed, fetcher);
  } catch (error) {
    log('gateway.git_token_renewal.failed', {
      repository: claims.r,
      error: asError(error),
    });
    // Suspended, or taken out of the installation: GitHub says so, and the credential that is stored is not to blame.
    if (error instanceof GitHubError && !error.retryable) {
      return { status: 403, message: error.hint === null ? error.message : `${error.message}. ${error.hint}` };
    }
    return answer;
  }
}

async function askOnce(
  request: Request,
  resource: string,
  body: ReadableStream<Uint8Array> | null,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<Response | GitRefusal> {
  const headers = new Headers({ 'accept-encoding': 'identity' });
  for (const name of takenHeaders) {
    const value = request.headers.get(name);
    // The version says how a request is read here; what else could be in that header would be for the host alone.
    if (value === null || (name === 'git-protocol' && !/^version=[012]$/.test(value))) continue;
    headers.set(name, value);
  }
  const secrets: string[] = [];
  if (remote.credential) {
    const basic = basicCredential(remote.credential);
    headers.set('authorization', `Basic ${basic}`);
    secrets.push(basic, remote.credential.password);
  }
  let answer: Response;
  try {
    const url = `${withoutEnding(remote.cloneUrl, '/')}/${resource}`;
    answer = await fetcher(streamedRequest(url, request.method, headers, body));
  } catch (error) {
    log('gateway.git.unreachable', {
      session: claims.s,
      repository: claims.r,
      error: asError(error),
    });
    return {
      status: 502,
      message: `the git host of ${claims.r} could not be reached, or closed the connection; try again`,
    };
  }
  if (answer.ok) {
    const kept = new Headers();
    for (const name of handedOn) {
      const value = answer.headers.get(name);
      if (value !== null) kept.set(name, value);
    }
    return new Response(answer.body, { status: answer.status, headers: kept });
  }
  log('gateway.git.refused', { session: claims.s, repository: claims.r, status: answer.status });
  const said = (await readRefusal(answer, secrets)).trim().slice(0, MAX_WORDS);
  // Only plain text is worth repeating; a page of HTML is not.
  const isText = said !== '' && (answer.headers.get('content-type') ?? '').startsWith('text/plain');
  return refusalOfHost(answer, isText ? `: ${said}` : '', claims.r);
}

/**
 * What a refusal of the git host's means and what to do.
 * @param words what the host itself said, as it follows a sentence (`: no`); empty if that is not to be repeated
 */
export function refusalOfHost({ status, headers }: Response, words: string, fullName: string): GitRefusal {
  if (status >= 300 && status < 400) {
    // Following would carry the credential elsewhere, and a streamed push cannot be sent twice.
    const message = `the git host says that ${fullName} is at ${movedTo(headers.get('location'))}: ask an admin to change its clone address in Cyrus`;
    return { status: 502, message };
  }
  switch (status) {
    case 401: {
      // A 401 handed on would make git ask for a password.
      const message = `the git host does not accept the credential stored for ${fullName}: ask an admin to store it again in Cyrus${words}`;
      return { status: 403, message, isStale: true };
    }
    case 403:
      return { status, message: `the git host forbids this for the credential stored for ${fullName}${words}` };
    case 404:
      return { status, message: `the git host has no ${fullName}, or its stored credential may not see it${words}` };
    case 413:
      return { status, message: `the git host does not accept a request of this size for ${fullName}${words}` };
    default:
      if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
        return { status, message: `the git host refused this for ${fullName} (${status})${words}` };
      }
      return {
        status: status === 429 || status === 503 ? status : 502,
        message: `the git host answered ${status}; try again later${words}`,
        retryAfter: headers.get('retry-after') ?? undefined,
      };
  }
}

/** Where a redirect points, without what may be secret in an address. */
function movedTo(location: string | null): string {
  try {
    const { origin, pathname } = new URL(location ?? '');
    return `${origin}${pathname.replace(/\/(info\/refs|git-(upload|receive)-pack)$/, '')}`;
  } catch {
    return 'another address';
  }
}

/** A credential as it is in an `Authorization: Basic` header. */
export function basicCredential(credential: BasicCredential): string {
  const bytes = new TextEncoder().encode(`${credential.username}:${credential.password}`);
  return btoa(String.fromCharCode(...bytes));
}
