import { memo, useContext, useMemo } from 'react';
import type { SharedFile } from '../../../protocol/files.ts';
import { groupWords } from '../../outline/group-words.ts';
import type { Row, Section } from '../../outline/model.ts';
import { firstSeqOf, sameCalls, type TimelineRow } from '../../outline/rows.ts';
import { Boundary, UndrawnEntry } from '../boundary.tsx';
import { Icon } from '../icons.tsx';
import { drawNested, ItemView } from '../items/items.tsx';
import { Clamped, MessageItem } from '../items/message-item.tsx';
import { Counts } from '../items/tool-row.tsx';
import { WorkRow } from '../items/work-rows.tsx';
import { Prose } from '../prose.tsx';
import { SessionContext } from '../session-context.ts';
import { SharedFiles } from '../shared-link.tsx';
import { TurnHead } from './turn-head.tsx';

type RowViewProps = { row: TimelineRow; onChoose: (fold: string, isOpen: boolean) => void };

/** One row of the timeline. What cannot be drawn is shown as the journal holds it. */
export const RowView = memo(function RowView({ row, onChoose }: RowViewProps) {
  const id = useContext(SessionContext)?.id;
  const files = row.type === 'group' ? undefined : row.section.saved?.shared;
  return (
    <Boundary fallback={(retry) => <UndrawnEntry raw={() => rawOf(row)} retry={retry} />}>
      <TurnFiles id={id} files={files}>
        <RowContent row={row} onChoose={onChoose} />
      </TurnFiles>
    </Boundary>
  );
}, isDrawnTheSame);

/** The files that Claude shared in the turn around, for the links to them. */
function TurnFiles(props: {
  id: string | undefined;
  files: readonly SharedFile[] | undefined;
  children: React.ReactNode;
}) {
  const { id, files, children } = props;
  const shared = useMemo(
    () => (id !== undefined && files !== undefined ? { sessionId: id, files } : null),
    [id, files],
  );
  return <SharedFiles value={shared}>{children}</SharedFiles>;
}

function RowContent({ row, onChoose }: RowViewProps) {
  switch (row.type) {
    case 'turn': {
      const { fold, section, isOpen } = row;
      const toggle = fold === null ? {} : { onToggle: () => onChoose(fold, !isOpen) };
      return <TurnHead section={section} isOpen={isOpen} {...toggle} />;
    }
    case 'answer':
      return <Answer section={row.section} />;
    case 'item':
      return <ItemView item={row.item} running={isRunning(row.section)} />;
    case 'group':
      return <GroupLine rows={row.rows} isOpen={row.isOpen} onToggle={() => onChoose(row.key, !row.isOpen)} />;
    case 'work':
      return (
        <div className="work">
          <WorkRow row={row.row} running={isRunning(row.section)} drawItems={drawNested} />
        </div>
      );
  }
}

/** Of a folded turn the answer stays in sight, and what people wrote in it beside the request. */
function Answer({ section }: { section: Section }) {
  const messages = section.items.filter((item) => item.type === 'message').slice(1);
  const { ended } = section;
  return (
    <div className="turn-answer">
      {messages.map((item) => (
        <MessageItem key={item.key} entry={item.entry} />
      ))}
      {ended !== null && ended.text.trim() !== '' && (
        <Clamped name={`answer ${section.key}`}>
          <Prose text={ended.text} />
        </Clamped>
      )}
    </div>
  );
}

/** Calls that follow each other, in a sentence. */
function GroupLine({ rows, isOpen, onToggle }: { rows: readonly Row[]; isOpen: boolean; onToggle: () => void }) {
  const { text, failed, added, removed } = groupWords(rows);
  return (
    <div className="work">
      <div className="row">
        <button type="button" className="fold-line group-line" aria-expanded={isOpen} onClick={onToggle}>
          <span className="row-icon">
            <Icon name="list" />
          </span>
          <span className="row-words">{text}</span>
          {added + removed > 0 && <Counts added={added} removed={removed} />}
          {failed > 0 && <span className="tag tag-bad">{failed} failed</span>}
          <span className="fold-mark">
            <Icon name="chevron" />
          </span>
        </button>
      </div>
    </div>
  );
}

function isRunning(section: Section): boolean {
  return section.ended === null;
}

/** A section is another object with each entry; most of its rows are not drawn differently for that. */
function isDrawnTheSame({ row: before, onChoose }: RowViewProps, next: RowViewProps): boolean {
  const { row } = next;
  if (onChoose !== next.onChoose || before.type !== row.type || before.key !== row.key) return false;
  if (before.type === 'group' && row.type === 'group') {
    return before.isOpen === row.isOpen && sameCalls(before.rows, row.rows);
  }
  if (before.type === 'group' || row.type === 'group') return false;
  const isSameTurn =
    isRunning(before.section) === isRunning(row.section) && before.section.saved?.shared === row.section.saved?.shared;
  if (before.type === 'item' && row.type === 'item') return isSameTurn && before.item === row.item;
  if (before.type === 'work' && row.type === 'work') return isSameTurn && before.row === row.row;
  if (before.type === 'turn' && row.type === 'turn') {
    return before.section === row.section && before.isOpen === row.isOpen && before.fold === row.fold;
  }
  return before.section === row.section;
}

function rawOf(row: TimelineRow): string {
  const seq = firstSeqOf(row);
  const entry = row.type === 'group' ? undefined : row.section.entries.find((candidate) => candidate.seq === seq);
  return JSON.stringify(entry ?? { seq }, null, 2);
}
