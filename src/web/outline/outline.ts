/**
 * From the journal to what a page draws. Pure: entries in, sections out. A section is a turn with what led to it (prompts,
 * preparations) and what came of it.
 */

import type { JournalEntry } from '../../protocol/journal.ts';
import type { Outline, Section } from './model.ts';
import { sectionOf } from './section.ts';
import { splitIntoSections } from './split.ts';

/**
 * The outline of the entries (all of them, in order). Whatever is as it was in `previous` is the very same object, so
 * that a view draws only what changed; sections without a new entry are not even looked into.
 */
export function outlineOf(entries: readonly JournalEntry[], previous?: Outline): Outline {
  const { sections, cwd } = splitIntoSections(entries);
  return {
    cwd,
    sections: sections.map((own, index) => {
      const before = previous?.sections[index];
      if (before !== undefined && isSame(before.entries, own)) return before;
      const section = sectionOf(own);
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
    merged[key] = shared(previous[key], next[key]);
    same &&= Object.is(merged[key], previous[key]);
  }
  return same ? previous : (merged as T);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Which sections stand open of themselves: the last one, and while its turn has not ended also the one before that
 * ended last, so that the latest answer is always to be seen. Returns their keys.
 */
export function openSections(sections: readonly Section[]): readonly number[] {
  const last = sections.at(-1);
  if (last === undefined) return [];
  const answered = last.ended === null ? sections.findLast((section) => section.ended !== null) : undefined;
  return answered === undefined ? [last.key] : [answered.key, last.key];
}
