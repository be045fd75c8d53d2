/**
 * When checkpoints are made, and of what. After each batch of tools and each turn, one at a time, the latest moment wins.
 * Claude thinks on meanwhile. Its next tool that could change something waits for those before it, unless they ended less than
 * half a second ago and are few (pending.ts): no model answers faster, but the CLI writes its transcript only a tenth
 * of a second after it has printed the same. The word that a turn has ended, and the end of the server, wait in any case.
 * First the objects are stored, then the issue session has to know every event the checkpoint comprises, and only then the
 * manifest makes it count: so whatever Claude remembers after a restore is in the journal too.
 */
import { readFile, rm } from 'node:fs/promises';
import { type Backoff, fullBackoff } from '../../src/lib/backoff.ts';
import { messageOf } from '../../src/lib/error.ts';
import type { CheckpointManifest, CheckpointObject } from '../../src/protocol/checkpoint.ts';
import { promptsInLines } from '../claude/transcript.ts';
import { after, elapsedMs, steadyNow } from '../clock.ts';
import { CheckpointStoreError, putManifest, putObject } from '../gateway/checkpoint-client.ts';
import type { GatewayAccess } from '../gateway/request.ts';
import { isUnfinishedClone } from '../git/clone.ts';
import { GitError } from '../git/git.ts';
import { log } from '../log.ts';
import type { IncarnationContext } from '../session/context.ts';
import { BundleTooLargeError, commitsOnHost, writeBundle } from './bundle.ts';
import { StoredConversation } from './conversation.ts';
import { rememberCheckpoint } from './last-checkpoint.ts';
import { PendingMoments } from './pending.ts';
import { repairRepository } from './repair.ts';
import { type ShippedSnapshot, type WorktreeSnapshot, WorktreeSnapshots } from './worktree.ts';

/** A chain of more bundles is made again as one. */
const MAX_CHAIN = 24;
/** Of a longer conversation only the last prompts matter: those of the turn. */
const MAX_PROMPTS = 500;
/** Longest time that the next tool, or the end of a turn, waits for the checkpoint of the tools before it. */
const KEPT_PATIENCE_MS = 10_000;
/** Longest wait for the issue session to have stored what a checkpoint comprises. */
const STORED_PATIENCE_MS = 30_000;
const RETRIES: Backoff = { initialMs: 2_000, coefficient: 2, maximumMs: 60_000 };
/** The CLI is being started until then. */
const PREPARE_PAUSE_MS = 1_500;
/** People are told after so many failures in a row. */
const FAILURES_TOLD = 3;
/** Work that is too large is packed again only after this long, or at the end of a turn. */
const TOO_LARGE_PAUSE_MS = 60_000;

/** A moment worth keeping. */
interface Moment {
  number: number;
  /** Last event that was reported by then. */
  eventSeq: number;
  /** Ids of the tool calls whose results were just reported; null: a turn has ended, or everything will. */
  results: string[] | null;
}

export interface CheckpointOptions {
  /** Whether the worktree is ready. */
  mayStart: () => boolean;
  /** Waits until the issue session has stored the events up to this one. */
  stored: (seq: number, limitMs: number) => Promise<boolean>;
}

/** The bundles that hold the worktree so far, and the commit they lead to. */
interface Chain extends ShippedSnapshot {
  bundles: CheckpointObject[];
}

export class Checkpoints {
  readonly #context: IncarnationContext;
  readonly #options: CheckpointOptions;
  readonly #worktree: WorktreeSnapshots;
  #conversation: StoredConversation;
  readonly #pending = new PendingMoments();
  /** Prompts that were found in what is stored of Claude's files. */
  readonly #prompts = new Set<string>();
  #chain: Chain | null = null;
  #sequence = 0;
  #wanted: Moment | null = null;
  #running: Promise<void> | null = null;
  #failures = 0;
  #cancelRetry = () => {};
  /** Until then work that was too large is not packed again. */
  #tooLargeUntil = 0;
  /** What earlier lives stored may go. */
  #isSettled = false;
  #told = '';

  constructor(context: IncarnationContext, options: CheckpointOptions) {
    const { paths, start } = context;
    this.#context = context;
    this.#options = options;
    // What an earlier life was asked is in the conversation that this one took up.
    for (const id of start.restore?.prompts ?? []) this.#prompts.add(id);
    this.#worktree = new WorktreeSnapshots(() => context.plan, paths.checkpoint);
    this.#conversation = this.#stored(start.claude.conversationId);
  }

  /** @param results as in `Moment` */
  soon(results: string[] | null): void {
    if (this.#context.isOver || !this.#options.mayStart()) return;
    if (results !== null && steadyNow() < this.#tooLargeUntil) return;
    this.#wanted = { number: this.#pending.add(), eventSeq: this.#context.journal.lastSeq, results };
    this.#stopWaiting();
    this.#running ??= this.#run();
  }

  /** Looks at the worktree once before there is anything to keep, so that the first checkpoint is as quick as the others. */
  prepareSoon(): void {
    const begin = () => {
      if (this.#running === null && !this.#context.isOver && this.#options.mayStart()) this.#running = this.#prepare();
    };
    const cancel = after(PREPARE_PAUSE_MS, begin, { background: true });
    this.#context.signal.addEventListener('abort', cancel);
  }

  /** A turn is over and saved: from now on nothing of earlier lives is needed. */
  turnSaved(): void {
    this.#isSettled = true;
    this.soon(null);
  }

  /** Makes a checkpoint of what is there now, and waits for it. Never rejects. */
  async now(): Promise<void> {
    this.soon(null);
    await this.#running;
  }

  /**
   * What is not kept yet: resolves when it is, or after a while. Never rejects.
   * @param slackMs what is younger than this need not be waited for, where it is little (pending.ts); null: all is
   * @returns null if nothing is to be waited for, or if checkpoints fail: work continues without them
   */
  unkept(slackMs: number | null = null): Promise<void> | null {
    return this.#pending.kept(slackMs, KEPT_PATIENCE_MS);
  }

  /** No later tries. What runs ends with the life. */
  close(): void {
    this.#stopWaiting();
    this.#wanted = null;
    this.#pending.abandon();
    this.#worktree.close();
  }

  /** Resolves when nothing runs. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #prepare(): Promise<void> {
    try {
      await this.#worktree.take(null);
    } catch (error) {
      if (!(error instanceof GitError)) this.#context.broken('checkpoint', error);
    }
    await this.#run();
  }

  async #run(): Promise<void> {
    while (this.#wanted && !this.#context.isOver) {
      const moment = this.#wanted;
      this.#wanted = null;
      try {
        await this.#make(moment);
        if (this.#failures >= FAILURES_TOLD) this.#tell('Work is saved outside the sandbox again.');
        this.#failures = 0;
        this.#pending.keptUpTo(moment.number);
      } catch (error) {
        this.#failed(moment, error);
      }
    }
    this.#running = null;
  }

  #failed(moment: Moment, error: unknown): void {
    const context = this.#context;
    if (context.isOver) return;
    if (error instanceof BundleTooLargeError) {
      this.#tooLargeUntil = steadyNow() + TOO_LARGE_PAUSE_MS;
      this.#pending.keptUpTo(moment.number);
      this.#tell(`The work in progress is not saved outside the sandbox until it is pushed: ${error.message}.`);
      return;
    }
    log('checkpoint.attempt.failed', { sessionId: context.sessionId, error, failures: this.#failures });
    const isKnown = error instanceof GitError || error instanceof CheckpointStoreError;
    if (!isKnown) context.broken('checkpoint', error);
    // What was sent may be half known, and what is known of the worktree may be wrong: the next one begins from nothing.
    this.#chain = null;
    this.#failures += 1;
    const delay = fullBackoff(RETRIES, this.#failures);
    this.#pending.abandon();
    if (this.#failures === FAILURES_TOLD) {
      const why = messageOf(error).slice(0, 200);
      this.#tell(
        `Checkpoints fail (${why}): work is not saved outside the sandbox until one succeeds. Cyrus keeps trying.`,
      );
    }
    this.#stopWaiting();
    const retry = () => this.soon(moment.results === null ? null : []);
    this.#cancelRetry = after(delay, retry, { background: true });
  }

  #stopWaiting(): void {
    this.#cancelRetry();
  }

  /** One line in the journal, once for each thing to say. */
  #tell(text: string): void {
    if (this.#told === text) return;
    this.#told = text;
    this.#context.emit({ type: 'notice', text });
  }

  #findPrompts(content: Buffer): void {
    const unread = this.#context.commands.promptIds.filter((id) => !this.#prompts.has(id));
    for (const id of promptsInLines(content, unread)) this.#prompts.add(id);
  }

  async #make(moment: Moment): Promise<void> {
    const context = this.#context;
    const { start } = context;
    const begun = steadyNow();
    const access: GatewayAccess = { gateway: start.gateway, signal: context.signal };
    this.#followConversation(start.claude.conversationId);
    this.#sequence += 1;
    const sequence = this.#sequence;
    const before = this.#chain && this.#chain.bundles.length < MAX_CHAIN ? this.#chain : null;
    // The worktree at once, before Claude goes on; the transcript says by itself how far it goes.
    const [snapshot, first] = await Promise.all([
      this.#snapshot(before, moment.results === null),
      this.#conversation.changes(moment.results),
    ]);
    let changed = first;
    const snapshotMs = elapsedMs(begun);
    const chain = await this.#ship(access, sequence, snapshot, before);
    let bytes = chain === before ? 0 : (chain.bundles.at(-1)?.bytes ?? 0);
    bytes += await this.#conversation.ship(access, sequence, changed.changes);
    while (changed.more) {
      changed = await this.#conversation.changes([]);
      bytes += await this.#conversation.ship(access, sequence, changed.changes);
    }
    const isStored = await this.#options.stored(moment.eventSeq, STORED_PATIENCE_MS);
    if (!isStored) {
      throw new CheckpointStoreError('the events before it are not stored', { passes: true, status: null });
    }
    const manifest: CheckpointManifest = {
      version: 1,
      generation: start.generation,
      sequence,
      at: Date.now(),
      conversationId: start.claude.conversationId,
      repository: start.repository.fullName,
      branch: start.repository.branch,
      eventSeq: moment.eventSeq,
      prompts: [...this.#prompts].slice(-MAX_PROMPTS),
      worktree: {
        commit: chain.commit,
        index: snapshot.index,
        head: snapshot.head,
        headRef: snapshot.headRef,
        branchHead: snapshot.branchHead,
        bundles: chain.bundles,
        skipped: snapshot.skipped.slice(0, 100).map((path) => path.slice(0, 1_000)),
      },
      ...this.#conversation.manifest,
      settled: this.#isSettled || start.restore !== undefined,
    };
    await this.#count(access, manifest);
    this.#chain = chain;
    log('checkpoint.manifest.stored', {
      sessionId: context.sessionId,
      sequence,
      ms: elapsedMs(begun),
      snapshotMs,
      bytes,
    });
    await rememberCheckpoint(context.paths, manifest);
    this.#tellSkipped(snapshot.skipped);
  }

  /** Where the worktree's repository is gone (Claude removed `.git`), it is made again first. */
  async #snapshot(before: Chain | null, all: boolean): Promise<WorktreeSnapshot> {
    try {
      // Another is being made in its place, or was when the server ended.
      if (await isUnfinishedClone(this.#context.plan)) await repairRepository(this.#context);
      return await this.#worktree.take(before, all);
    } catch (error) {
      if (!(error instanceof GitError) || this.#context.isOver) throw error;
      await this.#worktree.forget();
      if (!(await repairRepository(this.#context))) throw error;
      return await this.#worktree.take(before);
    }
  }

  /** Where another conversation was begun, what is stored of the one before is of no use. */
  #followConversation(conversationId: string): void {
    if (this.#conversation.id === conversationId) return;
    this.#conversation = this.#stored(conversationId);
    this.#prompts.clear();
  }

  #stored(conversationId: string): StoredConversation {
    return new StoredConversation(this.#context.paths.claudeConfig, conversationId, {
      transcript: (content) => this.#findPrompts(content),
      tooLarge: (path) => this.#tell(`${path} is too large to be saved outside the sandbox.`),
    });
  }

  #tellSkipped(skipped: string[]): void {
    if (skipped.length === 0) return;
    const few = skipped.slice(0, 5).join(', ');
    const more = skipped.length > 5 ? ` and ${skipped.length - 5} more` : '';
    this.#tell(
      `Not saved outside the sandbox (too large, a repository of its own, or not something git can store): ${few}${more}`,
    );
  }

  /** Makes a checkpoint count. A server before this one, on the same disk, may have counted further than this one knows. */
  async #count(access: GatewayAccess, manifest: CheckpointManifest): Promise<void> {
    const outcome = await putManifest(access, manifest);
    if (outcome === 'stored') return;
    this.#sequence = outcome.newer + 1;
    const again = await putManifest(access, { ...manifest, sequence: this.#sequence });
    if (again !== 'stored')
      throw new CheckpointStoreError('there is a newer checkpoint', { passes: true, status: 409 });
  }

  async #ship(
    access: GatewayAccess,
    sequence: number,
    { commit, work, isSmall, objects }: WorktreeSnapshot,
    before: Chain | null,
  ): Promise<Chain> {
    if (before?.work === work) return before;
    const { plan, paths } = this.#context;
    const limits = { isSmall, objects };
    const write = (known: string[]) => writeBundle(plan, commit, known, paths.checkpoint, paths.bundle, limits);
    try {
      const size = await write(before ? [before.commit] : await commitsOnHost(plan, 'base')).catch(
        async (error: unknown) => {
          // A branch that is larger than a checkpoint may be: what of it is on the host is left out.
          if (before || !(error instanceof BundleTooLargeError)) throw error;
          return await write(await commitsOnHost(plan, 'both'));
        },
      );
      const bundles = before?.bundles ?? [];
      if (size === null) return { commit, work, bundles };
      const object = await putObject(access, sequence, 'bundle', await readFile(paths.bundle));
      return { commit, work, bundles: [...bundles, object] };
    } finally {
      await rm(paths.bundle, { force: true });
    }
  }
}
