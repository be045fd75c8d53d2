/** Where a repository is: whether GitHub's API speaks for it, and the page of a branch where the host's pattern is known. */

import { withoutEnding } from '../lib/linear-time.ts';

/** A repository of the GitHub behind the API. */
export interface GitHubRepository {
  owner: string;
  name: string;
}

/**
 * The host of repositories and pages that belongs to an API address: `https://api.github.com` serves github.com,
 * `https://api.acme.ghe.com` serves acme.ghe.com, and `https://git.acme.example/api/v3` (GitHub Enterprise Server) its
 * own host (docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api).
 */
export function gitHubHost(apiUrl: string): string {
  return new URL(apiUrl).hostname.replace(/^api\.(?=github\.com$|.+\.ghe\.com$)/, '');
}

/**
 * The repository that a clone address names, or null if it is not on the GitHub behind this API. A GitHub credential
 * is given to no other host.
 */
export function gitHubRepository(apiUrl: string, cloneUrl: string): GitHubRepository | null {
  const { hostname, pathname } = new URL(cloneUrl);
  if (hostname !== gitHubHost(apiUrl)) return null;
  const [, owner, name] = /^\/([\w.-]+)\/([\w.-]+?)(?:\.git)?\/?$/.exec(pathname) ?? [];
  return owner === undefined || name === undefined ? null : { owner, name };
}

/** The path of a branch's page below the repository's, by host. Others that run these programs are told by their names. */
const BRANCH_PATHS: [host: RegExp, path: string][] = [
  [/(^|\.)github\.com$|\.ghe\.com$/, 'tree'],
  [/(^|\.)gitlab\./, '-/tree'],
  [/(^|\.)bitbucket\.org$/, 'branch'],
  [/^codeberg\.org$|(^|\.)(gitea|forgejo)\./, 'src/branch'],
];

/** The page that shows a branch, or null if the host's addresses are not known. */
export function branchPage(cloneUrl: string, branch: string, apiUrl: string): string | null {
  const { protocol, host, hostname, pathname } = new URL(cloneUrl);
  const known = BRANCH_PATHS.find(([pattern]) => pattern.test(hostname));
  const path = known?.[1] ?? (hostname === gitHubHost(apiUrl) ? 'tree' : null);
  if (path === null) return null;
  const repository = withoutEnding(pathname, '/').replace(/\.git$/, '');
  return `${protocol}//${host}${repository}/${path}/${branch.split('/').map(encodeURIComponent).join('/')}`;
}
