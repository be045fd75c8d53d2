import { memo, type ReactNode } from 'react';
import type { LineText } from '../../outline/line-words.ts';
import { failureText, lineText, retryText } from '../../outline/line-words.ts';
import type { Item, Row } from '../../outline/model.ts';
import { Fold } from '../fold.tsx';
import { Icon, type IconName } from '../icons.tsx';
import { ClippedOutput } from './clipped-output.tsx';
import { ThoughtRow } from './thought-row.tsx';
import { ToolRow } from './tool-row.tsx';

type WorkRowProps = {
  row: Row;
  running: boolean;
  drawItems: (items: readonly Item[], parent: string, running: boolean) => ReactNode;
};

/** Consecutive tool calls, thoughts and remarks of a subagent: one line each. */
export const WorkRows = memo(function WorkRows({
  rows,
  running,
  drawItems,
}: Omit<WorkRowProps, 'row'> & { rows: readonly Row[] }) {
  return (
    <div className="work">
      {rows.map((row) => (
        <WorkRow key={row.key} row={row} running={running} drawItems={drawItems} />
      ))}
    </div>
  );
});

/** A tool call, a thought or a remark. */
export const WorkRow = memo(function WorkRow({ row, running, drawItems }: WorkRowProps) {
  switch (row.type) {
    case 'tool':
      return <ToolRow tool={row} running={running} drawItems={drawItems} />;
    case 'thought':
      return <ThoughtRow text={row.entry.text} name={`row ${row.key}`} />;
    case 'line':
      return <LineRow {...lineText(row.entry, Date.now())} name={`row ${row.key}`} />;
    case 'failures':
      return <LineRow {...failureText(row.entries)} name={`row ${row.key}`} />;
    case 'retries':
      return <LineRow {...retryText(row.entries)} />;
  }
});

const icons: Record<LineText['level'], IconName> = { quiet: 'dot', info: 'info', warning: 'warning', error: 'cross' };

/** One plain line of the journal, with the rest of it folded where there is more. */
export const LineRow = memo(function LineRow({ level, text, more, name }: LineText & { name?: string }) {
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
    <Fold name={name} className={`row level-${level}`} line={line}>
      {() => <ClippedOutput text={more} />}
    </Fold>
  );
});
