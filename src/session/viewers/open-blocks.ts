/**
 * The blocks that are being streamed, in memory. They are there for viewers only: an object that is evicted loses them,
 * and viewers get the finished block as an entry instead.
 */
import type { Live } from '../../claude/stream.ts';
import type { JournalEntry } from '../../protocol/journal.ts';
import type { OpenBlock, ViewerFrame } from '../../protocol/viewer.ts';

/** More streamed text than this is not kept for viewers that join later; they get the finished block. */
const MAX_OPEN_TEXT = 1024 * 1024;

export class OpenBlocks {
  /** By the stream's name of the block. Viewers know it by a shorter one: names are a good part of what they are sent. */
  readonly #blocks = new Map<string, OpenBlock>();
  #count = 0;

  list(): OpenBlock[] {
    return [...this.#blocks.values()];
  }

  /** What viewers are told of a piece of live output. */
  frame(live: Live, turn: number): ViewerFrame | null {
    switch (live.type) {
      case 'open': {
        const { type: _type, ...about } = live;
        this.#count += 1;
        const open: OpenBlock = { ...about, block: this.#count.toString(36), turn, text: '' };
        this.#blocks.set(live.block, open);
        return { t: 'open', open: { ...open } };
      }
      case 'delta': {
        const open = this.#blocks.get(live.block);
        // The beginning was lost with an earlier life of the object.
        if (!open) return null;
        if (open.text.length > MAX_OPEN_TEXT) return this.#drop(live.block, open);
        const offset = open.text.length;
        open.text += live.text;
        return { t: 'd', b: open.block, o: offset, x: live.text };
      }
      case 'drop': {
        const open = this.#blocks.get(live.block);
        return open ? this.#drop(live.block, open) : null;
      }
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
      return [{ t: 'seal', b: open.block, length: open.text.length, entry: { seq, at, turn, kind, parentToolUseId } }];
    }
    return [
      { t: 'drop', blocks: [open.block] },
      { t: 'entries', entries: [entry] },
    ];
  }

  /** Forgets a block, and tells viewers to. */
  #drop(block: string, open: OpenBlock): ViewerFrame {
    this.#blocks.delete(block);
    return { t: 'drop', blocks: [open.block] };
  }
}

/** Joins neighbours that belong together, and leaves out blocks that came and went, so that a burst is few frames. */
export function joinFrames(frames: ViewerFrame[]): ViewerFrame[] {
  const joined: ViewerFrame[] = [];
  for (const frame of frames) {
    const last = joined.at(-1);
    if (frame.t === 'entries' && last?.t === 'entries') last.entries.push(...frame.entries);
    else if (frame.t === 'd' && last?.t === 'd' && last.b === frame.b) last.x += frame.x;
    else if (frame.t === 'd' && last?.t === 'open' && last.open.block === frame.b) last.open.text += frame.x;
    else if (frame.t === 'drop' && last?.t === 'open' && isJust(frame.blocks, last.open.block)) joined.pop();
    else if (frame.t === 'entries') joined.push({ ...frame, entries: [...frame.entries] });
    else if (frame.t === 'open') joined.push({ ...frame, open: { ...frame.open } });
    else joined.push({ ...frame });
  }
  return joined;
}

function isJust(blocks: string[], block: string): boolean {
  return blocks.length === 1 && blocks[0] === block;
}
