/** Addresses and credentials of repositories, kept in the isolate for a moment: a clone asks for them three times. */
import type { Config } from '../config.ts';
import { log } from '../observability/log.ts';
import { findRepository, openDatabase } from '../store/database.ts';
import { DecryptionError } from '../store/encryption.ts';
import type { GitRemote } from './git-host.ts';
import type { Claims } from './token.ts';

/** How long a repository is believed to be as it was, in ms. */
const TTL_MS = 30_000;
const MAX_KNOWN = 200;

export class Remotes {
  readonly #known = new Map<string, { remote: GitRemote; until: number }>();

  /**
   * The way to a session's repository, or a sentence saying why there is none.
   * @throws NotMigratedError, DatabaseError
   */
  async find(d1: D1Database, config: Config, claims: Claims): Promise<GitRemote | string> {
    const key = JSON.stringify([claims.w, claims.r]);
    const known = this.#known.get(key);
    if (known && known.until > Date.now()) return known.remote;
    try {
      const repository = await findRepository(
        openDatabase(d1, config.encryptionKey, config.oldEncryptionKey),
        claims.w,
        claims.r,
      );
      if (!repository) return `the repository ${claims.r} is not configured any more`;
      const remote = { cloneUrl: repository.cloneUrl, credential: repository.credential };
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(key, { remote, until: Date.now() + TTL_MS });
      return remote;
    } catch (error) {
      if (!(error instanceof DecryptionError)) throw error;
      log('gateway.git.credential-unreadable', { repository: claims.r, error });
      return error.message;
    }
  }
}
