/**
 * Asks a sandbox that has been silent for a few seconds whether it is there. The object keeps no timer for that, which would keep
 * it in memory, and no alarm, which would be stored: the gateway, which takes in what the sandbox posts, says when it is time
 * (routes/gateway/sandbox-silence.ts).
 */
import { asError } from '../lib/error.ts';
import { log } from '../observability/log.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { isSilenceTrouble } from './lifecycle/model/deadlines.ts';
import type { SessionState } from './lifecycle/model/state.ts';

/** A sandbox that posted nothing for so long, in ms, is asked. */
export const ASK_AFTER_MS = 5_000;
/** Who asks a little early, in ms, need not come back for that. */
const EARLY_MS = 500;
/** Wait between a question without an answer and the second one, in ms. */
const ASK_AGAIN_MS = 500;

export interface SandboxCheckOptions {
  /** The state as it is now. */
  state: () => SessionState | null;
  sandboxOf: (state: SessionState) => Sandbox;
  /** The sandbox of this life did not answer twice, or knows nothing of the session. */
  onGone: (generation: number) => void;
}

export class SandboxCheck {
  readonly #options: SandboxCheckOptions;
  /** Who was asked last. It keeps what it needs in order to ask, such as its secret. */
  #asked: { life: string; sandbox: Sandbox } | null = null;
  #looking: Promise<number | null> | null = null;

  constructor(options: SandboxCheckOptions) {
    this.#options = options;
  }

  /**
   * Asks the sandbox, where it was silent for long enough and that would mean trouble.
   * @returns when to look again unless it posts, in ms; null: there is nothing to look after
   */
  look(): Promise<number | null> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<number | null> {
    const state = this.#awaited();
    if (!state) return null;
    const sandbox = this.#sandboxOf(state);
    if (!sandbox.endsUntold) return null;
    const { generation, heardAt } = state.sandbox;
    const silentFor = Date.now() - heardAt;
    // On a clock that was set back it is asked too early, which does no harm.
    if (silentFor >= 0 && silentFor < ASK_AFTER_MS - EARLY_MS) return ASK_AFTER_MS - silentFor;
    if (!(await this.#isGone(sandbox, state))) return ASK_AFTER_MS;
    // A server that restarts may be back by now.
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    if (!(await this.#isGone(sandbox, state))) return ASK_AFTER_MS;
    const now = this.#awaited();
    if (now?.sandbox.generation !== generation || now.sandbox.heardAt !== heardAt) return ASK_AFTER_MS;
    log('session.sandbox.gone', { session: state.id, generation });
    this.#options.onGone(generation);
    return null;
  }

  #awaited(): SessionState | null {
    const state = this.#options.state();
    return state && isSilenceTrouble(state) ? state : null;
  }

  #sandboxOf(state: SessionState): Sandbox {
    const life = JSON.stringify([state.sandbox.generation, state.arrangement?.placement]);
    if (this.#asked?.life !== life) this.#asked = { life, sandbox: this.#options.sandboxOf(state) };
    return this.#asked.sandbox;
  }

  /** Never rejects: where it cannot be asked, nothing is known of it. */
  async #isGone(sandbox: Sandbox, { id }: SessionState): Promise<boolean> {
    try {
      return !(await sandbox.isThere(id));
    } catch (error) {
      log('session.sandbox_check.failed', { session: id, error: asError(error) });
      return false;
    }
  }
}
