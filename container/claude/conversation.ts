/**
 * The conversation with Claude: prompts go to the CLI as they come, its lines become events, and it is started, resumed,
 * stopped and ended as needed. Starts, ends and deliveries form one sequence: what ends a CLI kills every process of the
 * session, and must never meet the next one.
 */
import { randomUUID } from 'node:crypto';
import { Mutex } from '../../src/lib/mutex.ts';
import { settledWithin } from '../../src/lib/timeout.ts';
import { HELD_PUSH_TOOL } from '../../src/protocol/held-push.ts';
import type { Decision, SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import { after, elapsedMs, pause, steadyNow } from '../clock.ts';
import type { Prompt } from '../events/command-log.ts';
import { killSessionProcesses } from '../process/process-group.ts';
import type { IncarnationContext } from '../session/context.ts';
import type { BackgroundTask } from './background.ts';
import {
  claudeArguments,
  claudeEnvironment,
  forgetConversation,
  hasConversation,
  PLACEHOLDER_KEY,
  transcripts,
} from './claude-command.ts';
import { type ClaudeExit, ClaudeProcess } from './claude-process.ts';
import { EndOfWork } from './end-of-work.ts';
import { mcpVerdict, writeMcpConfig } from './mcp.ts';
import { isLookingCommand } from './read-only-commands.ts';
import { promptsInTranscripts } from './transcript.ts';
import { type LineMeaning, TurnTracker } from './turn-tracker.ts';

/** Time Claude has to answer an interrupt with its result. */
const INTERRUPT_PATIENCE_MS = 1_000;

/** Tools that only look are not waited for: what they did need not be kept. */
const CHANGING_TOOLS = '^(?!(Read|Glob|Grep|WebFetch|WebSearch|ToolSearch|AskUserQuestion)$).*';
const BEFORE_CHANGE = 'before-change';
const BEFORE_END = 'before-end';

/** How long the end of a turn waits for a try to commit and push. */
const TRY_PATIENCE_MS = 120_000;
/** A tool does not wait for the checkpoint of what ended less than this ago; a model takes longer to answer. */
const KEPT_SLACK_MS = 500;

/** The session gives people ten minutes, and says so when they are over; this is for one that does not. */
const ASKED_LIMIT_MS = 15 * 60_000;

/** Told to Claude where people are not even asked. */
const NOT_IN_THIS_SESSION =
  'This session may not do that, and nobody can allow it here: it may only run commands that change nothing, or that its settings name. ' +
  'Do not try another way; continue without it, and say in your answer what you would have done.';

export interface ConversationOptions {
  /** Whether the worktree is ready and is Claude's. */
  mayStart: () => boolean;
  /** Whether prompts may be handed over now: they wait for a commit. */
  mayDeliver: () => boolean;
  /**
   * Resolves, after a while at most, when what earlier tools did is kept outside of the sandbox; null: it is, or is younger than
   * `slackMs`. Never rejects.
   */
  unkept: (slackMs?: number) => Promise<void> | null;
  /** A batch of tools is done; `results` are the ids of Claude's own calls in it. */
  onBatch: (results: string[]) => void;
  /** Before a turn begins: what Claude is to be told of what happened outside; null: nothing. Never rejects. */
  beforeTurn: () => Promise<string | null>;
  /** Claude is about to end its turn: what it can still put right; null: nothing. Never rejects. */
  beforeEnd: () => Promise<string | null>;
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
  /** What tools of the running CLI wait for people to answer or allow, by request, with their input. */
  readonly #questions = new Map<string, Record<string, unknown>>();
  /** The running CLI was started with these. */
  #model = '';
  #conversationId = '';
  /** Claude's API, or the gateway, has not accepted the credential: a CLI that was told so may not ask again by itself. */
  #wasRefused = false;
  /** What the server itself asks people, by request. */
  readonly #asked = new Map<string, (decision: Decision | null) => void>();
  /** Lines of a resumed CLI that has not begun: it may turn out that there is nothing to resume. */
  #held: string[] | null = null;
  #nothingToResume = false;
  /** Lines from a result on, which is not told before the work it speaks of is kept. */
  #withheld: (() => void)[] | null = null;
  /** Prompts that Claude has answered in a turn that is not over. */
  #answered: string[] = [];
  /** What the next prompt is to say first, where the prompt had to wait. */
  #preface: string | null = null;
  /** A stop is being carried out: it tells the end of the turn itself. */
  #stopping = false;
  #idleSince = steadyNow();
  #cancelTick = () => {};

  constructor(context: IncarnationContext, options: ConversationOptions) {
    this.#context = context;
    this.#options = options;
    const { helperMs, commandMs, idleMs } = context.config;
    const limits = { helperMs, commandMs: Math.min(commandMs, idleMs) };
    this.#work = new EndOfWork(this.#tracker, limits, {
      ended: () => this.#workEnded(),
      overdue: (helpers) => this.#endHelpers(helpers),
      stuck: () => this.#soon(() => this.#end('silent')),
    });
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
    return this.#questions.has(requestId) || this.#asked.has(requestId);
  }

  answer({ requestId, input }: Extract<SandboxCommand, { type: 'answer' }>): void {
    this.#questions.delete(requestId);
    this.#cli?.answer(requestId, input);
  }

  /** What is allowed runs with the very input that was shown to people. */
  decide({ requestId, decision }: Extract<SandboxCommand, { type: 'decide' }>): void {
    this.#asked.get(requestId)?.(decision);
    const input = this.#questions.get(requestId);
    if (!input) return;
    this.#questions.delete(requestId);
    if (decision.allowed) this.#cli?.answer(requestId, input);
    else this.#cli?.deny(requestId, decision.message);
  }

  /**
   * Asks people on the server's own behalf, as a tool of Claude's does that needs permission.
   * @returns null if the process whose turn it is ended before, or nobody decided for longer than anybody is asked
   */
  async askPeople(tool: string, input: Record<string, unknown>): Promise<Decision | null> {
    if (!this.#cli || this.#stopping) return null;
    const requestId = `cyrus-${randomUUID()}`;
    const decided = new Promise<Decision | null>((resolve) => this.#asked.set(requestId, resolve));
    const request = { subtype: 'can_use_tool', tool_name: tool, input };
    this.#emitLine(JSON.stringify({ type: 'control_request', request_id: requestId, request }));
    const cancelLimit = after(ASKED_LIMIT_MS, () => {
      this.#emitLine(JSON.stringify({ type: 'control_cancel_request', request_id: requestId }));
      this.#asked.get(requestId)?.(null);
    });
    try {
      return await decided;
    } finally {
      cancelLimit();
      this.#asked.delete(requestId);
    }
  }

  /** Ends the CLI because the machine is going away; a turn in progress is reported as lost. */
  async lose(): Promise<void> {
    await this.#sequence.run(() => this.#end(this.isBusy ? 'crash' : 'idle'));
  }

  /** Ends everything at once. */
  async kill(): Promise<void> {
    this.#stopTicking();
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
      cli.prompt(prompt.id, isFirst && preface !== null ? `${prefaced(preface)}\n\n${prompt.text}` : prompt.text);
    }
  }

  #mayHaveGivenUp(): boolean {
    return this.#cli !== null && !this.isBusy && this.#wasRefused;
  }

  /** A turn may be asked for with another model than the one before. */
  #modelIsStale(): boolean {
    return this.#cli !== null && !this.isBusy && this.#model !== this.#context.start.claude.model;
  }

  /** Another conversation was begun after this process was started. */
  #conversationIsStale(): boolean {
    return this.#cli !== null && !this.isBusy && this.#conversationId !== this.#context.start.claude.conversationId;
  }

  async #start(): Promise<void> {
    if (this.#cli || !this.#options.mayStart()) return;
    const context = this.#context;
    const { paths, start } = context;
    const since = steadyNow();
    context.emit({ type: 'step', step: 'claude', status: 'started', detail: 'Starting Claude' });
    const resumed = !this.#nothingToResume && (await hasConversation(paths, start.claude.conversationId));
    // The CLI refuses to begin a conversation whose file is there, even an empty one.
    if (!resumed) await forgetConversation(paths, start.claude.conversationId);
    this.#nothingToResume = false;
    this.#held = resumed ? [] : null;
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
      onLine: (line) => this.#readLine(line),
      onStderr: (text) => context.emit({ type: 'stderr', text: context.withoutToken(text) }),
    });
    cli.askBefore(CHANGING_TOOLS, BEFORE_CHANGE, BEFORE_END);
    this.#cli = cli;
    this.#model = start.claude.model;
    this.#conversationId = start.claude.conversationId;
    this.#wasRefused = false;
    this.#idleSince = steadyNow();
    context.emit({ type: 'cli-started', pid: cli.pid, resumed });
    context.emit({ type: 'step', step: 'claude', status: 'done', durationMs: elapsedMs(since) });
    this.#tick();
    void cli.exited.then((exit) => this.#soon(() => this.#died(cli, exit)));
  }

  // --- Lines ---

  #readLine(line: string): void {
    const meaning = this.#tracker.read(line);
    this.#takeLine(line, meaning);
    if (this.#work.isHeld && meaning?.kind !== 'result' && !line.startsWith('{"type":"stream_event"'))
      this.#work.look();
  }

  #takeLine(line: string, meaning: LineMeaning | null): void {
    if (meaning?.kind === 'result' && meaning.noConversation && this.#held) {
      // Not the answer to anything: the CLI ends now, and a new one begins the conversation afresh.
      this.#nothingToResume = true;
      this.#held = null;
    }
    if (this.#nothingToResume) return;
    // Between the CLI and its host; it says nothing to anybody else.
    if (meaning?.kind === 'carried-out') return;
    if (meaning?.kind === 'calls-back') {
      if (meaning.callback === BEFORE_END) void this.#endWhenTried(this.#cli, meaning.requestId);
      else void this.#allowWhenKept(this.#cli, meaning.requestId);
      return;
    }
    // The server asks under this name; nobody else does.
    if (meaning?.kind === 'tool-asks' && meaning.tool === HELD_PUSH_TOOL) {
      this.#cli?.deny(meaning.requestId, NOT_IN_THIS_SESSION);
      return;
    }
    // What is answered here is not reported: its reader would ask people.
    if (meaning?.kind === 'tool-asks' && !this.#isForPeople(meaning)) {
      if (onlyLooks(meaning) || mcpVerdict(this.#context.start, meaning.tool) === 'run')
        this.#cli?.answer(meaning.requestId, meaning.input);
      else this.#cli?.deny(meaning.requestId, NOT_IN_THIS_SESSION);
      return;
    }
    if (this.#held) {
      this.#held.push(line);
      if (meaning?.kind === 'started' || meaning?.kind === 'result') this.#releaseHeld();
      if (meaning) this.#react(meaning);
      return;
    }
    const goesOn = meaning?.kind === 'result' && this.#goesOnAfter(meaning);
    const tell = () => this.#tell(line, meaning, goesOn);
    if (this.#withheld) this.#withheld.push(tell);
    else if (meaning?.kind === 'result' && !goesOn) this.#tellWhenKept(tell);
    else tell();
  }

  /** Whether the turn is not over with this result. Who began this session may be older, and take every result for the end. */
  #goesOnAfter({ queued }: Extract<LineMeaning, { kind: 'result' }>): boolean {
    if (this.#stopping || this.#context.start.waitsForHelpers !== true) return false;
    return this.#work.holdsAfterResult(queued);
  }

  #tell(line: string, meaning: LineMeaning | null, goesOn: boolean): void {
    this.#emitLine(line, goesOn);
    if (meaning?.kind === 'result') {
      this.#wasRefused = meaning.refused;
      this.#answered.push(...meaning.prompts);
    }
    if (meaning && !goesOn) this.#react(meaning);
  }

  /** Helpers are done, and Claude has nothing more to say about it. */
  #workEnded(): void {
    const tell = () => {
      this.#context.emit({ type: 'work-ended' });
      this.#endTurn();
    };
    if (this.#withheld) this.#withheld.push(tell);
    else this.#tellWhenKept(tell);
  }

  #endTurn(): void {
    this.#idleSince = steadyNow();
    this.#noteAnswered();
    if (!this.#stopping) this.#options.onTurnEnd();
  }

  /** Helpers have worked for too long after Claude's own last word: they are ended, and people and Claude are told. */
  #endHelpers(helpers: BackgroundTask[]): void {
    const names = helpers.map(({ name }) => name).join(', ');
    const minutes = Math.max(1, Math.round(this.#context.config.helperMs / 60_000));
    const limit = `${minutes} minute${minutes === 1 ? '' : 's'}`;
    this.#context.emit({
      type: 'notice',
      text: `Claude's helpers still worked ${limit} after Claude itself was done, which is the limit, and were ended: ${names}.`,
    });
    for (const { id } of helpers) this.#cli?.stopTask(id);
    const told =
      `Cyrus has ended these helpers of yours, because they still worked ${limit} after your last message, which is the limit: ${names}. ` +
      'Look at what they left behind, do not start them again, and say in your answer what is missing as a result.';
    this.#cli?.prompt(randomUUID(), told);
  }

  /**
   * A turn whose end is known is not gone on with: were the sandbox lost now, what its last tools did would be missing, and
   * nobody would do it again.
   */
  #tellWhenKept(tell: () => void): void {
    const unkept = this.#stopping ? null : this.#options.unkept();
    if (!unkept) {
      tell();
      return;
    }
    const withheld = [tell];
    this.#withheld = withheld;
    void unkept.then(() => {
      if (this.#withheld === withheld) this.#releaseWithheld();
    });
  }

  #releaseWithheld(): void {
    const withheld = this.#withheld ?? [];
    this.#withheld = null;
    for (const tell of withheld) tell();
  }

  #react(meaning: LineMeaning): void {
    switch (meaning.kind) {
      case 'started':
        return;
      case 'asks':
        this.#cli?.refuse(meaning.requestId, `nobody answers ${meaning.subtype} here`);
        return;
      case 'tool-asks':
        this.#questions.set(meaning.requestId, meaning.input);
        return;
      case 'batch':
        this.#options.onBatch(meaning.results);
        return;
      case 'withdraws':
        this.#questions.delete(meaning.requestId);
        return;
      case 'result': {
        this.#endTurn();
      }
    }
  }

  /** Noted once what ends the turn is on disk: a crash in between must not leave it without an end. */
  #noteAnswered(): void {
    const { journal, commands } = this.#context;
    const answered = this.#answered;
    this.#answered = [];
    journal
      .flushed()
      .then(() => commands.answered(answered))
      .catch((error: unknown) => this.#context.broken('answered', error));
  }

  /** No tool begins while work that is older than a moment could still be lost: after a loss at most one batch is made again. */
  async #allowWhenKept(cli: ClaudeProcess | null, requestId: string): Promise<void> {
    await this.#options.unkept(KEPT_SLACK_MS);
    cli?.goOn(requestId);
  }

  /** A turn ends once its work was tried to be pushed; what was refused Claude may put right before, once for each reason. */
  async #endWhenTried(cli: ClaudeProcess | null, requestId: string): Promise<void> {
    let advice: string | null = null;
    // What helpers have half made is not committed.
    if (this.#tracker.background.helpers.length > 0) {
      cli?.goOn(requestId);
      return;
    }
    const tried = this.#options.beforeEnd().then((found) => {
      advice = found;
    });
    // People take the time that they have.
    while ((await settledWithin(TRY_PATIENCE_MS, tried)) === 'late' && this.#asked.size > 0 && this.#cli === cli) {}
    if (advice === null || this.#stopping) cli?.goOn(requestId);
    else cli?.notYet(requestId, notYetWords(advice));
  }

  #isForPeople({ tool, byRule }: Extract<LineMeaning, { kind: 'tool-asks' }>): boolean {
    // All calls of a server with restrictions come here.
    const verdict = mcpVerdict(this.#context.start, tool);
    if (verdict !== null) return verdict === 'ask';
    return tool === 'AskUserQuestion' || byRule || this.#context.start.claude.permissions?.others !== 'refuse';
  }

  #releaseHeld(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) this.#emitLine(line);
  }

  #emitLine(line: string, goesOn = false): void {
    const { journal } = this.#context;
    this.#context.emit({ type: 'line', line: this.#context.withoutToken(line), ...(goesOn && { goesOn }) });
    const cli = this.#cli;
    if (!journal.congested || !cli) return;
    cli.pauseOutput(true);
    void journal.flushed().then(() => cli.pauseOutput(false));
  }

  // --- Ends ---

  /** The CLI ended by itself. */
  async #died(cli: ClaudeProcess, exit: ClaudeExit): Promise<void> {
    if (this.#cli !== cli) return;
    this.#cli = null;
    if (this.#nothingToResume) {
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
    this.#stopTicking();
    this.#releaseHeld();
    this.#releaseWithheld();
    this.#work.forget();
    const unanswered = [...this.#answered, ...this.#tracker.abandon()];
    this.#answered = [];
    this.#questions.clear();
    for (const resolve of this.#asked.values()) resolve(null);
    const prompts = await promptsAtExit(this.#context, unanswered, stop?.dropped ?? []);
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

  /** Looks once a second, while a CLI runs, whether it idles or hangs. */
  #tick(): void {
    this.#stopTicking();
    const { idleMs, silenceMs } = this.#context.config;
    const look = () => {
      const cause = this.#whyEnd();
      if (!cause) {
        this.#tick();
        return;
      }
      this.#soon(async () => {
        if (this.#whyEnd() === cause) await this.#end(cause);
        else if (this.#cli) this.#tick();
      });
    };
    this.#cancelTick = after(Math.min(1_000, idleMs, silenceMs), look);
  }

  #whyEnd(): 'idle' | 'silent' | null {
    const cli = this.#cli;
    if (!cli || this.#asked.size > 0) return null;
    const { idleMs, silenceMs, toolSilenceMs } = this.#context.config;
    const now = steadyNow();
    if (this.isBusy) {
      return now - cli.lastOutputAt > (this.#tracker.toolRunning ? toolSilenceMs : silenceMs) ? 'silent' : null;
    }
    // What runs in the background does not keep the machine awake: it is ended too, and named.
    return now - this.#idleSince > idleMs ? 'idle' : null;
  }

  #stopTicking(): void {
    this.#cancelTick();
  }
}

/** Begins with a tag of its own, so that nobody takes it for a person's words. */
function prefaced(news: string): string {
  return `<cyrus-note>\nWhat happened to the branch outside of this conversation, as of now:\n${news.replaceAll('</cyrus-note', '‹/cyrus-note')}\n</cyrus-note>`;
}

function notYetWords(advice: string): string {
  return `Cyrus committed and pushed what you did, but not all of it could be saved:\n${advice}\nFix what you can, then end your turn again. If you cannot, say so in your answer.`;
}

/**
 * What became of the prompts that a process which has ended was given and had not answered. The conversation on the disk
 * decides: the next process has that and nothing else.
 * @param given their ids
 * @param dropped ids of prompts that no process was given
 */
export async function promptsAtExit(
  { paths, start }: IncarnationContext,
  given: readonly string[],
  dropped: readonly string[],
): Promise<{ read: string[]; unread: string[] }> {
  const found = await promptsInTranscripts(await transcripts(paths, start.claude.conversationId), given);
  return {
    read: given.filter((id) => found.has(id)),
    unread: [...given.filter((id) => !found.has(id)), ...dropped],
  };
}

function onlyLooks({ tool, input }: Extract<LineMeaning, { kind: 'tool-asks' }>): boolean {
  return tool === 'Bash' && typeof input.command === 'string' && isLookingCommand(input.command);
}

async function waitUntil(done: () => boolean, limitMs: number): Promise<void> {
  const deadline = steadyNow() + limitMs;
  while (!done() && steadyNow() < deadline) await pause(5);
}
