/** What those who watch a session are told: the journal as it grows, what is still being written, and the header. */
import type { JournalEntry } from '../../protocol/journal.ts';
import { PAGE_PROTOCOL } from '../../protocol/version.ts';
import type { OpenBlock, SessionView, ViewerFrame } from '../../protocol/viewer.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import type { Written } from '../storage/transition-writer.ts';
import { joinFrames, OpenBlocks } from './open-blocks.ts';
import { Viewers } from './sockets.ts';

/** Shortest time between two headers that differ in their counts alone, in ms. */
const COUNTS_EVERY_MS = 2_000;

/** How entries of the journal are read, and how far it goes. */
interface JournalReader {
  head: number;
  after(number: number, limit: number): JournalEntry[];
}

export class Broadcast {
  readonly #viewers: Viewers;
  readonly #journal: JournalReader;
  readonly #view: (state: SessionState) => SessionView;
  readonly #open = new OpenBlocks();
  /** The header as viewers have it: what it counts, and the rest. */
  #told = { rest: '', counts: '', at: 0 };
  /** Viewers are connected that saw blocks begin of which this life knows nothing; the next frame tells them. */
  #hasForgotten: boolean;

  constructor(ctx: DurableObjectState, journal: JournalReader, view: (state: SessionState) => SessionView) {
    this.#viewers = new Viewers(ctx);
    this.#journal = journal;
    this.#view = view;
    this.#hasForgotten = this.#viewers.count > 0;
  }

  /** Whether somebody watches. */
  get isThere(): boolean {
    return this.#viewers.count > 0;
  }

  /**
   * Takes in a viewer.
   * @param after number of the last entry it has; anything but a positive one: none
   * @param until ms since the epoch: from then on it has to connect again, as somebody who may; null: never
   */
  join(session: SessionView, after: number, until: number | null): Response {
    const from = Number.isSafeInteger(after) && after > 0 ? after : 0;
    const hello = this.#hello(session, this.#open.list());
    return this.#viewers.join(hello, from, until, (number, limit) => this.#journal.after(number, limit));
  }

  /** Tells what was written, and the header where it has changed. @param state as it is now */
  tell(state: SessionState, written: readonly Written[]): void {
    // Kept also if nobody watches: a viewer that joins in the middle of a block is shown its beginning.
    const frames = written.flatMap((item) =>
      'live' in item ? (this.#open.frame(item.live, state.turns) ?? []) : this.#open.entry(item.entry, item.block),
    );
    if (this.#viewers.count === 0) return;
    const session = this.#view(state);
    const joined = joinFrames(frames);
    if (this.#hasForgotten) {
      joined.unshift(this.#hello(session, []));
      this.#hasForgotten = false;
    }
    if (this.#isWorthTelling(session)) joined.push({ t: 'session', session });
    this.#viewers.send(joined);
  }

  /** The header counts tokens with every message of Claude's; viewers need not see each step of that. */
  #isWorthTelling({ usage, costUsd, updatedAt, ...session }: SessionView): boolean {
    const rest = JSON.stringify(session);
    const counts = JSON.stringify([usage, costUsd]);
    const told = this.#told;
    const isCountDue = counts !== told.counts && updatedAt - told.at >= COUNTS_EVERY_MS;
    if (rest === told.rest && !isCountDue) return false;
    this.#told = { rest, counts, at: updatedAt };
    return true;
  }

  #hello(session: SessionView, open: OpenBlock[]): ViewerFrame {
    return { t: 'hello', protocol: PAGE_PROTOCOL, session, head: this.#journal.head, open };
  }
}
