/**
 * When a life saves: after each result, stop and crash, and again where a push failed for a reason that passes. Commits
 * and publishing are two sequences, so that a push that takes long does not hold up the next turn's commit.
 */

import { type Backoff, fullBackoff } from '../../src/lib/backoff.ts';
import { Mutex } from '../../src/lib/concurrency.ts';
import { HELD_PUSH_TOOL, type HeldPush } from '../../src/protocol/held-push.ts';
import type { Decision } from '../../src/protocol/sandbox/commands.ts';
import { repairRepository } from '../checkpoints/repair.ts';
import { after, elapsedMs, steadyNow } from '../clock.ts';
import { type Shared, shareFiles } from '../files/outgoing-files.ts';
import { GitError } from '../git/git.ts';
import { againIfKilled } from '../git/killed-git.ts';
import { fetchSubmodules } from '../git/submodules.ts';
import { fetchLargeFiles } from '../lfs/lfs.ts';
import { log } from '../log.ts';
import { readBaseline } from '../save/baseline.ts';
import { type Meeting, takeUpOutside } from '../save/branch-catch-up.ts';
import { type BranchMemory, baseNews, pullRequestNews } from '../save/branch-news.ts';
import { type CommittedWork, commitWork, findWork } from '../save/commit-work.ts';
import { leftBehind } from '../save/left-behind.ts';
import { type PublishedWork, publishWork } from '../save/publish-work.ts';
import { pullRequestTemplate } from '../save/pull-request-template.ts';
import type { IncarnationContext } from './context.ts';

const LATER_PUSHES: Backoff = { initialMs: 60_000, coefficient: 2, maximumMs: 3_600_000 };
const MAX_LATER_PUSHES = 6;
/** Somebody may push at the same moment, and once more. */
const MAX_RACES = 3;
const MAX_NOTES = 20;

export interface SavingOptions {
  /** Whether Claude is at work: then what is not committed is left to it. */
  isClaudeBusy: () => boolean;
  /** Commands that run in the background, as text for users. */
  runningCommands: () => string[];
  /** Asks people as a tool does that needs permission; null: what asked is over before they answered. Never rejects. */
  askPeople: (tool: string, input: Record<string, unknown>) => Promise<Decision | null>;
  /** The worktree is Claude's again. */
  onCommitted: () => void;
  /** The work is saved, or what could not be is reported. */
  onSaved: () => void;
}

interface Committed extends CommittedWork {
  meeting: Meeting | null;
  /** What is known to be left behind, by its tips. */
  beside: string[];
}

export class Saving {
  readonly #context: IncarnationContext;
  readonly #options: SavingOptions;
  readonly #commits = new Mutex();
  readonly #publishing = new Mutex();
  readonly #running = new Set<Promise<void>>();
  #committing = 0;
  /** Hashes of shared files that the gateway has. */
  readonly #shared = new Set<string>();
  readonly #reportedProblems = new Set<string>();
  /** Pushes that failed for a reason that passes, in a row. */
  #failedPushes = 0;
  #cancelPush = () => {};

  constructor(context: IncarnationContext, options: SavingOptions) {
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
    const save = this.#save(again, this.#context.journal.lastSeq).catch((error) => this.#context.broken('save', error));
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
    this.#cancelPush();
  }

  /**
   * Before Claude begins a turn: merges what other people pushed to the branch since the last one.
   * @returns what Claude is to be told before its prompt, null if there is nothing. Never rejects
   */
  async takeUp(): Promise<string | null> {
    const context = this.#context;
    const { record } = context;
    try {
      const news = await this.#commits.run(async () => {
        const { pullRequest } = context.start.repository;
        const over = pullRequest ? pullRequestNews(pullRequest) : null;
        const meeting = await this.#meet();
        const ofPullRequest = this.#unlessReported(over === null ? [] : [over]);
        if (!meeting) return ofPullRequest;
        const base = await baseNews(context.plan, meeting.tips);
        return [
          ...ofPullRequest,
          ...(meeting.blocked === null ? [] : [meeting.blocked]),
          ...this.#unlessReported(base === null ? [] : [base]),
        ];
      });
      const notes = [...new Set([...(record.notes ?? []), ...news])];
      record.notes = [];
      await context.remember();
      return notes.length === 0 ? null : notes.map((note) => `- ${note}`).join('\n');
    } catch (error) {
      if (!(error instanceof GitError)) context.broken('take-up', error);
      return null;
    }
  }

  /**
   * When Claude is about to end its turn: commits and pushes already, so that Claude can put right what was refused.
   * @returns what Claude can do something about and was not told before; null if there is nothing. Never rejects
   */
  async tryBeforeEnd(): Promise<string | null> {
    const context = this.#context;
    if (context.isOver) return null;
    try {
      const tried = await this.#commitAndPublish({ isAtRest: true, patch: false });
      const { advice } = tried.held === undefined ? tried : await this.#askToPush(tried, tried.held);
      const fresh = this.#unlessReported(advice);
      await context.remember();
      return fresh.length === 0 ? null : fresh.map((one) => `- ${one}`).join('\n');
    } catch (error) {
      context.broken('try-before-end', error);
      return null;
    }
  }

  /** People are asked whether it may be pushed; the turn waits. @returns what Claude is told */
  async #askToPush(tried: PublishedWork, held: HeldPush | null): Promise<{ advice: string[] }> {
    if (held === null) {
      const why = 'Nobody was asked whether these changes may be pushed, because there are too many to review.';
      return { advice: [...tried.advice, why] };
    }
    const decision = await this.#options.askPeople(HELD_PUSH_TOOL, held);
    if (decision === null || this.#context.isOver) return { advice: [] };
    if (decision.allowed) return await this.#commitAndPublish({ isAtRest: true, patch: false });
    return { advice: [...tried.advice, decision.message] };
  }

  /** @param after number of the last event before it */
  async #save(again: boolean, after: number): Promise<void> {
    const context = this.#context;
    const { commands, record } = context;
    const turn = Math.max(1, commands.unsavedTurn || commands.lastTurn);
    const since = steadyNow();
    context.emit({ type: 'step', step: 'save', status: 'started', detail: 'Saving' });
    const [saved, { files: shared, problems: unshared }] = await Promise.all([
      this.#commitAndPublish({ isAtRest: !this.#options.isClaudeBusy(), patch: true, counts: true }),
      this.#publishing.run(() => this.#share()),
    ]);
    if (context.isOver) return;
    const { head, problems, advice, retry, stale: _, held: _held, unreadable: _damaged, ...work } = saved;
    this.#planPush(retry);
    // What Claude has not been told in its turn it is told with the next prompt.
    record.notes = [...new Set([...(record.notes ?? []), ...this.#unlessReported(advice)])].slice(0, MAX_NOTES);
    context.emit({ type: 'step', step: 'save', status: 'done', durationMs: elapsedMs(since) });
    const problem = [...problems, ...unshared].join('\n');
    const { branch } = context;
    const running = this.#options.runningCommands();
    const background = { commands: running, endAfterMs: context.config.idleMs };
    const template = work.pushed && work.commits.length > 0 ? await pullRequestTemplate(context.plan) : null;
    context.emit({
      type: 'saved',
      turn,
      after,
      branch,
      head,
      ...work,
      ...(shared.length > 0 ? { shared } : {}),
      ...(template === null ? {} : { pullRequestTemplate: template }),
      ...(running.length > 0 ? { background } : {}),
      ...(again ? { again } : {}),
      ...(problem ? { problem } : {}),
    });
    record.savedHead = head;
    await context.remember();
    await context.journal.flushed();
    commands.saved(turn);
    this.#options.onSaved();
  }

  /** @param counts the worktree was held for this commit, and is Claude's again after it */
  async #commitAndPublish({
    isAtRest,
    patch,
    counts = false,
  }: {
    isAtRest: boolean;
    patch: boolean;
    counts?: boolean;
  }): Promise<PublishedWork & { head: string }> {
    let held = counts;
    const release = () => {
      if (!held) return;
      held = false;
      this.#committing -= 1;
      this.#options.onCommitted();
    };
    try {
      for (let race = 1, isSuspect = false; ; race++) {
        const commit = () => this.#commit(isAtRest, patch, isSuspect);
        const { head, problems, meeting, beside } = await this.#commits.run(commit);
        // What follows reads nothing but commits.
        release();
        const published = await this.#publishing.run(() => this.#publish(head, meeting, patch));
        const isFree = isAtRest && !this.#context.isOver && !(counts && this.#options.isClaudeBusy());
        const isToMend: boolean = published.unreadable === true && !isSuspect;
        if (!(published.stale || isToMend) || !isFree || race === MAX_RACES) {
          // People are told with what is returned here, and of no earlier race.
          if (patch) this.#memory().beside = beside;
          const all = { problems: [...problems, ...published.problems], advice: [...problems, ...published.advice] };
          return { ...published, ...all, head };
        }
        isSuspect ||= isToMend;
        // Somebody pushed at the same moment, or the repository is damaged: the worktree is needed again.
        if (counts) {
          held = true;
          this.#committing += 1;
        }
      }
    } finally {
      release();
    }
  }

  /**
   * @param isLast whether the turn is over
   * @param isSuspect something in the repository could not be read
   */
  async #commit(isAtRest: boolean, isLast: boolean, isSuspect: boolean): Promise<Committed> {
    const { plan, record } = this.#context;
    try {
      return await againIfKilled(plan.signal, () => this.#commitOnce(isAtRest, isLast, isSuspect));
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const { savedHead, baseCommit } = record;
      const problem = `The work could not be saved: ${error.message.slice(0, 300)}`;
      const beside = this.#memory().beside ?? [];
      return { head: savedHead ?? baseCommit ?? '', isAtRest: false, problems: [problem], meeting: null, beside };
    }
  }

  /** Parameters as for `#commit`. @throws GitError */
  async #commitOnce(isAtRest: boolean, isLast: boolean, isSuspect: boolean): Promise<Committed> {
    const { plan, paths } = this.#context;
    await repairRepository(this.#context, isSuspect);
    const committed = await commitWork(plan, isAtRest ? await readBaseline(paths.baseline) : null, isLast);
    const meeting = isAtRest && committed.isAtRest ? await this.#meet() : null;
    if (!meeting) {
      const { sentences, beside } = await this.#leftBehind(isAtRest ? committed.head : null);
      return { ...committed, problems: [...committed.problems, ...sentences], meeting, beside };
    }
    // It may have been moved onto what others pushed.
    const { head, problem } = await findWork(plan, true);
    const { sentences, beside } = await this.#leftBehind(head);
    const problems = new Set([...committed.problems, ...(problem === null ? [] : [problem]), ...sentences]);
    return { head, isAtRest, problems: [...problems], meeting, beside };
  }

  /**
   * What no push takes along, named once to people.
   * @param head the commit that is pushed; null: Claude is at work, and it is not looked for
   */
  async #leftBehind(head: string | null): Promise<{ sentences: string[]; beside: string[] }> {
    const told = this.#memory().beside ?? [];
    if (head === null) return { sentences: [], beside: told };
    try {
      const found = await leftBehind(this.#context.plan, head);
      const fresh = found.filter(({ tip }) => !told.includes(tip));
      return { sentences: fresh.map(({ sentence }) => sentence), beside: found.map(({ tip }) => tip) };
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      log('save.left_behind.unreadable', { error });
      return { sentences: [], beside: told };
    }
  }

  /** Looks at the host; people are told what happened there, and Claude with its next prompt. */
  async #meet(): Promise<Meeting | null> {
    const context = this.#context;
    const { record } = context;
    const memory = this.#memory();
    const meeting = await takeUpOutside(context.plan, memory, context.start.repository.pullRequest);
    if (!meeting || meeting.news.length === 0) return meeting;
    // What others pushed may have brought pointers of Git LFS, or moved submodules.
    const { plan } = context;
    const news = [...meeting.news, ...(await fetchLargeFiles(plan)), ...(await fetchSubmodules(plan))];
    record.notes = [...(record.notes ?? []), ...news].slice(-MAX_NOTES);
    await context.remember();
    for (const text of news) context.emit({ type: 'notice', text });
    return meeting;
  }

  #memory(): BranchMemory {
    const { record, start } = this.#context;
    const { pushed } = start.repository;
    record.branch ??= pushed === undefined ? {} : { tip: pushed };
    return record.branch;
  }

  #unlessReported(advice: readonly string[]): string[] {
    const { record } = this.#context;
    const told = record.told ?? [];
    // What a hook prints has other times and counts each time.
    const reasonOf = (one: string) => one.replace(/\d+/g, '#');
    const known = new Set(told.map(reasonOf));
    const fresh = [...new Set(advice)].filter((one) => !known.has(reasonOf(one)));
    record.told = [...told, ...fresh].slice(-2 * MAX_NOTES);
    return fresh;
  }

  async #publish(head: string, meeting: Meeting | null, patch: boolean): Promise<PublishedWork> {
    const { plan, record, paths } = this.#context;
    try {
      const branch = { memory: this.#memory(), meeting };
      return await publishWork(plan, head, record.savedHead, branch, patch ? paths.patch : null);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const problem = `The branch could not be read for saving: ${error.message.slice(0, 300)}`;
      const nothing = { commits: [], files: [], newCommits: 0, pushed: false, patchBytes: null };
      // What takes too long or is too much is no damage.
      const unreadable = !error.timedOut && !error.tooLarge;
      return { ...nothing, problems: [problem], advice: [], retry: false, stale: false, unreadable };
    }
  }

  async #share(): Promise<Shared> {
    const { paths, start, signal } = this.#context;
    const { files, problems } = await shareFiles(paths.share, { ...start.gateway, signal }, this.#shared);
    // A file that cannot be shared stays in the folder; it is told of once, not with every turn.
    const fresh = problems.filter((problem) => !this.#reportedProblems.has(problem));
    for (const problem of fresh) this.#reportedProblems.add(problem);
    return { files, problems: fresh };
  }

  /** Work that could not be pushed does not wait for the next turn: it is tried again, ever more rarely. */
  #planPush(failed: boolean): void {
    this.close();
    this.#failedPushes = failed ? this.#failedPushes + 1 : 0;
    if (!failed || this.#failedPushes > MAX_LATER_PUSHES) return;
    this.#cancelPush = after(fullBackoff(LATER_PUSHES, this.#failedPushes), () => this.retryPush());
  }
}
