/** The way to a repository: which credential its git host and GitHub's API are given. */

import type * as z from 'zod';
import type { Config } from '../config/config.ts';
import type { StoredCredential } from '../protocol/api.ts';
import { type GitHubRepository, gitHubHost, gitHubRepository } from './address.ts';
import { GitHubError } from './errors.ts';
import { type InstallationTokens, installationTokens, type TokenUse } from './installation-tokens.ts';
import { askGitHub, type GitHubRequest, locateOnGitHub } from './request.ts';

/** HTTP basic credential. */
export interface BasicCredential {
  username: string;
  password: string;
}

/** User name under which GitHub takes a token as password (docs.github.com/…/authenticating-as-a-github-app-installation). */
const TOKEN_USER = 'x-access-token';

/** What is known of a repository's credential: see RepositoryInput. */
export interface RepositoryAccess {
  cloneUrl: string;
  credential: StoredCredential | null;
}

/** A credential for git, with a way to replace it where the host refused it; null if it cannot be replaced. */
export interface GitAccess {
  credential: BasicCredential | null;
  renew: (() => Promise<BasicCredential>) | null;
}

/**
 * The credential for the repository's git host.
 * @throws GitHubError if an app's token cannot be had
 */
export async function gitAccess(
  config: Config,
  { cloneUrl, credential }: RepositoryAccess,
  tokens: InstallationTokens = installationTokens,
): Promise<GitAccess> {
  if (credential === null || !('kind' in credential)) return { credential, renew: null };
  const repository = onGitHub(config, cloneUrl);
  if (credential.kind === 'github-token') return { credential: asBasic(credential.token), renew: null };
  const { apiUrl } = config.github;
  const app = appOf(config);
  const token = await tokens.tokenFor(apiUrl, app, repository);
  return {
    credential: asBasic(token),
    renew: async () => {
      tokens.forget(apiUrl, app, repository, token);
      return asBasic(await tokens.tokenFor(apiUrl, app, repository));
    },
  };
}

/** Why a repository cannot be reached as it is to be stored, a sentence; null if nothing is known against it. */
export function problemOfAccess(config: Config, { cloneUrl, credential }: RepositoryAccess): string | null {
  if (credential === null || !('kind' in credential)) return null;
  if (gitHubRepository(config.github.apiUrl, cloneUrl) === null) {
    const host = gitHubHost(config.github.apiUrl);
    return `credential: ${credential.kind} is for repositories at https://${host}/OWNER/NAME.git; for another host give user name and password, or set GITHUB_API_URL`;
  }
  if (credential.kind === 'github-app' && !config.github.app) {
    return 'credential: this deployment has no GitHub App: set GITHUB_APP_ID and the secret GITHUB_APP_PRIVATE_KEY, or give a token';
  }
  return null;
}

/**
 * Whether GitHub tells this deployment by itself what happens in a repository: its App is installed there and its webhooks are taken.
 * Otherwise GitHub is asked now and then.
 */
export function hearsOfNews({ github }: Config, { credential }: Pick<RepositoryAccess, 'credential'>): boolean {
  const isOfApp = credential !== null && 'kind' in credential && credential.kind === 'github-app';
  return isOfApp && github.app !== null && github.webhookSecret !== null;
}

/** GitHub's API for one repository. */
export interface GitHubApi {
  repository: GitHubRepository;
  /** Sends a request. @throws GitHubError */
  ask<Schema extends z.ZodType>(request: GitHubRequest<Schema>): Promise<z.output<Schema>>;
  /** Where GitHub keeps something that it does not send itself. @param what for people: what this does. @throws GitHubError */
  locate(path: string, what: string): Promise<string>;
}

/**
 * GitHub's API for a repository, or null if the repository is on no GitHub this deployment knows, or has no credential
 * that could open a pull request. A user name and password for GitHub's own host are a token, for GitHub takes no passwords.
 * @param use what an app's token is minted for: `look` reads pull requests, and checks if the app may
 * @throws GitHubError if an app's token cannot be had
 */
export async function gitHubApi(
  config: Config,
  { cloneUrl, credential }: RepositoryAccess,
  tokens: InstallationTokens = installationTokens,
  use: TokenUse = 'work',
): Promise<GitHubApi | null> {
  const { apiUrl } = config.github;
  if (credential === null) return null;
  if (!('kind' in credential)) {
    const repository = gitHubRepository(apiUrl, cloneUrl);
    return repository && isHosted(apiUrl) ? withToken(apiUrl, repository, credential.password) : null;
  }
  const repository = onGitHub(config, cloneUrl);
  if (credential.kind === 'github-token') return withToken(apiUrl, repository, credential.token);
  const app = appOf(config);
  const token = await tokens.tokenFor(apiUrl, app, repository, use);
  const withGoodToken = async <T>(ask: (token: string) => Promise<T>): Promise<T> => {
    try {
      return await ask(token);
    } catch (error) {
      // Tokens end early where the app's installation was changed.
      if (!(error instanceof GitHubError) || error.kind !== 'unauthorized') throw error;
      tokens.forget(apiUrl, app, repository, token, use);
      return ask(await tokens.tokenFor(apiUrl, app, repository, use));
    }
  };
  return {
    repository,
    ask: (request) => withGoodToken((good) => askGitHub(apiUrl, good, request)),
    locate: (path, what) => withGoodToken((good) => locateOnGitHub(apiUrl, good, path, what)),
  };
}

function withToken(apiUrl: string, repository: GitHubRepository, token: string): GitHubApi {
  return {
    repository,
    ask: (request) => askGitHub(apiUrl, token, request),
    locate: (path, what) => locateOnGitHub(apiUrl, token, path, what),
  };
}

/** GitHub's own cloud, where every password of git is a token. */
function isHosted(apiUrl: string): boolean {
  return gitHubHost(apiUrl) === 'github.com';
}

function asBasic(token: string): BasicCredential {
  return { username: TOKEN_USER, password: token };
}

function onGitHub({ github }: Config, cloneUrl: string): GitHubRepository {
  const repository = gitHubRepository(github.apiUrl, cloneUrl);
  if (repository) return repository;
  throw new GitHubError(
    'refused',
    `the repository has a credential for GitHub, but its clone address is not on ${gitHubHost(github.apiUrl)}`,
    { hint: 'Ask an admin to correct the clone address, the credential, or GITHUB_API_URL.' },
  );
}

function appOf({ github }: Config): { id: string; privateKey: string } {
  if (github.app) return github.app;
  throw new GitHubError('unauthorized', 'the repository uses a GitHub App, but none is configured', {
    hint: 'Ask an admin to set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, or to store a token for the repository.',
  });
}
