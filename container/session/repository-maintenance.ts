/**
 * What is done for the repository beside the work, and never in its way: the history that a first fetch left out is fetched,
 * and after a save the bundle at the gateway is brought up to date.
 */

import { pause } from '../clock.ts';
import { CacheError } from '../gateway/cache-client.ts';
import { refreshBundle } from '../git/bundle.ts';
import { GitError } from '../git/git.ts';
import { wholeHistory } from '../git/workspace.ts';
import { log } from '../log.ts';
import type { IncarnationContext } from './context.ts';

/** The CLI is just being started, or a save was just reported, and the next prompt may follow at once. */
const PAUSE_MS = 1_000;

export class RepositoryUpkeep {
  readonly #context: IncarnationContext;
  readonly #isBusy: () => boolean;
  #history: Promise<boolean> | null = null;
  #refreshing: Promise<void> | null = null;
  /** The bundle is brought up to date once in a life. */
  #isRefreshed = false;

  /** @param isBusy whether Claude or a save is at work */
  constructor(context: IncarnationContext, isBusy: () => boolean) {
    this.#context = context;
    this.#isBusy = isBusy;
  }

  /** To be called when the worktree is ready. Nothing waits for it. */
  completeHistorySoon(): void {
    this.#history ??= this.#completeHistory().catch((error: unknown) => {
      this.#context.broken('history', error);
      return false;
    });
  }

  /** To be called when the work was saved. Nothing waits for it. */
  refreshBundleSoon(): void {
    if (this.#isRefreshed || this.#refreshing || this.#context.isOver) return;
    this.#refreshing = this.#refresh()
      .catch((error: unknown) => {
        if (this.#context.isOver) return;
        if (!(error instanceof CacheError || error instanceof GitError)) this.#context.broken('bundle', error);
        log('git.bundle_update.failed', { error });
      })
      .finally(() => {
        this.#refreshing = null;
      });
  }

  /** Resolves when nothing runs; soon once the life is over, whose end cuts off gits and requests. */
  async settled(): Promise<void> {
    await Promise.all([this.#history, this.#refreshing]);
  }

  async #completeHistory(): Promise<boolean> {
    await pause(PAUSE_MS, this.#context.signal);
    if (this.#context.isOver) return false;
    // It may wait for another session that uses the mirror; the end of this one does not.
    return await Promise.race([wholeHistory(this.#context.plan), this.#end()]);
  }

  #end(): Promise<false> {
    const { signal } = this.#context;
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(false), { once: true }));
  }

  async #refresh(): Promise<void> {
    await pause(PAUSE_MS, this.#context.signal);
    if (this.#context.isOver || this.#isBusy() || !(await (this.#history ?? true))) return;
    this.#isRefreshed = true;
    await refreshBundle(this.#context.plan);
  }
}
