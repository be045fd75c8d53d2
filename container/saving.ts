/**
 * When a life saves: after each result, stop and crash, and again where a push failed for a reason that passes. Commits
 * and publishing are two sequences, so that a push that takes long does not hold up the next turn's commit.
 */
import { GitError } from './git.ts';
import type { LifeContext } from './life-context.ts';
import { type CommittedWork, commitWork, type PublishedWork, publishWork } from './save.ts';
import { Sequence } from './sequence.ts';
import { type Shared, shareFiles } from './share.ts';

const FIRST_LATER_PUSH_MS = 60_000;
const MAX_LATER_PUSHES = 6;

export interface SavingOptions {
  /** Whether Claude is at work: then what is not committed is left to it. */
  isClaudeBusy: () => boolean;
  /** Commands that run in the background, in words for people. */
  runningCommands: () => string[];
  /** The worktree is Claude's again. */
  onCommitted: () => void;
  /** The work is saved, or what could not be is reported. */
  onSaved: () => void;
}

export class Saving {
  readonly #context: LifeContext;
  readonly #options: SavingOptions;
  readonly #commits = new Sequence();
  readonly #publishing = new Sequence();
  readonly #running = new Set<Promise<void>>();
  #committing = 0;
  /** Hashes of shared files that the gateway has. */
  readonly #shared = new Set<string>();
  readonly #toldProblems = new Set<string>();
  /** Pushes that failed for a reason that passes, in a row. */
  #failedPushes = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: LifeContext, options: SavingOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** True while commits are due: a prompt must wait, or half of its work would be committed with the last turn's. */
  get isCommitting(): boolean {
    return this.#committing > 0;
  }

  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /**
   * Saves in the background; reported by one `saved`.
   * @param again a save that was reported before is repeated: it ends no turn
   */
  soon(again = false): void {
    if (this.#context.isOver) return;
    this.#committing += 1;
    const save = this.#save(again).catch((error) => this.#context.broken('save', error));
    this.#running.add(save);
    void save.then(() => this.#running.delete(save));
  }

  /** The gateway is back after it was away: what could not be pushed may be now. */
  retryPush(): void {
    if (this.#failedPushes > 0 && !this.isBusy && !this.#options.isClaudeBusy()) this.soon(true);
  }

  /** Resolves when all saves asked for so far are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** No later tries. */
  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #save(again: boolean): Promise<void> {
    const context = this.#context;
    const { commands, record } = context;
    const turn = Math.max(1, commands.unsavedTurn || commands.lastTurn);
    const since = Date.now();
    context.emit({ type: 'step', step: 'save', status: 'started', detail: 'Saving' });
    const { head, problems } = await this.#commits.run(() => this.#commit());
    await this.#publishing.run(async () => {
      const [published, { files: shared, problems: unshared }] = await Promise.all([
        this.#publish(head),
        this.#share(),
      ]);
      const { retry, problems: more, ...work } = published;
      if (context.isOver) return;
      this.#planPush(retry);
      context.emit({ type: 'step', step: 'save', status: 'done', durationMs: Date.now() - since });
      const problem = [...problems, ...more, ...unshared].join('\n');
      const { branch } = context.start.repository;
      const running = this.#options.runningCommands();
      const background = { commands: running, endAfterMs: context.config.idleMs };
      context.emit({
        type: 'saved',
        turn,
        branch,
        head,
        ...work,
        ...(shared.length > 0 ? { shared } : {}),
        ...(running.length > 0 ? { background } : {}),
        ...(again ? { again } : {}),
        ...(problem ? { problem } : {}),
      });
      record.savedHead = head;
      await context.remember();
      await context.journal.flushed();
      commands.saved(turn);
      this.#options.onSaved();
    });
  }

  async #commit(): Promise<CommittedWork> {
    try {
      return await commitWork(this.#context.plan, !this.#options.isClaudeBusy());
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const { savedHead, baseCommit } = this.#context.record;
      const problem = `The work could not be saved: ${error.message.slice(0, 300)}`;
      return { head: savedHead ?? baseCommit ?? '', problems: [problem] };
    } finally {
      this.#committing -= 1;
      this.#options.onCommitted();
    }
  }

  async #publish(head: string): Promise<PublishedWork> {
    const { plan, record, paths } = this.#context;
    try {
      return await publishWork(plan, head, record.savedHead, paths.patch);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const problem = `The branch could not be read for saving: ${error.message.slice(0, 300)}`;
      const nothing = { commits: [], files: [], newCommits: 0, pushed: false, patchBytes: null, retry: false };
      return { ...nothing, problems: [problem] };
    }
  }

  async #share(): Promise<Shared> {
    const { paths, start, signal } = this.#context;
    const { files, problems } = await shareFiles(paths.share, { ...start.gateway, signal }, this.#shared);
    // A file that cannot be shared stays in the folder; it is told of once, not with every turn.
    const fresh = problems.filter((problem) => !this.#toldProblems.has(problem));
    for (const problem of fresh) this.#toldProblems.add(problem);
    return { files, problems: fresh };
  }

  /** Work that could not be pushed does not wait for the next turn: it is tried again, ever more rarely. */
  #planPush(failed: boolean): void {
    this.close();
    this.#failedPushes = failed ? this.#failedPushes + 1 : 0;
    if (!failed || this.#failedPushes > MAX_LATER_PUSHES) return;
    this.#timer = setTimeout(() => this.retryPush(), FIRST_LATER_PUSH_MS * 2 ** (this.#failedPushes - 1));
  }
}
