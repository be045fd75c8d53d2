import type { JournalEntry } from '../../protocol/journal.ts';

/**
 * A section begins with the first prompt (or the turn) after the end of the last; entries of a turn that come late go
 * where their turn is. Entries outside of any turn (turn 0) join the section at hand. A prompt that came too late for
 * the turn it came in moves to the one that takes it up. Also tells the directory Claude works in, once known.
 */
export function splitIntoSections(entries: readonly JournalEntry[]): {
  sections: JournalEntry[][];
  cwd: string | null;
} {
  const sections: JournalEntry[][] = [];
  const sectionOfTurn = new Map<number, JournalEntry[]>();
  let current: { entries: JournalEntry[]; turn: number; ended: boolean } | null = null;
  let cwd: string | null = null;
  for (const entry of entries) {
    if (entry.kind === 'claude-started') cwd = entry.cwd;
    const known = entry.turn > 0 && entry.kind !== 'prompt' ? sectionOfTurn.get(entry.turn) : undefined;
    if (known !== undefined) {
      known.push(entry);
      if (entry.kind === 'turn-ended' && current?.entries === known) current.ended = true;
      continue;
    }
    const begins: boolean =
      current === null || (current.ended && entry.kind === 'prompt') || (current.turn > 0 && entry.turn > current.turn);
    if (begins || current === null) {
      current = { entries: [], turn: 0, ended: false };
      sections.push(current.entries);
    }
    current.entries.push(entry);
    if (entry.turn > 0 && current.turn === 0 && !sectionOfTurn.has(entry.turn)) {
      current.turn = entry.turn;
      sectionOfTurn.set(entry.turn, current.entries);
    }
    if (entry.kind === 'turn-ended') current.ended = true;
    if (entry.kind === 'turn-started') bringPrompts(entry.promptIds, sections, current.entries);
  }
  return { sections: sections.filter((entries) => entries.length > 0), cwd };
}

/** Moves the prompts of a turn that begins from the section before it to the beginning of its own. */
function bringPrompts(promptIds: readonly string[], sections: readonly JournalEntry[][], own: JournalEntry[]): void {
  const before = sections.at(-2);
  if (before === undefined || sections.at(-1) !== own) return;
  const taken = before.filter((entry) => entry.kind === 'prompt' && promptIds.includes(entry.promptId));
  if (taken.length === 0) return;
  own.unshift(...taken);
  const left = before.filter((entry) => !taken.includes(entry));
  before.splice(0, before.length, ...left);
}
