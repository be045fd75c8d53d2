import { firstSeqOf, holderOf, type TimelineRow } from '../../outline/rows.ts';

/** Place of the row that shows an entry; -1 if none does. Pure. */
export function rowIndexOf(rows: readonly TimelineRow[], seq: number): number {
  const within = rows.find((row) => row.type === 'turn' && row.section.entries.some((entry) => entry.seq === seq));
  if (within?.type !== 'turn') return -1;
  const holder = holderOf(within.section, seq);
  const exact = rows.findIndex((row) => (row.type === 'item' || row.type === 'work') && firstSeqOf(row) === holder);
  return exact === -1 ? rows.indexOf(within) : exact;
}
