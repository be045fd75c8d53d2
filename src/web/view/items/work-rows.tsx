import { memo, type ReactNode, useState } from 'react';
import type { LineText } from '../../outline/line-words.ts';
import { failureText, lineText, retryText } from '../../outline/line-words.ts';
import type { Item, Row } from '../../outline/model.ts';
import { plural } from '../../text/format.ts';
import { Fold } from '../fold.tsx';
import { Icon, type IconName } from '../icons.tsx';
import { ClippedOutput } from './clipped-output.tsx';
import { ThoughtRow } from './thought-row.tsx';
import { ToolRow } from './tool-row.tsx';

/** Of a longer group only the newest rows are drawn until a person wants more. */
const ROWS_AT_ONCE = 60;

type WorkRowsProps = {
  rows: readonly Row[];
  running: boolean;
  drawItems: (items: readonly Item[], parent: string, running: boolean) => ReactNode;
};

/** Consecutive tool calls, thoughts and remarks: one line each. */
export const WorkRows = memo(function WorkRows({ rows, running, drawItems }: WorkRowsProps) {
  const [most, setMost] = useState(ROWS_AT_ONCE);
  const hidden = Math.max(0, rows.length - most);
  return (
    <div className="work">
      {hidden > 0 && (
        <button type="button" className="more" onClick={() => setMost(most + 5 * ROWS_AT_ONCE)}>
          Show {plural(hidden, 'earlier step')}
        </button>
      )}
      {(hidden === 0 ? rows : rows.slice(hidden)).map((row) => (
        <WorkRow key={row.key} row={row} running={running} drawItems={drawItems} />
      ))}
    </div>
  );
});

const WorkRow = memo(function WorkRow({ row, running, drawItems }: Omit<WorkRowsProps, 'rows'> & { row: Row }) {
  switch (row.type) {
    case 'tool':
      return <ToolRow tool={row} running={running} drawItems={drawItems} />;
    case 'thought':
      return <ThoughtRow text={row.entry.text} />;
    case 'line':
      return <LineRow {...lineText(row.entry, Date.now())} />;
    case 'failures':
      return <LineRow {...failureText(row.entries)} />;
    case 'retries':
      return <LineRow {...retryText(row.entries)} />;
  }
});

const icons: Record<LineText['level'], IconName> = { quiet: 'dot', info: 'info', warning: 'warning', error: 'cross' };

/** One plain line of the journal, with the rest of it folded where there is more. */
export const LineRow = memo(function LineRow({ level, text, more }: LineText) {
  const line = (
    <>
      <span className="row-icon">
        <Icon name={icons[level]} />
      </span>
      <span className="row-words">{text}</span>
    </>
  );
  if (more === undefined) return <div className={`row row-plain level-${level}`}>{line}</div>;
  return (
    <Fold className={`row level-${level}`} line={line}>
      {() => <ClippedOutput text={more} />}
    </Fold>
  );
});
