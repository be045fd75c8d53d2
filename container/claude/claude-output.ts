/**
 * What Claude's lines bring about. Each line is reported in its order, once it may be, and its meaning is acted upon:
 * questions are opened, batches of tools and turns end.
 */
import type { IncarnationContext } from '../session/context.ts';
import type { ClaudeProcess } from './claude-process.ts';
import type { EndOfWork } from './end-of-work.ts';
import type { OpenQuestions } from './open-questions.ts';
import { OutputGate } from './output-gate.ts';
import type { TurnCallbacks } from './turn-callbacks.ts';
import type { LineMeaning, TurnTracker } from './turn-tracker.ts';

/** What follows the lines. */
interface Followers {
  tracker: TurnTracker;
  work: EndOfWork;
  questions: OpenQuestions;
  callbacks: TurnCallbacks;
}

/** Whose output it is. */
interface Owner {
  /** The process that runs; null: none does. */
  cli: () => ClaudeProcess | null;
  /** Whether a stop is being carried out: it tells the end of the turn itself. */
  isStopping: () => boolean;
  /** Resolves when what Claude has done is kept outside of the sandbox; null: it is. Never rejects. */
  unkept: () => Promise<void> | null;
  /** A batch of tools is done; `results` are the ids of Claude's own calls in it. */
  onBatch: (results: string[]) => void;
  /** Claude's turn is over. */
  onTurnEnd: () => void;
}

export class ClaudeOutput {
  readonly #context: IncarnationContext;
  readonly #followers: Followers;
  readonly #owner: Owner;
  readonly #gate: OutputGate;
  /** Prompts that Claude has answered in a turn that is not over. */
  #answered: string[] = [];
  #wasRefused = false;
  #nothingToResume = false;

  constructor(context: IncarnationContext, followers: Followers, owner: Owner) {
    this.#context = context;
    this.#followers = followers;
    this.#owner = owner;
    this.#gate = new OutputGate(
      (line) => this.emit(line),
      () => (owner.isStopping() ? null : owner.unkept()),
    );
  }

  /** Claude's API, or the gateway, has not accepted the credential: a CLI that was told so may not ask again by itself. */
  get wasRefused(): boolean {
    return this.#wasRefused;
  }

  /** The conversation that the CLI was to resume is not there; another one begins it. */
  get nothingToResume(): boolean {
    return this.#nothingToResume;
  }

  /** A CLI is about to be started. @param resumed its lines are held until it has begun */
  begin(resumed: boolean): void {
    this.#wasRefused = false;
    this.#nothingToResume = false;
    this.#gate.begin(resumed);
  }

  /** Takes in a line that the CLI printed. */
  read(line: string): void {
    const { tracker, work } = this.#followers;
    const meaning = tracker.read(line);
    this.#take(line, meaning);
    if (work.isHeld && meaning?.kind !== 'result' && !line.startsWith('{"type":"stream_event"')) work.look();
  }

  #take(line: string, meaning: LineMeaning | null): void {
    const { questions, callbacks } = this.#followers;
    if (meaning?.kind === 'result' && meaning.noConversation && this.#gate.isHeld) {
      // Not the answer to anything: the CLI ends now, and a new one begins the conversation afresh.
      this.#nothingToResume = true;
      this.#gate.drop();
    }
    if (this.#nothingToResume) return;
    // Between the CLI and its host; it says nothing to anybody else.
    if (meaning?.kind === 'carried-out') return;
    if (meaning?.kind === 'calls-back') {
      void callbacks.called(meaning, this.#owner.cli());
      return;
    }
    // What is answered here is not reported: its reader would ask people.
    if (meaning?.kind === 'tool-asks' && questions.answerAtOnce(meaning, this.#owner.cli())) return;
    if (this.#gate.isHeld) {
      this.#gate.hold(line);
      if (meaning?.kind === 'started' || meaning?.kind === 'result') this.#gate.release();
      if (meaning) this.#react(meaning);
      return;
    }
    const goesOn = meaning?.kind === 'result' && this.#goesOnAfter(meaning);
    this.#gate.pass(() => this.#tell(line, meaning, goesOn), meaning?.kind === 'result' && !goesOn);
  }

  /** Whether the turn is not over with this result. Who began this session may be older, and take every result for the end. */
  #goesOnAfter({ queued }: Extract<LineMeaning, { kind: 'result' }>): boolean {
    if (this.#owner.isStopping() || this.#context.start.waitsForHelpers !== true) return false;
    return this.#followers.work.holdsAfterResult(queued);
  }

  #tell(line: string, meaning: LineMeaning | null, goesOn: boolean): void {
    this.emit(line, goesOn);
    if (meaning?.kind === 'result') {
      this.#wasRefused = meaning.refused;
      this.#answered.push(...meaning.prompts);
    }
    if (meaning && !goesOn) this.#react(meaning);
  }

  #react(meaning: LineMeaning): void {
    const { questions } = this.#followers;
    switch (meaning.kind) {
      case 'started':
        return;
      case 'asks':
        this.#owner.cli()?.refuse(meaning.requestId, `nobody answers ${meaning.subtype} here`);
        return;
      case 'tool-asks':
        questions.opened(meaning);
        return;
      case 'batch':
        this.#owner.onBatch(meaning.results);
        return;
      case 'withdraws':
        questions.withdrawn(meaning.requestId);
        return;
      case 'result': {
        this.#endTurn();
      }
    }
  }

  /** Helpers are done, and Claude has nothing more to say about it. */
  workEnded(): void {
    this.#gate.pass(() => {
      this.#context.emit({ type: 'work-ended' });
      this.#endTurn();
    }, true);
  }

  #endTurn(): void {
    this.#noteAnswered();
    this.#owner.onTurnEnd();
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

  /** Reports a line at once. While too many events wait to be stored, the CLI's output is paused. */
  emit(line: string, goesOn = false): void {
    const { journal } = this.#context;
    this.#context.emit({ type: 'line', line: this.#context.withoutToken(line), ...(goesOn && { goesOn }) });
    const cli = this.#owner.cli();
    if (!journal.congested || !cli) return;
    cli.pauseOutput(true);
    void journal.flushed().then(() => cli.pauseOutput(false));
  }

  /** The CLI is gone: reports what was held back. @returns ids of the prompts whose turn has not ended */
  end(): string[] {
    const { tracker, work, questions } = this.#followers;
    this.#gate.open();
    work.forget();
    const unended = [...this.#answered, ...tracker.abandon()];
    this.#answered = [];
    questions.close();
    return unended;
  }
}
