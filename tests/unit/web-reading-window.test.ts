import { describe, expect, test } from 'vitest';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import {
  bounded,
  MOST_HELD,
  moreState,
  movedTo,
  newerAfter,
  type Reading,
  shownEntries,
  withNewer,
  withOlder,
} from '../../src/web/live/reading-window.ts';
import { emptyTimeline } from '../../src/web/live/timeline.ts';

const entries = (from: number, to: number): JournalEntry[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => ({
    seq: from + at,
    at: 1,
    turn: 1,
    kind: 'notice',
    level: 'info',
    text: '',
  }));
const holding = (from: number, to: number): Reading => ({
  timeline: { ...emptyTimeline, entries: entries(from, to), lastSeq: to, head: to },
  past: null,
});
const span = (reading: Reading) => {
  const shown = shownEntries(reading);
  return [shown[0]?.seq, shown.at(-1)?.seq];
};

describe('the part of the journal that a page holds', () => {
  test('begins with the newest entries, and grows backwards by what is read', () => {
    expect(span(withOlder(holding(901, 1000), entries(601, 900)))).toEqual([601, 1000]);
  });

  test('takes no entries that do not fit', () => {
    const reading = holding(901, 1000);
    expect(withOlder(reading, entries(601, 899))).toBe(reading);
    expect(withOlder(reading, [])).toBe(reading);
  });

  test('is bounded, however far back and forth somebody reads, and loses its place at neither end', () => {
    let reading = holding(49_901, 50_000);
    while ((span(reading)[0] ?? 1) > 1) {
      const before = span(reading)[0] ?? 1;
      reading = withOlder(reading, entries(Math.max(1, before - 300), before - 1));
      expect(span(reading)[0]).toBe(Math.max(1, before - 300));
      expect(shownEntries(reading).length).toBeLessThanOrEqual(MOST_HELD);
    }
    expect(reading.past).not.toBeNull();
    for (let after = newerAfter(reading); reading.past !== null; after = newerAfter(reading)) {
      reading = withNewer(reading, after === null ? [] : entries(after + 1, Math.min(50_000, after + 300)));
      expect(shownEntries(reading).length).toBeLessThanOrEqual(MOST_HELD);
    }
    expect(span(reading)[1]).toBe(50_000);
    const seqs = shownEntries(reading).map(({ seq }) => seq);
    expect(seqs).toEqual(entries(seqs[0] ?? 0, 50_000).map(({ seq }) => seq));
  });

  test('drops nothing that somebody reads while more comes in', () => {
    const reading = holding(1, MOST_HELD + 1);
    const reader = bounded(reading, false);
    expect(span(reader)).toEqual([1, MOST_HELD]);
    expect(reader.timeline.lastSeq).toBe(MOST_HELD + 1);
    const follower = bounded(reading, true);
    expect(span(follower)[1]).toBe(MOST_HELD + 1);
    expect(shownEntries(follower).length).toBeLessThan(MOST_HELD);
    expect(span(withNewer(reader, []))).toEqual([2, MOST_HELD + 1]);
  });

  test('goes to any entry and back to the newest', () => {
    const there = movedTo(holding(901, 1000), entries(101, 300));
    expect(span(there)).toEqual([101, 300]);
    expect(newerAfter(there)).toBe(300);
    expect(span(movedTo(there, null))).toEqual([901, 1000]);
  });
});

test('what could not be read is not asked for again with each entry that comes, but is once the reader goes elsewhere', () => {
  expect(moreState('failed', true, true)).toBe('failed');
  expect(moreState('failed', true, false)).toBe('some');
  expect(moreState('failed', false, true)).toBe('all');
  expect(moreState('some', true, true)).toBe('some');
  expect(moreState('loading', true, false)).toBe('loading');
});
