import { useVirtualizer } from '@tanstack/react-virtual';
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';
import type { MoreState } from '../../live/reading-window.ts';
import { foldsAround, rowIndexOf, type TimelineRow } from '../../outline/rows.ts';
import { OutgoingMessages } from '../composer/outgoing-messages.tsx';
import { Spinner } from '../icons.tsx';
import { KeptState } from '../kept-state.ts';
import { OpenBlocks } from '../open-blocks.tsx';
import { useSession, useStore } from '../session-context.ts';
import { WorkingLine } from '../working-line.tsx';
import { useLinkedEntry } from './deep-link.ts';
import { useFoldedRows } from './folds.ts';
import type { Follow } from './follow.ts';
import { RowView } from './row-view.tsx';
import { StartSteps } from './start-steps.tsx';

/** Closer to an end of what was read than this many rows, more is read. */
const NEAR_ROWS = 30;
/** For how long a row that somebody went to is marked, ms. */
const MARKED_MS = 2_500;
/** Heights of rows that were not drawn yet, px. */
const HEIGHTS: Record<TimelineRow['type'], number> = { turn: 44, answer: 120, item: 90, group: 34, work: 34 };

type TimelineViewProps = {
  /** What scrolls. */
  box: RefObject<HTMLElement | null>;
  /** What grows in it. */
  content: RefObject<HTMLDivElement | null>;
  follow: Follow;
};

/** Everything that happened, turn by turn, and what happens right now. Only rows near the screen are in the document. */
export function TimelineView({ box, content, follow: { atEnd, leave } }: TimelineViewProps) {
  const store = useStore();
  const outline = useSession((state) => state.outline);
  const isPast = useSession((state) => state.isPast);
  const older = useSession((state) => state.older);
  const newer = useSession((state) => state.newer);
  const [kept] = useState(() => new Map<string, boolean>());
  const { rows, choose, openAll } = useFoldedRows(outline, atEnd && !isPast);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: (index) => HEIGHTS[rows[index]?.type ?? 'work'],
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 12,
    // Where rows come before those that are seen, the one at the top stays where it is. Following is done by `useFollow`.
    anchorTo: 'end',
    scrollEndThreshold: Number.NEGATIVE_INFINITY,
    scrollPaddingStart: 12,
  });
  useEffect(() => store.follow(atEnd && !isPast), [store, atEnd, isPast]);

  const items = virtualizer.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (older === 'some' && first < NEAR_ROWS) void store.readOlder();
    if (newer === 'some' && last > rows.length - NEAR_ROWS) void store.readNewer();
  }, [store, older, newer, first, last, rows.length]);

  const marked = useGoTo({
    rows,
    openAll,
    leave,
    scrollTo: (index) => virtualizer.scrollToIndex(index, { align: 'start' }),
  });
  return (
    <KeptState value={kept}>
      <div ref={content} className="timeline-content">
        <MoreLine state={older} words="earlier" onRetry={() => void store.readOlder()} />
        <div className="rows" style={{ height: virtualizer.getTotalSize() }}>
          {items.map(({ index, key, start }) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <div
                key={key}
                ref={virtualizer.measureElement}
                data-index={index}
                data-turn={row.type === 'group' ? undefined : row.section.turn}
                className={`vrow ${gapClass(rows[index - 1], row)}${row.key === marked ? ' vrow-marked' : ''}`}
                style={{ transform: `translateY(${start}px)` }}
              >
                <RowView row={row} onChoose={choose} />
              </div>
            );
          })}
        </div>
        {isPast ? (
          <MoreLine state={newer} words="later" onRetry={() => void store.readNewer()} />
        ) : (
          <div className="turn-now">
            <StartSteps />
            <OpenBlocks parent={null} />
            <WorkingLine />
            <OutgoingMessages />
          </div>
        )}
      </div>
    </KeptState>
  );
}

/** Calls and remarks stand close together; everything else has room before it. */
function gapClass(before: TimelineRow | undefined, row: TimelineRow): string {
  if (before === undefined) return 'vrow-first';
  const isWork = (one: TimelineRow) => one.type === 'work' || one.type === 'group';
  if (isWork(before) && isWork(row)) return 'vrow-close';
  return row.type === 'answer' ? 'vrow-close' : 'vrow-apart';
}

function MoreLine({ state, words, onRetry }: { state: MoreState; words: string; onRetry: () => void }) {
  if (state === 'all') return null;
  return (
    <p className="more-line soft">
      {state === 'failed' ? (
        <>
          What happened {words} could not be read.{' '}
          <button type="button" className="more" onClick={onRetry}>
            Try again
          </button>
        </>
      ) : (
        <>
          <Spinner /> Reading what happened {words}
        </>
      )}
    </p>
  );
}

type GoTo = {
  rows: readonly TimelineRow[];
  openAll: (folds: readonly string[]) => void;
  leave: () => void;
  scrollTo: (index: number) => void;
};

/** Goes to the entry that somebody asked for: opens what it is in, and scrolls there. Returns the key of the row to mark. */
function useGoTo({ rows, openAll, leave, scrollTo }: GoTo): string | null {
  const store = useStore();
  const target = useSession((state) => state.target);
  const [opened, setOpened] = useState<typeof target>(null);
  const [marked, setMarked] = useState<string | null>(null);
  const latest = useRef(scrollTo);
  latest.current = scrollTo;
  useLinkedEntry(useCallback((seq: number) => void store.goTo(seq), [store]));
  useEffect(() => {
    if (target === null) return;
    leave();
    openAll(foldsAround(store.getState().outline, target.seq));
    setOpened(target);
  }, [store, target, leave, openAll]);
  useEffect(() => {
    if (opened === null) return;
    const index = rowIndexOf(rows, opened.seq);
    const row = rows[index];
    if (row === undefined) return;
    setOpened(null);
    setMarked(row.key);
    leave();
    latest.current(index);
  }, [rows, opened, leave]);
  useEffect(() => {
    if (marked === null) return;
    const timer = setTimeout(() => setMarked(null), MARKED_MS);
    return () => clearTimeout(timer);
  }, [marked]);
  return marked;
}
