/** What a pull request says of the work: all turns that changed the branch, not the last one alone. */
import type { JournalEntry, JournalKind } from '../../protocol/journal.ts';
import { closedMarkdown, cutMarkdown } from '../../protocol/text/cut-markdown.ts';
import { cutWhole } from '../../protocol/text/sendable-text.ts';

/** Turns that are told of; of more the newest. */
const MOST_TURNS = 30;
/** Longest summary of the whole work, in UTF-16 code units. */
const MAX_SUMMARY = 30_000;
const MAX_HEADING = 120;

type Of<K extends JournalKind> = Extract<JournalEntry, { kind: K }>;
interface Source {
  newest(kind: JournalKind, limit: number): JournalEntry[];
}

/**
 * The answers of the completed turns that made commits, in their order; each after the first is under what was asked.
 * What an earlier pull request told of, which is merged or closed, is not told again.
 * @param last the turn that completes now: its answer is not in the journal yet
 * @param open number of the pull request that is open; null: there is none
 * @param journal read for the earlier turns
 */
export function workSummary(last: { turn: number; summary: string }, open: number | null, journal: Source): string {
  const read = <K extends JournalKind>(kind: K) =>
    journal.newest(kind, 2 * MOST_TURNS).filter((entry): entry is Of<K> => entry.kind === kind);
  const saved = read('saved');
  const others = read('pull-request').filter(({ number }) => number !== null && number !== open);
  const toldBefore = others.at(-1)?.turn ?? 0;
  const isChange = (turn: number) => saved.some((entry) => entry.turn === turn && entry.newCommits > 0);
  const earlier = read('turn-ended').filter(
    ({ turn, outcome, text }) =>
      turn > toldBefore && turn < last.turn && outcome === 'completed' && text.trim() !== '' && isChange(turn),
  );
  const told = [
    ...earlier.slice(1 - MOST_TURNS).map(({ turn, text }) => ({ turn, text })),
    { turn: last.turn, text: last.summary },
  ];
  if (told.length === 1) return last.summary;
  const begun = read('turn-started');
  const prompts = read('prompt');
  const askedIn = (number: number) => {
    const ids = begun.find(({ turn }) => turn === number)?.promptIds ?? [];
    return prompts.find(({ promptId }) => ids.includes(promptId))?.text ?? '';
  };
  const room = Math.floor(MAX_SUMMARY / told.length);
  return told
    .map(({ turn, text }, index) => {
      const heading = index === 0 ? '' : `### ${headingOf(askedIn(turn))}\n\n`;
      const whole = `${heading}${text.trim()}`;
      return whole.length <= room ? closedMarkdown(whole) : `${cutMarkdown(whole, room - 4)}\n\n…`;
    })
    .join('\n\n');
}

/** The first line of a request as plain words. */
function headingOf(asked: string): string {
  const first = asked.split('\n').find((line) => /[\p{L}\p{N}]/u.test(line)) ?? '';
  const plain = first
    .replace(/[\\`*_[\]<>#|~]/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  if (plain === '') return 'Follow-up';
  return plain.length <= MAX_HEADING ? plain : `${cutWhole(plain, MAX_HEADING - 1)}…`;
}
