/**
 * From the journal to what a page draws. Pure: entries in, sections out. A section is a turn with what led to it (prompts,
 * preparations) and what came of it.
 */

import { ownValue } from '../../lib/own-value.ts';
import type { JournalEntry } from '../../protocol/journal.ts';
import type { Outline } from './model.ts';
import { sectionOf } from './section.ts';
import { splitIntoSections } from './split.ts';

/**
 * The outline of consecutive entries, in order; they may begin in the middle of a turn. Whatever is as it was in `previous` is the very
 * same object, so that a view draws only what changed; sections without a new entry are not even looked into.
 */
export function outlineOf(entries: readonly JournalEntry[], previous?: Outline): Outline {
  const { sections, cwd } = splitIntoSections(entries);
  const isPartial = (entries[0]?.seq ?? 1) > 1;
  // Sections come and go at both ends: one is the same as before if it ends with the same entry, or is of the same turn.
  const byEnd = new Map(previous?.sections.map((section) => [section.entries.at(-1)?.seq, section]));
  const byTurn = new Map(previous?.sections.map((section) => [section.turn, section]));
  return {
    cwd,
    sections: sections.map((own, index) => {
      const same = byEnd.get(own.at(-1)?.seq);
      if (same !== undefined && isSame(same.entries, own)) return same;
      const section = sectionOf(own, isPartial && index === 0);
      const before = same ?? byTurn.get(section.turn);
      return before === undefined ? section : shared(before, section);
    }),
  };
}

/** Entries come at the end, and a prompt may leave for a later section: first, last and length tell both. */
function isSame(before: readonly JournalEntry[], now: readonly JournalEntry[]): boolean {
  return before.length === now.length && before[0] === now[0] && before.at(-1) === now.at(-1);
}

/**
 * `next`, with every part that equals the part at the same place in `previous` replaced by that very object. Journal
 * entries (anything with a `seq`) never change and are compared by identity. Takes plain objects, arrays and scalars.
 */
export function shared<T>(previous: T, next: T): T {
  if (Object.is(previous, next)) return previous;
  if (Array.isArray(previous) && Array.isArray(next)) {
    const merged = next.map((value, index) => (index < previous.length ? shared(previous[index], value) : value));
    const same = previous.length === merged.length && merged.every((value, index) => value === previous[index]);
    return same ? previous : (merged as T);
  }
  if (!isPlain(previous) || !isPlain(next) || 'seq' in next) return next;
  const keys = Object.keys(next);
  const merged: Record<string, unknown> = {};
  let same = keys.length === Object.keys(previous).length;
  for (const key of keys) {
    // Assigned, it would be the prototype.
    if (key === '__proto__') return next;
    merged[key] = shared(ownValue(previous, key), next[key]);
    same &&= Object.is(merged[key], previous[key]);
  }
  return same ? previous : (merged as T);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
