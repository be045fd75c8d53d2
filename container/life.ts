/**
 * One life (generation) of a session: prepares the workspace, drives Claude, saves after each turn, and reports all of
 * it as numbered events.
 *
 * Three sequences keep order without holding each other up: the CLI's starts and ends, local commits, and publishing
 * (push and patch), which may take long while the next turn is already running.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxCommand, SandboxEventBody, SandboxStatus, StartSession } from '../src/protocol/sandbox.ts';
import { type ClaudeExit, ClaudeProcess, ClaudeStartError } from './claude.ts';
import { claudeArguments, claudeEnvironment, forgetConversation, hasConversation } from './claude-command.ts';
import { CommandLog, type Prompt } from './commands.ts';
import type { SandboxConfig } from './config.ts';
import { GitError, writeCredential } from './git.ts';
import { writeInstructions } from './instructions.ts';
import { EventJournal } from './journal.ts';
import { log } from './log.ts';
import { mirrorPath, type SessionPaths } from './paths.ts';
import { EventPoster } from './post.ts';
import { killSessionProcesses } from './processes.ts';
import type { SessionRecord } from './record.ts';
import { type CommittedWork, commitWork, publishWork } from './save.ts';
import { Sequence } from './sequence.ts';
import { hasSetupScript, runSetupScript } from './setup-script.ts';
import { TurnTracker } from './turns.ts';
import { PreparationError, prepareWorkspace, remoteOf, type WorkspacePlan } from './workspace.ts';

/** Time Claude has to answer an interrupt with its result. */
const INTERRUPT_PATIENCE_MS = 1_000;
/** Age after which a CLI is given a newer token before its next turn. */
const TOKEN_AGE_MS = 30 * 60_000;
const FIRST_LATER_PUSH_MS = 60_000;
const MAX_LATER_PUSHES = 6;

export interface LifeOptions {
  config: SandboxConfig;
  sessionId: string;
  bootId: string;
  paths: SessionPaths;
  record: SessionRecord;
  /** False when a restarted server takes the life up again. */
  fresh: boolean;
  /** The earlier life, which must be over before this one touches anything. */
  predecessor: Promise<void>;
  /** Writes `record` to disk. */
  remember: () => Promise<void>;
  /** The gateway says that this life is over. */
  onSuperseded: (message: string, diskIsBehind: boolean) => void;
}

export class Life {
  readonly #options: LifeOptions;
  readonly #journal: EventJournal;
  readonly #commands: CommandLog;
  readonly #poster: EventPoster;
  readonly #tracker = new TurnTracker();
  readonly #abort = new AbortController();
  readonly #cliWork = new Sequence();
  readonly #commits = new Sequence();
  readonly #publishing = new Sequence();

  #state: 'preparing' | 'prepared' | 'failed' | 'closed' = 'preparing';
  #cli: ClaudeProcess | null = null;
  #cliToken: { value: string; since: number } | null = null;
  #tokenRefused = false;
  /** Lines of a resumed CLI that has not begun: it may turn out that there is nothing to resume. */
  #held: string[] | null = null;
  #nothingToResume = false;
  /** Saves that have not committed yet: prompts wait for them. */
  #committing = 0;
  readonly #saves = new Set<Promise<void>>();
  /** A stop is being carried out and saves at its end. */
  #stopping = false;
  /** Pushes that failed for a reason that passes, in a row. */
  #failedPushes = 0;
  #pushTimer: NodeJS.Timeout | null = null;
  /** A stop came while there was no worktree: whoever stopped waits for the word that all is saved. */
  #saveWhenPrepared = false;
  #idleSince = Date.now();
  #ticker: NodeJS.Timeout | null = null;

  private constructor(options: LifeOptions, journal: EventJournal, commands: CommandLog) {
    this.#options = options;
    this.#journal = journal;
    this.#commands = commands;
    const { start, streamId } = options.record;
    this.#poster = new EventPoster({
      journal,
      fresh: options.fresh,
      address: {
        sessionId: options.sessionId,
        generation: start.generation,
        bootId: options.bootId,
        streamId,
        gatewayUrl: start.gateway.url,
        token: start.gateway.token,
      },
      isBusy: () => this.#busy,
      onSuperseded: options.onSuperseded,
      onReconnected: () => this.#retryPush(),
    });
  }

  /** Opens the life's files and goes to work in the background. */
  static async begin(options: LifeOptions): Promise<Life> {
    const dir = join(options.paths.lives, options.record.streamId);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const journal = await EventJournal.open(join(dir, 'events'));
    const commands = CommandLog.open(join(dir, 'commands.jsonl'));
    const life = new Life(options, journal, commands);
    void life.#begin();
    return life;
  }

  get status(): SandboxStatus {
    const { sessionId, bootId, record } = this.#options;
    return {
      sessionId,
      generation: record.start.generation,
      bootId,
      streamId: record.streamId,
      lastSeq: this.#journal.lastSeq,
      state: this.#state === 'prepared' ? (this.#busy ? 'working' : 'ready') : this.#state,
    };
  }

  /** A start of the same generation came: its token and address count from now on. */
  renew(gateway: StartSession['gateway']): void {
    this.#poster.renew(gateway);
    void writeCredential(this.#plan().remote).catch((error) => this.#broken('renew', error));
  }

  /** Takes a command; one that is known already changes nothing. */
  command(command: SandboxCommand): void {
    this.#poster.kick();
    if (!this.#commands.accept(command)) return;
    if (command.type === 'prompt') this.#deliverSoon();
    else void this.#cliWork.run(() => this.#stop(command)).catch((error) => this.#broken('stop', error));
  }

  /** Ends all processes at once and says nothing more. Files stay. */
  async end(): Promise<void> {
    this.#state = 'closed';
    this.#abort.abort();
    this.#stopTicking();
    if (this.#pushTimer) clearTimeout(this.#pushTimer);
    await this.#poster.stop();
    await this.#cliWork.run(async () => {
      const cli = this.#cli;
      this.#cli = null;
      await cli?.end(false);
      await killSessionProcesses(this.#options.paths.dir);
    });
    await Promise.all(this.#saves);
    await this.#journal.close();
  }

  /**
   * The machine is going away: ends the CLI, saves, and posts what is left. A turn in progress is reported as lost (no
   * result is made up for it), so that it can be taken up elsewhere.
   */
  async shutDown(limitMs: number): Promise<void> {
    const deadline = Date.now() + limitMs;
    await within(limitMs * 0.6, async () => {
      await this.#cliWork.run(() => this.#endCli(this.#tracker.busy ? 'crash' : 'idle'));
      await Promise.all(this.#saves);
    });
    await this.#poster.flush(Math.max(100, deadline - Date.now()));
    await this.end();
  }

  // --- Preparing ---

  async #begin(): Promise<void> {
    const { paths, record, predecessor } = this.#options;
    try {
      await predecessor;
      // Whatever a killed server left running would work in the same worktree.
      await killSessionProcesses(paths.dir);
      if (this.#state === 'closed') return;
      if (record.failed) this.#state = 'failed';
      else if (record.baseCommit === null || !(await this.#takeUp())) await this.#prepare();
      if (this.#saveWhenPrepared) this.#saveSoon();
    } catch (error) {
      await this.#fail(error);
    }
  }

  /** After a restart of the server. @returns false when the worktree is gone and must be made again */
  async #takeUp(): Promise<boolean> {
    const open = this.#commands.open.map((prompt) => prompt.id);
    const stops = this.#commands.stopsWaiting;
    const standing = await commitWork(this.#plan(), false).then(
      () => true,
      () => false,
    );
    if (open.length > 0 || stops.length > 0) {
      const waiting = stops.length > 0 ? this.#commands.waiting.map((prompt) => prompt.id) : [];
      this.#emit({
        type: 'cli-exited',
        code: null,
        signal: null,
        duringTurn: open.length + waiting.length > 0,
        cause: stops.length > 0 ? 'stop' : 'crash',
      });
      await this.#journal.flushed();
      this.#commands.answered(open);
      this.#commands.dropped([...waiting, ...stops]);
    }
    if (!standing) return false;
    this.#state = 'prepared';
    if (this.#commands.unsavedTurn > 0) this.#saveSoon();
    this.#deliverSoon();
    return true;
  }

  async #prepare(): Promise<void> {
    const { paths, record, remember } = this.#options;
    for (const dir of [paths.home, paths.claudeConfig, paths.tmp]) await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeCredential(this.#plan().remote);
    const prepared = await prepareWorkspace(this.#plan(), (step, status, detail, durationMs) =>
      this.#emit({ type: 'step', step, status, detail, durationMs }),
    );
    if (prepared.created) record.setup = null;
    if (!record.setup) await this.#setUp();
    await writeInstructions(paths, record.start.claude.systemPrompt, this.#setupNote());
    const resumed = await hasConversation(paths, record.start.claude.conversationId);
    record.baseCommit = prepared.commit;
    record.savedHead ??= prepared.commit;
    await remember();
    if (this.#state === 'closed') return;
    this.#state = 'prepared';
    const { branch } = record.start.repository;
    this.#emit({ type: 'ready', branch, baseCommit: prepared.commit, worktree: paths.worktree, resumed });
    // A prompt follows a start: the CLI may as well be up by then.
    void this.#cliWork.run(() => this.#startCli()).catch((error) => this.#fail(error));
    this.#deliverSoon();
  }

  async #setUp(): Promise<void> {
    const { paths, record, remember } = this.#options;
    if (!(await hasSetupScript(paths))) return;
    const since = Date.now();
    this.#emit({ type: 'step', step: 'setup', status: 'started', detail: 'Running cyrus-setup.sh' });
    record.setup = await runSetupScript(
      paths,
      record.start.setupTimeoutSeconds,
      (text) => this.#emit({ type: 'setup-output', text: this.#withoutToken(text) }),
      this.#abort.signal,
    );
    if (this.#state === 'closed') return;
    const { summary } = record.setup;
    this.#emit({ type: 'step', step: 'setup', status: 'done', detail: summary, durationMs: Date.now() - since });
    await remember();
  }

  #setupNote(): string | null {
    const { record, paths } = this.#options;
    if (!record.setup || record.setup.ok) return null;
    return `Note: ${record.setup.summary}. What it printed is in ${paths.setupLog}.`;
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#state === 'closed') return;
    const { record, remember, config } = this.#options;
    this.#state = 'failed';
    record.failed = true;
    this.#commands.dropped(this.#commands.waiting.map((prompt) => prompt.id));
    if (error instanceof PreparationError) {
      this.#emit({ type: 'failed', step: error.step, message: error.message, hint: error.hint });
    } else if (error instanceof ClaudeStartError) {
      const hint = `Install @anthropic-ai/claude-code in the sandbox, or set CLAUDE_BIN (now ${config.claudeBin}).`;
      this.#emit({ type: 'failed', step: 'claude', message: error.message, hint });
    } else {
      log('error', 'preparations failed', { sessionId: this.#options.sessionId, error });
      const message = `The workspace could not be prepared: ${error instanceof Error ? error.message : String(error)}`;
      this.#emit({
        type: 'failed',
        step: 'worktree',
        message,
        hint: 'See the sandbox’s log; it may be out of disk space.',
      });
    }
    await remember();
  }

  // --- Claude ---

  #deliverSoon(): void {
    void this.#cliWork.run(() => this.#deliver()).catch((error) => this.#fail(error));
  }

  async #deliver(): Promise<void> {
    if (this.#state !== 'prepared' || this.#committing > 0) return;
    if (this.#commands.waiting.length === 0) return;
    if (this.#tokenIsStale()) await this.#endCli('idle');
    if (!this.#cli) await this.#startCli();
    this.#handOver(this.#commands.waiting);
  }

  #handOver(prompts: Prompt[]): void {
    const cli = this.#cli;
    if (!cli) return;
    for (const prompt of prompts) {
      // Noted first: after a crash a prompt may be missing its answer, but it is never carried out twice.
      this.#commands.delivered(prompt.id);
      this.#tracker.delivered(prompt.id);
      cli.prompt(prompt.id, prompt.text);
    }
  }

  /** A running CLI keeps the token it was started with. */
  #tokenIsStale(): boolean {
    const given = this.#cliToken;
    if (!this.#cli || !given || this.#tracker.busy) return false;
    if (given.value === this.#options.record.start.gateway.token) return false;
    return this.#tokenRefused || Date.now() - given.since > TOKEN_AGE_MS;
  }

  async #startCli(): Promise<void> {
    if (this.#cli || this.#state !== 'prepared') return;
    const { paths, record, config } = this.#options;
    const { start } = record;
    const since = Date.now();
    this.#emit({ type: 'step', step: 'claude', status: 'started', detail: 'Starting Claude' });
    const resumed = !this.#nothingToResume && (await hasConversation(paths, start.claude.conversationId));
    // The CLI refuses to begin a conversation whose file is there, even an empty one.
    if (!resumed) await forgetConversation(paths, start.claude.conversationId);
    this.#nothingToResume = false;
    this.#held = resumed ? [] : null;
    const cli = await ClaudeProcess.start({
      bin: config.claudeBin,
      args: claudeArguments(start, paths, resumed),
      env: claudeEnvironment(start, paths, this.#plan().remote),
      cwd: paths.worktree,
      token: start.gateway.token,
      sessionDir: paths.dir,
      onLine: (line) => this.#readLine(line),
      onStderr: (text) => this.#emit({ type: 'stderr', text: this.#withoutToken(text) }),
    });
    this.#cli = cli;
    this.#cliToken = { value: start.gateway.token, since: Date.now() };
    this.#tokenRefused = false;
    this.#idleSince = Date.now();
    this.#emit({ type: 'cli-started', pid: cli.pid, resumed });
    this.#emit({ type: 'step', step: 'claude', status: 'done', durationMs: Date.now() - since });
    this.#tick();
    void cli.exited.then((exit) => this.#cliWork.run(() => this.#died(cli, exit))).catch((error) => this.#fail(error));
  }

  #readLine(line: string): void {
    const meaning = this.#tracker.read(line);
    if (this.#held) {
      if (meaning?.kind === 'result' && meaning.noConversation) {
        // Not the answer to anything: the CLI ends now, and a new one begins the conversation afresh.
        this.#nothingToResume = true;
        this.#held = null;
        return;
      }
      this.#held.push(line);
      if (meaning?.kind !== 'started' && meaning?.kind !== 'result') return;
      this.#releaseHeld();
    } else if (!this.#nothingToResume) this.#emitLine(line);
    if (meaning?.kind === 'asks') this.#cli?.refuse(meaning.requestId, `nobody answers ${meaning.subtype} here`);
    if (meaning?.kind === 'result' && !this.#nothingToResume) this.#answered(meaning.prompts, meaning.refused);
  }

  #releaseHeld(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) this.#emitLine(line);
  }

  #emitLine(line: string): void {
    this.#emit({ type: 'line', line: this.#withoutToken(line) });
    const cli = this.#cli;
    if (!this.#journal.congested || !cli) return;
    cli.pauseOutput(true);
    void this.#journal.flushed().then(() => cli.pauseOutput(false));
  }

  #answered(prompts: string[], refused: boolean): void {
    this.#tokenRefused = refused;
    this.#idleSince = Date.now();
    // Marked once the result is on disk: a crash in between must not leave the turn without an end.
    void this.#journal.flushed().then(() => this.#commands.answered(prompts));
    this.#saveSoon();
  }

  /** The CLI ended by itself. */
  async #died(cli: ClaudeProcess, exit: ClaudeExit): Promise<void> {
    if (this.#cli !== cli) return;
    this.#cli = null;
    if (this.#nothingToResume) {
      await this.#startCli();
      this.#handOver(this.#commands.open);
      return;
    }
    await this.#ended(exit, 'crash');
  }

  /** Ends the CLI, if it runs. */
  async #endCli(cause: 'idle' | 'silent' | 'crash'): Promise<void> {
    const cli = this.#cli;
    if (!cli) return;
    this.#cli = null;
    await this.#ended(await cli.end(cause === 'idle'), cause);
  }

  async #ended(exit: ClaudeExit, cause: 'idle' | 'silent' | 'crash'): Promise<void> {
    this.#releaseHeld();
    this.#stopTicking();
    await killSessionProcesses(this.#options.paths.dir);
    const duringTurn = this.#tracker.busy;
    const unanswered = this.#tracker.abandon();
    this.#emit({ type: 'cli-exited', ...exit, duringTurn, cause });
    await this.#journal.flushed();
    this.#commands.answered(unanswered);
    if (duringTurn) this.#saveSoon();
    this.#deliverSoon();
  }

  /**
   * Carries out a stop: what waits of its turn and earlier ones is dropped, the CLI and all it started is ended, unless
   * it works on a later turn already. A `cli-exited` with cause `stop` tells it, a `saved` closes it.
   */
  async #stop({ id, turn }: Extract<SandboxCommand, { type: 'stop' }>): Promise<void> {
    if (this.#state === 'closed') return;
    const waiting = this.#commands.waiting.filter((prompt) => prompt.turn <= turn).map((prompt) => prompt.id);
    this.#commands.dropped(waiting);
    if (this.#commands.open.some((prompt) => prompt.turn > turn)) {
      this.#commands.dropped([id]);
      this.#saveSoon();
      return;
    }
    const exit = await this.#interruptAndEnd();
    const duringTurn = this.#tracker.busy || waiting.length > 0;
    const unanswered = this.#tracker.abandon();
    this.#emit({ type: 'cli-exited', ...exit, duringTurn, cause: 'stop' });
    await this.#journal.flushed();
    this.#commands.answered(unanswered);
    this.#commands.dropped([id]);
    if (this.#state === 'preparing') this.#saveWhenPrepared = true;
    else this.#saveSoon();
    this.#deliverSoon();
  }

  async #interruptAndEnd(): Promise<ClaudeExit> {
    const cli = this.#cli;
    if (!cli) return { code: null, signal: null };
    this.#stopping = true;
    if (this.#tracker.busy) {
      cli.interrupt();
      await waitUntil(() => !this.#tracker.busy || !cli.alive, INTERRUPT_PATIENCE_MS);
    }
    this.#cli = null;
    const exit = await cli.end(!this.#tracker.busy);
    this.#releaseHeld();
    this.#stopTicking();
    this.#stopping = false;
    return exit;
  }

  /** Looks once a second, while a CLI runs, whether it idles or hangs. */
  #tick(): void {
    this.#stopTicking();
    const { idleMs, silenceMs, toolSilenceMs } = this.#options.config;
    const look = () => {
      const cli = this.#cli;
      if (!cli) return;
      const now = Date.now();
      if (this.#tracker.busy) {
        const limit = this.#tracker.toolRunning ? toolSilenceMs : silenceMs;
        if (now - cli.lastOutputAt > limit) this.#endSoon('silent', () => now - cli.lastOutputAt > limit);
      } else if (now - this.#idleSince > idleMs && !this.#tracker.backgroundWork) {
        this.#endSoon('idle', () => !this.#tracker.busy);
      }
    };
    this.#ticker = setInterval(look, Math.min(1_000, idleMs, silenceMs));
  }

  #endSoon(cause: 'idle' | 'silent', still: () => boolean): void {
    this.#stopTicking();
    const task = async () => {
      if (still()) await this.#endCli(cause);
      else if (this.#cli) this.#tick();
    };
    void this.#cliWork.run(task).catch((error) => this.#broken('end', error));
  }

  #stopTicking(): void {
    if (this.#ticker) clearInterval(this.#ticker);
    this.#ticker = null;
  }

  // --- Saving ---

  #saveSoon(): void {
    if (this.#stopping || this.#state !== 'prepared') return;
    const save = this.#save().catch((error) => this.#broken('save', error));
    this.#saves.add(save);
    void save.then(() => this.#saves.delete(save));
  }

  async #save(): Promise<void> {
    const { record, remember, paths } = this.#options;
    const turn = Math.max(1, this.#commands.unsavedTurn || this.#commands.lastTurn);
    const since = Date.now();
    this.#committing += 1;
    try {
      this.#emit({ type: 'step', step: 'save', status: 'started', detail: 'Saving' });
      const committed = await this.#commits.run(() => this.#commit());
      await this.#publishing.run(async () => {
        const { head, problems } = committed;
        const published = await publishWork(this.#plan(), head, record.savedHead, paths.patch).catch(
          (error: unknown) => {
            if (!(error instanceof GitError)) throw error;
            const problem = `The branch could not be read for saving: ${error.message.slice(0, 300)}`;
            return {
              commits: [],
              files: [],
              newCommits: 0,
              pushed: false,
              patchBytes: null,
              problems: [problem],
              retry: false,
            };
          },
        );
        if (this.#state === 'closed') return;
        const { retry, problems: more, ...work } = published;
        const problem = [...problems, ...more].join('\n');
        this.#planPush(retry);
        this.#emit({ type: 'step', step: 'save', status: 'done', durationMs: Date.now() - since });
        const { branch } = record.start.repository;
        this.#emit({ type: 'saved', turn, branch, head, ...work, ...(problem ? { problem } : {}) });
        record.savedHead = head;
        await remember();
        await this.#journal.flushed();
        this.#commands.saved(turn);
      });
    } finally {
      this.#idleSince = Date.now();
    }
  }

  async #commit(): Promise<CommittedWork> {
    try {
      return await commitWork(this.#plan(), !this.#tracker.busy);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const { savedHead, baseCommit } = this.#options.record;
      const problem = `The work could not be saved: ${error.message.slice(0, 300)}`;
      return { head: savedHead ?? baseCommit ?? '', problems: [problem] };
    } finally {
      this.#committing -= 1;
      this.#deliverSoon();
    }
  }

  /** Work that could not be pushed does not wait for the next turn: it is tried again, ever more rarely. */
  #planPush(failed: boolean): void {
    if (this.#pushTimer) clearTimeout(this.#pushTimer);
    this.#pushTimer = null;
    this.#failedPushes = failed ? this.#failedPushes + 1 : 0;
    if (!failed || this.#failedPushes > MAX_LATER_PUSHES) return;
    this.#pushTimer = setTimeout(() => this.#retryPush(), FIRST_LATER_PUSH_MS * 2 ** (this.#failedPushes - 1));
  }

  /** Also when the gateway is back after it was away. The save of a turn in progress pushes anyway. */
  #retryPush(): void {
    if (this.#failedPushes > 0 && !this.#busy) this.#saveSoon();
  }

  // --- Common ---

  get #busy(): boolean {
    if (this.#state === 'preparing') return true;
    if (this.#state !== 'prepared') return false;
    return this.#tracker.busy || this.#saves.size > 0 || this.#commands.waiting.length > 0;
  }

  #plan(): WorkspacePlan {
    const { config, paths, record } = this.#options;
    const { repository } = record.start;
    const mirror = mirrorPath(config.root, repository.fullName);
    if (!mirror)
      throw new PreparationError(
        'mirror',
        `"${repository.fullName}" is no name of a repository.`,
        'Correct it in Cyrus.',
      );
    return {
      mirror,
      worktree: paths.worktree,
      fullName: repository.fullName,
      baseBranch: repository.baseBranch,
      branch: repository.branch,
      remote: remoteOf(paths, record.start),
      signal: this.#abort.signal,
    };
  }

  #emit(body: SandboxEventBody): void {
    if (this.#state === 'closed') return;
    this.#journal.append(body);
  }

  /** Claude may come across the session's token in its files; readers of the journal need not. */
  #withoutToken(text: string): string {
    const { token } = this.#options.record.start.gateway;
    return text.includes(token) ? text.replaceAll(token, '[session token]') : text;
  }

  /** Something that has no way to fail did. The session goes on; the log says what. */
  #broken(what: string, error: unknown): void {
    log('error', 'unexpected failure', { sessionId: this.#options.sessionId, what, error });
  }
}

async function waitUntil(done: () => boolean, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!done() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function within(limitMs: number, task: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([task(), limit]);
  clearTimeout(timer);
}
