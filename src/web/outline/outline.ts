/**
 * From the journal to what a page draws. Pure: entries in, sections out. A section is a turn with what led to it (prompts,
 * preparations) and what came of it.
 */
import type { JournalEntry } from '../../protocol/journal.ts';
import type { Outline } from './model.ts';
import { sectionOf } from './section.ts';
import { shared } from './shared.ts';
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
