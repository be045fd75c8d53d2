/**
 * Sends the messages of this page in order, one at a time over all tabs, until the server has them. Locks of the browser keep two tabs
 * from sending at the same time, and a message from being edited while it is sent; the server takes each id once in any case.
 */
import type { Answer } from '../api.ts';
import { retryDelay } from './connection.ts';
import { delivered, heldByOutcome, isUnsent, nextToSend, type Outgoing, type Situation } from './outgoing.ts';
import type { OutgoingStore } from './outgoing-store.ts';

/** Runs something while no other tab of this browser runs anything under the same name. `ifFree`: null instead of waiting. */
export interface Locks {
  whenFree<T>(name: string, run: () => Promise<T>): Promise<T>;
  ifFree<T>(name: string, run: () => Promise<T>): Promise<T | null>;
}

export interface PromptSenderOptions {
  session: string;
  messages: OutgoingStore;
  locks: Locks;
  situation: () => Situation;
  post: (prompt: { id: string; text: string }) => Promise<Answer<true>>;
  /** Asked before a message is tried without a connection: a try that fails half-way can never be withdrawn. */
  isReachable: () => Promise<boolean>;
  /** Waits, in ms; cut short when the network may be back. */
  pause: (milliseconds: number) => Promise<void>;
  isEnded: () => boolean;
}

/** `again`: there may be more to send; `away`: the server cannot be reached now; `done`: there is nothing to send. */
type Step = 'again' | 'away' | 'done';

export class PromptSender {
  readonly #options: PromptSenderOptions;
  #isRunning = false;
  #isWanted = false;

  constructor(options: PromptSenderOptions) {
    this.#options = options;
  }

  /** Sends what is due; to be called when something was written, or may have become due. */
  async run(): Promise<void> {
    this.#isWanted = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { session, locks, pause, isEnded } = this.#options;
    let failures = 0;
    try {
      while (this.#isWanted && !isEnded()) {
        this.#isWanted = false;
        const step = await locks.whenFree(`cyrus:send:${session}`, () => this.#step());
        if (step === 'done') continue;
        this.#isWanted = true;
        if (step === 'away') await pause(retryDelay(failures++, Math.random()));
        else failures = 0;
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /**
   * Changes a message, unless it is being sent or was.
   * @param change what becomes of it; null: it is withdrawn
   * @returns whether it was changed
   */
  async change(id: string, change: (message: Outgoing) => Outgoing | null): Promise<boolean> {
    const { messages, locks } = this.#options;
    const isChanged = await locks.ifFree(messageLock(id), async () => {
      const message = messages.fresh(id);
      if (message === null || !isUnsent(message)) return false;
      const changed = change(message);
      if (changed?.id !== id) messages.remove([id]);
      if (changed) messages.put(changed);
      return true;
    });
    void this.run();
    return isChanged ?? false;
  }

  async #step(): Promise<Step> {
    const { messages, situation, isReachable, locks, isEnded } = this.#options;
    // Another tab may have changed or withdrawn one.
    const current = messages.list().flatMap(({ id }) => messages.fresh(id) ?? []);
    for (const message of heldByOutcome(current, situation())) messages.put(message);
    const next = nextToSend(messages.list(), situation());
    if (next === null || isEnded()) return 'done';
    if (next.state === 'pending' && !situation().isLive && !(await isReachable())) return 'away';
    return await locks.whenFree(messageLock(next.id), () => this.#send(next.id));
  }

  async #send(id: string): Promise<Step> {
    const { messages, post, isEnded } = this.#options;
    // It may have been withdrawn, edited or sent meanwhile.
    const message = messages.fresh(id);
    if (message === null || isEnded()) return 'again';
    if (message.state !== 'pending' && message.state !== 'sending') return 'again';
    if (message.state === 'pending') messages.put(delivered(message, { state: 'sending' }));
    const answer = await post({ id, text: message.text });
    // It is kept: the next page continues.
    if (isEnded()) return 'done';
    // The journal may have shown it before the answer came.
    if (messages.fresh(id) === null) return 'again';
    if (answer.ok) messages.put(delivered(message, { state: 'accepted' }));
    else if (answer.kind !== 'unreachable') {
      messages.put(delivered(message, { state: 'refused', message: answer.message }));
    } else {
      messages.put(delivered(message, { state: 'sending', message: answer.message }));
      return 'away';
    }
    return 'again';
  }
}

function messageLock(id: string): string {
  return `cyrus:message:${id}`;
}

/**
 * The locks of a browser. @param manager left out by browsers for pages without https. Without it, and where the browser forbids the page to
 * store anything and so its locks too (w3.org/TR/web-locks), each tab is on its own.
 */
export function browserLocks(manager: Pick<LockManager, 'request'> | undefined): Locks {
  const locked = async <T>(
    name: string,
    options: LockOptions,
    run: (lock: Lock | null) => Promise<T>,
    alone: () => Promise<T>,
  ) => {
    if (manager === undefined) return await alone();
    let hasBegun = false;
    try {
      return await manager.request(name, options, (lock) => {
        hasBegun = true;
        return run(lock);
      });
    } catch (error) {
      if (hasBegun) throw error;
      return await alone();
    }
  };
  return {
    whenFree: (name, run) => locked(name, {}, run, run),
    ifFree: (name, run) =>
      locked(name, { ifAvailable: true }, async (lock) => (lock === null ? null : await run()), run),
  };
}
