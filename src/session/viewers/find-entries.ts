/** The search over a session's journal: what people see of an entry is searched, not how it is stored. */
import type { FoundEntries } from '../../protocol/api.ts';
import type { JournalEntry } from '../../protocol/journal.ts';
import { shownText } from '../../protocol/text/clean-text.ts';

/** Matches in one answer. */
const MOST_MATCHES = 50;
/** Entries that are looked at for one answer: names of fields may be all that matches. */
const MOST_LOOKED_AT = 1_000;
/** Entries whose stored text is searched for one answer: the object does nothing else meanwhile, and each row read is paid for. */
const MOST_SEARCHED = 5_000;
/** Text around a match, on each side, in UTF-16 code units. */
const AROUND = 60;

interface Source {
  /** Number of the newest entry with a lower number; 0 if there is none. */
  lastBefore(before: number): number;
  holding(text: string, range: { from: number; before: number }, limit: number): Iterable<JournalEntry>;
}

/**
 * @param text what is searched for; upper and lower case are the same
 * @param before entries with a lower number alone
 * @returns what was found in the newest of them; `next`: where to search on, absent if all were searched
 */
export function findEntries(journal: Source, text: string, before: number): FoundEntries {
  const matches: FoundEntries['matches'] = [];
  const wanted = smallLetters(text);
  let looked = 0;
  const from = Math.max(1, journal.lastBefore(before) + 1 - MOST_SEARCHED);
  for (const entry of journal.holding(text, { from, before }, MOST_LOOKED_AT)) {
    looked += 1;
    const match = matchIn(entry, wanted);
    if (match !== null) matches.push(match);
    if (matches.length === MOST_MATCHES || looked === MOST_LOOKED_AT) return { matches, next: entry.seq };
  }
  return from > 1 ? { matches, next: from } : { matches };
}

function matchIn(entry: JournalEntry, wanted: string): FoundEntries['matches'][number] | null {
  const { seq, at, turn, kind } = entry;
  for (const text of seenTexts(entry)) {
    // As the page shows it: otherwise the page would leave out characters before the match, and mark beside it.
    const whole = shownText(text);
    const found = smallLetters(whole).indexOf(wanted);
    if (found < 0) continue;
    const start = Math.max(0, found - AROUND);
    const before = oneLine(whole.slice(start, found)).trimStart();
    const match = oneLine(whole.slice(found, found + wanted.length));
    const after = oneLine(whole.slice(found + wanted.length, found + wanted.length + AROUND)).trimEnd();
    const lead = start > 0 ? '…' : '';
    const from = lead.length + before.length;
    return { seq, at, turn, kind, excerpt: `${lead}${before}${match}${after}`, from, to: from + match.length };
  }
  return null;
}

/**
 * A text in small letters, each at its old position. A few letters, such as the Turkish "İ", become longer in lower case: the mark
 * for what follows them would be in the wrong place.
 */
function smallLetters(text: string): string {
  const small = text.toLowerCase();
  if (small.length === text.length) return small;
  return Array.from(text, (letter) => letter.toLowerCase().slice(0, letter.length)).join('');
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** The texts of an entry that the page draws, one after the other. */
function* seenTexts(entry: JournalEntry): Generator<string, void, undefined> {
  switch (entry.kind) {
    case 'tool-call':
      yield entry.name;
      yield* textsIn(entry.input);
      return;
    case 'tool-result':
      yield entry.text;
      for (const hunk of entry.edit?.hunks ?? []) yield hunk.lines.map((line) => line.slice(1)).join('\n');
      return;
    case 'question':
      yield* textsIn(entry.input);
      return;
    case 'saved':
      for (const { subject } of entry.commits) yield subject;
      for (const { path } of entry.files) yield path;
      return;
    case 'output':
    case 'text':
    case 'thinking':
    case 'prompt':
    case 'notice':
    case 'turn-ended':
      yield entry.text;
      return;
    case 'step':
      yield entry.detail ?? '';
      return;
    case 'task':
      yield entry.description;
      return;
    case 'effect-failed':
      yield entry.error;
      return;
    case 'permission-denied':
      yield entry.message;
      return;
    default:
      return;
  }
}

/** The texts in an input of any shape; names of its fields are not among them. */
function* textsIn(value: unknown): Generator<string, void, undefined> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const one of value) yield* textsIn(one);
  else if (typeof value === 'object' && value !== null) for (const one of Object.values(value)) yield* textsIn(one);
}
