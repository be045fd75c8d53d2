/** What a viewer is sent, as server-sent events: finished entries with their numbers, and the session whenever it has changed (pure). */
import type { JournalEntry } from '../../protocol/journal.ts';
import type { SessionView, ViewerFrame } from '../../protocol/viewer.ts';

/** An event, or the number of an entry whose text was missed, which has to be read from the journal. */
export type FrameEvent = { text: string } | { missed: number };

export class FrameEvents {
  /** Text of the blocks that are being written. */
  readonly #open = new Map<string, string>();
  #session = '';

  /** @returns the events of a frame, in their order */
  take(frame: ViewerFrame): FrameEvent[] {
    switch (frame.t) {
      case 'hello':
        this.#open.clear();
        for (const { block, text } of frame.open) this.#open.set(block, text);
        return this.#changed(frame.session);
      case 'session':
        return this.#changed(frame.session);
      case 'entries':
        return frame.entries.map((entry) => ({ text: entryEvent(entry) }));
      case 'open':
        this.#open.set(frame.open.block, frame.open.text);
        return [];
      case 'd': {
        const before = this.#open.get(frame.b);
        // A piece that does not follow says that one was missed.
        if (before?.length === frame.o) this.#open.set(frame.b, before + frame.x);
        else this.#open.delete(frame.b);
        return [];
      }
      case 'drop':
        for (const block of frame.blocks) this.#open.delete(block);
        return [];
      case 'seal': {
        const text = this.#open.get(frame.b);
        this.#open.delete(frame.b);
        if (text?.length !== frame.length) return [{ missed: frame.entry.seq }];
        return [{ text: entryEvent({ ...frame.entry, text }) }];
      }
    }
  }

  #changed(session: SessionView): FrameEvent[] {
    const text = JSON.stringify(session);
    if (text === this.#session) return [];
    this.#session = text;
    return [{ text: `event: session\ndata: ${text}\n\n` }];
  }
}

/** The event of an entry; its id is what a program continues with. */
export function entryEvent(entry: JournalEntry): string {
  return `id: ${entry.seq}\nevent: entry\ndata: ${JSON.stringify(entry)}\n\n`;
}
