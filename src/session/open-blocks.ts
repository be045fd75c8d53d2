/**
 * The blocks that are being streamed, in memory. They are there for viewers only: an object that is evicted loses them,
 * and viewers get the finished block as an entry instead.
 */
import type { Live } from '../claude/stream.ts';
import type { JournalEntry } from '../protocol/journal.ts';
import type { OpenBlock, ViewerFrame } from '../protocol/viewer.ts';

/** More streamed text than this is not kept for viewers that join later; they get the finished block. */
const MAX_OPEN_TEXT = 1024 * 1024;

export class OpenBlocks {
  readonly #blocks = new Map<string, OpenBlock>();

  list(): OpenBlock[] {
    return [...this.#blocks.values()];
  }

  /** What viewers are told of a piece of live output. */
  frame(live: Live, turn: number): ViewerFrame | null {
    switch (live.type) {
      case 'open': {
        const { type: _type, ...about } = live;
        const open: OpenBlock = { ...about, turn, text: '' };
        this.#blocks.set(live.block, open);
        return { t: 'open', open: { ...open } };
      }
      case 'delta': {
        const open = this.#blocks.get(live.block);
        // The beginning was lost with an earlier life of the object.
        if (!open) return null;
        if (open.text.length > MAX_OPEN_TEXT) return this.drop([live.block]);
        const offset = open.text.length;
        open.text += live.text;
        return { t: 'd', b: live.block, o: offset, x: live.text };
      }
      case 'drop':
        return this.#blocks.has(live.block) ? this.drop([live.block]) : null;
      default:
        return null;
    }
  }

  /** The frames for an entry: a seal where viewers have its text already, the entry itself otherwise. */
  entry(entry: JournalEntry, block: string | undefined): ViewerFrame[] {
    const open = block === undefined ? undefined : this.#blocks.get(block);
    if (!open || block === undefined) return [{ t: 'entries', entries: [entry] }];
    this.#blocks.delete(block);
    if ((entry.kind === 'text' || entry.kind === 'thinking') && entry.text === open.text) {
      const { seq, at, turn, kind, parentToolUseId } = entry;
      return [{ t: 'seal', b: block, length: open.text.length, entry: { seq, at, turn, kind, parentToolUseId } }];
    }
    return [
      { t: 'drop', blocks: [block] },
      { t: 'entries', entries: [entry] },
    ];
  }

  /** Forgets blocks, and tells viewers to. */
  drop(blocks: string[]): ViewerFrame {
    for (const block of blocks) this.#blocks.delete(block);
    return { t: 'drop', blocks };
  }
}

/** Joins neighbours that say the same kind of thing, so that a burst is few frames. */
export function joinFrames(frames: ViewerFrame[]): ViewerFrame[] {
  const joined: ViewerFrame[] = [];
  for (const frame of frames) {
    const last = joined.at(-1);
    if (frame.t === 'entries' && last?.t === 'entries') last.entries.push(...frame.entries);
    else if (frame.t === 'd' && last?.t === 'd' && last.b === frame.b) last.x += frame.x;
    else joined.push(frame.t === 'entries' ? { ...frame, entries: [...frame.entries] } : { ...frame });
  }
  return joined;
}
