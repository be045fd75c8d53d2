/**
 * Submodules: other repositories that the session's own repository names in `.gitmodules`. They are only read, and only at the
 * host of the session's repository: whose credential is used is decided by `Remotes.findModule`.
 */
import { withoutBeginning, withoutEnding } from '../../lib/linear-time.ts';
import type { Fetch } from '../forwarding.ts';
import type { Claims } from '../token.ts';
import { decodedBody, forwardFetch, plainRefusal, refusedByGit } from './git.ts';
import { askGitHost, type GitRemote } from './host.ts';

const MAX_URL_LENGTH = 1_000;
/** A part of a repository's path, as git hosts name owners and repositories. Never an option, never a way up. */
const SEGMENT = /^[A-Za-z0-9_~][A-Za-z0-9._~-]*$/;

/**
 * Where a submodule is, read as git does (git-scm.com/docs/gitmodules: relative to the clone address where it begins with `./`
 * or `../`), but reached like the session's repository: by its scheme, host and port.
 * @param url as it is in `.gitmodules`
 * @param cloneUrl of the session's repository
 * @returns the clone address; or why it is not fetched, a phrase for people
 */
export function submoduleAddress(url: string, cloneUrl: string): { address: string } | { why: string } {
  const own = new URL(cloneUrl);
  if (url.length > MAX_URL_LENGTH || !/^[\x21-\x7e]+$/.test(url) || url.startsWith('-')) {
    return { why: 'its address is not one of a git host' };
  }
  const path = /^\.\.?\//.test(url) ? relativePath(url, own.pathname) : absolutePath(url, own);
  if (path === null) return { why: `it is not at ${own.host}, the host of the repository` };
  const segments = withoutSlashes(path).split('/');
  if (segments.length < 2 || !segments.every((segment) => SEGMENT.test(segment))) {
    return { why: 'its address is not one of a git host' };
  }
  return { address: `${own.origin}/${segments.join('/')}` };
}

function relativePath(url: string, from: string): string | null {
  const base = withoutSlashes(from).split('/');
  let rest = url;
  for (let match = /^(\.\.?)\//.exec(rest); match; match = /^(\.\.?)\//.exec(rest)) {
    if (match[1] === '..' && base.pop() === undefined) return null;
    rest = rest.slice(match[0].length);
  }
  return [...base, rest].join('/');
}

/** The path of an address by HTTP or SSH at the own host; null for every other host and scheme. */
function absolutePath(url: string, own: URL): string | null {
  const scp = /^(?:[\w.-]+@)?([A-Za-z0-9.-]+):(?!\/\/)\/?(.+)$/.exec(url);
  if (scp && !/^[A-Za-z][A-Za-z0-9+.-]*::/.test(url))
    return scp[1]?.toLowerCase() === own.hostname ? (scp[2] ?? null) : null;
  if (!URL.canParse(url)) return null;
  const { protocol, hostname, host, pathname, search, hash } = new URL(url);
  if (search !== '' || hash !== '' || pathname.includes('%')) return null;
  if (protocol === 'ssh:') return hostname.toLowerCase() === own.hostname ? pathname : null;
  if (protocol !== 'https:' && protocol !== 'http:') return null;
  return host === own.host ? pathname : null;
}

function withoutSlashes(path: string): string {
  return withoutBeginning(withoutEnding(path, '/'), '/');
}

/**
 * Forwards a request of git's smart HTTP protocol that reads.
 * @param resource `info/refs` or `git-upload-pack`
 * @param remote the submodule's
 * @returns the host's answer, streaming; anything that would write is refused
 */
export async function forwardToSubmodule(
  request: Request,
  resource: string,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<Response> {
  const { search } = new URL(request.url);
  const isListing = resource === 'info/refs' && request.method === 'GET' && search === '?service=git-upload-pack';
  const isFetch = resource === 'git-upload-pack' && request.method === 'POST' && search === '';
  if (!isListing && !isFetch)
    return plainRefusal(403, 'submodules are read-only: push to them from a session of their own');
  const body = isFetch ? decodedBody(request) : null;
  if (isFetch && (!body || request.headers.get('content-type') !== 'application/x-git-upload-pack-request')) {
    return plainRefusal(415, 'git-upload-pack takes application/x-git-upload-pack-request');
  }
  if (body) return forwardFetch(request, body, claims, remote, fetcher);
  const answer = await askGitHost(request, `${resource}${search}`, null, claims, remote, fetcher);
  return answer instanceof Response ? answer : refusedByGit(answer);
}
