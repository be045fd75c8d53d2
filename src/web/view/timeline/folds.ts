import { useCallback, useMemo, useState } from 'react';
import type { Outline } from '../../outline/model.ts';
import { type TimelineRow, timelineRows } from '../../outline/rows.ts';

type Choices = ReadonlyMap<string, boolean>;

export interface FoldedRows {
  rows: readonly TimelineRow[];
  /** Opens or closes a fold, by a person's hand. */
  choose: (fold: string, isOpen: boolean) => void;
  /** Opens folds, e.g. around an entry that somebody goes to. */
  openAll: (folds: readonly string[]) => void;
}

/** The rows of the outline. Folds close by themselves only while the reader follows; what they look at further up stays as it is. */
export function useFoldedRows(outline: Outline, isFollowing: boolean): FoldedRows {
  const [choices, setChoices] = useState<Choices>(new Map());
  const rows = useMemo(() => timelineRows(outline, (fold) => choices.get(fold)), [outline, choices]);
  const open = useMemo(() => openFolds(rows), [rows]);
  const [before, setBefore] = useState(open);
  if (open !== before) {
    setBefore(open);
    const closed = isFollowing ? [] : [...before].filter((fold) => !open.has(fold) && !choices.has(fold));
    const present = closed.length === 0 ? null : new Set(rows.map(foldOf));
    const kept = closed.filter((fold) => present?.has(fold));
    if (kept.length > 0) setChoices(new Map([...choices, ...kept.map((fold) => [fold, true] as const)]));
  }
  const choose = useCallback(
    (fold: string, isOpen: boolean) => setChoices((known) => new Map(known).set(fold, isOpen)),
    [],
  );
  const openAll = useCallback(
    (folds: readonly string[]) =>
      setChoices((known) => new Map([...known, ...folds.map((fold) => [fold, true] as const)])),
    [],
  );
  return { rows, choose, openAll };
}

/** The name of what a row folds; null for one that folds nothing. */
export function foldOf(row: TimelineRow): string | null {
  if (row.type === 'group') return row.key;
  return row.type === 'turn' ? row.fold : null;
}

function openFolds(rows: readonly TimelineRow[]): ReadonlySet<string> {
  const open = new Set<string>();
  for (const row of rows) {
    if (row.type === 'group' && row.isOpen) open.add(row.key);
    // The last turn cannot be folded; once another follows it is one that was open.
    if (row.type === 'turn' && row.isOpen) open.add(row.key);
  }
  return open;
}
