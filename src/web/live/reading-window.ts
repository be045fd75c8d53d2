/**
 * The part of the journal that a page holds. Newest first: it begins with the newest entries, which grow with the live stream; older ones
 * come as the reader asks for them. A reader who goes far back reads a window of the past, which moves with them, while the newest
 * entries are kept beside it. So what is held is bounded, however long the journal is. Pure.
 */
import type { JournalEntry } from '../../protocol/journal.ts';
import type { Timeline } from './timeline.ts';

/** Most entries in either part. */
export const MOST_HELD = 4_000;
/** What stays of the newest entries when there are too many. */
const KEPT = 2_000;

export type Reading = {
  readonly timeline: Timeline;
  /** Consecutive entries from further back, which are shown instead of the newest; null: the newest are shown. */
  readonly past: readonly JournalEntry[] | null;
};

/** `all`: there is no more; `some`: there is, and it is read on demand; `failed`: the last try failed, and may be repeated. */
export type MoreState = 'all' | 'some' | 'loading' | 'failed';

/**
 * How reading on is at an end of what is shown, after a change of the state. What failed is not tried again by itself with every frame
 * that comes. @param isSameEnd the entry at that end is the one before
 */
export function moreState(before: MoreState, hasMore: boolean, isSameEnd: boolean): MoreState {
  if (before === 'loading') return 'loading';
  if (!hasMore) return 'all';
  return before === 'failed' && isSameEnd ? 'failed' : 'some';
}

/** The entries that are shown: consecutive, in order. */
export function shownEntries({ timeline, past }: Reading): readonly JournalEntry[] {
  return past ?? timeline.entries;
}

/** Entries that end right before what is shown are put before it; any other changes nothing. */
export function withOlder(reading: Reading, older: readonly JournalEntry[]): Reading {
  const shown = shownEntries(reading);
  if (older.length === 0 || older.at(-1)?.seq !== (shown[0]?.seq ?? 0) - 1) return reading;
  const entries = [...older, ...shown];
  if (entries.length > MOST_HELD) return { ...reading, past: entries.slice(0, MOST_HELD) };
  if (reading.past !== null) return { ...reading, past: entries };
  return { ...reading, timeline: { ...reading.timeline, entries } };
}

/** Where the window of the past ends and the newest entries do not begin yet: entries after this number are missing. Null: nothing is. */
export function newerAfter({ timeline, past }: Reading): number | null {
  const last = past?.at(-1)?.seq;
  return last === undefined || last >= firstOf(timeline) - 1 ? null : last;
}

/** Entries that follow the window of the past; where it meets the newest entries, these are shown again. */
export function withNewer(reading: Reading, newer: readonly JournalEntry[]): Reading {
  const { timeline, past } = reading;
  if (past === null) return reading;
  const last = past.at(-1)?.seq ?? 0;
  const follows = newer.length > 0 && newer[0]?.seq === last + 1;
  const grown = follows ? [...past, ...newer] : past;
  const end = grown.at(-1)?.seq ?? 0;
  if (end < firstOf(timeline) - 1) return { timeline, past: grown.slice(-MOST_HELD) };
  const joined = [...grown, ...timeline.entries.filter(({ seq }) => seq > end)];
  return { timeline: { ...timeline, entries: joined.slice(-MOST_HELD) }, past: null };
}

/** The reader goes to other entries, e.g. those around one that was found; null: to the newest. */
export function movedTo(reading: Reading, entries: readonly JournalEntry[] | null): Reading {
  return { ...reading, past: entries === null || entries.length === 0 ? null : entries };
}

/** Bounds what is held. @param isFollowing the reader is at the end, and looks at none of what is left out */
export function bounded(reading: Reading, isFollowing: boolean): Reading {
  const { timeline, past } = reading;
  if (timeline.entries.length <= MOST_HELD) return reading;
  const kept = { ...timeline, entries: timeline.entries.slice(-KEPT) };
  if (past !== null || isFollowing) return { timeline: kept, past };
  return { timeline: kept, past: timeline.entries.slice(0, MOST_HELD) };
}

function firstOf(timeline: Timeline): number {
  return timeline.entries[0]?.seq ?? timeline.lastSeq + 1;
}
