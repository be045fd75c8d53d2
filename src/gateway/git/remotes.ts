/** Addresses and credentials of repositories, kept in the isolate for a moment: a clone asks for them three times. */
import type { Config } from '../../config/config.ts';
import { gitAccess } from '../../github/access.ts';
import { gitHubRepository } from '../../github/address.ts';
import { GitHubError } from '../../github/errors.ts';
import { log } from '../../observability/log.ts';
import type { RepositorySettings } from '../../protocol/settings/repository.ts';
import { openDatabase } from '../../store/database.ts';
import { DecryptionError } from '../../store/encryption.ts';
import { identityOf } from '../../store/repository-cache.ts';
import { findRepository, listRepositoriesAt, type Repository } from '../../store/workspaces/repositories.ts';
import type { Claims } from '../token.ts';
import type { GitRefusal, GitRemote } from './host.ts';
import { submoduleAddress } from './submodules.ts';

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
      if (!repository) return { status: 403, message: `the repository ${claims.r} is no longer configured` };
      if (claims.i !== undefined && claims.i !== (await identityOf(claims.w, repository.cloneUrl))) {
        const message = `the clone address of ${claims.r} changed since this session began: its work may belong to another repository, so nothing is fetched or pushed. To continue, ask an admin to restore the address; for the repository as configured now, use another issue`;
        return { status: 403, message };
      }
      const { credential, renew } = await gitAccess(config, repository);
      const { workflows, workflowPaths: paths } = repository.settings.pullRequest;
      const held = workflows === 'hold' ? { baseBranch: repository.baseBranch, paths } : null;
      return { cloneUrl: repository.cloneUrl, credential, renew, held };
    } catch (error) {
      if (error instanceof GitHubError) return refusalOf(error, claims);
      if (!(error instanceof DecryptionError)) throw error;
      log('gateway.git_credential.unreadable', { repository: claims.r, error });
      return { status: 403, message: error.message };
    }
  }

  /** The branch that an admin has set as base of the session's repository; null if none is configured. @throws NotMigratedError, DatabaseError */
  async baseBranch(d1: D1Database, config: Config, claims: Claims): Promise<string | null> {
    return (await this.#repository(d1, config, claims))?.baseBranch ?? null;
  }

  /**
   * The way to a submodule of the session's repository, to read it:
   * - one that an admin has set for the same workspace, by its own credential, unless rules of its own say who may ask there
   * - one that only another workspace has set: not at all
   * - any other at the same host: by the credential of the session's repository; a GitHub App's counts for repositories of the
   *   same owner, and others are asked for without one, as public ones
   * @param url as `.gitmodules` has it
   * @throws NotMigratedError, DatabaseError
   */
  async findModule(d1: D1Database, config: Config, claims: Claims, url: string): Promise<GitRemote | GitRefusal> {
    const refuse = (why: string): GitRefusal => ({
      status: 403,
      message: `the submodule ${url} is not fetched: ${why}`,
    });
    try {
      const own = await this.#repository(d1, config, claims);
      if (!own) return refuse(`the repository ${claims.r} is no longer configured`);
      const found = submoduleAddress(url, own.cloneUrl);
      if ('why' in found) return refuse(found.why);
      const { address } = found;
      const database = openDatabase(d1, config.encryptionKey, config.oldEncryptionKey);
      const known = await listRepositoriesAt(database, address);
      const [ours] = known.filter(({ workspaceId }) => workspaceId === claims.w);
      if (ours && ours.fullName !== claims.r && hasRules(ours.settings)) {
        return refuse(`access rules of its own apply to ${ours.fullName}`);
      }
      if (!ours && known.length > 0) return refuse('it belongs to another workspace');
      const repository = ours ? await findRepository(database, claims.w, ours.fullName) : null;
      const cloneUrl = repository?.cloneUrl ?? address;
      const access = { cloneUrl, credential: (repository ?? own).credential };
      if (!repository && !isWithinReach(config, own, address)) return { cloneUrl, credential: null };
      const { credential, renew } = await gitAccess(config, access);
      return { cloneUrl, credential, renew };
    } catch (error) {
      if (error instanceof GitHubError) return refusalOf(error, claims);
      if (!(error instanceof DecryptionError)) throw error;
      log('gateway.git_credential.unreadable', { repository: claims.r, error });
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

/** A GitHub App is installed for each owner by itself: what it reads of one is nothing to sessions of another. */
function isWithinReach(config: Config, { cloneUrl, credential }: Repository, address: string): boolean {
  if (credential === null || !('kind' in credential) || credential.kind !== 'github-app') return true;
  const owner = (url: string) => gitHubRepository(config.github.apiUrl, url)?.owner.toLowerCase();
  return owner(cloneUrl) !== undefined && owner(cloneUrl) === owner(address);
}

function hasRules(settings: RepositorySettings): boolean {
  const { allowedUsers, blockedUsers, allowedTeams, blockedTeams } = settings;
  return [allowedUsers, blockedUsers, allowedTeams, blockedTeams].some((names) => names.length > 0);
}

/** GitHub gives out no token: what git prints. */
function refusalOf(error: GitHubError, claims: Claims): GitRefusal {
  log('gateway.git_token.missing', { session: claims.s, repository: claims.r, kind: error.kind, error });
  const message = error.hint === null ? error.message : `${error.message}. ${error.hint}`;
  if (!error.retryable) return { status: 403, message };
  const seconds = error.retryAt === null ? 10 : Math.max(1, Math.ceil((error.retryAt - Date.now()) / 1000));
  return { status: 503, message, retryAfter: String(seconds) };
}
