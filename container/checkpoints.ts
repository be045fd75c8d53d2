/**
 * When checkpoints are made, and of what. After each batch of tools and each turn, one at a time, the latest moment wins.
 * Claude thinks on meanwhile; its next tool that could change something waits for them, and so do the word that a turn has
 * ended and the end of the server.
 * First the objects are stored, then the issue session has to know every event the checkpoint comprises, and only then the
 * manifest makes it count: so whatever Claude remembers after a restore is in the journal too.
 */
import { readFile, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  type CheckpointFile,
  type CheckpointManifest,
  type CheckpointObject,
  MAX_CHECKPOINT_OBJECT_BYTES,
} from '../src/protocol/checkpoint.ts';
import { ConversationFiles, type FileChange } from './checkpoint-files.ts';
import { CheckpointStoreError, putManifest, putObject } from './checkpoint-store.ts';
import {
  BundleTooLargeError,
  commitsOnHost,
  snapshotWorktree,
  type WorktreeSnapshot,
  writeBundle,
} from './checkpoint-worktree.ts';
import type { GatewayAccess } from './gateway-request.ts';
import { GitError } from './git.ts';
import type { LifeContext } from './life-context.ts';
import { log } from './log.ts';
import { within } from './within.ts';

const compress = promisify(gzip);
/** A chain of more bundles, or a file of more parts, is made anew as one. */
const MAX_CHAIN = 24;
const MAX_PARTS = 48;
/** Of a longer conversation only the last prompts matter: those of the turn. */
const MAX_PROMPTS = 500;
/** Longest time that the next tool, or the end of a turn, waits for the checkpoint of the tools before it. */
const KEPT_PATIENCE_MS = 10_000;
/** Longest wait for the issue session to have stored what a checkpoint comprises. */
const STORED_PATIENCE_MS = 30_000;
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 60_000;

/** A moment worth keeping. */
interface Moment {
  /** Last event that was reported by then. */
  eventSeq: number;
  /** Ids of the tool calls whose results were just reported; null: a turn has ended, or everything will. */
  results: string[] | null;
}

export interface CheckpointOptions {
  /** Whether the worktree stands. */
  mayStart: () => boolean;
  /** Waits until the issue session has stored the events up to this one. */
  stored: (seq: number, limitMs: number) => Promise<boolean>;
}

/** The bundles that hold the worktree so far, and the commit they lead to. */
interface Chain {
  commit: string;
  work: string;
  bundles: CheckpointObject[];
}

export class Checkpoints {
  readonly #context: LifeContext;
  readonly #options: CheckpointOptions;
  #files: ConversationFiles;
  readonly #stored = new Map<string, CheckpointFile>();
  /** Prompts that were found in what is stored of Claude's files. */
  readonly #prompts = new Set<string>();
  #chain: Chain | null = null;
  #sequence = 0;
  #wanted: Moment | null = null;
  #running: Promise<void> | null = null;
  #failures = 0;
  #retry: NodeJS.Timeout | null = null;
  /** The last one failed or took too long: until one succeeds, nothing waits for them. */
  #isAwaitedInVain = false;
  #told = '';

  constructor(context: LifeContext, options: CheckpointOptions) {
    this.#context = context;
    this.#options = options;
    // What an earlier life was asked is in the conversation that this one took up.
    for (const id of context.start.restore?.prompts ?? []) this.#prompts.add(id);
    this.#files = new ConversationFiles(context.paths.claudeConfig, context.start.claude.conversationId);
  }

  /** @param results as in `Moment` */
  soon(results: string[] | null): void {
    if (this.#context.isOver || !this.#options.mayStart()) return;
    this.#wanted = { eventSeq: this.#context.journal.lastSeq, results };
    this.#stopWaiting();
    this.#running ??= this.#run();
  }

  /** Makes a checkpoint of what is there now, and waits for it. Never rejects. */
  async now(): Promise<void> {
    this.soon(null);
    await this.#running;
  }

  /**
   * What is on its way: resolves when it is kept, or after a while. Never rejects.
   * @returns null where nothing is, or where checkpoints fail: work goes on without them
   */
  unkept(): Promise<void> | null {
    return this.#running === null || this.#isAwaitedInVain ? null : this.#awaitFor(this.#running);
  }

  /** No later tries. What runs ends with the life. */
  close(): void {
    this.#stopWaiting();
    this.#wanted = null;
  }

  /** Resolves when nothing runs. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #awaitFor(running: Promise<void>): Promise<void> {
    if (!(await within(KEPT_PATIENCE_MS, running))) this.#isAwaitedInVain = true;
  }

  async #run(): Promise<void> {
    while (this.#wanted && !this.#context.isOver) {
      const moment = this.#wanted;
      this.#wanted = null;
      try {
        await this.#make(moment);
        this.#failures = 0;
        this.#isAwaitedInVain = false;
      } catch (error) {
        this.#failed(moment, error);
      }
    }
    this.#running = null;
  }

  #failed(moment: Moment, error: unknown): void {
    const context = this.#context;
    if (context.isOver) return;
    const isKnown = error instanceof GitError || error instanceof CheckpointStoreError;
    if (error instanceof BundleTooLargeError) {
      this.#tell(`The work in progress is not kept outside of the sandbox until it is pushed: ${error.message}.`);
      return;
    }
    log('warning', 'checkpoint not made', { sessionId: context.sessionId, error, failures: this.#failures });
    if (!isKnown) context.broken('checkpoint', error);
    // What was sent may be half known: the next one begins anew.
    this.#chain = null;
    const delay = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#isAwaitedInVain = true;
    this.#stopWaiting();
    this.#retry = setTimeout(() => this.soon(moment.results === null ? null : []), delay);
    this.#retry.unref();
  }

  #stopWaiting(): void {
    if (this.#retry) clearTimeout(this.#retry);
    this.#retry = null;
  }

  /** One line in the journal, once for each thing to say. */
  #tell(text: string): void {
    if (this.#told === text) return;
    this.#told = text;
    this.#context.emit({ type: 'notice', text });
  }

  async #make(moment: Moment): Promise<void> {
    const context = this.#context;
    const { start } = context;
    const access: GatewayAccess = { gateway: start.gateway, signal: context.signal };
    this.#followConversation(start.claude.conversationId);
    this.#sequence += 1;
    const sequence = this.#sequence;
    const before = this.#chain && this.#chain.bundles.length < MAX_CHAIN ? this.#chain : null;
    // The worktree at once, before Claude goes on; the transcript says by itself how far it goes.
    const [snapshot, changes] = await Promise.all([
      snapshotWorktree(context.plan, before?.commit ?? null),
      this.#files.changes(moment.results),
    ]);
    const chain = await this.#ship(access, sequence, snapshot, before);
    for (const change of changes) await this.#shipFile(access, sequence, change);
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
      files: [...this.#stored.values()],
    };
    await this.#count(access, manifest);
    this.#chain = chain;
    if (snapshot.skipped.length > 0) {
      const few = snapshot.skipped.slice(0, 5).join(', ');
      const more = snapshot.skipped.length > 5 ? ` and ${snapshot.skipped.length - 5} more` : '';
      this.#tell(`Not kept outside of the sandbox, being too large or a repository of its own: ${few}${more}`);
    }
  }

  /** Where another conversation was begun, what is stored of the one before is of no use. */
  #followConversation(conversationId: string): void {
    if (this.#files.conversationId === conversationId) return;
    this.#files = new ConversationFiles(this.#context.paths.claudeConfig, conversationId);
    this.#stored.clear();
    this.#prompts.clear();
  }

  /** Makes a checkpoint count. A server before this one, on the same disk, may have counted further than this one knows. */
  async #count(access: GatewayAccess, manifest: CheckpointManifest): Promise<void> {
    const outcome = await putManifest(access, manifest);
    if (outcome === 'stored') return;
    this.#sequence = outcome.newer + 1;
    const again = await putManifest(access, { ...manifest, sequence: this.#sequence });
    if (again !== 'stored')
      throw new CheckpointStoreError('a newer checkpoint is known', { passes: true, status: 409 });
  }

  async #ship(
    access: GatewayAccess,
    sequence: number,
    { commit, work }: WorktreeSnapshot,
    before: Chain | null,
  ): Promise<Chain> {
    if (before?.work === work) return before;
    const { plan, paths } = this.#context;
    const known = before ? [before.commit] : await commitsOnHost(plan);
    try {
      const size = await writeBundle(plan, known, paths.bundle);
      const bundles = before?.bundles ?? [];
      if (size === null) return { commit, work, bundles };
      const object = await putObject(access, sequence, 'bundle', await readFile(paths.bundle));
      return { commit, work, bundles: [...bundles, object] };
    } finally {
      await rm(paths.bundle, { force: true });
    }
  }

  /** Stores what is new of a file. */
  async #shipFile(access: GatewayAccess, sequence: number, change: FileChange): Promise<void> {
    const before = change.from > 0 ? this.#stored.get(change.path) : undefined;
    const parts = before?.parts ?? [];
    const { content } = change;
    const compressed = await compress(content);
    if (compressed.length > MAX_CHECKPOINT_OBJECT_BYTES) {
      this.#tell(`${change.path} is too large to be kept outside of the sandbox.`);
      return;
    }
    const object = await putObject(access, sequence, 'part', Buffer.from(compressed));
    const { path, bytes, sha256 } = change;
    this.#stored.set(path, { path, bytes, sha256, parts: [...parts, object] });
    change.keep();
    if (parts.length + 1 >= MAX_PARTS) this.#files.forget(path);
    for (const id of this.#context.commands.promptIds) {
      if (!this.#prompts.has(id) && content.includes(id)) this.#prompts.add(id);
    }
  }
}
