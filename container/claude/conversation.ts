/**
 * The conversation with Claude: prompts go to the CLI as they come, and it is started, resumed, stopped and ended as needed.
 * Starts, ends and deliveries run one after the other: what ends a CLI kills every process of the session.
 */
import { randomUUID } from 'node:crypto';
import { Mutex } from '../../src/lib/concurrency.ts';
import type { Decision, SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import { elapsedMs, pause, steadyNow } from '../clock.ts';
import type { Prompt } from '../events/command-log.ts';
import { killSessionProcesses } from '../process/process-group.ts';
import type { IncarnationContext } from '../session/context.ts';
import type { BackgroundTask } from './background.ts';
import {
  apiSilenceMs,
  claudeArguments,
  claudeEnvironment,
  forgetConversation,
  hasConversation,
  PLACEHOLDER_KEY,
  transcripts,
} from './claude-command.ts';
import { ClaudeOutput } from './claude-output.ts';
import { type ClaudeExit, ClaudeProcess } from './claude-process.ts';
import { EndOfWork } from './end-of-work.ts';
import { type Activity, IdleWatch } from './idle-watch.ts';
import { writeMcpConfig } from './mcp.ts';
import { OpenQuestions } from './open-questions.ts';
import { branchNews, helpersEnded } from './told-to-claude.ts';
import { promptsAtExit } from './transcript.ts';
import { type SavedWork, TurnCallbacks } from './turn-callbacks.ts';
import { TurnTracker } from './turn-tracker.ts';

/** Time Claude has to answer an interrupt with its result. */
const INTERRUPT_PATIENCE_MS = 1_000;

export interface ConversationOptions extends SavedWork {
  /** Whether the worktree is ready and is Claude's. */
  mayStart: () => boolean;
  /** Whether prompts may be handed over now: they wait for a commit. */
  mayDeliver: () => boolean;
  /** A batch of tools is done; `results` are the ids of Claude's own calls in it. */
  onBatch: (results: string[]) => void;
  /** Before a turn begins: what Claude is to be told of what happened outside; null: nothing. Never rejects. */
  beforeTurn: () => Promise<string | null>;
  /** Claude gave a result, was stopped, or is gone: its work is to be saved. */
  onTurnEnd: () => void;
  /** The CLI cannot be started. */
  onFailure: (error: unknown) => void;
}

type EndCause = 'idle' | 'silent' | 'crash';

export class Conversation {
  readonly #context: IncarnationContext;
  readonly #options: ConversationOptions;
  readonly #tracker = new TurnTracker();
  readonly #work: EndOfWork;
  readonly #sequence = new Mutex();
  #cli: ClaudeProcess | null = null;
  readonly #questions: OpenQuestions;
  readonly #callbacks: TurnCallbacks;
  readonly #output: ClaudeOutput;
  readonly #watch: IdleWatch;
  /** The running CLI was started with these. */
  #startedWith: Pick<StartSession['claude'], 'model' | 'effort' | 'conversationId'> | null = null;
  /** What the next prompt is to say first, where the prompt had to wait. */
  #preface: string | null = null;
  /** A stop is being carried out: it tells the end of the turn itself. */
  #stopping = false;
  #idleSince = steadyNow();

  constructor(context: IncarnationContext, options: ConversationOptions) {
    this.#context = context;
    this.#options = options;
    const { helperMs, commandMs, idleMs } = context.config;
    const limits = { helperMs, commandMs: Math.min(commandMs, idleMs) };
    this.#work = new EndOfWork(this.#tracker, limits, {
      ended: () => this.#output.workEnded(),
      overdue: (helpers) => this.#endHelpers(helpers),
      stuck: () => this.#soon(() => this.#end('silent')),
    });
    this.#questions = new OpenQuestions(
      () => context.start,
      (line) => this.#output.emit(line),
    );
    this.#callbacks = new TurnCallbacks(options, {
      helpersWork: () => this.#tracker.background.helpers.length > 0,
      asksPeople: (cli) => this.#questions.serverWaits && this.#cli === cli,
      isStopping: () => this.#stopping,
    });
    this.#output = new ClaudeOutput(
      context,
      { tracker: this.#tracker, work: this.#work, questions: this.#questions, callbacks: this.#callbacks },
      {
        cli: () => this.#cli,
        isStopping: () => this.#stopping,
        unkept: options.unkept,
        onBatch: options.onBatch,
        onTurnEnd: () => this.#turnEnded(),
      },
    );
    this.#watch = new IdleWatch(
      context.config,
      () => this.#activity(),
      (cause) => this.#endSoon(cause),
    );
  }

  /** True from the delivery of a prompt until all of its work is done, and while Claude continues by itself. */
  get isBusy(): boolean {
    return this.#tracker.busy || this.#work.isHeld;
  }

  /** Commands that run in the background, as text for users. */
  get runningCommands(): string[] {
    return this.#tracker.background.commands.map(({ name }) => name);
  }

  /** Starts the CLI, so that it is up when the first prompt comes. */
  startSoon(): void {
    this.#soon(() => this.#start());
  }

  /** Hands over what waits, if it may be. */
  deliverSoon(): void {
    this.#soon(() => this.#deliver());
  }

  /**
   * Carries out a stop: what waits of its turn and earlier ones is dropped, the CLI and all it started is ended, unless
   * it works on a later turn already. A `cli-exited` with cause `stop` tells it, also when no CLI was running.
   */
  stopSoon(stop: Extract<SandboxCommand, { type: 'stop' }>): void {
    this.#soon(() => this.#stop(stop));
  }

  /** Whether Claude waits for the answer to this question. */
  waitsFor(requestId: string): boolean {
    return this.#questions.has(requestId);
  }

  answer(command: Extract<SandboxCommand, { type: 'answer' }>): void {
    this.#questions.answer(command, this.#cli);
  }

  /** What is allowed runs with the very input that was shown to people. */
  decide(command: Extract<SandboxCommand, { type: 'decide' }>): void {
    this.#questions.decide(command, this.#cli);
  }

  /**
   * Asks people on the server's own behalf, as a tool of Claude's does that needs permission.
   * @returns null if the process whose turn it is ended before, or nobody decided for longer than anybody is asked
   */
  async askPeople(tool: string, input: Record<string, unknown>): Promise<Decision | null> {
    if (!this.#cli || this.#stopping) return null;
    return this.#questions.ask(tool, input);
  }

  /** Ends the CLI because the machine is going away; a turn in progress is reported as lost. */
  async lose(): Promise<void> {
    await this.#sequence.run(() => this.#end(this.isBusy ? 'crash' : 'idle'));
  }

  /** Ends everything at once. */
  async kill(): Promise<void> {
    this.#watch.stop();
    this.#work.forget();
    await this.#sequence.run(async () => {
      const cli = this.#cli;
      this.#cli = null;
      await cli?.end(false);
      await killSessionProcesses(this.#context.paths.dir);
    });
  }

  #soon(task: () => Promise<void>): void {
    void this.#sequence.run(task).catch((error) => this.#options.onFailure(error));
  }

  // --- Start and prompts ---

  async #deliver(): Promise<void> {
    if (!this.#options.mayStart() || !this.#options.mayDeliver()) return;
    const { commands } = this.#context;
    if (commands.waiting.length === 0) return;
    if (this.#mayHaveGivenUp() || this.#modelIsStale() || this.#conversationIsStale()) await this.#end('idle');
    if (!this.#cli) await this.#start();
    const preface = this.isBusy ? null : await this.#options.beforeTurn();
    if (!this.#options.mayDeliver()) {
      // A save began meanwhile, and hands over when it is done.
      this.#preface = preface ?? this.#preface;
      return;
    }
    this.#handOver(commands.waiting, preface ?? this.#preface);
    this.#preface = null;
  }

  #handOver(prompts: Prompt[], preface: string | null = null): void {
    const cli = this.#cli;
    if (!cli) return;
    for (const prompt of prompts) {
      // Noted first: after a crash a prompt may lack its answer, but it is never carried out twice.
      this.#context.commands.delivered(prompt.id);
      this.#tracker.delivered(prompt.id);
      this.#work.asked();
      const isFirst = prompt === prompts[0];
      cli.prompt(prompt.id, isFirst && preface !== null ? `${branchNews(preface)}\n\n${prompt.text}` : prompt.text);
    }
  }

  #mayHaveGivenUp(): boolean {
    return this.#cli !== null && !this.isBusy && this.#output.wasRefused;
  }

  /** A turn may be asked for with another model, or another effort, than the one before. */
  #modelIsStale(): boolean {
    const { model, effort } = this.#context.start.claude;
    const isOther = this.#startedWith?.model !== model || this.#startedWith.effort !== effort;
    return this.#cli !== null && !this.isBusy && isOther;
  }

  /** Another conversation was begun after this process was started. */
  #conversationIsStale(): boolean {
    const { conversationId } = this.#context.start.claude;
    return this.#cli !== null && !this.isBusy && this.#startedWith?.conversationId !== conversationId;
  }

  async #start(): Promise<void> {
    if (this.#cli || !this.#options.mayStart()) return;
    const context = this.#context;
    const { paths, start } = context;
    const since = steadyNow();
    context.emit({ type: 'step', step: 'claude', status: 'started', detail: 'Starting Claude' });
    const resumed = !this.#output.nothingToResume && (await hasConversation(paths, start.claude.conversationId));
    // The CLI refuses to begin a conversation whose file is there, even an empty one.
    if (!resumed) await forgetConversation(paths, start.claude.conversationId);
    this.#output.begin(resumed);
    const { access } = context;
    await writeMcpConfig(start, paths, access.proxy.url);
    const cli = await ClaudeProcess.start({
      bin: context.config.claudeBin,
      args: claudeArguments(start, paths, resumed),
      env: claudeEnvironment(start, paths, context.plan.remote),
      cwd: paths.worktree,
      key: PLACEHOLDER_KEY,
      access,
      sessionDir: paths.dir,
      onLine: (line) => this.#output.read(line),
      onStderr: (text) => context.emit({ type: 'stderr', text: context.withoutToken(text) }),
    });
    this.#callbacks.install(cli);
    this.#cli = cli;
    const { model, effort, conversationId } = start.claude;
    this.#startedWith = { model, effort, conversationId };
    this.#idleSince = steadyNow();
    context.emit({ type: 'cli-started', pid: cli.pid, resumed });
    context.emit({ type: 'step', step: 'claude', status: 'done', durationMs: elapsedMs(since) });
    this.#watch.start();
    void cli.exited.then((exit) => this.#soon(() => this.#died(cli, exit)));
  }

  #turnEnded(): void {
    this.#idleSince = steadyNow();
    if (!this.#stopping) this.#options.onTurnEnd();
  }

  /** Helpers have worked for too long after Claude's own last word: they are ended, and people and Claude are told. */
  #endHelpers(helpers: BackgroundTask[]): void {
    const names = helpers.map(({ name }) => name).join(', ');
    const { forPeople, forClaude } = helpersEnded(names, this.#context.config.helperMs);
    this.#context.emit({ type: 'notice', text: forPeople });
    for (const { id } of helpers) this.#cli?.stopTask(id);
    this.#cli?.prompt(randomUUID(), forClaude);
  }

  // --- Ends ---

  /** The CLI ended by itself. */
  async #died(cli: ClaudeProcess, exit: ClaudeExit): Promise<void> {
    if (this.#cli !== cli) return;
    this.#cli = null;
    if (this.#output.nothingToResume) {
      await this.#start();
      this.#handOver(this.#context.commands.open);
    } else await this.#ended(exit, 'crash', this.runningCommands);
  }

  async #end(cause: EndCause): Promise<void> {
    const cli = this.#cli;
    if (!cli) return;
    this.#cli = null;
    const background = this.runningCommands;
    await this.#ended(await cli.end(cause === 'idle'), cause, background);
  }

  /** @param background commands that ran in the background before the end */
  async #ended(exit: ClaudeExit, cause: EndCause, background: string[]): Promise<void> {
    await killSessionProcesses(this.#context.paths.dir);
    const duringTurn = this.isBusy;
    await this.#tellExit(exit, duringTurn, cause, background);
    if (duringTurn) this.#options.onTurnEnd();
    this.deliverSoon();
  }

  /**
   * @param background commands that ran in the background before the end
   * @param stop what ended it, where that was a stop, and ids of the prompts it dropped
   */
  async #tellExit(
    exit: ClaudeExit,
    duringTurn: boolean,
    cause: EndCause | 'stop',
    background: string[],
    stop?: { turn: number; dropped: string[] },
  ): Promise<void> {
    const { journal, commands } = this.#context;
    this.#watch.stop();
    const unanswered = this.#output.end();
    const prompts = await promptsAtExit(await this.#transcripts(), unanswered, stop?.dropped ?? []);
    const turn = stop?.turn ?? commands.turnOf(unanswered);
    this.#context.emit({
      type: 'cli-exited',
      ...exit,
      duringTurn,
      cause,
      ...(background.length > 0 && { background }),
      ...(turn !== undefined && { turn }),
      prompts,
    });
    await journal.flushed();
    commands.answered(unanswered);
  }

  #transcripts(): Promise<string[]> {
    return transcripts(this.#context.paths, this.#context.start.claude.conversationId);
  }

  async #stop({ id, turn }: Extract<SandboxCommand, { type: 'stop' }>): Promise<void> {
    if (this.#context.isOver) return;
    const { commands } = this.#context;
    const waiting = commands.waiting.filter((prompt) => prompt.turn <= turn).map((prompt) => prompt.id);
    commands.dropped(waiting);
    const isLate = commands.open.some((prompt) => prompt.turn > turn);
    if (!isLate) {
      const background = this.runningCommands;
      const exit = await this.#interruptAndEnd();
      const stop = { turn, dropped: waiting };
      await this.#tellExit(exit, this.isBusy || waiting.length > 0, 'stop', background, stop);
    }
    commands.dropped([id]);
    this.#options.onTurnEnd();
    this.deliverSoon();
  }

  async #interruptAndEnd(): Promise<ClaudeExit> {
    const cli = this.#cli;
    if (!cli) return { code: null, signal: null };
    this.#stopping = true;
    try {
      const isAtWork = () => this.#tracker.busy || this.#tracker.background.helpers.length > 0;
      if (isAtWork()) {
        cli.interrupt();
        await waitUntil(() => !isAtWork() || !cli.alive, INTERRUPT_PATIENCE_MS);
      }
      this.#cli = null;
      return await cli.end(!isAtWork());
    } finally {
      this.#stopping = false;
    }
  }

  // --- Watch ---

  #activity(): Activity | null {
    const cli = this.#cli;
    if (!cli || this.#questions.serverWaits) return null;
    return {
      busy: this.isBusy,
      toolRunning: this.#tracker.toolRunning,
      lastOutputAt: cli.lastOutputAt,
      idleSince: this.#idleSince,
      apiSilenceMs: apiSilenceMs(this.#context.start),
    };
  }

  /** Ends the CLI unless it has become busy again, or given output, by the time that it is its turn. */
  #endSoon(cause: 'idle' | 'silent'): void {
    this.#soon(async () => {
      if (this.#watch.cause() === cause) await this.#end(cause);
      else if (this.#cli) this.#watch.start();
    });
  }
}

async function waitUntil(done: () => boolean, limitMs: number): Promise<void> {
  const deadline = steadyNow() + limitMs;
  while (!done() && steadyNow() < deadline) await pause(5);
}
