/** Looks once a second, while a CLI runs, whether it idles or hangs. */
import { after, steadyNow } from '../clock.ts';
import type { SandboxConfig } from '../config.ts';

/** What the CLI does, as far as it matters for ending it. Times by `steadyNow`. */
export interface Activity {
  busy: boolean;
  toolRunning: boolean;
  lastOutputAt: number;
  idleSince: number;
  /** How long Claude's API may be silent before the gateway gives up a request, in ms. Until then the CLI may be silent, too. */
  apiSilenceMs: number;
}

export class IdleWatch {
  readonly #limits: Pick<SandboxConfig, 'idleMs' | 'silenceMs' | 'toolSilenceMs'>;
  readonly #activity: () => Activity | null;
  readonly #onCause: (cause: 'idle' | 'silent') => void;
  #cancel = () => {};

  /**
   * @param limits in ms
   * @param activity null: no CLI runs, or it waits for people
   * @param onCause the CLI is to be ended; the watch stops until it is started again
   */
  constructor(
    limits: Pick<SandboxConfig, 'idleMs' | 'silenceMs' | 'toolSilenceMs'>,
    activity: () => Activity | null,
    onCause: (cause: 'idle' | 'silent') => void,
  ) {
    this.#limits = limits;
    this.#activity = activity;
    this.#onCause = onCause;
  }

  start(): void {
    this.stop();
    const { idleMs, silenceMs } = this.#limits;
    this.#cancel = after(Math.min(1_000, idleMs, silenceMs), () => {
      const cause = this.cause();
      if (cause) this.#onCause(cause);
      else this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  /** Why the CLI is to be ended now; null: it is not. */
  cause(): 'idle' | 'silent' | null {
    const activity = this.#activity();
    if (!activity) return null;
    const { idleMs, silenceMs, toolSilenceMs } = this.#limits;
    const now = steadyNow();
    if (activity.busy) {
      const limitMs = activity.toolRunning ? toolSilenceMs : Math.max(silenceMs, activity.apiSilenceMs);
      return now - activity.lastOutputAt > limitMs ? 'silent' : null;
    }
    // What runs in the background does not keep the machine awake: it is ended too, and named.
    return now - activity.idleSince > idleMs ? 'idle' : null;
  }
}
