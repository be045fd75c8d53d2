/**
 * How long a container has lived, and how long it has been ending. Counted from look to look, because the wall clock may be set: a
 * clock set forward must not end a container that works or saves, and one set back must not keep one for longer.
 */
import * as z from 'zod';

/** No container lives longer, in ms, whatever goes wrong elsewhere. Its session continues in the next one. */
const LIFE_LIMIT_MS = 12 * 3_600_000;
/** After SIGTERM the platform waits 15 min (developers.cloudflare.com/containers/platform-details/architecture); so does this. */
const GRACE_MS = 15 * 60_000;
/** Between two looks no more time is believed, in ms: the container class looks at least every 3 min. */
const LONGEST_BETWEEN_LOOKS_MS = 4 * 60_000;

/** What is kept, for the object forgets. */
const LIVED = 'cyrus-lived';
/** How long it had lived when it was told to end, in ms. */
const STOPPING_AT = 'cyrus-stopping-at';
/** What the first version kept in their place: ms since the epoch. */
const STARTED_AT = 'cyrus-started-at';
const STOPPING_SINCE = 'cyrus-stopping-since';

/** `ms`: lived until the last look, which was at `seenAt` (ms since the epoch). */
const livedSchema = z.object({ ms: z.number(), seenAt: z.number() });

/** Where the object keeps its values. */
export interface Memory {
  get: (key: string) => unknown;
  put: (key: string, value: unknown) => void;
  delete: (key: string) => unknown;
}

/** Leads what the first version kept, times of the wall clock, to the time that was lived. */
export function migrateLifetime(kv: Memory): void {
  const startedAt = kv.get(STARTED_AT);
  if (typeof startedAt !== 'number') return;
  const now = Date.now();
  const ms = Math.max(0, now - startedAt);
  kv.put(LIVED, { ms, seenAt: now });
  if (kv.get(STOPPING_SINCE) !== undefined) kv.put(STOPPING_AT, ms);
}

export class ContainerLifetime {
  readonly #kv: Memory;

  constructor(kv: Memory) {
    this.#kv = kv;
  }

  /** The container is about to start. */
  begin(): void {
    this.#kv.put(LIVED, { ms: 0, seenAt: Date.now() });
    this.#kv.delete(STOPPING_AT);
  }

  /** Counts the time since the last look; to be called whenever the object is awake anyway. @returns whether it has reached its maximum lifetime */
  isOver(): boolean {
    return this.#look() > LIFE_LIMIT_MS;
  }

  /** Whether it was told to end. */
  get isEnding(): boolean {
    return this.#kv.get(STOPPING_AT) !== undefined;
  }

  /** It has to end. @returns what to do for that: `signal` the first time, then `wait`, and `destroy` once the grace is over */
  end(): 'signal' | 'wait' | 'destroy' {
    const lived = this.#look();
    const since = this.#kv.get(STOPPING_AT);
    if (typeof since === 'number') return lived - since > GRACE_MS ? 'destroy' : 'wait';
    this.#kv.put(STOPPING_AT, lived);
    return 'signal';
  }

  /** @returns how long the container has lived, in ms */
  #look(): number {
    const now = Date.now();
    const { ms, seenAt } = livedSchema.safeParse(this.#kv.get(LIVED)).data ?? { ms: 0, seenAt: now };
    const passed = Math.min(Math.max(now - seenAt, 0), LONGEST_BETWEEN_LOOKS_MS);
    const lived = ms + passed;
    this.#kv.put(LIVED, { ms: lived, seenAt: now });
    return lived;
  }
}
