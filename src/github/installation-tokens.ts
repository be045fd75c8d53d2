/**
 * Installation tokens of a GitHub App: minted for one repository with the least rights, and kept in the isolate until
 * shortly before they end. They are never stored.
 */
import * as z from 'zod';
import { withTimeout } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import type { GitHubRepository } from './address.ts';
import { AppKeyError, importAppKey, signAppToken } from './app-key.ts';
import { GitHubError } from './errors.ts';
import { askGitHub } from './request.ts';

/** A GitHub App as this deployment is configured. */
export interface GitHubApp {
  /** The app's id, or its client id. */
  id: string;
  /** Its private key, PEM. */
  privateKey: string;
}

/** What a token is for: the work itself, or to look at what became of a pull request. */
export type TokenUse = 'work' | 'look';

/**
 * What a token may do, and nothing else; GitHub adds reading the repository's metadata. Of several the first that the installation
 * grants: an app that may not read checks still tells the state of a pull request.
 */
const PERMISSIONS: Record<TokenUse, readonly Record<string, 'read' | 'write'>[]> = {
  work: [{ contents: 'write', pull_requests: 'write' }],
  look: [
    { pull_requests: 'read', checks: 'read', statuses: 'read', actions: 'read' },
    { pull_requests: 'read', checks: 'read', statuses: 'read' },
    { pull_requests: 'read' },
  ],
};
/** A token is not used in its last minutes: a push that begins with it may take a while. */
const SPARE_MS = 5 * 60_000;
/** Longest wait for somebody else's minting; it may belong to a request that was cut off. */
const JOIN_LIMIT_MS = 20_000;
const MAX_KNOWN = 500;

const installationSchema = z.object({ id: z.number().int() });
const mintedSchema = z.object({
  token: z.string().min(1),
  expires_at: z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
});

interface Minted {
  token: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** The token that is to be minted. */
interface Wanted {
  apiUrl: string;
  app: GitHubApp;
  repository: GitHubRepository;
  use: TokenUse;
}

export class InstallationTokens {
  readonly #known = new Map<string, Minted>();
  readonly #minting = new Map<string, Promise<Minted>>();
  readonly #installations = new Map<string, number>();
  readonly #now: () => number;

  /** @param now the clock, in milliseconds since the epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * A token for this repository that is good for five minutes at least.
   * @throws GitHubError
   */
  async tokenFor(
    apiUrl: string,
    app: GitHubApp,
    repository: GitHubRepository,
    use: TokenUse = 'work',
  ): Promise<string> {
    const key = keyOf(apiUrl, app, repository, use);
    const known = this.#known.get(key);
    if (known && known.expiresAt - SPARE_MS > this.#now()) return known.token;
    for (;;) {
      const underWay = this.#minting.get(key);
      const minted = await (underWay
        ? this.#join(key, underWay)
        : this.#mintOnce(key, { apiUrl, app, repository, use }));
      if (minted) return minted.token;
    }
  }

  /** Forgets a token that GitHub or the git host refused; the next one is minted again, from a fresh look at the installation. */
  forget(apiUrl: string, app: GitHubApp, repository: GitHubRepository, token: string, use: TokenUse = 'work'): void {
    const key = keyOf(apiUrl, app, repository, use);
    if (this.#known.get(key)?.token === token) this.#known.delete(key);
    this.#installations.delete(key);
  }

  /** What a minting under way brings, unless it takes too long or fails for the one who began it. */
  async #join(key: string, underWay: Promise<Minted>): Promise<Minted | null> {
    try {
      return await withTimeout(
        JOIN_LIMIT_MS,
        (signal) =>
          new Promise<Minted>((resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
            underWay.then(resolve, reject);
          }),
      );
    } catch (error) {
      // GitHub's word counts for everybody; a request that was cut off does not.
      if (error instanceof GitHubError) throw error;
      if (this.#minting.get(key) === underWay) this.#minting.delete(key);
      return null;
    }
  }

  async #mintOnce(key: string, wanted: Wanted): Promise<Minted> {
    const minting = this.#mint(key, wanted);
    this.#minting.set(key, minting);
    try {
      const minted = await minting;
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(key, minted);
      return minted;
    } finally {
      if (this.#minting.get(key) === minting) this.#minting.delete(key);
    }
  }

  async #mint(key: string, wanted: Wanted): Promise<Minted> {
    const { apiUrl, app, repository, use } = wanted;
    const { owner, name } = repository;
    const jwt = await appToken(app, this.#now());
    const known = this.#installations.get(key);
    const id = known ?? (await findInstallation(apiUrl, jwt, repository));
    try {
      const minted = await mintFirst(PERMISSIONS[use], (permissions) =>
        askGitHub(apiUrl, jwt, {
          method: 'POST',
          path: `/app/installations/${id}/access_tokens`,
          what: `get a token for ${owner}/${name}`,
          body: { repositories: [name], permissions },
          answer: mintedSchema,
        }),
      );
      if (this.#installations.size >= MAX_KNOWN) this.#installations.clear();
      this.#installations.set(key, id);
      log('github.token.minted', { repository: `${owner}/${name}`, expiresAt: minted.expires_at });
      return { token: minted.token, expiresAt: minted.expires_at };
    } catch (error) {
      if (!(error instanceof GitHubError)) throw error;
      this.#installations.delete(key);
      // It may have been installed again, under another id.
      if (error.kind === 'not-found' && known !== undefined) return this.#mint(key, wanted);
      throw explained(error, repository);
    }
  }
}

/** The tokens of this isolate. */
export const installationTokens = new InstallationTokens();

function keyOf(apiUrl: string, { id }: GitHubApp, { owner, name }: GitHubRepository, use: TokenUse): string {
  return JSON.stringify([apiUrl, id, `${owner}/${name}`.toLowerCase(), use]);
}

/** Mints with the first of these permissions that GitHub gives. @throws GitHubError of the last */
async function mintFirst<T>(
  all: readonly Record<string, 'read' | 'write'>[],
  mint: (permissions: Record<string, 'read' | 'write'>) => Promise<T>,
): Promise<T> {
  for (const permissions of all.slice(0, -1)) {
    try {
      return await mint(permissions);
    } catch (error) {
      if (!(error instanceof GitHubError) || error.kind !== 'refused') throw error;
    }
  }
  return mint(all.at(-1) ?? {});
}

/** The token by which a GitHub App speaks for itself. @throws GitHubError */
export async function appToken(app: GitHubApp, now: number): Promise<string> {
  try {
    return await signAppToken(await importAppKey(app.privateKey), app.id, now);
  } catch (error) {
    if (!(error instanceof AppKeyError)) throw error;
    throw new GitHubError('unauthorized', error.message, {
      cause: error,
      hint: 'Ask an admin to store the key again.',
    });
  }
}

async function findInstallation(apiUrl: string, jwt: string, { owner, name }: GitHubRepository): Promise<number> {
  try {
    const { id } = await askGitHub(apiUrl, jwt, {
      method: 'GET',
      path: `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}/installation`,
      what: `find the GitHub App's installation on ${owner}/${name}`,
      answer: installationSchema,
    });
    return id;
  } catch (error) {
    if (error instanceof GitHubError) throw explained(error, { owner, name });
    throw error;
  }
}

/** GitHub's refusals in terms of the app, whose admin reads them. */
function explained(error: GitHubError, { owner, name }: GitHubRepository): GitHubError {
  const { said } = error;
  const words = said.length > 0 ? ` (${said.join('; ')})` : '';
  switch (error.kind) {
    case 'unauthorized':
      return new GitHubError('unauthorized', `GitHub does not accept the key of the GitHub App${words}`, {
        said,
        cause: error,
        hint: 'Ask an admin to check that GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY belong to the same app and that its key was not removed.',
      });
    case 'not-found':
      return new GitHubError('not-found', `the GitHub App is not installed on ${owner}/${name}`, {
        said,
        cause: error,
        hint: `Ask an owner of ${owner} to install the app there, or to add ${name} to the repositories it may use; or ask a Cyrus admin to store a token for the repository.`,
      });
    case 'forbidden':
      return new GitHubError('forbidden', `the GitHub App's installation on ${owner}/${name} is suspended${words}`, {
        said,
        cause: error,
        hint: `Ask an owner of ${owner} to unsuspend it.`,
      });
    case 'refused':
      return new GitHubError('refused', `GitHub refuses the GitHub App a token for ${owner}/${name}${words}`, {
        said,
        cause: error,
        hint: `The app needs write access to contents and to pull requests, and ${name} among its repositories: ask an owner of ${owner} to accept that.`,
      });
    default:
      return error;
  }
}
