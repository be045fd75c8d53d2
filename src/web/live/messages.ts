/** What people write on this page: kept, shown, and sent in order; until the server may have a message, they can change their mind. */
import * as z from 'zod';
import type { JournalEntry } from '../../protocol/journal.ts';
import { type Answer, fetchReinstallNeeded, postPrompt } from '../api.ts';
import { readKept, writeKept } from './kept.ts';
import {
  held,
  isUnsent,
  type Outgoing,
  orderOf,
  outgoingSchema,
  released,
  type Situation,
  shownIn,
  unheld,
} from './outgoing.ts';
import { OutgoingStore } from './outgoing-store.ts';
import { browserLocks, PromptSender } from './prompt-sender.ts';

export interface MessagesOptions {
  session: string;
  situation: () => Situation;
  /** Waits, in ms; cut short when the network may be back. */
  pause: (milliseconds: number) => Promise<void>;
  onChange: (messages: readonly Outgoing[]) => void;
  /** Aborted when the page is left. */
  ended: AbortSignal;
}

export class Messages {
  readonly #messages: OutgoingStore;
  readonly #sender: PromptSender;
  readonly #situation: () => Situation;

  constructor({ session, situation, pause, onChange, ended }: MessagesOptions) {
    this.#situation = situation;
    this.#messages = new OutgoingStore({ session, storage: browserStorage(), now: Date.now(), onChange });
    this.#takeOver(`cyrus:outgoing:${session}`);
    window.addEventListener('storage', (event) => this.#messages.changedElsewhere(event), { signal: ended });
    this.#sender = new PromptSender({
      session,
      messages: this.#messages,
      locks: browserLocks(navigator.locks),
      situation,
      post: (prompt): Promise<Answer<true>> => postPrompt(session, prompt),
      isReachable: async () => (await fetchReinstallNeeded(ended).catch(() => null))?.ok ?? false,
      pause,
      isEnded: () => ended.aborted,
    });
  }

  /** All that the journal does not show yet, in the order in which they are sent. */
  list(): readonly Outgoing[] {
    return this.#messages.list();
  }

  /** Writes to Claude. @param isForLater after the turn that is at work now */
  prompt(text: string, isForLater = false): void {
    const now = Date.now();
    const turn = isForLater ? this.#situation().session?.turn : undefined;
    this.#messages.put({
      ...{ id: crypto.randomUUID(), text, at: now, order: this.#messages.lastOrder(now), state: 'pending' },
      ...(turn !== undefined && { afterTurn: turn }),
    });
    this.send();
  }

  /** Sends what is due. */
  send(): void {
    void this.#sender.run();
  }

  /** Sends a message that waits as soon as possible. @returns false: it was sent meanwhile, or is being sent */
  sendNow(id: string): Promise<boolean> {
    return this.#sender.change(id, released);
  }

  /** Takes a message back. @returns false: it was sent meanwhile, or is being sent */
  withdraw(id: string): Promise<boolean> {
    return this.#sender.change(id, () => null);
  }

  /** Keeps a message from being sent by itself while somebody edits it. @returns false: it was sent meanwhile, or is being sent */
  hold(id: string): Promise<boolean> {
    return this.#sender.change(id, (message) => (message.state === 'pending' ? held(message) : message));
  }

  /** An edit is given up: the message waits for what it waited for before. */
  async unhold(id: string): Promise<void> {
    await this.#sender.change(id, unheld);
  }

  /** Ends an edit. @param text as it is to be sent @returns false: it was sent meanwhile, or is being sent */
  edited(id: string, text: string): Promise<boolean> {
    return this.#sender.change(id, (message) => {
      // The server may know the text under the id that it refused.
      const { message: _, ...rest } = message;
      return { ...rest, id: crypto.randomUUID(), text, state: 'pending' };
    });
  }

  /** Has a message sent before the one that is in front of it. */
  async moveForward(id: string): Promise<void> {
    const unsent = this.#messages.list().filter(isUnsent);
    const at = unsent.findIndex((message) => message.id === id);
    const [moved, other] = [unsent[at], unsent[at - 1]];
    if (moved === undefined || other === undefined) return;
    await this.#sender.change(other.id, (message) => ({ ...message, order: orderOf(moved) }));
    await this.#sender.change(id, (message) => ({ ...message, order: orderOf(other) }));
  }

  /** Entries came: messages that they show are done. */
  came(entries: readonly JournalEntry[]): void {
    this.#messages.remove(shownIn(this.#messages.list(), entries));
  }

  /** The version before kept the messages of a tab in one list. */
  #takeOver(key: string): void {
    for (const message of readKept(key, z.array(outgoingSchema)) ?? []) {
      if (message.state !== 'accepted') this.#messages.put(message);
    }
    writeKept(key, null);
  }
}

/** Null: the browser forbids it. */
function browserStorage(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
