import type { Item } from '../outline/model.ts';
import { isStarting } from '../outline/start.ts';
import { statusOf } from '../text/status.ts';
import { Spinner } from './icons.tsx';
import { useSession } from './session-context.ts';

/** Says that something continues if nothing else on the page does (Claude has not begun to answer yet, say). */
export function WorkingLine() {
  const session = useSession((state) => state.session);
  const speaking = useSession((state) => state.timeline.open.length > 0);
  const section = useSession((state) => state.outline.sections.at(-1));
  if (
    session === null ||
    session.phase === 'waiting' ||
    session.phase === 'asking' ||
    session.phase === 'parked' ||
    session.phase === 'queued' ||
    speaking ||
    (section !== undefined && isStarting(section)) ||
    showsWork(section?.items.at(-1))
  )
    return null;
  const { word, detail } = statusOf(session);
  return (
    <div className="row row-plain working-line">
      <span className="row-icon">
        <Spinner />
      </span>
      <span className="row-words">{detail || word}</span>
    </div>
  );
}

function showsWork(item: Item | undefined): boolean {
  if (item?.type === 'work') return item.rows.some((row) => row.type === 'tool' && row.result === null);
  if (item?.type !== 'steps') return false;
  const step = item.entries.findLast((entry) => entry.kind === 'step');
  return step?.status === 'started';
}
