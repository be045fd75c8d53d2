/** How late people in Linear are told what the session knew: the journal's times beside those of a thread's activities (pure). */
import type { ActivityView } from '../../dev/linear/control/views.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { isByCyrus, isClosing } from '../e2e/linear-thread.ts';

/** What a person waits for, or (`news`) what may be gathered. */
export type Awaited = 'answer' | 'question' | 'acknowledgement' | 'news';

export interface Lateness {
  of: Awaited;
  /** From the entry in the journal until it is in Linear, in ms. */
  ms: number;
}

/** Found in the command of a call and in the activity that tells of it, nowhere else. */
const MARK = /soak-\d+-\d+-\d+/;
/** Options of the question that the script `question` asks. */
const OPTIONS = ['Red', 'Blue'];
/** What a thread is told at once about a request. */
const ACKNOWLEDGEMENT = /^(On it|Picking this up|Passed on to Claude|Claude (gets|continues with) this)/;

/**
 * @param entries of a session with one thread, from which nobody stopped a turn
 * @param activities of that thread
 * @returns how late each thing was, and what is missing in Linear
 */
export function lateness(
  entries: readonly JournalEntry[],
  activities: readonly ActivityView[],
): { late: Lateness[]; missing: string[] } {
  const told = activities.filter(isByCyrus);
  // A person who chooses an option sees by the question's end that it was taken.
  const asked = entries.filter((entry) => entry.kind === 'prompt' && !OPTIONS.includes(entry.text)).map(({ at }) => at);
  const acknowledged = told.filter(({ content }) => 'body' in content && ACKNOWLEDGEMENT.test(content.body));
  const pairs: [Awaited, number[], ActivityView[]][] = [
    ['answer', timesOf(entries, 'turn-ended'), told.filter(isClosing)],
    ['question', timesOf(entries, 'question'), told.filter(({ type }) => type === 'elicitation')],
    ['acknowledgement', asked, acknowledged],
  ];
  const late: Lateness[] = [];
  const missing: string[] = [];
  for (const [of, known, seen] of pairs) {
    if (known.length !== seen.length) missing.push(`${known.length} times ${of}, of which Linear has ${seen.length}`);
    for (const [index, at] of known.entries()) {
      const activity = seen[index];
      if (activity) late.push({ of, ms: Date.parse(activity.createdAt) - at });
    }
  }
  return { late: [...late, ...newsOf(entries, told)], missing };
}

/** Steps that are told apart by their marks; where one line stands for many, those are told by it. */
function newsOf(entries: readonly JournalEntry[], told: readonly ActivityView[]): Lateness[] {
  const seenAt = new Map<string, number>();
  for (const { content, createdAt } of told) {
    const mark = MARK.exec(JSON.stringify(content))?.[0];
    if (mark !== undefined && !seenAt.has(mark)) seenAt.set(mark, Date.parse(createdAt));
  }
  const marks = new Map(
    entries.flatMap((entry) => {
      const mark = entry.kind === 'tool-call' ? MARK.exec(JSON.stringify(entry.input))?.[0] : undefined;
      return mark !== undefined && entry.kind === 'tool-call' ? [[entry.toolUseId, mark] as const] : [];
    }),
  );
  return entries.flatMap((entry) => {
    if (entry.kind !== 'tool-result') return [];
    const at = seenAt.get(marks.get(entry.toolUseId) ?? '');
    return at === undefined ? [] : [{ of: 'news' as const, ms: at - entry.at }];
  });
}

function timesOf(entries: readonly JournalEntry[], kind: JournalEntry['kind']): number[] {
  return entries.filter((entry) => entry.kind === kind).map(({ at }) => at);
}
