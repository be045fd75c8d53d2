/**
 * One life (generation) of a session: prepares the workspace, talks to Claude, saves after each turn, and reports all of
 * it as numbered events.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { settledWithin } from '../../src/lib/timeout.ts';
import type { SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import type { SandboxStatus, StartSession } from '../../src/protocol/sandbox/start.ts';
import { SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import { Checkpoints } from '../checkpoints/checkpoints.ts';
import { repairRepository } from '../checkpoints/repair.ts';
import { transcripts } from '../claude/claude-command.ts';
import { Conversation } from '../claude/conversation.ts';
import { promptsAtExit } from '../claude/transcript.ts';
import { steadyNow } from '../clock.ts';
import type { SandboxConfig } from '../config.ts';
import { CommandLog, type Prompt } from '../events/command-log.ts';
import { EventPoster } from '../events/event-poster.ts';
import { EventJournal } from '../events/journal.ts';
import { openAccess } from '../gateway/session-access.ts';
import { isUnfinishedClone } from '../git/clone.ts';
import { GitError } from '../git/git.ts';
import { againIfKilled } from '../git/killed-git.ts';
import { makeHooks } from '../hooks/hooks.ts';
import { Refusal } from '../http.ts';
import type { SessionPaths } from '../paths.ts';
import { killSessionProcesses } from '../process/process-group.ts';
import { commitWork } from '../save/commit-work.ts';
import type { SessionWall } from '../walls/session-wall.ts';
import { IncarnationContext } from './context.ts';
import { failureEvent, prepare } from './prepare.ts';
import { RepositoryUpkeep } from './repository-maintenance.ts';
import { Saving } from './save-schedule.ts';
import type { SessionRecord } from './session-record.ts';

export interface IncarnationOptions {
  config: SandboxConfig;
  sessionId: string;
  bootId: string;
  paths: SessionPaths;
  wall: SessionWall;
  record: SessionRecord;
  /** False when a life is taken up again, e.g. by a restarted server. */
  fresh: boolean;
  /** The end of the earlier incarnation, which must be over before this one touches anything. */
  predecessor: Promise<void>;
  /** Writes `record` to disk. */
  remember: () => Promise<void>;
  /** This life is over: by word of the gateway or, with `diskIsBehind`, because its numbers cannot be trusted. */
  onSuperseded: (message: string, diskIsBehind: boolean) => void;
}

/** Time that a preparation has to notice that its life is over. */
const END_PATIENCE_MS = 5_000;

export class Incarnation {
  readonly #context: IncarnationContext;
  readonly #bootId: string;
  readonly #poster: EventPoster;
  readonly #conversation: Conversation;
  readonly #saving: Saving;
  readonly #checkpoints: Checkpoints;
  readonly #upkeep: RepositoryUpkeep;
  #state: 'preparing' | 'prepared' | 'failed' = 'preparing';
  /** Resolves when the workspace is prepared, or is not to be any more. */
  #begun: Promise<void> = Promise.resolve();
  /** The machine is going away: nothing new is begun. */
  #leaving = false;
  /** A stop came while there was no worktree: the person who stopped it waits for the news that all is saved. */
  #saveWhenPrepared = false;

  private constructor(options: IncarnationOptions, context: IncarnationContext) {
    this.#context = context;
    this.#bootId = options.bootId;
    this.#saving = new Saving(context, {
      isClaudeBusy: () => this.#conversation.isBusy,
      runningCommands: () => this.#conversation.runningCommands,
      askPeople: (tool, input) => this.#conversation.askPeople(tool, input),
      onCommitted: () => this.#conversation.deliverSoon(),
      onSaved: () => {
        this.#checkpoints.turnSaved();
        this.#upkeep.refreshBundleSoon();
      },
    });
    this.#conversation = new Conversation(context, {
      mayStart: () => this.#state === 'prepared' && !this.#leaving && !context.isOver,
      mayDeliver: () => !this.#saving.isCommitting,
      unkept: (slackMs) => this.#checkpoints.unkept(slackMs),
      beforeTurn: () => this.#saving.takeUp(),
      beforeEnd: () => this.#saving.tryBeforeEnd(),
      onBatch: (results) => this.#checkpoints.soon(results),
      onTurnEnd: () => {
        this.#checkpoints.soon(null);
        this.#saveSoon();
      },
      onFailure: (error) => void this.#fail(error),
    });
    const { start, streamId } = context.record;
    this.#poster = new EventPoster({
      journal: context.journal,
      fresh: options.fresh,
      address: {
        sessionId: options.sessionId,
        generation: start.generation,
        bootId: options.bootId,
        streamId,
        gatewayUrl: start.gateway.url,
        token: start.gateway.token,
      },
      isBusy: () => this.#isBusy,
      onSuperseded: options.onSuperseded,
      onReconnected: () => this.#saving.retryPush(),
    });
    this.#checkpoints = new Checkpoints(context, {
      mayStart: () => this.#state === 'prepared',
      stored: (seq, limitMs) => this.#poster.stored(seq, limitMs),
    });
    this.#upkeep = new RepositoryUpkeep(context, () => this.#isBusy);
  }

  /** Opens the life's files and goes to work in the background. */
  static async begin(options: IncarnationOptions): Promise<Incarnation> {
    const dir = join(options.paths.lives, options.record.streamId);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const journal = await EventJournal.open(join(dir, 'events'));
    const commands = CommandLog.open(join(dir, 'commands.jsonl'));
    for (const file of options.paths.formerTokenFiles) await rm(file, { force: true });
    const access = await openAccess(options.paths.dir, () => options.record.start.gateway, options.wall);
    const life = new Incarnation(options, new IncarnationContext({ ...options, journal, commands, access }));
    life.#begun = life.#begin(options.predecessor).catch((error) => life.#fail(error));
    return life;
  }

  get status(): SandboxStatus {
    const { sessionId, record, journal, isOver } = this.#context;
    const working = this.#isBusy ? 'working' : 'ready';
    return {
      protocol: SANDBOX_PROTOCOL,
      sessionId,
      generation: record.start.generation,
      bootId: this.#bootId,
      streamId: record.streamId,
      lastSeq: journal.lastSeq,
      state: isOver ? 'closed' : this.#state === 'prepared' ? working : this.#state,
    };
  }

  /** A start of the same generation came: its token and address count from now on. */
  renew(gateway: StartSession['gateway']): void {
    this.#poster.renew(gateway);
    const { start, paths } = this.#context;
    void makeHooks(paths.hooks, start.commits).catch((error) => this.#context.broken('hooks', error));
  }

  /** Takes a command; one that is known already changes nothing. @throws Refusal 409 for an answer nobody waits for */
  command(command: SandboxCommand): void {
    this.#poster.kick();
    const { commands } = this.#context;
    const isReply = command.type === 'answer' || command.type === 'decide';
    if (isReply && !commands.knows(command.id) && !this.#conversation.waitsFor(command.requestId)) {
      throw new Refusal(409, 'not-asked', 'Claude is no longer waiting for this answer; send it as a prompt.');
    }
    if (!commands.accept(command)) return;
    switch (command.type) {
      case 'prompt':
        this.#conversation.deliverSoon();
        return;
      case 'answer':
        this.#conversation.answer(command);
        return;
      case 'decide':
        this.#conversation.decide(command);
        return;
      case 'stop':
        this.#conversation.stopSoon(command);
    }
  }

  /** Ends all processes at once and says nothing more. Files stay. */
  async end(): Promise<void> {
    this.#context.close();
    this.#saving.close();
    this.#checkpoints.close();
    await this.#poster.stop();
    await this.#conversation.kill();
    // A preparation whose git was just killed still has to notice: until then it would write into files that are removed.
    await settledWithin(END_PATIENCE_MS, this.#begun);
    await Promise.all([this.#saving.settled(), this.#checkpoints.settled(), this.#upkeep.settled()]);
    this.#context.access.proxy.close();
    await this.#context.journal.close();
  }

  /**
   * The machine is going away: ends the CLI, saves, makes a checkpoint, and posts what is left. A turn in progress is
   * reported as lost (no result is made up for it), so that it can be taken up elsewhere.
   */
  async shutDown(limitMs: number): Promise<void> {
    const deadline = steadyNow() + limitMs;
    this.#leaving = true;
    const kept = async () => {
      await this.#conversation.lose();
      // A push may wait for a git host that is away; the checkpoint does not wait for it.
      await Promise.all([this.#saving.settled(), this.#checkpoints.now()]);
      await this.#checkpoints.now();
    };
    await settledWithin(limitMs * 0.6, kept());
    await this.#poster.flush(Math.max(100, deadline - steadyNow()));
    await this.end();
  }

  async #begin(predecessor: Promise<void>): Promise<void> {
    const context = this.#context;
    await predecessor;
    // Whatever a killed server left running would work in the same worktree.
    await killSessionProcesses(context.paths.dir);
    if (context.isOver) return;
    await context.access.wall.prepare();
    context.access.wall.mirror = context.plan.mirror;
    if (context.record.failed) {
      this.#state = 'failed';
      return;
    }
    await this.#tellInterruption();
    const isRestored = context.record.baseCommit === null && context.start.restore !== undefined;
    const isKept =
      context.record.baseCommit !== null &&
      ((await this.#isWorktreeWhole()) || ((await this.#isRepaired()) && (await this.#isWorktreeWhole())));
    // The end of a life cuts its gits off, so that the worktree only seems to be broken.
    if (context.isOver) return;
    if (!isKept) await prepare(context);
    if (context.isOver) return;
    this.#state = 'prepared';
    const { saveTurn } = context.start;
    if (isRestored && saveTurn !== undefined) context.commands.unsaved(saveTurn);
    const isUnsaved = (isKept || isRestored) && context.commands.unsavedTurn > 0;
    if (this.#saveWhenPrepared || isUnsaved) this.#saving.soon();
    // A prompt follows a start: the CLI may as well be up by then.
    if (!isKept) this.#conversation.startSoon();
    this.#conversation.deliverSoon();
    this.#upkeep.completeHistorySoon();
    this.#checkpoints.prepareSoon();
  }

  /** After a restart of the server: what was going on when it ended is over. */
  async #tellInterruption(): Promise<void> {
    const { commands, journal, paths, start } = this.#context;
    const open = commands.open.map((prompt) => prompt.id);
    const stops = commands.stopsWaiting;
    if (open.length === 0 && stops.length === 0) return;
    const isStopped = (prompt: Prompt) => stops.length > 0 && prompt.turn <= commands.stoppedTurn;
    const waiting = commands.waiting.filter(isStopped).map((prompt) => prompt.id);
    const turn = stops.length > 0 ? commands.stoppedTurn : commands.turnOf(open);
    const prompts = await promptsAtExit(await transcripts(paths, start.claude.conversationId), open, waiting);
    this.#context.emit({
      type: 'cli-exited',
      code: null,
      signal: null,
      duringTurn: open.length + waiting.length > 0,
      cause: stops.length > 0 ? 'stop' : 'crash',
      ...(turn !== undefined && { turn }),
      prompts,
    });
    if (stops.length > 0) this.#saveWhenPrepared = true;
    await journal.flushed();
    commands.answered(open);
    commands.dropped([...waiting, ...stops]);
  }

  async #isRepaired(): Promise<boolean> {
    try {
      return await againIfKilled(this.#context.signal, () => repairRepository(this.#context));
    } catch (error) {
      // Git failed for another reason, so nobody knows whether it is broken: the preparation goes on from what is there.
      if (error instanceof GitError) return false;
      throw error;
    }
  }

  async #isWorktreeWhole(): Promise<boolean> {
    try {
      if (await isUnfinishedClone(this.#context.plan)) return false;
      await commitWork(this.#context.plan, null);
      return true;
    } catch (error) {
      if (error instanceof GitError) return false;
      throw error;
    }
  }

  #saveSoon(): void {
    if (this.#state === 'prepared') this.#saving.soon();
    else if (this.#state === 'preparing') this.#saveWhenPrepared = true;
  }

  /** Preparations, or the CLI's start, ended for good; another start may try again. */
  async #fail(error: unknown): Promise<void> {
    const context = this.#context;
    if (context.isOver) return;
    this.#state = 'failed';
    context.record.failed = true;
    context.emit(failureEvent(error, context));
    try {
      context.commands.dropped(context.commands.waiting.map((prompt) => prompt.id));
      await context.remember();
    } catch (cause) {
      context.broken('fail', cause);
    }
  }

  get #isBusy(): boolean {
    if (this.#context.isOver || this.#state === 'failed') return false;
    if (this.#state === 'preparing') return true;
    return this.#conversation.isBusy || this.#saving.isBusy || this.#context.commands.waiting.length > 0;
  }
}
