/**
 * The conversation with Claude: prompts go to the CLI as they come, its lines become events, and it is started, resumed,
 * stopped and ended as needed. Starts, ends and deliveries form one sequence: what ends a CLI kills every process of the
 * session, and must never meet the next one.
 */
import type { SandboxCommand } from '../src/protocol/sandbox.ts';
import { type ClaudeExit, ClaudeProcess } from './claude.ts';
import { claudeArguments, claudeEnvironment, forgetConversation, hasConversation } from './claude-command.ts';
import type { Prompt } from './commands.ts';
import type { LifeContext } from './life-context.ts';
import { isLookingCommand } from './looking-commands.ts';
import { mcpVerdict, writeMcpConfig, writeMcpHeaders } from './mcp.ts';
import { killSessionProcesses } from './processes.ts';
import { Sequence } from './sequence.ts';
import { type LineMeaning, TurnTracker } from './turns.ts';

/** Time Claude has to answer an interrupt with its result. */
const INTERRUPT_PATIENCE_MS = 1_000;
/** Age after which a CLI is given a newer token before its next turn. */
const TOKEN_AGE_MS = 30 * 60_000;

/** Tools that only look are not waited for: what they did need not be kept. */
const CHANGING_TOOLS = '^(?!(Read|Glob|Grep|WebFetch|WebSearch|ToolSearch|AskUserQuestion)$).*';
const BEFORE_CHANGE = 'before-change';

/** Told to Claude where people are not even asked. */
const NOT_IN_THIS_SESSION =
  'This session may not do that, and nobody can allow it here: of commands only those run that change nothing, or that its settings name. ' +
  'Do not try it another way; go on without it, and say in your answer what you would have done.';

export interface ConversationOptions {
  /** Whether the worktree stands and is Claude's. */
  mayStart: () => boolean;
  /** Whether prompts may be handed over now: they wait for a commit. */
  mayDeliver: () => boolean;
  /** Resolves, after a while at most, when what earlier tools did is kept outside of the sandbox; null: it is. Never rejects. */
  unkept: () => Promise<void> | null;
  /** A batch of tools is done; `results` are the ids of Claude's own calls in it. */
  onBatch: (results: string[]) => void;
  /** Claude gave a result, was stopped, or is gone: its work is to be saved. */
  onTurnEnd: () => void;
  /** The CLI cannot be started. */
  onFailure: (error: unknown) => void;
}

type EndCause = 'idle' | 'silent' | 'crash';

export class Conversation {
  readonly #context: LifeContext;
  readonly #options: ConversationOptions;
  readonly #tracker = new TurnTracker();
  readonly #sequence = new Sequence();
  #cli: ClaudeProcess | null = null;
  /** What tools of the running CLI wait for people to answer or allow, by request, with their input. */
  readonly #questions = new Map<string, Record<string, unknown>>();
  /** The running CLI was started with it. */
  #model = '';
  #token: { value: string; since: number; refused: boolean } | null = null;
  /** Lines of a resumed CLI that has not begun: it may turn out that there is nothing to resume. */
  #held: string[] | null = null;
  #nothingToResume = false;
  /** Lines from a result on, which is not told before the work it speaks of is kept. */
  #withheld: { line: string; meaning: LineMeaning | null }[] | null = null;
  /** A stop is being carried out: it tells the end of the turn itself. */
  #stopping = false;
  #idleSince = Date.now();
  #ticker: NodeJS.Timeout | null = null;

  constructor(context: LifeContext, options: ConversationOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** True from the delivery of a prompt until its result, and while Claude goes on by itself. */
  get isBusy(): boolean {
    return this.#tracker.busy;
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
   * it works on a later turn already. A `cli-exited` with cause `stop` tells it, also where no CLI was running.
   */
  stopSoon(stop: Extract<SandboxCommand, { type: 'stop' }>): void {
    this.#soon(() => this.#stop(stop));
  }

  /** Whether Claude waits for the answer to this question. */
  waitsFor(requestId: string): boolean {
    return this.#questions.has(requestId);
  }

  answer({ requestId, input }: Extract<SandboxCommand, { type: 'answer' }>): void {
    this.#questions.delete(requestId);
    this.#cli?.answer(requestId, input);
  }

  /** What is allowed runs with the very input that was shown to people. */
  decide({ requestId, decision }: Extract<SandboxCommand, { type: 'decide' }>): void {
    const input = this.#questions.get(requestId);
    if (!input) return;
    this.#questions.delete(requestId);
    if (decision.allowed) this.#cli?.answer(requestId, input);
    else this.#cli?.deny(requestId, decision.message);
  }

  /** Ends the CLI because the machine is going away; a turn in progress is reported as lost. */
  async lose(): Promise<void> {
    await this.#sequence.run(() => this.#end(this.#tracker.busy ? 'crash' : 'idle'));
  }

  /** Ends everything at once. */
  async kill(): Promise<void> {
    this.#stopTicking();
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
    if (this.#tokenIsStale() || this.#modelIsStale()) await this.#end('idle');
    if (!this.#cli) await this.#start();
    this.#handOver(commands.waiting);
  }

  #handOver(prompts: Prompt[]): void {
    const cli = this.#cli;
    if (!cli) return;
    for (const prompt of prompts) {
      // Noted first: after a crash a prompt may lack its answer, but it is never carried out twice.
      this.#context.commands.delivered(prompt.id);
      this.#tracker.delivered(prompt.id);
      cli.prompt(prompt.id, prompt.text);
    }
  }

  /** A running CLI keeps the token it was started with. */
  #tokenIsStale(): boolean {
    const given = this.#token;
    if (!this.#cli || !given || this.#tracker.busy) return false;
    if (given.value === this.#context.start.gateway.token) return false;
    return given.refused || Date.now() - given.since > TOKEN_AGE_MS;
  }

  /** A turn may be asked for with another model than the one before. */
  #modelIsStale(): boolean {
    return this.#cli !== null && !this.#tracker.busy && this.#model !== this.#context.start.claude.model;
  }

  async #start(): Promise<void> {
    if (this.#cli || !this.#options.mayStart()) return;
    const context = this.#context;
    const { paths, start } = context;
    const since = Date.now();
    context.emit({ type: 'step', step: 'claude', status: 'started', detail: 'Starting Claude' });
    const resumed = !this.#nothingToResume && (await hasConversation(paths, start.claude.conversationId));
    // The CLI refuses to begin a conversation whose file is there, even an empty one.
    if (!resumed) await forgetConversation(paths, start.claude.conversationId);
    this.#nothingToResume = false;
    this.#held = resumed ? [] : null;
    const { token } = start.gateway;
    await Promise.all([writeMcpConfig(start, paths), writeMcpHeaders(start, paths)]);
    const cli = await ClaudeProcess.start({
      bin: context.config.claudeBin,
      args: claudeArguments(start, paths, resumed),
      env: claudeEnvironment(start, paths, context.plan.remote),
      cwd: paths.worktree,
      token,
      sessionDir: paths.dir,
      onLine: (line) => this.#readLine(line),
      onStderr: (text) => context.emit({ type: 'stderr', text: context.withoutToken(text) }),
    });
    cli.askBefore(CHANGING_TOOLS, BEFORE_CHANGE);
    this.#cli = cli;
    this.#model = start.claude.model;
    this.#token = { value: token, since: Date.now(), refused: false };
    this.#idleSince = Date.now();
    context.emit({ type: 'cli-started', pid: cli.pid, resumed });
    context.emit({ type: 'step', step: 'claude', status: 'done', durationMs: Date.now() - since });
    this.#tick();
    void cli.exited.then((exit) => this.#soon(() => this.#died(cli, exit)));
  }

  // --- Lines ---

  #readLine(line: string): void {
    const meaning = this.#tracker.read(line);
    if (meaning?.kind === 'result' && meaning.noConversation && this.#held) {
      // Not the answer to anything: the CLI ends now, and a new one begins the conversation afresh.
      this.#nothingToResume = true;
      this.#held = null;
    }
    if (this.#nothingToResume) return;
    // Between the CLI and its host; it says nothing to anybody else.
    if (meaning?.kind === 'carried-out') return;
    if (meaning?.kind === 'calls-back') {
      void this.#allowWhenKept(this.#cli, meaning.requestId);
      return;
    }
    // What is answered here is not told: whoever reads it would ask people.
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
    } else if (this.#withheld) this.#withheld.push({ line, meaning });
    else if (meaning?.kind === 'result') this.#tellWhenKept(line, meaning);
    else this.#tell(line, meaning);
  }

  #tell(line: string, meaning: LineMeaning | null): void {
    this.#emitLine(line);
    if (meaning) this.#react(meaning);
  }

  /**
   * A turn whose end is known is not gone on with: were the sandbox lost now, what its last tools did would be missing, and
   * nobody would do it again.
   */
  #tellWhenKept(line: string, meaning: LineMeaning): void {
    const unkept = this.#stopping ? null : this.#options.unkept();
    if (!unkept) {
      this.#tell(line, meaning);
      return;
    }
    const withheld = [{ line, meaning }];
    this.#withheld = withheld;
    void unkept.then(() => {
      if (this.#withheld === withheld) this.#releaseWithheld();
    });
  }

  #releaseWithheld(): void {
    const withheld = this.#withheld ?? [];
    this.#withheld = null;
    for (const { line, meaning } of withheld) this.#tell(line, meaning);
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
        if (this.#token) this.#token.refused = meaning.refused;
        this.#idleSince = Date.now();
        const { journal, commands } = this.#context;
        // Noted once the result is on disk: a crash in between must not leave the turn without an end.
        journal
          .flushed()
          .then(() => commands.answered(meaning.prompts))
          .catch((error: unknown) => this.#context.broken('answered', error));
        if (!this.#stopping) this.#options.onTurnEnd();
      }
    }
  }

  /** No tool begins while the work of those before it could still be lost: after a loss at most one batch is made again. */
  async #allowWhenKept(cli: ClaudeProcess | null, requestId: string): Promise<void> {
    await this.#options.unkept();
    cli?.goOn(requestId);
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

  #emitLine(line: string): void {
    const { journal } = this.#context;
    this.#context.emit({ type: 'line', line: this.#context.withoutToken(line) });
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
    } else await this.#ended(exit, 'crash');
  }

  async #end(cause: EndCause): Promise<void> {
    const cli = this.#cli;
    if (!cli) return;
    this.#cli = null;
    await this.#ended(await cli.end(cause === 'idle'), cause);
  }

  async #ended(exit: ClaudeExit, cause: EndCause): Promise<void> {
    await killSessionProcesses(this.#context.paths.dir);
    const duringTurn = this.#tracker.busy;
    await this.#tellExit(exit, duringTurn, cause);
    if (duringTurn) this.#options.onTurnEnd();
    this.deliverSoon();
  }

  async #tellExit(exit: ClaudeExit, duringTurn: boolean, cause: EndCause | 'stop'): Promise<void> {
    const { journal, commands } = this.#context;
    this.#stopTicking();
    this.#releaseHeld();
    this.#releaseWithheld();
    const unanswered = this.#tracker.abandon();
    this.#questions.clear();
    this.#context.emit({ type: 'cli-exited', ...exit, duringTurn, cause });
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
      const exit = await this.#interruptAndEnd();
      await this.#tellExit(exit, this.#tracker.busy || waiting.length > 0, 'stop');
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
      if (this.#tracker.busy) {
        cli.interrupt();
        await waitUntil(() => !this.#tracker.busy || !cli.alive, INTERRUPT_PATIENCE_MS);
      }
      this.#cli = null;
      return await cli.end(!this.#tracker.busy);
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
      if (!cause) return;
      this.#stopTicking();
      this.#soon(async () => {
        if (this.#whyEnd() === cause) await this.#end(cause);
        else if (this.#cli) this.#tick();
      });
    };
    this.#ticker = setInterval(look, Math.min(1_000, idleMs, silenceMs));
  }

  #whyEnd(): 'idle' | 'silent' | null {
    const cli = this.#cli;
    if (!cli) return null;
    const { idleMs, silenceMs, toolSilenceMs } = this.#context.config;
    const now = Date.now();
    if (this.#tracker.busy) {
      return now - cli.lastOutputAt > (this.#tracker.toolRunning ? toolSilenceMs : silenceMs) ? 'silent' : null;
    }
    return now - this.#idleSince > idleMs && !this.#tracker.backgroundWork ? 'idle' : null;
  }

  #stopTicking(): void {
    if (this.#ticker) clearInterval(this.#ticker);
    this.#ticker = null;
  }
}

function onlyLooks({ tool, input }: Extract<LineMeaning, { kind: 'tool-asks' }>): boolean {
  return tool === 'Bash' && typeof input.command === 'string' && isLookingCommand(input.command);
}

async function waitUntil(done: () => boolean, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!done() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
}
