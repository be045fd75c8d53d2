/**
 * The core of the live page: what a viewer knows of a session, and how each frame changes it. Pure, no socket, no React.
 *
 * A viewer's knowledge is the newest entries up to lastSeq without a gap, and the blocks being streamed right now. Every frame
 * either fits exactly onto that or proves that something was missed; then nothing changes and the connection is given
 * up: the next one begins after `lastSeq`, and its `hello` brings the open blocks whole.
 */
import type { JournalEntry } from '../../protocol/journal.ts';
import type { OpenBlock, SessionView, ViewerFrame } from '../../protocol/viewer.ts';

export type Timeline = {
  /** Null until the first page or `hello`. */
  readonly session: SessionView | null;
  /** Consecutive entries up to lastSeq, in order; what came before them is read on demand (reading-window.ts). */
  readonly entries: readonly JournalEntry[];
  readonly lastSeq: number;
  /** Last number of the journal as far as is known; entries up to it are history being caught up with. */
  readonly head: number;
  /** Blocks being streamed, oldest first. */
  readonly open: readonly OpenBlock[];
};

export const emptyTimeline: Timeline = { session: null, entries: [], lastSeq: 0, head: 0, open: [] };

/**
 * Result of a frame. `ok: false` means that frame and connection must not be trusted; `timeline` is what may be kept
 * (the one before the frame, or the empty one where the server's journal is a different one).
 */
export type Applied =
  | { readonly ok: true; readonly timeline: Timeline }
  | { readonly ok: false; readonly timeline: Timeline; readonly problem: string };

/**
 * Applies one frame. Takes and returns immutable values; never throws. A `hello` may come at any time: it tells the
 * open blocks again.
 */
export function applyFrame(timeline: Timeline, frame: ViewerFrame): Applied {
  switch (frame.t) {
    case 'hello':
      if (frame.head < timeline.lastSeq) {
        return refuse(emptyTimeline, `the journal ends at ${frame.head}, but ${timeline.lastSeq} was already shown`);
      }
      return accept({ ...timeline, session: frame.session, head: frame.head, open: frame.open });
    case 'entries':
      return applyEntries(timeline, frame.entries);
    case 'open':
      return accept({ ...timeline, open: opened(timeline.open, frame.open) });
    case 'd':
      return applyDelta(timeline, frame);
    case 'seal':
      return applySeal(timeline, frame);
    case 'drop':
      return accept({ ...timeline, open: timeline.open.filter((block) => !frame.blocks.includes(block.block)) });
    case 'session':
      return accept({ ...timeline, session: frame.session });
  }
}

/** The first page: the newest entries and the session's view. What follows them comes over the socket. */
export function beginWith(page: { session: SessionView; entries: JournalEntry[]; head: number }): Timeline {
  const { session, entries, head } = page;
  return { session, entries, lastSeq: entries.at(-1)?.seq ?? 0, head, open: [] };
}

function accept(timeline: Timeline): Applied {
  return { ok: true, timeline };
}

function refuse(timeline: Timeline, problem: string): Applied {
  return { ok: false, timeline, problem };
}

/** Entries already known are skipped (the same number is the same entry); a gap refuses all of them. */
function applyEntries(timeline: Timeline, entries: readonly JournalEntry[]): Applied {
  let { lastSeq, open } = timeline;
  const added: JournalEntry[] = [];
  for (const entry of entries) {
    if (entry.seq <= lastSeq) continue;
    if (entry.seq !== lastSeq + 1) {
      return refuse(timeline, `entry ${entry.seq} came after ${lastSeq}`);
    }
    lastSeq = entry.seq;
    added.push(entry);
    if (entry.seq > timeline.head && open.length > 0) open = withoutBeginningOf(open, entry);
  }
  if (added.length === 0) return accept(timeline);
  const head = Math.max(timeline.head, lastSeq);
  return accept({ ...timeline, entries: timeline.entries.concat(added), lastSeq, head, open });
}

/**
 * A server that lost its memory in the middle of a block sends the finished one whole and cannot name what viewers have
 * of it: that is the block whose text it begins with, and it must not stand there twice.
 */
function withoutBeginningOf(open: readonly OpenBlock[], entry: JournalEntry): readonly OpenBlock[] {
  if (entry.kind !== 'text' && entry.kind !== 'thinking') return open;
  const { kind, parentToolUseId, text } = entry;
  return open.filter(
    (block) =>
      block.kind !== kind ||
      block.parentToolUseId !== parentToolUseId ||
      block.text === '' ||
      !text.startsWith(block.text),
  );
}

function opened(open: readonly OpenBlock[], block: OpenBlock): readonly OpenBlock[] {
  const index = open.findIndex((known) => known.block === block.block);
  return index === -1 ? [...open, block] : open.with(index, block);
}

function applyDelta(timeline: Timeline, frame: { b: string; o: number; x: string }): Applied {
  const index = timeline.open.findIndex((block) => block.block === frame.b);
  const block = timeline.open[index];
  if (block === undefined) return refuse(timeline, `text for block ${frame.b}, which is not open`);
  if (block.text.length !== frame.o) {
    return refuse(timeline, `text for block ${frame.b} at ${frame.o}, but ${block.text.length} is known`);
  }
  return accept({ ...timeline, open: timeline.open.with(index, { ...block, text: block.text + frame.x }) });
}

function applySeal(timeline: Timeline, frame: Extract<ViewerFrame, { t: 'seal' }>): Applied {
  const block = timeline.open.find((candidate) => candidate.block === frame.b);
  const open = timeline.open.filter((candidate) => candidate !== block);
  if (frame.entry.seq <= timeline.lastSeq) return accept({ ...timeline, open });
  if (frame.entry.seq !== timeline.lastSeq + 1) {
    return refuse(timeline, `entry ${frame.entry.seq} came after ${timeline.lastSeq}`);
  }
  if (block === undefined) return refuse(timeline, `the end of block ${frame.b}, which is not open`);
  if (block.text.length !== frame.length) {
    return refuse(timeline, `block ${frame.b} ends at ${frame.length}, but ${block.text.length} is known`);
  }
  const entry: JournalEntry = { ...frame.entry, text: block.text };
  const head = Math.max(timeline.head, entry.seq);
  return accept({ ...timeline, entries: timeline.entries.concat(entry), lastSeq: entry.seq, head, open });
}
