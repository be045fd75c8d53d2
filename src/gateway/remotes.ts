/** Addresses and credentials of repositories, kept in the isolate for a moment: a clone asks for them three times. */
import type { Config } from '../config.ts';
import { gitAccess } from '../github/access.ts';
import { GitHubError } from '../github/errors.ts';
import { log } from '../observability/log.ts';
import { findRepository, openDatabase, type Repository } from '../store/database.ts';
import { DecryptionError } from '../store/encryption.ts';
import { identityOf } from '../store/repository-identity.ts';
import type { GitRefusal, GitRemote } from './git-host.ts';
import type { Claims } from './token.ts';

/** How long a repository is believed to be as it was, in ms. Far shorter than what a GitHub App's token is good for. */
const TTL_MS = 30_000;
const MAX_KNOWN = 200;

export class Remotes {
  readonly #known = new Map<string, { repository: Repository; until: number }>();

  /**
   * The way to a session's repository, or why there is none.
   * @throws NotMigratedError, DatabaseError
   */
  async find(d1: D1Database, config: Config, claims: Claims): Promise<GitRemote | GitRefusal> {
    try {
      const repository = await this.#repository(d1, config, claims);
      if (!repository) return { status: 403, message: `the repository ${claims.r} is not configured any more` };
      if (claims.i !== undefined && claims.i !== (await identityOf(claims.w, repository.cloneUrl))) {
        const message = `the clone address of ${claims.r} was changed since this session began: what is here may be of another repository, so nothing is fetched or pushed. To go on, have the address set back; for the repository as it is set now, begin with another issue`;
        return { status: 403, message };
      }
      const { credential, renew } = await gitAccess(config, repository);
      return { cloneUrl: repository.cloneUrl, credential, renew };
    } catch (error) {
      if (error instanceof GitHubError) return refusalOf(error, claims);
      if (!(error instanceof DecryptionError)) throw error;
      log('gateway.git.credential-unreadable', { repository: claims.r, error });
      return { status: 403, message: error.message };
    }
  }

  async #repository(d1: D1Database, config: Config, claims: Claims): Promise<Repository | null> {
    const key = JSON.stringify([claims.w, claims.r]);
    const known = this.#known.get(key);
    if (known && known.until > Date.now()) return known.repository;
    const database = openDatabase(d1, config.encryptionKey, config.oldEncryptionKey);
    const repository = await findRepository(database, claims.w, claims.r);
    if (!repository) return null;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(key, { repository, until: Date.now() + TTL_MS });
    return repository;
  }
}

/** GitHub gives out no token: what git prints. */
function refusalOf(error: GitHubError, claims: Claims): GitRefusal {
  log('gateway.git.no-token', { session: claims.s, repository: claims.r, kind: error.kind, error });
  const message = error.hint === null ? error.message : `${error.message}. ${error.hint}`;
  if (!error.retryable) return { status: 403, message };
  const seconds = error.retryAt === null ? 10 : Math.max(1, Math.ceil((error.retryAt - Date.now()) / 1000));
  return { status: 503, message, retryAfter: String(seconds) };
}
