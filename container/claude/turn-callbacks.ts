/**
 * Where the CLI waits for the server: before a tool that changes something, and before the end of a turn. The first waits until
 * earlier work is kept outside of the sandbox, so that after a loss at most one batch of tools is made again; the second until the
 * server has tried to push the work.
 */
import { settledWithin } from '../../src/lib/timeout.ts';
import type { ClaudeProcess } from './claude-process.ts';
import { notYet } from './told-to-claude.ts';
import type { LineMeaning } from './turn-tracker.ts';

/** Tools that only look are not waited for: what they did need not be kept. */
const CHANGING_TOOLS = '^(?!(Read|Glob|Grep|WebFetch|WebSearch|ToolSearch|AskUserQuestion)$).*';
const BEFORE_CHANGE = 'before-change';
const BEFORE_END = 'before-end';

/** How long the end of a turn waits for a try to commit and push. */
const TRY_PATIENCE_MS = 120_000;
/** A tool does not wait for the checkpoint of what ended less than this ago; a model takes longer to answer. */
const KEPT_SLACK_MS = 500;

export interface SavedWork {
  /**
   * Resolves, after a while at most, when what earlier tools did is kept outside of the sandbox; null: it is, or is younger than
   * `slackMs`. Never rejects.
   */
  unkept: (slackMs?: number) => Promise<void> | null;
  /** Claude is about to end its turn: what it can still put right; null: nothing. Never rejects. */
  beforeEnd: () => Promise<string | null>;
}

export interface TurnNow {
  /** Helpers of Claude's are at work: what they have half made is not committed. */
  helpersWork: () => boolean;
  /** The server asks people something, while this process runs: they take the time that they have. */
  asksPeople: (cli: ClaudeProcess | null) => boolean;
  /** A stop is being carried out. */
  isStopping: () => boolean;
}

export class TurnCallbacks {
  readonly #work: SavedWork;
  readonly #now: TurnNow;

  constructor(work: SavedWork, now: TurnNow) {
    this.#work = work;
    this.#now = now;
  }

  /** Has a CLI that was just started wait for the server at both places. */
  install(cli: ClaudeProcess): void {
    cli.askBefore(CHANGING_TOOLS, BEFORE_CHANGE, BEFORE_END);
  }

  /** Lets the CLI go on when it may. Never rejects. */
  async called(
    { requestId, callback }: Extract<LineMeaning, { kind: 'calls-back' }>,
    cli: ClaudeProcess | null,
  ): Promise<void> {
    if (callback === BEFORE_END) await this.#endWhenTried(cli, requestId);
    else {
      await this.#work.unkept(KEPT_SLACK_MS);
      cli?.goOn(requestId);
    }
  }

  /** A turn ends once the server has tried to push its work. What was refused, Claude may put right before that, once for each reason. */
  async #endWhenTried(cli: ClaudeProcess | null, requestId: string): Promise<void> {
    if (this.#now.helpersWork()) {
      cli?.goOn(requestId);
      return;
    }
    let advice: string | null = null;
    const tried = this.#work.beforeEnd().then((found) => {
      advice = found;
    });
    while ((await settledWithin(TRY_PATIENCE_MS, tried)) === 'late' && this.#now.asksPeople(cli)) {}
    if (advice === null || this.#now.isStopping()) cli?.goOn(requestId);
    else cli?.notYet(requestId, notYet(advice));
  }
}
