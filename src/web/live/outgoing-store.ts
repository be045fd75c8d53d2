/**
 * The messages of one session that this browser has not seen arrive, kept for every tab and for the next time the page is opened. Each has a
 * key of its own, so that two tabs never write over each other's messages.
 */
import { parseJson } from '../../lib/parse-json.ts';
import { inOrder, type Outgoing, orderOf, outgoingSchema, reopened } from './outgoing.ts';

export interface OutgoingStoreOptions {
  session: string;
  /** Null: the browser keeps nothing for this page, and messages live as long as the tab. */
  storage: Storage | null;
  /** By this machine's clock, in ms since the epoch. */
  now: number;
  onChange: (messages: readonly Outgoing[]) => void;
}

export class OutgoingStore {
  readonly #prefix: string;
  readonly #storage: Storage | null;
  readonly #onChange: OutgoingStoreOptions['onChange'];
  readonly #messages = new Map<string, Outgoing>();
  /** Ids of those that are in the storage. */
  readonly #keptIds = new Set<string>();
  /** Ids of those that this tab holds because they are old, and other tabs may still send. */
  readonly #heldHere = new Set<string>();

  constructor({ session, storage, now, onChange }: OutgoingStoreOptions) {
    this.#prefix = `cyrus:outgoing:${session}:`;
    this.#storage = storage;
    this.#onChange = onChange;
    for (const kept of this.#keptKeys().map((key) => this.#kept(key))) {
      const message = kept && reopened(kept, now);
      if (message) this.#messages.set(message.id, message);
      else if (kept) this.#forget(kept.id);
      if (message && message !== kept) this.#heldHere.add(message.id);
    }
  }

  /** All of them, in the order in which they are sent. */
  list(): readonly Outgoing[] {
    return inOrder(this.#messages.values());
  }

  /** One of them, as it is now in every tab; null: it was sent or withdrawn. */
  fresh(id: string): Outgoing | null {
    const known = this.#messages.get(id) ?? null;
    // One that could not be kept is this tab's alone.
    if (this.#storage === null || known === null || !this.#keptIds.has(id)) return known;
    const kept = this.#kept(this.#prefix + id);
    if (kept !== null && this.#heldHere.has(id)) return known;
    if (kept === null) this.#messages.delete(id);
    else this.#messages.set(id, kept);
    return kept;
  }

  /** Keeps a message, new or changed. */
  put(message: Outgoing): void {
    this.#heldHere.delete(message.id);
    this.#messages.set(message.id, message);
    try {
      this.#storage?.setItem(this.#prefix + message.id, JSON.stringify(message));
      this.#keptIds.add(message.id);
    } catch {
      // The storage is full or forbidden: the message is still sent while the tab lives.
      this.#keptIds.delete(message.id);
    }
    this.#tell();
  }

  remove(ids: readonly string[]): void {
    if (ids.length === 0) return;
    for (const id of ids) this.#forget(id);
    this.#tell();
  }

  /** A place after all others. */
  lastOrder(now: number): number {
    return Math.max(now, ...[...this.#messages.values()].map((message) => orderOf(message) + 1));
  }

  /** What another tab changed. @param event of the window, for any key */
  changedElsewhere({ key, newValue }: Pick<StorageEvent, 'key' | 'newValue'>): void {
    // Everything was cleared: somebody signed out.
    if (key === null) this.#messages.clear();
    else if (!key.startsWith(this.#prefix)) return;
    else {
      const message = read(newValue);
      this.#heldHere.delete(key.slice(this.#prefix.length));
      if (message) {
        this.#messages.set(message.id, message);
        this.#keptIds.add(message.id);
      } else this.#messages.delete(key.slice(this.#prefix.length));
    }
    this.#tell();
  }

  #tell(): void {
    this.#onChange(this.list());
  }

  #forget(id: string): void {
    this.#messages.delete(id);
    this.#keptIds.delete(id);
    try {
      this.#storage?.removeItem(this.#prefix + id);
    } catch {
      // Storage is forbidden, so it was never kept.
    }
  }

  #keptKeys(): string[] {
    try {
      return Object.keys(this.#storage ?? {}).filter((key) => key.startsWith(this.#prefix));
    } catch {
      return [];
    }
  }

  #kept(key: string): Outgoing | null {
    try {
      const message = read(this.#storage?.getItem(key) ?? null);
      if (message) this.#keptIds.add(message.id);
      return message;
    } catch {
      return null;
    }
  }
}

function read(text: string | null): Outgoing | null {
  const parsed = outgoingSchema.safeParse(text === null ? null : parseJson(text));
  return parsed.success ? parsed.data : null;
}
