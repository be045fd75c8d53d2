/**
 * The outline as a list of rows, each drawn by itself: a list of any length costs what is on the screen. Pure. A row keeps its key for
 * as long as it is what it is, whatever is read before or after it.
 */
import type { Item, Outline, Row, Section } from './model.ts';
import { isStarting } from './start.ts';

export type TimelineRow =
  | {
      readonly type: 'turn';
      readonly key: string;
      readonly section: Section;
      readonly fold: string | null;
      readonly isOpen: boolean;
    }
  /** What stays of a folded turn: what else people wrote in it, and the answer. */
  | { readonly type: 'answer'; readonly key: string; readonly section: Section }
  | {
      readonly type: 'item';
      readonly key: string;
      readonly section: Section;
      readonly item: Exclude<Item, { type: 'work' }>;
    }
  | { readonly type: 'group'; readonly key: string; readonly rows: readonly Row[]; readonly isOpen: boolean }
  | { readonly type: 'work'; readonly key: string; readonly section: Section; readonly row: Row };

/** Calls that follow each other are one line from this many on. */
const GROUP_FROM = 4;

/** Whether a person opened or closed something foldable; undefined: they did neither. */
export type Chosen = (fold: string) => boolean | undefined;

/** Name of a turn's fold. The number of its turn stays when earlier entries are read, that of its first entry does not. */
export function turnFold(section: Section): string {
  return section.turn > 0 ? `turn ${section.turn}` : `before ${section.key}`;
}

/**
 * What is open of itself: the last turn, while it runs the last one that was answered, too, and the calls that Claude is at.
 */
export function timelineRows(outline: Outline, chosen: Chosen): TimelineRow[] {
  const { sections } = outline;
  const last = sections.at(-1);
  const answered = last?.ended === null ? sections.findLast((section) => section.ended !== null) : undefined;
  return sections.flatMap((section) => {
    const fold = turnFold(section);
    const isLast = section === last;
    const open = isLast || (chosen(fold) ?? section === answered);
    const head: TimelineRow = { type: 'turn', key: fold, section, fold: isLast ? null : fold, isOpen: open };
    if (!open) return hasAnswer(section) ? [head, { type: 'answer', key: `answer ${fold}`, section }] : [head];
    // While a turn starts, its steps are a list below the timeline (start-steps.tsx).
    const items = isLast && isStarting(section) ? section.items.filter(({ type }) => type !== 'steps') : section.items;
    return [head, ...items.flatMap((item) => itemRows(section, item, chosen))];
  });
}

/** Something of a folded turn stays in sight. */
function hasAnswer({ items, ended }: Section): boolean {
  return (ended !== null && ended.text.trim() !== '') || items.filter(({ type }) => type === 'message').length > 1;
}

function itemRows(section: Section, item: Item, chosen: Chosen): TimelineRow[] {
  if (item.type !== 'work') return [{ type: 'item', key: `entry ${item.key}`, section, item }];
  const isCurrent = section.ended === null && item === section.items.at(-1);
  const parts = splitWork(item.rows);
  return parts.flatMap((rows, index): TimelineRow[] => {
    const each = rows.map((row): TimelineRow => ({ type: 'work', key: `entry ${row.key}`, section, row }));
    if (rows.filter((row) => row.type === 'tool').length < GROUP_FROM) return each;
    const key = `group ${rows[0]?.key}`;
    // It was known by another first call before earlier ones were read.
    const byHand = rows.map((row) => chosen(`group ${row.key}`)).find((choice) => choice !== undefined);
    const open = byHand ?? (isCurrent && index === parts.length - 1);
    return [{ type: 'group', key, rows, isOpen: open }, ...(open ? each : [])];
  });
}

/** What people have to see (warnings, questions, failures) is between groups, not in them. */
function splitWork(rows: readonly Row[]): Row[][] {
  const parts: Row[][] = [];
  let current: Row[] | null = null;
  for (const row of rows) {
    const folds = row.type === 'tool' || row.type === 'thought';
    if (!folds) {
      parts.push([row]);
      current = null;
    } else if (current === null) {
      current = [row];
      parts.push(current);
    } else current.push(row);
  }
  return parts;
}

/** Whether a group has the same calls as before, each of them as it was: any of them may get its result, in any order. */
export function sameCalls(before: readonly Row[], next: readonly Row[]): boolean {
  return before.length === next.length && before.every((row, index) => row === next[index]);
}

/** The first entry that a row shows; rows come in its order. */
export function firstSeqOf(row: TimelineRow): number {
  switch (row.type) {
    case 'turn':
    case 'answer':
      return row.section.key;
    case 'item':
      return row.item.key;
    case 'group':
      return row.rows[0]?.key ?? 0;
    case 'work':
      return row.row.key;
  }
}

/** What has to be open for an entry to be seen: its turn, and the group of calls it is in. */
export function foldsAround(outline: Outline, seq: number): string[] {
  const section = outline.sections.find(({ entries }) => entries.some((entry) => entry.seq === seq));
  if (section === undefined) return [];
  const holder = holderOf(section, seq);
  const groups = timelineRows({ ...outline, sections: [section] }, () => true).filter((row) => row.type === 'group');
  const within = groups.filter(({ rows }) => rows.some((row) => row.key === holder));
  return [turnFold(section), ...within.map(({ key }) => key)];
}

/** The entry whose row shows an entry: a result is shown with its call, and what a subagent does under the call that started it. */
export function holderOf(section: Section, seq: number): number {
  const holds = (row: Row): boolean => {
    if (row.key === seq) return true;
    if (row.type === 'retries' || row.type === 'failures') return row.entries.some((entry) => entry.seq === seq);
    if (row.type !== 'tool') return false;
    return row.result?.seq === seq || row.tasks.some((task) => task.seq === seq) || row.items.some(itemHolds);
  };
  const itemHolds = (item: Item): boolean => {
    if (item.key === seq) return true;
    if (item.type === 'work') return item.rows.some(holds);
    return item.type === 'steps' && item.entries.some((entry) => entry.seq === seq);
  };
  for (const item of section.items) {
    if (item.type !== 'work') {
      if (itemHolds(item)) return item.key;
      continue;
    }
    const row = item.rows.find(holds);
    if (row !== undefined) return row.key;
  }
  return section.key;
}

/** Place of the row that shows an entry; -1 if none does. Pure. */
export function rowIndexOf(rows: readonly TimelineRow[], seq: number): number {
  const within = rows.find((row) => row.type === 'turn' && row.section.entries.some((entry) => entry.seq === seq));
  if (within?.type !== 'turn') return -1;
  const holder = holderOf(within.section, seq);
  const exact = rows.findIndex((row) => (row.type === 'item' || row.type === 'work') && firstSeqOf(row) === holder);
  return exact === -1 ? rows.indexOf(within) : exact;
}
