/** What GitHub says of a session's pull request: asked while somebody looks, at most once a minute for all who do. */
import * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { type GitHubApi, gitHubApi } from '../../github/access.ts';
import { GitHubError } from '../../github/errors.ts';
import { installationTokens } from '../../github/installation-tokens.ts';
import { pullRequestStatus } from '../../github/pull-request-status.ts';
import { type PullRequestStatus, pullRequestStatusSchema } from '../../protocol/pull-request.ts';
import type { Database } from '../../store/database.ts';
import { DecryptionError } from '../../store/encryption.ts';
import { findRepository } from '../../store/workspaces/repositories.ts';

/** Key under which the last answer is kept. */
const LAST_LOOK = 'pull-request-look';
/** An answer is good for so long, in ms. */
export const LOOK_EVERY_MS = 60_000;
/** GitHub may ask for a longer pause, at most so long. An answer that is good for longer was stored while the clock was ahead. */
const LONGEST_MS = 3_600_000;

/** What came of a look. `none`: there is no such pull request; `failed`: why, as a message. */
const lookSchema = z.union([
  z.object({ kind: z.literal('status'), status: pullRequestStatusSchema }),
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('failed'), message: z.string() }),
]);
export type Look = z.infer<typeof lookSchema>;

const keptSchema = z.object({
  number: z.number(),
  /** Until then it is not asked again, in ms since the epoch. */
  until: z.number(),
  look: lookSchema,
});

export interface LookOptions {
  kv: Pick<SyncKvStorage, 'get' | 'put'>;
  /** GitHub's API for the session's repository; null: there is none. @throws GitHubError, DecryptionError, DatabaseError */
  api: () => Promise<GitHubApi | null>;
  /** The clock, in ms since the epoch. */
  now: () => number;
  /** Told of each new answer. */
  onStatus: (status: PullRequestStatus) => void;
}

export class PullRequestLook {
  readonly #options: LookOptions;
  #asking: { number: number; look: Promise<Look> } | null = null;
  #isOver = false;

  constructor(options: LookOptions) {
    this.#options = options;
  }

  /** What GitHub says of it, a minute old at most; those who ask at the same time share one question. Rejects with what is neither GitHub's refusal nor a credential that cannot be decrypted. */
  async look(number: number): Promise<Look> {
    const kept = this.#kept(number);
    if (kept !== null) return kept;
    if (this.#asking?.number === number) return this.#asking.look;
    const look = this.#ask(number);
    const asking = { number, look };
    this.#asking = asking;
    try {
      return await look;
    } finally {
      if (this.#asking === asking) this.#asking = null;
    }
  }

  /** Keeps what GitHub said to the session itself, as if somebody had looked. */
  take(status: PullRequestStatus): void {
    const { kv, now } = this.#options;
    if (this.#isOver) return;
    kv.put(LAST_LOOK, { number: status.number, until: now() + LOOK_EVERY_MS, look: { kind: 'status', status } });
  }

  /** The session is deleted: an answer that is still on its way goes only to those who asked, and is not kept. */
  end(): void {
    this.#isOver = true;
  }

  /** The last answer, while it is good. */
  #kept(number: number): Look | null {
    const { kv, now } = this.#options;
    const { data: kept } = keptSchema.safeParse(kv.get(LAST_LOOK));
    if (kept?.number !== number) return null;
    const left = kept.until - now();
    return left > 0 && left <= LONGEST_MS ? kept.look : null;
  }

  async #ask(number: number): Promise<Look> {
    const { kv, api, now, onStatus } = this.#options;
    let retryAt = 0;
    let look: Look;
    try {
      const found = await api();
      const status = found && (await pullRequestStatus(found, number, now()));
      look = status ? { kind: 'status', status } : { kind: 'none' };
    } catch (error) {
      if (!(error instanceof GitHubError) && !(error instanceof DecryptionError)) throw error;
      let hint: string | null = 'Ask an admin to store the credential of the repository again.';
      if (error instanceof GitHubError) {
        hint = error.hint;
        retryAt = error.retryAt ?? 0;
      }
      look = { kind: 'failed', message: `${error.message}.${hint === null ? '' : ` ${hint}`}` };
    }
    if (this.#isOver) return look;
    const until = Math.min(Math.max(now() + LOOK_EVERY_MS, retryAt), now() + LONGEST_MS);
    kv.put(LAST_LOOK, { number, until, look });
    if (look.kind === 'status') onStatus(look.status);
    return look;
  }
}

/**
 * GitHub's API for a repository, to look on; null if there is none.
 * @throws GitHubError, DecryptionError, DatabaseError
 */
export async function apiToLook(
  config: Config,
  database: Database,
  workspaceId: string,
  repository: string | null,
): Promise<GitHubApi | null> {
  const found = repository === null ? null : await findRepository(database, workspaceId, repository);
  return found && (await gitHubApi(config, found, installationTokens, 'look'));
}
